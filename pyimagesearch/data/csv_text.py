"""CSV before it is parsed: what is no text is refused, and lines, columns and cells have limits.

A line that never ends, a quote that never closes or a header of a million columns would otherwise
take time and memory without end.
"""

from __future__ import annotations

import codecs
import csv
import errno
import io
import re
from dataclasses import dataclass
from typing import BinaryIO

from pyimagesearch.data.series import SeriesError

MAX_LINE = 4_000_000  # bytes: more than twice what the most columns take with names of 100 letters
MAX_COLUMNS = 16_384  # as many as a spreadsheet has
MAX_CELLS = 100_000_000
TIME_NAMES = ("timestamp", "time", "datetime", "date", "ds")  # of a column of times
_BLOCK = 65_536
# A row as long as the header has a byte for each cell. Shorter rows are filled up, and a header of
# many columns over rows of one would take a thousand times the file's size.
_MOST_ADDED = 10_000_000
_OTHER_KINDS = {
    rb"\x1f\x8b": "a gzip file: unpack it first",
    rb"PK\x03\x04": "a zip file or a spreadsheet: unpack it, or save it as CSV",
    rb"BZh\d1AY&SY": "a bzip2 file: unpack it first",
    rb"\xfd7zXZ": "an xz file: unpack it first",
    rb"\x28\xb5\x2f\xfd": "a zstd file: unpack it first",
    rb"\xd0\xcf\x11\xe0": "an old Excel workbook (.xls): save it as .xlsx or CSV",
    rb"\xff\xfe|\xfe\xff": "in UTF-16: save it in UTF-8",
}
# Of the control characters, a line of text has tabs, line ends, form feeds and escape sequences.
_ZERO = re.compile(rb"\0")
_NOT_IN_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
LONG_LINE = f"longer than {MAX_LINE:,} bytes"
LONG_FIRST_LINE = f"its first line is {LONG_LINE}, and {MAX_COLUMNS:,} columns are the most"


@dataclass(frozen=True)
class Header:
    """The first line of CSV, whether it names the columns or not.

    Attributes:
        delimiter: a comma, a semicolon or a tab.
        cells: of the line.
        names_columns: whether no cell is a number, but for those that number the columns from 0
            behind an index, as pandas writes them.
    """

    delimiter: str
    cells: list[str]
    names_columns: bool


def parse_header(line: bytes) -> Header:
    """Look at the first line of a file.

    Args:
        line: without what ends it, and without a byte order mark.

    Raises:
        SeriesError: it is no text, or has more than ``MAX_COLUMNS`` columns.
    """
    _check_text(line, _NOT_IN_TEXT)
    text = line.decode("utf-8", "replace")
    delimiter = max(",;\t", key=text.count)
    if (n_columns := text.count(delimiter) + 1) > MAX_COLUMNS:
        raise SeriesError(
            f"its first line has {n_columns:,} columns, and {MAX_COLUMNS:,} are the most"
        )
    try:
        cells = next(csv.reader([text], delimiter=delimiter), [])
    except csv.Error as error:
        raise SeriesError(f"its first line is not CSV: {_in_words(error)}") from error
    return Header(delimiter, cells, names_columns(cells))


def names_columns(cells: list[str]) -> bool:
    """Whether the first row of a table names its columns: see ``Header``."""
    numbers = [cell for cell in cells if is_number(cell)]
    n_others = len(cells) - len(numbers)
    if not numbers:
        return True
    is_index = n_others == 1 and cells[0].strip().lower() in ("", *TIME_NAMES)
    return is_index and numbers == [str(number) for number in range(len(numbers))]


def names_without_header(n_columns: int) -> list[str]:
    """The names of columns that have none: "column_1" and so on."""
    return [f"column_{number}" for number in range(1, n_columns + 1)]


def split_row(line: bytes, delimiter: str) -> list[str]:
    """The cells of a line that is a row of its own; bytes that are no UTF-8 become U+FFFD.

    Args:
        line: without what ends it.
        delimiter: between the cells.

    Raises:
        SeriesError: it is not CSV.
    """
    if b'"' in line and _Quotes(delimiter).pass_on(line)[0]:
        raise SeriesError("a quote is not closed")
    if b"\0" in line:
        raise SeriesError("zero bytes")
    try:
        return next(csv.reader([line.decode("utf-8", "replace")], delimiter=delimiter), [])
    except csv.Error as error:
        raise SeriesError(_in_words(error)) from error


def is_number(text: str) -> bool:
    """Whether Python takes a text for a number, infinity or NaN."""
    try:
        float(text)
    except ValueError:
        return False
    return True


class LimitedText(io.RawIOBase):
    """A file of CSV to be read whole, as it is but for zero bytes, which become 0xFF: no text.

    Reading it raises ``SeriesError`` as soon as a line, or what stands in one pair of quotes, is
    longer than ``MAX_LINE`` or there are more than ``MAX_CELLS`` cells.

    Args:
        file: to read; its first line is read at once.

    Attributes:
        header: its first line.

    Raises:
        SeriesError: the file is empty; or as of ``parse_header``.
        OSError: it cannot be read, or has nothing to read now.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        head = _read(file)
        _check_text(head, _ZERO)
        blocks = [head.removeprefix(codecs.BOM_UTF8).lstrip(b"\r\n")]
        n_read = len(blocks[0])
        while n_read <= MAX_LINE and not _line_break(blocks[-1]) and (block := _read(file)):
            blocks.append(block)
            n_read += len(block)
        head = b"".join(blocks).lstrip(b"\r\n")
        if not head:
            raise SeriesError("the file is empty")
        first, *_ = re.split(rb"[\r\n]", head, maxsplit=1)
        if len(first) > MAX_LINE:
            raise SeriesError(LONG_FIRST_LINE)
        self.header = parse_header(first)
        self._head = io.BytesIO(head)
        self._quotes = _Quotes(self.header.delimiter)
        self._line: list[bytes] = []  # the beginning of a line whose end is not read yet
        self._n_bytes = self._n_pending = self._n_lines = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        size = min(len(buffer), _BLOCK)
        data = self._head.read(size) or _read(self._file, size)
        self._check(data)
        buffer[: len(data)] = data.replace(b"\0", b"\xff")
        return len(data)

    def _check(self, data: bytes) -> None:
        self._n_bytes += len(data)
        found = _line_break(data)
        # The others are shorter than what is read at once.
        if self._n_pending + (found.start() if found else len(data)) > MAX_LINE:
            raise SeriesError(f"it has a line {LONG_LINE}")
        if found is None:
            self._line.append(data)
            self._n_pending += len(data)
            return
        end = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        lines = b"".join((*self._line, data[:end]))
        self._line, self._n_pending = [data[end:]], len(data) - end
        n_open, n_inside = self._quotes.pass_on(lines)
        self._n_lines += _count_lines(lines) - n_inside
        if n_open > MAX_LINE:
            raise SeriesError(f"a quote is not closed: what follows it is {LONG_LINE}")
        n_cells = self._n_lines * len(self.header.cells)
        if n_cells > MAX_CELLS:
            raise SeriesError(f"it has more than {MAX_CELLS:,} cells, which are the most")
        if n_cells > self._n_bytes + _MOST_ADDED:
            raise SeriesError(
                f"not CSV: most rows are shorter than the first, of {len(self.header.cells):,} "
                "columns"
            )


class _Quotes:
    """Follows the quotes of a file of CSV through its lines, as parsers do.

    Args:
        delimiter: between cells.
    """

    def __init__(self, delimiter: str) -> None:
        # Within a cell that does not begin with one, a quote is a character like others. (What
        # begins with the quote is searched for ten times as fast as what looks behind first.)
        first = rb'"(?<![^%b\r\n]")' % re.escape(delimiter.encode())
        rest = rb'[^"]*+(?:""[^"]*+)*+("|\Z)'
        self._rest, self._quoted = re.compile(rest), re.compile(first + rest)
        # All that goes on behind its line, and some more: in most files, nothing.
        self._goes_on = re.compile(first + rb'[^"\r\n]*+(?:""[^"\r\n]*+)*+(?:[\r\n]|\Z)')
        self._n_open = 0

    def pass_on(self, lines: bytes) -> tuple[int, int]:
        """Go through the next lines.

        Args:
            lines: whole ones.

        Returns:
            The bytes since the quote that is open behind them, 0 if there is none; and the line
            ends between quotes.
        """
        at = n_inside = 0
        if self._n_open:
            rest = self._rest.match(lines)
            n_inside += _count_lines(rest[0])
            if not rest[1]:
                self._n_open += len(lines)
                return self._n_open, n_inside
            self._n_open, at = 0, rest.end()
        if self._goes_on.search(lines, at):
            for quoted in self._quoted.finditer(lines, at):
                n_inside += _count_lines(quoted[0])
                if not quoted[1]:
                    self._n_open = len(quoted[0])
        return self._n_open, n_inside


def _check_text(head: bytes, not_in_text: re.Pattern[bytes]) -> None:
    for mark, what in _OTHER_KINDS.items():
        if re.match(mark, head):
            raise SeriesError(f"this is {what}")
    if not_in_text.search(head):
        raise SeriesError("this is a binary file, not CSV")


def _line_break(data: bytes) -> re.Match[bytes] | None:
    return re.search(rb"[\r\n]", data)


def _count_lines(data: bytes) -> int:
    return data.count(b"\n") + data.count(b"\r") - data.count(b"\r\n")


def _read(file: BinaryIO, size: int = _BLOCK) -> bytes:
    data = file.read(size)
    if data is None:
        raise OSError(errno.EAGAIN, "there is nothing to read now")
    return data


def _in_words(error: csv.Error) -> str:
    """What the csv module means, for whoever has the file."""
    if "field limit" in str(error):
        return f"a cell of more than {csv.field_size_limit():,} characters"
    return "a carriage return inside" if "new-line" in str(error) else str(error)
