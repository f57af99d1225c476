"""Read series from CSV files: which column holds the times, which hold numbers, what is neither."""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from pyimagesearch.data.series import NOT_A_TIME, Series, SeriesError
from pyimagesearch.runtime.console import counted

if TYPE_CHECKING:  # half a second that labelling images should not pay
    import pandas as pd

MAX_CELLS = 200_000_000
LARGEST = 1e100  # of a number, so that its square is finite, too
# A column of times and columns of values, to be taken where the user names none.
Preferred = tuple[str | None, Sequence[str]]
_TIME_NAMES = ("timestamp", "time", "datetime", "date", "ds")
_TRUTH_NAMES = ("label", "is_anomaly", "anomaly")
_NO_NUMBER = ("", "nan", "na", "n/a", "null", "none")
_DECIMAL_COMMA = r"^(\s*[-+]?\d*),(\d+\s*)$"
_TOO_MANY_BAD = 0.5
_LATEST = 9.2e18  # nanoseconds since 1970 that fit into 64 bits: the year 2261
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


def follow_rows(
    file: BinaryIO,
    timestamp_column: str | None,
    value_columns: Sequence[str] | None,
    preferred: Preferred,
) -> Iterator[tuple[str, int | None, np.ndarray]]:
    """Read rows of CSV one by one, as they come; arguments as of ``read_series``.

    Yields:
        The time as it is written (or the row's number from 0); the same in nanoseconds since 1970
        (None without a column of times, ``NOT_A_TIME`` where it cannot be read); and the values,
        (n_columns,) float64, NaN where there is no number.

    Raises:
        SeriesError: there is no header with the columns.
    """
    first = file.readline().decode("utf-8-sig", "replace").rstrip("\r\n")
    delimiter = _delimiter(first)
    columns = next(csv.reader([first], delimiter=delimiter), [])
    if not columns or any(map(_is_number, columns)):
        raise SeriesError("the first line should name the columns")
    time_name, names = choose_columns(columns, timestamp_column, value_columns, preferred)
    if names is None:
        named = [name for name in columns if name.strip().lower() in _TIME_NAMES]
        time_name = time_name or (named[0] if named else None)
        names = [n for n in columns if n != time_name and n.lower() not in _TRUTH_NAMES]
    for name in (*names, *filter(None, [time_name])):
        if name not in columns:
            raise SeriesError(f"there is no column {name!r}; there are {_listed(columns)}")
    value_indices = [columns.index(name) for name in names]
    time_index = None if time_name is None else columns.index(time_name)
    lines = (line.decode("utf-8", "replace") for line in iter(file.readline, b""))
    for number, cells in enumerate(csv.reader(lines, delimiter=delimiter)):
        values = np.array([_number(cells[i]) if i < len(cells) else np.nan for i in value_indices])
        if time_index is None:
            yield str(number), None, values
        else:
            text = cells[time_index] if time_index < len(cells) else ""
            yield text, _nanoseconds(text), values


def _number(text: str) -> float:
    number = float(text) if _is_number(text) else np.nan
    return number if abs(number) < LARGEST else np.nan


def _nanoseconds(text: str) -> int:
    import pandas as pd

    try:
        return int(_parse_times(pd.Series([text]), "", [])[0])
    except SeriesError:
        return NOT_A_TIME


def _delimiter(header: str) -> str:
    return max(",;\t", key=header.count)


def _read_table(file: BinaryIO) -> pd.DataFrame:
    import pandas as pd

    head = file.read(65_536)
    if b"\0" in head:
        raise SeriesError("this is a binary file, not CSV")
    try:
        first = head.decode("utf-8-sig", "replace").splitlines()[0]
    except IndexError:
        raise SeriesError("the file is empty") from None
    delimiter = _delimiter(first)
    fields = next(csv.reader([first], delimiter=delimiter), [])
    has_header = not any(_is_number(field) for field in fields)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the header
            table = pd.read_csv(
                _Rejoined(head, file),
                sep=delimiter,
                header=0 if has_header else None,
                dtype=str,
                na_filter=False,
                encoding="utf-8-sig",
                encoding_errors="replace",
                index_col=False,
            )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, pd.errors.ParserWarning) as error:
        raise SeriesError(f"not CSV: {str(error).strip()}") from error
    if table.size > MAX_CELLS:
        raise SeriesError(f"{table.size:,} cells are more than {MAX_CELLS:,}")
    if not has_header:
        table.columns = [f"column_{number}" for number in range(1, table.shape[1] + 1)]
    if not len(table):
        raise SeriesError("there is a header and no row below it")
    # Where commas do not separate, they may be decimal.
    table.attrs["decimal_comma"] = delimiter != ","
    return table


class _Rejoined(io.RawIOBase):
    """A file whose beginning was read already, and is read once more."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        self._head, self._rest = io.BytesIO(head), rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        data = self._head.read(len(buffer)) or self._rest.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _find_time(
    table: pd.DataFrame, asked: str | None, value_columns: Sequence[str] | None
) -> str | None:
    columns = list(table.columns)
    if asked is not None:
        if asked not in columns:
            raise SeriesError(f"there is no column {asked!r}; there are {_listed(columns)}")
        return asked
    free = [name for name in columns if name not in (value_columns or ())]
    named = [name for name in free if name.strip().lower() in _TIME_NAMES]
    found = named or [name for name in free if _looks_like_time(table[name])]
    if len(found) > 1:
        raise SeriesError(
            f"the columns {_listed(found)} all look like times: name one with --timestamp-column"
        )
    return found[0] if found else None


def _looks_like_time(cells: pd.Series) -> bool:
    some = cells.iloc[:20]
    if any(_is_number(cell) for cell in some):
        return False
    return bool(_to_times(some).notna().mean() > _TOO_MANY_BAD)


def _to_times(cells: pd.Series) -> pd.Series:
    import pandas as pd

    times = pd.to_datetime(cells, utc=True, errors="coerce", format="ISO8601")
    if times.isna().mean() > _TOO_MANY_BAD:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that it looks at each cell
            # With dots between, the day comes first: 24.12.2026.
            day_first = bool(cells.str.match(r"\s*\d{1,2}\.\d").any())
            times = pd.to_datetime(cells, utc=True, errors="coerce", dayfirst=day_first)
    return times


def _parse_times(cells: pd.Series, name: str, notes: list[str]) -> np.ndarray:
    import pandas as pd

    numbers = pd.to_numeric(cells, errors="coerce").to_numpy(float)
    finite = np.isfinite(numbers)
    if finite.mean() > _TOO_MANY_BAD:
        # Seconds since 1970 have 10 digits until the year 2286; each finer unit has three more.
        finer = np.searchsorted([1e11, 1e14, 1e17], np.median(np.abs(numbers[finite])))
        times = np.where(finite, numbers, 0.0) * 1e9 / 1000.0**finer
        bad = ~finite | (np.abs(times) > _LATEST)
        times = np.where(bad, NOT_A_TIME, np.where(bad, 0.0, times).astype(np.int64))
    else:
        parsed = _to_times(cells)
        bad = parsed.isna().to_numpy()
        if bad.mean() > _TOO_MANY_BAD:
            raise SeriesError(
                f"the column {name!r} holds no times: {_cell(cells, int(np.argmax(bad)))}"
            )
        times = parsed.dt.as_unit("ns").astype("int64").to_numpy()
        times = np.where(bad, NOT_A_TIME, times)
    if bad.any():
        row = int(np.argmax(bad))
        notes.append(f"{counted(int(bad.sum()), 'time')} unreadable, first {_cell(cells, row)}")
    return times


def _find_values(
    table: pd.DataFrame, time_name: str | None, asked: Sequence[str] | None, notes: list[str]
) -> list[str]:
    columns = [name for name in table.columns if name != time_name]
    if asked is not None:
        for name in asked:
            if name not in columns:
                raise SeriesError(
                    f"there is no column {name!r} of values; there are {_listed(columns)}"
                )
        return list(dict.fromkeys(asked))
    numeric: list[str] = []
    other: list[str] = []
    for name in columns:
        known = np.isfinite(_numbers(table[name], table.attrs["decimal_comma"])).any()
        is_truth = name.strip().lower() in _TRUTH_NAMES
        (numeric if known and not is_truth else other).append(name)
    if not numeric:
        raise SeriesError(
            f"none of the columns {_listed(list(table.columns))} holds numbers to judge"
        )
    if other:
        notes.append(f"not judged: the columns {_listed(other)}")
    return numeric


def _numbers(cells: pd.Series, decimal_comma: bool) -> np.ndarray:
    import pandas as pd

    if decimal_comma:
        cells = cells.str.replace(_DECIMAL_COMMA, r"\1.\2", regex=True)
    return pd.to_numeric(cells, errors="coerce").to_numpy(float, copy=True)


def _parse_numbers(
    cells: pd.Series, name: str, decimal_comma: bool, notes: list[str]
) -> np.ndarray:
    numbers = _numbers(cells, decimal_comma)
    numbers[~(np.abs(numbers) < LARGEST)] = np.nan
    missing = cells.str.strip().str.lower().isin(_NO_NUMBER)
    text = np.isnan(numbers) & ~missing.to_numpy(bool)
    if text.any():
        first = _cell(cells, int(np.argmax(text)))
        if text.mean() > _TOO_MANY_BAD:
            raise SeriesError(f"the column {name!r} holds no numbers: {first}")
        notes.append(f"{counted(int(text.sum()), 'cell')} of {name!r} not a number, first {first}")
    if np.isnan(numbers).all():
        raise SeriesError(f"the column {name!r} has no number at all")
    return numbers


def _cell(cells: pd.Series, row: int) -> str:
    return f"{str(cells.iloc[row])[:_SHOWN_CHARACTERS]!r} in row {row + 1}"


def _listed(names: Sequence[str]) -> str:
    shown = [repr(str(name)[:_SHOWN_CHARACTERS]) for name in names[:_SHOWN_NAMES]]
    return ", ".join(shown) + (", ..." if len(names) > _SHOWN_NAMES else "")
