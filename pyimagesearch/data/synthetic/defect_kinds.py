"""How each kind of synthetic defect looks: what to put at a site, and how opaque it is.

Every kind is blended: its edges are soft, and it keeps the grain of the image under it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from pyimagesearch.data.synthetic.noise import smoothstep

Window = tuple[slice, slice]


@dataclass
class Site:
    """Where a defect is added.

    Attributes:
        rng: for random choices.
        image: (height, width, 3) float32, 0 to 255, with the defects added so far.
        part: (height, width) bool; all True where the whole image is the part.
        others: images to take foreign patches from.
        softness: of every edge, in pixels.
        radius: of the defect, in pixels.
        window: of the image, around the defect.
    """

    rng: np.random.Generator
    image: np.ndarray
    part: np.ndarray
    others: Sequence[np.ndarray]
    softness: float
    radius: float
    window: Window

    @property
    def patch(self) -> np.ndarray:
        return self.image[self.window]

    @property
    def shape(self) -> tuple[int, int]:
        return self.patch.shape[:2]


Patch = tuple[np.ndarray, np.ndarray]  # (h, w, 3) pixels of a defect, (h, w) their opacity


def _noise(rng: np.random.Generator, shape: tuple[int, int], cells: int) -> np.ndarray:
    """Smooth noise of about ``cells`` bumps across, (height, width) float32 around 0, in +-1."""
    grid = rng.uniform(-1, 1, (cells + 2, cells + 2)).astype(np.float32)
    return cv2.resize(grid, shape[::-1], interpolation=cv2.INTER_CUBIC)


def _blob(
    site: Site, softness: float = 0.2, roughness: float = 0.5, least_aspect: float = 0.4
) -> np.ndarray:
    """The opacity of a spot: a rotated ellipse with an uneven, soft edge, (h, w) float32."""
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


def _scratch(site: Site) -> Patch:
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


def _stain(site: Site) -> Patch:
    """A translucent film, often with a darker rim, that tints the surface."""
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


def _hole(site: Site) -> Patch:
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


def _dent(site: Site) -> Patch:
    """A dent or bump: lit on one side, shaded on the other, with the texture displaced."""
    rng, patch = site.rng, site.patch
    height = _smoothed(_blob(site, softness=0.9, roughness=0.3), 0.15 * site.radius)
    fall_y, fall_x = (slope * site.radius for slope in np.gradient(height))
    angle, strength = rng.uniform(0, 2 * np.pi), rng.uniform(20, 75)
    shade = strength * (fall_x * np.cos(angle) + fall_y * np.sin(angle))
    push = _signed(rng, 0.05, 0.3) * site.radius
    moved = _shifted(patch, push * fall_x, push * fall_y)
    opacity = smoothstep(0.02, 0.3, height).astype(np.float32)
    return (moved + shade[:, :, None]).astype(np.float32), opacity


def _colour(site: Site) -> Patch:
    """A spot of another colour or brightness, with the texture under it."""
    rng, patch = site.rng, site.patch
    shift = rng.normal(0, 1, 3)
    shift *= rng.uniform(25, 90) / max(np.abs(shift).max(), 1e-6)
    if rng.random() < 0.4:
        shift[:] = shift[np.argmax(np.abs(shift))]
    opacity = _blob(site, softness=rng.uniform(0.15, 0.7), roughness=rng.uniform(0.2, 0.8))
    return patch + shift.astype(np.float32), opacity


def _texture(site: Site) -> Patch:
    """The surface smoothed, roughened, or covered with a rotated piece of it from elsewhere."""
    rng, patch = site.rng, site.patch
    opacity = _blob(site, softness=rng.uniform(0.1, 0.4), roughness=0.6)
    manner = rng.integers(3)
    if manner == 0:
        return _smoothed(patch, site.radius * rng.uniform(0.2, 0.6)), opacity
    if manner == 1:
        cells = max(4, round(max(site.shape) / rng.uniform(1.5, 5)))
        rough = _noise(rng, site.shape, cells) * rng.uniform(25, 80)
        return patch + rough[:, :, None], opacity
    return _piece_of(site.image, site), opacity


def _piece_of(source: np.ndarray, site: Site) -> np.ndarray:
    """A piece of an image as large as the window, from anywhere in it, rotated and resized."""
    rng, (height, width) = site.rng, site.shape
    turn = cv2.getRotationMatrix2D((0, 0), rng.uniform(0, 360), rng.uniform(0.7, 1.6))
    centre = rng.uniform(0.1, 0.9, 2) * source.shape[1::-1]
    turn[:, 2] = (width / 2, height / 2) - turn[:, :2] @ centre
    piece = cv2.warpAffine(source, turn, (width, height), borderMode=cv2.BORDER_REFLECT_101)
    return piece.astype(np.float32).reshape(height, width, -1) * np.ones(3, np.float32)


def _foreign(site: Site) -> Patch:
    """A piece of another image, cut out by smooth noise."""
    rng = site.rng
    source = site.image
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


def _missing(site: Site) -> Patch | None:
    """A piece broken off the part's edge, where the background shows; None without an edge."""
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
    colours = _smoothed(site.image[around] * background[:, :, None], spread)
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


def _warp(site: Site) -> Patch:
    """A piece of the part pushed aside or swollen: misaligned, bent, of wrong proportion."""
    rng = site.rng
    opacity = _blob(site, softness=0.4, roughness=0.2)
    angle, push = rng.uniform(0, 2 * np.pi), site.radius * rng.uniform(0.25, 0.7)
    along = _smoothed(opacity, 0.2 * site.radius) * push
    moved = _shifted(site.patch, along * np.cos(angle), along * np.sin(angle))
    return moved, opacity


MAKERS: dict[str, Callable[[Site], Patch | None]] = {
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
KINDS = tuple(MAKERS)
