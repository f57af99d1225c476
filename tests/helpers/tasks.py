"""Tasks (see ``ordered_queue.Task``) to be run in parallel; some end their workers."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pyimagesearch.runtime import limits, system
from pyimagesearch.runtime.console import info, warn


@dataclass(frozen=True)
class Shout:
    """Gives each item in capitals, and ends its process over some.

    Attributes:
        deadly: items that end it each time.
        deadly_once: items that end it unless a file of this name is there, which is written first.
        seconds: how long each item takes.
    """

    deadly: tuple[str, ...] = ()
    deadly_once: str | None = None
    seconds: float = 0.0

    def open(self) -> Callable[[list[str]], list[str]]:
        return self._shout_all

    def lost(self, item: str) -> str:
        return f"lost {item}"

    def _shout_all(self, items: list[str]) -> list[str]:
        return [self._shout(item) for item in items]

    def _shout(self, item: str) -> str:
        time.sleep(self.seconds)
        if item in self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        if item == self.deadly_once and not os.path.exists(item):
            with open(item, "w"):
                os.kill(os.getpid(), signal.SIGKILL)
        return item.upper()


@dataclass(frozen=True)
class Fails(Shout):
    """Raises an exception over the item ``bad``, which may be one that cannot be pickled."""

    is_picklable: bool = True

    def _shout(self, item: str) -> str:
        if item == "bad":
            raise ValueError("a bad item", None if self.is_picklable else threading.Lock())
        return super()._shout(item)


@dataclass(frozen=True)
class Chatty(Shout):
    """Has something to say about each item."""

    def _shout(self, item: str) -> str:
        info(f"at {item}")
        warn(f"{item} is 100% well")
        return super()._shout(item)


@dataclass(frozen=True)
class Whereabouts(Shout):
    """Gives each item with the name of the machine, as its environment has it."""

    def _shout(self, item: str) -> str:
        time.sleep(self.seconds)
        return f"{item} {os.environ['MACHINE']}"


@dataclass(frozen=True)
class Runaway(Shout):
    """Has no memory for the item ``large``."""

    def _shout(self, item: str) -> str:
        if item == "large":
            raise MemoryError
        return super()._shout(item)


@dataclass(frozen=True)
class Stillborn(Shout):
    """Ends its process before it is ready."""

    def open(self) -> Callable[[list[str]], list[str]]:
        os._exit(1)


def extract_unless_tiny(image: np.ndarray) -> np.ndarray:
    """The mean colour of a picture; one of a single pixel ends the process."""
    if image.shape[:2] == (1, 1):
        os.kill(os.getpid(), signal.SIGKILL)
    return image.mean(axis=(0, 1))


def mean_of(items: np.ndarray) -> np.ndarray:
    """Fits the simplest detector."""
    return items.mean(axis=0)


def distances_to(mean: np.ndarray, items: np.ndarray) -> np.ndarray:
    return np.linalg.norm(items - mean, axis=1)


def end_own_process(_items: np.ndarray) -> np.ndarray:
    os.kill(os.getpid(), signal.SIGKILL)


def compute_for_ever() -> None:
    """What a network without an end does, which may take a tenth of a second."""
    with limits.limited(limits.NetworkLimits(seconds=0.1, n_bytes=10**9)):
        while True:
            pass


def hang() -> None:
    """What a decoder does over a camera that falls silent, deep in the code of a library."""
    with system.ended_after(0.05):
        ctypes.CDLL(None).pause()
