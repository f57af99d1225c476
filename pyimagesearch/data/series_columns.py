"""Which columns of a series are its times and its values, and which are neither.

Without a name for it from the command line or a model, the names of columns and the numbers in them
decide. What is left out has a reason; docs/series.md has the table of them.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pyimagesearch.data.csv_text import TIME_NAMES
from pyimagesearch.data.series import NOT_A_TIME, SeriesError
from pyimagesearch.data.series_cells import (
    EPOCH_LIMITS,
    EPOCH_UNITS,
    TOO_MANY_BAD,
    finite_numbers,
    is_text,
    listed,
    looks_like_time,
    parse_times,
    sample,
    shortened,
)

if TYPE_CHECKING:  # half a second that labelling images should not pay
    import pandas as pd

TRUTH_NAMES = ("label", "is_anomaly", "anomaly")
_UNNAMED = re.compile(r"\s*|Unnamed: \d+|index|level_0")  # as pandas calls an index in a file
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_IDENTIFIERS = ("id", "uid", "uuid", "guid")  # the last word of a name
_MOST_TRIED = 100  # columns that might hold dates
_LEAST_COUNTED = 10  # rows: fewer numbers may be in order by chance
_SECONDS = (631_152_000, 4_102_444_800)  # since 1970: the years 1990 to 2100
_SECOND = 1e9  # nanoseconds
_WIDEST_ZONE = 14 * 3600 * _SECOND
_OFF_STEP = 0.1  # of the usual step
_REGULAR = 0.9  # of the steps are usual ones
_COUNTS, _IDENTIFIES, _INDEX = "counts the rows", "an identifier", "an index"
_NO_NUMBERS, _EMPTY, _TRUTH = "no numbers", "empty", "says what is an anomaly"
_TIMES, _SAME_TIMES = "times, too", "the same times"
_PART = "part of the times"
_CLOCK = re.compile(r"\s*\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?(\s*[ap]\.?m\.?)?\s*", re.IGNORECASE)
_NOT_ASKED, _NOT_LEARNED = "not asked for", "not learned"
_SHOWN_REASONS = 10


class Learned(NamedTuple):
    """What a model learned of the columns; nothing where there is no model.

    Attributes:
        time: the column with the times, or None.
        values: those with the values; of those that are asked for in their place, each has the
            format of the one of its number.
        times: what the times were read as, or None.
        number_formats: of each column of values one of the ``NUMBER_FORMATS``, or None; empty
            where nothing is known.
    """

    time: str | None = None
    values: Sequence[str] = ()
    times: str | None = None
    number_formats: Sequence[str | None] = ()

    def formats_of(self, names: Sequence[str]) -> Sequence[str | None]:
        """The format of each column of values, where it is known."""
        fits = len(self.number_formats) == len(names)
        return self.number_formats if fits else [None] * len(names)


NOTHING_LEARNED = Learned()


@dataclass(frozen=True)
class Columns:
    """What the columns of a file were taken for.

    Attributes:
        time: the column with the times, or None.
        time_kind: what its cells were read as, such as "ISO 8601, as UTC".
        values: the columns with the values.
        left_out: the reason for each of the others.
    """

    time: str | None
    time_kind: str
    values: tuple[str, ...]
    left_out: dict[str, str]

    def __str__(self) -> str:
        """One line for whoever gave no options."""
        times = "no times" if self.time is None else f"times from {self._time}"
        text = f"{times}, values from {listed(self.values)}"
        if self.left_out:
            shown = itertools.islice(self.left_out.items(), _SHOWN_REASONS)
            reasons = [f"{shortened(name)!r} ({reason})" for name, reason in shown]
            n_more = len(self.left_out) - len(reasons)
            text += f"; left out: {', '.join(reasons)}" + (f" and {n_more:,} more" * bool(n_more))
        return f"{text}; --timestamp-column and --value-column take others"

    def described(self) -> dict[str, Any]:
        """What a model file says of them, next to their names."""
        return {"times": self.time_kind or None, "columns_left_out": self.left_out}

    @property
    def _time(self) -> str:
        return f"{shortened(str(self.time))!r} ({self.time_kind})"


def take_learned(
    columns: Sequence[str],
    timestamp_column: str | None,
    value_columns: Sequence[str] | None,
    learned: Learned,
) -> tuple[str | None, Sequence[str] | None]:
    """Take the columns that a model learned where the command line names none, in its order.

    Args:
        columns: of the file.
        timestamp_column, value_columns: that were asked for, or None.
        learned: by the model.

    Raises:
        SeriesError: a column of values that the model learned is not there.
    """
    if timestamp_column is None and learned.time in columns:
        timestamp_column = learned.time
    if value_columns is None and learned.values:
        there = set(columns)
        missing = [name for name in learned.values if name not in there]
        if missing:
            raise SeriesError(
                f"the model learned the values {listed(learned.values)}, and the columns are "
                f"{listed(columns)}: {listed(missing)} missing. --value-column names those that "
                "mean the same"
            )
        value_columns = learned.values
    return timestamp_column, value_columns


def choose_columns(
    table: pd.DataFrame,
    timestamp_column: str | None,
    value_columns: Sequence[str] | None,
    learned: Learned,
    notes: list[str],
) -> tuple[Columns, np.ndarray | None]:
    """Find out what the columns of a file hold.

    Args:
        table: (n_rows, n_columns) text.
        timestamp_column, value_columns: that were asked for, or None.
        learned: see ``take_learned``.
        notes: a sentence is added for what is in doubt.

    Returns:
        The columns, and (n_rows,) int64, the times, see ``parse_times``; None without any.

    Raises:
        SeriesError: a column is not there, several look like times, or none holds values.
    """
    names = list(table.columns)
    reason = _NOT_ASKED if value_columns is not None else _NOT_LEARNED
    time, values = take_learned(names, timestamp_column, value_columns, learned)
    if time is not None and time not in names:
        raise SeriesError(f"there is no column {time!r}; there are {listed(names)}")
    left_out: dict[str, str] = {}
    parts = _join_date_and_clock(table, values or ()) if time is None else ()
    if parts:
        time = table.columns[-1]
    if time is None or values is None:
        time = _find_time(table, time, values, left_out)
    left_out |= dict.fromkeys(parts, _PART)
    parsed = (None, "") if time is None else parse_times(table[time], time, notes, learned.times)
    free = [name for name in names if name != time]
    if values is None:
        for name in free:
            if name not in left_out and (why := _why_no_value(name, table[name], table.attrs)):
                left_out[name] = why
        found = tuple(name for name in free if name not in left_out)
        if not found:
            reasons = ", ".join(
                f"{shortened(name)!r} ({why})"
                for name, why in itertools.islice(left_out.items(), _SHOWN_REASONS)
            )
            raise SeriesError(
                f"none of the columns {listed(names)} holds numbers to judge"
                + (f": {reasons}" if reasons else "")
                + "; --value-column takes one all the same"
            )
        if time is None:
            notes += _doubts(table, found)
    else:
        for name in values:
            if name not in free:
                raise SeriesError(
                    f"there is no column {name!r} of values; there are {listed(free)}"
                )
        found = tuple(dict.fromkeys(values))
        left_out = dict.fromkeys((name for name in free if name not in set(found)), reason)
    left_out = {name: left_out[name] for name in free if name in left_out}
    return Columns(time, parsed[1], found, left_out), parsed[0]


def _find_time(
    table: pd.DataFrame,
    asked: str | None,
    values: Sequence[str] | None,
    left_out: dict[str, str],
) -> str | None:
    """The column with the times: by its name, else by its dates, else by its numbers.

    Args:
        table: of the file.
        asked: the column that was asked for, if any; the others that hold times are still noted.
        values: those that are taken for values, if any.
        left_out: the other columns that hold times are added.

    Raises:
        SeriesError: several columns hold times, and not the same ones.
    """
    taken = {asked, *(values or ())}
    free = [name for name in table.columns if name not in taken]
    named = [name for name in free if name.strip().lower() in TIME_NAMES]
    text = _text_columns(table, taken)
    dates = [name for name in text[:_MOST_TRIED] if looks_like_time(table[name])]
    of_numbers = sorted(set(free) - set(text), key=free.index)
    epochs = [name for name in of_numbers if _epoch_unit(table[name], table.attrs)]
    found = ([asked] if asked is not None else []) or named or dates or epochs
    left_out |= dict.fromkeys((*dates, *epochs), _TIMES)
    if not found:
        return None
    first, *others = found
    same = [name for name in of_numbers if _epoch_unit(table[name], table.attrs, regular=False)]
    if others or same:
        times = parse_times(table[first], first, [])[0]
        same = [name for name in (*others, *same) if _same_times(times, table[name], name)]
    if not set(others) <= set(same):
        raise SeriesError(
            f"the columns {listed(found)} all look like times: name one with --timestamp-column"
        )
    left_out |= dict.fromkeys(same, _SAME_TIMES)
    left_out.pop(first, None)
    return first


def _text_columns(table: pd.DataFrame, taken: Collection[str | None]) -> list[str]:
    """The columns, but for those that are taken, whose first cells hold no numbers."""
    comma_separates = table.attrs["comma_separates"]
    return [
        name
        for name in table.columns
        if name not in taken
        and not np.isfinite(finite_numbers(sample(table[name]), comma_separates)).any()
    ]


def _join_date_and_clock(table: pd.DataFrame, values: Sequence[str]) -> tuple[str, ...]:
    """Add a column of times, where one column has the date and one the time of day.

    Args:
        table: of the file; the column is added as its last.
        values: columns that are taken for values.

    Returns:
        The names of both, or nothing where it is not so.
    """
    dates, clocks = [], []
    for name in _text_columns(table, values)[:_MOST_TRIED]:
        some = [cell for cell in sample(table[name]).tolist() if cell.strip()]
        if some and np.mean([bool(_CLOCK.fullmatch(cell)) for cell in some]) >= _REGULAR:
            clocks.append(name)
        elif not any(":" in cell for cell in some) and looks_like_time(table[name]):
            dates.append(name)
    if len(dates) != 1 or len(clocks) != 1:
        return ()
    (date,), (clock,) = dates, clocks
    joined = f"{date} {clock}"
    if joined in table.columns:
        return ()
    table[joined] = table[date] + " " + table[clock]
    return date, clock


def parts_of_time(columns: Sequence[str], time: str | None) -> tuple[str, ...]:
    """The columns with the date and the time of day that were joined to the times.

    Args:
        columns: of a file.
        time: the column with the times, or None.

    Returns:
        Both names; nothing where it is a column of the file, or no two are joined to it.
    """
    if time is None or time in columns:
        return ()
    dates = (name for name in columns if time.startswith(f"{name} "))
    pairs = ((name, time.removeprefix(f"{name} ")) for name in dates)
    return next((pair for pair in pairs if pair[1] in columns), ())


def _same_times(times: np.ndarray, cells: pd.Series, name: str) -> bool:
    """Whether a column holds the same times as (n_rows,) others, but for the zone and a second."""
    try:
        others = parse_times(cells, name, [])[0]
    except SeriesError:
        return False
    known = (times != NOT_A_TIME) & (others != NOT_A_TIME)
    apart = times[known].astype(float) - others[known]
    if known.mean() <= TOO_MANY_BAD or np.abs(apart).max() > _WIDEST_ZONE:
        return False
    return bool(np.ptp(apart) <= _SECOND)


def _why_no_value(name: str, cells: pd.Series, attributes: dict) -> str | None:
    """Why a column is not judged; None where it holds values.

    A quantity that is measured may be whole, unique and rise all the time, as a meter does. So a
    column counts only where its numbers leave nothing to be measured (each follows from the row's
    number, or they are those of the rows in another order), or where its name says so.
    """
    if name.strip().lower() in TRUTH_NAMES:
        return _TRUTH
    comma_separates = attributes["comma_separates"]
    numbers = finite_numbers(cells, comma_separates)
    finite = np.isfinite(numbers)
    text = is_text(cells, numbers)
    if not finite.any():
        return _NO_NUMBERS if text.any() else _EMPTY
    if text.mean() > TOO_MANY_BAD:
        return _NO_NUMBERS
    if not finite.all() or len(numbers) < _LEAST_COUNTED:
        return None
    if _rises_evenly(numbers) or _renumbers_rows(numbers):
        return _INDEX if _UNNAMED.fullmatch(name) else _COUNTS
    if not (numbers == np.rint(numbers)).all():
        return None
    # An index with gaps, or one that begins again where files were joined.
    if _UNNAMED.fullmatch(name) and (np.diff(numbers) == 1).mean() > TOO_MANY_BAD:
        return _INDEX
    words = _WORD.findall(name)
    return _IDENTIFIES if words and words[-1].lower() in _IDENTIFIERS else None


def _rises_evenly(numbers: np.ndarray) -> bool:
    """Whether a straight line that is not level goes through all of (n,) numbers."""
    step = (numbers[-1] - numbers[0]) / (len(numbers) - 1)
    line = numbers[0] + step * np.arange(len(numbers))
    rounding = 1e-6 * abs(step) + 1e-12 * np.abs(numbers).max()
    return bool(step) and bool((np.abs(numbers - line) <= rounding).all())


def _renumbers_rows(numbers: np.ndarray) -> bool:
    """Whether (n,) numbers are n whole ones that follow each other, in whatever order."""
    if np.ptp(numbers) != len(numbers) - 1:
        return False
    return bool((np.diff(np.sort(numbers)) == 1).all())


def _epoch_unit(cells: pd.Series, attributes: dict, regular: bool = True) -> str | None:
    """The unit of times since 1970, where the numbers of a column can be nothing else.

    They lie in the years 1990 to 2100 and rise from row to row, nine times of ten by the same step:
    a meter that happens to have as many digits does not.

    Args:
        cells: (n_rows,) text.
        attributes: of the table.
        regular: whether the steps must be as said.
    """
    for some in (sample(cells), cells):
        numbers = finite_numbers(some, attributes["comma_separates"])
        numbers = numbers[np.isfinite(numbers)]
        if len(numbers) < 3:
            return None
        finer = int(np.searchsorted(EPOCH_LIMITS, np.median(np.abs(numbers))))
        seconds = numbers / 1000.0**finer
        plausible = (seconds >= _SECONDS[0]) & (seconds <= _SECONDS[1])
        steps = np.diff(seconds[plausible])
        apart = steps[steps > 0]
        # What counts down, or a constant, has no time; some rows may be doubled or out of order.
        if plausible.mean() < _REGULAR or len(apart) < _REGULAR * len(steps) or not len(apart):
            return None
    near = np.abs(apart / np.median(apart) - 1) <= _OFF_STEP
    return EPOCH_UNITS[finer] if near.mean() >= _REGULAR or not regular else None


def _doubts(table: pd.DataFrame, values: Sequence[str]) -> list[str]:
    """A sentence where there are no times, and values could be some."""
    for name in values:
        if unit := _epoch_unit(table[name], table.attrs, regular=False):
            return [
                f"{shortened(name)!r} could be {unit} since 1970, but not at regular steps: taken "
                "for a value; --timestamp-column takes it for the times"
            ]
    return []
