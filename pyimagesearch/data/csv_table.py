"""A table of CSV, read whole as text."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, BinaryIO

from pyimagesearch.data import csv_text
from pyimagesearch.data.series import SeriesError

if TYPE_CHECKING:  # half a second that labelling images should not pay
    import pandas as pd


def read_csv(file: BinaryIO) -> pd.DataFrame:
    """Read CSV within the limits of ``csv_text``.

    Args:
        file: open for reading.

    Returns:
        (n_rows, n_columns) text. Its ``attrs`` say whether commas separate its columns.

    Raises:
        SeriesError: it is no CSV, or beyond a limit.
        OSError: it cannot be read.
    """
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
        table.columns = csv_text.names_without_header(table.shape[1])
    if not len(table):
        raise SeriesError("there is a header and no row below it")
    table.attrs["comma_separates"] = delimiter == ","
    return table
