"""Lines as they come: from a pipe, or from a file that grows and is replaced by the next one.

Whoever follows them is told when there is nothing for now, so that clocks do not wait for a line.
(Of the packages that follow files, none does that and reads on through a rotation.)
"""

from __future__ import annotations

import contextlib
import enum
import errno
import os
from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol

from pyimagesearch.data.csv_text import MAX_LINE
from pyimagesearch.runtime.console import info, printable, warn
from pyimagesearch.runtime.input_files import open_input
from pyimagesearch.runtime.system import TimedInput

SECONDS_OF_PATIENCE = 0.2
_BLOCK = 65_536


class Mark(enum.Enum):
    """What may come in place of bytes, or of a line."""

    NOTHING_NOW = enum.auto()  # something may come later
    NEW_FILE = enum.auto()  # what follows is the beginning of a file
    CUT_OFF = enum.auto()  # a line whose end never came
    TOO_LONG = enum.auto()  # a line of more than ``MAX_LINE`` bytes


class Source(Protocol):
    """Where bytes come from.

    Attributes:
        name: for messages.
    """

    name: str

    def read(self) -> bytes | Mark:
        """The next bytes, none at the end; ``NOTHING_NOW`` after a while without any."""


class WholeFile:
    """A file that is read to its end.

    Args:
        file: open for reading.
        name: for messages.
    """

    def __init__(self, file: BinaryIO, name: str = "stdin") -> None:
        self._file, self.name = file, name

    def read(self) -> bytes:
        return self._file.read(_BLOCK)


class Pipe:
    """What another program writes, or a person: until they close it.

    Args:
        handle: its file descriptor, of which nothing has been read.
        name: for messages.
    """

    def __init__(self, handle: int, name: str = "stdin") -> None:
        self._input, self.name = TimedInput(handle), name

    def read(self) -> bytes | Mark:
        data = self._input.read(_BLOCK, SECONDS_OF_PATIENCE)
        return Mark.NOTHING_NOW if data is None else data


class GrowingFile:
    """A file that grows, as ``tail -F`` follows one; use it as a context.

    It is looked at again and again, which also works on network shares. When another file takes
    its name, the old one is read until the new one has something in it: who writes may hold it
    open for a while. When it becomes shorter, it is read from its beginning. While there is no
    file of that name, it is waited for.

    Args:
        path: of the file, which need not exist yet.
        wait: waits for so many seconds at most.

    Raises:
        OSError: from ``read``, where it is no regular file or cannot be read.
    """

    def __init__(self, path: str, wait: Callable[[float], None]) -> None:
        self._path, self._wait = path, wait
        self.name = printable(path)
        self._file: BinaryIO | None = None
        self._is_missing = False

    def __enter__(self) -> GrowingFile:
        return self

    def __exit__(self, *error: object) -> None:
        self._close()

    def read(self) -> bytes | Mark:
        if self._file is None:
            try:
                self._file = open_input(self._path)
            except OSError as error:
                if error.errno != errno.ENOENT or "\0" in self._path:
                    raise
                self._miss("there is no such file yet")
            else:
                self._found()
                return Mark.NEW_FILE
        elif data := os.read(self._file.fileno(), _BLOCK):
            return data
        elif self._begins_again():
            return Mark.NEW_FILE
        self._wait(SECONDS_OF_PATIENCE)
        return Mark.NOTHING_NOW

    def _begins_again(self) -> bool:
        """Whether what has been read to its end is read from a beginning now."""
        handle = self._file.fileno()
        old = os.fstat(handle)
        if old.st_size < os.lseek(handle, 0, os.SEEK_CUR):
            info(f"{self.name} has become shorter: read from its beginning")
            os.lseek(handle, 0, os.SEEK_SET)
            return True
        try:
            new = os.stat(self._path)
        except OSError as error:
            self._miss(error.strerror or str(error))
            return False
        is_old = os.path.samestat(old, new)
        if is_old or not new.st_size:
            self._found()
            return False
        if old.st_size > os.lseek(handle, 0, os.SEEK_CUR):
            return False  # it has grown since
        try:
            file = open_input(self._path)
        except OSError as error:  # such as of rights that are set in a moment
            self._miss(error.strerror or str(error))
            return False
        self._close()
        self._file = file
        self._found()
        info(f"{self.name} is another file now: read from its beginning")
        return True

    def _miss(self, reason: str) -> None:
        if not self._is_missing:
            warn(f"{self.name}: {reason}; it is waited for")
        self._is_missing = True

    def _found(self) -> None:
        if self._is_missing:
            info(f"{self.name} is there")
        self._is_missing = False

    def _close(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None


def follow_lines(source: Source) -> Iterator[bytes | Mark]:
    """Split what comes into lines.

    The last line of a file that is replaced is cut off if it has no end; at the end of a pipe it is
    a line as others.

    Yields:
        Each line without what ends it, but for empty ones; a mark in place of one, or of nothing.
        A line that is too long has its mark as soon as that is known; the rest of it is not kept.
    """
    begun: list[bytes] = []  # of a line, without its end
    n_begun, passes_over = 0, False
    while data := source.read():
        if isinstance(data, Mark):
            if data is Mark.NEW_FILE:
                if n_begun and not passes_over:
                    yield Mark.CUT_OFF
                begun, n_begun, passes_over = [], 0, False
            yield data
            continue
        lines = data.split(b"\n")
        last = lines.pop()
        if lines:
            lines[0] = b"".join((*begun, lines[0]))
            begun, n_begun = [], 0
            if passes_over:
                del lines[0]
                passes_over = False
        for line in lines:
            yield from _line(line)
        if passes_over or not last:
            continue
        begun.append(last)
        n_begun += len(last)
        # One byte more, since a carriage return may be part of its end.
        if n_begun > MAX_LINE + 1:
            yield Mark.TOO_LONG
            begun, passes_over = [], True
    if n_begun and not passes_over:
        yield from _line(b"".join(begun))


def _line(line: bytes) -> Iterator[bytes | Mark]:
    content = line.rstrip(b"\r")
    if len(content) > MAX_LINE:
        yield Mark.TOO_LONG
    elif content.strip(b" "):
        yield content
