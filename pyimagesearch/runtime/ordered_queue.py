"""A queue of items that are worked on elsewhere: its results come in the items' order.

Where work is done decides neither the order of the results nor what becomes of an item that kills
its worker: both are decided here once, for processes and for clusters.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from pyimagesearch.runtime.threads import chunked

Result = TypeVar("Result")
Result_co = TypeVar("Result_co", covariant=True)
# An item that was alone with its worker when it died is tried once more: the worker may have been
# killed from outside.
MAX_TRIES = 2
DIED = "its worker died"


class Task(Protocol[Result_co]):
    """A picklable description of the work that each item needs.

    Items are text, such as names of files, which any machine can be sent; for the processes of this
    machine they may be whatever can be pickled.
    """

    def open(self) -> Callable[[list[Any]], list[Result_co]]:
        """Prepare the work in the process that does it: returns items -> a result for each."""

    def lost(self, item: Any) -> Result_co:
        """The result for an item over which its worker died each time that it was tried."""


@dataclass
class _Slot(Generic[Result]):
    """Where the results of items that were taken together are collected; None until known."""

    results: list[Result | None]
    n_missing: int = field(init=False)

    def __post_init__(self) -> None:
        self.n_missing = len(self.results)


@dataclass
class Chunk(Generic[Result]):
    """Items that one worker is given.

    Attributes:
        items: at least one.
        start: index of the first one's result in the slot.
    """

    items: list[Any]
    start: int
    _slot: _Slot[Result]
    _n_deaths: int = 0


class OrderedQueue(Generic[Result]):
    """Hands out items in chunks and returns their results in the items' order.

    Args:
        items: taken only as fast as results are taken.
        chunk_size: number of items in a chunk.
        lost: see ``Task.lost``.
    """

    def __init__(
        self, items: Iterable[Any], chunk_size: int, lost: Callable[[Any], Result]
    ) -> None:
        self._chunks = chunked(items, chunk_size)
        self._lost = lost
        self._pending: deque[_Slot[Result]] = deque()
        self._retries: deque[Chunk[Result]] = deque()

    def next_chunk(self, limit: int) -> Chunk[Result] | None:
        """The chunk to work on next, or None where none may be begun.

        Args:
            limit: number of chunks that may be pending, including those whose results wait for
                earlier ones.
        """
        if self._retries:
            return self._retries.popleft()
        if len(self._pending) >= limit or (items := next(self._chunks, None)) is None:
            return None
        self._pending.append(_Slot([None] * len(items)))
        return Chunk(items, 0, self._pending[-1])

    def put_back(self, chunk: Chunk[Result]) -> None:
        """Return a chunk that was not begun."""
        self._retries.appendleft(chunk)

    def complete(self, chunk: Chunk[Result], results: list[Result]) -> None:
        """Receive the results of a chunk."""
        slot = chunk._slot
        slot.results[chunk.start : chunk.start + len(chunk.items)] = results
        slot.n_missing -= len(chunk.items)

    def worker_died(self, chunk: Chunk[Result]) -> None:
        """Try the items of a chunk whose worker died one by one, and give up those that fail."""
        if len(chunk.items) > 1:
            self._retries.extend(
                Chunk([item], chunk.start + index, chunk._slot)
                for index, item in enumerate(chunk.items)
            )
        elif chunk._n_deaths + 1 < MAX_TRIES:
            chunk._n_deaths += 1
            self._retries.append(chunk)
        else:
            self.complete(chunk, [self._lost(chunk.items[0])])

    @property
    def is_pending(self) -> bool:
        """Whether results are still to come, or to be taken."""
        return bool(self._pending)

    @property
    def has_results(self) -> bool:
        """Whether the results of the first pending chunk are complete."""
        return bool(self._pending) and not self._pending[0].n_missing

    def next_results(self) -> list[Result]:
        """Return these results and forget them."""
        return self._pending.popleft().results
