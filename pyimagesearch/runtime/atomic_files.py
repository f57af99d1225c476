"""Write files and folders atomically, whole or not at all, and files that grow by whole rows."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO

from pyimagesearch.runtime import locks, system
from pyimagesearch.runtime.console import UserError, printable
from pyimagesearch.runtime.locks import is_still, open_locked, try_lock

PARTIAL = ".partial"
_UNFINISHED = ".unfinished"
_MOST_NAME_BYTES = 128


@contextlib.contextmanager
def atomic_write(path: str) -> Iterator[BinaryIO]:
    """Open a file for writing that appears under its name only when it is complete.

    It is written next to its final place, flushed to the disk and renamed. On any error nothing
    is left behind, and an older file of that name stays as it was. What a killed process has left
    there is taken over by the next one that writes the file.

    Raises:
        OSError: with ``path`` as its file name.
    """
    with _named(path), _unfinished(path) as (file, unfinished):
        yield file
        file.flush()
        os.fsync(file.fileno())
        _let_go(file)
        _put_in_place(unfinished, path)


@contextlib.contextmanager
def _named(path: str, suffix: str = _UNFINISHED) -> Iterator[None]:
    """Have errors say the file that the user knows of: writing fails without a name."""
    beside = _name_beside(path, suffix)
    try:
        yield
    except OSError as error:
        in_the_way = error.filename == beside and os.path.lexists(beside)
        if (error.filename in (None, beside) and not in_the_way) or error.filename2 == path:
            error.filename, error.filename2 = path, None
        raise


@contextlib.contextmanager
def _unfinished(path: str) -> Iterator[tuple[BinaryIO, str]]:
    """An empty file next to another, and its name; removed on an error.

    It always has the same name, and whoever writes it holds a lock, so that what a killed process
    has left is found again, and not taken for what a living one writes.
    """
    name = _name_beside(path, _UNFINISHED)
    handle, is_locked = open_locked(name, _open_unfinished, path)
    if not is_locked:  # one with a name of its own, which stays after a kill
        import tempfile  # 10 ms

        os.close(handle)
        os.unlink(name)
        folder = os.path.dirname(path) or "."
        handle, name = tempfile.mkstemp(prefix=".", suffix=_UNFINISHED, dir=folder)
    with os.fdopen(handle, "wb") as file:
        try:
            os.ftruncate(handle, 0)
            yield file, name
        except BaseException:
            if file.closed or is_still(handle, name):
                _let_go(file)
                os.unlink(name)
            raise


def _open_unfinished(name: str) -> int:
    return os.open(name, os.O_RDWR | os.O_CREAT | system.NO_LINK | system.BINARY, 0o600)


def _let_go(file: BinaryIO | RowFile) -> None:
    """Close a file that is about to be renamed or removed, where that takes closed ones."""
    if not system.MOVES_OPEN_FILES:
        file.close()


def _name_beside(path: str, suffix: str) -> str:
    folder, name = os.path.split(path)
    if len(os.fsencode(name)) > _MOST_NAME_BYTES:  # no longer than any file system takes
        name = hashlib.sha256(os.fsencode(name)).hexdigest()[:32]
    return os.path.join(folder, f".{name}{suffix}")


def write_bytes(path: str, content: bytes) -> None:
    """Write a file as ``atomic_write`` does."""
    with atomic_write(path) as file:
        file.write(content)


class RowFile:
    """A file that grows by whole rows: of a row that does not fit on the disk, nothing stays.

    Each row is passed to the system at once, so that a killed program loses none; ``sync`` puts
    them on the disk, so that a power cut loses none, either.

    Args:
        path: of the file; created if it does not exist, else kept as it is.

    Attributes:
        path: of the file.
        size: bytes of it that are whole rows.

    Raises:
        OSError: here and in every method, with ``path`` as its file name.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._handle: int | None = os.open(path, os.O_RDWR | os.O_CREAT | system.BINARY, 0o666)
        if not stat.S_ISREG(os.fstat(self._handle).st_mode):
            os.close(self._handle)
            raise OSError(errno.EINVAL, "not a regular file", path)
        self.size = os.fstat(self._handle).st_size

    def write(self, row: bytes) -> None:
        """Append a row."""
        left = row
        try:
            while left:  # a disk that is nearly full accepts a part, and refuses the rest
                left = left[system.write_at(self._handle, left, self.size + len(row) - len(left)) :]
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._handle, self.size)
            error.filename = self.path
            raise
        self.size += len(row)

    def truncate(self, size: int) -> None:
        """Keep the first ``size`` bytes only."""
        with self._named():
            os.ftruncate(self._handle, size)
        self.size = size

    def sync(self) -> None:
        """Wait until everything is on the disk."""
        with self._named():
            os.fsync(self._handle)

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            error.filename = self.path
            raise

    def lock(self) -> bool:
        """Lock it against other processes until it is closed; False where one has locked it."""
        with self._named():
            return try_lock(self._handle) is not False

    def close(self) -> None:
        """Close it, unless that was done."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def remove(self) -> None:
        """Remove it and close it; if the system can, in this order, so that no other run has it."""
        try:
            _let_go(self)
            os.unlink(self.path)
        finally:
            self.close()


@contextlib.contextmanager
def atomic_rows(path: str, kept: int = 0) -> Iterator[RowFile]:
    """Open a file of rows that appears under its name only when it is complete.

    Until then it grows next to its final place, as ``path`` with ``PARTIAL`` at its end. On any
    error the partial file stays, and an older file of that name stays as it was.

    Args:
        path: of the file.
        kept: so many bytes stay of a partial file that is there.

    Raises:
        OSError: it cannot be written.
    """
    check_replaceable_file(path)
    file = open_rows(f"{path}{PARTIAL}", path)
    try:
        file.truncate(kept)
        yield file
        file.sync()
        _let_go(file)
        _put_in_place(file.path, path)
    finally:
        file.close()


def check_replaceable_file(path: str) -> None:
    """Refuse to replace a folder, a device or a pipe by a file.

    Raises:
        IsADirectoryError, FileExistsError: it is one of these; with ``path`` as its file name.
    """
    if os.path.isdir(path):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if os.path.exists(path) and not os.path.isfile(path):
        raise FileExistsError(errno.EEXIST, "not a regular file, and not replaced", path)


def open_rows(path: str, reported_as: str) -> RowFile:
    """Open a ``RowFile`` that accompanies another file.

    Raises:
        OSError: with ``reported_as``, the file that the user knows of, as its file name.
    """
    try:
        return RowFile(path)
    except OSError as error:
        error.filename = reported_as
        raise


def _put_in_place(unfinished: str, path: str) -> None:
    os.chmod(unfinished, _mode_for(path))
    os.replace(unfinished, path)


@contextlib.contextmanager
def atomic_folder(path: str, marker: str) -> Iterator[str]:
    """Fill a folder that appears under its name only when it is complete.

    It is filled next to its final place and renamed. On any error nothing is left behind, and an
    older folder of that name stays as it was. An older one is replaced as a whole, with every file
    in it, but only where it is empty or holds ``marker``.

    Args:
        path: of the folder.
        marker: name of a file that the caller writes into the folder, by which a later call knows
            it.

    Yields:
        The folder to write into.

    Raises:
        FileExistsError: another folder has that name; with ``path`` as its file name.
        OSError: it cannot be written.
    """
    path = path.rstrip(system.SEPARATORS) or path
    check_replaceable_folder(path, marker)
    path = os.path.abspath(path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with scratch_folder(path) as filled:
        replaced = _make_room(path, marker)
        yield filled
        _put_folder_in_place(filled, path, replaced)


def _make_room(path: str, marker: str) -> str:
    """The name that an older folder has while it is replaced, by which none is left of a kill."""
    replaced = _name_beside(path, ".replaced")
    check_replaceable_folder(replaced, marker)
    if not os.path.lexists(path) and os.path.isdir(replaced):
        os.rename(replaced, path)  # killed between the two steps of replacing it
    shutil.rmtree(replaced, ignore_errors=True)
    return replaced


def _put_folder_in_place(filled: str, path: str, replaced: str) -> None:
    if os.path.isdir(path):
        os.rename(path, replaced)
    try:
        os.rename(filled, path)
    except BaseException:
        if os.path.isdir(replaced):
            os.rename(replaced, path)
        raise
    shutil.rmtree(replaced, ignore_errors=True)


@contextlib.contextmanager
def growing_folder(path: str, marker: str, resume: bool) -> Iterator[str]:
    """Fill a folder that appears under its name only when it is complete, and that may be resumed.

    Until then it grows next to its final place, as ``path`` with ``PARTIAL`` at its end. On any
    error it stays there, unless nothing but the marker is in it, and an older folder of that name
    stays as it was.

    Args:
        path: of the folder.
        marker: as of ``atomic_folder``; a partial folder must hold it, too, or be empty.
        resume: whether to keep what an interrupted call has left; otherwise it is removed.

    Yields:
        The folder to write into.

    Raises:
        FileExistsError: another folder has that name; with ``path`` as its file name.
        OSError: it cannot be written.
    """
    path = os.path.abspath(path)
    partial = path + PARTIAL
    for name in (path, partial):
        check_replaceable_folder(name, marker)
    replaced = _make_room(path, marker)
    os.makedirs(partial, exist_ok=True)
    with locked_folder(partial):
        if not resume:
            _empty(partial)
        try:
            yield partial
            _put_folder_in_place(partial, path, replaced)
        except BaseException:
            if os.path.isdir(partial) and set(os.listdir(partial)) <= {marker}:
                shutil.rmtree(partial)
            raise


@contextlib.contextmanager
def scratch_folder(path: str, suffix: str = _UNFINISHED) -> Iterator[str]:
    """Make a folder next to a file or a folder, for what that is made of.

    It is removed in the end, unless it was renamed; that of a killed process is emptied first.

    Args:
        path: of the file or folder that is written.
        suffix: of the folder's name.

    Yields:
        The empty folder.

    Raises:
        OSError: another process is writing there, or what is written there does not fit on the
            disk; with ``path`` as its file name.
    """
    folder = _name_beside(path, suffix)
    lock = locks.name_of(folder)
    with _named(path, suffix):
        handle, is_locked = open_locked(lock, lambda name: _open_scratch(folder, name), path)
    try:
        if is_locked:
            _empty(folder)
        else:  # one with a name of its own, which stays after a kill
            import tempfile

            os.rmdir(folder)
            folder = tempfile.mkdtemp(prefix=".", suffix=suffix, dir=os.path.dirname(path) or ".")
        yield folder
    except OSError as error:
        if error.filename is None or str(error.filename).startswith(folder):
            error.filename, error.filename2 = path, None
        raise
    finally:
        if not is_locked or is_still(handle, lock):
            shutil.rmtree(folder, ignore_errors=True)
        locks.close_lock(handle, lock)


def _open_scratch(folder: str, lock: str) -> int:
    while True:
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder)
        with contextlib.suppress(FileNotFoundError):  # removed meanwhile
            return locks.open_lock(lock, system.NO_LINK)


def _empty(folder: str) -> None:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                os.unlink(entry.path)


@contextlib.contextmanager
def locked_folder(path: str) -> Iterator[None]:
    """Keep other processes from a folder that several files are written into.

    Raises:
        OSError: another one has it; with ``path`` as its file name.
    """
    lock = locks.name_of(os.path.realpath(path))  # of a link, what it leads to
    handle, _ = open_locked(lock, locks.open_lock, path)
    try:
        yield
    finally:
        locks.close_lock(handle, lock)


def check_replaceable_folder(path: str, marker: str) -> None:
    """Refuse to replace a folder that was not made by ``atomic_folder``.

    Args:
        path: of the folder; it need not exist.
        marker: as of ``atomic_folder``.

    Raises:
        FileExistsError, NotADirectoryError: something else has that name.
    """
    if not os.path.lexists(path):
        return
    if not os.path.isdir(path):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
    others = [name for name in os.listdir(path) if not name.endswith(_UNFINISHED)]
    if others and not os.path.exists(os.path.join(path, marker)):
        reason = f"not replaced, since it is not empty and holds no {marker}"
        raise FileExistsError(errno.EEXIST, reason, path)


def make_folders(path: str) -> list[str]:
    """Create a folder, and its missing parents.

    Returns:
        Those that were created, the innermost first.

    Raises:
        OSError: it cannot be created, or is no folder; then none is created.
    """
    path = path.rstrip(system.SEPARATORS) or path
    missing, made = [], []
    above = path
    while above and not os.path.lexists(above):
        missing.append(above)
        above = os.path.dirname(above)
    try:
        for folder in reversed(missing):
            os.makedirs(folder, exist_ok=True)
            made.insert(0, folder)
        if not os.path.isdir(path):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
    except OSError:
        remove_empty(made)
        raise
    return made


def remove_empty(folders: Iterable[str]) -> None:
    """Remove those of the folders that are empty, in the order given."""
    for folder in folders:
        with contextlib.suppress(OSError):
            os.rmdir(folder)


def check_writable(path: str) -> None:
    """Check, before long work, that a file can be written.

    Raises:
        OSError: it cannot; with ``path`` as its file name.
    """
    if os.path.isdir(path):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    with _named(path), _unfinished(path) as (file, unfinished):
        _let_go(file)
        os.unlink(unfinished)


def _mode_for(path: str) -> int:
    # An unfinished file is private; use the mode that open() would have used.
    try:
        return stat.S_IMODE(os.stat(path).st_mode)
    except FileNotFoundError:
        umask = os.umask(0)
        os.umask(umask)
        return 0o666 & ~umask


def is_inside(path: str, folder: str) -> bool:
    """Whether a path lies inside a folder, or is it, whatever links lead there."""
    real = os.path.realpath(folder)
    with contextlib.suppress(ValueError):  # on two drives
        return os.path.commonpath([real, os.path.realpath(path)]) == real
    return False


def refuse_output_inside_input(folder: str, inputs: Sequence[str]) -> None:
    """Refuse to write pictures where a later run would read them as input.

    Args:
        folder: to write into.
        inputs: files and folders.

    Raises:
        UserError: the folder lies inside one of the inputs.
    """
    for path in inputs:
        if os.path.isdir(path) and is_inside(folder, path):
            raise UserError(
                f"the output folder {printable(folder)} lies inside {printable(path)}, "
                "where its pictures would be read as input"
            )
