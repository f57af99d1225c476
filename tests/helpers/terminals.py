"""A pseudo-terminal, and what is left to read on it."""

from __future__ import annotations

import contextlib
import os
import pty
import sys
import termios
import threading
from collections.abc import Iterator

import pytest


class Terminal:
    """What a terminal was sent.

    Attributes:
        sent: all of it, control characters and all.
    """

    def __init__(self) -> None:
        self.sent = ""

    @property
    def lines(self) -> list[str]:
        """The lines that are left to read when all was sent."""
        lines, column = [""], 0
        for character in self.sent:
            if character == "\n":
                lines.append("")
            elif character == "\r":
                column = 0
            else:
                lines[-1] = f"{lines[-1][:column]:{column}}{character}{lines[-1][column + 1 :]}"
                column += 1
        return [line.rstrip() for line in lines]


@contextlib.contextmanager
def stderr_on_terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    """Make stderr a terminal of 80 columns; what it was sent is known at the end."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    pieces: list[bytes] = []

    def read() -> None:
        with contextlib.suppress(OSError):  # of a terminal that was closed
            while piece := os.read(ours, 10_000):
                pieces.append(piece)

    reader = threading.Thread(target=read)
    reader.start()
    terminal = Terminal()
    try:
        with open(theirs, "w") as stream, monkeypatch.context() as patched:
            patched.setattr(sys, "stderr", stream)
            yield terminal
    finally:
        reader.join()
        os.close(ours)
        terminal.sent = b"".join(pieces).decode()
