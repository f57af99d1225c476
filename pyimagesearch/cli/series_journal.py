"""The journal of many series: what is judged is not judged again after a kill.

It lies where that of images does, see ``resume_journal``, with a line for each series: what became
of it, and how far the files of rows had grown then. A resumed run cuts them there and goes on.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

from pyimagesearch.cli.resume_journal import (
    SECONDS_UNSYNCED,
    begin,
    check_same,
    open_journal,
    read_run,
)
from pyimagesearch.cli.series_job import JudgedFile
from pyimagesearch.labelling.many_series import JudgedSeries
from pyimagesearch.reports.rows import csv_line
from pyimagesearch.reports.series import COLUMNS_OF_MANY
from pyimagesearch.reports.series_sketch import Sketch
from pyimagesearch.runtime.atomic_files import PARTIAL, RowFile, atomic_rows, check_replaceable_file
from pyimagesearch.runtime.console import UserError, info, printable

_Sizes = dict[str, int]


class SeriesJournal:
    """The files of rows of many series, and what is done; use it as a context around the run.

    Args:
        paths: of the files, by their kinds, ``csv`` and ``json``; the journal lies next to the
            first. Without any, nothing is kept.
        run: everything that decides the rows, as JSON types; see ``resume_journal.described``.
        names: of all series, in order.
        resume: whether to continue from an existing journal, or to replace it.

    Attributes:
        done: the series that are taken from the journal.

    Raises:
        UserError: when the context is entered: the journal is of another run or of other series,
            or in use. Then nothing has been changed.
        OSError: it cannot be written.
    """

    def __init__(
        self, paths: Mapping[str, str], run: dict[str, Any], names: Sequence[str], resume: bool
    ) -> None:
        self._paths = paths
        self._run = run
        self._names = names
        self._resume = resume
        self._files: dict[str, RowFile] = {}
        self._journal: RowFile | None = None
        self._stack = contextlib.ExitStack()
        self._synced = time.monotonic()
        self._n_done = 0
        self.done: list[JudgedSeries] = []

    def __enter__(self) -> Self:
        if not self._paths:
            return self
        for path in self._paths.values():
            check_replaceable_file(path)
        with contextlib.ExitStack() as stack:
            first = next(iter(self._paths.values()))
            self._journal = open_journal(first)
            stack.callback(self._journal.close)
            with contextlib.ExitStack() as new:
                if not self._journal.size:
                    new.callback(self._journal.remove)
                sizes, end = self._begin(self._journal, first)
                new.pop_all()
            stack.push(self._clean_up)
            for kind, path in self._paths.items():
                self._files[kind] = stack.enter_context(atomic_rows(path, sizes.get(kind, 0)))
            if end is not None:
                self._journal.truncate(end)
            if "csv" in self._files and not self._files["csv"].size:
                self._files["csv"].write(csv_line(COLUMNS_OF_MANY).encode())
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: Any) -> bool | None:
        return self._stack.__exit__(*error)

    def _begin(self, journal: RowFile, first: str) -> tuple[_Sizes, int | None]:
        """Take what is done; the sizes of the files then, and of the journal."""
        before = read_run(journal.path)
        if self._resume and before is not None:
            check_same(journal.path, before, self._run)
            return self._take(journal)
        if self._resume:
            info(f"{printable(journal.path)} is not there: nothing to resume, starting anew")
        elif os.path.exists(first + PARTIAL):
            info(
                f"{printable(first + PARTIAL)}: left by an interrupted run, and replaced; "
                "--resume would continue it"
            )
        begin(journal, self._run)
        return {}, None

    def _take(self, journal: RowFile) -> tuple[_Sizes, int]:
        rows = list(_rows(journal.path, self._paths))
        for number, (judged, _, _) in enumerate(rows):
            now = self._names[number] if number < len(self._names) else None
            if judged.name != now:
                has_now = "no more series" if now is None else printable(now)
                raise UserError(
                    f"{printable(journal.path)}: its row {number + 1:,} is of "
                    f"{printable(judged.name)}, where the dataset now has {has_now}: series came "
                    "or went since that run; without --resume a new one replaces it"
                )
        end, sizes = _first_line(journal.path), {}
        kept = {kind: self._kept(kind, rows[-1][1][kind] if rows else 0) for kind in self._paths}
        for judged, own, whole in rows:
            if any(own[kind] > kept[kind] for kind in kept):  # rows were lost in a power cut
                break
            self.done.append(judged)
            sizes, end = own, whole
        self._n_done = len(self.done)
        if self.done:
            left = len(self._names) - self._n_done
            info(
                f"going on after {self._n_done:,} series"
                if left
                else f"all {self._n_done:,} series are done: nothing is left to judge"
            )
        return sizes, end

    def _kept(self, kind: str, size: int) -> int:
        """Bytes of a file that are there to go on from; a finished one is copied for that."""
        path = self._paths[kind]
        partial = path + PARTIAL
        if not os.path.exists(partial) and os.path.exists(path) and os.path.getsize(path) == size:
            shutil.copyfile(path, partial)
        return os.path.getsize(partial) if os.path.exists(partial) else 0

    def add(self, judged: JudgedFile) -> None:
        """Write the rows of the next series, and that it is done; raises ``OSError``."""
        if self._journal is None:
            return
        for kind, file in self._files.items():
            if rows := getattr(judged, kind):
                file.write(rows)
        sizes = {kind: file.size for kind, file in self._files.items()}
        line = {"series": judged.series.to_json(), "sizes": sizes}
        self._journal.write((json.dumps(line) + "\n").encode())
        self._n_done += 1
        if time.monotonic() - self._synced > SECONDS_UNSYNCED:
            for file in (*self._files.values(), self._journal):
                file.sync()
            self._synced = time.monotonic()

    def _clean_up(self, kind: type[BaseException] | None, *_: object) -> None:
        is_over = kind is None and not self._resume
        if is_over or not self._n_done:
            with contextlib.suppress(FileNotFoundError):
                self._journal.remove()
            for path in self._paths.values():
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path + PARTIAL)
        elif kind is not None:
            info(f"{self._n_done:,} series are done; --resume continues from there")


def _first_line(path: str) -> int:
    with open(path, "rb") as file:
        return len(file.readline())


def _rows(path: str, kinds: Mapping[str, str]) -> Iterator[tuple[JudgedSeries, _Sizes, int]]:
    """The whole rows of a journal: the series, the sizes of the files, bytes up to its end."""
    with open(path, "rb") as file:
        whole = len(file.readline())
        for line in file:
            try:
                content = json.loads(line)
                judged = JudgedSeries.from_json(content["series"])
                if judged.sketch is not None:
                    Sketch.from_json(judged.sketch)
                sizes = {kind: max(int(content["sizes"][kind]), 0) for kind in kinds}
            except (ValueError, LookupError, TypeError, RecursionError):  # cut off by the kill
                return
            whole += len(line)
            if not line.endswith(b"\n"):
                return
            yield judged, sizes, whole
