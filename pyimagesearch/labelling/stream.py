"""The labelling half for rows that come one by one: verdicts, and gaps between the rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pyimagesearch.data.csv_text import MAX_LINE
from pyimagesearch.data.followed_rows import FollowedRow
from pyimagesearch.data.series import NOT_A_TIME, Series
from pyimagesearch.detectors import model_file
from pyimagesearch.detectors.array_checks import check_count
from pyimagesearch.labelling.series import SeriesLabeller
from pyimagesearch.labelling.verdict import ANOMALY, LABELS, NORMAL, UNREADABLE

_SECOND = 10**9  # nanoseconds
_DAY = 86_400 * _SECOND
_LATEST = 2**63 - 1
LAST_ROW = "last_row"  # of a manifest
_LEARNED_UNTIL = "learned_until"


@dataclass(frozen=True)
class RowVerdict:
    """What a model finds about one row.

    Attributes:
        row: its number from 0.
        time: as it is written, or that number.
        label: ``NORMAL``, ``ANOMALY`` or ``UNREADABLE``.
        score, p_value: None if unreadable.
        reason: why it is unreadable.
    """

    row: int
    time: str
    label: str
    score: float | None = None
    p_value: float | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Gap:
    """That no row came, or none of these times; or that rows come again.

    Attributes:
        start: time of the last row before, as it is written; empty where there was none.
        end: time of the first row behind; None while none has come.
        seconds: how long it has lasted: between the times of the two rows, where these are further
            apart than it took for the second one to come.
    """

    start: str
    end: str | None
    seconds: float


class Order:
    """Whether rows that come follow each other in time.

    One row, or several of one time, more than a day ahead of its time makes no later row late.

    Attributes:
        last: time of the last row that was taken, in nanoseconds since 1970; or None.
        before: the last time before that one, or None.
        header: the line that names the columns of what is followed, or None.
    """

    def __init__(
        self, last: int | None = None, before: int | None = None, header: bytes | None = None
    ) -> None:
        self.last, self.before, self.header = last, before, header
        self._seen = self._seen_until()

    @classmethod
    def from_manifest(cls, manifest: Mapping[str, Any]) -> Order:
        """Where a saved state left off.

        Args:
            manifest: of a model file, which may say anything.

        Raises:
            ModelFileError: it says no times.
        """
        with model_file.usable():
            described = manifest.get(LAST_ROW)
            if described is None:
                return cls()
            if not isinstance(described, dict):
                raise ValueError(f"its last row is {described!r}")
            times = [described.get(name) for name in ("time", "time_before")]
            header = described.get("header")
            if not (header is None or (isinstance(header, str) and len(header) <= MAX_LINE)):
                raise ValueError("the names of its columns are not text")
            return cls(
                *(None if time is None else _checked_time(time) for time in times),
                header=None if header is None else header.encode("utf-8", "replace"),
            )

    @classmethod
    def after(cls, times: np.ndarray | None) -> Order:
        """Behind rows of (n,) times in whatever order, ``NOT_A_TIME`` where there is none."""
        known = [] if times is None else np.unique(times[times != NOT_A_TIME])[-2:].tolist()
        return cls(*reversed(known))

    def described(self) -> dict[str, Any]:
        """What a manifest says of it: see ``from_manifest``."""
        header = None if self.header is None else self.header.decode("utf-8", "replace")
        return {LAST_ROW: {"time": self.last, "time_before": self.before, "header": header}}

    def _seen_until(self) -> int | None:
        if self.last is None or self.before is None or self.last - self.before <= _DAY:
            return self.last
        return self.before

    @property
    def seen(self) -> int | None:
        """The time up to which it had taken rows when it was made, or None."""
        return self._seen

    def has_seen(self, time: int) -> bool:
        """Whether a row had been taken already when this was made."""
        return self._seen is not None and time <= self._seen

    def takes(self, time: int) -> bool:
        """Whether a row is no earlier than those before; if so, the next one is compared with it.

        Args:
            time: in nanoseconds since 1970.
        """
        if self.last is None or time > self.last:
            self.before, self.last = self.last, time
        elif time < self.last:
            if self.last - time <= _DAY or (self.before is not None and time < self.before):
                return False
            self.last = time
        return True


def described_end(series: Series) -> dict[str, Any]:
    """What a manifest says of the end of a series that was learned: see ``learned_until``."""
    until = Order.after(series.times).seen
    return {} if until is None else {_LEARNED_UNTIL: until}


def learned_until(manifest: Mapping[str, Any]) -> int | None:
    """The time up to which a model has learned, in nanoseconds since 1970; or None.

    Rows before it may be followed all the same, since they may be of another series.

    Raises:
        ModelFileError: the manifest, which may say anything, says no time.
    """
    until = manifest.get(_LEARNED_UNTIL)
    with model_file.usable():
        return None if until is None else _checked_time(until)


def shown_time(time: int) -> str:
    """A time in nanoseconds since 1970 (UTC) for a message, to the second."""
    return str(np.datetime64(time, "ns").astype("datetime64[s]")).replace("T", " ")


def _checked_time(time: Any) -> int:
    return check_count("the time of its last row", time, -_LATEST, _LATEST)


class Follower:
    """Judges rows one by one; its detector changes with each.

    Args:
        labeller: a model whose detector scores rows as they come.
        threshold: above which a score is an anomaly.
        order: where the rows before have left off.

    Attributes:
        counts: rows of each label.
        n_skipped: rows that the order had seen already.
        last: time of the last row that was judged, as it is written; empty before.

    Raises:
        ValueError: the detector does not score rows as they come, see ``SeriesLabeller.causal``.
    """

    def __init__(
        self, labeller: SeriesLabeller, threshold: float, order: Order | None = None
    ) -> None:
        if labeller.causal is None:
            name = labeller.detector.name
            raise ValueError(f"a detector {name!r} does not score rows as they come")
        self._labeller, self._detector = labeller, labeller.causal
        self._threshold = threshold
        self.order = order or Order()
        self.counts = dict.fromkeys(LABELS, 0)
        self.n_skipped = 0
        self.last = ""
        self._number = 0
        self._p_value_of_zero: float | None = None

    def judge(self, row: FollowedRow) -> RowVerdict | None:
        """The verdict on the next row; None where it has been judged before.

        A row that cannot be read, without any number, without its time or earlier than the one
        before (see ``Order``) is unreadable.

        Raises:
            SeriesError: it has another number of columns than the model learned.
        """
        self._labeller.check_columns(len(row.values))
        number = self._number
        self._number += 1
        if row.problem is None and row.time is not None and self.order.has_seen(row.time):
            self.n_skipped += 1
            return None
        verdict = self._verdict(number, row)
        self.counts[verdict.label] += 1
        if verdict.label != UNREADABLE:
            self.last = row.when
        return verdict

    def _verdict(self, number: int, row: FollowedRow) -> RowVerdict:
        def unreadable(reason: str) -> RowVerdict:
            return RowVerdict(number, row.when, UNREADABLE, reason=reason)

        if row.problem:
            return unreadable(row.problem)
        is_empty = np.isnan(row.values).all()
        if is_empty or not (row.time is None or self.order.takes(row.time)):
            return unreadable("no number, or earlier than the row before")
        times = None if row.time is None else np.array([row.time])
        score = self._detector.update(times, row.values[None])
        if not np.isfinite(score[0]):
            return unreadable("the model finds no finite score for it")
        label = ANOMALY if score[0] > self._threshold else NORMAL
        return RowVerdict(number, row.when, label, float(score[0]), self._p_value(score[0]))

    def _p_value(self, score: float) -> float:
        if score == 0 and self._p_value_of_zero is not None:  # as of nearly all rows
            return self._p_value_of_zero
        p_value = float(self._labeller.p_values(np.array([score]))[0])
        if score == 0:
            self._p_value_of_zero = p_value
        return p_value


class GapWatch:
    """Finds out that no row comes, or that the times of two are far apart.

    Args:
        seconds: after which it is a gap.
        now: seconds of a clock.
        last: time of the last row, as it is written, where there has been one.
        time: the same in nanoseconds since 1970, where rows have times.
    """

    def __init__(self, seconds: float, now: float, last: str = "", time: int | None = None) -> None:
        self._seconds, self._came = seconds, now
        self._last, self._time = last, time
        self._is_open = False

    def wait(self, now: float) -> list[Gap]:
        """There is no row now: the beginning of a gap, where there has been none for so long."""
        waited = now - self._came
        if self._is_open or waited < self._seconds:
            return []
        self._is_open = True
        return [Gap(self._last, None, waited)]

    def take(self, when: str, time: int | None, now: float) -> list[Gap]:
        """A row has come: what of a gap is between it and the one before, its end last."""
        waited, apart = now - self._came, 0.0
        if time is not None and self._time is not None:
            apart = (time - self._time) / _SECOND
        lasted = max(waited, apart)
        found = []
        if not self._is_open and lasted >= self._seconds:
            found.append(Gap(self._last, None, lasted))
        if found or self._is_open:
            found.append(Gap(self._last, when, lasted))
        self._is_open = False
        self._came, self._last, self._time = now, when, time
        return found
