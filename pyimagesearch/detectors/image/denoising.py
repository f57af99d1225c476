"""The denoising autoencoder: what its reconstruction of an image changes, and what it marks.

The network, an ONNX graph, gives back the image of a part without its defects, and marks where it
took some out (``DenoisingAutoencoder``). The score adds up three opinions. The marks are
best at what resembles the made defects. Where the structure of image and reconstruction differs,
something else was not kept. And principal components of the image at a small size know how parts
vary as a whole. Each is a logarithm, taken relative to how it is spread over held-out good parts:
an opinion that varies much among good parts counts less. What was tried: docs/methods.md.
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
from pyimagesearch.detectors.image.components import Components
from pyimagesearch.detectors.image.pixel_detector import PixelDetector, checked_shape, image_shape
from pyimagesearch.features import as_floats

# Standard deviation of the smoothing, as a share of the longer side: 1.5 pixels of 128.
_SMOOTHING = 1 / 85
# Of the usual errors: what lies that close together is about as hard to reconstruct.
_USUAL_SMOOTHING = 1 / 50
_USUAL_FLOOR = 0.3  # of their mean
# The share of an image whose hottest pixels are averaged: single ones are noise.
_TOP_RESIDUAL, _TOP_MARKS, _TOP_COMPONENTS = 0.005, 0.01, 0.005
_N_OPINIONS = 3  # structure, marks, components
# What their spreads are before any good part is seen, which counts as much as so many parts.
_USUAL_SPREADS, _USUAL_SPREADS_COUNT = (0.3, 0.3, 0.4), 8
# SSIM's constants keep noise on a flat surface from being structure: these are of a tenth of the
# range, squared, where the usual ones are of a hundredth and of three.
_STEADY = 0.01
_COMPONENTS_SIDE = 32  # of the small copy that components reconstruct
_N_COMPONENTS = 128
_COMPONENTS_SMOOTHING = 0.7  # pixels
_LEAST_ERROR = 1e-12
_LEAST_MARK = 1e-4  # and at most 1 less this
# Exponent of the residual in the heat map: the marks outline a defect better.
_RESIDUAL_IN_HEAT = 0.1
_HEAT_QUANTILE = 0.99  # of the worst pixels of training images
_MOST_FOR_UNITS = 400  # images to learn these from


@dataclass(frozen=True)
class DenoisingDetector(PixelDetector):
    """Marks and residuals of a denoising autoencoder: see the module's docstring.

    Scores are sums of three logarithms, in their spreads from their centres: of the structural
    residual in usual ones, of the odds of the marks and of the components' residual, each of a mean
    over the hottest pixels.

    Attributes:
        shape: (height, width, channels) of the images.
        network: an ONNX graph, (n, height, width, channels) float32 to one channel more: the
            reconstruction, and the marks, from 0 to 1.
        components: of the images at a small size.
        usual_errors: (height * width,) float32, of each pixel: what its residual is divided by.
        limit: the heat of the worst pixel of one training image in a hundred.
        centres, spreads: of the three opinions over good parts.
    """

    name = "denoising"

    shape: tuple[int, int, int]
    network: bytes
    components: Components
    usual_errors: np.ndarray
    limit: float = 1.0
    centres: tuple[float, ...] = (0.0, 0.0, 0.0)
    spreads: tuple[float, ...] = (1.0, 1.0, 1.0)

    @classmethod
    def fit(
        cls, pixels: np.ndarray, network: bytes, held_out: np.ndarray, *, seed: int = 42
    ) -> DenoisingDetector:
        """Find what is usual on the images that a network was trained on.

        Args:
            pixels: (n, height, width, channels) uint8, possibly on disk.
            network: see the class.
            held_out: (m, height, width, channels) uint8, good parts that it was not trained on.
            seed: of the components.
        """
        shape = image_shape(pixels)
        small = np.stack([_shrunk(image, shape) for image in pixels])
        # All of these are good: none is left out.
        components = Components.fit(small, latent_dim=_N_COMPONENTS, seed=seed, trim=0)
        detector = cls(shape, network, components, np.ones(shape[0] * shape[1], np.float32))
        some = pixels[:: -(-len(pixels) // _MOST_FOR_UNITS)]
        errors = np.zeros(shape[:2], np.float64)
        for image in some:
            errors += detector._residual_and_marks(as_floats(image).ravel())[0]
        spread = _USUAL_SMOOTHING * max(shape[:2])
        usual = _smoothed((errors / len(some)).astype(np.float32), spread)
        usual += max(_USUAL_FLOOR * float(usual.mean()), _LEAST_ERROR)
        detector = replace(detector, usual_errors=usual.ravel())
        hottest = [float(detector.contributions(as_floats(p).ravel()).max()) for p in some]
        opinions = np.array([detector._opinions(as_floats(p).ravel()) for p in held_out])
        deviations = ((opinions - opinions.mean(axis=0)) ** 2).sum(axis=0)
        prior = _USUAL_SPREADS_COUNT * np.square(_USUAL_SPREADS)
        spreads = np.sqrt((prior + deviations) / (_USUAL_SPREADS_COUNT + len(opinions)))
        return replace(
            detector,
            limit=float(np.quantile(hottest, _HEAT_QUANTILE)),
            centres=tuple(np.median(opinions, axis=0).tolist()),
            spreads=tuple(spreads.tolist()),
        )

    def reconstruct(self, features: np.ndarray) -> np.ndarray:
        """(n_features,) float32 -> (n_features,) float32, the part without its defects."""
        return self._run_on(features)[:, :, :-1].ravel()

    def contributions(self, features: np.ndarray) -> np.ndarray:
        """(n_features,) -> (height * width,) float32, how anomalous each pixel is."""
        errors, marks = self._residual_and_marks(features)
        residual = np.maximum(errors.ravel() / self.usual_errors, _LEAST_ERROR)
        heat = _odds(marks).ravel() * residual**_RESIDUAL_IN_HEAT
        return (heat / self.limit).astype(np.float32)

    def parameters(self) -> dict[str, Any]:
        return {
            "shape": list(self.shape),
            "latent_dim": self.components.latent_dim,
            "limit": self.limit,
            "centres": list(self.centres),
            "spreads": list(self.spreads),
        }

    def arrays(self) -> dict[str, np.ndarray]:
        return self.components.arrays() | super().arrays()

    def networks(self) -> dict[str, bytes]:
        return {"network": self.network}

    @classmethod
    def restore(
        cls,
        parameters: dict[str, Any],
        arrays: dict[str, np.ndarray],
        networks: dict[str, bytes],
    ) -> DenoisingDetector:
        """Make the detector again from what a model file holds.

        Raises:
            ValueError: something is missing or does not fit together.
        """
        check_networks(networks, ("network",))
        shape, limit = checked_shape(parameters), parameters.get("limit")
        if not (isinstance(limit, float) and 0 < limit < float("inf")):
            raise ValueError(f"its detector's limit is {limit!r}")
        centres, spreads = (_checked_triple(parameters, name) for name in ("centres", "spreads"))
        if min(spreads) <= 0:
            raise ValueError(f"its detector's spreads are {spreads}")
        return cls(
            shape=shape,
            network=networks["network"],
            components=Components.restore(parameters, arrays, math.prod(_small(shape))),
            limit=limit,
            centres=centres,
            spreads=spreads,
            **checked_arrays(arrays, cls.ARRAYS, {"n_pixels": shape[0] * shape[1]}),
        )

    def score_image(self, image: np.ndarray) -> float:
        """The sum of the three opinions, each in its spreads from its centre."""
        return float(((self._opinions(image) - self.centres) / self.spreads).sum())

    def _opinions(self, image: np.ndarray) -> np.ndarray:
        """Structure, marks and components, (3,) float64."""
        errors, marks = self._residual_and_marks(image)
        found = (
            _mean_of_top(errors.ravel() / self.usual_errors, _TOP_RESIDUAL),
            _odds(_mean_of_top(marks.ravel(), _TOP_MARKS)),
            self._components_error(image),
        )
        return np.log(np.maximum(found, _LEAST_ERROR))

    def _residual_and_marks(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The structural residual and the marks, smoothed, each (height, width) float32."""
        found = self._run_on(image)
        spread = _SMOOTHING * max(self.shape[:2])
        grey, rebuilt = image.reshape(self.shape).mean(axis=2), found[:, :, :-1].mean(axis=2)
        residual = np.maximum(1 - _likeness(grey, rebuilt, spread), 0)
        return _smoothed(residual, spread), _smoothed(found[:, :, -1], spread)

    def _components_error(self, image: np.ndarray) -> float:
        pixels = (image * np.float32(255) + np.float32(0.5)).astype(np.uint8)
        small = as_floats(_shrunk(pixels.reshape(self.shape), self.shape))
        residual = (self.components.reconstruct(small.ravel()) - small.ravel()) ** 2
        each = residual.reshape(small.shape).mean(axis=2)
        return _mean_of_top(_smoothed(each, _COMPONENTS_SMOOTHING).ravel(), _TOP_COMPONENTS)

    def _run_on(self, image: np.ndarray) -> np.ndarray:
        return self._run(image.reshape(1, *self.shape))[0]

    @cached_property
    def _run(self) -> Callable[[np.ndarray], np.ndarray]:
        height, width, channels = self.shape
        return open_autoencoder(self.network, self.shape, (height, width, channels + 1))


def _checked_triple(parameters: dict[str, Any], name: str) -> tuple[float, ...]:
    found = parameters.get(name)
    if not (
        isinstance(found, list)
        and len(found) == _N_OPINIONS
        and all(isinstance(value, float) and math.isfinite(value) for value in found)
    ):
        raise ValueError(f"its detector's {name} are {found!r}")
    return tuple(found)


def _smoothed(values: np.ndarray, spread: float) -> np.ndarray:
    return cv2.GaussianBlur(np.ascontiguousarray(values), (0, 0), max(spread, 0.5))


def _mean_of_top(values: np.ndarray, share: float) -> float:
    n_top = max(1, round(share * len(values)))
    return float(np.partition(values, len(values) - n_top)[-n_top:].mean())


def _odds(marks: np.ndarray | float) -> np.ndarray | float:
    likely = np.clip(marks, _LEAST_MARK, 1 - _LEAST_MARK)
    return likely / (1 - likely)


def _likeness(one: np.ndarray, other: np.ndarray, spread: float) -> np.ndarray:
    """Structural similarity of two grey images in [0, 1]: Wang et al., IEEE TIP 13 (2004)."""
    mean_one, mean_other = _smoothed(one, spread), _smoothed(other, spread)
    variance_one = _smoothed(one * one, spread) - mean_one**2
    variance_other = _smoothed(other * other, spread) - mean_other**2
    covariance = _smoothed(one * other, spread) - mean_one * mean_other
    means = (2 * mean_one * mean_other + _STEADY) / (mean_one**2 + mean_other**2 + _STEADY)
    return means * (2 * covariance + _STEADY) / (variance_one + variance_other + _STEADY)


def _small(shape: tuple[int, int, int]) -> tuple[int, int, int]:
    height, width, channels = shape
    return min(height, _COMPONENTS_SIDE), min(width, _COMPONENTS_SIDE), channels


def _shrunk(image: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    height, width, channels = _small(shape)
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return small.reshape(height, width, channels)
