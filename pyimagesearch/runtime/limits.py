"""What networks and images may cost: time and memory, in worker processes, which may be lost.

A graph of operators that can do nothing but compute may still compute for ever, or fill all memory.
The limits grow with the network, and two variables of the environment set what they begin with. A
third one says how many pixels an image may have: --max-pixels sets it.
"""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
from collections.abc import Iterator
from dataclasses import dataclass

from pyimagesearch.runtime import system
from pyimagesearch.runtime.console import UserError

SECONDS_VARIABLE = "ANOMALY_NETWORK_SECONDS"
MEMORY_VARIABLE = "ANOMALY_NETWORK_GB"
PIXELS_VARIABLE = "ANOMALY_MAX_PIXELS"
DEFAULT_PIXELS = 100_000_000
MOST_PIXELS = 1_000_000_000  # OpenCV reads 2**30
# Decoders have planes and rows of their own next to the image, which takes 4 bytes a pixel.
_DECODING_BYTES_PER_PIXEL = 14
# A ResNet-18 (11 MB) takes .02 s to open, .03 s to run and some 50 MB.
_SECONDS = 5.0
_GIGABYTES = 1.0
# Weights are read, converted and rearranged on the way.
_SECONDS_PER_BYTE = 1e-7
_BYTES_PER_BYTE = 4


class NetworkLimitError(UserError):
    """A network takes more than it may."""


@dataclass(frozen=True)
class NetworkLimits:
    """What opening a network, or running it once, may take.

    Attributes:
        seconds: of computing, on one core.
        n_bytes: of memory, in addition to what the process has.
    """

    seconds: float
    n_bytes: int

    @classmethod
    def of_network(cls, size: int) -> NetworkLimits:
        """The limits of a network.

        Args:
            size: its bytes.

        Raises:
            UserError: a variable of the environment is not a positive number.
        """
        return cls(
            seconds=_from_environment(SECONDS_VARIABLE, _SECONDS) + size * _SECONDS_PER_BYTE,
            n_bytes=int(_from_environment(MEMORY_VARIABLE, _GIGABYTES) * 1e9)
            + size * _BYTES_PER_BYTE,
        )

    def too_large(self) -> str:
        """A sentence for a network that got no more memory."""
        gigabytes = self.n_bytes / 1e9
        return (
            f"its network takes more than {gigabytes:,.1f} GB of memory: {MEMORY_VARIABLE}="
            f"{4 * gigabytes:,.0f} allows four times as much"
        )


def too_slow() -> str:
    """A sentence for a network whose process was ended."""
    seconds = _from_environment(SECONDS_VARIABLE, _SECONDS)
    return (
        f"its network takes more than {seconds:g} s of computing: {SECONDS_VARIABLE}="
        f"{6 * seconds:g} allows six times as much"
    )


def _from_environment(variable: str, default: float) -> float:
    text = os.environ.get(variable)
    if text is None:
        return default
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise UserError(f"{variable}={text} is not a positive number")
    return number


def max_pixels() -> int:
    """How many pixels an image may have.

    Raises:
        UserError: the variable of the environment is not a positive number.
    """
    return int(min(_from_environment(PIXELS_VARIABLE, DEFAULT_PIXELS), MOST_PIXELS))


def set_max_pixels(number: int) -> None:
    """Set ``max_pixels`` of this process, and of those that it starts from now on."""
    os.environ[PIXELS_VARIABLE] = str(number)


def variables() -> dict[str, str]:
    """What the environment says of limits, for processes on other machines."""
    known = (SECONDS_VARIABLE, MEMORY_VARIABLE, PIXELS_VARIABLE)
    return {name: os.environ[name] for name in known if name in os.environ}


def are_in_force() -> bool:
    """Whether this process works for another one, and may be ended at a limit."""
    return multiprocessing.parent_process() is not None


@contextlib.contextmanager
def limited(limits: NetworkLimits) -> Iterator[None]:
    """Within a worker process, limit what is done: beyond the time, the process ends.

    Beyond the memory, whoever asks for more gets none, as if there were none; not every system
    limits it (``system.limited_memory``). The process that a
    user has started is not limited: there, only networks are run that a worker has run before.
    """
    if not are_in_force():
        yield
        return
    with system.limited_seconds(limits.seconds), system.limited_memory(limits.n_bytes):
        yield


@contextlib.contextmanager
def limited_decoding() -> Iterator[None]:
    """Within a worker process, limit the memory that decoding an image takes.

    A header may claim less than there is to decode, deep inside a compressed stream.
    """
    if not are_in_force():
        yield
        return
    # Data, and not the address space, of which the decoder's threads reserve more than they use.
    with system.limited_data(_DECODING_BYTES_PER_PIXEL * max_pixels()):
        yield
