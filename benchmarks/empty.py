"""A task without work, to measure the cost of distributing it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pyimagesearch.labelling.verdict import NORMAL, Verdict


@dataclass(frozen=True)
class Empty:
    """Calls all images normal: an ``ordered_queue.Task``."""

    def open(self) -> Callable[[list[str]], list[Verdict]]:
        return lambda paths: [self._verdict(path) for path in paths]

    def lost(self, path: str) -> Verdict:
        return self._verdict(path)

    def _verdict(self, path: str) -> Verdict:
        return Verdict(path, NORMAL, 0.5, 0.5)
