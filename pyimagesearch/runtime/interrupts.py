"""Ctrl-C that takes effect between two steps of a work."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType
from typing import Any, Self


class DeferredInterrupt:
    """Notes Ctrl-C, and leaves it to the work to end between two steps; a context.

    A second Ctrl-C interrupts at once, as usual. Python hands signals to its main thread alone: in
    another one, nothing is deferred.

    Args:
        signals: that are deferred; none means that of Ctrl-C.

    Attributes:
        requested: whether there was one.
    """

    def __init__(self, *signals: signal.Signals) -> None:
        self.requested = False
        self._signals = signals or (signal.SIGINT,)
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in self._signals:
                self._before[number] = signal.signal(number, self._request)
        return self

    def _request(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self.requested = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def raise_if_requested(self) -> None:
        """Raise ``KeyboardInterrupt`` if an interrupt was requested."""
        if self.requested:
            raise KeyboardInterrupt

    def sleep(self, seconds: float) -> None:
        """Sleep, but only until an interrupt is requested."""
        until = time.monotonic() + seconds
        while not self.requested and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))

    def __exit__(self, *error: Any) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
