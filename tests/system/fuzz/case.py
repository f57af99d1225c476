"""What a case is, and what a target must have."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Cases are handed to a process so many at a time;
BLOCK = 50
# and so many share what hypothesis drew for them, which takes a while.
SHARING = 4000


class Finding(Exception):
    """Something that a case must not lead to; the text says what."""


@dataclass(frozen=True)
class Case:
    """One attack.

    Attributes:
        number: of the case.
        rng: decides everything about it.
        folder: an empty one, which is also the working directory's only subfolder.
        values: drawn by hypothesis for this case and its neighbours: see ``strategies``.
    """

    number: int
    rng: random.Random
    folder: Path
    values: dict[str, list[Any]]

    def write(self, name: str, data: bytes) -> str:
        """Write a file into the folder; its path."""
        path = self.folder / name
        path.write_bytes(data)
        return str(path)

    def value(self, kind: str) -> Any:
        """One of the values that hypothesis drew."""
        return self.rng.choice(self.values[kind])

    def chance(self, share: float) -> bool:
        """Whether to do what is done in this share of cases."""
        return self.rng.random() < share


@dataclass(frozen=True)
class Target:
    """Something that reads what others have written.

    Attributes:
        name: of the target.
        refusals: the exceptions by which it says that it does not take a file.
        make_seeds: writes whole files into a folder, which cases change.
        load_seeds: reads them; what it returns is handed to each case.
        attack: runs a case; returns where the file was taken, and raises one of ``refusals`` where
            it was not. Anything else that it raises is a finding.
        values: kinds of what hypothesis draws for its cases: see ``strategies``.
        share: of the cases that others have at a time: a small one where each takes long.
    """

    name: str
    refusals: tuple[type[Exception], ...]
    make_seeds: Callable[[Path], None]
    load_seeds: Callable[[Path], Any]
    attack: Callable[[Any, Case], None]
    values: tuple[str, ...] = ()
    share: float = 1.0


def check_finite(what: str, *numbers: float | None) -> None:
    """Raise ``Finding`` where one of the numbers of a label is none."""
    for number in numbers:
        if number is None or not math.isfinite(number):
            raise Finding(f"{what} has the number {number!r}")
