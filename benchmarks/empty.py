"""A task that costs nothing, to see what handing it out costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pyimagesearch import reports


@dataclass(frozen=True)
class Empty:
    """Calls all images normal: a ``ledgers.Task``."""

    def open(self) -> Callable[[list[str]], list[reports.Verdict]]:
        return lambda paths: [self._verdict(path) for path in paths]

    def lost(self, path: str) -> reports.Verdict:
        return self._verdict(path)

    def _verdict(self, path: str) -> reports.Verdict:
        return reports.Verdict(path, reports.NORMAL, 0.5, 0.5)
