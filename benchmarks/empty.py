"""A task that costs nothing, to see what handing it out costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pyimagesearch.labelling.verdict import NORMAL, Verdict


@dataclass(frozen=True)
class Empty:
    """Calls all images normal: a ``ordered_queue.Task``."""

    def open(self) -> Callable[[list[str]], list[Verdict]]:
        return lambda paths: [self._verdict(path) for path in paths]

    def lost(self, path: str) -> Verdict:
        return self._verdict(path)

    def _verdict(self, path: str) -> Verdict:
        return Verdict(path, NORMAL, 0.5, 0.5)
