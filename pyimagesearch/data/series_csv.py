"""Read series from CSV files: which column holds the times, which hold numbers, what is neither."""

from __future__ import annotations

import codecs
import io
import itertools
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from pyimagesearch.data import csv_text
from pyimagesearch.data.csv_text import is_number
from pyimagesearch.data.series import NOT_A_TIME, Series, SeriesError
from pyimagesearch.runtime.console import counted

if TYPE_CHECKING:  # half a second that labelling images should not pay
    import pandas as pd

LARGEST = 1e100  # of a number, so that its square is finite, too
# A column of times and columns of values, to be taken where the user names none.
Preferred = tuple[str | None, Sequence[str]]
_TIME_NAMES = ("timestamp", "time", "datetime", "date", "ds")
_TRUTH_NAMES = ("label", "is_anomaly", "anomaly")
_NO_NUMBER = ("", "nan", "na", "n/a", "null", "none")
_DECIMAL_COMMA = r"^(\s*[-+]?\d*),(\d+\s*)$"
_TOO_MANY_BAD = 0.5
_LATEST = 9_200_000_000_000_000_000  # nanoseconds around 1970: the years 1678 to 2261
_NANOSECONDS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_NO_TIMES = ("now", "today")  # which pandas takes for the time of the clock
_MOST_TRIED = 100  # columns that might hold times
_SHOWN_CHARACTERS = 60  # of a cell
_SHOWN_NAMES = 10  # of columns


def read_series(
    file: BinaryIO,
    timestamp_column: str | None = None,
    value_columns: Sequence[str] | None = None,
    preferred: Preferred = (None, ()),
) -> Series:
    """Read a series from CSV, separated by commas, semicolons or tabs, with a header or without.

    Args:
        file: open for reading.
        timestamp_column: name of the column with the times (ISO 8601, what pandas can read, or
            seconds, milli-, micro- or nanoseconds since 1970); None looks for one.
        value_columns: names of the columns to judge; None takes all columns of numbers, but not
            those called label, anomaly or is_anomaly.
        preferred: columns to take in place of None, where the file has them: such as those that a
            model learned.

    Raises:
        SeriesError: not CSV, no such column, or a column of values that are mostly no numbers.
    """
    table = _read_table(file)
    notes: list[str] = []
    timestamp_column, value_columns = choose_columns(
        list(table.columns), timestamp_column, value_columns, preferred
    )
    time_name = _find_time(table, timestamp_column, value_columns)
    times = None if time_name is None else _parse_times(table[time_name], time_name, notes)
    names = _find_values(table, time_name, value_columns, notes)
    decimal_comma = table.attrs["decimal_comma"]
    columns = [_parse_numbers(table[name], name, decimal_comma, notes) for name in names]
    values = np.stack(columns, axis=1)
    return Series(tuple(names), values, times, time_name, table, notes)


def choose_columns(
    columns: Sequence[str],
    timestamp_column: str | None,
    value_columns: Sequence[str] | None,
    preferred: Preferred,
) -> tuple[str | None, Sequence[str] | None]:
    """Take the preferred columns, where none were asked for and they are there."""
    if timestamp_column is None and preferred[0] in columns:
        timestamp_column = preferred[0]
    if value_columns is None and preferred[1] and set(preferred[1]) <= set(columns):
        value_columns = preferred[1]
    return timestamp_column, value_columns


@dataclass(frozen=True)
class FollowedRow:
    """A row as it came.

    Attributes:
        when: its time as it is written, or its number from 0.
        time: the same in nanoseconds since 1970; None without a column of times, ``NOT_A_TIME``
            where it cannot be read.
        values: (n_columns,) float64, NaN where there is no number.
        problem: why it cannot be read at all, or None.
    """

    when: str
    time: int | None
    values: np.ndarray
    problem: str | None = None


def follow_rows(
    file: BinaryIO,
    timestamp_column: str | None,
    value_columns: Sequence[str] | None,
    preferred: Preferred,
) -> Iterator[FollowedRow]:
    """Read rows of CSV one by one, as they come; arguments as of ``read_series``.

    A row is a line: a quote that is not closed costs its own line alone.

    Raises:
        SeriesError: there is no header with the columns.
    """
    import pandas as pd

    lines = csv_text.read_lines(file)
    first = next(lines, b"")
    if first is None:
        raise SeriesError(csv_text.LONG_FIRST_LINE)
    first = first.removeprefix(codecs.BOM_UTF8)
    header = csv_text.parse_header(first)
    if not header.cells or not header.names_columns:
        raise SeriesError("the first line should name the columns")
    columns = _column_names(first, header)
    time_name, names = choose_columns(columns, timestamp_column, value_columns, preferred)
    if names is None:
        named = [name for name in columns if name.strip().lower() in _TIME_NAMES]
        time_name = time_name or (named[0] if named else None)
        names = [n for n in columns if n != time_name and n.lower() not in _TRUTH_NAMES]
    place = {name: number for number, name in enumerate(columns)}
    for name in (*names, *filter(None, [time_name])):
        if name not in place:
            raise SeriesError(f"there is no column {name!r}; there are {_listed(columns)}")
    value_indices = [place[name] for name in names]
    time_index = None if time_name is None else place[time_name]
    decimal_comma = _has_decimal_comma(header.delimiter)
    for number, line in enumerate(lines):
        try:
            if line is None:
                raise SeriesError(csv_text.LONG_LINE)
            cells = csv_text.split_row(line, header.delimiter)
            if len(cells) > len(columns):
                raise SeriesError(f"{len(cells):,} cells, and the first line has {len(columns):,}")
        except SeriesError as error:
            time = None if time_index is None else NOT_A_TIME
            nothing = np.full(len(names), np.nan)
            yield FollowedRow(f"row {number + 1}", time, nothing, str(error))
            continue
        cells += [""] * (len(columns) - len(cells))
        own = pd.Series([cells[i] for i in value_indices], dtype=str)
        values = _finite_numbers(own, decimal_comma)
        if time_index is None:
            yield FollowedRow(str(number), None, values)
        else:
            text = cells[time_index]
            time = _nanoseconds(text)
            if time == NOT_A_TIME:
                when = _shortened(text) or f"row {number + 1}"
                yield FollowedRow(when, time, values, "its time is unreadable")
            else:
                yield FollowedRow(text, time, values)


def _column_names(line: bytes, header: csv_text.Header) -> list[str]:
    """Names of columns as ``read_series`` gives them: one for each, also where some are equal."""
    import pandas as pd

    try:
        table = pd.read_csv(
            io.BytesIO(line),
            sep=header.delimiter,
            nrows=0,
            encoding_errors="replace",
            index_col=False,
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise SeriesError(f"its first line is not CSV: {str(error).strip()}") from error
    return list(map(str, table.columns))


def _nanoseconds(text: str) -> int:
    import pandas as pd

    try:
        return int(_parse_times(pd.Series([text]), "", [])[0])
    except SeriesError:
        return NOT_A_TIME


def _has_decimal_comma(delimiter: str) -> bool:
    """Where commas do not separate, they may be decimal."""
    return delimiter != ","


def _read_table(file: BinaryIO) -> pd.DataFrame:
    import pandas as pd

    text = csv_text.LimitedText(file)
    delimiter, has_header = text.header.delimiter, text.header.names_columns
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the header
            table = pd.read_csv(
                text,
                sep=delimiter,
                header=0 if has_header else None,
                dtype=str,
                na_filter=False,
                encoding_errors="replace",
                index_col=False,
            )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, pd.errors.ParserWarning) as error:
        raise SeriesError(f"not CSV: {str(error).strip()}") from error
    if not has_header:
        table.columns = [f"column_{number}" for number in range(1, table.shape[1] + 1)]
    if not len(table):
        raise SeriesError("there is a header and no row below it")
    table.attrs["decimal_comma"] = _has_decimal_comma(delimiter)
    return table


def _find_time(
    table: pd.DataFrame, asked: str | None, value_columns: Sequence[str] | None
) -> str | None:
    columns = list(table.columns)
    if asked is not None:
        if asked not in columns:
            raise SeriesError(f"there is no column {asked!r}; there are {_listed(columns)}")
        return asked
    values = set(value_columns or ())
    free = [name for name in columns if name not in values]
    named = [name for name in free if name.strip().lower() in _TIME_NAMES]
    text = (name for name in free if not any(map(is_number, _sample(table[name]))))
    found = named or [
        name for name in itertools.islice(text, _MOST_TRIED) if _looks_like_time(table[name])
    ]
    if len(found) > 1:
        raise SeriesError(
            f"the columns {_listed(found)} all look like times: name one with --timestamp-column"
        )
    return found[0] if found else None


def _looks_like_time(cells: pd.Series) -> bool:
    return bool(_to_times(_sample(cells)).notna().mean() > _TOO_MANY_BAD)


def _sample(cells: pd.Series) -> pd.Series:
    return cells.iloc[:20]


def _to_times(cells: pd.Series) -> pd.Series:
    import pandas as pd

    cells = cells.mask(cells.isin(_NO_TIMES), "")
    times = pd.to_datetime(cells, utc=True, errors="coerce", format="ISO8601")
    if times.isna().mean() > _TOO_MANY_BAD:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it looks at each cell, and at unknown zones
            # With dots between, the day comes first: 24.12.2026.
            day_first = bool(cells.str.match(r"\s*\d{1,2}\.\d").any())
            times = pd.to_datetime(cells, utc=True, errors="coerce", dayfirst=day_first)
    return times


def _parse_times(cells: pd.Series, name: str, notes: list[str]) -> np.ndarray:
    import pandas as pd

    numbers = pd.to_numeric(cells, errors="coerce").to_numpy(float)
    finite = np.abs(numbers) < LARGEST
    if finite.mean() > _TOO_MANY_BAD:
        # Seconds since 1970 have 10 digits until the year 2286; each finer unit has three more.
        finer = np.searchsorted([1e11, 1e14, 1e17], np.median(np.abs(numbers[finite])))
        times = np.where(finite, numbers, 0.0) * 1e9 / 1000.0**finer
        bad = ~finite | (np.abs(times) > _LATEST)
        times = np.where(bad, NOT_A_TIME, np.where(bad, 0.0, times).astype(np.int64))
    else:
        parsed = _to_times(cells).dt.tz_localize(None).to_numpy()
        unit = _NANOSECONDS[np.datetime_data(parsed.dtype)[0]]
        counts = parsed.astype(np.int64)
        # Years such as 1 or 9999, which stand for no time at all; so does NaT.
        bad = (counts < -(_LATEST // unit)) | (counts > _LATEST // unit)
        if bad.mean() > _TOO_MANY_BAD:
            raise SeriesError(
                f"the column {name!r} holds no times: {_cell(cells, int(np.argmax(bad)))}"
            )
        times = np.where(bad, NOT_A_TIME, np.where(bad, 0, counts) * unit)
    if bad.any():
        row = int(np.argmax(bad))
        notes.append(f"{counted(int(bad.sum()), 'time')} unreadable, first {_cell(cells, row)}")
    return times


def _find_values(
    table: pd.DataFrame, time_name: str | None, asked: Sequence[str] | None, notes: list[str]
) -> list[str]:
    columns = [name for name in table.columns if name != time_name]
    if asked is not None:
        unknown = set(asked) - set(columns)
        for name in asked:
            if name in unknown:
                raise SeriesError(
                    f"there is no column {name!r} of values; there are {_listed(columns)}"
                )
        return list(dict.fromkeys(asked))
    numeric: list[str] = []
    other: list[str] = []
    for name in columns:
        is_truth = name.strip().lower() in _TRUTH_NAMES
        is_known = not is_truth and _has_number(table[name], table.attrs["decimal_comma"])
        (numeric if is_known else other).append(name)
    if not numeric:
        raise SeriesError(
            f"none of the columns {_listed(list(table.columns))} holds numbers to judge"
        )
    if other:
        notes.append(f"not judged: the columns {_listed(other)}")
    return numeric


def _has_number(cells: pd.Series, decimal_comma: bool) -> bool:
    # Nearly always the first rows tell.
    return any(
        bool(np.isfinite(_numbers(some, decimal_comma)).any()) for some in (_sample(cells), cells)
    )


def _numbers(cells: pd.Series, decimal_comma: bool) -> np.ndarray:
    import pandas as pd

    if decimal_comma:
        cells = cells.str.replace(_DECIMAL_COMMA, r"\1.\2", regex=True)
    return pd.to_numeric(cells, errors="coerce").to_numpy(float, copy=True)


def _finite_numbers(cells: pd.Series, decimal_comma: bool) -> np.ndarray:
    """The numbers of cells, NaN where there is none below ``LARGEST``."""
    numbers = _numbers(cells, decimal_comma)
    numbers[~(np.abs(numbers) < LARGEST)] = np.nan
    return numbers


def _parse_numbers(
    cells: pd.Series, name: str, decimal_comma: bool, notes: list[str]
) -> np.ndarray:
    numbers = _finite_numbers(cells, decimal_comma)
    name = _shortened(name)
    text = np.isnan(numbers)
    if text.any():
        text[text] = ~cells[text].str.strip().str.lower().isin(_NO_NUMBER).to_numpy(bool)
    if text.any():
        first = _cell(cells, int(np.argmax(text)))
        if text.mean() > _TOO_MANY_BAD:
            raise SeriesError(f"the column {name!r} holds no numbers: {first}")
        notes.append(f"{counted(int(text.sum()), 'cell')} of {name!r} not a number, first {first}")
    if np.isnan(numbers).all():
        raise SeriesError(f"the column {name!r} has no number at all")
    return numbers


def _cell(cells: pd.Series, row: int) -> str:
    return f"{_shortened(str(cells.iloc[row]))!r} in row {row + 1}"


def _shortened(text: str) -> str:
    return text[:_SHOWN_CHARACTERS]


def _listed(names: Sequence[str]) -> str:
    shown = [repr(_shortened(str(name))) for name in names[:_SHOWN_NAMES]]
    return ", ".join(shown) + (", ..." if len(names) > _SHOWN_NAMES else "")
