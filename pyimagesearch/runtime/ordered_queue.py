"""Keep account of items that are worked on elsewhere: what is under way, what was lost, in order.

Where work is done decides neither the order of the results nor what becomes of an item that kills
its worker: that is written down here once, for processes and for clusters.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from pyimagesearch.runtime.threads import chunked

Result = TypeVar("Result")
Result_co = TypeVar("Result_co", covariant=True)
# An item that was alone with its worker when it died is tried once more: the worker may have been
# killed from outside.
TRIES = 2
DIED = "its worker died"


class Task(Protocol[Result_co]):
    """A few picklable words about what to do with each item."""

    def open(self) -> Callable[[list[str]], list[Result_co]]:
        """Make ready to do it, in the process where it is done: items -> a result for each."""

    def lost(self, item: str) -> Result_co:
        """The result for an item that cost each worker its life that took it on."""


@dataclass
class Part(Generic[Result]):
    """Items that one worker is to do.

    Attributes:
        items: at least one.
        start: where they stand in their chunk.
    """

    items: list[str]
    start: int
    _chunk: _Chunk[Result]
    _deaths: int = 0


@dataclass
class _Chunk(Generic[Result]):
    """Items that were taken together; ``results`` are None while they are not there."""

    results: list[Result | None]
    n_missing: int = field(init=False)

    def __post_init__(self) -> None:
        self.n_missing = len(self.results)


class Ledger(Generic[Result]):
    """Hands out items in parts and gives the results back in the items' order.

    Args:
        items: taken only as fast as results are taken.
        at_once: number of items in a part.
        lost: see ``Task.lost``.
    """

    def __init__(self, items: Iterable[str], at_once: int, lost: Callable[[str], Result]) -> None:
        self._chunks = chunked(items, at_once)
        self._lost = lost
        self._under_way: deque[_Chunk[Result]] = deque()
        self._again: deque[Part[Result]] = deque()

    def next_part(self, most: int) -> Part[Result] | None:
        """What to do next, or None.

        Args:
            most: number of chunks that may be under way, those included whose results wait for
                earlier ones.
        """
        if self._again:
            return self._again.popleft()
        if len(self._under_way) >= most or (items := next(self._chunks, None)) is None:
            return None
        self._under_way.append(_Chunk([None] * len(items)))
        return Part(items, 0, self._under_way[-1])

    def put_back(self, part: Part[Result]) -> None:
        """A part was not begun."""
        self._again.appendleft(part)

    def done(self, part: Part[Result], results: list[Result]) -> None:
        """A part is done."""
        chunk = part._chunk
        chunk.results[part.start : part.start + len(part.items)] = results
        chunk.n_missing -= len(part.items)

    def died(self, part: Part[Result]) -> None:
        """A worker died over a part: its items are tried one by one, and then given up."""
        if len(part.items) > 1:
            self._again.extend(
                Part([item], part.start + place, part._chunk)
                for place, item in enumerate(part.items)
            )
        elif part._deaths + 1 < TRIES:
            part._deaths += 1
            self._again.append(part)
        else:
            self.done(part, [self._lost(part.items[0])])

    @property
    def is_open(self) -> bool:
        """Whether anything is under way."""
        return bool(self._under_way)

    @property
    def has_next(self) -> bool:
        """Whether the results of the first chunk under way are all there."""
        return bool(self._under_way) and not self._under_way[0].n_missing

    def next_results(self) -> list[Result]:
        """Give these back and forget them."""
        return self._under_way.popleft().results
