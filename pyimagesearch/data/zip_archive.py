"""Zip archives from others: whatever a mangled one leads to is one error."""

from __future__ import annotations

import contextlib
import errno
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO

# What zipfile raises beside errors of its own: for what is encrypted or of a later version, for
# numbers that do not fit together, for names that are no text.
_OF_MANGLED = (
    *(zipfile.BadZipFile, EOFError, struct.error, zlib.error),
    *(ArithmeticError, AttributeError, LookupError, MemoryError, RuntimeError, TypeError),
    ValueError,
)


@contextlib.contextmanager
def open_archive(file: BinaryIO, refusal: type[ValueError]) -> Iterator[zipfile.ZipFile]:
    """Open an archive for reading, as a context in which it is also read.

    Args:
        file: the archive.
        refusal: the caller's own error, which passes.

    Raises:
        ValueError: the ``refusal``, for an archive that is damaged, truncated or encrypted.
        OSError: the file cannot be read.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            yield archive
    except refusal:
        raise
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise refusal("the file is damaged or truncated (it points outside itself)") from error
    except _OF_MANGLED as error:
        raise refusal(f"the file is damaged or truncated ({error})") from error
