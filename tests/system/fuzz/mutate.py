"""Changes of bytes that make sense in no format in particular."""

from __future__ import annotations

import random
from collections.abc import Sequence

# What lengths, sizes and offsets go wrong at.
EDGES = sorted(
    {0, 1, 2, 3, 4, 7, 9, 10, 100, 1000, 65, 0x7FFFFFF0, 0xFFFFFFF0, 10**6, 10**9}
    | {2**bits + more for bits in (3, 4, 7, 8, 15, 16, 24, 30, 31, 32, 48, 63) for more in (-1, 0)}
    | {2**64 - 1, 2**64 - 16}
)
# Half of all changes are made where headers lie.
_HEADER = 160


def edge(rng: random.Random, n_bytes: int) -> int:
    """A number at which readers go wrong, that fits into so many bytes."""
    return rng.choice(EDGES) & (2 ** (8 * n_bytes) - 1)


def mutated(rng: random.Random, data: bytes, others: Sequence[bytes] = ()) -> bytes:
    """Change some bytes.

    Args:
        rng: decides.
        data: the whole file.
        others: files whose parts may be put into it.
    """
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8, 30))):
        data = _changed(rng, data, others)
    return data


def _place(rng: random.Random, data: bytes) -> int:
    near = rng.random() < 0.5
    return rng.randrange(min(len(data), _HEADER) if near else len(data)) if data else 0


def _changed(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    place = _place(rng, data)
    match rng.randrange(10):
        case 0 | 1:
            return _put(data, place, bytes([rng.randrange(256)]))
        case 2:
            bit = 1 << rng.randrange(8)
            return _put(data, place, bytes([data[place] ^ bit])) if data else data
        case 3 | 4:
            size, order = rng.choice((2, 4, 8)), rng.choice(("little", "big"))
            return _put(data, place, edge(rng, size).to_bytes(size, order))
        case 5:
            length = rng.choice((1, 2, 4, 8, 100, 5000))
            return data[:place] + data[place + length :]
        case 6:
            length = rng.choice((1, 2, 4, 8, 100, 5000))
            again = data[place : place + length]
            return data[:place] + again * rng.choice((1, 1, 2, 50)) + data[place:]
        case 7:
            return data[:place] + rng.choice((b"", bytes(len(data) - place)))
        case 8:
            other = rng.choice(others) if others else data
            start = _place(rng, other)
            length = rng.choice((4, 16, 64, 1000))
            return data[:place] + other[start : start + length] + data[place:]
        case _:
            noise = bytes(rng.choice((0, 0xFF, rng.randrange(256))) for _ in range(16))
            return _put(data, place, noise[: rng.randrange(1, 17)])


def _put(data: bytes, place: int, new: bytes) -> bytes:
    return data[:place] + new + data[place + len(new) :]
