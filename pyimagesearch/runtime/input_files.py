"""Files that a user names: opened without blocking, and only where they end."""

from __future__ import annotations

import errno
import os
import stat
from typing import BinaryIO

from pyimagesearch.runtime import system


def open_input(path: str) -> BinaryIO:
    """Open a file for reading bytes.

    A pipe without a writer would block when it is opened, a device when it is read, and some files
    of the system (``/proc/kmsg``) say that they are regular and block all the same: they are found
    out by reading a byte.

    Args:
        path: of a regular file.

    Raises:
        OSError: it cannot be opened or read, or is not a regular file; with ``path`` as its file
            name.
    """
    if "\0" in path:  # the system would take it for the end of the name
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    file = open(path, "rb", opener=_open_without_blocking)  # noqa: SIM115
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "not a regular file", path)
    try:
        os.read(file.fileno(), 1)
        file.seek(0)
    except OSError as error:
        file.close()
        reason = "it has no end" if isinstance(error, BlockingIOError) else error.strerror
        raise OSError(error.errno, reason, path) from error
    return file


def read_input(path: str, max_bytes: int) -> bytes:
    """Return a file's bytes.

    Args:
        path: of a regular file.
        max_bytes: that it may have.

    Raises:
        OSError: as of ``open_input``; or it has more bytes.
    """
    with open_input(path) as file:
        # As many bytes as are asked for are reserved at once.
        size = min(os.fstat(file.fileno()).st_size, max_bytes)
        data = file.read(size + 1)
        if size < len(data) <= max_bytes:  # it has grown, or does not tell its size
            data += file.read(max_bytes + 1 - len(data))
    if len(data) > max_bytes:
        raise OSError(errno.EFBIG, f"more than {max_bytes / 1e9:,.1f} GB", path)
    return data


def _open_without_blocking(path: str, flags: int) -> int:
    if not system.WITHOUT_WAITING:  # then what might block is not opened at all
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
    return os.open(path, flags | system.WITHOUT_WAITING)


def file_state(path: str) -> tuple[int, ...] | None:
    """What a file that has changed differs in; None where there is none, or nobody may look."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino
