"""Add defects to images of good parts: synthetic ones, and objects pasted from other images.

Defects of every kind are blended: their edges are soft, they keep the grain of the image under
them, and grey images stay grey, so that what gives a defect away is the defect and not its seam.
The order of the channels does not matter: BGR and RGB are treated alike.

Foreign patches cut out by smooth noise: Zavrtanik, Kristan and Skocaj, DRAEM, ICCV 2021, section
3.3; patches of other good images: Schlueter et al., Natural Synthetic Anomalies, ECCV 2022.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import cv2
import numpy as np

from pyimagesearch.data.synthetic.defect_kinds import KINDS, MAKERS, Patch, Site, Window

PASTED = "object"
OBJECT_SIZES = (0.2, 0.7)  # of the image's width
# Radius of a synthetic defect, as a share of the image's shorter side; log-uniform.
_RADII = (0.02, 0.16)
_LEAST_RADIUS = 1.5  # pixels
_LEAST_CHANGE = (
    6.0  # mean grey levels: a defect that changes an image less is not visible, and is replaced
)
_ATTEMPTS = 8
_MASKED = 0.25  # opacity from which a pixel counts as defective
# Side of the reduced image in which the part is found, and the share of it that can be a part.
_FIND_SIDE = 64
_PART_SHARES = (0.04, 0.9)
_PART_LEVEL = 0.7  # of Otsu's threshold: rather include too much than too little
_ON_PART = 0.8  # the share of the defects that lie on the part, and not anywhere in the image
_FEATHER = 0.02  # of an object's size


@dataclass(frozen=True)
class Defect:
    """A defect that was added to an image.

    Attributes:
        kind: one of ``KINDS``, or ``PASTED``.
        box: x, y, width and height in pixels.
        area: number of pixels that count as defective.
        details: of a pasted object: its file, angle in degrees, width in pixels, mirrored or not.
    """

    kind: str
    box: tuple[int, int, int, int]
    area: int
    details: dict[str, object] = field(default_factory=dict)

    def describe(self) -> dict[str, object]:
        """The same as JSON types, for a manifest."""
        described = asdict(self) | {"box": list(self.box)}
        return described | described.pop("details")


@dataclass(frozen=True)
class DefectiveImage:
    """An image with defects.

    Attributes:
        image: (height, width, channels) uint8, of the shape of the good one.
        mask: (height, width) uint8, 255 where it is defective and 0 elsewhere.
        defects: that were added.
    """

    image: np.ndarray
    mask: np.ndarray
    defects: list[Defect]


def add_defects(
    image: np.ndarray,
    rng: np.random.Generator,
    *,
    kinds: Sequence[str] = (),
    n_defects: int = 1,
    others: Sequence[np.ndarray] = (),
    softness: float = 0.7,
) -> DefectiveImage:
    """Add synthetic defects to an image of a good part.

    Args:
        image: (height, width, 1 or 3) uint8.
        rng: the same state makes the same defects.
        kinds: of ``KINDS``, each as likely as the next; none means all of them.
        n_defects: number of defects.
        others: (height, width, 1 or 3) uint8 images to take foreign patches from; without any,
            they are taken from the image itself.
        softness: of edges, in pixels: none is sharper than a lens would show it.

    Raises:
        ValueError: an unknown kind.
    """
    kinds = kinds or KINDS
    if unknown := sorted(set(kinds) - set(KINDS)):
        raise ValueError(f"unknown kind of defect {unknown[0]!r}: choose from {', '.join(KINDS)}")
    canvas = _Canvas(image)
    for _ in range(n_defects):
        for _ in range(_ATTEMPTS):
            kind = kinds[rng.integers(len(kinds))]
            site = _choose_site(rng, canvas, others, softness)
            if (patch := MAKERS[kind](site)) is None:
                continue
            if canvas.add(site.window, *patch, kind=kind):
                break
    return canvas.result()


def paste_objects(
    image: np.ndarray,
    objects: Sequence[tuple[str, np.ndarray, np.ndarray]],
    rng: np.random.Generator,
) -> DefectiveImage:
    """Paste objects, rotated, mirrored and resized, at random places of an image.

    Args:
        image: (height, width, 1 or 3) uint8.
        objects: (name, (height, width, 3) uint8 in the image's order of channels, (height,
            width) float32 opacity from 0 to 1) of each; see ``object_opacity``.
        rng: the same state pastes them at the same places.
    """
    canvas = _Canvas(image)
    for name, pixels, opacity in objects:
        for _ in range(_ATTEMPTS):
            width = max(2, round(rng.uniform(*OBJECT_SIZES) * image.shape[1]))
            angle, mirrored = round(float(rng.uniform(0, 360)), 1), bool(rng.integers(2))
            transformed = _transform(pixels, opacity, angle, width, mirrored)
            window, inside = _place(rng, canvas.pixels.shape[:2], transformed[1].shape)
            patch = tuple(np.ascontiguousarray(part[inside]) for part in transformed)
            details = {"object": name, "angle": angle, "width": width, "mirrored": mirrored}
            if canvas.add(window, *patch, kind=PASTED, details=details):
                break
    return canvas.result()


def object_opacity(pixels: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    """Find how opaque each pixel of an object is.

    Args:
        pixels: (height, width, 3) uint8.
        alpha: (height, width) uint8, or None where its file has none: then the object is what
            differs from the colour of the image's border, or the whole image where nothing does.

    Returns:
        (height, width) float32 from 0 to 1, with soft edges.
    """
    if alpha is None:
        alpha = find_part(pixels).astype(np.uint8) * 255
    opacity = np.pad(alpha.astype(np.float32) / 255, 1)[1:-1, 1:-1]
    spread = max(0.7, _FEATHER * max(opacity.shape))
    # The soft edge lies inside the object, where its own colours are; nothing is added outside.
    eroded = cv2.erode(opacity, np.ones((2 * round(spread) + 1,) * 2), borderValue=0)
    return np.minimum(opacity, cv2.GaussianBlur(eroded, (0, 0), spread, borderType=0))


def find_part(image: np.ndarray) -> np.ndarray:
    """Find the part in an image: what differs in colour from the image's border.

    Args:
        image: (height, width, 1 or 3), 0 to 255.

    Returns:
        (height, width) bool; all True where nothing, or nearly everything, differs, as in an image
        of a surface.
    """
    height, width = image.shape[:2]
    small = cv2.resize(image, (_FIND_SIDE, _FIND_SIDE), interpolation=cv2.INTER_AREA)
    small = small.reshape(_FIND_SIDE, _FIND_SIDE, -1).astype(np.float32)
    edge = np.concatenate([small[0], small[-1], small[:, 0], small[:, -1]])
    distance = np.abs(small - np.median(edge, axis=0)).max(axis=2)
    levels = np.minimum(distance, 255).astype(np.uint8)
    level, _ = cv2.threshold(levels, 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    marked = (levels > _PART_LEVEL * level).astype(np.uint8)
    marked = _without_holes(cv2.morphologyEx(marked, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8)))
    # The border of a surface is as varied as the rest: then no part can be distinguished from it.
    border = np.concatenate([marked[0], marked[-1], marked[:, 0], marked[:, -1]])
    least, most = _PART_SHARES
    if not least <= marked.mean() <= most or border.mean() > 0.5 * marked.mean():
        return np.ones((height, width), bool)
    return cv2.resize(marked, (width, height), interpolation=cv2.INTER_NEAREST) > 0


def _without_holes(marked: np.ndarray) -> np.ndarray:
    """Also mark what is enclosed by marked pixels."""
    outside = np.pad(marked, 1)
    cv2.floodFill(outside, None, (0, 0), 2)
    return (outside[1:-1, 1:-1] != 2).astype(np.uint8)


class _Canvas:
    """An image that defects are added to."""

    def __init__(self, image: np.ndarray) -> None:
        self.shape = image.shape
        pixels = image if image.shape[2] == 3 else np.repeat(image, 3, axis=2)
        self._is_grey = image.shape[2] == 1 or not (image - image[:, :, :1]).any()
        self.pixels = pixels.astype(np.float32)
        self.part = find_part(image)
        self._mask = np.zeros(image.shape[:2], np.uint8)
        self._defects: list[Defect] = []

    def add(
        self,
        window: Window,
        pixels: np.ndarray,
        opacity: np.ndarray,
        *,
        kind: str,
        details: dict[str, object] | None = None,
    ) -> bool:
        """Blend a defect in where it can be seen; returns whether it can."""
        marked = opacity >= _MASKED
        if not marked.any():
            return False
        if self._is_grey:
            pixels = np.repeat(pixels.mean(axis=2, keepdims=True), 3, axis=2)
        before = self.pixels[window]
        after = np.clip(before + (pixels - before) * opacity[:, :, None], 0, 255)
        if np.abs(after - before).max(axis=2)[marked].mean() < _LEAST_CHANGE:
            return False
        self.pixels[window] = after
        self._mask[window][marked] = 255
        x, y, width, height = cv2.boundingRect(marked.astype(np.uint8))
        box = (window[1].start + x, window[0].start + y, width, height)
        self._defects.append(Defect(kind, box, int(marked.sum()), details or {}))
        return True

    def result(self) -> DefectiveImage:
        pixels = (self.pixels + 0.5).astype(np.uint8)[:, :, : self.shape[2]]
        return DefectiveImage(pixels, self._mask, self._defects)


def _choose_site(
    rng: np.random.Generator, canvas: _Canvas, others: Sequence[np.ndarray], softness: float
) -> Site:
    height, width = canvas.part.shape
    low, high = np.log(_RADII)
    radius = max(_LEAST_RADIUS, float(np.exp(rng.uniform(low, high))) * min(height, width))
    on_part = rng.random() < _ON_PART
    for _ in range(_ATTEMPTS):
        y, x = int(rng.integers(height)), int(rng.integers(width))
        if canvas.part[y, x] or not on_part:
            break
    reach = max(3, round(1.3 * radius))
    window = (
        slice(max(0, y - reach), min(height, y + reach + 1)),
        slice(max(0, x - reach), min(width, x + reach + 1)),
    )
    return Site(rng, canvas.pixels, canvas.part, others, softness, radius, window)


def _transform(
    pixels: np.ndarray, opacity: np.ndarray, angle: float, width: int, mirrored: bool
) -> Patch:
    """Mirror, resize and rotate an object: its pixels and its opacity."""
    if mirrored:
        pixels, opacity = pixels[:, ::-1], opacity[:, ::-1]
    scale = width / pixels.shape[1]
    size = (width, max(2, round(scale * pixels.shape[0])))
    kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    pixels, opacity = (
        cv2.resize(np.ascontiguousarray(a), size, interpolation=kind) for a in (pixels, opacity)
    )
    turn = cv2.getRotationMatrix2D((size[0] / 2, size[1] / 2), angle, 1)
    reach = np.abs(turn[:, :2]) @ size
    turn[:, 2] += reach / 2 - np.array(size) / 2
    whole = tuple(max(1, int(np.ceil(side))) for side in reach)
    pixels = cv2.warpAffine(pixels, turn, whole, borderMode=cv2.BORDER_REPLICATE)
    return pixels.astype(np.float32), cv2.warpAffine(opacity, turn, whole)


def _place(
    rng: np.random.Generator, image: tuple[int, int], size: tuple[int, int]
) -> tuple[Window, Window]:
    """Choose where an object's middle goes: the window there, and the visible part of it."""
    window, inside = [], []
    for side, length in zip(image, size, strict=True):
        start = int(rng.integers(side)) - length // 2
        first, last = max(0, start), min(side, start + length)
        window.append(slice(first, last))
        inside.append(slice(first - start, last - start))
    return tuple(window), tuple(inside)
