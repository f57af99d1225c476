"""Principal components of images, fitted without those that they reconstruct worst."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from pyimagesearch.detectors.array_checks import Array, checked_arrays, checked_count
from pyimagesearch.features import as_floats

# Refitted without the worst share until that no longer changes, or this often.
_TRIM = 0.1
_ROUNDS = 5
_MOST_COMPONENTS = 128
_VARIANCE_KEPT = 0.98  # the rest is noise, which would outweigh everything when it is whitened
_VARIANCE_FLOOR = 0.05  # of the mean variance
# The share that a network may not learn from: it must exceed the contamination, and every image
# left out costs some of what is merely unusual.
LEFT_OUT = 0.05
_MOST_FIT_BYTES = 128 * 1024**2  # a few copies of this are made


@dataclass(frozen=True)
class Components:
    """Principal components of images, fitted without those that they reconstruct worst.

    Attributes:
        latent_dim: how many of the directions a reconstruction uses.
        mean: (n_features,) float32.
        directions: (n_directions, n_features) float32, orthonormal, the largest variance first.
        variances: (n_directions,) float32.
    """

    ARRAYS: ClassVar = {
        "mean": Array(np.float32, ("n_features",)),
        "directions": Array(np.float32, ("n_directions", "n_features")),
        "variances": Array(np.float32, ("n_directions",), positive=True),
    }

    latent_dim: int
    mean: np.ndarray
    directions: np.ndarray
    variances: np.ndarray

    @classmethod
    def fit(
        cls, pixels: np.ndarray, *, latent_dim: int = 16, seed: int = 42, trim: float = _TRIM
    ) -> Components:
        """Fit to images, of which some may be anomalies.

        Args:
            pixels: (n, height, width, channels) uint8; a random part is taken where all of them
                would need more than 128 MB.
            latent_dim: number of directions of a reconstruction.
            seed: of that choice and of the decomposition.
            trim: share of the images, the worst reconstructed, that each refit leaves out.
        """
        from sklearn.decomposition import PCA

        n_fit = min(len(pixels), max(_MOST_FIT_BYTES // (4 * pixels[0].size), 2))
        chosen = np.random.default_rng(seed).permutation(len(pixels))[:n_fit]
        flat = as_floats(pixels[np.sort(chosen)]).reshape(n_fit, -1)
        basis = None
        if 4 * n_fit < flat.shape[1]:
            # All that few images can say lies in their span: turn into it once, not each round.
            basis, coordinates = np.linalg.qr(flat.T)
            flat = coordinates.T
        kept = np.arange(n_fit)
        for _ in range(_ROUNDS):
            n_components = min(max(_MOST_COMPONENTS, latent_dim), len(kept) - 1, flat.shape[1])
            pca = PCA(n_components, random_state=seed).fit(flat[kept])
            centred = flat - pca.mean_
            latent = centred @ pca.components_[:latent_dim].T
            residual = np.einsum("ij,ij->i", centred, centred) - (latent**2).sum(axis=1)
            before, kept = kept, np.flatnonzero(residual <= np.quantile(residual, 1 - trim))
            if np.array_equal(before, kept):
                break
        shares = np.cumsum(pca.explained_variance_) / pca.explained_variance_.sum()
        n_kept = max(int(np.searchsorted(shares, _VARIANCE_KEPT)) + 1, min(latent_dim, len(shares)))
        mean, directions = pca.mean_, pca.components_[:n_kept]
        if basis is not None:
            mean, directions = basis @ mean, directions @ basis.T
        return cls(
            latent_dim=min(latent_dim, n_kept),
            mean=mean.astype(np.float32),
            directions=directions.astype(np.float32),
            variances=pca.explained_variance_[:n_kept].astype(np.float32),
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """What ``restore`` needs in addition to ``latent_dim``."""
        return {name: getattr(self, name) for name in self.ARRAYS}

    @classmethod
    def restore(
        cls, parameters: dict[str, Any], arrays: dict[str, np.ndarray], n_features: int
    ) -> Components:
        """Make the components again from what a model file holds.

        Args:
            parameters: with ``latent_dim``.
            arrays: with those of ``arrays``.
            n_features: of the images that they are used on.

        Raises:
            ValueError: something is missing or does not fit together.
        """
        found = checked_arrays(arrays, cls.ARRAYS, {"n_features": n_features})
        return cls(checked_count(parameters, "latent_dim", most=len(found["variances"])), **found)

    def project(self, image: np.ndarray) -> np.ndarray:
        """(n_features,) -> (n_directions,) float32."""
        return self.directions @ (image - self.mean)

    def reconstruct(self, image: np.ndarray) -> np.ndarray:
        """(n_features,) -> (n_features,), from the first ``latent_dim`` directions alone."""
        latent = self.project(image)[: self.latent_dim]
        return self.mean + latent @ self.directions[: self.latent_dim]

    def distance(self, image: np.ndarray) -> float:
        """Squared Mahalanobis distance within the directions, with a floor under the variances."""
        floored = self.variances + np.float32(_VARIANCE_FLOOR) * self.variances.mean()
        return float((self.project(image) ** 2 / floored).sum())

    def usual(self, pixels: np.ndarray) -> np.ndarray:
        """Find the images that a network may learn from: all but those furthest away.

        Args:
            pixels: (n, height, width, channels) uint8.

        Returns:
            Indices, in ascending order.
        """
        distances = np.array([self.distance(as_floats(image).ravel()) for image in pixels])
        return np.flatnonzero(distances <= np.quantile(distances, 1 - LEFT_OUT))
