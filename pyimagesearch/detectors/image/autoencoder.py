"""Autoencoders: a network (as an ONNX graph) or principal components, scored without TensorFlow.

What was chosen, and what it was compared with (MNIST, average precision of the anomalies; a mean
over five draws of 1s with 1% of 3s, then over 14 pairs of digits at 1% and at 5%, by
``benchmarks/digits.py`` or on the way to it):

=====================================================================  =====  =====  =====
score                                                                  1 / 3  1%     5%
=====================================================================  =====  =====  =====
residual of 16 principal components                                    .712   .262   .313
the same, refitted five times without the worst tenth                  .807   .247   .414
network's squared error, batches without their worst twentieth         .905   .263   .333
network's squared error, without the images whose components stray     .873   .295   .401
distance in the span of the trimmed components, whitened               .892   .294   .432
the last two multiplied, the error smoothed and under a square root    .893   .325   .439
=====================================================================  =====  =====  =====

An autoencoder learns the anomalies among its training images if it sees them for long enough. The
components, refitted without the images that they reconstruct worst, do not; so they choose what
the network may learn from, and the network stops after a few epochs.
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
from pyimagesearch.detectors.array_checks import check_rows, checked
from pyimagesearch.features import as_floats

# Refitted without the worst share until that no longer changes, or this often.
_TRIM = 0.1
_ROUNDS = 5
_MOST_COMPONENTS = 128
_VARIANCE_KEPT = 0.98  # the rest is noise, which would outweigh everything when it is whitened
_VARIANCE_FLOOR = 0.05  # of the mean variance
_MOST_FIT_BYTES = 128 * 1024**2  # a few copies of this are made
# The share that the network may not learn from: it must exceed the contamination, and every image
# left out costs some of what is merely unusual.
_LEFT_OUT = 0.05
# Standard deviation of the smoothing, as a share of the longer side: 0.7 pixels of 28. An edge
# that the network puts a little aside is no anomaly.
_SMOOTHING = 1 / 40
_LEAST_PART = 1e-12  # of a picture without any error
# Heat 1: what the worst pixel of one training picture in a hundred reaches, where each pixel's
# error is taken relative to its usual one, which is at least this share of the mean.
_HEAT_QUANTILE = 0.99
_PIXEL_FLOOR = 0.1
_MOST_FOR_HEAT = 1_000  # pictures to learn these from
_COMPONENT_ARRAYS = ("mean", "directions", "variances")


@dataclass(frozen=True)
class Components:
    """Principal components of pictures, fitted without those that they reconstruct worst.

    Attributes:
        latent_dim: how many of the directions a reconstruction uses.
        mean: (n_features,) float32.
        directions: (n_directions, n_features) float32, orthonormal, the largest variance first.
        variances: (n_directions,) float32.
    """

    latent_dim: int
    mean: np.ndarray
    directions: np.ndarray
    variances: np.ndarray

    @classmethod
    def fit(
        cls, pixels: np.ndarray, *, latent_dim: int = 16, seed: int = 42, trim: float = _TRIM
    ) -> Components:
        """Fit to pictures, of which some may be anomalies.

        Args:
            pixels: (n, height, width, channels) uint8; a random part is taken where all of them
                would need more than 128 MB.
            latent_dim: number of directions of a reconstruction.
            seed: of that choice and of the decomposition.
            trim: share of the pictures, the worst reconstructed, that each refit leaves out.
        """
        from sklearn.decomposition import PCA

        n_fit = min(len(pixels), max(_MOST_FIT_BYTES // (4 * pixels[0].size), 2))
        chosen = np.random.default_rng(seed).permutation(len(pixels))[:n_fit]
        flat = as_floats(pixels[np.sort(chosen)]).reshape(n_fit, -1)
        basis = None
        if 4 * n_fit < flat.shape[1]:
            # All that few pictures can say lies in their span: turn into it once, not each round.
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
        """What ``restore`` needs beside ``latent_dim``."""
        return {name: getattr(self, name) for name in _COMPONENT_ARRAYS}

    @classmethod
    def restore(
        cls, parameters: dict[str, Any], arrays: dict[str, np.ndarray], n_features: int
    ) -> Components:
        """Make the components again from what a model file holds.

        Args:
            parameters: with ``latent_dim``.
            arrays: with those of ``arrays``.
            n_features: of the pictures that they are used on.

        Raises:
            ValueError: parts that are missing or do not fit together.
        """
        variances = checked(arrays, "variances", np.float32, (None,), positive=True)
        n_directions, latent_dim = len(variances), parameters.get("latent_dim")
        if not _is_count(latent_dim) or latent_dim > n_directions:
            raise ValueError(f"the autoencoder's latent_dim is {latent_dim!r}")
        return cls(
            latent_dim,
            mean=checked(arrays, "mean", np.float32, (n_features,)),
            directions=checked(arrays, "directions", np.float32, (n_directions, n_features)),
            variances=variances,
        )

    def project(self, picture: np.ndarray) -> np.ndarray:
        """(n_features,) -> (n_directions,) float32."""
        return self.directions @ (picture - self.mean)

    def reconstruct(self, picture: np.ndarray) -> np.ndarray:
        """(n_features,) -> (n_features,), from the first ``latent_dim`` directions alone."""
        latent = self.project(picture)[: self.latent_dim]
        return self.mean + latent @ self.directions[: self.latent_dim]

    def distance(self, picture: np.ndarray) -> float:
        """Squared Mahalanobis distance within the directions, with a floor under the variances."""
        floored = self.variances + np.float32(_VARIANCE_FLOOR) * self.variances.mean()
        return float((self.project(picture) ** 2 / floored).sum())

    def usual(self, pixels: np.ndarray) -> np.ndarray:
        """Find the pictures that a network may learn from: all but those furthest away.

        Args:
            pixels: (n, height, width, channels) uint8.

        Returns:
            Indices, in ascending order.
        """
        distances = np.array([self.distance(as_floats(picture).ravel()) for picture in pixels])
        return np.flatnonzero(distances <= np.quantile(distances, 1 - _LEFT_OUT))


class PictureScores:
    """How detectors of whole pictures score them: each alone, so that company does not matter.

    Matrix products of several pictures differ in their last bits from those of one.

    Attributes:
        shape: (height, width, channels) of the pictures.
    """

    shape: tuple[int, int, int]

    @property
    def n_features(self) -> int:
        """Length of a feature vector."""
        height, width, channels = self.shape
        return height * width * channels

    def score(self, features: np.ndarray) -> np.ndarray:
        """Compute anomaly scores: see the class.

        Args:
            features: (n_items, n_features) float32 in [0, 1].

        Returns:
            (n_items,) float64.

        Raises:
            ValueError: another number of features.
        """
        check_rows(features, self.n_features, f"pictures of {self.n_features} values")
        return np.array([self._score(picture) for picture in features], np.float64)

    def score_pixels(self, pixels: np.ndarray) -> np.ndarray:
        """(n, height, width, channels) uint8, possibly on disk -> (n,) float64, as ``score``."""
        scores = [self._score(as_floats(picture).ravel()) for picture in pixels]
        return np.array(scores, np.float64)

    def _score(self, picture: np.ndarray) -> float:
        """(n_features,) float32 -> its score."""
        raise NotImplementedError


@dataclass(frozen=True)
class AutoencoderDetector(PictureScores):
    """Reconstruction error times distance to the components: see the module's docstring.

    Scores are ``log(distance) + log(error) / 2`` in their units, so that 0 is usual.

    Attributes:
        shape: (height, width, channels) of the pictures.
        components: always there; without a network they also reconstruct.
        usual_errors: (height * width,) float32, of each pixel: what its error is divided by to be
            its heat.
        units: the training pictures' median reconstruction error and median distance.
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
        """Put the parts together and find the units of their scores.

        Args:
            pixels: (n, height, width, channels) uint8.
            components: None fits them.
            network: trained on the same pictures, or None.
            latent_dim, seed: of the components, where they are fitted.
        """
        components = components or Components.fit(pixels, latent_dim=latent_dim, seed=seed)
        shape = tuple(map(int, pixels.shape[1:]))
        ones = np.ones(shape[0] * shape[1], np.float32)
        detector = cls(shape, components, ones, network=network)
        parts = [detector._parts(as_floats(picture).ravel()) for picture in pixels]
        # Identical pictures leave nothing to reconstruct; any positive unit does for them.
        error, distance = np.maximum(np.median(parts, axis=0), _LEAST_PART)
        units = (float(error), float(distance))
        return replace(detector, units=units, usual_errors=detector._usual_errors(pixels))

    def reconstruct(self, picture: np.ndarray) -> np.ndarray:
        """(n_features,) float32 -> (n_features,) float32, what a normal picture would look like."""
        if self.network is None:
            return self.components.reconstruct(picture)
        return self._run(picture.reshape(1, *self.shape)).ravel()

    def heat(self, picture: np.ndarray, relative: Callable[[Any], Any]) -> np.ndarray:
        """Find where a picture is not reconstructed, on a scale that is the same for all pictures.

        Args:
            picture: (n_features,) float32.
            relative: takes scores to the scale where 0 is typical and 1 the threshold.

        Returns:
            (height * width,) float, each pixel's squared residual over its usual one. Nothing of a
            normal picture exceeds 1, and something of an anomaly does, if only its worst pixel.
        """
        relative_score = float(relative(self._score(picture)))
        return within_verdict(self.contributions(picture), relative_score)

    def contributions(self, picture: np.ndarray) -> np.ndarray:
        """(n_features,) -> (height * width,), each pixel's squared residual over its usual one."""
        return self._pixel_errors(picture) / self.usual_errors

    def parameters(self) -> dict[str, Any]:
        return {
            "architecture": "pca" if self.network is None else "conv",
            "shape": list(self.shape),
            "latent_dim": self.components.latent_dim,
            "units": list(self.units),
        }

    def arrays(self) -> dict[str, np.ndarray]:
        return self.components.arrays() | {"usual_errors": self.usual_errors}

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
            ValueError: parts that are missing or do not fit together.
        """
        shape, units = checked_shape(parameters), parameters.get("units")
        if not (isinstance(units, list) and len(units) == 2 and all(map(_is_positive, units))):
            raise ValueError(f"the autoencoder's units are {units!r}")
        usual = checked(arrays, "usual_errors", np.float32, (shape[0] * shape[1],), positive=True)
        components = Components.restore(parameters, arrays, math.prod(shape))
        if set(networks) != ({"network"} if parameters.get("architecture") == "conv" else set()):
            raise ValueError(f"the autoencoder's networks are {sorted(networks)}")
        detector = cls(
            shape=shape,
            components=components,
            usual_errors=usual,
            units=tuple(units),
            network=networks.get("network"),
        )
        if detector.network is not None:
            detector.reconstruct(np.zeros(detector.n_features, np.float32))
        return detector

    def _score(self, picture: np.ndarray) -> float:
        error, distance = np.maximum(np.divide(self._parts(picture), self.units), _LEAST_PART)
        return float(np.log(distance) + np.log(error) / 2)

    def _parts(self, picture: np.ndarray) -> tuple[float, float]:
        error = float((self._residual(picture) ** 2).mean())
        return error, self.components.distance(picture)

    def _pixel_errors(self, picture: np.ndarray) -> np.ndarray:
        return (self._residual(picture) ** 2).mean(axis=2).ravel()

    def _usual_errors(self, pixels: np.ndarray) -> np.ndarray:
        step = -(-len(pixels) // _MOST_FOR_HEAT)
        errors = np.stack([self._pixel_errors(as_floats(p).ravel()) for p in pixels[::step]])
        # Not of the anomalies among them.
        totals = errors.mean(axis=1)
        errors = errors[totals <= np.quantile(totals, 1 - _LEFT_OUT)]
        usual = errors.mean(axis=0)
        usual += np.maximum(_PIXEL_FLOOR * usual.mean(), _LEAST_PART)
        worst = np.quantile((errors / usual).max(axis=1), _HEAT_QUANTILE)
        return (usual * max(worst, _LEAST_PART)).astype(np.float32)

    def _residual(self, picture: np.ndarray) -> np.ndarray:
        residual = (self.reconstruct(picture) - picture).reshape(self.shape)
        smoothed = cv2.GaussianBlur(residual, (0, 0), max(self.shape[:2]) * _SMOOTHING)
        return smoothed.reshape(self.shape)  # OpenCV drops the axis of a single channel

    @cached_property
    def _run(self) -> Callable[[np.ndarray], np.ndarray]:
        return open_autoencoder(self.network, self.shape)


def checked_shape(parameters: dict[str, Any]) -> tuple[int, int, int]:
    """The shape of the pictures that an autoencoder in a model file takes.

    Raises:
        ValueError: it is none.
    """
    shape = parameters.get("shape")
    if not (isinstance(shape, list) and len(shape) == 3 and all(map(_is_count, shape))):
        raise ValueError(f"the autoencoder's shape is {shape!r}")
    return tuple(shape)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and value >= 1


def _is_positive(value: Any) -> bool:
    return isinstance(value, float) and 0 < value < float("inf")


def within_verdict(heat: np.ndarray, relative: float) -> np.ndarray:
    """Bring a heat map into line with a picture's score.

    Args:
        heat: any shape, not negative; 1 is about the limit of what is normal.
        relative: the picture's score, where 0 is typical and 1 the threshold.

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
