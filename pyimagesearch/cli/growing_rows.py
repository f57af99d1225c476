"""Files of rows that grow while a watch goes on, and that the next one goes on with."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Self

from pyimagesearch.cli import resume_journal
from pyimagesearch.labelling.verdict import LABELS, Verdict
from pyimagesearch.reports.rows import (
    COLUMNS,
    TIME,
    csv_line,
    csv_name,
    csv_row,
    json_row,
    parse_json_row,
)
from pyimagesearch.runtime.atomic_files import check_replaceable_file, open_rows
from pyimagesearch.runtime.console import UserError, printable


class GrowingRows(ABC):
    """A file of verdicts that every watch of the same model adds to; use it as a context.

    Args:
        path: of the file.
        run: see ``resume_journal.described``.
        with_time: whether each row has a time.
        receive: called with the verdict of each row that is there already.

    Attributes:
        names: of the images that have a row when the context is entered, as ``rows.csv_name`` has
            them.

    Raises:
        UserError: when the context is entered: its rows are of another model, or it is in use.
        OSError: it cannot be written.
    """

    _option: str
    _header = b""

    def __init__(
        self,
        path: str,
        run: dict,
        with_time: bool = False,
        receive: Callable[[Verdict], None] | None = None,
    ) -> None:
        self._path = path
        self._run = run | {"watch": True}
        self._with_time = with_time
        self._receive = receive
        self._stack = contextlib.ExitStack()
        self._synced, self._size_synced = time.monotonic(), 0
        self.names: set[str] = set()

    def __enter__(self) -> Self:
        check_replaceable_file(self._path)
        with contextlib.ExitStack() as stack:
            journal = self._journal = resume_journal.open_journal(self._path)
            stack.callback(journal.close)
            before = resume_journal.read_run(journal.path)
            holds_rows = os.path.exists(self._path) and os.path.getsize(self._path) > 0
            if holds_rows:
                self._check_run(journal.path, before)
            self._file = open_rows(self._path, self._path)
            stack.callback(self._file.close)
            stack.push(self._remove_unless_begun)
            self._file.truncate(self._read() if holds_rows else 0)
            if before != self._run:
                resume_journal.begin(journal, self._run)
            if not self._file.size:
                self._file.write(self._header)
            self._stack = stack.pop_all()
        return self

    def _remove_unless_begun(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and not self._file.size:
            self._file.remove()
            self._journal.remove()

    def _check_run(self, journal: str, before: dict | None) -> None:
        if before is None:
            raise UserError(
                f"{printable(self._path)}: no journal next to it says which model its "
                "rows are of, so none are added to it"
            )
        same = ("model", "threshold", "extrapolates", "false_discovery_rate", "version")
        if any(before.get(name) != self._run.get(name) for name in same):
            raise UserError(
                f"{printable(self._path)}: its rows are of another model, threshold or rate, or "
                f"their p-values of another kind (as {printable(journal)} says): name another file "
                f"with {self._option}"
            )

    def _read(self) -> int:
        """Take the rows; the number of bytes up to the end of the last whole one."""
        whole = 0
        with open(self._path, "rb") as file:
            try:
                for verdict, end in self._parse(file):
                    whole = end
                    if verdict is not None:
                        self.names.add(csv_name(verdict.image))
                        if self._receive is not None:
                            self._receive(verdict)
            except (ValueError, csv.Error) as error:
                raise UserError(
                    f"{printable(self._path)}: not rows as --watch writes them"
                    f"{' with --with-time' if self._with_time else ''}, so none are added"
                ) from error
        return whole

    @abstractmethod
    def _parse(self, file: BinaryIO) -> Iterator[tuple[Verdict | None, int]]:
        """The whole rows of a file, each with the number of bytes up to its end; None of a header.

        Raises:
            ValueError, csv.Error: there is something else in it.
        """

    @abstractmethod
    def _row(self, verdict: Verdict, when: str) -> str:
        """The row of a verdict."""

    def write(self, verdict: Verdict, when: str = "") -> None:
        """Add a row, at once and whole.

        Args:
            verdict: whose row it is.
            when: the time of it, where rows have one.
        """
        self._file.write(self._row(verdict, when).encode())
        if time.monotonic() - self._synced > resume_journal.SECONDS_UNSYNCED:
            self.sync()

    def sync(self) -> None:
        """Wait until its rows are on the disk."""
        if self._file.size != self._size_synced:
            self._file.sync()
            self._size_synced, self._synced = self._file.size, time.monotonic()

    def __exit__(self, kind: type[BaseException] | None, *error: Any) -> None:
        with self._stack:
            if kind is None:
                self.sync()


class GrowingCsv(GrowingRows):
    """Rows of CSV, below a header."""

    _option = "--csv"

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._columns = (*COLUMNS, TIME) if self._with_time else COLUMNS
        self._header = csv_line(self._columns).encode()

    def _parse(self, file: BinaryIO) -> Iterator[tuple[Verdict | None, int]]:
        lines = _Lines(file)
        rows = csv.reader(lines)
        has_header = False
        for row in rows:
            is_header = not has_header and tuple(row) == self._columns
            is_row = len(row) == len(self._columns) and row[1] in LABELS
            if not lines.ended or not (is_header or (has_header and is_row)):
                if has_header and next(rows, None) is None:
                    return  # it was being written when the watch was killed
                raise ValueError
            yield None if is_header else _verdict_of(row), lines.n_bytes
            has_header = True

    def _row(self, verdict: Verdict, when: str) -> str:
        return csv_row(verdict, *([when] if self._with_time else []))


class GrowingJson(GrowingRows):
    """Lines of JSON."""

    _option = "--json"

    def _parse(self, file: BinaryIO) -> Iterator[tuple[Verdict | None, int]]:
        end = 0
        for line in file:
            try:
                verdict, more = parse_json_row(line)
                if set(more) != ({TIME} if self._with_time else set()):
                    raise ValueError("other fields")
            except ValueError:
                if file.read(1) or (line.endswith(b"\n") and _is_json(line)):
                    raise
                return  # it was being written when the watch was killed
            end += len(line)
            yield verdict, end

    def _row(self, verdict: Verdict, when: str) -> str:
        return json_row(verdict, **({TIME: when} if self._with_time else {}))


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _verdict_of(row: list[str]) -> Verdict:
    """The verdict of a row of CSV; of an unreadable one the reason is in no column."""
    image, label, *numbers = row[: len(COLUMNS)]
    score, p_value = (float(number) if number else None for number in numbers)
    return Verdict(image, label, score, p_value)


class _Lines:
    """The lines of a file as text, and how many bytes of it they were up to now."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.n_bytes = 0
        self.ended = True

    def __iter__(self) -> Iterator[str]:
        for line in self._file:
            self.n_bytes += len(line)
            self.ended = line.endswith(b"\n")
            yield line.decode()
