"""Spoil pictures of good parts: made defects, and objects pasted from other pictures.

Defects of every kind are blended: their edges are soft, they keep the grain of the picture under
them, and grey pictures stay grey, so that what gives a defect away is the defect and not its seam.
The order of the channels does not matter: BGR and RGB are spoiled alike.

Foreign patches cut out by smooth noise: Zavrtanik, Kristan and Skocaj, DRAEM, ICCV 2021, section
3.3; patches of other good pictures: Schlueter et al., Natural Synthetic Anomalies, ECCV 2022.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import cv2
import numpy as np

from pyimagesearch.data.synthetic.scenes import smoothstep

PASTED = "object"
OBJECT_SIZES = (0.2, 0.7)  # of the picture's width
# Radius of a made defect, as a share of the picture's shorter side: small ones as often as large.
_RADII = (0.02, 0.16)
_LEAST_RADIUS = 1.5  # pixels
_LEAST_CHANGE = 6.0  # mean grey levels: what changes a picture less is not seen, and made again
_ATTEMPTS = 8
_MASKED = 0.25  # opacity from which a pixel counts as defective
# Side of the picture in which the part is looked for, and the share of it that can be a part.
_LOOKED_AT = 64
_PART_SHARES = (0.04, 0.9)
_PART_LEVEL = 0.7  # of Otsu's threshold: rather more of the part than less
_ON_PART = 0.8  # the share of the defects that lie on the part, and not just anywhere
_FEATHER = 0.02  # of an object's size

Window = tuple[slice, slice]


@dataclass(frozen=True)
class Defect:
    """What was done to a picture, and where.

    Attributes:
        kind: one of ``KINDS``, or ``PASTED``.
        box: x, y, width and height in pixels.
        area: number of pixels that count as defective.
        details: of a pasted object: its file, angle in degrees, width in pixels, mirrored or not.
    """

    kind: str
    box: tuple[int, int, int, int]
    area: int
    details: dict[str, Any] = field(default_factory=dict)

    def describe(self) -> dict[str, Any]:
        """The same as JSON types, for a manifest."""
        described = asdict(self) | {"box": list(self.box)}
        return described | described.pop("details")


@dataclass(frozen=True)
class Spoiled:
    """A spoiled picture.

    Attributes:
        picture: (height, width, channels) uint8, of the shape of the good one.
        mask: (height, width) uint8, 255 where it is defective and 0 elsewhere.
        defects: what was done.
    """

    picture: np.ndarray
    mask: np.ndarray
    defects: list[Defect]


@dataclass
class _Site:
    """Where a defect is being made.

    Attributes:
        rng: to draw from.
        picture: (height, width, 3) float32, 0 to 255, with the defects made so far.
        part: (height, width) bool; where the whole picture is the part, all of it.
        others: pictures to take foreign patches from.
        softness: of every edge, in pixels.
        radius: of the defect, in pixels.
        window: of the picture, around the defect.
    """

    rng: np.random.Generator
    picture: np.ndarray
    part: np.ndarray
    others: Sequence[np.ndarray]
    softness: float
    radius: float
    window: Window

    @property
    def patch(self) -> np.ndarray:
        return self.picture[self.window]

    @property
    def shape(self) -> tuple[int, int]:
        return self.patch.shape[:2]


Made = tuple[np.ndarray, np.ndarray]  # (h, w, 3) what to put there, (h, w) its opacity


def spoil(
    picture: np.ndarray,
    rng: np.random.Generator,
    *,
    kinds: Sequence[str] = (),
    n_defects: int = 1,
    others: Sequence[np.ndarray] = (),
    softness: float = 0.7,
) -> Spoiled:
    """Make defects on a picture of a good part.

    Args:
        picture: (height, width, 1 or 3) uint8.
        rng: the same state makes the same defects.
        kinds: of ``KINDS``, each as likely as the next; none means all of them.
        n_defects: how many.
        others: (height, width, 1 or 3) uint8 pictures to take foreign patches from; without any,
            they are taken from the picture itself.
        softness: in pixels: no edge is sharper than a lens leaves it.

    Raises:
        ValueError: an unknown kind.
    """
    kinds = kinds or KINDS
    if unknown := sorted(set(kinds) - set(KINDS)):
        raise ValueError(f"there is no defect {unknown[0]!r}; there are {', '.join(KINDS)}")
    canvas = _Canvas(picture)
    for _ in range(n_defects):
        for _ in range(_ATTEMPTS):
            kind = kinds[rng.integers(len(kinds))]
            site = _choose_site(rng, canvas, others, softness)
            if (made := _MAKERS[kind](site)) is None:
                continue
            if canvas.put(site.window, *made, kind=kind):
                break
    return canvas.spoiled()


def paste(
    picture: np.ndarray,
    objects: Sequence[tuple[str, np.ndarray, np.ndarray]],
    rng: np.random.Generator,
) -> Spoiled:
    """Paste objects, turned, mirrored and resized, at random places of a picture.

    Args:
        picture: (height, width, 1 or 3) uint8.
        objects: (name, (height, width, 3) uint8 in the picture's order of channels, (height,
            width) float32 opacity from 0 to 1) of each; see ``cut_out``.
        rng: the same state pastes them at the same places.
    """
    canvas = _Canvas(picture)
    for name, pixels, opacity in objects:
        for _ in range(_ATTEMPTS):
            width = max(2, round(rng.uniform(*OBJECT_SIZES) * picture.shape[1]))
            angle, mirrored = round(float(rng.uniform(0, 360)), 1), bool(rng.integers(2))
            turned = _turned(pixels, opacity, angle, width, mirrored)
            window, inside = _place(rng, canvas.pixels.shape[:2], turned[1].shape)
            made = tuple(np.ascontiguousarray(part[inside]) for part in turned)
            details = {"object": name, "angle": angle, "width": width, "mirrored": mirrored}
            if canvas.put(window, *made, kind=PASTED, details=details):
                break
    return canvas.spoiled()


def cut_out(pixels: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    """Find out how opaque each pixel of an object is.

    Args:
        pixels: (height, width, 3) uint8.
        alpha: (height, width) uint8, or None where its file has none: what differs from the colour
            of the picture's border is the object then, or all of it where nothing stands out.

    Returns:
        (height, width) float32 from 0 to 1, with soft edges.
    """
    if alpha is None:
        alpha = find_part(pixels).astype(np.uint8) * 255
    opacity = np.pad(alpha.astype(np.float32) / 255, 1)[1:-1, 1:-1]
    spread = max(0.7, _FEATHER * max(opacity.shape))
    # Outwards nothing is added: the soft edge lies inside, where the object's own colours are.
    eroded = cv2.erode(opacity, np.ones((2 * round(spread) + 1,) * 2), borderValue=0)
    return np.minimum(opacity, cv2.GaussianBlur(eroded, (0, 0), spread, borderType=0))


def find_part(picture: np.ndarray) -> np.ndarray:
    """Find the part in a picture: what differs in colour from the picture's border.

    Args:
        picture: (height, width, 1 or 3), 0 to 255.

    Returns:
        (height, width) bool; all True where nothing, or nearly everything, stands out, as in a
        picture of a surface.
    """
    height, width = picture.shape[:2]
    small = cv2.resize(picture, (_LOOKED_AT, _LOOKED_AT), interpolation=cv2.INTER_AREA)
    small = small.reshape(_LOOKED_AT, _LOOKED_AT, -1).astype(np.float32)
    edge = np.concatenate([small[0], small[-1], small[:, 0], small[:, -1]])
    distance = np.abs(small - np.median(edge, axis=0)).max(axis=2)
    levels = np.minimum(distance, 255).astype(np.uint8)
    level, _ = cv2.threshold(levels, 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    marked = (levels > _PART_LEVEL * level).astype(np.uint8)
    marked = _without_holes(cv2.morphologyEx(marked, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8)))
    # A surface's border is as mixed as the rest: then there is no part to be told from it.
    border = np.concatenate([marked[0], marked[-1], marked[:, 0], marked[:, -1]])
    least, most = _PART_SHARES
    if not least <= marked.mean() <= most or border.mean() > 0.5 * marked.mean():
        return np.ones((height, width), bool)
    return cv2.resize(marked, (width, height), interpolation=cv2.INTER_NEAREST) > 0


def _without_holes(marked: np.ndarray) -> np.ndarray:
    """Mark also what is enclosed by marked pixels."""
    outside = np.pad(marked, 1)
    cv2.floodFill(outside, None, (0, 0), 2)
    return (outside[1:-1, 1:-1] != 2).astype(np.uint8)


class _Canvas:
    """A picture that defects are put on."""

    def __init__(self, picture: np.ndarray) -> None:
        self.shape = picture.shape
        pixels = picture if picture.shape[2] == 3 else np.repeat(picture, 3, axis=2)
        self._is_grey = picture.shape[2] == 1 or not (picture - picture[:, :, :1]).any()
        self.pixels = pixels.astype(np.float32)
        self.part = find_part(picture)
        self._mask = np.zeros(picture.shape[:2], np.uint8)
        self._defects: list[Defect] = []

    def put(
        self,
        window: Window,
        pixels: np.ndarray,
        opacity: np.ndarray,
        *,
        kind: str,
        details: dict[str, Any] | None = None,
    ) -> bool:
        """Blend a defect in, if it can be seen; tell whether it can."""
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

    def spoiled(self) -> Spoiled:
        pixels = (self.pixels + 0.5).astype(np.uint8)[:, :, : self.shape[2]]
        return Spoiled(pixels, self._mask, self._defects)


def _choose_site(
    rng: np.random.Generator, canvas: _Canvas, others: Sequence[np.ndarray], softness: float
) -> _Site:
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
    return _Site(rng, canvas.pixels, canvas.part, others, softness, radius, window)


def _noise(rng: np.random.Generator, shape: tuple[int, int], cells: int) -> np.ndarray:
    """Smooth noise of about ``cells`` bumps across, (height, width) float32 around 0, in +-1."""
    grid = rng.uniform(-1, 1, (cells + 2, cells + 2)).astype(np.float32)
    return cv2.resize(grid, shape[::-1], interpolation=cv2.INTER_CUBIC)


def _blob(
    site: _Site, softness: float = 0.2, roughness: float = 0.5, least_aspect: float = 0.4
) -> np.ndarray:
    """The opacity of a spot: a turned ellipse with an uneven, soft edge, (h, w) float32."""
    rng, (height, width) = site.rng, site.shape
    angle = rng.uniform(0, np.pi)
    aspect = rng.uniform(least_aspect, 1)
    y = (np.arange(height, dtype=np.float32) - (height - 1) / 2)[:, None] / site.radius
    x = (np.arange(width, dtype=np.float32) - (width - 1) / 2)[None] / site.radius
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    depth = 1 - np.sqrt(u * u + (v / aspect) ** 2)
    depth += roughness * (
        0.7 * _noise(rng, site.shape, int(rng.integers(2, 5)))
        + 0.3 * _noise(rng, site.shape, int(rng.integers(6, 12)))
    )
    opacity = smoothstep(0, softness, depth.astype(np.float32)).astype(np.float32)
    return cv2.GaussianBlur(opacity, (0, 0), site.softness, borderType=cv2.BORDER_REPLICATE)


def _smoothed(patch: np.ndarray, spread: float) -> np.ndarray:
    return cv2.GaussianBlur(patch, (0, 0), max(spread, 0.6), borderType=cv2.BORDER_REPLICATE)


def _grain(patch: np.ndarray) -> np.ndarray:
    """The finest texture of a patch, which survives a change of colour."""
    return patch - _smoothed(patch, 1.0)


def _signed(rng: np.random.Generator, least: float, most: float) -> float:
    return float(rng.uniform(least, most) * rng.choice((-1, 1)))


def _scratch(site: _Site) -> Made:
    """One or a few thin lines, light or dark, each fading along its way."""
    rng, (height, width) = site.rng, site.shape
    lines = np.zeros((height, width), np.float32)
    direction, thickness = rng.uniform(0, 2 * np.pi), max(1.0, site.radius * rng.uniform(0.03, 0.1))
    for _ in range(int(rng.choice((1, 1, 1, 2, 3)))):
        steps = np.linspace(-1, 1, 24)
        bend, length = rng.normal(0, 0.25), site.radius * rng.uniform(0.7, 1.2)
        wobble = np.cumsum(rng.normal(0, 0.02, len(steps)))
        angle = direction + rng.normal(0, 0.15)
        along, across = steps * length, (bend * steps**2 + wobble) * length
        offset = rng.normal(0, 0.2, 2) * site.radius
        x = (width - 1) / 2 + offset[0] + along * np.cos(angle) - across * np.sin(angle)
        y = (height - 1) / 2 + offset[1] + along * np.sin(angle) + across * np.cos(angle)
        points = np.rint(np.stack([x, y], axis=1) * 16).astype(np.int32)
        strengths = np.clip(0.9 + np.cumsum(rng.normal(0, 0.12, len(steps))), 0.35, 1)
        for i in range(len(points) - 1):
            segment, width_here = points[i : i + 2], max(1, round(thickness * strengths[i]))
            layer = float(strengths[i])
            cv2.polylines(lines, [segment], False, layer, width_here, cv2.LINE_8, 4)
    opacity = cv2.GaussianBlur(lines, (0, 0), site.softness)
    patch, strength = site.patch, _signed(rng, 35, 110)
    # A groove has a light and a dark side.
    moved = cv2.warpAffine(opacity, np.float32([[1, 0, 1], [0, 1, 1]]), (width, height))
    shade = strength * (1 - rng.uniform(0, 0.6) * (moved > opacity))
    return patch + np.float32(shade)[:, :, None], opacity


def _stain(site: _Site) -> Made:
    """A translucent film, often with a darker rim, that tints what is under it."""
    rng, patch = site.rng, site.patch
    opacity = _blob(site, softness=rng.uniform(0.1, 0.6), roughness=rng.uniform(0.3, 0.9))
    tint = rng.uniform(0.25, 0.9) * (1 - rng.uniform(0, 0.5, 3))
    film = patch * tint.astype(np.float32)
    if rng.random() < 0.3:  # a light one: dust, grease, flour
        film = patch + (255 - patch) * rng.uniform(0.3, 0.7) * (1 - 0.3 * rng.random(3))
    rim = np.clip(4 * opacity * (1 - opacity), 0, 1) * rng.choice((0, 0.35))
    film = film * (1 - rim[:, :, None]) + 0.2 * _grain(patch)
    uneven = 0.75 + 0.25 * _noise(rng, site.shape, 4)
    return film.astype(np.float32), opacity * uneven.clip(0.3, 1)


def _hole(site: _Site) -> Made:
    """A dark, rounded hole or pore with a lit edge on one side."""
    rng, patch = site.rng, site.patch
    site.radius *= 0.6
    opacity = _blob(site, softness=0.35, roughness=0.25, least_aspect=0.6)
    angle = rng.uniform(0, 2 * np.pi)
    slope = np.stack(np.gradient(_smoothed(opacity, 0.15 * site.radius)), axis=2)
    lit = (slope @ np.array([np.sin(angle), np.cos(angle)])) * site.radius
    dark = _smoothed(patch, site.radius) * rng.uniform(0.1, 0.45) + 0.25 * _grain(patch)
    inside = dark + np.clip(lit, -1, 1)[:, :, None] * rng.uniform(20, 90)
    return inside.astype(np.float32), opacity


def _shifted(patch: np.ndarray, dx: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """Take each pixel from (dx, dy) pixels away."""
    height, width = patch.shape[:2]
    x = np.arange(width, dtype=np.float32)[None] + dx.astype(np.float32)
    y = np.arange(height, dtype=np.float32)[:, None] + dy.astype(np.float32)
    return cv2.remap(patch, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)


def _dent(site: _Site) -> Made:
    """A dent or bump: lit on one side and shaded on the other, and what lies in it is moved."""
    rng, patch = site.rng, site.patch
    height = _smoothed(_blob(site, softness=0.9, roughness=0.3), 0.15 * site.radius)
    fall_y, fall_x = (slope * site.radius for slope in np.gradient(height))
    angle, strength = rng.uniform(0, 2 * np.pi), rng.uniform(20, 75)
    shade = strength * (fall_x * np.cos(angle) + fall_y * np.sin(angle))
    push = _signed(rng, 0.05, 0.3) * site.radius
    moved = _shifted(patch, push * fall_x, push * fall_y)
    opacity = smoothstep(0.02, 0.3, height).astype(np.float32)
    return (moved + shade[:, :, None]).astype(np.float32), opacity


def _colour(site: _Site) -> Made:
    """A spot of another colour or brightness, with the texture under it."""
    rng, patch = site.rng, site.patch
    shift = rng.normal(0, 1, 3)
    shift *= rng.uniform(25, 90) / max(np.abs(shift).max(), 1e-6)
    if rng.random() < 0.4:
        shift[:] = shift[np.argmax(np.abs(shift))]
    opacity = _blob(site, softness=rng.uniform(0.15, 0.7), roughness=rng.uniform(0.2, 0.8))
    return patch + shift.astype(np.float32), opacity


def _texture(site: _Site) -> Made:
    """The surface smoothed, roughened, or covered with a turned piece of it from elsewhere."""
    rng, patch = site.rng, site.patch
    opacity = _blob(site, softness=rng.uniform(0.1, 0.4), roughness=0.6)
    manner = rng.integers(3)
    if manner == 0:
        return _smoothed(patch, site.radius * rng.uniform(0.2, 0.6)), opacity
    if manner == 1:
        cells = max(4, round(max(site.shape) / rng.uniform(1.5, 5)))
        rough = _noise(rng, site.shape, cells) * rng.uniform(25, 80)
        return patch + rough[:, :, None], opacity
    return _piece_of(site.picture, site), opacity


def _piece_of(source: np.ndarray, site: _Site) -> np.ndarray:
    """A window's worth of a picture, from anywhere in it, turned and resized."""
    rng, (height, width) = site.rng, site.shape
    turn = cv2.getRotationMatrix2D((0, 0), rng.uniform(0, 360), rng.uniform(0.7, 1.6))
    centre = rng.uniform(0.1, 0.9, 2) * source.shape[1::-1]
    turn[:, 2] = (width / 2, height / 2) - turn[:, :2] @ centre
    piece = cv2.warpAffine(source, turn, (width, height), borderMode=cv2.BORDER_REFLECT_101)
    return piece.astype(np.float32).reshape(height, width, -1) * np.ones(3, np.float32)


def _foreign(site: _Site) -> Made:
    """A piece of another picture, cut out by smooth noise."""
    rng = site.rng
    source = site.picture
    if len(site.others):
        source = site.others[rng.integers(len(site.others))]
    window = _blob(site, softness=0.25, roughness=0.3, least_aspect=0.6)
    cloud = _noise(rng, site.shape, int(rng.integers(2, 6)))
    edge = max(0.15, 2 / site.radius)
    opacity = window * smoothstep(-0.1 - edge, -0.1 + edge, cloud) * rng.uniform(0.5, 1)
    piece = _piece_of(source, site)
    if not len(site.others) or rng.random() < 0.5:
        piece = piece[:, :, rng.permutation(3)] * rng.uniform(0.6, 1.3, 3).astype(np.float32)
    return piece.astype(np.float32), opacity.astype(np.float32)


def _missing(site: _Site) -> Made | None:
    """A piece broken off at the part's edge, where the background shows; None without one."""
    if site.part.all():
        return None
    part = site.part.astype(np.uint8)
    edge = np.flatnonzero(part - cv2.erode(part, np.ones((3, 3), np.uint8)))
    if not len(edge):
        return None
    y, x = np.unravel_index(edge[site.rng.integers(len(edge))], site.part.shape)
    site.window = _around(int(y), int(x), max(3, round(1.3 * site.radius)), site.part.shape)
    opacity = _blob(site, softness=0.15, roughness=0.4)
    around = _around(int(y), int(x), max(6, round(4 * site.radius)), site.part.shape)
    background = cv2.erode((~site.part[around]).astype(np.float32), np.ones((3, 3)))
    spread = site.radius + 2
    weight = _smoothed(background, spread)
    if weight.max() < 0.02:
        return None
    colours = _smoothed(site.picture[around] * background[:, :, None], spread)
    filled = colours / np.maximum(weight, 1e-3)[:, :, None]
    inside = tuple(
        slice(here.start - there.start, here.stop - there.start)
        for here, there in zip(site.window, around, strict=True)
    )
    # Far from any background there is nothing to fill a piece with.
    opacity = opacity * smoothstep(0.002, 0.02, weight[inside])
    return (filled[inside] + 0.5 * _grain(site.patch)).astype(np.float32), opacity.astype(
        np.float32
    )


def _around(y: int, x: int, reach: int, shape: tuple[int, ...]) -> Window:
    return (
        slice(max(0, y - reach), min(shape[0], y + reach + 1)),
        slice(max(0, x - reach), min(shape[1], x + reach + 1)),
    )


def _warp(site: _Site) -> Made:
    """A piece of the part pushed aside or swollen: misaligned, bent, of wrong proportion."""
    rng = site.rng
    opacity = _blob(site, softness=0.4, roughness=0.2)
    angle, push = rng.uniform(0, 2 * np.pi), site.radius * rng.uniform(0.25, 0.7)
    along = _smoothed(opacity, 0.2 * site.radius) * push
    moved = _shifted(site.patch, along * np.cos(angle), along * np.sin(angle))
    return moved, opacity


_MAKERS: dict[str, Callable[[_Site], Made | None]] = {
    "scratch": _scratch,
    "stain": _stain,
    "hole": _hole,
    "dent": _dent,
    "colour": _colour,
    "texture": _texture,
    "foreign": _foreign,
    "missing": _missing,
    "warp": _warp,
}
KINDS = tuple(_MAKERS)


def _turned(
    pixels: np.ndarray, opacity: np.ndarray, angle: float, width: int, mirrored: bool
) -> Made:
    """Turn, mirror and resize an object: its pixels and its opacity."""
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
    rng: np.random.Generator, picture: tuple[int, int], thing: tuple[int, int]
) -> tuple[Window, Window]:
    """A place whose middle lies in the picture: the window there, and the part of the thing."""
    window, inside = [], []
    for side, length in zip(picture, thing, strict=True):
        start = int(rng.integers(side)) - length // 2
        first, last = max(0, start), min(side, start + length)
        window.append(slice(first, last))
        inside.append(slice(first - start, last - start))
    return tuple(window), tuple(inside)
