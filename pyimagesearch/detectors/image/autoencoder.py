"""Autoencoders: a network (as an ONNX graph) or principal components, scored without TensorFlow.

An autoencoder learns the anomalies among its training images if it sees them for long enough. The
components, refitted without the images that they reconstruct worst, do not; so they choose what
the network may learn from, and the network stops after a few epochs. What was tried:
docs/methods.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import cv2
import numpy as np

from pyimagesearch.backbones.onnx_graph import open_autoencoder
from pyimagesearch.detectors.array_checks import check_networks, checked_arrays
from pyimagesearch.detectors.image.components import LEFT_OUT, Components
from pyimagesearch.detectors.image.pixel_detector import PixelDetector, checked_shape, image_shape
from pyimagesearch.features import as_floats

# Standard deviation of the smoothing, as a share of the longer side: 0.7 pixels of 28. An edge
# that the network puts a little aside is no anomaly.
_SMOOTHING = 1 / 40
_LEAST_ERROR = 1e-12  # of an image without any error
# Heat 1: what the worst pixel of one training image in a hundred reaches, where each pixel's
# error is taken relative to its usual one, which is at least this share of the mean.
_HEAT_QUANTILE = 0.99
_PIXEL_FLOOR = 0.1
_MOST_FOR_HEAT = 1_000  # images to learn these from


@dataclass(frozen=True)
class AutoencoderDetector(PixelDetector):
    """Reconstruction error times distance to the components: see the module's docstring.

    Scores are ``log(distance) + log(error) / 2`` in their units, so that 0 is usual.

    Attributes:
        shape: (height, width, channels) of the images.
        components: always there; without a network they also reconstruct.
        usual_errors: (height * width,) float32, of each pixel: what its error is divided by to be
            its heat.
        units: the training images' median reconstruction error and median distance.
        network: an ONNX graph, (n, height, width, channels) float32 to the same; or None.
    """

    name = "autoencoder"

    shape: tuple[int, int, int]
    components: Components
    usual_errors: np.ndarray
    units: tuple[float, float] = (1.0, 1.0)
    network: bytes | None = None

    @classmethod
    def fit(
        cls,
        pixels: np.ndarray,
        *,
        components: Components | None = None,
        network: bytes | None = None,
        latent_dim: int = 16,
        seed: int = 42,
    ) -> AutoencoderDetector:
        """Put it together and find the units of their scores.

        Args:
            pixels: (n, height, width, channels) uint8.
            components: None fits them.
            network: trained on the same images, or None.
            latent_dim, seed: of the components, where they are fitted.
        """
        components = components or Components.fit(pixels, latent_dim=latent_dim, seed=seed)
        shape = image_shape(pixels)
        ones = np.ones(shape[0] * shape[1], np.float32)
        detector = cls(shape, components, ones, network=network)
        pairs = [detector._error_and_distance(as_floats(image).ravel()) for image in pixels]
        # Identical images leave nothing to reconstruct; any positive unit does for them.
        error, distance = np.maximum(np.median(pairs, axis=0), _LEAST_ERROR)
        units = (float(error), float(distance))
        return replace(detector, units=units, usual_errors=detector._usual_errors(pixels))

    def reconstruct(self, features: np.ndarray) -> np.ndarray:
        """(n_features,) float32 -> (n_features,) float32, as a normal image would be."""
        if self.network is None:
            return self.components.reconstruct(features)
        return self._run(features.reshape(1, *self.shape)).ravel()

    def contributions(self, features: np.ndarray) -> np.ndarray:
        """(n_features,) -> (height * width,), each pixel's squared residual over its usual one."""
        return self._pixel_errors(features) / self.usual_errors

    def parameters(self) -> dict[str, Any]:
        return {
            "architecture": "pca" if self.network is None else "conv",
            "shape": list(self.shape),
            "latent_dim": self.components.latent_dim,
            "units": list(self.units),
        }

    def arrays(self) -> dict[str, np.ndarray]:
        return self.components.arrays() | super().arrays()

    def networks(self) -> dict[str, bytes]:
        return {} if self.network is None else {"network": self.network}

    @classmethod
    def restore(
        cls,
        parameters: dict[str, Any],
        arrays: dict[str, np.ndarray],
        networks: dict[str, bytes],
    ) -> AutoencoderDetector:
        """Make the detector again from what a model file holds.

        Raises:
            ValueError: something is missing or does not fit together.
        """
        has_network = parameters.get("architecture") == "conv"
        check_networks(networks, ("network",) if has_network else ())
        shape, units = checked_shape(parameters), parameters.get("units")
        if not (isinstance(units, list) and len(units) == 2 and all(map(_is_positive, units))):
            raise ValueError(f"its detector's units are {units!r}")
        return cls(
            shape=shape,
            components=Components.restore(parameters, arrays, math.prod(shape)),
            units=tuple(units),
            network=networks.get("network"),
            **checked_arrays(arrays, cls.ARRAYS, {"n_pixels": shape[0] * shape[1]}),
        )

    def score_image(self, image: np.ndarray) -> float:
        """``log(distance) + log(error) / 2``, each in its unit."""
        error, distance = np.maximum(
            np.divide(self._error_and_distance(image), self.units), _LEAST_ERROR
        )
        return float(np.log(distance) + np.log(error) / 2)

    def _error_and_distance(self, image: np.ndarray) -> tuple[float, float]:
        error = float((self._residual(image) ** 2).mean())
        return error, self.components.distance(image)

    def _pixel_errors(self, image: np.ndarray) -> np.ndarray:
        return (self._residual(image) ** 2).mean(axis=2).ravel()

    def _usual_errors(self, pixels: np.ndarray) -> np.ndarray:
        step = -(-len(pixels) // _MOST_FOR_HEAT)
        errors = np.stack([self._pixel_errors(as_floats(p).ravel()) for p in pixels[::step]])
        # Not of the anomalies among them.
        totals = errors.mean(axis=1)
        errors = errors[totals <= np.quantile(totals, 1 - LEFT_OUT)]
        usual = errors.mean(axis=0)
        usual += np.maximum(_PIXEL_FLOOR * usual.mean(), _LEAST_ERROR)
        worst = np.quantile((errors / usual).max(axis=1), _HEAT_QUANTILE)
        return (usual * max(worst, _LEAST_ERROR)).astype(np.float32)

    def _residual(self, image: np.ndarray) -> np.ndarray:
        residual = (self.reconstruct(image) - image).reshape(self.shape)
        smoothed = cv2.GaussianBlur(residual, (0, 0), max(self.shape[:2]) * _SMOOTHING)
        return smoothed.reshape(self.shape)  # OpenCV drops the axis of a single channel

    @cached_property
    def _run(self) -> Callable[[np.ndarray], np.ndarray]:
        return open_autoencoder(self.network, self.shape)


def _is_positive(value: Any) -> bool:
    return isinstance(value, float) and 0 < value < float("inf")
