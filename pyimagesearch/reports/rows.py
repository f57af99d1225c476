"""Rows of CSV and JSON: what the labelling scripts write of each verdict."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, BinaryIO, Self

from pyimagesearch.labelling.verdict import ANOMALY, NORMAL, UNREADABLE, Verdict
from pyimagesearch.runtime.atomic_files import RowFile, atomic_rows, atomic_write

COLUMNS = ("image", "label", "score", "p_value")
TIME = "time"  # a column that is added where it is asked for
_FIELDS = (*COLUMNS, "reason", "outside", "extrapolated")  # of a row of JSON

_SPREADSHEET_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_APOSTROPHE = "'"


def csv_row(verdict: Verdict, *more: str) -> str:
    """One line of CSV, valid UTF-8 whatever the file is called; see ``csv_name``.

    Args:
        verdict: whose row it is.
        more: cells to add.
    """
    numbers = ("" if v is None else f"{v:.6g}" for v in (verdict.score, verdict.p_value))
    return csv_line((csv_name(verdict.image), verdict.label, *numbers, *more))


def csv_name(path: str) -> str:
    """A file's name as it stands in CSV.

    Bytes of a name that are no UTF-8 are written as ``\\xNN``. A name that a spreadsheet would
    run as a formula gets ``./`` in front, which names the same file.
    """
    name = os.fsencode(path).decode("utf-8", "backslashreplace")
    return f"./{name}" if name.startswith(_SPREADSHEET_FORMULA) else name


def csv_cell(text: str) -> str:
    """A cell of the user's own as it stands in CSV.

    What a spreadsheet would run as a formula gets an apostrophe in front, and so does what has
    some there already: whoever reads the file takes one away where another character of formulas
    follows. Numbers stay as they are, and so does a dash on its own, for what is missing.
    """
    bare = text.lstrip(_APOSTROPHE)
    if not bare.startswith(_SPREADSHEET_FORMULA) or text == "-":
        return text
    try:
        float(text.replace(",", "."))  # also with a decimal comma
    except ValueError:
        return _APOSTROPHE + text
    return text


def from_csv_cell(cell: str) -> str:
    """The text that ``csv_cell`` has written."""
    if cell.startswith(_APOSTROPHE) and cell.lstrip(_APOSTROPHE).startswith(_SPREADSHEET_FORMULA):
        return cell[1:]
    return cell


def csv_line(fields: Iterable[str]) -> str:
    """One line of CSV, quoted where that is needed."""
    buffer = io.StringIO()
    # What may end a line is quoted inside of one: with this end, carriage returns are, too.
    csv.writer(buffer, lineterminator="\r\n").writerow(fields)
    return buffer.getvalue().removesuffix("\r\n") + "\n"


def json_row(verdict: Verdict, **more: Any) -> str:
    """One line of JSON; names that are no UTF-8 keep their bytes as surrogate escapes.

    Args:
        verdict: whose attributes are written, a reason only if unreadable, what it is
            outside of only where it is, and whether it is extrapolated only where it is.
        more: JSON types to add.
    """
    # dataclasses.asdict would take as long as all the rest of a row.
    fields: dict[str, Any] = {name: getattr(verdict, name) for name in _FIELDS}
    if verdict.label != UNREADABLE:
        del fields["reason"]
    if verdict.outside is None:
        del fields["outside"]
    if not verdict.extrapolated:
        del fields["extrapolated"]
    return json.dumps(fields | more) + "\n"


def parse_json_row(line: bytes) -> tuple[Verdict, dict[str, Any]]:
    """The verdict that ``json_row`` wrote, and what it added.

    Raises:
        ValueError: it is no such line, or not a whole one.
    """
    try:
        fields = json.loads(line)
    except RecursionError as error:
        raise ValueError("not a row") from error
    if not line.endswith(b"\n") or not isinstance(fields, dict):
        raise ValueError("not a whole row")
    own = {name: fields.pop(name) for name in _FIELDS if name in fields}
    try:
        verdict = Verdict(**own)
    except TypeError as error:
        raise ValueError(f"not a verdict ({error})") from error
    if not _is_verdict(verdict):
        raise ValueError("not a verdict")
    return verdict, fields


def _is_verdict(verdict: Verdict) -> bool:
    """Whether its attributes are what a labeller would have put there."""
    numbers = (verdict.score, verdict.p_value)
    if verdict.label == UNREADABLE:
        fits = numbers == (None, None) and isinstance(verdict.reason, str)
        fits = fits and verdict.outside is None and not verdict.extrapolated
    else:
        fits = (
            verdict.label in (NORMAL, ANOMALY)
            and all(isinstance(number, float) and math.isfinite(number) for number in numbers)
            and verdict.reason is None
            and (verdict.outside is None or isinstance(verdict.outside, str))
        )
    return fits and isinstance(verdict.extrapolated, bool) and _is_name(verdict.image)


def _is_name(image: Any) -> bool:
    """Whether it can be a file's name."""
    try:
        return isinstance(image, str) and bool(os.fsencode(image))
    except UnicodeEncodeError:  # JSON can write halves of characters, too
        return False


class Results:
    """Where rows go: stdout as they come, and files that appear when they are complete.

    Use it as a context; an error inside leaves no half-written file.

    Args:
        stdout: binary stream for CSV.
        csv_path, json_path: files to write as well.
        goes_on_without_stdout: a reader of stdout who has gone (``| head -1``) is no reason to
            stop, since there are other results; without it, ``BrokenPipeError`` is raised.
        in_sight: the files grow where they can be seen; see ``atomic_files.atomic_rows``.

    Attributes:
        csv, json: the files, open for writing bytes; or None.
    """

    csv: BinaryIO | RowFile | None
    json: BinaryIO | RowFile | None

    def __init__(
        self,
        stdout: BinaryIO,
        csv_path: str | None = None,
        json_path: str | None = None,
        goes_on_without_stdout: bool = False,
        in_sight: bool = False,
    ) -> None:
        self._stdout: BinaryIO | None = stdout
        self._paths = (csv_path, json_path)
        self._goes_on = goes_on_without_stdout or csv_path is not None or json_path is not None
        self._in_sight = in_sight
        self._open = atomic_rows if in_sight else atomic_write
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.csv, self.json = (
                stack.enter_context(self._open(path)) if path else None for path in self._paths
            )
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: Any) -> bool | None:
        return self._stack.__exit__(*error)

    def print_line(self, line: str) -> None:
        """Write a line to stdout alone, at once."""
        if self._stdout is None:
            return
        try:
            self._stdout.write(line.encode())
            self._stdout.flush()
        except BrokenPipeError:
            if not self._goes_on:
                raise
            self._stdout = None


class RowWriter(Results):
    """Writes verdicts on images as they come; arguments as ``Results``.

    Args:
        name_column: title of the first column of CSV.
        more_columns: titles of columns that are added.
    """

    def __init__(
        self,
        *where: Any,
        name_column: str = COLUMNS[0],
        more_columns: Sequence[str] = (),
        **options: Any,
    ) -> None:
        super().__init__(*where, **options)
        self._header = csv_line((name_column, *COLUMNS[1:], *more_columns))

    def __enter__(self) -> Self:
        super().__enter__()
        self._write_header()
        self.print_line(self._header)
        return self

    def _write_header(self) -> None:
        if self.csv:
            self.csv.write(self._header.encode())

    def write_undecided(self, verdict: Verdict) -> None:
        """Write a row whose label is not yet known to files that grow in sight.

        ``begin_again`` takes it out.
        """
        if not self._in_sight or not (self.csv or self.json):
            return
        if verdict.is_readable:
            verdict = replace(verdict, label="")
        self.write(verdict, to_stdout=False)

    def begin_again(self) -> None:
        """Take the rows out of the files: those with labels follow."""
        if self._in_sight:
            for file in filter(None, (self.csv, self.json)):
                file.truncate(0)
            self._write_header()

    def write(self, verdict: Verdict, to_stdout: bool = True) -> None:
        """Write one row everywhere, or everywhere but to stdout."""
        row = csv_row(verdict)
        if to_stdout:
            self.print_line(row)
        if self.csv:
            self.csv.write(row.encode())
        if self.json:
            self.json.write(json_row(verdict).encode())

    def print(self, verdict: Verdict, *more: str) -> None:
        """Write one row to stdout alone, at once; ``more`` as of ``csv_row``."""
        self.print_line(csv_row(verdict, *more))
