"""The tokens of a vision transformer as a grid: which of them are patches, and of what size.

A transformer cuts an image into patches and has a token for each, row by row; a class token and
registers come before them or after them (Dosovitskiy et al., An Image Is Worth 16x16 Words, ICLR
2021; Darcet et al., Vision Transformers Need Registers, ICLR 2024).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

MOST_OTHERS = 64  # tokens that are no patches
_LEAST_CELLS = 16
# Where patches are changed, as shares of the height and of the width: no two in one row or column.
_PLANTED = ((0.15, 0.7), (0.35, 0.2), (0.55, 0.9), (0.75, 0.4), (0.95, 0.55))

Tokens = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class TokenGrid:
    """Which tokens are patches.

    Attributes:
        patch: pixels of a patch's side.
        leading, trailing: numbers of tokens before and after those of the patches.
    """

    patch: int
    leading: int
    trailing: int

    def shape(self, size: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of patches of an image of a (height, width)."""
        return size[0] // self.patch, size[1] // self.patch

    def to_map(self, tokens: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """The tokens of patches where these lie.

        Args:
            tokens: (n_tokens, channels) of an image.
            size: its (height, width).

        Returns:
            (channels, rows, columns).

        Raises:
            ValueError: it has another number of tokens.
        """
        rows, columns = self.shape(size)
        if len(tokens) != self.leading + rows * columns + self.trailing:
            raise ValueError(
                f"{len(tokens)} tokens are not {rows} x {columns} patches and "
                f"{self.leading + self.trailing} others"
            )
        patches = tokens[self.leading : self.leading + rows * columns]
        return patches.reshape(rows, columns, -1).transpose(2, 0, 1)


def find_grid(run: Tokens, size: tuple[int, int], other: tuple[int, int] | None) -> TokenGrid:
    """Find out which tokens are patches, from their numbers and by changing patches of an image.

    Args:
        run: image, (height, width, 3) uint8, -> (n_tokens, channels).
        size: (height, width) that it takes.
        other: another one, oblong; None where it takes only one.

    Raises:
        ValueError: the tokens are not those of patches, row by row.
    """
    image = _plain(size)
    n_tokens = len(run(image))
    patch, n_others = _patch_size(n_tokens, size)
    if other is not None:
        image, size = _plain(other), other
        n_patches = (size[0] // patch) * (size[1] // patch)
        if (n_found := len(run(image))) != n_patches + n_others:
            raise ValueError(
                f"{n_found} tokens of an image of {size[1]} x {size[0]} do not belong to patches "
                f"of {patch} x {patch} pixels"
            )
    leading = _count_leading(run, image, patch, n_others)
    return TokenGrid(patch, leading, n_others - leading)


def _patch_size(n_tokens: int, size: tuple[int, int]) -> tuple[int, int]:
    """The size of patches that leaves the fewest other tokens, and how many these are."""
    common = math.gcd(*size)
    for patch in (n for n in range(1, common + 1) if common % n == 0):
        n_patches = size[0] * size[1] // patch**2
        if _LEAST_CELLS <= n_patches <= n_tokens <= n_patches + MOST_OTHERS:
            return patch, n_tokens - n_patches
    raise ValueError(
        f"{n_tokens} tokens of an image of {size[1]} x {size[0]} are not patches of it"
    )


def _count_leading(run: Tokens, image: np.ndarray, patch: int, n_others: int) -> int:
    """How many tokens come before those of patches: a patch's own changes most if it changes."""
    before = run(image).astype(np.float64)
    rows, columns = image.shape[0] // patch, image.shape[1] // patch
    numbers, changes = [], []
    for down, across in _PLANTED:
        row, column = int(down * rows), int(across * columns)
        changed = image.copy()
        changed[row * patch : (row + 1) * patch, column * patch : (column + 1) * patch] = 255
        numbers.append(row * columns + column)
        changes.append(((run(changed) - before) ** 2).sum(axis=1))
    leading = max(range(n_others + 1), key=lambda n: _own_share(numbers, changes, n))
    patches = slice(leading, leading + rows * columns)
    n_right = sum(
        np.argmax(change[patches]) == number
        for number, change in zip(numbers, changes, strict=True)
    )
    if 2 * n_right <= len(numbers):
        raise ValueError("its tokens are not those of the image's patches, row by row")
    return leading


def _own_share(numbers: Sequence[int], changes: Sequence[np.ndarray], leading: int) -> float:
    """How much of all change is that of the patches that were changed."""
    return sum(
        change[leading + number] / max(change.sum(), np.finfo(float).tiny)
        for number, change in zip(numbers, changes, strict=True)
    )


def _plain(size: tuple[int, int]) -> np.ndarray:
    return np.full((*size, 3), 128, np.uint8)
