"""A bar on a terminal: how many images are done, how fast, and how long the rest takes."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from pyimagesearch.runtime.console import shows_info

Item = TypeVar("Item")

# What is done sooner needs no bar, and need not import one.
SECONDS_WITHOUT = 1.0


def shown(
    items: Iterable[Item], inputs: Callable[[], Iterable[object]] | None, rows_on_stdout: bool
) -> Iterator[Item]:
    """Pass items on as they come, with a bar on stderr where that is a terminal.

    Args:
        items: one for each input.
        inputs: to be counted beside the work, so that the time left can be told as soon as their
            number is known; None where counting would use them up.
        rows_on_stdout: whether rows are printed as they come; on a terminal they are progress
            enough, and a bar would stand between them.
    """
    if not sys.stderr.isatty() or (rows_on_stdout and sys.stdout.isatty()) or not shows_info():
        yield from items
        return
    started, bar, counted = time.monotonic(), None, _Count(inputs)
    try:
        for number, item in enumerate(items, 1):
            if bar is not None:
                bar.total = counted.total
                bar.update()
            elif time.monotonic() - started > SECONDS_WITHOUT:
                from tqdm import tqdm  # 50 ms that quick runs should not pay

                bar = tqdm(
                    initial=number, unit=" images", dynamic_ncols=True, leave=False, file=sys.stderr
                )
                counted.start()
            yield item
    finally:
        if bar is not None:
            bar.close()


class _Count(threading.Thread):
    """Counts inputs; ``total`` is their number when it is known."""

    def __init__(self, inputs: Callable[[], Iterable[object]] | None) -> None:
        super().__init__(daemon=True)
        self._inputs = inputs
        self.total: int | None = None

    def run(self) -> None:
        if self._inputs is None:
            return
        try:
            self.total = sum(1 for _ in self._inputs())
        except OSError:
            return  # whoever works on them meets the same, and says so
