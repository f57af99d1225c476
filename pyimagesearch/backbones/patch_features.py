"""Features of an image's patches: a vector for each cell of a grid over it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import cv2
import numpy as np

from pyimagesearch.backbones import cell_grid
from pyimagesearch.backbones.network import Backbone
from pyimagesearch.data import images
from pyimagesearch.runtime.limits import max_pixels

DEFAULT_SIDE = 256
# Images of at least the area of a square of this side are computed at a larger size, so that their
# details are not averaged away.
_LARGE, _LARGE_SIDE = 512, 384
_LEAST_WHOLE = 128
_SIDES = (32, 2048)
_MULTIPLE = 32  # pixels that sides are rounded to without a network
_LEAST_MARGIN = 64  # pixels of context around a window of a tiled image
_MAX_CELLS = 2**20
_MAX_CELLS_AT_ONCE = 300_000  # as of the largest windows, with a network's stride of 4
_MAX_PIXELS = 64 * _MAX_CELLS  # that features of one image are computed at
# Colours take more memory a pixel: at most a sixth of the pixels that an image may have.
_DECODED_TO_COMPUTED = 6
_MOST_ENLARGED = 4  # times, by a tile
# Of colours, compared with a network. What was tried: docs/methods.md
_COLOUR_WEIGHT = 0.5


def default_side(pixels: float, whole: bool = False) -> int:
    """The side for images of this many pixels: 256, and 384 from 512 x 512 on.

    Args:
        pixels: of a typical image.
        whole: whether images are judged as a whole; then small ones are not enlarged.
    """
    if whole:
        return int(np.clip(pixels**0.5, _LEAST_WHOLE, DEFAULT_SIDE))
    return _LARGE_SIDE if pixels >= _LARGE**2 else DEFAULT_SIDE


@dataclass(frozen=True)
class IgnoredRegions:
    """Regions that are ignored in all images, as a grid over each.

    Attributes:
        rows, columns: of the grid, each 1 to 128.
        bits: hexadecimal, a bit for each cell, row by row: 1 where it is ignored.
    """

    rows: int
    columns: int
    bits: str

    MAX_SIDE: ClassVar[int] = 128

    def __post_init__(self) -> None:
        sides = (self.rows, self.columns)
        if not all(type(side) is int and 1 <= side <= self.MAX_SIDE for side in sides):
            raise ValueError(f"the grid of ignored regions is {self.rows!r} x {self.columns!r}")
        if not isinstance(self.bits, str) or len(self.bits) != 2 * -(-sides[0] * sides[1] // 8):
            raise ValueError(
                "the grid of ignored regions does not have a bit for each of its cells"
            )
        bytes.fromhex(self.bits)

    @classmethod
    def from_grid(cls, grid: np.ndarray) -> IgnoredRegions:
        """Make it from a grid, (rows, columns), not 0 where it is ignored."""
        return cls(*map(int, grid.shape), np.packbits(grid.astype(bool)).tobytes().hex())

    def grid(self) -> np.ndarray:
        """(rows, columns) uint8, 1 where it is ignored."""
        bits = np.unpackbits(np.frombuffer(bytes.fromhex(self.bits), np.uint8))
        return bits[: self.rows * self.columns].reshape(self.rows, self.columns)

    def cover(self, image: np.ndarray) -> np.ndarray:
        """A copy of an image that is grey where it is ignored."""
        size = (image.shape[1], image.shape[0])
        hidden = cv2.resize(self.grid(), size, interpolation=cv2.INTER_NEAREST) == 1
        return np.where(hidden[:, :, None], np.uint8(128), image)


def _prepare(
    image: np.ndarray, size: tuple[int, int], ignored: IgnoredRegions | None, max_pixels: int
) -> np.ndarray:
    height, width = size
    if height * width > max_pixels:
        raise images.ImageError(
            f"its features would be computed at {width} x {height} pixels, more than "
            f"{max_pixels / 1e6:,.0f} megapixels: train with a larger --tile"
        )
    image = cell_grid.resize(image, size)
    return image if ignored is None else ignored.cover(image)


def check_sides(side: object, tile: object) -> None:
    """Refuse sizes that features cannot be computed at.

    Raises:
        ValueError: with a sentence.
    """
    least, most = _SIDES
    if type(side) is not int or not least <= side <= most:
        raise ValueError(f"the image size must be from {least} to {most} pixels, not {side!r}")
    if tile is not None and (type(tile) is not int or not 8 <= tile <= 65536):
        raise ValueError(f"a tile must have from 8 to 65536 pixels, not {tile!r}")
    if tile is not None and side > _MOST_ENLARGED * tile:
        raise ValueError(
            f"a tile of {tile} pixels is enlarged to {side}, more than {_MOST_ENLARGED} times"
        )


@dataclass(frozen=True)
class FeatureGroup:
    """Features of a patch that are of one kind, and are compared separately from others.

    Attributes:
        n_features: number of features.
        levels: number of features from each layer of a network; empty for other features.
        weight: of their distances, compared with those of other groups.
        thinning: one patch in so many is used to learn them.
    """

    n_features: int
    levels: tuple[int, ...]
    weight: float
    thinning: int = 1


@dataclass(frozen=True)
class BackbonePatches:
    """Layers of a pretrained network, averaged over 3 x 3 cells, and colours, on the finest grid.

    PatchCore's locally aware patch features (Roth et al., CVPR 2022, section 3.1), but for the
    grids: each layer is sampled at the centres of its receptive fields, not stretched.

    Attributes:
        backbone: the network.
        side: images are resized to the area of a square of this side, in their own aspect ratio,
            with sides rounded to multiples of the network's; one of fixed size overrules it.
        tile: for large images: this many pixels become ``side`` ones, and windows of the image are
            computed one by one.
        embedded: whether the model file contains the network.
        ignored: regions that are covered.
    """

    name = "backbone-patches"
    min_side = None
    is_spatial = True

    backbone: Backbone
    side: int = DEFAULT_SIDE
    tile: int | None = None
    embedded: bool = True
    ignored: IgnoredRegions | None = None

    def __post_init__(self) -> None:
        check_sides(self.side, self.tile)
        multiple = self.backbone.multiple
        strides = [layer.stride for layer in self.backbone.layers]
        if self.tile is not None and (
            self.backbone.fixed_size is not None or any(multiple % stride for stride in strides)
        ):
            raise ValueError(
                "this network cannot be used with tiles: it takes images of one size only, or has "
                f"a layer whose stride does not divide {multiple}"
            )

    @property
    def feature_groups(self) -> tuple[FeatureGroup, ...]:
        """The network's features and the colours'."""
        levels = tuple(layer.channels for layer in self.backbone.layers)
        colour = ColourPatches(self.side)
        return (
            FeatureGroup(sum(levels), levels, 1.0),
            FeatureGroup(colour.length, (), _COLOUR_WEIGHT, thinning=2),
        )

    @property
    def length(self) -> int:
        """Number of features of one patch."""
        return sum(group.n_features for group in self.feature_groups)

    def settings(self) -> dict[str, Any]:
        """What ``features.from_settings`` needs in addition to the network, as JSON types."""
        return {
            "features": self.name,
            "side": self.side,
            "tile": self.tile,
            "embedded": self.embedded,
            "ignored": None if self.ignored is None else asdict(self.ignored),
            "backbone": self.backbone.settings(),
        }

    def networks(self) -> dict[str, bytes]:
        """The network, where the model file contains it."""
        return {"backbone": self.backbone.network} if self.embedded else {}

    def working_size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) at which an image's features are computed."""
        if self.backbone.fixed_size is not None:
            return self.backbone.fixed_size
        return cell_grid.working_size(height, width, self.side, self.backbone.multiple, self.tile)

    def extract(self, image: np.ndarray) -> np.ndarray:
        """(height, width, 3) uint8 BGR -> (rows, columns, length) float16.

        Raises:
            images.ImageError: the network cannot be run on it.
        """
        image = _prepare(image, self.working_size(*image.shape[:2]), self.ignored, _MAX_PIXELS)
        if self.tile is None:
            return self._join(image)
        finest = self.backbone.layers[0].stride
        rows, columns = (-(-length // finest) for length in image.shape[:2])
        if rows * columns > _MAX_CELLS:
            raise images.ImageError(f"{rows} x {columns} patches of one image are too many")
        found = np.empty((rows, columns, self.length), np.float16)
        for inner, outer in _windows(image.shape[:2], self.side, self.backbone.multiple):
            joined = self._join(np.ascontiguousarray(image[outer]))
            # Windows begin at multiples of the strides, so that their cells are those of the image.
            cells = tuple(slice(s.start // finest, -(-s.stop // finest)) for s in inner)
            skipped = [(i.start - o.start) // finest for i, o in zip(inner, outer, strict=True)]
            taken = tuple(
                slice(skip, skip + c.stop - c.start) for skip, c in zip(skipped, cells, strict=True)
            )
            found[cells] = joined[taken]
        return found

    def _join(self, image: np.ndarray) -> np.ndarray:
        maps = _run(self.backbone, image)
        first = self.backbone.layers[0]
        shape = maps[0].shape[1:]
        if shape[0] * shape[1] > _MAX_CELLS_AT_ONCE:
            raise images.ImageError(f"{shape[0]} x {shape[1]} patches at once are too many")
        joined = np.empty((*shape, self.length), np.float16)
        start = 0
        for layer, found in zip(self.backbone.layers, maps, strict=True):
            stride = first.stride / layer.stride
            offset = (first.offset - layer.offset) / layer.stride
            down, across = (
                cell_grid.pooling_matrix(n_in, n_out, stride, offset)
                for n_in, n_out in zip(found.shape[1:], shape, strict=True)
            )
            pooled = np.matmul(np.matmul(down, found), across.T)
            joined[:, :, start : start + layer.channels] = pooled.transpose(1, 2, 0)
            start += layer.channels
        colour = ColourPatches(self.side)
        joined[:, :, start:] = colour.at_cells(
            image, *(colour.cells_at(np.arange(n) * first.stride + first.offset) for n in shape)
        )
        return joined

    def back_project(self, image: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Interpolate one value per patch to the pixels of the image that has the patches.

        Args:
            image: (height, width, 3) uint8 BGR.
            values: (rows, columns).

        Returns:
            (height, width) float32.
        """
        first, size = self.backbone.layers[0], image.shape[:2]
        computed_at = self.working_size(*size)
        return cell_grid.to_image(values, size, computed_at, first.stride, first.offset)


def _run(backbone: Backbone, image: np.ndarray) -> list[np.ndarray]:
    try:
        return backbone.run(image)
    except ValueError as error:
        raise images.ImageError(str(error)) from error


def _windows(
    shape: tuple[int, int], side: int, multiple: int
) -> Iterator[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """Cut an image into windows: (the window, the same with a margin) of each.

    They begin at multiples of a number of pixels, which the image's sides are multiples of, too.
    """
    side, margin = (-(-length // multiple) * multiple for length in (side, _LEAST_MARGIN))
    for top in range(0, shape[0], side):
        for left in range(0, shape[1], side):
            inner, outer = [], []
            for start, length in ((top, shape[0]), (left, shape[1])):
                stop = min(start + side, length)
                inner.append(slice(start, stop))
                outer.append(slice(max(start - margin, 0), min(stop + margin, length)))
            yield tuple(inner), tuple(outer)


@dataclass(frozen=True)
class BackboneMeans:
    """The means of a network's layers over an image's upper and lower half: the kind of scene.

    The halves are averaged separately, since scenes have sky above and ground below. What was
    tried: docs/methods.md

    Attributes:
        backbone, side, embedded: as of ``BackbonePatches``.
    """

    name = "backbone-halves"
    min_side = None
    is_spatial = False

    backbone: Backbone
    side: int = DEFAULT_SIDE
    embedded: bool = True

    def __post_init__(self) -> None:
        check_sides(self.side, None)

    @property
    def length(self) -> int:
        """Number of features of one image."""
        return 2 * sum(layer.channels for layer in self.backbone.layers)

    def settings(self) -> dict[str, Any]:
        """What ``features.from_settings`` needs in addition to the network, as JSON types."""
        return {
            "features": self.name,
            "side": self.side,
            "embedded": self.embedded,
            "backbone": self.backbone.settings(),
        }

    def networks(self) -> dict[str, bytes]:
        """The network, where the model file contains it."""
        return {"backbone": self.backbone.network} if self.embedded else {}

    def extract(self, image: np.ndarray) -> np.ndarray:
        """(height, width, 3) uint8 BGR -> (length,) float32."""
        size = self.backbone.fixed_size or cell_grid.working_size(
            *image.shape[:2], self.side, self.backbone.multiple
        )
        maps = _run(self.backbone, cell_grid.resize(image, size))
        halves = [found[:, rows] for found in maps for rows in cell_grid.halves(found.shape[1])]
        return np.concatenate([half.mean(axis=(1, 2)) for half in halves])

    def back_project(self, image: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Give all pixels the one value of an image: (height, width) float32."""
        return np.full(image.shape[:2], values.max(), np.float32)


@dataclass(frozen=True)
class ColourPatches:
    """Colours, their spread and the directions of edges at three scales; no network.

    Attributes:
        side, tile, ignored: as of ``BackbonePatches``; windows are not needed here.
    """

    name = "patches"
    backbone = None
    min_side = None
    is_spatial = True

    side: int = DEFAULT_SIDE
    tile: int | None = None
    ignored: IgnoredRegions | None = None

    _CELL = 8  # pixels; twice and four times as many at the second and third scale
    _N_SCALES = 3
    _N_DIRECTIONS = 6
    _N_FEATURES = 3 + 3 + _N_DIRECTIONS

    def __post_init__(self) -> None:
        check_sides(self.side, self.tile)

    @property
    def feature_groups(self) -> tuple[FeatureGroup, ...]:
        """One group of all features."""
        return (FeatureGroup(self.length, (), 1.0),)

    @property
    def length(self) -> int:
        """Number of features of one patch."""
        return self._N_SCALES * self._N_FEATURES

    def settings(self) -> dict[str, Any]:
        """What ``features.from_settings`` needs to make this extractor again, as JSON types."""
        return {"features": self.name, **asdict(self)}

    def networks(self) -> dict[str, bytes]:
        return {}

    def working_size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) at which an image's features are computed."""
        return cell_grid.working_size(height, width, self.side, _MULTIPLE, self.tile)

    def extract(self, image: np.ndarray) -> np.ndarray:
        """(height, width, 3) uint8 BGR -> (rows, columns, length) float16.

        Raises:
            images.ImageError: it would take too much memory, a hundred bytes a pixel.
        """
        size, most = self.working_size(*image.shape[:2]), max_pixels() // _DECODED_TO_COMPUTED
        image = _prepare(image, size, self.ignored, most)
        shape = (image.shape[0] // self._CELL, image.shape[1] // self._CELL)
        cells = [np.arange(n, dtype=np.float64) for n in shape]
        return self.at_cells(image, cells[0], cells[1])

    def at_cells(self, image: np.ndarray, down: np.ndarray, across: np.ndarray) -> np.ndarray:
        """Compute the features at any positions.

        Args:
            image: (height, width, 3) uint8 BGR, of the working size.
            down, across: positions in cells of 8 pixels, from the middle of the first one.

        Returns:
            (len(down), len(across), length) float16.
        """
        # Lab is no better, and OpenCV's tables for it take a tenth of a second to make.
        planes = cv2.cvtColor(image, cv2.COLOR_BGR2YCrCb).astype(np.float32)
        cells = (max(image.shape[0] // self._CELL, 1), max(image.shape[1] // self._CELL, 1))
        scales = []
        for scale in range(self._N_SCALES):
            if scale:
                half = (max(planes.shape[1] // 2, 1), max(planes.shape[0] // 2, 1))
                planes = cv2.resize(planes, half, interpolation=cv2.INTER_AREA)
            scales.append(self._at_scale(planes, cells, scale))
        rows, columns = (
            cell_grid.interpolation_matrix(n_in, at)
            for n_in, at in zip(cells, (down, across), strict=True)
        )
        features = np.concatenate(scales, axis=2)
        placed = np.einsum("ai,ijc,bj->abc", rows, features, columns, optimize=True)
        return placed.astype(np.float16)

    def cells_at(self, pixels: np.ndarray) -> np.ndarray:
        """Convert positions in pixels to positions in cells."""
        return (pixels + 0.5) / self._CELL - 0.5

    def _at_scale(self, planes: np.ndarray, cells: tuple[int, int], scale: int) -> np.ndarray:
        """Features of lightness and two colour differences that were halved ``scale`` times.

        (height, width, 3) float32 -> (*cells, n_features) float32.

        Coarser patches overlap, so that an anomaly lies in the middle of one.
        """
        edges = self._edges(np.ascontiguousarray(planes[:, :, 0]))

        def means(values: np.ndarray) -> np.ndarray:
            averaged = cv2.resize(
                np.ascontiguousarray(values), cells[::-1], interpolation=cv2.INTER_AREA
            ).reshape(*cells, -1)
            if not scale:
                return averaged
            # As wide as the mean of 2 ** scale cells.
            return cv2.GaussianBlur(averaged, (0, 0), 2**scale / 12**0.5)

        colour, square = means(planes), means(planes * planes)
        spread = np.sqrt(np.maximum(square - colour * colour, 0))
        directed = [np.sqrt(means(edges[:, :, group])) for group in (slice(0, 3), slice(3, 6))]
        return np.concatenate([colour, spread, *directed], axis=2)

    def _edges(self, lightness: np.ndarray) -> np.ndarray:
        """(height, width) float32 -> (height, width, n_directions) float32, strengths of edges."""
        dx, dy = (
            cv2.Sobel(lightness, cv2.CV_32F, *order, scale=1 / 8) for order in ((1, 0), (0, 1))
        )
        strength, angle = cv2.cartToPolar(dx, dy)
        del dx, dy  # of a large image, much memory
        # Each edge's strength is shared between the two nearest directions, which wrap round.
        angle *= np.float32(self._N_DIRECTIONS / np.pi)
        lower = angle.astype(np.int32)
        share = angle - lower
        del angle
        lower %= self._N_DIRECTIONS
        edges = np.zeros((lower.size, self._N_DIRECTIONS), np.float32)
        pixels = np.arange(lower.size)
        edges[pixels, lower.ravel()] = (strength * (1 - share)).ravel()
        edges[pixels, (lower.ravel() + 1) % self._N_DIRECTIONS] = (strength * share).ravel()
        return edges.reshape(*lightness.shape, self._N_DIRECTIONS)

    def back_project(self, image: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Interpolate one value per patch: see ``BackbonePatches.back_project``."""
        size, cell = image.shape[:2], self._CELL
        computed_at = self.working_size(*size)
        return cell_grid.to_image(values, size, computed_at, cell, (cell - 1) / 2)
