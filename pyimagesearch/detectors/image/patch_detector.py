"""What the detectors of patches share: a map of each picture, whose maximum is its score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, Self

import numpy as np

from pyimagesearch.backbones.patch_features import FeatureGroup
from pyimagesearch.detectors.image.anomaly_map import MapScale, smooth
from pyimagesearch.detectors.image.patch_space import PatchPool

_MAX_PARTS = 8


class PartModel(Protocol):
    """What a detector knows of the features of one kind."""

    @property
    def n_features(self) -> int: ...

    @classmethod
    def fit(cls, pool: PatchPool, *, levels: Sequence[int], seed: int) -> PartModel: ...

    def distances(self, patches: np.ndarray) -> np.ndarray:
        """(rows, columns, n_features) float16 of one picture -> (rows, columns) float32."""

    def arrays(self) -> dict[str, np.ndarray]: ...

    @classmethod
    def restore(cls, arrays: dict[str, np.ndarray]) -> PartModel: ...


@dataclass(frozen=True)
class MapDetector:
    """A detector that says of every patch how strange it is.

    Attributes:
        parts: a model for each kind of features, in the order in which they stand in a patch.
        scale: how their maps become one.
    """

    name: ClassVar[str]
    model: ClassVar[type[PartModel]]

    parts: tuple[Any, ...]
    scale: MapScale

    @classmethod
    def fit(
        cls, pool: PatchPool, *, parts: Sequence[FeatureGroup], seed: int = 42, **chosen: Any
    ) -> Self:
        """Fit a model to each part.

        Args:
            pool: patches of normal pictures.
            parts: what they consist of.
            seed: of all choices.
            **chosen: what the model's ``fit`` takes beside these.
        """
        models = []
        start = 0
        for part in parts:
            thinned = slice(None, None, part.thinning)
            own = PatchPool(
                pool.patches[thinned, start : start + part.n_features],
                pool.owners[thinned],
                pool.places[thinned],
            )
            models.append(cls.model.fit(own, levels=part.levels, seed=seed, **chosen))
            start += part.n_features
        return cls(tuple(models), MapScale.of([part.weight for part in parts]))

    @property
    def n_features(self) -> int:
        """Length of a patch's feature vector."""
        return sum(part.n_features for part in self.parts)

    def with_scale(self, scale: MapScale) -> Self:
        """The same detector with another scale of its maps."""
        return replace(self, scale=scale)

    def smoothed(self, patches: np.ndarray) -> np.ndarray:
        """What a scale is learned from and applied to.

        Args:
            patches: (rows, columns, n_features) float16 of one picture.

        Returns:
            (n_parts, rows, columns) float32.

        Raises:
            ValueError: another number of features than it was fitted on.
        """
        if patches.ndim != 3 or patches.shape[2] != self.n_features:
            raise ValueError(
                f"patches of shape {patches.shape} for a detector of {self.n_features} features"
            )
        edges = np.cumsum([part.n_features for part in self.parts])[:-1]
        own = np.split(patches, edges, axis=2)
        found = [part.distances(p) for part, p in zip(self.parts, own, strict=True)]
        return smooth(np.stack(found))

    def map(self, patches: np.ndarray) -> np.ndarray:
        """How strange each patch is, on one scale for all: (rows, columns) float32."""
        return self.scale.apply(self.smoothed(patches))

    def score(self, features: Sequence[np.ndarray]) -> np.ndarray:
        """Compute anomaly scores: each picture's strangest place.

        Args:
            features: of each picture (rows, columns, n_features) float16, of any shapes.

        Returns:
            (n_items,) float64; about 1 is usual for a normal picture.
        """
        return np.array([self.map(patches).max() for patches in features], np.float64)

    def reconstruct(self, features: np.ndarray) -> None:
        """Patches know no normal picture as a whole."""

    def heat(self, features: np.ndarray, relative: Callable[[Any], Any]) -> np.ndarray:
        """The map on the scale of heat: (rows, columns) float64, where 1 is the threshold."""
        return relative(self.map(features).astype(np.float64))

    def contributions(self, features: np.ndarray) -> np.ndarray:
        """The map as it is, comparable between pictures: (rows, columns) float32."""
        return self.map(features)

    def parameters(self) -> dict[str, Any]:
        return {"features": [part.n_features for part in self.parts]}

    def arrays(self) -> dict[str, np.ndarray]:
        arrays = self.scale.arrays()
        for number, part in enumerate(self.parts):
            arrays |= {f"{number}.{name}": array for name, array in part.arrays().items()}
        return arrays

    def networks(self) -> dict[str, bytes]:
        return {}

    @classmethod
    def restore(
        cls,
        parameters: dict[str, Any],
        arrays: dict[str, np.ndarray],
        networks: dict[str, bytes],
    ) -> Self:
        """Make the detector again from what a model file holds.

        Raises:
            ValueError: arrays that are missing or do not fit together.
        """
        described = parameters.get("features")
        if not isinstance(described, list) or not 1 <= len(described) <= _MAX_PARTS:
            raise ValueError(f"the {cls.name}'s parts are {described!r}")
        if networks:
            raise ValueError(f"the {cls.name} has no network of its own")
        models = []
        for number, n_features in enumerate(described):
            prefix = f"{number}."
            own = {
                name.removeprefix(prefix): array
                for name, array in arrays.items()
                if name.startswith(prefix)
            }
            models.append(cls.model.restore(own))
            if models[-1].n_features != n_features:
                raise ValueError(
                    f"part {number} of the {cls.name} has {models[-1].n_features} features, not "
                    f"the {n_features!r} of its description"
                )
        return cls(tuple(models), MapScale.restore(arrays, len(models)))
