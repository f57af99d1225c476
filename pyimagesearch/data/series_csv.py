"""Read series: files as a whole, and CSV row by row as it comes."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from pyimagesearch.data import csv_text
from pyimagesearch.data.series import NOT_A_TIME, Series, SeriesError
from pyimagesearch.data.series_cells import (
    finite_numbers,
    listed,
    parse_numbers,
    parse_time,
    shortened,
)
from pyimagesearch.data.series_columns import (
    TRUTH_NAMES,
    Columns,
    Learned,
    choose_columns,
    take_learned,
)
from pyimagesearch.data.series_files import read_table
from pyimagesearch.runtime.console import info


def read_series(
    file: BinaryIO,
    timestamp_column: str | None = None,
    value_columns: Sequence[str] | None = None,
    learned: Learned = (None, ()),
) -> Series:
    """Read a series from CSV, Parquet or a sheet: see ``series_files``.

    CSV is separated by commas, semicolons or tabs, with a header or without.

    Args:
        file: open for reading.
        timestamp_column: name of the column with the times (ISO 8601, what pandas can read, or
            seconds, milli-, micro- or nanoseconds since 1970); None looks for one.
        value_columns: names of the columns to judge; None takes all columns of numbers that
            ``series_columns`` finds no reason to leave out.
        learned: columns to take in place of None: those that a model learned.

    Raises:
        SeriesError: not CSV, no such column, or a column of values that are mostly no numbers.
    """
    notes: list[str] = []
    table = read_table(file, notes)
    columns, times = choose_columns(table, timestamp_column, value_columns, learned, notes)
    comma_separates = table.attrs["comma_separates"]
    values = [parse_numbers(table[name], name, comma_separates, notes) for name in columns.values]
    return Series(
        columns.values, np.stack(values, axis=1), times, columns.time, table, notes, columns
    )


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
    learned: Learned,
) -> Iterator[FollowedRow]:
    """Read rows of CSV one by one, as they come; arguments as of ``read_series``.

    A row is a line: a quote that is not closed costs its own line alone.

    Raises:
        SeriesError: there is no header with the columns; or as of ``take_learned``.
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
    time_name, names = take_learned(columns, timestamp_column, value_columns, learned)
    if time_name is None:
        free = [name for name in columns if name not in (names or ())]
        time_name = next((n for n in free if n.strip().lower() in csv_text.TIME_NAMES), None)
    if names is None:
        names = [n for n in columns if n != time_name and n.lower() not in TRUTH_NAMES]
    place = {name: number for number, name in enumerate(columns)}
    for name in (*names, *filter(None, [time_name])):
        if name not in place:
            raise SeriesError(f"there is no column {name!r}; there are {listed(columns)}")
    info(f"stdin: {Columns(time_name, 'as they come', tuple(names), {})}")
    value_indices = [place[name] for name in names]
    time_index = None if time_name is None else place[time_name]
    comma_separates = header.delimiter == ","
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
        values = finite_numbers(own, comma_separates)
        if time_index is None:
            yield FollowedRow(str(number), None, values)
        else:
            text = cells[time_index]
            time = parse_time(text)
            if time == NOT_A_TIME:
                when = shortened(text) or f"row {number + 1}"
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
