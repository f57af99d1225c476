"""Compressed files from others: what they expand to is limited by their own size."""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from typing import IO, BinaryIO

from pyimagesearch.data.series import SeriesError

# Rows of numbers take a tenth to a fiftieth of their size when they are compressed.
_MOST_EXPANDED = 100
_LEAST_LIMIT = 10_000_000  # bytes, whatever a file's size


class Expanding(io.RawIOBase):
    """What a compressed file expands to, as far as its size allows.

    Args:
        stream: of the expanded bytes.
        size: of the compressed ones.

    Raises:
        SeriesError: while reading: it is damaged, or expands too far.
    """

    def __init__(self, stream: IO[bytes], size: int | None = None) -> None:
        self._stream, self._size, self._n_bytes = stream, size, 0
        self._counted: _Counted | None = None

    @classmethod
    def of_gzip(cls, file: BinaryIO) -> Expanding:
        """Expand a gzip file while it is read."""
        source = _Counted(file)
        expanding = cls(gzip.GzipFile(fileobj=source))  # type: ignore[arg-type]
        expanding._counted = source
        return expanding

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        try:
            data = self._stream.read(len(buffer))
        except (EOFError, gzip.BadGzipFile, zipfile.BadZipFile, zlib.error) as error:
            raise SeriesError(f"the file is damaged or truncated ({error})") from error
        self._n_bytes += len(data)
        size = self._counted.n_bytes if self._counted else self._size or 0
        check_expansion(self._n_bytes, size)
        buffer[: len(data)] = data
        return len(data)


class _Counted:
    """A file that counts the bytes that are read of it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self.n_bytes = file, 0

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.n_bytes += len(data)
        return data


def check_expansion(n_bytes: int, size: int) -> None:
    """Refuse what expands too far.

    Args:
        n_bytes: that it expands to.
        size: its own bytes.

    Raises:
        SeriesError: it does.
    """
    if n_bytes > max(_LEAST_LIMIT, _MOST_EXPANDED * size):
        raise SeriesError(
            f"it expands to more than {_MOST_EXPANDED} times its size: unpack it first, if that is "
            "meant"
        )
