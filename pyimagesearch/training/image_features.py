"""Which features a detector of images is trained on: options -> network, mask -> extractor."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from pyimagesearch.backbones import efficientnet_lite, keras_zoo, network
from pyimagesearch.backbones.network import Backbone
from pyimagesearch.backbones.patch_features import (
    BackboneMeans,
    BackbonePatches,
    ColourPatches,
    IgnoredRegions,
    default_side,
)
from pyimagesearch.data import images
from pyimagesearch.features import Extractor, HistogramFeatures
from pyimagesearch.runtime.console import UserError, info, printable
from pyimagesearch.runtime.limits import NetworkLimitError

# By accuracy over all sets of pictures that were measured, then by cost: docs/benchmarks.md
DEFAULT_BACKBONE = "efficientnet-lite0"


@dataclass(frozen=True)
class BackboneOptions:
    """What can be chosen about a pretrained network.

    Attributes:
        name: an ONNX file, one of ``efficientnet_lite.NAMES``, or one of ``keras_zoo.NAMES``.
        weights: a file of weights for a named network; None takes Keras' own.
        layers: names of its outputs; None takes the usual ones, see ``network.open_backbone``.
        colours, scale, mean, std: as of ``network.Preprocessing``; None takes those of the JSON
            file next to the network, or the usual ones.
        external: keep only the network's digest in the model file.
    """

    name: str
    weights: str | None = None
    layers: tuple[str, ...] | None = None
    colours: str | None = None
    scale: float | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    external: bool = False

    def open(self) -> Backbone:
        """Find the network and read it.

        Raises:
            UserError: it cannot be used.
            OSError: it cannot be read.
        """
        given = {name: getattr(self, name) for name in ("colours", "scale", "mean", "std")}
        preprocessing = {name: value for name, value in given.items() if value is not None}
        try:
            if self.name.lower() in efficientnet_lite.NAMES and not os.path.exists(self.name):
                backbone = self._efficientnet_lite(preprocessing)
            else:
                backbone = network.open_backbone(self._path(), self.layers, preprocessing)
        except (ValueError, NetworkLimitError) as error:
            without = (
                "; without a network, the scripts work with --method forest, or with --method "
                "memory-bank --no-backbone"
                if self == BackboneOptions(DEFAULT_BACKBONE)
                else ""
            )
            raise UserError(f"{printable(self.name)}: {error}{without}") from error
        layers = ", ".join(f"{layer.name} (stride {layer.stride})" for layer in backbone.layers)
        info(f"features from {printable(self.name)}: {layers}")
        return backbone

    def _efficientnet_lite(self, preprocessing: dict[str, Any]) -> Backbone:
        if self.weights is not None:
            raise ValueError("--weights goes with a network of keras.applications")
        if self.external:
            raise ValueError("--external-backbone goes with an ONNX file, which labelling reads")
        return network.make_backbone(
            efficientnet_lite.read_network(self.name.lower()),
            self.layers,
            {**efficientnet_lite.PREPROCESSING, **preprocessing},
        )

    def _path(self) -> str:
        """The ONNX file; raises ``ValueError`` where there can be none."""
        if self.name.lower() in keras_zoo.NAMES and not os.path.exists(self.name):
            return keras_zoo.cached_network(self.name.lower(), self.weights)
        if self.weights is not None:
            raise ValueError("--weights goes with the name of a network, not with a file")
        if not os.path.exists(self.name) and not os.path.splitext(self.name)[1]:
            known = ", ".join((*efficientnet_lite.NAMES, *keras_zoo.NAMES))
            raise ValueError(f"neither a file nor one of the networks {known}")
        return self.name


@dataclass(frozen=True)
class FeatureOptions:
    """What can be chosen about the features of images.

    Attributes:
        backbone: a pretrained network; None takes features that need none.
        image_size: side of a square with the area that images are resized to; None takes the usual
            one.
        tile: pixels of an image that get the detail of ``image_size``, as of ``BackbonePatches``.
        mask: file of an image whose white areas are ignored.
        bins: of colour histograms.
    """

    backbone: BackboneOptions | None = None
    image_size: int | None = None
    tile: int | None = None
    mask: str | None = None
    bins: tuple[int, int, int] = HistogramFeatures.bins

    def extractor(self, paths: Sequence[str], *, patches: bool) -> Extractor:
        """Make what extracts the features.

        Args:
            paths: of the images, some of which say how large they usually are.
            patches: extract features of each patch of an image, not of the image as a whole.

        Raises:
            UserError: there are no such features.
            OSError: a file cannot be read.
        """
        if not patches and self.backbone is None:
            return HistogramFeatures(bins=self.bins)
        side = self.image_size or default_side(images.median_pixels(list(paths)), not patches)
        ignored = None if self.mask is None else read_mask(self.mask)
        try:
            if self.backbone is None:
                return ColourPatches(side, self.tile, ignored)
            backbone, embedded = self.backbone.open(), not self.backbone.external
            if patches:
                return BackbonePatches(backbone, side, self.tile, embedded, ignored)
            return BackboneMeans(backbone, side, embedded)
        except ValueError as error:
            raise UserError(str(error)) from error


def read_mask(path: str) -> IgnoredRegions:
    """Read an image whose white areas are ignored.

    Raises:
        UserError: not a readable image, or all of it is white.
    """
    try:
        white = (images.read_image(path).min(axis=2) > 127).astype(np.float32)
    except images.ImageError as error:
        raise UserError(f"{printable(path)}: {error}") from error
    shrunk = min(1.0, IgnoredRegions.MAX_SIDE / max(white.shape))
    size = tuple(max(1, round(length * shrunk)) for length in white.shape[::-1])
    mask = cv2.resize(white, size, interpolation=cv2.INTER_AREA).reshape(size[::-1]) >= 0.5
    if mask.all():
        raise UserError(f"{printable(path)}: white all over: nothing is left")
    return IgnoredRegions.from_grid(mask)
