"""What the detectors of pixels share: images are scored alone; heat has one value a pixel."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from pyimagesearch.detectors.array_checks import Array, check_rows
from pyimagesearch.detectors.base import ImageDetector, Relative
from pyimagesearch.features import as_floats


class PixelDetector(ImageDetector):
    """Reconstructs images and scores what is left; each image alone, whatever comes with it.

    Matrix products of several images differ in their last bits from those of one.

    Attributes:
        shape: (height, width, channels) of the images.
    """

    ARRAYS: ClassVar = {"usual_errors": Array(np.float32, ("n_pixels",), positive=True)}

    shape: tuple[int, int, int]

    @property
    def n_features(self) -> int:
        """Length of a feature vector: an image's pixels, row by row."""
        height, width, channels = self.shape
        return height * width * channels

    @abstractmethod
    def score_image(self, image: np.ndarray) -> float:
        """(n_features,) float32 in [0, 1] -> its score."""

    @abstractmethod
    def reconstruct(self, features: np.ndarray) -> np.ndarray:
        """(n_features,) float32 -> (n_features,) float32, the image as it would be if normal."""

    def score(self, features: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
        """Compute anomaly scores: see the class.

        Args:
            features: (n_items, n_features) float32 in [0, 1].

        Returns:
            (n_items,) float64.

        Raises:
            ValueError: another number of features.
        """
        check_rows(features, self.n_features, f"images of {self.n_features} values")
        return np.array([self.score_image(image) for image in features], np.float64)

    def score_pixels(self, pixels: np.ndarray) -> np.ndarray:
        """(n, height, width, channels) uint8, possibly on disk -> (n,) float64, as ``score``."""
        scores = [self.score_image(as_floats(image).ravel()) for image in pixels]
        return np.array(scores, np.float64)

    def heat(self, features: np.ndarray, relative: Relative) -> np.ndarray:
        """Find where an image is anomalous, on a scale that is the same for all images.

        Args:
            features: (n_features,) float32.
            relative: takes scores to the scale where 0 is typical and 1 the threshold.

        Returns:
            (height * width,) float: nothing of a normal image exceeds 1, and something of an
            anomaly does, if only its worst pixel.
        """
        relative_score = float(relative(self.score_image(features)))
        return within_verdict(self.contributions(features), relative_score)


def image_shape(pixels: np.ndarray) -> tuple[int, int, int]:
    """(height, width, channels) of (n, height, width, channels)."""
    height, width, channels = map(int, pixels.shape[1:])
    return height, width, channels


def checked_shape(parameters: dict[str, Any]) -> tuple[int, int, int]:
    """The shape of the images that a detector in a model file takes.

    Raises:
        ValueError: it is none.
    """
    shape = parameters.get("shape")
    if not (
        isinstance(shape, list)
        and len(shape) == 3
        and all(isinstance(length, int) and length >= 1 for length in shape)
    ):
        raise ValueError(f"its detector's shape is {shape!r}")
    height, width, channels = shape
    return height, width, channels


def within_verdict(heat: np.ndarray, relative: float) -> np.ndarray:
    """Bring a heat map into line with an image's score.

    Args:
        heat: any shape, not negative; 1 is about the limit of what is normal.
        relative: the image's score, where 0 is typical and 1 the threshold.

    Returns:
        The same shape. Nothing exceeds 1 if the score does not, and something does if it does, if
        only the hottest pixel.
    """
    if relative <= 1:
        return np.minimum(heat, 1)
    least = np.nextafter(1, 2, dtype=np.float32)
    hottest = heat.max()
    if hottest <= 0:  # the verdict rests on something that no pixel shows
        return np.full_like(heat, least)
    return heat * max(1, least / hottest)
