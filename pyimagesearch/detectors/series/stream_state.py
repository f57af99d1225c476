"""The state of a stream, and its surprise scores: by how much a value extends what was seen.

Plain Python numbers, one value at a time; what is kept does not grow with the series.
"""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass
from typing import Any

from pyimagesearch.detectors.array_checks import check_count

SURPRISE_SCORES = (
    "value",
    "minimum of two",
    "minimum",
    "departure from the time of the week",
    "the same, held for a short time",
    "the same, held for a long time",
    "departure from the time of the day, held for a long time",
)
N_RANGES = 3  # of them; the others are departures
MOST_EXCESS = 10.0  # after a constant stretch any change would be infinitely large
LARGEST = 1e300  # of a value, so that differences stay finite
DAY = 86_400
WEEK = 7 * DAY
VISITS = 20  # that the mean of a time of the week or day goes back over
# A departure is compared with at least this share of the range of the values: the first one at
# all, or a rounding error, would be infinitely large, too.
_LEAST_DEPARTURE = 0.001
# So that a model file cannot ask for memory or time without limit.
MOST_HELD = 2**16
_LEAST_SLOT = 60


@dataclass(frozen=True)
class Settings:
    """What a stream detector watches.

    Attributes:
        minimum: rows that the longer minimum of the values goes over.
        short, long: rows for which a departure is held.
        slot: seconds of the week or day that have one usual value together; divides a day.
    """

    minimum: int = 12
    short: int = 3
    long: int = 48
    slot: int = 1_800

    def __post_init__(self) -> None:
        for name in ("minimum", "short", "long"):
            check_count(f"the stream's {name}", getattr(self, name), 1, MOST_HELD)
        check_count("the stream's slot", self.slot, _LEAST_SLOT, DAY)
        if DAY % self.slot:
            raise ValueError(f"the stream's slot of {self.slot} s does not divide a day")


class SlidingMinimum:
    """The least of the last ``length`` values.

    Attributes:
        length: number of values.
        entries: (row, value) of those that can still become the least; both ascend strictly.
    """

    __slots__ = ("entries", "length")

    def __init__(self, length: int) -> None:
        self.length = length
        self.entries: deque[tuple[int, float]] = deque()

    def push(self, row: int, value: float) -> float:
        """Take the value of the next row, ``row`` counting from 0 without a gap."""
        entries = self.entries
        while entries and entries[-1][1] >= value:
            entries.pop()
        entries.append((row, value))
        if entries[0][0] <= row - self.length:
            entries.popleft()
        return entries[0][1]

    def check(self, n_rows: int) -> None:
        """Raise ``ValueError`` where this cannot be what ``n_rows`` values have led to."""
        rows = [row for row, _ in self.entries]
        values = [value for _, value in self.entries]
        if rows[-1:] != ([n_rows - 1] if n_rows else []):
            raise ValueError("the stream's last rows do not end with its last one")
        if rows and rows[0] < max(n_rows - self.length, 0):
            raise ValueError("the stream's last rows reach too far back")
        if not (_ascends(rows) and _ascends(values)):
            raise ValueError("the stream's last rows are not in order")


class Rhythm:
    """What is usual at each time of a period, and for how long values have departed from it.

    Attributes:
        period, slot: seconds.
        means: of the values in each slot: of all of them at first, then exponentially weighted.
        counts: values of each slot, up to ``VISITS``.
        sign, run: side of the last departure, and for how many rows it has been that.
        holds: the least departure over the last rows of the run, for several numbers of rows.
        records: the largest that each of ``holds`` has been, over its full length.
    """

    __slots__ = ("counts", "holds", "means", "period", "records", "run", "sign", "slot")

    def __init__(self, period: int, slot: int, lengths: tuple[int, ...]) -> None:
        self.period, self.slot = period, slot
        self.means = [0.0] * (period // slot)
        self.counts = [0] * (period // slot)
        self.sign = self.run = 0
        self.holds = [SlidingMinimum(length) for length in lengths]
        self.records = [0.0] * len(lengths)

    def step(self, second: int, value: float, least: float) -> list[float]:
        """Take a value; by how much each hold exceeds its record, as a share of what was seen.

        Args:
            second: since 1970.
            value: finite.
            least: departure to which larger ones are compared where there was none as large.

        Returns:
            One number for each of ``holds``.
        """
        slot = second % self.period // self.slot
        count, mean = self.counts[slot], self.means[slot]
        departure = value - mean if count else 0.0
        if count < VISITS:
            self.counts[slot] = count = count + 1
        # A mean of few or with fixed weights, not a running sum: rounding errors do not add up.
        self.means[slot] = mean + (value - mean) / count
        sign = (departure > 0) - (departure < 0)
        if sign != self.sign:
            self.sign, self.run = sign, 0
            for hold in self.holds:
                hold.entries.clear()
        excesses = [0.0] * len(self.holds)
        if sign == 0:
            return excesses
        run = self.run
        self.run = run + 1
        size = abs(departure)
        for number, hold in enumerate(self.holds):
            held = hold.push(run, size)
            record = self.records[number]
            if held > record and run + 1 >= hold.length:
                excesses[number] = _share(held - record, max(record, least))
                self.records[number] = held
        return excesses

    def check(self) -> None:
        """Raise ``ValueError`` where no series can have led to this."""
        if (self.sign == 0) != (self.run == 0):
            raise ValueError("a departure of the stream has a side and no rows, or rows and none")
        for hold in self.holds:
            hold.check(self.run)
            if hold.entries and hold.entries[0][1] <= 0:
                raise ValueError("a departure of the stream is not positive")


class Column:
    """The state of one column.

    Attributes:
        n_rows: values so far.
        before: the last one.
        ranges: (lowest, highest) so far of the value and of the two minima.
        minimum: of the last rows.
        week, day: departures from what is usual.
    """

    __slots__ = ("before", "day", "minimum", "n_rows", "ranges", "week")

    def __init__(self, settings: Settings) -> None:
        self.n_rows = 0
        self.before = 0.0
        self.ranges = [[0.0, 0.0] for _ in range(N_RANGES)]
        self.minimum = SlidingMinimum(settings.minimum)
        self.week = Rhythm(WEEK, settings.slot, (1, settings.short, settings.long))
        self.day = Rhythm(DAY, settings.slot, (settings.long,))

    @property
    def rhythms(self) -> tuple[Rhythm, Rhythm]:
        return self.week, self.day

    @property
    def queues(self) -> list[SlidingMinimum]:
        return [self.minimum, *self.week.holds, *self.day.holds]

    def step(self, second: int | None, value: float) -> tuple[float, ...]:
        """Take a value.

        Args:
            second: since 1970, or None; then there are no departures.
            value: finite, at most ``LARGEST``.

        Returns:
            The ``SURPRISE_SCORES``: by how much each exceeds what was seen before, as a share of
            that, 0 to ``MOST_EXCESS``.
        """
        row = self.n_rows
        self.n_rows = row + 1
        minimum = self.minimum.push(row, value)
        if row == 0:
            self.ranges = [[value, value] for _ in range(N_RANGES)]
            self.before = value
        lesser = min(value, self.before)
        self.before = value
        whole, of_lesser, of_minimum = self.ranges
        excesses = _extend(whole, value), _extend(of_lesser, lesser), _extend(of_minimum, minimum)
        if second is None:
            return *excesses, 0.0, 0.0, 0.0, 0.0
        least = _LEAST_DEPARTURE * (whole[1] - whole[0])
        week = self.week.step(second, value, least)
        return *excesses, *week, *self.day.step(second, value, least)

    def check(self) -> None:
        """Raise ``ValueError`` where no series can have led to this."""
        if any(low > high for low, high in self.ranges):
            raise ValueError("a range of the stream ends before it begins")
        self.minimum.check(self.n_rows)
        for rhythm in self.rhythms:
            if rhythm.run > self.n_rows:
                raise ValueError("a departure of the stream has lasted longer than the series")
            rhythm.check()


def _extend(bounds: list[float], value: float) -> float:
    """Widen a range to hold the value; by how much, as a share of what it was before."""
    low, high = bounds
    if value > high:
        bounds[1] = value
        return _share(value - high, high - low)
    if value < low:
        bounds[0] = value
        return _share(low - value, high - low)
    return 0.0


def _share(excess: float, seen: float) -> float:
    return min(excess / seen, MOST_EXCESS) if seen > 0 else MOST_EXCESS


def _ascends(numbers: list[Any]) -> bool:
    return all(a < b for a, b in itertools.pairwise(numbers))
