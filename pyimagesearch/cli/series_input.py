"""Read a series that a command line names, and warn of what had to be done with its rows."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from pyimagesearch.data.series import Grid, Series, SeriesError
from pyimagesearch.data.series_collection import (
    FolderContent,
    SeriesCollection,
    has_series_name,
    list_series,
    read_groups,
)
from pyimagesearch.data.series_columns import NOTHING_LEARNED, Learned
from pyimagesearch.data.series_csv import read_series
from pyimagesearch.runtime import packages
from pyimagesearch.runtime.console import STDIN, UserError, counted, info, printable, warn
from pyimagesearch.runtime.input_files import open_input


def is_series(path: str) -> bool:
    """Whether a dataset is a series: a file with an extension of one, or - for stdin."""
    return path == STDIN or (not os.path.isdir(path) and has_series_name(path))


def is_folder_of_series(path: str, chosen: bool | None) -> bool:
    """Whether a dataset is a folder of series, and not one of images.

    Tables are the usual company of images: where a folder holds both, it is one of images, unless
    there are more series.

    Args:
        path: of the dataset.
        chosen: whether the command line asks for a method of series; None where it leaves that
            open.

    Raises:
        UserError: it may be either, and nothing says which.
        OSError: it cannot be listed.
    """
    if not os.path.isdir(path) or chosen is False:
        return False
    found = FolderContent.of_folder(path)
    if chosen:
        return found.n_series > 0 or not found.n_images
    if found.n_images and found.n_series > found.n_images:
        raise UserError(
            f"{printable(path)}: it holds {counted(found.n_images, 'image')} (such as "
            f"{printable(found.image)}) and {found.n_series:,} series (such as "
            f"{printable(found.series)}): --method nearest-window learns the series, --method "
            "memory-bank the images"
        )
    return found.n_series > 0 and not found.n_images


def open_collection(path: str, group_by: str | None) -> SeriesCollection:
    """List many series, which are yet to be read; say how many they are.

    Args:
        path: of a folder; or of a table, - for stdin.
        group_by: the column of the table that says which series a row is of; None for a folder.

    Raises:
        UserError: there are none, or the table is not usable.
        OSError: it cannot be read.
    """
    if group_by is None:
        with _explained(printable(path)):
            import pandas  # noqa: F401  # once, and not in every worker

            found = list_series(path)
        info(f"{printable(path)}: {counted(len(found.names), 'series', 'series')}")
        return found
    notes: list[str] = []
    name = "stdin" if path == STDIN else printable(path)
    with _explained(name), _opened(path) as file:
        groups = read_groups(file, group_by, notes)
    info(f"{name}: {counted(len(groups.names), 'series', 'series')} by {printable(group_by)!r}")
    for note in notes:
        warn(f"{name}: {note}")
    return groups


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
    with _explained(name):
        with _opened(path) as file:
            series = read_series(file, timestamp_column, value_columns, learned)
        grid = series.grid()
    info(f"{name}: {series.columns}")
    for note in (*series.notes, *grid.notes):
        warn(f"{name}: {note}")
    return series, grid


@contextlib.contextmanager
def _opened(path: str) -> Iterator[BinaryIO]:
    if path == STDIN:
        yield sys.stdin.buffer
    else:
        with open_input(path) as file:
            yield file


@contextlib.contextmanager
def _explained(name: str) -> Iterator[None]:
    """Turn what is wrong with a dataset into an error that names it."""
    try:
        yield
    except SeriesError as error:
        raise UserError(f"{name}: {error}") from error
    except OSError as error:  # what fails while it is read does not say where
        raise OSError(error.errno, error.strerror, error.filename or name) from error
    except ImportError as error:
        raise UserError(
            f"series need the package pandas ({error}): {packages.install_line('series')}"
        ) from error
