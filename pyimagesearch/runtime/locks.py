"""Locks on files and folders: what a killed process has left is told from what a living one uses.

A lock belongs to an open file and ends with the processes that have it open, however they end.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Callable

from pyimagesearch.runtime import system

# Whoever wants what another process has locked waits for so long.
SECONDS_FOR_OTHERS = 5.0
_SECONDS_BETWEEN_TRIES = 0.02
# Not every network file system can lock, and some of them no folders.
_CANNOT_LOCK = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF)


def try_lock(handle: int) -> bool | None:
    """Lock an open file against other processes; None where nothing can be locked.

    Raises:
        OSError: something else is wrong with it.
    """
    try:
        return system.lock(handle)
    except OSError as error:
        if error.errno not in _CANNOT_LOCK:
            raise
        return None


def open_locked(
    name: str, open_: Callable[[str], int], reported_as: str | None = None
) -> tuple[int, bool]:
    """Open a file or folder and lock it, once no other process has it.

    Args:
        name: of it.
        open_: opens it.
        reported_as: the file that the user knows of; None means ``name``.

    Returns:
        A handle, whose closing ends the lock; and whether there is one, which not every file
        system can do.

    Raises:
        OSError: another process has it, or it cannot be opened.
    """
    until = time.monotonic() + SECONDS_FOR_OTHERS
    while True:
        handle = open_(name)
        try:
            locked = try_lock(handle)
            # Who had it may have renamed or removed it before this process had it.
            if locked is None or (locked and is_still(handle, name)):
                return handle, bool(locked)
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
        if time.monotonic() > until:
            raise OSError(errno.EBUSY, "another process is writing it", reported_as or name)
        if not locked:
            time.sleep(_SECONDS_BETWEEN_TRIES)


def name_of(folder: str) -> str:
    """What is locked for a folder: itself, or a file next to it where no folder can be opened."""
    if system.OPENS_FOLDERS:
        return folder
    above, name = os.path.split(os.path.abspath(folder))
    return os.path.join(above, f".{name}.lock")


def open_lock(name: str, flags: int = 0) -> int:
    """Open what ``name_of`` names, such as with ``system.NO_LINK``.

    Raises:
        OSError: there is no such folder.
    """
    if system.OPENS_FOLDERS:
        return os.open(name, os.O_RDONLY | system.FOLDER | flags)
    return os.open(name, os.O_RDWR | os.O_CREAT, 0o600)


def close_lock(handle: int, name: str) -> None:
    """Release what ``open_lock`` has opened, and remove it if it is no folder."""
    os.close(handle)
    if not system.OPENS_FOLDERS:
        with contextlib.suppress(OSError):  # another process has it by now
            os.unlink(name)


def is_still(handle: int, name: str) -> bool:
    """Whether an open file or folder still has a name."""
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(handle), os.stat(name, follow_symlinks=False))
    return False
