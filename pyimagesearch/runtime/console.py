"""What a person at a terminal reads: messages, exit statuses, and errors as sentences."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_UNREADABLE = 3
EXIT_ANOMALY = 4
EXIT_INTERRUPTED = 130
STDIN = "-"

_quiet = False
_clear_bar: Callable[[], object] | None = None


class UserError(Exception):
    """Something that the person at the terminal can mend; its text is all that they see."""


def printable(path: str) -> str:
    """A file's name on one line of valid UTF-8, whatever bytes it is made of."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def info(message: str) -> None:
    """Tell what happens, on stderr, unless ``--quiet``."""
    if not _quiet:
        _to_stderr(f"[INFO] {message}")


def warn(message: str) -> None:
    """Tell what went wrong with one input, on stderr."""
    _to_stderr(f"[WARNING] {message}")


def _to_stderr(line: str) -> None:
    # A terminal in another encoding must not stop the work.
    encoding = getattr(sys.stderr, "encoding", None) or "ascii"
    with contextlib.suppress(BrokenPipeError):
        if _clear_bar is not None:
            _clear_bar()
        print(
            line.encode(encoding, "backslashreplace").decode(encoding), file=sys.stderr, flush=True
        )


def run(main: Callable[[], int]) -> None:
    """Run a script's ``main`` and end the process with its exit status: see ``status_of``."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # see interrupts
        signal.signal(signal.SIGINT, signal.default_int_handler)
    status = status_of(main)
    # The interpreter flushes stdout once more as it ends, and would complain of a closed pipe.
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(status)


def status_of(main: Callable[[], int]) -> int:
    """Call a script's ``main`` and return its exit status, whatever ends it.

    A ``UserError`` or an ``OSError`` becomes one line on stderr and status 1, Ctrl-C status 130,
    and a pipe that was closed at the other end (``| head -1``) ends quietly with status 0.
    """
    try:
        status = main()
        sys.stdout.flush()
        return status
    except UserError as error:
        _to_stderr(f"[ERROR] {error}")
        return EXIT_FAILED
    except BrokenPipeError:
        return EXIT_DONE
    except OSError as error:
        where = f"{printable(str(error.filename))}: " if error.filename else ""
        _to_stderr(f"[ERROR] {where}{error.strerror or error}")
        return EXIT_FAILED
    except KeyboardInterrupt:
        _to_stderr("[ERROR] interrupted")
        return EXIT_INTERRUPTED


def set_quiet(quiet: bool) -> None:
    """Switch the [INFO] lines off or on."""
    global _quiet
    _quiet = quiet


def is_quiet() -> bool:
    """Whether the [INFO] lines are off."""
    return _quiet


def set_bar(clear: Callable[[], object] | None) -> None:
    """Have a progress bar cleared before each message; None where there is no bar any more."""
    global _clear_bar
    _clear_bar = clear


def counted(number: int, noun: str) -> str:
    """A number of things in words, such as "1 row" or "2,000 rows"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
