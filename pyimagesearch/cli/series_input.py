"""Read a series that a command line names, and warn of what had to be done with its rows."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence

from pyimagesearch.data.series import Grid, Series, SeriesError
from pyimagesearch.data.series_columns import NOTHING_LEARNED, Learned
from pyimagesearch.data.series_csv import read_series
from pyimagesearch.data.series_files import EXTENSIONS
from pyimagesearch.runtime.console import STDIN, UserError, info, printable, warn
from pyimagesearch.runtime.input_files import open_input


def is_series(path: str) -> bool:
    """Whether a dataset is a series: a file with an extension of one, or - for stdin."""
    return path == STDIN or (not os.path.isdir(path) and path.lower().endswith(EXTENSIONS))


def open_series(
    path: str,
    timestamp_column: str | None,
    value_columns: Sequence[str] | None,
    learned: Learned = NOTHING_LEARNED,
) -> tuple[Series, Grid]:
    """Read a series and put it on a grid; say what was taken and done.

    Args:
        path: of a file; - reads stdin.
        timestamp_column, value_columns, learned: see ``series_csv.read_series``.

    Raises:
        UserError: it is no usable series.
        OSError: it cannot be read.
    """
    name = "stdin" if path == STDIN else printable(path)
    try:
        with contextlib.ExitStack() as stack:
            file = sys.stdin.buffer if path == STDIN else stack.enter_context(open_input(path))
            series = read_series(file, timestamp_column, value_columns, learned)
        grid = series.grid()
    except SeriesError as error:
        raise UserError(f"{name}: {error}") from error
    except OSError as error:  # what fails while it is read does not say where
        raise OSError(error.errno, error.strerror, name) from error
    except ImportError as error:
        raise UserError(f"series need the package pandas ({error}): pip install pandas") from error
    info(f"{name}: {series.columns}")
    for note in (*series.notes, *grid.notes):
        warn(f"{name}: {note}")
    return series, grid
