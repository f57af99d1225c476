"""Mahalanobis distance: how far a row is from the mean, where what varies much counts less."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from pyimagesearch.detectors.array_checks import Array, check_rows
from pyimagesearch.detectors.base import WholeImageDetector

# Where that of a feature is 1. What never changed has none, and so has the difference of features
# that changed alike: where it does change, it counts a thousandfold, not infinitely.
_LEAST_VARIANCE = 1e-6


@dataclass(frozen=True)
class MahalanobisDetector(WholeImageDetector):
    """Mahalanobis distance to the mean, from a covariance that is shrunk.

    Features are standardised, and their covariance is shrunk towards that of independent ones by as
    much as the number of rows asks for (Ledoit and Wolf, A well-conditioned estimator for
    large-dimensional covariance matrices, 2004), so that there may be fewer rows than features.

    Attributes:
        mean, spread: (n_features,) float32.
        whitening: (n_features, n_features) float32: (x - mean) / spread @ whitening has unit
            covariance.
    """

    name = "mahalanobis"
    ARRAYS: ClassVar = {
        "mean": Array(np.float32, ("n_features",)),
        "spread": Array(np.float32, ("n_features",), positive=True),
        "whitening": Array(np.float32, ("n_features", "n_features")),
    }

    mean: np.ndarray
    spread: np.ndarray
    whitening: np.ndarray

    @classmethod
    def fit(cls, features: np.ndarray, *, seed: int = 42) -> Self:  # noqa: ARG003
        """Estimate the mean and the covariance.

        Args:
            features: (n_items, n_features) float32, finite.
            seed: not used: nothing is drawn.
        """
        from sklearn.covariance import ledoit_wolf

        mean, spread = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=float)
        spread[spread == 0] = 1
        covariance, _ = ledoit_wolf((features - mean) / spread, assume_centered=True)
        variances, directions = np.linalg.eigh(covariance)
        whitening = directions / np.sqrt(np.maximum(variances, _LEAST_VARIANCE))
        return cls(*(array.astype(np.float32) for array in (mean, spread, whitening)))

    @property
    def n_features(self) -> int:
        """Length of a feature vector."""
        return len(self.mean)

    def score(self, features: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
        """Compute anomaly scores.

        Args:
            features: (n_items, n_features) float32.

        Returns:
            (n_items,) float64, in standard deviations; each row's is computed alone.

        Raises:
            ValueError: another number of features.
        """
        check_rows(features, self.n_features, f"a mean of {self.n_features} features")
        standardised = (np.asarray(features) - self.mean) / self.spread
        return np.array([np.linalg.norm(row @ self.whitening) for row in standardised], np.float64)
