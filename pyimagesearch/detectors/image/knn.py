"""Neighbours: how far a whole picture's features are from those of the most similar normal ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pyimagesearch.detectors.array_checks import check_rows, checked

N_NEIGHBOURS = 5
MOST_KEPT = 20_000
_ARRAYS = ("mean", "spread", "directions", "factors", "bank")
_LEAST_SPREAD = 1e-6
_MOST_FOR_FIT = 1_000
# Added to the variance along every direction, where that of a feature is 1: without it, directions
# in which few pictures differ, by chance, would outweigh all others. Over draws of 400 forests, .5
# and 2 find as much; plain distances find a tenth less of the sea.
_SHRINKAGE = 1.0


@dataclass(frozen=True)
class NeighboursDetector:
    """Mean distance to the five nearest pictures, where what varies much counts less.

    Features are standardised, then whitened: a shrunk Mahalanobis distance (Ledoit and Wolf, A
    well-conditioned estimator for large-dimensional covariance matrices, 2004), to neighbours
    instead of to the mean.

    Attributes:
        mean, spread: (n_features,) float32.
        directions: (n_features, n_directions) float32, orthonormal principal directions.
        factors: (n_directions,) float32, what lengths along these are multiplied by; those across
            them stay as they are.
        bank: (n_kept, n_features) float32, the normal pictures, whitened.
    """

    name = "neighbours"

    mean: np.ndarray
    spread: np.ndarray
    directions: np.ndarray
    factors: np.ndarray
    bank: np.ndarray

    @classmethod
    def fit(cls, features: np.ndarray, *, seed: int = 42) -> NeighboursDetector:
        """Keep the pictures, or 20,000 of them chosen at random.

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
        bank = whitened._whitened(_some(features, MOST_KEPT, seed))
        return replace(whitened, bank=np.ascontiguousarray(bank))

    @property
    def n_features(self) -> int:
        """Length of a feature vector."""
        return len(self.mean)

    def _whitened(self, features: np.ndarray) -> np.ndarray:
        """(n_items, n_features) float32 -> the same shape."""
        standardised = (features - self.mean) / self.spread
        along = standardised @ self.directions
        return standardised + (along * (self.factors - 1)) @ self.directions.T

    def score(self, features: np.ndarray) -> np.ndarray:
        """Compute anomaly scores.

        Args:
            features: (n_items, n_features) float32.

        Returns:
            (n_items,) float64; each row's is computed alone.

        Raises:
            ValueError: another number of features.
        """
        check_rows(features, self.n_features, f"pictures of {self.n_features} features")
        return np.array([self._score(row) for row in features], np.float64)

    def _score(self, row: np.ndarray) -> float:
        apart = self.bank - self._whitened(row[None])
        squared = np.einsum("ij,ij->i", apart, apart)
        n_nearest = min(N_NEIGHBOURS, len(squared))
        nearest = np.partition(squared, n_nearest - 1)[:n_nearest]
        return float(np.sqrt(nearest).mean()) / self.n_features**0.5

    def reconstruct(self, features: np.ndarray) -> None:
        """The nearest pictures are not kept."""

    def heat(self, features: np.ndarray, relative: Callable[[Any], Any]) -> np.ndarray:
        """The picture's own score, since it is judged as a whole: (1,) float64."""
        return np.array([relative(self._score(features))])

    def contributions(self, features: np.ndarray) -> np.ndarray:
        """The picture's own score, comparable between pictures: (1,) float64."""
        return np.array([self._score(features)])

    def parameters(self) -> dict[str, Any]:
        return {"n_features": self.n_features, "pictures": len(self.bank)}

    def arrays(self) -> dict[str, np.ndarray]:
        return {name: getattr(self, name) for name in _ARRAYS}

    def networks(self) -> dict[str, bytes]:
        return {}

    @classmethod
    def restore(
        cls,
        parameters: dict[str, Any],
        arrays: dict[str, np.ndarray],
        networks: dict[str, bytes],
    ) -> NeighboursDetector:
        """Make the detector again from what a model file holds.

        Raises:
            ValueError: arrays that are missing or do not fit together.
        """
        mean = checked(arrays, "mean", np.float32, (None,))
        factors = checked(arrays, "factors", np.float32, (None,))
        if networks or parameters.get("n_features") != len(mean):
            raise ValueError("the neighbours are not what the model file says of them")
        return cls(
            mean=mean,
            spread=checked(arrays, "spread", np.float32, mean.shape, positive=True),
            directions=checked(arrays, "directions", np.float32, (len(mean), len(factors))),
            factors=factors,
            bank=checked(arrays, "bank", np.float32, (None, len(mean))),
        )


def _some(features: np.ndarray, most: int, seed: int) -> np.ndarray:
    """At most so many of the rows, chosen at random, in their order."""
    if len(features) <= most:
        return features
    chosen = np.random.default_rng(seed).choice(len(features), most, replace=False)
    return features[np.sort(chosen)]
