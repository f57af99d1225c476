"""Write files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from typing import BinaryIO


@contextlib.contextmanager
def written_whole(path: str) -> Iterator[BinaryIO]:
    """Open a file for writing that appears under its name only when it is complete.

    It is written beside its place, flushed to the disk and renamed; on any error nothing is left
    and an older file of that name stays as it was.
    """
    import tempfile  # 10 ms that runs which write no file should not pay

    folder = os.path.dirname(path) or "."
    handle, temporary = tempfile.mkstemp(
        prefix=f".{os.path.basename(path)[:64]}.", suffix=".tmp", dir=folder
    )
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, _mode_for(path))
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def _mode_for(path: str) -> int:
    # mkstemp's files are private; give the mode that open() would have given.
    try:
        return stat.S_IMODE(os.stat(path).st_mode)
    except FileNotFoundError:
        umask = os.umask(0)
        os.umask(umask)
        return 0o666 & ~umask
