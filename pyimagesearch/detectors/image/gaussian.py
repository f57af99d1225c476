"""Gaussian: the mean and covariance of normal patches at each place of the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pyimagesearch.detectors.array_checks import Array, checked_arrays
from pyimagesearch.detectors.image.patch_detector import PatchDetector
from pyimagesearch.detectors.image.patch_space import PatchPool, PatchSpace

_DIMENSIONS = 64
_GRID = 16  # places down and across
_RIDGE = 1e-2  # of the mean variance


@dataclass(frozen=True)
class Gaussians:
    """Mahalanobis distance to the patches seen at the same place (Defard et al., PaDiM, ICPR 2020).

    Places are the cells of a 16 x 16 grid over any image. Each one's covariance is shrunk towards
    that of all places around their means, the more the fewer patches it has.

    Attributes:
        space: where distances are taken.
        means: (256, n_dimensions) float32.
        whiteners: (256, n_dimensions, n_dimensions) float32: (x - mean) @ whitener has unit
            covariance.
    """

    ARRAYS: ClassVar = {
        "means": Array(np.float32, (_GRID**2, "n_dimensions")),
        "whiteners": Array(np.float32, (_GRID**2, "n_dimensions", "n_dimensions")),
    }

    space: PatchSpace
    means: np.ndarray
    whiteners: np.ndarray

    @classmethod
    def fit(cls, pool: PatchPool, *, levels: Sequence[int], seed: int) -> Gaussians:
        """Estimate the means and covariances.

        Args:
            pool: patches of normal images.
            levels: ``PatchSpace``'s.
            seed: of the choice among many patches.
        """
        space = PatchSpace.fit(pool.patches, levels, _DIMENSIONS, seed)
        coordinates, _ = space.project(pool.patches)
        n_dimensions = coordinates.shape[1]
        cells = np.minimum((pool.places * _GRID).astype(np.intp), _GRID - 1)
        place = cells[:, 0] * _GRID + cells[:, 1]
        counts = np.bincount(place, minlength=_GRID**2)
        overall = coordinates.mean(axis=0)
        means = np.zeros((_GRID**2, n_dimensions))
        np.add.at(means, place, coordinates)
        # One patch of the overall mean is added, so that places without any have that.
        means = ((means + overall) / (counts + 1)[:, None]).astype(np.float32)
        centred = coordinates - means[place]
        pooled = centred.T @ centred / len(centred)
        pooled += _RIDGE * np.trace(pooled) / n_dimensions * np.eye(n_dimensions)
        whiteners = np.empty((_GRID**2, n_dimensions, n_dimensions), np.float32)
        for number, count in enumerate(counts):
            own = centred[place == number]
            share = n_dimensions / (count + n_dimensions)
            covariance = (1 - share) * (own.T @ own) / max(count, 1) + share * pooled
            variances, axes = np.linalg.eigh(covariance.astype(np.float64))
            whiteners[number] = axes / np.sqrt(np.maximum(variances, 1e-12))
        return cls(space, means, whiteners)

    @property
    def n_features(self) -> int:
        """Length of a patch's feature vector."""
        return self.space.n_features

    def distances(self, patches: np.ndarray) -> np.ndarray:
        """Each patch's Mahalanobis distance: (rows, columns) float32."""
        rows, columns, n_features = patches.shape
        coordinates, _ = self.space.project(patches.reshape(-1, n_features))
        down, across = ((np.arange(n) * _GRID) // n for n in (rows, columns))
        place = (down[:, None] * _GRID + across[None]).ravel()
        found = np.empty(rows * columns, np.float32)
        for number in np.unique(place):
            here = place == number
            whitened = (coordinates[here] - self.means[number]) @ self.whiteners[number]
            found[here] = np.sqrt(np.einsum("ij,ij->i", whitened, whitened))
        return found.reshape(rows, columns)

    def arrays(self) -> dict[str, np.ndarray]:
        return {name: getattr(self, name) for name in self.ARRAYS} | self.space.arrays()

    @classmethod
    def restore(cls, arrays: dict[str, np.ndarray]) -> Gaussians:
        """Make them again from a model file's arrays.

        Raises:
            ValueError: they are missing or do not fit together.
        """
        space = PatchSpace.restore(arrays)
        lengths = {"n_dimensions": space.n_dimensions}
        return cls(space, **checked_arrays(arrays, cls.ARRAYS, lengths))


class GaussianDetector(PatchDetector[Gaussians]):
    """Mahalanobis distance of a patch to those that were seen at its place."""

    name = "gaussian"
    MODEL = Gaussians
