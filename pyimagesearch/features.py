"""Turn images into features; one class for each named kind, whose settings are data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import cv2
import numpy as np

from pyimagesearch.backbones.network import Backbone
from pyimagesearch.backbones.patch_features import (
    BackboneMeans,
    BackbonePatches,
    ColourPatches,
    FeatureGroup,
    IgnoredRegions,
)
from pyimagesearch.data import images

# OpenCV's 8-bit hue runs to 180, saturation and value to 256.
_HSV_RANGES = (0, 180, 0, 256, 0, 256)
_MAX_SIDE = 4096


def quantify_image(image: np.ndarray, bins: tuple[int, int, int] = (4, 6, 3)) -> np.ndarray:
    """Compute the 3-D colour histogram of an HSV image, scaled to unit length.

    Args:
        image: (height, width, 3) uint8, HSV as ``cv2.cvtColor(..., cv2.COLOR_BGR2HSV)`` gives it.
        bins: number of bins for hue, saturation and value.

    Returns:
        (bins[0] * bins[1] * bins[2],) float32, hue slowest and value fastest.
    """
    hist = cv2.calcHist([image], [0, 1, 2], None, tuple(bins), _HSV_RANGES)
    return cv2.normalize(hist, hist).flatten()


def load_dataset(datasetPath: str, bins: tuple[int, int, int]) -> np.ndarray:
    """Quantify every image below a folder at its full size, in the order of ``list_images``.

    Args:
        datasetPath: the folder.
        bins: as of ``quantify_image``.

    Returns:
        (n_images, bins[0] * bins[1] * bins[2]) float32; no rows where there are no images.

    Raises:
        images.ImageError: a file that is not a readable image; the message starts with its path.
        FileNotFoundError: no such folder.
    """
    data = []
    for path in images.list_images(datasetPath):
        try:
            image = images.read_image(path)
        except images.ImageError as error:
            raise images.ImageError(f"{path}: {error}") from error
        data.append(quantify_image(cv2.cvtColor(image, cv2.COLOR_BGR2HSV), bins))
    return np.array(data, np.float32).reshape(-1, bins[0] * bins[1] * bins[2])


class Extractor(Protocol):
    """What turns an image into features."""

    @property
    def name(self) -> str:
        """By which model files call it."""

    @property
    def is_spatial(self) -> bool:
        """Whether a feature belongs to a place in the image."""

    @property
    def min_side(self) -> int | None:
        """``images.decode_image``'s: the detail that it needs; None needs all there is."""

    @property
    def length(self) -> int:
        """Number of features of one image, or of each of its patches."""

    @property
    def backbone(self) -> Backbone | None:
        """The pretrained network, where one finds the features."""

    def settings(self) -> dict[str, Any]:
        """Describe this extractor for the manifest of a model file.

        Returns:
            What ``from_settings`` needs to make it again, as JSON types.
        """

    def networks(self) -> dict[str, bytes]:
        """Give what a model file keeps of networks.

        Returns:
            ONNX graphs, by names of the extractor's own.
        """

    def extract(self, image: np.ndarray) -> np.ndarray:
        """Compute the features of an image.

        Args:
            image: (height, width, 3) uint8 BGR.

        Returns:
            (length,) float32; of patches (rows, columns, length) float16.

        Raises:
            images.ImageError: it cannot be done with this image.
        """

    def back_project(self, image: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Spread one value for each feature, patch or pixel over the image that it comes from.

        Args:
            image: (height, width, 3) uint8 BGR.
            values: as a detector's ``heat`` gives them.

        Returns:
            (height, width) float32.
        """


class PatchExtractor(Extractor, Protocol):
    """What turns an image into features of its patches."""

    @property
    def feature_groups(self) -> tuple[FeatureGroup, ...]:
        """The groups of features that are compared by themselves, in their order."""

    @property
    def ignored(self) -> IgnoredRegions | None:
        """Regions of all images that do not count."""


@dataclass(frozen=True)
class HistogramFeatures:
    """HSV colour histogram of an image read at reduced scale: each colour's share of it.

    ``quantify_image`` scales to unit length instead, so that the value of a colour depends on how
    evenly the others are spread; shares do not, and tell scenes apart better.

    Attributes:
        bins: number of bins for hue, saturation and value, each 1 to 64.
        min_side: ``images.decode_image``'s; halving averages the camera's noise away and saves
            most of a histogram's cost.
    """

    name = "histogram"
    backbone = None
    is_spatial = False  # whether a feature belongs to a place in the image

    bins: tuple[int, int, int] = (3, 3, 3)
    min_side: int | None = 128

    def __post_init__(self) -> None:
        if len(self.bins) != 3 or not all(isinstance(b, int) and 1 <= b <= 64 for b in self.bins):
            raise ValueError(f"bins must be three numbers from 1 to 64, not {self.bins}")
        if self.min_side is not None and not (
            isinstance(self.min_side, int) and self.min_side >= 1
        ):
            raise ValueError(f"min_side must be a positive number of pixels, not {self.min_side}")

    @property
    def length(self) -> int:
        """Number of features of one image."""
        return self.bins[0] * self.bins[1] * self.bins[2]

    def settings(self) -> dict[str, Any]:
        """Describe this extractor for the manifest of a model file.

        Returns:
            What ``from_settings`` needs to make it again, as JSON types.
        """
        return {"features": self.name, **asdict(self)}

    def networks(self) -> dict[str, bytes]:
        """Give what a model file keeps of networks.

        Returns:
            Nothing: it has none.
        """
        return {}

    def extract(self, image: np.ndarray) -> np.ndarray:
        """Compute each colour's share of an image.

        Args:
            image: (height, width, 3) uint8 BGR.

        Returns:
            (length,) float32 that sum to 1.
        """
        hist = quantify_image(cv2.cvtColor(image, cv2.COLOR_BGR2HSV), self.bins)
        return hist / hist.sum()

    def back_project(self, image: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Give each pixel the value of the histogram bin that its colour falls into.

        The histogram back-projection of Swain and Ballard, Color Indexing (1991), section 4,
        with any value in place of the bin's ratio.

        Args:
            image: (height, width, 3) uint8 BGR.
            values: (length,) one value a bin; or (1,) for the whole image.

        Returns:
            (height, width) float32.
        """
        if len(values) == 1:
            return np.full(image.shape[:2], values[0], np.float32)
        hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
        bin_index = np.zeros(hsv.shape[:2], np.intp)
        for channel, (n_bins, top) in enumerate(zip(self.bins, _HSV_RANGES[1::2], strict=True)):
            bin_index = bin_index * n_bins + hsv[:, :, channel].astype(np.intp) * n_bins // top
        return values.astype(np.float32)[bin_index]


@dataclass(frozen=True)
class PixelFeatures:
    """The pixels themselves, at one size for all images, as autoencoders take them.

    An image of another shape is stretched to this one: nothing is cut off, but what ``crop`` says,
    and nothing added.

    Attributes:
        height, width: in pixels, each 1 to 4096.
        channels: 1 for grey, 3 for RGB.
        crop: left, top, right and bottom edge of what is taken of each image, in its own pixels,
            the latter two excluded; None takes all of it.
    """

    name = "pixels"
    backbone = None
    is_spatial = True

    height: int
    width: int
    channels: int
    crop: tuple[int, int, int, int] | None = None

    def __post_init__(self) -> None:
        sides = (self.height, self.width)
        if not all(isinstance(side, int) and 1 <= side <= _MAX_SIDE for side in sides):
            raise ValueError(f"height and width must be from 1 to {_MAX_SIDE} pixels, not {sides}")
        if self.channels not in (1, 3):
            raise ValueError(f"images have 1 or 3 channels, not {self.channels!r}")
        if self.crop is not None and not (
            len(self.crop) == 4
            and all(isinstance(edge, int) and edge >= 0 for edge in self.crop)
            and self.crop[0] < self.crop[2]
            and self.crop[1] < self.crop[3]
        ):
            raise ValueError(
                f"a crop is x0 y0 x1 y1, with x0 below x1 and y0 below y1, not {self.crop}"
            )

    @property
    def min_side(self) -> int | None:
        """``images.decode_image``'s: never smaller than what is needed."""
        # A crop counts the pixels of the whole image.
        return max(self.height, self.width) if self.crop is None else None

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        return (self.height, self.width, self.channels)

    @property
    def length(self) -> int:
        """Number of features of one image."""
        return self.height * self.width * self.channels

    def settings(self) -> dict[str, Any]:
        """Describe this extractor for the manifest of a model file.

        Returns:
            What ``from_settings`` needs to make it again, as JSON types.
        """
        return {"features": self.name, **asdict(self)}

    def networks(self) -> dict[str, bytes]:
        """Give what a model file keeps of networks.

        Returns:
            Nothing: it has none.
        """
        return {}

    def resize(self, image: np.ndarray) -> np.ndarray:
        """Bring an image to the size and channels that are learned.

        Args:
            image: (any height, any width, 3) uint8 BGR.

        Returns:
            (height, width, channels) uint8, grey or RGB.

        Raises:
            images.ImageError: it does not hold all of the crop.
        """
        if self.crop is not None:
            left, top, right, bottom = self.crop
            if image.shape[0] < bottom or image.shape[1] < right:
                raise images.ImageError(
                    f"{image.shape[1]} x {image.shape[0]} pixels do not hold the crop to "
                    f"{right}, {bottom}"
                )
            image = image[top:bottom, left:right]
        shrinks = image.shape[0] > self.height or image.shape[1] > self.width
        if image.shape[:2] != (self.height, self.width):
            image = cv2.resize(
                image,
                (self.width, self.height),
                interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR,
            )
        if self.channels == 1:
            return cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)[:, :, None]
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)

    def extract(self, image: np.ndarray) -> np.ndarray:
        """Take the pixels of an image, at the size that is learned.

        Args:
            image: (any height, any width, 3) uint8 BGR.

        Returns:
            (length,) float32 in [0, 1].

        Raises:
            images.ImageError: it does not hold all of the crop.
        """
        return as_floats(self.resize(image)).ravel()

    def to_image(self, features: np.ndarray) -> np.ndarray:
        """Make an image of pixels again.

        Args:
            features: (length,) float; what is outside [0, 1] is taken for its ends.

        Returns:
            (height, width, 3) uint8 BGR.
        """
        pixels = (np.clip(features, 0, 1) * 255 + 0.5).astype(np.uint8).reshape(self.shape)
        code = cv2.COLOR_GRAY2BGR if self.channels == 1 else cv2.COLOR_RGB2BGR
        return cv2.cvtColor(pixels, code)

    def paint(self, image: np.ndarray, features: np.ndarray) -> np.ndarray:
        """Put pixels that were made from an image back into it.

        Args:
            image: (any height, any width, 3) uint8 BGR.
            features: (length,) float in [0, 1].

        Returns:
            Of the image's shape; outside the crop it is the image.
        """
        left, top, right, bottom = self._edges(image)
        painted = image.copy()
        painted[top:bottom, left:right] = cv2.resize(
            self.to_image(features), (right - left, bottom - top), interpolation=cv2.INTER_LINEAR
        )
        return painted

    def _edges(self, image: np.ndarray) -> tuple[int, int, int, int]:
        return self.crop or (0, 0, image.shape[1], image.shape[0])

    def back_project(self, image: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Spread one value a pixel over an image of any size.

        Args:
            image: (any height, any width, 3) uint8 BGR.
            values: (height * width,) one value a pixel.

        Returns:
            (any height, any width) float32; 0 outside the crop.
        """
        left, top, right, bottom = self._edges(image)
        values = values.reshape(self.height, self.width).astype(np.float32)
        spread = np.zeros(image.shape[:2], np.float32)
        size = (right - left, bottom - top)
        spread[top:bottom, left:right] = cv2.resize(values, size, interpolation=cv2.INTER_LINEAR)
        return spread


def as_floats(pixels: np.ndarray) -> np.ndarray:
    """Scale pixels to what networks are trained on and what they label.

    Args:
        pixels: uint8, of any shape.

    Returns:
        float32 in [0, 1], of the same shape.
    """
    return pixels.astype(np.float32) / np.float32(255)


_EXTRACTORS: dict[str, type[Extractor]] = {
    kind.name: kind
    for kind in (HistogramFeatures, PixelFeatures, ColourPatches, BackbonePatches, BackboneMeans)
}


def from_settings(
    settings: dict[str, Any],
    networks: dict[str, bytes] | None = None,
    external_backbone: Callable[[str], bytes] | None = None,
) -> Extractor:
    """Make the extractor that ``settings()`` described.

    Args:
        settings: JSON types.
        networks: what its ``networks()`` gave.
        external_backbone: finds the network of a model file that does not contain it, by its
            SHA-256.

    Returns:
        The extractor.

    Raises:
        ValueError: an unknown kind of features, settings that it does not have, or no network.
    """
    settings, networks = dict(settings), networks or {}
    name = settings.pop("features", None)
    if name not in _EXTRACTORS:
        raise ValueError(f"features {name!r} are not known to this version")
    for of_several in ("bins", "crop"):
        if isinstance(settings.get(of_several), list):
            settings[of_several] = tuple(settings[of_several])
    if settings.get("ignored") is not None:
        try:
            settings["ignored"] = IgnoredRegions(**settings["ignored"])
        except TypeError as error:
            raise ValueError(f"what is ignored is not described: {error}") from error
    if "backbone" in settings:
        described = settings["backbone"]
        digest = str(described.get("sha256")) if isinstance(described, dict) else ""
        if "backbone" in networks:
            network = networks["backbone"]
        elif external_backbone is not None:
            network = external_backbone(digest)
        else:
            raise ValueError(
                f"it does not contain its network (SHA-256 {digest[:12]}...): the scripts take the "
                "ONNX file by --backbone"
            )
        settings["backbone"] = Backbone.from_settings(described, network)
    try:
        return _EXTRACTORS[name](**settings)
    except TypeError as error:
        raise ValueError(f"settings of the {name} features: {error}") from error
