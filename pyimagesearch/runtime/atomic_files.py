"""Write files and folders atomically, whole or not at all, and files that grow by whole rows."""

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
def atomic_write(path: str) -> Iterator[BinaryIO]:
    """Open a file for writing that appears under its name only when it is complete.

    It is written next to its final place, flushed to the disk and renamed. On any error nothing
    is left behind, and an older file of that name stays as it was.

    Raises:
        OSError: with ``path`` as its file name.
    """
    temporary = None
    try:
        handle, temporary = _open_temporary(path)
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
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        self.size = os.fstat(self._handle).st_size

    def write(self, row: bytes) -> None:
        """Append a row."""
        left = row
        try:
            while left:  # a disk that is nearly full accepts a part, and refuses the rest
                left = left[os.pwrite(self._handle, left, self.size + len(row) - len(left)) :]
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
        import fcntl

        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:  # not every network file system can lock
            if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
                error.filename = self.path
                raise
        return True

    def close(self) -> None:
        """Close it."""
        os.close(self._handle)


@contextlib.contextmanager
def atomic_rows(path: str) -> Iterator[RowFile]:
    """Open a file of rows that appears under its name only when it is complete.

    Until then it grows next to its final place, as ``path`` with ``PARTIAL`` at its end. On any
    error the partial file stays, and an older file of that name stays as it was.

    Raises:
        OSError: it cannot be written.
    """
    check_replaceable_file(path)
    file = open_rows(f"{path}{PARTIAL}", path)
    try:
        file.truncate(0)
        yield file
        file.sync()
        _put_in_place(file.path, path)
    finally:
        file.close()


def check_replaceable_file(path: str) -> None:
    """Refuse to replace a folder, a device or a pipe by a file.

    Raises:
        FileExistsError: ``path`` is one of these; with ``path`` as its file name.
    """
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


def _put_in_place(temporary: str, path: str) -> None:
    os.chmod(temporary, _mode_for(path))
    os.replace(temporary, path)


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
    path = path.rstrip(os.sep) or path
    check_replaceable_folder(path, marker)
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
    if os.listdir(path) and not os.path.exists(os.path.join(path, marker)):
        reason = f"not replaced, since it is not empty and holds no {marker}"
        raise FileExistsError(errno.EEXIST, reason, path)


def make_folders(path: str) -> list[str]:
    """Create a folder, and its missing parents.

    Returns:
        Those that were created, the innermost first.

    Raises:
        OSError: it cannot be created, or is no folder; then none is created.
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
    handle, temporary = _open_temporary(path)
    os.close(handle)
    os.unlink(temporary)


def _open_temporary(path: str) -> tuple[int, str]:
    import tempfile  # 10 ms that runs without output files should not pay

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
    # mkstemp's files are private; use the mode that open() would have used.
    try:
        return stat.S_IMODE(os.stat(path).st_mode)
    except FileNotFoundError:
        umask = os.umask(0)
        os.umask(umask)
        return 0o666 & ~umask


def refuse_output_inside_input(folder: str, inputs: Sequence[str]) -> None:
    """Refuse to write pictures where a later run would read them as input.

    Args:
        folder: to write into.
        inputs: files and folders.

    Raises:
        UserError: the folder lies inside one of the inputs.
    """
    output = os.path.realpath(folder)
    for path in inputs:
        input_path = os.path.realpath(path)
        if os.path.isdir(input_path) and os.path.commonpath([input_path, output]) == input_path:
            raise UserError(
                f"the output folder {printable(folder)} lies inside {printable(path)}, "
                "where its pictures would be read as input"
            )
