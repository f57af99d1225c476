"""Neighbours: how far a whole picture's features are from those of the most similar normal ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

N_NEIGHBOURS = 5
MOST_KEPT = 20_000
_LEAST_SPREAD = 1e-6


@dataclass(frozen=True)
class NeighboursDetector:
    """Mean distance to the five nearest pictures, each feature divided by its standard deviation.

    Attributes:
        mean, spread: (n_features,) float32.
        bank: (n_kept, n_features) float32, the normal pictures, standardised.
    """

    name = "neighbours"

    mean: np.ndarray
    spread: np.ndarray
    bank: np.ndarray

    @classmethod
    def fit(cls, features: np.ndarray, *, seed: int = 42) -> NeighboursDetector:
        """Keep the pictures, or 20,000 of them chosen at random.

        Args:
            features: (n_items, n_features) float32.
            seed: of that choice.
        """
        if len(features) > MOST_KEPT:
            chosen = np.random.default_rng(seed).choice(len(features), MOST_KEPT, replace=False)
            features = features[np.sort(chosen)]
        mean, spread = features.mean(axis=0), np.maximum(features.std(axis=0), _LEAST_SPREAD)
        return cls(mean, spread, np.ascontiguousarray((features - mean) / spread))

    @property
    def n_features(self) -> int:
        """Length of a feature vector."""
        return len(self.mean)

    def score(self, features: np.ndarray) -> np.ndarray:
        """Compute anomaly scores.

        Args:
            features: (n_items, n_features) float32.

        Returns:
            (n_items,) float64; each row's is computed alone.

        Raises:
            ValueError: another number of features.
        """
        if features.ndim != 2 or features.shape[1] != self.n_features:
            raise ValueError(
                f"features of shape {features.shape} for pictures of {self.n_features} features"
            )
        return np.array([self._score(row) for row in features], np.float64)

    def _score(self, row: np.ndarray) -> float:
        apart = self.bank - (row - self.mean) / self.spread
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
        return {"mean": self.mean, "spread": self.spread, "bank": self.bank}

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
        mean, spread, bank = found = [arrays.get(name) for name in ("mean", "spread", "bank")]
        if any(a is None or a.dtype != np.float32 or not np.isfinite(a).all() for a in found):
            raise ValueError("the neighbours are not finite float32 arrays")
        if mean.ndim != 1 or spread.shape != mean.shape or not (spread > 0).all():
            raise ValueError("the neighbours' mean and spread do not fit")
        if bank.ndim != 2 or not bank.size or bank.shape[1] != len(mean):
            raise ValueError("the neighbours do not have the features of their mean")
        if networks or parameters.get("n_features") != len(mean):
            raise ValueError("the neighbours are not what the model file says of them")
        return cls(mean, spread, bank)
