"""Write files that are there whole or not at all, and files that grow by whole rows."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO

from pyimagesearch.runtime.console import UserError, printable

PARTIAL = ".partial"


@contextlib.contextmanager
def written_whole(path: str) -> Iterator[BinaryIO]:
    """Open a file for writing that appears under its name only when it is complete.

    It is written beside its place, flushed to the disk and renamed; on any error nothing is left
    and an older file of that name stays as it was.

    Raises:
        OSError: with ``path`` as its file name.
    """
    temporary = None
    try:
        handle, temporary = _open_beside(path)
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _put_in_place(temporary, path)
    except BaseException as error:
        if temporary is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
        # Writing to the file fails without a name, opening and renaming with the temporary one.
        if isinstance(error, OSError) and error.filename in (None, temporary):
            error.filename, error.filename2 = path, None
        raise


def write_bytes(path: str, content: bytes) -> None:
    """Write a file as ``written_whole`` does."""
    with written_whole(path) as file:
        file.write(content)


class RowFile:
    """A file that grows by whole rows: of a row that does not fit, nothing stays.

    Each row is handed to the system at once, so that a killed program loses none; ``sync`` puts
    them on the disk, so that a power cut does not, either.

    Args:
        path: of the file; made if it is not there, else as it is.

    Attributes:
        path: of the file.
        size: bytes of it that are whole rows.

    Raises:
        OSError: here and in every method, with ``path`` as its file name.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        self.size = os.fstat(self._handle).st_size

    def write(self, row: bytes) -> None:
        """Append a row."""
        left = row
        try:
            while left:  # a disk that is nearly full takes a part, and refuses the rest
                left = left[os.pwrite(self._handle, left, self.size + len(row) - len(left)) :]
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(self._handle, self.size)
            error.filename = self.path
            raise
        self.size += len(row)

    def cut(self, size: int) -> None:
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
        """Keep others from locking it until it is closed; whether none has it locked."""
        import fcntl

        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:  # not every network's file system can
            if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
                error.filename = self.path
                raise
        return True

    def close(self) -> None:
        """Close it."""
        os.close(self._handle)


@contextlib.contextmanager
def written_in_sight(path: str) -> Iterator[RowFile]:
    """Open a file of rows that appears under its name only when it is complete.

    Until then it grows beside its place, as ``path`` with ``PARTIAL`` at its end. On any error the
    partial file stays, and an older file of that name stays as it was.

    Raises:
        OSError: it cannot be written.
    """
    check_only_a_file(path)
    file = open_rows(f"{path}{PARTIAL}", path)
    try:
        file.cut(0)
        yield file
        file.sync()
        _put_in_place(file.path, path)
    finally:
        file.close()


def check_only_a_file(path: str) -> None:
    """Refuse to replace a folder, a device or a pipe by a file.

    Raises:
        FileExistsError: there is one under that name; with ``path`` as its file name.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        raise FileExistsError(errno.EEXIST, "this is not a file that could be replaced", path)


def open_rows(path: str, meant: str) -> RowFile:
    """Open a ``RowFile`` that is kept for another file.

    Raises:
        OSError: with ``meant``, the file that the user knows of, as its file name.
    """
    try:
        return RowFile(path)
    except OSError as error:
        error.filename = meant
        raise


def _put_in_place(temporary: str, path: str) -> None:
    os.chmod(temporary, _mode_for(path))
    os.replace(temporary, path)


@contextlib.contextmanager
def folder_written_whole(path: str, mark: str) -> Iterator[str]:
    """Fill a folder that appears under its name only when it is complete.

    It is filled beside its place and renamed; on any error nothing is left, and an older folder of
    that name stays as it was. An older one is replaced whole, files of its own included, but only
    where it is empty or holds ``mark``.

    Args:
        path: of the folder.
        mark: name of a file that is written into the folder, and tells that it was made this way.

    Yields:
        The folder to write into.

    Raises:
        FileExistsError: there is something else under that name; with ``path`` as its file name.
        OSError: it cannot be written.
    """
    path = path.rstrip(os.sep) or path
    check_replaceable(path, mark)
    parent, name = os.path.split(os.path.abspath(path))
    filled, replaced = (os.path.join(parent, f".{name}.{kind}") for kind in ("partial", "replaced"))
    os.makedirs(parent, exist_ok=True)
    for left_by_a_killed_run in (filled, replaced):
        shutil.rmtree(left_by_a_killed_run, ignore_errors=True)
    os.mkdir(filled)
    try:
        yield filled
        if os.path.isdir(path):
            os.rename(path, replaced)
        os.rename(filled, path)
    except BaseException:
        shutil.rmtree(filled, ignore_errors=True)
        raise
    shutil.rmtree(replaced, ignore_errors=True)


def check_replaceable(path: str, mark: str) -> None:
    """Refuse to replace a folder that was not made by ``folder_written_whole``.

    Args:
        path: of the folder; it need not exist.
        mark: as of ``folder_written_whole``.

    Raises:
        FileExistsError, NotADirectoryError: there is something else under that name.
    """
    if not os.path.lexists(path):
        return
    if not os.path.isdir(path):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
    if os.listdir(path) and not os.path.exists(os.path.join(path, mark)):
        reason = f"not empty, and not a folder that would be replaced (it holds no {mark})"
        raise FileExistsError(errno.EEXIST, reason, path)


def make_folders(path: str) -> list[str]:
    """Make a folder, and those above it, where they are missing.

    Returns:
        Those that were made, the inmost first.

    Raises:
        OSError: it cannot be made, or is no folder; then none is.
    """
    path = path.rstrip(os.sep) or path
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
    """Remove folders, one after the other, as far as nothing is in them."""
    for folder in folders:
        with contextlib.suppress(OSError):
            os.rmdir(folder)


def check_writable(path: str) -> None:
    """Find out, before long work, whether a file could be written.

    Raises:
        OSError: it could not; with ``path`` as its file name.
    """
    if os.path.isdir(path):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    handle, temporary = _open_beside(path)
    os.close(handle)
    os.unlink(temporary)


def _open_beside(path: str) -> tuple[int, str]:
    import tempfile  # 10 ms that runs which write no file should not pay

    try:
        return tempfile.mkstemp(
            prefix=f".{os.path.basename(path)[:64]}.",
            suffix=".tmp",
            dir=os.path.dirname(path) or ".",
        )
    except OSError as error:
        error.filename = path
        raise


def _mode_for(path: str) -> int:
    # mkstemp's files are private; give the mode that open() would have given.
    try:
        return stat.S_IMODE(os.stat(path).st_mode)
    except FileNotFoundError:
        umask = os.umask(0)
        os.umask(umask)
        return 0o666 & ~umask


def refuse_output_inside_input(folder: str, inputs: Sequence[str]) -> None:
    """Refuse to write pictures where they would be taken for input.

    Args:
        folder: to write into.
        inputs: files and folders.

    Raises:
        UserError: the folder lies inside one of the inputs.
    """
    output = os.path.realpath(folder)
    for path in inputs:
        looked_at = os.path.realpath(path)
        if os.path.isdir(looked_at) and os.path.commonpath([looked_at, output]) == looked_at:
            raise UserError(
                f"the output folder {printable(folder)} lies inside {printable(path)}, "
                "where its pictures would be taken for input"
            )
