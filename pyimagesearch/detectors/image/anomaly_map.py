"""From how anomalous each patch of an image is to one map, comparable across places and images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import cv2
import numpy as np

from pyimagesearch.backbones import cell_grid
from pyimagesearch.detectors.array_checks import Array, checked, checked_arrays

# Standard deviation, in cells. Patches that matter have neighbours that are anomalous, too; of all
# that was tried, smoothing before the maximum hurt least and helped most.
_SMOOTHING = 0.9
# Cells near the border see less of the image and more of its margin. From this many cells on, the
# border is too far to matter.
BORDER_CELLS = 8
_LEAST_INSIDE = 1e-12
_LEAST_SPREAD = 1e-6
_QUANTILE = 0.9  # of a normal image's cells at one distance from the border


def smooth(distances: np.ndarray) -> np.ndarray:
    """Blur maps: single cells count for less than several together.

    Args:
        distances: (n_groups, rows, columns) float32.

    Returns:
        The same shape, float32.
    """
    blurred = [
        cv2.GaussianBlur(values, (0, 0), _SMOOTHING, borderType=cv2.BORDER_REFLECT_101)
        for values in np.asarray(distances, np.float32)
    ]
    return np.stack(blurred).reshape(distances.shape)


@dataclass(frozen=True)
class MapScale:
    """How maps of several groups of features become one, learned from those of normal images.

    Each map is divided by what is usual for it. Where normal images are more anomalous near their
    border than inside (dark margins, objects that are cut off), that is taken out; where they are
    less so there, nothing is made of it: a quiet background must not be blown up until its
    noise outweighs a defect.

    Attributes:
        weights: (n_groups,) float32, of each group in the sum that shows where an anomaly is.
        score_weights: (n_groups,) float32, of each group in the sum whose maximum is the score:
            those whose maxima scatter more between normal images than the first one's say less.
        border: (n_groups, BORDER_CELLS + 1) float32, at each distance from the border, at least 1.
        levels: (n_groups,) float32, means of the normal images' maxima.
        ignored: (rows, columns) uint8, 1 where whatever is there is no anomaly; a grid over any
            image; None where all of it counts.
    """

    ARRAYS: ClassVar = {
        "weights": Array(np.float32, ("n_groups",), positive=True),
        "score_weights": Array(np.float32, ("n_groups",), positive=True),
        "border": Array(np.float32, ("n_groups", BORDER_CELLS + 1), positive=True),
        "levels": Array(np.float32, ("n_groups",), positive=True),
    }

    weights: np.ndarray
    score_weights: np.ndarray
    border: np.ndarray
    levels: np.ndarray
    ignored: np.ndarray | None = None

    @classmethod
    def from_weights(cls, weights: Sequence[float], ignored: np.ndarray | None = None) -> MapScale:
        """A scale that leaves maps as they are, but for their weights."""
        n_groups = len(weights)
        border = np.ones((n_groups, BORDER_CELLS + 1), np.float32)
        same = np.array(weights, np.float32)
        return cls(same, same, border, np.ones(n_groups, np.float32), ignored)

    def profile(self, smoothed: np.ndarray) -> np.ndarray:
        """What is usual in an image at each distance from its border.

        Args:
            smoothed: (n_groups, rows, columns) float32 from ``smooth``.

        Returns:
            (n_groups, BORDER_CELLS + 1) float64, NaN where there is no such cell.
        """
        distance = cell_grid.border_distance(smoothed.shape[1:], BORDER_CELLS)
        counted = self.counts(smoothed.shape[1:])
        found = np.full((len(smoothed), BORDER_CELLS + 1), np.nan)
        for cells in range(BORDER_CELLS + 1):
            here = (distance == cells) & counted
            if here.any():
                found[:, cells] = np.quantile(smoothed[:, here], _QUANTILE, axis=1)
        return found

    def refit(
        self, smoothed: Sequence[np.ndarray], profiles: Sequence[np.ndarray] | None = None
    ) -> MapScale:
        """Learn the scale from ``smooth``'s maps of normal images that no detector had seen.

        Args:
            smoothed: (n_groups, rows, columns) float32 each.
            profiles: of each of them, by ``profile``, where these are known already.

        Returns:
            A scale with the same weights and the same regions to ignore.
        """
        if profiles is None:
            profiles = [self.profile(maps) for maps in smoothed]
        border = _border(np.array(profiles)).astype(np.float32)
        scale = replace(self, border=border, levels=np.ones_like(self.levels))
        highest = [scale._scaled(maps).max(axis=(1, 2)) for maps in smoothed]
        levels = np.maximum(np.mean(highest, axis=0), np.finfo(np.float32).tiny)
        spread = np.maximum(np.std(highest, axis=0) / levels, _LEAST_SPREAD)
        says = np.maximum(np.minimum(1, spread[0] / spread) ** 2, _LEAST_SPREAD)
        return replace(
            scale,
            levels=levels.astype(np.float32),
            score_weights=(self.weights * says).astype(np.float32),
        )

    def score(self, smoothed: np.ndarray) -> float:
        """(n_groups, rows, columns) from ``smooth`` -> the score, about 1 for a normal image."""
        return float(_weighted(self.score_weights, self._scaled(smoothed)).max())

    def apply(self, smoothed: np.ndarray) -> np.ndarray:
        """(n_groups, rows, columns) from ``smooth`` -> (rows, columns) float32.

        About 1 at the highest of a normal image; 0 where it is ignored.
        """
        return _weighted(self.weights, self._scaled(smoothed))

    def _scaled(self, smoothed: np.ndarray) -> np.ndarray:
        distance = cell_grid.border_distance(smoothed.shape[1:], BORDER_CELLS)
        scaled = smoothed / (self.border * self.levels[:, None])[:, distance]
        return scaled if self.ignored is None else scaled * self.counts(scaled.shape[1:])

    def counts(self, shape: tuple[int, int]) -> np.ndarray:
        """Which cells count: (rows, columns) bool."""
        if self.ignored is None:
            return np.ones(shape, bool)
        share = cv2.resize(
            self.ignored.astype(np.float32), shape[::-1], interpolation=cv2.INTER_AREA
        )
        return share.reshape(shape) < 0.5

    def arrays(self) -> dict[str, np.ndarray]:
        """For the model file."""
        arrays = {name: getattr(self, name) for name in self.ARRAYS}
        return arrays if self.ignored is None else arrays | {"ignored": self.ignored}

    @classmethod
    def restore(cls, arrays: dict[str, np.ndarray], n_groups: int) -> MapScale:
        """Make the scale again from a model file's arrays.

        Raises:
            ValueError: they are missing or no scale of so many groups.
        """
        # Model files of older versions have one kind of weights for both.
        arrays = {"score_weights": arrays["weights"]} | arrays if "weights" in arrays else arrays
        found = checked_arrays(arrays, cls.ARRAYS, {"n_groups": n_groups})
        ignored = None
        if "ignored" in arrays:
            ignored = checked(arrays, "ignored", np.uint8, ("rows", "columns"))
            if ignored.max() > 1:
                raise ValueError("the detector's ignored regions are not a grid of 0 and 1")
        return cls(**found, ignored=ignored)


def with_peak(heat: np.ndarray, peak: float) -> np.ndarray:
    """Bring a map on the scale of heat into line with its image's verdict.

    Only what is above the typical, 0, is stretched, so that backgrounds stay comparable.

    Args:
        heat: (rows, columns) float64, from the weights that show best where an anomaly is.
        peak: the image's score on the same scale, from those that tell best whether there is one.

    Returns:
        (rows, columns) float64, whose maximum is the peak.
    """
    highest = heat.argmax()
    if peak > 0 and heat.flat[highest] > 0:
        heat = np.where(heat > 0, heat * (peak / heat.flat[highest]), heat)
    heat = np.minimum(heat, peak)
    heat.flat[highest] = peak
    return heat


def _weighted(weights: np.ndarray, maps: np.ndarray) -> np.ndarray:
    return np.tensordot(weights / weights.sum(), maps, 1)


def _border(profiles: np.ndarray) -> np.ndarray:
    """What is usual at each distance from the border over what is inside, at least 1.

    (n_images, n_groups, BORDER_CELLS + 1) -> (n_groups, BORDER_CELLS + 1) float64.
    """
    known = np.isfinite(profiles)
    n_known = known.sum(axis=0)
    means = np.where(known, profiles, 0).sum(axis=0) / np.maximum(n_known, 1)
    # The furthest distance that any image has is inside; what no image has is left alone.
    furthest = np.flatnonzero(n_known.any(axis=0))[-1:]
    inside = means[:, furthest] if furthest.size else np.ones((len(means), 1))
    over = np.where(n_known > 0, means / np.maximum(inside, _LEAST_INSIDE), 1)
    return np.maximum(over, 1)
