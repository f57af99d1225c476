"""Where patches are compared: their features on equal terms, in few dimensions; and pools of them.

What was tried: docs/methods.md.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pyimagesearch.detectors.array_checks import Array, checked, checked_arrays

# Each layer's features are divided by sqrt(|x|^2 + (softness * r)^2), where r is their usual
# length. With 0 all get unit length: light and glare, which scale features, no longer matter, but
# the noise of an empty background counts as much as a part. With infinity nothing is changed.
_SOFTNESS = 1.0
_MOST_FOR_FIT = 10_000
_AT_ONCE = 4096  # patches that are projected
_LEAST_LENGTH = 1e-6
# Of the mean standard deviation: a tint in an image of grey parts is anomalous, but not infinitely.
_LEAST_SPREAD = 0.1


@dataclass(frozen=True)
class PatchPool:
    """Patches of the training images.

    Attributes:
        patches: (n, n_features) float16.
        owners: (n,) int32, the number of the image that each comes from.
        places: (n, 2) float32, where in that image: down and across, from 0 to 1.
    """

    patches: np.ndarray
    owners: np.ndarray
    places: np.ndarray

    def from_images(self, images: np.ndarray) -> PatchPool:
        """The patches of the images of some numbers alone."""
        chosen = np.isin(self.owners, images)
        return PatchPool(self.patches[chosen], self.owners[chosen], self.places[chosen])


@dataclass(frozen=True)
class PatchSpace:
    """Takes features of patches to coordinates, in which distances are meaningful.

    Attributes:
        levels: number of features that come from each layer; without any, each feature is divided
            by its standard deviation instead.
        lengths: (n_levels,) or (n_features,) float32, the usual length of each layer's features,
            or each feature's standard deviation.
        mean: (n_features,) float32.
        directions: (n_features, n_dimensions) float32, orthonormal principal directions.
    """

    ARRAYS: ClassVar = {
        "mean": Array(np.float32, ("n_features",)),
        "directions": Array(np.float32, ("n_features", "n_dimensions")),
        "levels": Array(np.int32, ("n_levels",), positive=True, least=0),
    }

    levels: tuple[int, ...]
    lengths: np.ndarray
    mean: np.ndarray
    directions: np.ndarray

    @property
    def n_features(self) -> int:
        """Length of a patch's feature vector."""
        return len(self.mean)

    @property
    def n_dimensions(self) -> int:
        """Number of coordinates."""
        return self.directions.shape[1]

    @classmethod
    def fit(
        cls, patches: np.ndarray, levels: Sequence[int], n_dimensions: int, seed: int
    ) -> PatchSpace:
        """Learn the usual lengths and the principal directions.

        Args:
            patches: (n, n_features) float16.
            levels: as of the class.
            n_dimensions: at most this many directions.
            seed: of the choice among many patches.
        """
        if len(patches) > _MOST_FOR_FIT:
            chosen = np.random.default_rng(seed).choice(len(patches), _MOST_FOR_FIT, replace=False)
            patches = patches[np.sort(chosen)]
        patches = patches.astype(np.float32)
        n_features = patches.shape[1]
        if levels:
            edges = np.cumsum((0, *levels))
            lengths = np.array(
                [
                    np.sqrt(np.square(patches[:, a:b]).sum(axis=1, dtype=np.float64).mean())
                    for a, b in itertools.pairwise(edges)
                ]
            )
        else:
            lengths = patches.std(axis=0, dtype=np.float64)
            lengths = np.maximum(lengths, _LEAST_SPREAD * lengths.mean())
        nothing = np.zeros(n_features, np.float32)
        space = cls(
            tuple(levels),
            np.maximum(lengths, _LEAST_LENGTH).astype(np.float32),
            nothing,
            np.eye(n_features, dtype=np.float32),
        )
        equal = space._on_equal_terms(patches)
        mean = equal.mean(axis=0, dtype=np.float64)
        centred = equal - mean.astype(np.float32)
        _, directions = np.linalg.eigh((centred.T @ centred).astype(np.float64))
        directions = np.ascontiguousarray(directions[:, ::-1][:, :n_dimensions], np.float32)
        return cls(space.levels, space.lengths, mean.astype(np.float32), directions)

    def _on_equal_terms(self, patches: np.ndarray) -> np.ndarray:
        patches = patches.astype(np.float32)
        if not self.levels:
            return patches / self.lengths
        start = 0
        for n_channels, length in zip(self.levels, self.lengths, strict=True):
            layer = patches[:, start : start + n_channels]
            squared = np.einsum("ij,ij->i", layer, layer)
            layer /= np.sqrt(squared + (np.float32(_SOFTNESS) * length) ** 2)[:, None]
            start += n_channels
        return patches

    def project(self, patches: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Take patches to the space.

        Args:
            patches: (n, n_features) float16.

        Returns:
            Their coordinates, (n, n_dimensions) float32, and how far they lie from the space of the
            directions, squared: (n,) float32.
        """
        if len(patches) > _AT_ONCE:
            starts = range(0, len(patches), _AT_ONCE)
            blocks = [self.project(patches[start : start + _AT_ONCE]) for start in starts]
            coordinates, residuals = zip(*blocks, strict=True)
            return np.concatenate(coordinates), np.concatenate(residuals)
        centred = self._on_equal_terms(patches) - self.mean
        coordinates = centred @ self.directions
        residual = np.einsum("ij,ij->i", centred, centred)
        residual -= np.einsum("ij,ij->i", coordinates, coordinates)
        return coordinates, np.maximum(residual, 0)

    def arrays(self) -> dict[str, np.ndarray]:
        """For the model file."""
        return {
            "lengths": self.lengths,
            "mean": self.mean,
            "directions": self.directions,
            "levels": np.array(self.levels, np.int32),
        }

    @classmethod
    def restore(cls, arrays: dict[str, np.ndarray]) -> PatchSpace:
        """Make the space again from a model file's arrays.

        Raises:
            ValueError: they are missing or do not fit together.
        """
        mean, directions, levels = checked_arrays(arrays, cls.ARRAYS).values()
        if len(levels) and int(levels.sum(dtype=np.int64)) != len(mean):
            raise ValueError("the levels of the patches do not add up to their features")
        n_lengths = len(levels) or len(mean)
        lengths = checked(arrays, "lengths", np.float32, (n_lengths,), positive=True)
        return cls(tuple(map(int, levels)), lengths, mean, directions)
