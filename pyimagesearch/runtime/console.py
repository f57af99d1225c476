"""What a script says on stderr, and how it ends: messages, exit statuses, errors as sentences.

Messages go through the standard library's ``logging``, to the logger ``pyimagesearch``. Used as a
library, the package prints none of them; ``configure`` is what a script does about it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Callable

from pyimagesearch.runtime import packages, startup

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_UNREADABLE = 3
EXIT_ANOMALY = 4
EXIT_INTERRUPTED = 130
STDIN = "-"

_LOGGER = logging.getLogger("pyimagesearch")


class UserError(Exception):
    """An error that the user can fix; its text is all that they see."""


def printable(path: str) -> str:
    """A file's name on one line of valid UTF-8, whatever bytes it is made of."""
    try:
        text = os.fsencode(path).decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # no file has such a name, but a file of others may hold it
        text = path
    return escaped(text)


def escaped(text: str) -> str:
    """A text on one line, and without characters that a terminal would obey."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def info(message: str) -> None:
    """Report what happens; on stderr of a script, unless ``--quiet``."""
    _LOGGER.info(message, stacklevel=2)


def warn(message: str) -> None:
    """Report what went wrong with one input; on stderr of a script."""
    _LOGGER.warning(message, stacklevel=2)


def configure(quiet: bool, log_time: bool) -> None:
    """Have a script write its messages to stderr; when called again, the last call counts.

    Args:
        quiet: leave out the [INFO] lines, and progress bars.
        log_time: begin each line with the date and the time.
    """
    handler = _terminal_handler()
    if handler is None:
        handler = _TerminalHandler()
        _LOGGER.addHandler(handler)
        _LOGGER.propagate = False  # a library may give the root logger a handler of its own
    look = "[%(levelname)s] %(message)s"
    handler.setFormatter(
        logging.Formatter(f"%(asctime)s {look}" if log_time else look, "%Y-%m-%d %H:%M:%S")
    )
    _LOGGER.setLevel(logging.WARNING if quiet else logging.INFO)


def hand_on_messages(handler: logging.Handler) -> None:
    """Have a worker process give all its messages to a handler, which sends them to the script."""
    _LOGGER.handlers[:] = [handler]
    _LOGGER.propagate = False
    _LOGGER.setLevel(logging.INFO)


def handle(record: logging.LogRecord) -> None:
    """Treat a message of a worker process as one of this process."""
    if _LOGGER.isEnabledFor(record.levelno):
        _LOGGER.handle(record)


def shows_info() -> bool:
    """Whether this is a script that shows its [INFO] lines."""
    return _terminal_handler() is not None and _LOGGER.isEnabledFor(logging.INFO)


def _terminal_handler() -> logging.Handler | None:
    found = (handler for handler in _LOGGER.handlers if isinstance(handler, _TerminalHandler))
    return next(found, None)


class _TerminalHandler(logging.Handler):
    """Writes each message to what ``sys.stderr`` is at that time, and into no progress bar.

    Messages that cannot be written (stderr is closed, the disk is full) are lost: they must not
    stop the work.
    """

    def emit(self, record: logging.LogRecord) -> None:
        stream = sys.stderr
        if stream is None:
            return
        # A terminal in another encoding must not stop the work, either.
        encoding = getattr(stream, "encoding", None) or "ascii"
        # Nor may what stands in a file (the name of an operator, an error about a cell) steer it.
        line = escaped(self.format(record)).encode(encoding, "backslashreplace").decode(encoding)
        # Where nothing has imported it, there is no bar: it takes 50 ms.
        tqdm = sys.modules.get("tqdm")
        with contextlib.suppress(OSError, ValueError):
            if tqdm is None:
                stream.write(f"{line}\n")
            else:
                tqdm.tqdm.write(line, file=stream)
            stream.flush()


def run(main: Callable[[], int]) -> None:
    """Run a script's ``main`` and end the process with its exit status: see ``status_of``."""
    startup.end_of_imports()
    status = status_of(main)
    # The interpreter flushes stdout once more as it ends, and would complain of a closed pipe.
    with contextlib.suppress(OSError, ValueError):
        if sys.stdout is not None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(status)


def status_of(main: Callable[[], int]) -> int:
    """Call a script's ``main`` and return its exit status, whatever ends it.

    A ``UserError``, an ``OSError`` or a package that is missing becomes one line on stderr and
    status 1, Ctrl-C status 130, and a pipe that was closed at the other end (``| head -1``) ends
    quietly with status 0.
    """
    if _terminal_handler() is None:  # what fails before the command line is parsed is heard, too
        configure(quiet=False, log_time=False)
    try:
        status = main()
        if sys.stdout is not None:
            sys.stdout.flush()
        return status
    except UserError as error:
        _LOGGER.error(str(error))
        return EXIT_FAILED
    except BrokenPipeError:
        return EXIT_DONE
    except OSError as error:
        where = f"{printable(str(error.filename))}: " if error.filename else ""
        _LOGGER.error(f"{where}{error.strerror or error}")
        return EXIT_FAILED
    except ImportError as error:
        sentence = packages.what_is_missing(error)
        if sentence is None:
            raise
        _LOGGER.error(sentence)
        return EXIT_FAILED
    except KeyboardInterrupt:
        _LOGGER.error("interrupted")
        return EXIT_INTERRUPTED


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """A number of things in words, such as "1 row", "2,000 rows" or "2 anomalies"."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"
