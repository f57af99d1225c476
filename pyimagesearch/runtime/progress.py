"""A bar on a terminal: how much of the work is done, how fast, and how long the rest takes."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TextIO, TypeVar

from pyimagesearch.runtime.console import shows_info

Item = TypeVar("Item")

# Work that is done sooner needs no bar, and need not import one.
SECONDS_WITHOUT = 1.0
# As tqdm's own, but that the rate is always one of results per second.
_WITHOUT_TOTAL = "{desc}{n_fmt}{unit} [{elapsed}, {rate_noinv_fmt}]"
_WITH_TOTAL = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_noinv_fmt}]"


def track(
    results: Iterable[Item],
    description: str | None = None,
    *,
    total: int | Callable[[], Iterable[object]] | None = None,
    unit: str = "images",
    rows_on_stdout: bool = False,
) -> Iterator[Item]:
    """Pass results on as they come, with a bar on stderr where that is a terminal.

    Messages of ``console`` appear above the bar. There is no bar with ``--quiet``, nor where the
    package is used as a library.

    Args:
        results: of the work.
        description: of the work, in front of the bar.
        total: number of the results. Where it takes a while to find out, a function that lists the
            inputs: they are counted in a thread of their own.
        unit: what the results are, for people.
        rows_on_stdout: whether rows are printed as they come: on a terminal they show the
            progress, and a bar would stand between them.
    """
    if (
        not shows_info()
        or not _is_terminal(sys.stderr)
        or (rows_on_stdout and _is_terminal(sys.stdout))
    ):
        yield from results
        return
    started, bar, inputs = time.monotonic(), None, _Inputs(total)
    try:
        for number, result in enumerate(results, 1):
            if bar is not None:
                bar.total, bar.bar_format = inputs.total, inputs.bar_format
                bar.update()
            elif (elapsed := time.monotonic() - started) > SECONDS_WITHOUT:
                from tqdm import tqdm  # 50 ms that quick work should not pay

                bar = tqdm(
                    desc=description and f"{description}: ",
                    total=inputs.total,
                    bar_format=inputs.bar_format,
                    unit=f" {unit}",
                    dynamic_ncols=True,
                    leave=False,
                    file=sys.stderr,
                )
                # The rate is that of the work from its start.
                bar.start_t -= elapsed
                bar.last_print_t -= elapsed
                bar.update(number)
                inputs.count()
            yield result
    finally:
        if bar is not None:
            bar.close()


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and stream.isatty()


class _Inputs:
    """How many inputs there are: ``total``, as soon as it is known."""

    def __init__(self, total: int | Callable[[], Iterable[object]] | None) -> None:
        self._listed = total if callable(total) else None
        self.total = None if callable(total) else total

    @property
    def bar_format(self) -> str:
        """Of the bar, as far as the number is known."""
        return _WITHOUT_TOTAL if self.total is None else _WITH_TOTAL

    def count(self) -> None:
        """Count the inputs, if that is yet to be done."""
        if self._listed is not None:
            threading.Thread(target=self._count, args=(self._listed,), daemon=True).start()

    def _count(self, listed: Callable[[], Iterable[object]]) -> None:
        try:
            self.total = sum(1 for _ in listed())
        except OSError:
            return  # whoever works on the inputs meets the same error, and reports it
