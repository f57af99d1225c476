"""Ctrl-C at a moment of our own choosing."""

from __future__ import annotations

import signal
import time
from types import FrameType
from typing import Any, Self


class Stop:
    """Turns Ctrl-C into a wish that is heeded between two steps; a context.

    A second Ctrl-C is one as ever.

    Args:
        signals: that are such a wish.

    Attributes:
        asked: whether there was one.
    """

    def __init__(self, *signals: signal.Signals) -> None:
        self.asked = False
        self._signals = signals or (signal.SIGINT,)
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for number in self._signals:
            self._before[number] = signal.signal(number, self._ask)
        return self

    def _ask(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self.asked = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def heed(self) -> None:
        """Raise ``KeyboardInterrupt`` when it was asked to stop."""
        if self.asked:
            raise KeyboardInterrupt

    def wait(self, seconds: float) -> None:
        """Sleep, but not when it was asked to stop."""
        until = time.monotonic() + seconds
        while not self.asked and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))

    def __exit__(self, *error: Any) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
