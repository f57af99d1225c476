"""What not every system has: locks, limits, signals, and ways to start and end processes.

No other module of the package asks for such things. Each says what holds on a system without it.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import math
import multiprocessing
import os
import queue
import select
import signal
import threading
import time
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING, Any, BinaryIO

from pyimagesearch.runtime.interrupts import DeferredInterrupt

try:
    import fcntl
except ImportError:
    fcntl = None
try:
    import msvcrt  # of Windows alone
except ImportError:
    msvcrt = None
try:
    import resource
except ImportError:
    resource = None
if TYPE_CHECKING:
    import subprocess

MOVES_OPEN_FILES = msvcrt is None  # Windows neither renames nor removes them
OPENS_FOLDERS = hasattr(os, "O_DIRECTORY")
FOLDER = getattr(os, "O_DIRECTORY", 0)
NO_LINK = getattr(os, "O_NOFOLLOW", 0)
BINARY = getattr(os, "O_BINARY", 0)
WITHOUT_WAITING = getattr(os, "O_NONBLOCK", 0)
SEPARATORS = os.sep + (os.altsep or "")
# Beyond what is written: Windows lets nobody else read what is locked. Its C library seeks with 31
# bits.
_LOCKED_BYTE = 2**31 - 2


def lock(handle: int) -> bool:
    """Lock an open file against other processes until it is closed; False where one has it.

    Raises:
        OSError: it cannot be locked, such as on a system without locks (ENOSYS).
    """
    try:
        if fcntl is not None:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        elif msvcrt is not None:
            place = os.lseek(handle, 0, os.SEEK_CUR)
            os.lseek(handle, _LOCKED_BYTE, os.SEEK_SET)
            try:
                msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
            finally:
                os.lseek(handle, place, os.SEEK_SET)
        else:
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    except (BlockingIOError, PermissionError):
        return False
    return True


def write_at(handle: int, data: bytes, place: int) -> int:
    """Write to a place of an open file; the number of bytes that were written."""
    if hasattr(os, "pwrite"):
        return os.pwrite(handle, data, place)
    os.lseek(handle, place, os.SEEK_SET)
    return os.write(handle, data)


@contextlib.contextmanager
def named_scratch_file() -> Iterator[tuple[str, BinaryIO]]:
    """A file for code that writes to a name: the name, and the file, open for reading.

    Where open files have names (``/dev/fd``) it has no other, and a kill leaves nothing of it.
    """
    import tempfile  # 10 ms

    if os.path.isdir("/dev/fd"):
        with tempfile.TemporaryFile() as file:
            yield f"/dev/fd/{file.fileno()}", file
        return
    with tempfile.TemporaryDirectory() as folder, open(os.path.join(folder, "it"), "w+b") as file:
        yield file.name, file


def with_slashes(path: str) -> str:
    """A relative path as it stands in files that are read on other systems, too."""
    return path.replace(os.sep, "/")


class TimedInput:
    """Reads what comes from a pipe, a terminal or a file, and waits for so long at most.

    Where the system does not tell whether there is something to read, a thread waits for it.

    Args:
        handle: its file descriptor.
    """

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._blocks: queue.Queue[bytes] | None = None

    def read(self, size: int, seconds: float) -> bytes | None:
        """The next bytes, none at the end; None where none came in time.

        Args:
            size: of them, at most; the same each time.
            seconds: to wait.
        """
        if msvcrt is None:
            is_ready = select.select([self._handle], [], [], seconds)[0]
            return os.read(self._handle, size) if is_ready else None
        if self._blocks is None:
            self._blocks = queue.Queue(maxsize=1)
            threading.Thread(
                target=_read_all, args=(self._handle, size, self._blocks), daemon=True
            ).start()
        with contextlib.suppress(queue.Empty):
            return self._blocks.get(timeout=seconds)
        return None


def _read_all(handle: int, size: int, blocks: queue.Queue[bytes]) -> None:
    while True:
        try:
            block = os.read(handle, size)
        except OSError:  # an end like any other, where nobody waits for errors
            block = b""
        blocks.put(block)


_STARTS = multiprocessing.get_all_start_methods()
MAY_FORK = "fork" in _STARTS
START_METHOD = "forkserver" if "forkserver" in _STARTS else "spawn"  # where none may be forked
_PR_SET_PDEATHSIG = 1  # prctl(2)


def thread_names() -> list[str] | None:
    """The names of this process' threads, whoever started them; None where nothing tells them."""
    try:
        return [_thread_name(thread) for thread in os.listdir("/proc/self/task")]
    except FileNotFoundError:
        return None


def _thread_name(thread: str) -> str:
    with open(f"/proc/self/task/{thread}/comm", encoding="utf-8", errors="replace") as file:
        return file.read().strip()


def end_with_parent() -> None:
    """Have this process end when the one that it works for does, even if that is killed."""
    parent = multiprocessing.parent_process()
    if os.getppid() == parent.pid:
        try:
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        except (AttributeError, TypeError):
            pass  # only Linux has it
        else:
            if os.getppid() == parent.pid:
                return
    # Where the fork server started this one, the system does not know whom it works for, and the
    # server lives as long as any of its processes. Or the parent has ended already.
    threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


def ensure_resource_tracker() -> None:
    """Start the process by which ``multiprocessing`` cleans up, on systems where it has one."""
    if MAY_FORK:
        from multiprocessing import resource_tracker

        resource_tracker.ensure_running()


def available_cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def interrupts_held() -> Iterator[None]:
    """Delay Ctrl-C, and keep it for ever from processes that are started meanwhile.

    Where signals cannot be blocked, it is delayed here only.
    """
    if not hasattr(signal, "pthread_sigmask"):
        with DeferredInterrupt() as interrupt:
            yield
        interrupt.raise_if_requested()
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def apart() -> dict[str, Any]:
    """Arguments of ``subprocess.Popen`` for a program that Ctrl-C does not reach."""
    if hasattr(os, "setsid"):
        return {"start_new_session": True}
    import subprocess

    return {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}


def end_apart(process: subprocess.Popen) -> None:
    """End a program that was started ``apart``, and where the system can, what it has started."""
    with contextlib.suppress(ProcessLookupError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


# Of a process that the system, or it itself, ended at its limit of time: as Process.exitcode.
OUT_OF_TIME = 152 if resource is None else -signal.SIGXCPU
_SECONDS_BETWEEN_LOOKS = 0.05
_ALL, _DATA = 0, 5  # columns of proc(5)'s statm


def leave_no_core() -> None:
    """Have the system write no picture of this process' memory when it ends it."""
    if resource is not None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


@contextlib.contextmanager
def limited_seconds(seconds: float) -> Iterator[None]:
    """For a while, have this process end when it computes for longer; whole seconds, rounded up.

    Where the system does not do that, a thread looks at the clock of the process.
    """
    until = math.ceil(time.process_time() + seconds)
    if resource is not None:
        with _soft("RLIMIT_CPU", until):
            yield
        return
    is_over = threading.Event()
    threading.Thread(target=_end_at, args=(until, is_over), daemon=True).start()
    try:
        yield
    finally:
        is_over.set()


def _end_at(until: float, is_over: threading.Event) -> None:
    while not is_over.wait(_SECONDS_BETWEEN_LOOKS):
        if time.process_time() >= until:
            os._exit(OUT_OF_TIME)


@contextlib.contextmanager
def ended_after(seconds: float) -> Iterator[None]:
    """For a while, have this process end when that takes longer by the clock, in whatever code."""
    if not hasattr(signal, "setitimer"):
        timer = threading.Timer(seconds, os._exit, (1,))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
        return
    # By SIGALRM, which nothing handles: in the code of a library Python would handle no signal.
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def limited_memory(n_bytes: int) -> contextlib.AbstractContextManager[None]:
    """For a while, give this process so many more bytes of memory at most, where that is known."""
    return _soft("RLIMIT_AS", _more_than_now(n_bytes, _ALL))


def limited_data(n_bytes: int) -> contextlib.AbstractContextManager[None]:
    """As ``limited_memory``, but for memory that is only reserved."""
    return _soft("RLIMIT_DATA", _more_than_now(n_bytes, _DATA))


@contextlib.contextmanager
def _soft(name: str, value: int | None) -> Iterator[None]:
    """Lower a limit of this process for a while; it stays where it was if that was lower."""
    kind = getattr(resource, name, None)
    if kind is None or value is None:
        yield
        return
    soft, hard = resource.getrlimit(kind)
    known = [limit for limit in (soft, hard, value) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(kind, (min(known), hard))
    try:
        yield
    finally:
        resource.setrlimit(kind, (soft, hard))


def _more_than_now(n_bytes: int, column: int) -> int | None:
    """The memory that this process has, in a column of proc(5)'s statm, and so much more."""
    if resource is None:
        return None
    with contextlib.suppress(FileNotFoundError), open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[column]) * resource.getpagesize() + n_bytes
    return None
