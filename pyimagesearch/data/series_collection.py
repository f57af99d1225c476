"""Many series: the files of a folder, or the groups of rows of one long table."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Protocol

import numpy as np

from pyimagesearch.data.file_listing import walk_files
from pyimagesearch.data.image_folder import OtherFiles
from pyimagesearch.data.images import has_image_name
from pyimagesearch.data.series import Grid, Series, SeriesError
from pyimagesearch.data.series_cells import listed
from pyimagesearch.data.series_columns import NOTHING_LEARNED, Learned
from pyimagesearch.data.series_csv import read_series, series_from_table
from pyimagesearch.data.series_files import EXTENSIONS, read_table
from pyimagesearch.runtime.console import UserError, counted, printable, warn
from pyimagesearch.runtime.input_files import open_input
from pyimagesearch.runtime.system import with_slashes

if TYPE_CHECKING:  # half a second that labelling images should not pay
    import pandas as pd

_NOTES = (".txt", ".txt.gz")  # may be notes, where other files are series


@dataclass(frozen=True)
class SeriesSource:
    """One of many series, which is yet to be read; picklable.

    Attributes:
        name: that no other one of them has.
        path: of its file; or None.
        table: its rows as text, as of ``series_files.read_table``; or None.
    """

    name: str
    path: str | None = None
    table: pd.DataFrame | None = None

    def read(
        self,
        timestamp_column: str | None,
        value_columns: Sequence[str] | None,
        learned: Learned = NOTHING_LEARNED,
    ) -> tuple[Series, Grid]:
        """Read it; arguments as of ``series_csv.read_series``.

        Raises:
            SeriesError: it is no usable series.
            OSError: its file cannot be read.
        """
        if self.path is None:
            series = series_from_table(self.table, timestamp_column, value_columns, learned, [])
        else:
            with open_input(self.path) as file:
                series = read_series(file, timestamp_column, value_columns, learned)
        return series, series.grid()


class SeriesCollection(Protocol):
    """Many series that can be read one by one."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the series, in the collection's order."""

    def sources(self, names: Iterable[str]) -> Iterator[SeriesSource]:
        """The series of some names, taken only as fast as they are needed."""


@dataclass(frozen=True)
class SeriesFolder:
    """The files of series in a folder.

    Attributes:
        paths: by the names of the series.
    """

    paths: Mapping[str, str]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.paths)

    def sources(self, names: Iterable[str]) -> Iterator[SeriesSource]:
        return (SeriesSource(name, self.paths[name]) for name in names)


def list_series(folder: str) -> SeriesFolder:
    """List the files of series below a folder; each is called as it is, without its ending.

    Text files (``.txt``) next to other files of series are notes, and left out with a warning.

    Args:
        folder: as the user typed it.

    Raises:
        UserError: there are none, or two of one name.
        OSError: it cannot be listed.
    """
    others = OtherFiles()
    paths = list(walk_files(folder, has_series_name, others.add))
    if not paths:
        raise UserError(f"{printable(folder)}: no series in this folder{others.instead}")
    kept = [path for path in paths if not path.lower().endswith(_NOTES)] or paths
    if n_left := len(paths) - len(kept):
        names = "1 file of text is" if n_left == 1 else f"{n_left:,} files of text are"
        warn(f"{printable(folder)}: {names} no series, where others are, and left out")
    found: dict[str, str] = {}
    for path in kept:
        name = _without_ending(with_slashes(os.path.relpath(path, folder)))
        if name in found:
            raise UserError(
                f"{printable(path)} and {printable(found[name])} would both be the series "
                f"{printable(name)}: rename one of them"
            )
        found[name] = path
    return SeriesFolder(found)


def has_series_name(path: str) -> bool:
    """Whether a file's name has the extension of a series."""
    return path.lower().endswith(EXTENSIONS)


def _without_ending(path: str) -> str:
    """A name without its extension; of a folder that cannot be listed, the whole name."""
    endings = sorted(EXTENSIONS, key=len, reverse=True)
    ending = next((ending for ending in endings if path.lower().endswith(ending)), "")
    return path[: len(path) - len(ending)]


@dataclass(frozen=True)
class FolderContent:
    """How many files a folder holds that could be learned from.

    Attributes:
        n_images, n_series: of each kind; text next to images is no series.
        image, series: one of each, or None.
    """

    n_images: int
    n_series: int
    image: str | None
    series: str | None

    @classmethod
    def of_folder(cls, folder: str) -> FolderContent:
        """Count the files below a folder; raises ``OSError`` where it cannot be listed."""
        paths: dict[bool, list[str]] = {True: [], False: []}
        for path in walk_files(folder, lambda name: has_image_name(name) or has_series_name(name)):
            paths[has_image_name(path)].append(path)
        images, series = paths[True], [path for path in paths[False] if has_series_name(path)]
        if images:
            series = [path for path in series if not path.lower().endswith(_NOTES)]
        return cls(len(images), len(series), next(iter(images), None), next(iter(series), None))


@dataclass(frozen=True)
class GroupedTable:
    """One long table, whose rows are of many series.

    Attributes:
        names: of the series, in the order in which they come in the table.
        table: of text, as of ``series_files.read_table``, without the column with the names, and
            with the rows of each series one behind the other.
        rows: (first, end) row of each series.
    """

    names: tuple[str, ...]
    table: pd.DataFrame
    rows: tuple[tuple[int, int], ...]

    def sources(self, names: Iterable[str]) -> Iterator[SeriesSource]:
        rows = dict(zip(self.names, self.rows, strict=True))
        for name in names:
            first, end = rows[name]
            yield SeriesSource(name, table=self.table.iloc[first:end].reset_index(drop=True))


def read_groups(file: BinaryIO, column: str, notes: list[str]) -> GroupedTable:
    """Read a table whose rows say in a column which series they are of.

    Args:
        file: open for reading.
        column: name of that column.
        notes: a sentence is added for what was found and left out.

    Raises:
        SeriesError: it cannot be read, or there is no such column.
        OSError: it cannot be read.
    """
    import pandas as pd

    table = read_table(file, notes)
    if column not in table.columns:
        raise SeriesError(f"there is no column {column!r}; there are {listed(list(table.columns))}")
    codes, names = pd.factorize(table[column])
    # Sorted at once: taking the rows of each series out of a long table takes longer than that.
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes)).tolist()
    found = dict(zip(map(str, names), itertools.pairwise((0, *ends)), strict=True))
    if (empty := found.pop("", None)) is not None:
        n_empty = empty[1] - empty[0]
        notes.append(f"{counted(n_empty, 'row')} without anything in {column!r}: left out")
    if not found:
        raise SeriesError(f"its column {column!r} is empty")
    sorted_table = table.drop(columns=column).take(order)
    return GroupedTable(tuple(found), sorted_table, tuple(found.values()))
