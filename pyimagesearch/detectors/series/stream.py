"""Causal detector for series: one row at a time, constant memory, its state saved and gone on from.

A row is surprising when it extends what has been seen, by a share of what has been seen: the range
of the values or of their minima over the last rows, or the largest departure from what is usual at
this time of the week or day that was ever held for so long.

What was tried, on the Numenta Anomaly Benchmark: docs/methods.md.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import asdict, fields
from operator import mul
from typing import Any, ClassVar

import numpy as np

from pyimagesearch.detectors.array_checks import (
    Array,
    check_count,
    check_networks,
    checked_arrays,
    checked_count,
)
from pyimagesearch.detectors.base import CausalDetector
from pyimagesearch.detectors.series.stream_state import (
    DAY,
    LARGEST,
    MOST_HELD,
    N_RANGES,
    SURPRISE_SCORES,
    VISITS,
    WEEK,
    Column,
    Settings,
    SlidingMinimum,
)

DEFAULT_THRESHOLD = 1.0
# The excess over what has been seen, as a share of it, that is worth a score of 1.
UNITS = (0.01, 0.1, 0.01, 0.1, 0.1, 0.1, 0.1)
_WEIGHTS = tuple(1 / unit for unit in UNITS)
_NOT_A_TIME = np.iinfo(np.int64).min
_NANOSECONDS = 1_000_000_000

# Of the Numenta Anomaly Benchmark: the start of a file, which it does not score.
_WARM_UP_SHARE = 0.15
_MOST_WARM_UP = 750
_REST_SHARE = 0.2  # of the warm-up

_MOST_COLUMNS = 2**16
_MOST_ROWS = 2**62
_N_HOLDS = len(SURPRISE_SCORES) - N_RANGES
_N_QUEUES = 1 + _N_HOLDS  # of a column


class StreamDetector(CausalDetector):
    """The largest of seven surprise scores, then a rest.

    - The value, the minimum of the last two rows, and that of the last 12: how far outside its
      range so far each lies, in shares of that range. A minimum does not rise with a single spike,
      and spikes do not stretch its range.
    - Departures from the mean of this half hour of the week, and of the day, over its last 20
      values: the least of the last 1, 3 or 48 rows, where they are all on one side, against the
      largest such so far. Without timestamps there are none. Times are UTC.

    After a row has scored, lower ones are 0 for ``rest`` rows, so that one event is one alarm. A
    value that is not finite changes nothing, and a row without any other scores 0 and is not
    counted. Of several columns the strangest decides, each compared with its own past only. Nothing
    is forgotten but what is usual at a time: a value once reached is no surprise any more.

    A threshold for a series of one's own: each score above 0 would be an alarm of its own, so that
    ``thresholds.score_for_rate`` on the scores behind the warm-up gives the one that a wanted
    number of alarms per row exceed. It holds for later rows as long as nothing changes, and then
    errs on the quiet side: records become rarer with time. ``DEFAULT_THRESHOLD`` needs
    no training scores.

    Args:
        n_columns: values in a row.
        warm_up: rows at the start that score 0.
        rest: rows for which a score silences lower ones; None takes a fifth of the warm-up, at
            most 65,536.
        settings: what it watches; None takes the defaults.

    Raises:
        ValueError: a number that is out of bounds.
    """

    name = "stream"
    ARRAYS: ClassVar = {
        "ranges": Array(np.float64, ("n_columns", N_RANGES, 2)),
        "before": Array(np.float64, ("n_columns",)),
        "means": Array(np.float64, ("n_columns", "n_slots")),
        "records": Array(np.float64, ("n_columns", _N_HOLDS)),
        "rows": Array(np.int64, ("n_columns",)),
        "counts": Array(np.int64, ("n_columns", "n_slots")),
        "signs": Array(np.int64, ("n_columns", 2)),
        "runs": Array(np.int64, ("n_columns", 2)),
        "queue_sizes": Array(np.int64, ("n_queues",)),
        "queue_rows": Array(np.int64, ("n_entries",), least=0),
        "queue_values": Array(np.float64, ("n_entries",), least=0),
    }

    def __init__(
        self,
        n_columns: int = 1,
        *,
        warm_up: int = _MOST_WARM_UP,
        rest: int | None = None,
        settings: Settings | None = None,
    ) -> None:
        check_count("the stream's n_columns", n_columns, 1, _MOST_COLUMNS)
        check_count("the stream's warm_up", warm_up, 0, _MOST_ROWS)
        if rest is None:
            rest = min(max(int(_REST_SHARE * warm_up), 1), MOST_HELD)
        check_count("the stream's rest", rest, 1, MOST_HELD)
        self.warm_up, self.rest = warm_up, rest
        self.settings = settings or Settings()
        self._n_rows = 0
        self._columns = [Column(self.settings) for _ in range(n_columns)]
        self._negated = SlidingMinimum(rest)  # of the rows' strength
        self._highest = 0.0  # strength in the last ``rest`` rows

    @classmethod
    def fit(
        cls,
        timestamps: np.ndarray | None,
        values: np.ndarray,
        *,
        warm_up: int | None = None,
        settings: Settings | None = None,
    ) -> StreamDetector:
        """Go through a training series; the rows that follow it go on from there.

        A new detector with the same warm-up that is given the series by ``update`` comes to the
        same state, and gives the scores.

        Args:
            timestamps, values: as of ``update``.
            warm_up: None takes ``default_warm_up``.
            settings: what to watch.
        """
        warm_up = default_warm_up(len(values)) if warm_up is None else warm_up
        n_columns = 1 if np.ndim(values) == 1 else np.shape(values)[1]
        detector = cls(n_columns, warm_up=warm_up, settings=settings)
        detector.update(timestamps, values)
        return detector

    def update(self, timestamps: np.ndarray | None, values: np.ndarray) -> np.ndarray:
        """Score the next rows. How rows are distributed over calls makes no difference.

        Args:
            timestamps: (n,) datetime64, or int64 nanoseconds since 1970 (UTC); None where rows
                have no time. A row whose time is none (NaT) has no departures.
            values: (n, n_columns) float, or (n,) of one column.

        Returns:
            (n,) float64, not negative; most are 0.

        Raises:
            ValueError: another number of columns or of timestamps, or another type of these.
        """
        rows = self._rows(timestamps, values)
        scores = [self._row_score(self._surprise_scores(second, row)) for second, row in rows]
        return np.array(scores, np.float64)

    def explain(
        self, timestamps: np.ndarray | None, values: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Score the next rows as ``update`` does, and show what each score is made of.

        Args:
            timestamps, values: as of ``update``.

        Returns:
            (n,) float64, the scores; and (n, n_columns, 7) float64, the ``SURPRISE_SCORES`` before
            they are divided by their ``UNITS``, NaN where there is no value.
        """
        scores, found = [], []
        for second, row in self._rows(timestamps, values):
            surprises = self._surprise_scores(second, row)
            scores.append(self._row_score(surprises))
            found.append([excesses or (np.nan,) * len(SURPRISE_SCORES) for excesses in surprises])
        shape = (len(found), self.n_columns, len(SURPRISE_SCORES))
        return np.array(scores, np.float64), np.array(found, np.float64).reshape(shape)

    @property
    def n_columns(self) -> int:
        """Values in a row."""
        return len(self._columns)

    def _rows(
        self, timestamps: np.ndarray | None, values: np.ndarray
    ) -> Iterable[tuple[int | None, list[float]]]:
        """Whole seconds (or None) and values (NaN where not finite) of each row."""
        values = np.asarray(values, np.float64)
        values = values[:, None] if values.ndim == 1 else values
        if values.ndim != 2 or values.shape[1] != self.n_columns:
            raise ValueError(f"values of shape {values.shape} for {self.n_columns} columns")
        usable = np.where(np.isfinite(values), np.clip(values, -LARGEST, LARGEST), np.nan)
        return zip(_seconds(timestamps, len(values)), usable.tolist(), strict=True)

    def _surprise_scores(
        self, second: int | None, row: list[float]
    ) -> list[tuple[float, ...] | None]:
        """Pass a row to the columns: the surprise scores of each, None where it has no value."""
        return [
            column.step(second, value) if value == value else None
            for column, value in zip(self._columns, row, strict=True)
        ]

    def _row_score(self, surprises: list[tuple[float, ...] | None]) -> float:
        """The score of a row: 0 while it warms up or rests."""
        strengths = [max(map(mul, excesses, _WEIGHTS)) for excesses in surprises if excesses]
        if not strengths:
            return 0.0
        strength, highest, row = max(strengths), self._highest, self._n_rows
        self._highest = -self._negated.push(row, -strength)
        self._n_rows = row + 1
        return strength if strength > highest and row >= self.warm_up else 0.0

    def parameters(self) -> dict[str, Any]:
        return {
            "n_columns": self.n_columns,
            "warm_up": self.warm_up,
            "rest": self.rest,
            "n_rows": self._n_rows,
            "settings": asdict(self.settings),
        }

    def arrays(self) -> dict[str, np.ndarray]:
        columns, queues = self._columns, self._queues
        entries = [entry for queue in queues for entry in queue.entries]

        def of_rhythms(attribute: str) -> list[list[Any]]:
            return [
                [item for rhythm in column.rhythms for item in getattr(rhythm, attribute)]
                for column in columns
            ]

        found = {
            "ranges": [column.ranges for column in columns],
            "before": [column.before for column in columns],
            "means": of_rhythms("means"),
            "records": of_rhythms("records"),
            "rows": [column.n_rows for column in columns],
            "counts": of_rhythms("counts"),
            "signs": [[rhythm.sign for rhythm in column.rhythms] for column in columns],
            "runs": [[rhythm.run for rhythm in column.rhythms] for column in columns],
            "queue_sizes": [len(queue.entries) for queue in queues],
            "queue_rows": [row for row, _ in entries],
            "queue_values": [value for _, value in entries],
        }
        return {name: np.array(found[name], own.dtype) for name, own in self.ARRAYS.items()}

    @classmethod
    def restore(
        cls,
        parameters: dict[str, Any],
        arrays: dict[str, np.ndarray],
        networks: dict[str, bytes],
    ) -> StreamDetector:
        """Make the detector again from what a model file holds; it goes on bit for bit.

        Raises:
            ValueError: something is missing, or is what no series can have led to.
        """
        check_networks(networks)
        described = parameters.get("settings")
        names = {field.name for field in fields(Settings)}
        if not isinstance(described, dict) or described.keys() != names:
            raise ValueError(f"the stream's settings are {described!r}")
        settings = Settings(**described)
        n_columns = checked_count(parameters, "n_columns", 1, _MOST_COLUMNS)
        rest = checked_count(parameters, "rest", 1, MOST_HELD)
        found = _checked_state(n_columns, settings, arrays)
        warm_up = checked_count(parameters, "warm_up", 0, _MOST_ROWS)
        detector = cls(n_columns, warm_up=warm_up, rest=rest, settings=settings)
        detector._take_over(checked_count(parameters, "n_rows", 0, _MOST_ROWS), found)
        return detector

    def _take_over(self, n_rows: int, arrays: dict[str, np.ndarray]) -> None:
        """Go on from a state, and check that it fits together."""
        if (arrays["rows"] > n_rows).any():
            raise ValueError("a column of the stream has more rows than there were")
        state = {name: arrays[name].tolist() for name in self.ARRAYS}
        self._n_rows = n_rows
        for number, column in enumerate(self._columns):
            column.n_rows = state["rows"][number]
            column.before = state["before"][number]
            column.ranges = state["ranges"][number]
            slot = hold = 0
            for place, rhythm in enumerate(column.rhythms):
                slots = slice(slot, slot + len(rhythm.means))
                holds = slice(hold, hold + len(rhythm.holds))
                slot, hold = slots.stop, holds.stop
                rhythm.means = state["means"][number][slots]
                rhythm.counts = state["counts"][number][slots]
                rhythm.records = state["records"][number][holds]
                rhythm.sign = state["signs"][number][place]
                rhythm.run = state["runs"][number][place]
        entries = iter(zip(state["queue_rows"], state["queue_values"], strict=True))
        for queue, size in zip(self._queues, state["queue_sizes"], strict=True):
            if size > queue.length:
                raise ValueError("the stream's last rows are too many")
            queue.entries = deque(next(entries) for _ in range(size))
        for column in self._columns:
            column.check()
        self._negated.check(n_rows)
        self._highest = -self._negated.entries[0][1] if n_rows else 0.0
        if n_rows and self._negated.entries[-1][1] > 0:
            raise ValueError("a strength of the stream is negative")

    @property
    def _queues(self) -> list[SlidingMinimum]:
        return [self._negated, *(queue for column in self._columns for queue in column.queues)]


def default_warm_up(n_rows: int) -> int:
    """15% of the training rows and at most 750, as the Numenta Anomaly Benchmark has it."""
    return min(int(_WARM_UP_SHARE * n_rows), _MOST_WARM_UP)


def _seconds(timestamps: np.ndarray | None, n_rows: int) -> list[int | None]:
    """Whole seconds since 1970 of each row, None where it has no time."""
    if timestamps is None:
        return [None] * n_rows
    times = np.asarray(timestamps)
    if times.dtype.kind == "M":
        times = times.astype("datetime64[ns]").astype(np.int64)
    if times.dtype != np.int64 or times.shape != (n_rows,):
        raise ValueError(f"timestamps of shape {times.shape}, {times.dtype} for {n_rows} rows")
    seconds: list[int | None] = (times // _NANOSECONDS).tolist()
    for row in np.flatnonzero(times == _NOT_A_TIME):
        seconds[row] = None
    return seconds


def _checked_state(
    n_columns: int, settings: Settings, arrays: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Check types, shapes and single numbers; how they fit together is checked in use."""
    lengths = {
        "n_columns": n_columns,
        "n_slots": WEEK // settings.slot + DAY // settings.slot,
        "n_queues": 1 + n_columns * _N_QUEUES,
    }
    found = checked_arrays(arrays, StreamDetector.ARRAYS, lengths)
    for name, array in found.items():
        bounds = (-2 * LARGEST, 2 * LARGEST) if array.dtype == np.float64 else (0, _MOST_ROWS)
        least, most = {"signs": (-1, 1), "counts": (0, VISITS)}.get(name, bounds)
        if not ((array >= least) & (array <= most)).all():
            raise ValueError(f"its array {name!r} is out of bounds")
    if (found["records"] < 0).any():
        raise ValueError("a record of the stream is negative")
    if found["queue_sizes"].sum(dtype=object) != len(found["queue_rows"]):
        raise ValueError("the stream's last rows are not as many as it says")
    return found
