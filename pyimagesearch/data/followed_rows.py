"""Rows of CSV as they come, one by one."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from pyimagesearch.data import csv_text
from pyimagesearch.data.followed_lines import Mark, Source, follow_lines
from pyimagesearch.data.number_format import GROUPING_POINT, parse_number, sign_of
from pyimagesearch.data.series import NOT_A_TIME, SeriesError
from pyimagesearch.data.series_cells import (
    LARGEST,
    finite_numbers,
    listed,
    parse_time,
    shortened,
)
from pyimagesearch.data.series_columns import (
    TRUTH_NAMES,
    Columns,
    Learned,
    parts_of_time,
    take_learned,
)
from pyimagesearch.runtime.console import info

# What nearly all cells are: these are read a hundred times as fast as what it may be otherwise.
_PLAIN_NUMBER = re.compile(r"\s*[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,2})?\s*")
_PLAIN_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.(?:[0-9]{3}){1,2})?)?"
    r"(?:Z|[-+][0-9]{2}:[0-9]{2})?"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PLAIN_YEARS = (1678, 2261)  # both excluded
_MOST_PLAIN = 60  # characters
_REPLACED = "cut off: the file was replaced, or emptied, before the line had an end"


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


class FollowedRows:
    """Rows of CSV, one by one, as they come; arguments as of ``series_csv.read_series``.

    A row is a line: a quote that is not closed costs its own line alone. The first line names the
    columns, or they are those of ``header``. It may come again, and is no row then; a file that
    takes the place of another may also have them in another order, or not have a header: then they
    are as they were.

    Args:
        source: of the bytes.
        timestamp_column, value_columns, learned: which columns are taken.
        header: the first line of what was followed before, for files that go on without one.

    Attributes:
        header: the line that names the columns as they are now; None before there is one.
    """

    def __init__(
        self,
        source: Source,
        timestamp_column: str | None,
        value_columns: Sequence[str] | None,
        learned: Learned,
        header: bytes | None = None,
    ) -> None:
        self._source = source
        self._asked = timestamp_column, value_columns, learned
        self.header = header

    def __iter__(self) -> Iterator[FollowedRow | None]:
        """Read on: the next row, or None where there is none for now.

        Raises:
            SeriesError: there is no header with the columns; or as of ``take_learned``.
        """
        layout: _Layout | None = None
        number, begins = 0, True
        for line in follow_lines(self._source):
            if line is Mark.NOTHING_NOW:
                yield None
                continue
            if line is Mark.NEW_FILE:
                begins = True
                continue
            if layout is None:
                if line is Mark.CUT_OFF:
                    continue
                layout = self._first_layout(line)
                info(f"{self._source.name}: {layout}")
            if begins:
                begins = False
                layout = layout.of_another(line) or layout
                self.header = layout.line
            if isinstance(line, Mark) or line.removeprefix(codecs.BOM_UTF8) != layout.line:
                yield layout.row(line, number)
                number += 1
        if layout is None:
            raise SeriesError("the first line should name the columns")

    def _first_layout(self, line: bytes | Mark) -> _Layout:
        if self.header is not None and not _names_columns(line):
            return _Layout.of_header(self.header, *self._asked)
        if line is Mark.TOO_LONG:
            raise SeriesError(csv_text.LONG_FIRST_LINE)
        return _Layout.of_header(line, *self._asked)


@dataclass(frozen=True)
class _Layout:
    """Where in a line what is.

    Attributes:
        line: the header.
        delimiter: between cells.
        columns: their names.
        time: that of the times, or None.
        values: those of the values.
        time_places, value_places: where these are among the cells; of a date and a time of day that
            were joined, both places, and none where there are no times.
        learned: what a model learned of how they are written.
    """

    line: bytes
    delimiter: str
    columns: list[str]
    time: str | None
    values: tuple[str, ...]
    time_places: tuple[int, ...]
    value_places: tuple[int, ...]
    learned: Learned

    @classmethod
    def of_header(
        cls,
        line: bytes,
        timestamp_column: str | None,
        value_columns: Sequence[str] | None,
        learned: Learned,
    ) -> _Layout:
        """As the first line says; raises as ``follow_rows``."""
        line = line.removeprefix(codecs.BOM_UTF8)
        header = csv_text.parse_header(line)
        if not header.cells or not header.names_columns:
            raise SeriesError("the first line should name the columns")
        columns = _column_names(line, header)
        time, names = take_learned(columns, timestamp_column, value_columns, learned)
        if time is None and parts_of_time(columns, learned.time):
            time = learned.time
        if time is None:
            free = [name for name in columns if name not in (names or ())]
            time = next((n for n in free if n.strip().lower() in csv_text.TIME_NAMES), None)
        if names is None:
            names = [n for n in columns if n != time and n.lower() not in TRUTH_NAMES]
        place = {name: number for number, name in enumerate(columns)}
        times = parts_of_time(columns, time) or (() if time is None else (time,))
        for name in (*names, *times):
            if name not in place:
                raise SeriesError(f"there is no column {name!r}; there are {listed(columns)}")
        time_places = tuple(place[name] for name in times)
        value_places = tuple(place[name] for name in names)
        return cls(
            line,
            header.delimiter,
            columns,
            time,
            tuple(names),
            time_places,
            value_places,
            learned,
        )

    def of_another(self, line: bytes | Mark) -> _Layout | None:
        """As the first line of another file says; None where that does not name the columns."""
        if isinstance(line, Mark):
            return None
        try:
            return self.of_header(line, self.time, self.values, self.learned)
        except SeriesError:
            return None

    def __str__(self) -> str:
        kind = self.learned.times
        kind = f"{kind}, as learned" if kind and self.learned.time else "as they come"
        return str(Columns(self.time, kind, self.values, {}))

    def row(self, line: bytes | Mark, number: int) -> FollowedRow:
        """The row of a line, ``number`` counting from 0."""
        try:
            if line is Mark.TOO_LONG:
                raise SeriesError(csv_text.LONG_LINE)
            if line is Mark.CUT_OFF:
                raise SeriesError(_REPLACED)
            cells = csv_text.split_row(line, self.delimiter)
            if len(cells) > len(self.columns):
                n_columns = len(self.columns)
                raise SeriesError(f"{len(cells):,} cells, and the first line has {n_columns:,}")
        except SeriesError as error:
            time = None if self.time is None else NOT_A_TIME
            nothing = np.full(len(self.values), np.nan)
            return FollowedRow(f"row {number + 1}", time, nothing, str(error))
        cells += [""] * (len(self.columns) - len(cells))
        values = self._numbers([cells[place] for place in self.value_places])
        if not self.time_places:
            return FollowedRow(str(number), None, values)
        text = " ".join(cells[place] for place in self.time_places)
        time = _parse_time(text, self.learned.times)
        if time == NOT_A_TIME:
            when = shortened(text) or f"row {number + 1}"
            return FollowedRow(when, time, values, "its time is unreadable")
        return FollowedRow(text, time, values)

    def _numbers(self, cells: list[str]) -> np.ndarray:
        formats = self.learned.formats_of(self.values)
        return np.array(
            [
                _parse_number(cell, self.delimiter == ",", learned)
                for cell, learned in zip(cells, formats, strict=True)
            ]
        )


def _names_columns(line: bytes | Mark) -> bool:
    """Whether a line is a header, if perhaps not the one that is wanted."""
    try:
        return not isinstance(line, Mark) and csv_text.parse_header(line).names_columns
    except SeriesError:
        return False


def _parse_number(cell: str, comma_separates: bool, learned: str | None) -> float:
    """The number of a cell, NaN where there is none; arguments as of ``read_numbers``."""
    if not cell:
        return np.nan
    number = None
    if len(cell) <= _MOST_PLAIN:
        if learned == GROUPING_POINT or (learned is not None and "," in cell):
            number = parse_number(cell, sign_of(learned))
        if number is None and _PLAIN_NUMBER.fullmatch(cell):
            number = float(cell)
    if number is None:
        import pandas as pd

        return finite_numbers(pd.Series([cell], dtype=str), comma_separates, learned)[0]
    return number if abs(number) < LARGEST else np.nan


def _parse_time(text: str, learned: str | None) -> int:
    """Nanoseconds since 1970 of a cell, ``NOT_A_TIME`` where it holds no time."""
    if _PLAIN_TIME.fullmatch(text):
        try:
            time = datetime.fromisoformat(text)
        except ValueError:
            return NOT_A_TIME
        if _PLAIN_YEARS[0] < time.year < _PLAIN_YEARS[1]:
            after = (time if time.tzinfo else time.replace(tzinfo=UTC)) - _EPOCH
            return ((after.days * 86_400 + after.seconds) * 10**6 + after.microseconds) * 1_000
    return parse_time(text, learned)


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
