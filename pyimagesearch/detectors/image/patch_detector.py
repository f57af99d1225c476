"""What the detectors of patches share: a map of each image, whose maximum is its score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

import numpy as np

from pyimagesearch.backbones.patch_features import FeatureGroup
from pyimagesearch.detectors.array_checks import below_prefix, check_networks
from pyimagesearch.detectors.base import ImageDetector, Relative
from pyimagesearch.detectors.image.anomaly_map import MapScale, smooth, with_peak
from pyimagesearch.detectors.image.patch_space import PatchPool

_MAX_GROUPS = 8


class GroupModel(Protocol):
    """What a detector knows of one group of features."""

    @property
    def n_features(self) -> int: ...

    @classmethod
    def fit(cls, pool: PatchPool, *, levels: Sequence[int], seed: int) -> Self: ...

    def distances(self, patches: np.ndarray) -> np.ndarray:
        """(rows, columns, n_features) float16 of one image -> (rows, columns) float32."""

    def arrays(self) -> dict[str, np.ndarray]: ...

    @classmethod
    def restore(cls, arrays: dict[str, np.ndarray]) -> Self: ...


Model = TypeVar("Model", bound=GroupModel)


@dataclass(frozen=True)
class PatchDetector(ImageDetector, Generic[Model]):
    """Scores every patch of an image.

    Attributes:
        MODEL: of each group of features.
        FIT_OPTIONS: what the model's ``fit`` takes in addition to levels and seed.
        groups: a model for each group of features, in the order in which they stand in a patch.
        scale: how their maps become one.
    """

    MODEL: ClassVar[type[GroupModel]]
    FIT_OPTIONS: ClassVar[tuple[str, ...]] = ()

    groups: tuple[Model, ...]
    scale: MapScale

    @classmethod
    def fit(
        cls, pool: PatchPool, *, groups: Sequence[FeatureGroup], seed: int = 42, **chosen: Any
    ) -> Self:
        """Fit a model to each group of features.

        Args:
            pool: patches of normal images.
            groups: what they consist of.
            seed: of all choices.
            **chosen: the ``FIT_OPTIONS``.
        """
        models: list[Any] = []
        start = 0
        for group in groups:
            thinned = slice(None, None, group.thinning)
            own = PatchPool(
                pool.patches[thinned, start : start + group.n_features],
                pool.owners[thinned],
                pool.places[thinned],
            )
            models.append(cls.MODEL.fit(own, levels=group.levels, seed=seed, **chosen))
            start += group.n_features
        return cls(tuple(models), MapScale.from_weights([group.weight for group in groups]))

    @property
    def n_features(self) -> int:
        """Length of a patch's feature vector."""
        return sum(group.n_features for group in self.groups)

    def _blank(self) -> np.ndarray:
        return np.zeros((2, 2, self.n_features), np.float16)

    def with_scale(self, scale: MapScale) -> Self:
        """The same detector with another scale of its maps."""
        return replace(self, scale=scale)

    def smoothed(self, patches: np.ndarray) -> np.ndarray:
        """What a scale is learned from and applied to.

        Args:
            patches: (rows, columns, n_features) float16 of one image.

        Returns:
            (n_groups, rows, columns) float32.

        Raises:
            ValueError: another number of features than it was fitted on.
        """
        if patches.ndim != 3 or patches.shape[2] != self.n_features:
            raise ValueError(
                f"patches of shape {patches.shape} for a detector of {self.n_features} features"
            )
        own = np.split(patches, self._edges(), axis=2)
        found = [group.distances(p) for group, p in zip(self.groups, own, strict=True)]
        return smooth(np.stack(found))

    def _edges(self) -> np.ndarray:
        """Where one group of features ends and the next begins."""
        return np.cumsum([group.n_features for group in self.groups])[:-1]

    def anomaly_map(self, patches: np.ndarray) -> np.ndarray:
        """How anomalous each patch is, on one scale for all: (rows, columns) float32."""
        return self.scale.apply(self.smoothed(patches))

    def score(self, features: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
        """Compute anomaly scores: the maximum of each image's map.

        Args:
            features: of each image (rows, columns, n_features) float16, of any shapes.

        Returns:
            (n_images,) float64; about 1 is usual for a normal image.
        """
        found = [self.scale.score(self.smoothed(patches)) for patches in features]
        return np.array(found, np.float64)

    def contributions(self, features: np.ndarray) -> np.ndarray:
        """The map as it is, comparable between images: (rows, columns) float32."""
        return self.anomaly_map(features)

    def heat(self, features: np.ndarray, relative: Relative, factor: float = 1.0) -> np.ndarray:
        """The map on the scale of heat: (rows, columns) float64, where 1 is the threshold.

        Args:
            features: of one image.
            relative: takes scores to that scale.
            factor: that the image's score is multiplied by.
        """
        smoothed = self.smoothed(features)
        shown = relative(self.scale.apply(smoothed).astype(np.float64))
        return with_peak(shown, relative(self.scale.score(smoothed) * factor))

    def parameters(self) -> dict[str, Any]:
        return {"features": [group.n_features for group in self.groups]}

    def arrays(self) -> dict[str, np.ndarray]:
        arrays = self.scale.arrays()
        for number, group in enumerate(self.groups):
            arrays |= {f"{number}.{name}": array for name, array in group.arrays().items()}
        return arrays

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
        check_networks(networks)
        described = parameters.get("features")
        if not isinstance(described, list) or not 1 <= len(described) <= _MAX_GROUPS:
            raise ValueError(f"its detector's features are {described!r}")
        models: list[Any] = []
        for number, n_features in enumerate(described):
            models.append(cls.MODEL.restore(below_prefix(arrays, f"{number}.")))
            if models[-1].n_features != n_features:
                raise ValueError(
                    f"group {number} of its detector has {models[-1].n_features} features, not "
                    f"the {n_features!r} of its description"
                )
        return cls(tuple(models), MapScale.restore(arrays, len(models)))
