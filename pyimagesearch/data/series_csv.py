"""Read series from files as a whole; ``followed_rows`` reads CSV row by row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from pyimagesearch.data.series import Series
from pyimagesearch.data.series_cells import (
    parse_numbers,
)
from pyimagesearch.data.series_columns import (
    NOTHING_LEARNED,
    Learned,
    choose_columns,
)
from pyimagesearch.data.series_files import read_table

if TYPE_CHECKING:  # half a second that labelling images should not pay
    import pandas as pd


def read_series(
    file: BinaryIO,
    timestamp_column: str | None = None,
    value_columns: Sequence[str] | None = None,
    learned: Learned = NOTHING_LEARNED,
) -> Series:
    """Read a series from CSV, Parquet or a sheet: see ``series_files``.

    CSV is separated by commas, semicolons or tabs, with a header or without.

    Args:
        file: open for reading.
        timestamp_column: name of the column with the times (ISO 8601, what pandas can read, or
            seconds, milli-, micro- or nanoseconds since 1970); None looks for one.
        value_columns: names of the columns to judge; None takes all columns of numbers that
            ``series_columns`` finds no reason to leave out.
        learned: by a model: columns to take in place of None, and what decides in doubt.

    Raises:
        SeriesError: not CSV, no such column, or a column of values that are mostly no numbers.
    """
    notes: list[str] = []
    table = read_table(file, notes)
    return series_from_table(table, timestamp_column, value_columns, learned, notes)


def series_from_table(
    table: pd.DataFrame,
    timestamp_column: str | None,
    value_columns: Sequence[str] | None,
    learned: Learned,
    notes: list[str],
) -> Series:
    """Take a series from a table of text that ``series_files.read_table`` read.

    Args:
        table: its ``attrs`` say whether commas separate its columns.
        timestamp_column, value_columns, learned: as of ``read_series``.
        notes: of reading it; more are added.

    Raises:
        SeriesError: as of ``read_series``.
    """
    columns, times = choose_columns(table, timestamp_column, value_columns, learned, notes)
    comma_separates = table.attrs["comma_separates"]
    values, formats = zip(
        *(
            parse_numbers(table[name], name, comma_separates, notes, known)
            for name, known in zip(columns.values, learned.formats_of(columns.values), strict=True)
        ),
        strict=True,
    )
    return Series(
        names=columns.values,
        values=np.stack(values, axis=1),
        times=times,
        time_name=columns.time,
        table=table,
        notes=notes,
        columns=columns,
        number_formats=formats,
    )
