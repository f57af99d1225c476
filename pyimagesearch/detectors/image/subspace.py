"""Subspace: principal directions of normal patches; anomalous is what they cannot reconstruct."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pyimagesearch.detectors.image.patch_detector import PatchDetector
from pyimagesearch.detectors.image.patch_space import PatchPool, PatchSpace

_VARIANCE_KEPT = 0.99


@dataclass(frozen=True)
class Subspace:
    """The directions that hold 99% of the variance.

    Attributes:
        space: whose directions these are.
    """

    space: PatchSpace

    @classmethod
    def fit(cls, pool: PatchPool, *, levels: Sequence[int], seed: int) -> Subspace:
        """Find the directions.

        Args:
            pool: patches of normal images.
            levels: ``PatchSpace``'s.
            seed: of the choice among many patches.
        """
        space = PatchSpace.fit(pool.patches, levels, pool.patches.shape[1], seed)
        coordinates, _ = space.project(pool.patches)
        variances = np.square(coordinates, dtype=np.float64).mean(axis=0)
        shares = np.cumsum(variances) / max(variances.sum(), np.finfo(float).tiny)
        kept = min(int(np.searchsorted(shares, _VARIANCE_KEPT)) + 1, len(variances))
        directions = np.ascontiguousarray(space.directions[:, :kept])
        return cls(replace(space, directions=directions))

    @property
    def n_features(self) -> int:
        """Length of a patch's feature vector."""
        return self.space.n_features

    def distances(self, patches: np.ndarray) -> np.ndarray:
        """Each patch's residual: (rows, columns, n_features) -> (rows, columns) float32."""
        rows, columns, n_features = patches.shape
        _, residual = self.space.project(patches.reshape(-1, n_features))
        return np.sqrt(residual).reshape(rows, columns)

    def arrays(self) -> dict[str, np.ndarray]:
        return self.space.arrays()

    @classmethod
    def restore(cls, arrays: dict[str, np.ndarray]) -> Subspace:
        """Make it again from a model file's arrays, or raise ``ValueError``."""
        return cls(PatchSpace.restore(arrays))


class SubspaceDetector(PatchDetector[Subspace]):
    """Length of what the directions that hold 99% of the variance leave of a patch."""

    name = "subspace"
    MODEL = Subspace
