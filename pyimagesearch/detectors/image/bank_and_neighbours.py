"""Memory bank and neighbours together: an image's strangest patch, and the image as a whole.

Which of the two suits a folder of normal images cannot be told from these; their combination is as
good as the better one, or better, on most. What was tried: docs/methods.md
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from pyimagesearch.backbones import cell_grid
from pyimagesearch.detectors.array_checks import below_prefix, check_networks, checked_number
from pyimagesearch.detectors.base import ImageDetector, Relative
from pyimagesearch.detectors.image.knn import KnnDetector
from pyimagesearch.detectors.image.memory_bank import MemoryBankDetector

# Of the whole image, compared with its strangest patch, where both are standardised.
_WHOLE_WEIGHT = 0.25
# Few images, or very similar ones, may seem to scatter as wholes much less than they do.
_MAX_EXPONENT = 1.0
_TINY = 1e-9
_BANK, _NEIGHBOURS = "bank", "neighbours"


@dataclass(frozen=True)
class Balance:
    """How an image's two scores become one: ``bank * (neighbours / usual) ** exponent``.

    That is the sum of their standardised logarithms, the second's weighted, on the first's scale.

    Attributes:
        usual: the geometric mean of normal images' scores as a whole.
        exponent: 0 to 1.
    """

    usual: float
    exponent: float

    @classmethod
    def fit(cls, of_bank: np.ndarray, of_neighbours: np.ndarray) -> Balance:
        """Learn it from scores of normal images by detectors that had not seen them.

        Args:
            of_bank, of_neighbours: (n,) float64, from 0.
        """
        patches, wholes = (np.log(np.maximum(s, _TINY)) for s in (of_bank, of_neighbours))
        exponent = _WHOLE_WEIGHT * patches.std() / max(wholes.std(), _TINY)
        return cls(float(np.exp(wholes.mean())), float(min(exponent, _MAX_EXPONENT)))

    def factor(self, of_neighbours: np.ndarray) -> np.ndarray:
        """What the memory bank's scores are multiplied by: (n,) float64, from the neighbours'."""
        return (np.maximum(of_neighbours, _TINY) / self.usual) ** self.exponent


@dataclass(frozen=True)
class BankAndNeighboursDetector(ImageDetector):
    """A memory bank's score of an image, multiplied by how unusual the image is as a whole.

    Attributes:
        bank: of patches.
        neighbours: of the means of patches over halves of images, see ``means_of_halves``.
        balance: between the two.
    """

    name = "memory-bank-and-neighbours"

    bank: MemoryBankDetector
    neighbours: KnnDetector
    balance: Balance

    @property
    def n_features(self) -> int:
        """Length of a patch's feature vector."""
        return self.bank.n_features

    @property
    def thumbnails(self) -> np.ndarray | None:
        """The memory bank's."""
        return self.bank.thumbnails

    def _blank(self) -> np.ndarray:
        return np.zeros((2, 2, self.n_features), np.float16)

    def with_thumbnails(self, images: Iterable[np.ndarray]) -> Self:
        """Keep small copies of training images: see ``MemoryBankDetector.with_thumbnails``."""
        return replace(self, bank=self.bank.with_thumbnails(images))

    def _factor(self, patches: np.ndarray) -> float:
        whole = means_of_halves(patches, self.neighbours.n_features // 2)
        return float(self.balance.factor(self.neighbours.score(whole[None]))[0])

    def score(self, features: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
        """Compute anomaly scores.

        Args:
            features: of each image (rows, columns, n_features) float16, of any shapes.

        Returns:
            (n_images,) float64; about 1 is usual for a normal image.
        """
        return self.bank.score(features) * [self._factor(patches) for patches in features]

    def contributions(self, features: np.ndarray) -> np.ndarray:
        """The memory bank's map: (rows, columns) float32."""
        return self.bank.contributions(features)

    def heat(self, features: np.ndarray, relative: Relative) -> np.ndarray:
        """That map in line with the verdict: (rows, columns) float64, where 1 is the threshold."""
        return self.bank.heat(features, relative, self._factor(features))

    def explain(self, features: np.ndarray) -> tuple[np.ndarray, tuple[float, float]] | None:
        return self.bank.explain(features)

    def parameters(self) -> dict[str, Any]:
        return {
            _BANK: self.bank.parameters(),
            _NEIGHBOURS: self.neighbours.parameters(),
            "usual": self.balance.usual,
            "exponent": self.balance.exponent,
        }

    def arrays(self) -> dict[str, np.ndarray]:
        return {f"{_BANK}.{name}": array for name, array in self.bank.arrays().items()} | {
            f"{_NEIGHBOURS}.{name}": array for name, array in self.neighbours.arrays().items()
        }

    @classmethod
    def restore(
        cls,
        parameters: dict[str, Any],
        arrays: dict[str, np.ndarray],
        networks: dict[str, bytes],
    ) -> Self:
        """Make the detector again from what a model file holds, or raise ``ValueError``."""
        check_networks(networks)
        parts: list[Any] = []
        for kind, name in ((MemoryBankDetector, _BANK), (KnnDetector, _NEIGHBOURS)):
            described = parameters.get(name)
            if not isinstance(described, dict):
                raise ValueError(f"its detector's {name} is {described!r}")
            parts.append(kind.restore(described, below_prefix(arrays, f"{name}."), {}))
        bank, neighbours = parts
        usual = checked_number(parameters, "usual", math.nextafter(0, 1))
        exponent = checked_number(parameters, "exponent", 0, _MAX_EXPONENT)
        if neighbours.n_features % 2 or neighbours.n_features // 2 > bank.n_features:
            raise ValueError(
                f"its detector compares {neighbours.n_features} means of patches of "
                f"{bank.n_features} features"
            )
        return cls(bank, neighbours, Balance(usual, exponent))


def means_of_halves(patches: np.ndarray, n_features: int) -> np.ndarray:
    """The means of some features over an image's upper and lower half: the kind of scene.

    What ``BackboneMeans`` takes from a network's layers, of patches that are known already.

    Args:
        patches: (rows, columns, at least n_features) float16.
        n_features: the first ones, a network's.

    Returns:
        (2 * n_features,) float32.
    """
    compared = patches[:, :, :n_features]
    halves = (compared[rows] for rows in cell_grid.halves(len(patches)))
    return np.concatenate([half.mean(axis=(0, 1), dtype=np.float32) for half in halves])
