"""Nearest neighbours: how far an image's features are from those of similar normal images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from pyimagesearch.detectors.array_checks import Array, check_rows
from pyimagesearch.detectors.base import WholeImageDetector

_N_NEIGHBOURS = 5
_MOST_KEPT = 20_000
_LEAST_SPREAD = 1e-6
_MOST_FOR_FIT = 1_000
# Added to the variance along every direction, where that of a feature is 1: without it, directions
# in which few images differ, by chance, would outweigh all others. Over draws of 400 forests, .5
# and 2 find as much; plain distances find a tenth less of the sea.
_SHRINKAGE = 1.0


@dataclass(frozen=True)
class KnnDetector(WholeImageDetector):
    """Mean distance to the five nearest images, where what varies much counts less.

    Features are standardised, then whitened: a shrunk Mahalanobis distance (Ledoit and Wolf, A
    well-conditioned estimator for large-dimensional covariance matrices, 2004), to neighbours
    instead of to the mean.

    Attributes:
        mean, spread: (n_features,) float32.
        directions: (n_features, n_directions) float32, orthonormal principal directions.
        factors: (n_directions,) float32, what lengths along these are multiplied by; those across
            them stay as they are.
        bank: (n_kept, n_features) float32, the normal images, whitened.
    """

    name = "neighbours"
    # What whitening learns from four fifths of the images is worse by more than calibration allows.
    N_FOLDS = 10
    SCORES_ITS_OWN = False
    ARRAYS: ClassVar = {
        "mean": Array(np.float32, ("n_features",)),
        "spread": Array(np.float32, ("n_features",), positive=True),
        "directions": Array(np.float32, ("n_features", "n_directions")),
        "factors": Array(np.float32, ("n_directions",)),
        "bank": Array(np.float32, ("n_kept", "n_features")),
    }

    mean: np.ndarray
    spread: np.ndarray
    directions: np.ndarray
    factors: np.ndarray
    bank: np.ndarray

    @classmethod
    def fit(cls, features: np.ndarray, *, seed: int = 42) -> KnnDetector:
        """Keep the images, or 20,000 of them chosen at random.

        Args:
            features: (n_items, n_features) float32.
            seed: of the choices among many.
        """
        mean, spread = features.mean(axis=0), np.maximum(features.std(axis=0), _LEAST_SPREAD)
        some = (_some(features, _MOST_FOR_FIT, seed) - mean) / spread
        _, lengths, directions = np.linalg.svd(some, full_matrices=False)
        variances = lengths**2 / len(some)
        whitened = cls(
            mean,
            spread,
            np.ascontiguousarray(directions.T),
            np.sqrt(_SHRINKAGE / (variances + _SHRINKAGE)).astype(np.float32),
            np.empty((0, features.shape[1]), np.float32),
        )
        bank = whitened._whitened(_some(features, _MOST_KEPT, seed))
        return replace(whitened, bank=np.ascontiguousarray(bank))

    def extended(self, features: np.ndarray) -> KnnDetector:
        """Keep more images, (n_items, n_features) float32, whitened as those there are."""
        bank = np.concatenate([self.bank, self._whitened(features)])
        return replace(self, bank=np.ascontiguousarray(bank[-_MOST_KEPT:]))

    @property
    def n_features(self) -> int:
        """Length of a feature vector."""
        return len(self.mean)

    def _whitened(self, features: np.ndarray) -> np.ndarray:
        """(n_items, n_features) float32 -> the same shape."""
        standardised = (features - self.mean) / self.spread
        along = standardised @ self.directions
        return standardised + (along * (self.factors - 1)) @ self.directions.T

    def score(self, features: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
        """Compute anomaly scores.

        Args:
            features: (n_items, n_features) float32.

        Returns:
            (n_items,) float64; each row's is computed alone.

        Raises:
            ValueError: another number of features.
        """
        check_rows(features, self.n_features, f"images of {self.n_features} features")
        return np.array([self._score(row) for row in features], np.float64)

    def _score(self, row: np.ndarray) -> float:
        apart = self.bank - self._whitened(row[None])
        squared = np.einsum("ij,ij->i", apart, apart)
        n_nearest = min(_N_NEIGHBOURS, len(squared))
        nearest = np.partition(squared, n_nearest - 1)[:n_nearest]
        return float(np.sqrt(nearest).mean()) / self.n_features**0.5

    def parameters(self) -> dict[str, Any]:
        return {"n_features": self.n_features, "pictures": len(self.bank)}


def _some(features: np.ndarray, most: int, seed: int) -> np.ndarray:
    """At most so many of the rows, chosen at random, in their order."""
    if len(features) <= most:
        return features
    chosen = np.random.default_rng(seed).choice(len(features), most, replace=False)
    return features[np.sort(chosen)]
