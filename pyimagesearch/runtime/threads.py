"""Map a function over many items on several threads, in order and in bounded memory."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import cv2

Item = TypeVar("Item")
Result = TypeVar("Result")


def ordered_map(
    function: Callable[[Item], Result], items: Iterable[Item], jobs: int
) -> Iterator[Result]:
    """Yield ``function(item)`` for each item, in the items' order, computed on ``jobs`` threads.

    At most ``2 * jobs`` items are pending, however many there are and however slowly the
    results are taken. Decoding, colour conversion and numpy's kernels release Python's lock.
    """
    # One image per thread: threads of OpenCV's own would only get in the way.
    cv2.setNumThreads(1)
    waiting = iter(items)
    first = list(itertools.islice(waiting, 2))
    waiting = itertools.chain(first, waiting)
    if jobs == 1 or len(first) < 2:
        yield from map(function, waiting)
        return
    from concurrent.futures import ThreadPoolExecutor  # 10 ms that a single item should not pay

    with ThreadPoolExecutor(jobs) as pool:
        pending = deque(pool.submit(function, item) for item in itertools.islice(waiting, 2 * jobs))
        try:
            while pending:
                result = pending.popleft().result()
                pending.extend(pool.submit(function, item) for item in itertools.islice(waiting, 1))
                yield result
        finally:
            for future in pending:
                future.cancel()


def chunked(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield the items in lists of ``size``, the last one possibly shorter."""
    remaining = iter(items)
    while chunk := list(itertools.islice(remaining, size)):
        yield chunk
