"""Have the package find a system that is not Unix, in every Python process with this folder's path.

Python imports this module when it starts, workers included. To the package, and to nothing else,
modules, functions and constants that Windows does not have are missing, processes start by
``spawn`` alone, open files can neither be renamed nor removed, folders cannot be opened, and
``select`` knows no pipes. Locks are those of Windows' C library, by Linux' own means.

What it cannot show: paths with drives and backslashes, names without case, line ends, and what the
libraries do there.
"""

import builtins
import contextlib
import ctypes
import errno
import fcntl
import multiprocessing
import os
import select
import signal
import struct
import types

MISSING_MODULES = (
    "fcntl resource termios tty pty pwd grp spwd crypt syslog posix _posixsubprocess".split()
)
OF_OS = """
    chown chroot fchmod fchown fork forkpty getegid geteuid getgid getgroups getloadavg getpgid
    getpgrp getuid initgroups killpg lchown mkfifo mknod nice openpty posix_fadvise posix_fallocate
    posix_spawn pread preadv pwrite pwritev register_at_fork sched_getaffinity sched_setaffinity
    sendfile setpgid setsid setuid statvfs sync sysconf tcgetpgrp uname wait wait4 waitid O_CLOEXEC
    O_DIRECTORY O_NOFOLLOW O_NONBLOCK WNOHANG
"""
OF_SIGNAL = """
    SIGALRM SIGCHLD SIGCONT SIGHUP SIGKILL SIGPIPE SIGQUIT SIGSTOP SIGTSTP SIGUSR1 SIGUSR2 SIGXCPU
    SIGXFSZ alarm pause pthread_kill pthread_sigmask setitimer siginterrupt sigpending sigwait
"""
_O_BINARY = 0x8000


class Substitute(types.ModuleType):
    """A module without some of its names, and with others in their place."""

    def __init__(self, module, missing="", **instead):
        super().__init__(module.__name__)
        self.__dict__.update(_module=module, _missing=frozenset(missing.split()), **instead)

    def __getattr__(self, name):
        if name in self._missing:
            raise AttributeError(f"this system has no {self.__name__}.{name}")
        return getattr(self._module, name)


def _open(path, flags, mode=0o777, **options):
    if os.path.isdir(path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
    return os.open(path, flags & ~_O_BINARY, mode, **options)


def _listdir(path="."):
    if os.fsdecode(path).startswith("/proc"):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    return os.listdir(path)


def _only_closed(function):
    """A function of ``os`` that refuses files that this process has open, or that lie below."""

    def checked(*paths, **options):
        for path in map(os.path.realpath, map(os.fsdecode, paths)):
            if any(name == path or name.startswith(f"{path}/") for name in _open_files()):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        if function is os.rename and os.path.lexists(paths[1]):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), paths[1])
        return function(*paths, **options)

    return checked


def _open_files():
    for handle in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            yield os.readlink(f"/proc/self/fd/{handle}")


def _start_method(method=None):
    if method != "spawn":
        raise ValueError(f"cannot find context for {method!r}")
    return multiprocessing.get_context(method)


def _select(*_):
    raise OSError(errno.ENOTSOCK, os.strerror(errno.ENOTSOCK))


def _locking(handle, _mode, n_bytes):
    """``msvcrt.locking``: of bytes from where the file is, against others that have it open."""
    place = os.lseek(handle, 0, os.SEEK_CUR)
    wanted = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, place, n_bytes, 0)
    try:
        fcntl.fcntl(handle, fcntl.F_OFD_SETLK, wanted)
    except BlockingIOError as error:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES)) from error


def _no_such_library(name):
    raise TypeError(f"no library {name}")


_msvcrt = types.ModuleType("msvcrt")
_msvcrt.locking, _msvcrt.LK_NBLCK = _locking, 2
_os = Substitute(
    os,
    OF_OS,
    open=_open,
    listdir=_listdir,
    O_BINARY=_O_BINARY,
    **{
        name: _only_closed(getattr(os, name))
        for name in ("rename", "replace", "unlink", "remove", "rmdir")
    },
)
FOUND = {
    "os": _os,
    "signal": Substitute(signal, OF_SIGNAL),
    "ctypes": Substitute(ctypes, CDLL=_no_such_library),
    "select": Substitute(select, "poll epoll", select=_select),
    "multiprocessing": Substitute(
        multiprocessing, get_context=_start_method, get_all_start_methods=lambda: ["spawn"]
    ),
    "msvcrt": _msvcrt,
}
_import = builtins.__import__


def _import_here(name, globals=None, locals=None, fromlist=(), level=0):
    if level == 0 and globals and globals.get("__name__", "").startswith("pyimagesearch"):
        if name in MISSING_MODULES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        if name in FOUND:
            return FOUND[name]
    return _import(name, globals, locals, fromlist, level)


if __name__ == "sitecustomize":  # and not where its names are only read
    builtins.__import__ = _import_here
