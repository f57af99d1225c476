"""The checkout, and ways to run its scripts: in this process, or as a user does."""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
import logging
import os
import resource
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any
from unittest import mock

import cv2

from pyimagesearch.runtime import console, processes

CHECKOUT = Path(__file__).resolve().parents[2]
SCRIPTS = [
    "generate_data.py",
    "train_anomaly_detector.py",
    "test_anomaly_detector.py",
    "train_autoencoder.py",
    "find_anomalies.py",
    "generate_validation_metrics.py",
    "serve_anomaly_detector.py",
]

# A process with threads cannot be forked as safely as one without.
cv2.setNumThreads(1)


def run_script(
    script: object,
    *arguments: object,
    input: bytes = b"",
    cwd: str | Path = CHECKOUT,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Call the ``main`` of one of the project's scripts in this process.

    What it prints is caught where the system sees it, so that what libraries and workers print
    is part of it. An exception that a user would see as a traceback is one here, too. Where
    ``--jobs`` is not given, it is 1, as on a machine with one core.

    Args:
        script: its name, or a path to it.
        arguments: of the command.
        input: what it reads from stdin.
        cwd: the folder that it is run in.
        env: the whole environment; None leaves this process' own.
    """
    main = importlib.import_module(Path(_text(script)).stem).main
    argv = [os.fsdecode(_text(argument)) for argument in arguments]
    with (
        contextlib.chdir(cwd),
        mock.patch.dict(os.environ, env or {}, clear=env is not None),
        mock.patch.object(sys, "argv", [os.fspath(_text(script)), *argv]),
        mock.patch.object(os, "sched_getaffinity", return_value={0}),
        mock.patch.object(os, "cpu_count", return_value=1),
        # This process has threads; none of them holds what a worker needs.
        mock.patch.object(processes, "_can_fork", return_value=True),
        _standard_files(input) as (stdout, stderr),
        _as_a_library(),
    ):
        status = _status_of(main, argv)
    return subprocess.CompletedProcess(
        [script, *arguments], status, _content(stdout), _content(stderr)
    )


def run_cold(
    *arguments: object, largest_file: int | None = None, **options: object
) -> subprocess.CompletedProcess[bytes]:
    """Run Python with arguments, such as a script's name, as a user does: in a new process.

    Args:
        arguments: of Python.
        largest_file: the bytes that no file may outgrow, as on a full disk.
        options: of ``subprocess.run``.
    """
    if largest_file is not None:
        options["preexec_fn"] = functools.partial(_limit_files, largest_file)
        # Python would keep the half of a module's byte code that it could write.
        options["env"] = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    options.setdefault("capture_output", True)
    options.setdefault("timeout", 300)
    options.setdefault("cwd", CHECKOUT)
    return subprocess.run([sys.executable, *map(_text, arguments)], **options)


def heed_interrupts() -> None:
    """For ``Popen``'s ``preexec_fn``: what is started in the background would ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _limit_files(largest: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))


def _text(argument: object) -> str | bytes:
    return argument if isinstance(argument, (str, bytes)) else str(argument)


def _status_of(main: object, argv: Sequence[str]) -> int:
    """The exit status, also of what ends the interpreter."""
    try:
        return console.status_of(lambda: main(argv))
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
            return 1
        return end.code or 0
    except Exception:
        traceback.print_exc()
        return 1


@contextlib.contextmanager
def _as_a_library() -> Iterator[None]:
    """Begin and end without what a script does about the messages of the package."""
    logger = logging.getLogger("pyimagesearch")
    handlers, level, propagate = logger.handlers, logger.level, logger.propagate
    logger.handlers = []
    try:
        yield
    finally:
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


@contextlib.contextmanager
def _standard_files(given: bytes) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """Read stdin from ``given`` and keep stdout and stderr in files, which are handed out."""
    with contextlib.ExitStack() as stack:
        stdin = stack.enter_context(tempfile.TemporaryFile())
        stdin.write(given)
        stdin.seek(0)
        # Not closed here: they are read afterwards.
        stdout, stderr = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115
        for number, file in enumerate((stdin, stdout, stderr)):
            stack.callback(_put_back, number, os.dup(number))
            os.dup2(file.fileno(), number)
        # Whoever keeps one of these writes to what the descriptor is by then.
        streams = {
            "stdin": _stream(0, "r"),
            "stdout": _stream(1, "w"),
            "stderr": _stream(2, "w", buffering=1, errors="backslashreplace"),
        }
        for name, stream in streams.items():
            stack.enter_context(mock.patch.object(sys, name, stream))
            stack.callback(stream.flush)
        yield stdout, stderr


def _stream(number: int, mode: str, **options: Any) -> IO[str]:
    return open(number, mode, closefd=False, encoding="utf-8", **options)


def _put_back(number: int, kept: int) -> None:
    os.dup2(kept, number)
    os.close(kept)


def _content(file: IO[bytes]) -> bytes:
    with file:
        file.seek(0, io.SEEK_SET)
        return file.read()
