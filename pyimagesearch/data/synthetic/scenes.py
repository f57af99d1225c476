"""Synthetic pictures of outdoor scenes, painted with NumPy and OpenCV alone.

Every picture is a function of its kind, seed and index, so a data set of forests, coasts or
highways can be made anywhere, offline, and come out the same each time. A scene is painted back
to front on an ``Easel`` larger than the picture, then seen through an imperfect camera.

Positions and sizes on the easel are fractions of its side; colours are BGR floats from 0 to 1,
written as hue (degrees), saturation and value; lengths on the ground are metres.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import ArrayLike

SUPERSAMPLING = 2
SUBPIXEL_BITS = 4
FOCAL_LENGTH = 0.9
FARTHEST = 1000.0

HSV = tuple[float, float, float]
Window = slice | tuple[slice, slice]


@dataclass(frozen=True)
class Weather:
    """The light of a scene: sky colours, cloud cover, haze, strength and warmth of the sun."""

    zenith: HSV
    horizon: HSV
    cover: float
    haze: float
    sun: float
    warmth: float


WEATHERS = (
    Weather((213, 0.66, 0.80), (204, 0.26, 0.96), cover=0.25, haze=0.15, sun=1.0, warmth=0.04),
    Weather((212, 0.52, 0.78), (206, 0.18, 0.94), cover=0.55, haze=0.2, sun=0.8, warmth=0.0),
    Weather((212, 0.14, 0.72), (205, 0.08, 0.9), cover=0.8, haze=0.3, sun=0.4, warmth=-0.03),
    Weather((214, 0.52, 0.72), (36, 0.4, 0.98), cover=0.4, haze=0.3, sun=0.9, warmth=0.12),
    Weather((205, 0.06, 0.8), (200, 0.05, 0.9), cover=0.9, haze=0.6, sun=0.35, warmth=0.0),
)


@dataclass(frozen=True)
class Leafage:
    """The look of leaves, and of the soil under them, in one season."""

    hues: tuple[float, float]
    saturation: float
    brightness: float
    soil: HSV
    frost: float = 0.0

    def shade(self, brightness: float) -> np.ndarray:
        """Return the BGR colour of a mass of these leaves at a relative brightness."""
        return bgr(np.mean(self.hues), 0.85 * self.saturation, self.brightness * brightness)


SPRING = Leafage((66, 92), 0.66, 0.98, (62, 0.5, 0.45))
SUMMER = Leafage((72, 102), 0.62, 0.86, (58, 0.42, 0.4))
AUTUMN = Leafage((42, 74), 0.7, 1.0, (34, 0.5, 0.46))
WINTER = Leafage((72, 102), 0.54, 0.76, (46, 0.36, 0.44), frost=0.12)
PINE = Leafage((72, 98), 0.54, 0.74, (40, 0.4, 0.4))
SEASONS = (SPRING, SUMMER, AUTUMN, WINTER)

BARKS = ((26, 0.35, 0.44), (34, 0.25, 0.5), (18, 0.42, 0.4), (42, 0.17, 0.8))
STEEL = (210, 0.05, 0.6)
SNOW = (60, 0.05, 0.95)
WHITE = (45, 0.04, 0.95)
YELLOW = (44, 0.75, 0.92)
LANE = 3.6


def bgr(hue: ArrayLike, saturation: ArrayLike, value: ArrayLike) -> np.ndarray:
    """Convert hue (degrees), saturation and value (0 to 1) to float32 BGR of shape (..., 3).

    The arguments broadcast, so one call colours one brush or ten thousand leaves.
    """
    hsv = np.stack(np.broadcast_arrays(hue, saturation, value), axis=-1).astype(np.float32)
    hsv[..., 0] %= 360
    hsv[..., 1:] = hsv[..., 1:].clip(0, 1)
    return cv2.cvtColor(hsv.reshape(-1, 1, 3), cv2.COLOR_HSV2BGR).reshape(hsv.shape)


def smoothstep(low: ArrayLike, high: ArrayLike, values: np.ndarray) -> np.ndarray:
    """Ramp values smoothly from 0 at ``low`` to 1 at ``high``, which may be the smaller."""
    ramp = np.clip((values - low) / (high - low), 0, 1)
    return ramp * ramp * (3 - 2 * ramp)


def fractal_noise(
    rng: np.random.Generator,
    shape: tuple[int, int],
    cells: float,
    octaves: int = 5,
    stretch: float = 1.0,
) -> np.ndarray:
    """Make smooth noise of (height, width) ``shape``, float32 from 0 to 1.

    ``cells`` is the number of coarsest features across the width; ``stretch`` makes features
    that many times wider than they are tall.
    """
    height, width = shape
    total = np.zeros(shape, np.float32)
    for octave in range(octaves):
        across = cells * 2**octave
        grid = (max(2, round(across * stretch * height / width)), max(2, round(across)))
        layer = rng.random(grid, dtype=np.float32)
        total += cv2.resize(layer, (width, height), interpolation=cv2.INTER_CUBIC) / 2**octave
    return cv2.normalize(total, None, 0, 1, cv2.NORM_MINMAX)


class Easel:
    """A square float32 BGR ``canvas`` over a level ground, with the brushes all scenes share.

    ``x`` and ``y`` hold the position of every pixel, ``lateral`` and ``depth`` its place in
    metres on the ground, and ``below`` masks what lies under the horizon.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        side: int,
        weather: Weather,
        horizon: float,
        eye: float,
    ) -> None:
        self.rng, self.side, self.weather = rng, side, weather
        self.horizon, self.eye = horizon, eye
        self.vanishing, self.bend = rng.uniform(0.38, 0.62), rng.normal(0, 0.0006)
        self.sun = np.array([rng.choice([-1, 1]) * rng.uniform(0.2, 0.8), -0.8], np.float32)
        self.canvas = np.zeros((side, side, 3), np.float32)
        steps = (np.arange(side, dtype=np.float32) + 0.5) / side
        self.x, self.y = np.meshgrid(steps, steps)
        self.below = self.y > horizon
        drop = np.maximum(self.y - horizon, FOCAL_LENGTH * eye / FARTHEST)
        self.depth = (FOCAL_LENGTH * eye / drop).astype(np.float32)
        aside = (self.x - self.vanishing) / FOCAL_LENGTH - self.bend * self.depth
        self.lateral = (aside * self.depth).astype(np.float32)

    def project(self, lateral: ArrayLike, height: ArrayLike, depth: ArrayLike) -> np.ndarray:
        """Return easel points (..., 2) of metres to the right, above ground and ahead."""
        lateral, height, depth = np.broadcast_arrays(lateral, height, depth)
        x = self.vanishing + FOCAL_LENGTH * (lateral / depth + self.bend * depth)
        return np.stack([x, self.horizon + FOCAL_LENGTH * (self.eye - height) / depth], axis=-1)

    def noise(self, cells: float, octaves: int = 5, stretch: float = 1.0) -> np.ndarray:
        """Make fractal noise of the size of the canvas."""
        return fractal_noise(self.rng, (self.side, self.side), cells, octaves, stretch)

    def relief(self, across: np.ndarray, along: np.ndarray, *sizes: float) -> np.ndarray:
        """Lay noise on ground coordinates, the mean of features of the given ``sizes``."""
        cells = 24
        slope = np.abs(np.gradient(along, axis=0)) + 1e-6
        total = np.zeros_like(self.x)
        for size in sizes:
            texture = self.noise(cells, 4)
            scale = self.side / cells / size
            mirrored = [self._fold(axis * scale) for axis in (across, along)]
            laid = cv2.remap(texture, *mirrored, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
            # Features smaller than a pixel average out instead of glittering.
            total += 0.5 + (laid - 0.5) * np.minimum(0.5 * size / slope, 1)
        return total / len(sizes)

    def _fold(self, steps: np.ndarray) -> np.ndarray:
        """Mirror texture steps at both borders so that a texture never shows a seam."""
        turns = steps / (2 * self.side) + self.rng.random()
        return (np.abs(2 * (turns - np.floor(turns)) - 1) * self.side).astype(np.float32)

    def soil_relief(self, *sizes: float) -> np.ndarray:
        """Lay noise with features of ``sizes`` metres on the ground."""
        return self.relief(self.lateral, self.depth, *sizes)

    def hazed(self, colour: np.ndarray, distance: ArrayLike) -> np.ndarray:
        """Fade a colour into the haze; ``distance`` is 0 at hand and 1 at the horizon."""
        veil = np.minimum(0.92, distance * (0.25 + self.weather.haze))
        hue, saturation, value = self.weather.horizon
        return colour + (bgr(hue, 0.4 * saturation, value) - colour) * veil

    def blend(self, colour: np.ndarray, mask: np.ndarray, window: Window = np.s_[:]) -> None:
        """Paint a colour, or a picture, as strongly as the mask (height, width) says.

        Only a ``window`` of the canvas is touched, the whole of it unless told otherwise.
        """
        opacity = cv2.merge([mask.astype(np.float32)] * 3)
        self.canvas[window] += (colour - self.canvas[window]) * opacity

    def cover(self, colour: np.ndarray, texture: np.ndarray, mask: np.ndarray) -> None:
        """Cover the ground with a colour times a texture, fading into the haze with depth."""
        far = smoothstep(15, 600, self.depth)[..., None]
        self.blend(self.hazed(colour * texture[..., None], far), mask * self.below)

    def polygon(self, points: np.ndarray, colour: np.ndarray) -> None:
        """Fill a convex polygon (n, 2) with one colour."""
        fixed = np.rint(points * self.side * 2**SUBPIXEL_BITS).astype(np.int32)
        cv2.fillConvexPoly(self.canvas, fixed, colour.tolist(), shift=SUBPIXEL_BITS)

    def panel(
        self,
        sides: tuple[float, float],
        heights: tuple[float, float],
        depth: float,
        colour: np.ndarray,
        inset: float = 0.0,
    ) -> None:
        """Fill an upright panel facing the camera, narrower at its top by ``inset`` a side."""
        (left, right), (low, high) = sides, heights
        corners = [left, left + inset, right - inset, right]
        self.polygon(self.project(corners, [low, high, high, low], depth), colour)

    def strokes(
        self,
        points: np.ndarray,
        lengths: np.ndarray,
        widths: np.ndarray,
        angles: np.ndarray,
        colours: np.ndarray,
    ) -> None:
        """Paint a leaf-shaped stroke at each of the (n, 2) points, in order.

        ``lengths`` and ``widths`` are halves; ``angles`` are radians from the x axis.
        """
        heading = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
        along = heading * lengths[:, None]
        across = heading[:, ::-1] * [-1, 1] * widths[:, None]
        corners = points[:, None] + np.stack([along, across, -along, -across], axis=1)
        fixed = np.rint(corners * self.side * 2**SUBPIXEL_BITS).astype(np.int32)
        seen = ((corners.max(axis=1) > 0) & (corners.min(axis=1) < 1)).all(axis=1)
        for corner, colour in zip(fixed[seen], colours[seen].tolist(), strict=True):
            cv2.fillConvexPoly(self.canvas, corner, colour, shift=SUBPIXEL_BITS)


def photograph(easel: Easel, size: int) -> np.ndarray:
    """Take the easel's picture with a hand-held camera: (size, size, 3) uint8 BGR.

    Tilt, crop, softness, bloom, vignette, white balance, exposure and grain vary a little.
    """
    rng, side = easel.rng, easel.side
    turn = cv2.getRotationMatrix2D(
        (side / 2, side / 2), rng.normal(0, 1.2), rng.uniform(1.04, 1.15)
    )
    view = cv2.warpAffine(easel.canvas, turn, (side, side), borderMode=cv2.BORDER_REFLECT_101)
    view = cv2.GaussianBlur(view.clip(0, 1), (0, 0), rng.uniform(0.4, 1.0))
    view = cv2.resize(view, (size, size), interpolation=cv2.INTER_AREA)
    view += 0.12 * cv2.GaussianBlur(np.maximum(view - 0.6, 0), (0, 0), size / 25)
    corners = cv2.resize((easel.x - 0.5) ** 2 + (easel.y - 0.5) ** 2, (size, size))
    view *= 1 - rng.uniform(0.1, 0.4) * corners[..., None]
    view *= 1 + easel.weather.warmth * np.array([-0.5, 0.0, 0.35]) + rng.normal(0, 0.015, 3)
    view = view * rng.uniform(0.94, 1.12) + rng.normal(0, 0.004, view.shape)
    view += rng.normal(0, rng.uniform(0.004, 0.012), (size, size, 1))
    return np.rint(view.clip(0, 1) * 255).astype(np.uint8)


def _paint_sky(easel: Easel) -> None:
    weather, horizon = easel.weather, easel.horizon
    rise = (easel.y / horizon).clip(0, 1) ** 1.3
    easel.canvas[:] = bgr(*weather.zenith)
    easel.blend(bgr(*weather.horizon), rise)
    depth = 0.35 / (horizon + 0.25 - easel.y).clip(0.1)
    clouds = easel.relief((easel.x - 0.5) * depth * 9, depth * 16, 1.6)
    body = smoothstep(0.72 - 0.4 * weather.cover, 0.95 - 0.3 * weather.cover, clouds)
    shading = clouds - np.roll(clouds, easel.side // 40, axis=0)
    white = bgr(35, 0.02 + weather.warmth, 0.97) * (0.92 + 1.2 * shading[..., None])
    easel.blend(white, body * 0.85)


def _paint_ridge(easel: Easel, height: float, cells: float, colour, distance: float) -> None:
    skyline = easel.horizon + 0.004 - height * fractal_noise(easel.rng, (1, easel.side), cells)
    easel.blend(easel.hazed(colour, distance), smoothstep(-0.002, 0.002, easel.y - skyline))


def _paint_massif(easel: Easel, skyline: np.ndarray, cap: np.ndarray, distance: float) -> None:
    """Paint rock rising from the horizon to ``skyline`` (1, side), capped with a colour."""
    up = (easel.horizon + 0.004 - easel.y) / (skyline + 1e-6)
    rock = easel.noise(10, 6, stretch=0.6)
    light = 0.55 + 0.5 * rock + 5 * easel.sun[0] * (rock - np.roll(rock, easel.side // 60, axis=1))
    capped = smoothstep(0.5, 0.7, up + 0.9 * (rock - 0.5))[..., None]
    stone = bgr(30, 0.2, 0.58)
    colour = (stone + (cap - stone) * capped) * light[..., None].clip(0.3, 1.2)
    standing = (up < 1) & (up > 0) & (skyline > 0.004)
    easel.blend(easel.hazed(colour.clip(0, 1), distance), standing)


def _paint_foliage(easel: Easel, clumps, radii, leafage: Leafage, distance, leaf: float) -> None:
    """Paint clumps (n, 2) of leaves in order, brightest on the side of the sun."""
    rng = easel.rng
    radii = np.broadcast_to(radii, len(clumps))
    counts = np.clip(1.8 * (radii / leaf) ** 1.7, 12, 130).astype(int)
    owner = np.repeat(np.arange(len(clumps)), counts)
    spread = rng.normal(0, 0.45, (len(owner), 2)).clip(-1.2, 1.2)
    light = 0.44 + 0.5 * spread @ easel.sun * easel.weather.sun + rng.normal(0, 0.16, len(owner))
    light += rng.normal(0, 0.1, len(clumps))[owner]
    order = np.lexsort((light, owner))
    owner, spread, light = owner[order], spread[order], light[order].clip(0, 1)
    hue = rng.uniform(*leafage.hues, len(clumps))[owner] + rng.normal(0, 5, len(owner))
    value = leafage.brightness * (0.16 + 0.9 * light**1.4)
    colour = bgr(hue - 14 * light, leafage.saturation * (1.0 - 0.36 * light), value)
    frosted = (rng.random(len(owner)) < leafage.frost) & (light > 0.5)
    colour = np.where(frosted[:, None], bgr(*SNOW) * (0.6 + 0.4 * light[:, None]), colour)
    points = clumps[owner] + spread * radii[owner, None] * [1.0, 0.8]
    size = leaf * rng.uniform(0.6, 1.4, len(owner))
    turn = rng.uniform(0, np.pi, len(owner))
    easel.strokes(points, size, size * 0.5, turn, easel.hazed(colour, distance))


def _paint_trunk(easel: Easel, foot, width: float, height: float, bark: HSV, distance) -> None:
    rng, side = easel.rng, easel.side
    rows = np.arange(max(0, int((foot[1] - height) * side)), min(side, int(foot[1] * side)))
    up = foot[1] - (rows + 0.5) / side
    half = side * width * (0.5 - 0.2 * up / height + 0.3 * np.exp(-up / width))
    centre = side * (foot[0] + rng.normal(0, 0.05) * up + rng.normal(0, 0.006) * np.sin(up * 9))
    reach = np.array([-1, 1]) * (width + 0.1 * height)
    columns = np.arange(*((foot[0] + reach) * side).clip(0, side).astype(int))
    if len(rows) == 0 or len(columns) == 0:
        return
    offset = (columns + 0.5 - centre[:, None]) / half[:, None]
    roundness = np.sqrt(1.05 - np.clip(np.abs(offset), 0, 1) ** 2)
    lit = 0.5 + 0.5 * offset * np.sign(easel.sun[0]) * (0.4 + 0.4 * easel.weather.sun)
    grain = fractal_noise(rng, offset.shape, max(5, 4 / width * len(columns) / side), 4, 0.25)
    colour = bgr(*bark) * ((0.35 + lit * roundness) * (0.4 + grain))[..., None]
    patch = easel.canvas[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    inside = np.abs(offset) < 1
    patch[inside] = easel.hazed(colour, distance)[inside].clip(0, 1)


def _paint_tree(easel: Easel, foot, height: float, leafage: Leafage, distance, leaf) -> None:
    bark = BARKS[easel.rng.integers(3)]
    _paint_trunk(easel, foot, height * 0.06, height * 0.55, bark, distance)
    turn = easel.rng.uniform(0, 2 * np.pi, 26)
    reach = np.sqrt(easel.rng.random((26, 1))) * height * [0.3, 0.33]
    clumps = foot - [0, height * 0.6] + reach * np.stack([np.cos(turn), np.sin(turn)], axis=-1)
    clumps = clumps[np.argsort(clumps[:, 1])]
    _paint_foliage(easel, clumps, height * 0.13, leafage, distance, leaf)


def _paint_fir(easel: Easel, foot, height: float, frost: float, distance, leaf) -> None:
    down = np.sort(easel.rng.uniform(0.0, 0.97, 56)) ** 0.8
    aside = easel.rng.uniform(-0.19, 0.19, 56) * down
    clumps = foot + height * np.stack([aside, down - 1], axis=-1)
    needles = replace(PINE, frost=frost)
    _paint_foliage(easel, clumps, height * (0.015 + 0.06 * down), needles, distance, leaf)


def _paint_grass(easel: Easel, leafage: Leafage, count: int, tallest: float) -> None:
    rng = easel.rng
    near = np.sort(rng.random(count) ** 0.6)
    points = np.stack([rng.random(count), easel.horizon + (1.04 - easel.horizon) * near], axis=-1)
    row, column = (points.clip(0, 0.999)[:, ::-1].T * easel.side).astype(int)
    light = (0.2 + 0.8 * rng.random(count)) * (0.45 + 0.9 * easel.noise(5)[row, column])
    hue, value = rng.uniform(*leafage.hues, count) - 8, leafage.brightness * (0.2 + 0.75 * light)
    colours = bgr(hue, leafage.saturation * (1.0 - 0.4 * light), value)
    size = tallest * near + 0.002
    turn = rng.normal(np.pi / 2, 0.35, count)
    easel.strokes(points, size, size * 0.12 + 0.0008, turn, easel.hazed(colours, 0.1))


def _paint_forest_floor(easel: Easel, leafage: Leafage, trail: bool) -> None:
    sunlit = smoothstep(0.48, 0.66, easel.relief(easel.lateral * 0.6, easel.depth, 1.5))
    light = 0.5 + 0.75 * easel.weather.sun * sunlit
    litter = easel.soil_relief(0.12, 0.8) * 2 * light
    moss = smoothstep(0.45, 0.65, easel.soil_relief(2.0))
    edge = smoothstep(easel.horizon, easel.horizon + 0.05, easel.y)
    easel.cover(bgr(*leafage.soil), litter, edge)
    easel.cover(leafage.shade(0.6), litter, edge * moss)
    snow = smoothstep(1.0, 0.7, litter) * (moss < leafage.frost)
    easel.cover(bgr(*SNOW), 0.5 + 0.4 * litter, edge * snow)
    if trail:
        winding = 0.5 * np.sin(easel.depth / easel.rng.uniform(2.5, 5))
        middle = np.abs(easel.lateral + winding + easel.soil_relief(0.6) - 0.5)
        earth = bgr(leafage.soil[0] - 16, 0.3, 0.7)
        easel.cover(
            earth, light * (0.5 + easel.soil_relief(0.07, 0.5)), smoothstep(1.2, 0.7, middle)
        )


def _paint_sun_shafts(easel: Easel) -> None:
    aside, down = easel.x - 0.5 - 0.6 * easel.sun[0], easel.y + 0.25
    fan = fractal_noise(easel.rng, (1, easel.side), 22, 3)[0]
    rays = np.interp(np.arctan2(aside, down), np.linspace(-1.6, 1.6, easel.side), fan)
    fade = smoothstep(1.15, 0.1, np.hypot(aside, down))
    easel.blend(bgr(54, 0.24, 1.0), 0.55 * smoothstep(0.45, 0.85, rays) * fade)


def _paint_backdrop(easel: Easel, leafage: Leafage) -> None:
    """Paint the depth of a wood: a glow between far leaves, the sky in the gaps above them."""
    rng, horizon = easel.rng, easel.horizon
    aside, above = easel.x - easel.vanishing, easel.y - horizon + 0.2
    easel.canvas[:] = leafage.shade(0.3)
    glow = (0.5 + easel.noise(12)) * np.exp(-7 * (aside**2 + above**2))
    easel.blend(easel.hazed(leafage.shade(0.9), 1.2), glow.clip(0, 1))
    gaps = smoothstep(0.58, 0.7, easel.noise(20)) * smoothstep(horizon, horizon - 0.25, easel.y)
    easel.blend(bgr(*easel.weather.horizon), gaps)
    clumps = np.stack([rng.random(150), rng.uniform(0, horizon + 0.03, 150)], axis=-1)
    _paint_foliage(easel, clumps, 0.045, leafage, 0.75, 0.005)


def _paint_wood(easel: Easel, leafage: Leafage, trail: bool) -> None:
    """Paint the inside of a wood, trunk behind trunk."""
    rng = easel.rng
    _paint_backdrop(easel, leafage)
    _paint_forest_floor(easel, leafage, trail)
    bark = BARKS[rng.choice(len(BARKS), p=[0.35, 0.3, 0.25, 0.1])]
    for depth in np.sort(rng.uniform(4, 40, 34))[::-1]:
        lateral = rng.uniform(-0.7, 0.7) * depth
        if trail and abs(lateral) < 2:
            lateral += np.copysign(2, lateral)
        foot, distance = easel.project(lateral, 0, depth), 1 - np.exp(-depth / 25)
        girth = rng.uniform(0.22, 0.5) / depth
        _paint_trunk(easel, foot, girth, rng.uniform(9, 16) / depth, bark, distance)
        bough, lift = rng.uniform(-2.5, 2.5, 9), rng.uniform(3.6, 7.2, 9)
        crown = easel.project(lateral + bough, lift, depth)
        _paint_foliage(easel, crown, 0.9 / depth, leafage, distance, 0.04 / depth + 0.004)
        shrub = easel.project(lateral + rng.normal(0, 0.8, 3), rng.uniform(0.1, 0.4, 3), depth)
        _paint_foliage(easel, shrub, 0.45 / depth, leafage, distance, 0.02 / depth + 0.003)
    if easel.weather.sun > 0.8 or easel.weather.haze > 0.5:
        _paint_sun_shafts(easel)


def _paint_wood_edge(easel: Easel, leafage: Leafage) -> None:
    """Paint a line of trees across a meadow."""
    rng = easel.rng
    _paint_backdrop(easel, leafage)
    easel.cover(leafage.shade(0.5), np.ones_like(easel.x), easel.below)
    firs = rng.choice([0.1, 0.5, 0.9], p=[0.5, 0.3, 0.2])
    places = rng.permutation(np.linspace(-0.6, 0.6, 34))
    for depth, place in zip(np.linspace(38, 13, 34), places, strict=True):
        foot = easel.project(place * depth, 0, depth)
        height = rng.uniform(13, 18) * FOCAL_LENGTH / depth
        if rng.random() < firs:
            _paint_fir(easel, foot, height, leafage.frost, depth / 80, 0.004)
        else:
            _paint_tree(easel, foot, height, leafage, depth / 80, 0.0055)
    _paint_grass(easel, leafage, 4500, rng.uniform(0.02, 0.045))


def _paint_canopy(easel: Easel, leafage: Leafage) -> None:
    """Paint a wooded slope seen from a height."""
    rng = easel.rng
    top, firs = rng.uniform(-0.14, 0.08), rng.choice([0.05, 0.4, 0.85])
    hills = 0.12 * fractal_noise(rng, (1, easel.side), 2, 4)[0]
    _paint_sky(easel)
    shadow = leafage.shade(0.5) * easel.noise(50, 3)[..., None]
    skyline = smoothstep(0, 0.01, easel.y - top - 0.14 + hills)
    easel.blend(easel.hazed(shadow, 0.6 * (1 - easel.y[..., None])), skyline)
    near = np.sort(rng.random(460) ** 1.3)
    across = rng.permutation(np.linspace(-0.05, 1.05, len(near)))
    for step, x in zip(near, across, strict=True):
        size, distance = 0.024 + 0.075 * step, 0.75 * (1 - step) ** 1.5
        lift = (1 - step) * np.interp(x, easel.x[0], hills)
        spot = np.array([x, top + 0.14 - lift + (1.05 - top) * step])
        if rng.random() < firs:
            _paint_fir(easel, spot, size * 2.6, leafage.frost, distance, 0.003 + 0.001 * step)
        else:
            radii = size * np.array([1.0, 0.5, 0.5])
            crown = spot + size * np.array([[0, 0], [-0.3, 0.1], [0.2, -0.2]])
            _paint_foliage(easel, crown, radii, leafage, distance, 0.004 + 0.002 * step)


def _paint_forest(easel: Easel, index: int) -> None:
    leafage = SEASONS[easel.rng.choice(len(SEASONS), p=[0.27, 0.47, 0.19, 0.07])]
    # Taking the views in turn gives every run of consecutive indices the same mix of them.
    view = index % 4
    if view < 2:
        _paint_wood(easel, leafage, trail=view == 1)
    elif view == 2:
        _paint_wood_edge(easel, leafage)
    else:
        _paint_canopy(easel, leafage)


def _paint_sand(easel: Easel, out: np.ndarray) -> None:
    grain = 0.6 * easel.soil_relief(0.04) + 0.4 * easel.soil_relief(0.3, 2.5)
    sand = bgr(36, easel.rng.uniform(0.2, 0.34), easel.rng.uniform(0.8, 0.92))
    easel.cover(sand, 0.7 + 0.12 * easel.weather.sun + 0.45 * (grain - 0.3), easel.below)
    wet = bgr(*easel.weather.horizon) * 0.35 + bgr(32, 0.35, 0.5) * 0.65
    easel.cover(wet, 0.85 + 0.2 * grain, smoothstep(-3.5, -2.2, out))


def _paint_sea(easel: Easel, along: np.ndarray, out: np.ndarray) -> None:
    """Paint water where ``out``, the metres from the shore, is above 0, with surf and glitter."""
    sun = easel.weather.sun
    swell = 0.7 * easel.relief(along * 0.25, out, 1.2, 7)
    swell += 0.3 * easel.relief(along * 0.5, out, 0.25)
    hue = easel.rng.uniform(192, 208)
    deep = bgr(hue + 6, 0.72, 0.54) * (0.65 + 0.35 * sun)
    shallow = bgr(hue - 18, 0.38, 0.74) * (0.7 + 0.3 * sun)
    mirror = 0.5 * smoothstep(40, 900, easel.depth)[..., None]
    water = deep + (shallow - deep) * np.exp(-out / 14).clip(0, 1)[..., None]
    water += (bgr(*easel.weather.horizon) - water) * mirror
    water += (0.9 - 0.6 * mirror) * (swell[..., None] - 0.5)
    easel.blend(water, smoothstep(-0.1, 0.6, out) * easel.below)
    lace = easel.relief(along, out, 0.5, 1.6)
    rollers = np.cos(out * 0.9 + 5 * easel.relief(along * 0.3, out * 0.3, 8))
    breaking = (
        smoothstep(0.86, 1.0, rollers) * smoothstep(26, 8, out) * smoothstep(0.38, 0.55, lace)
    )
    wash = np.exp(-(((out - 0.3) / 0.5) ** 2))
    wash += 0.6 * np.exp(-out.clip(0) / 2.2) * smoothstep(0.48, 0.54, lace)
    foam = np.where(out > 1, np.maximum(breaking, wash), wash * (out > -0.6))
    easel.blend(bgr(200, 0.03, 0.97), foam.clip(0, 0.92) * easel.below)
    glitter_width = 0.06 + 0.3 * (easel.y - easel.horizon)
    column = np.exp(-(((easel.x - 0.5 - 0.5 * easel.sun[0]) / glitter_width) ** 2))
    glitter = smoothstep(0.52, 0.62, swell) * column * sun * (out > 1) * easel.below
    easel.blend(easel.hazed(bgr(50, 0.1, 1.0), 1.0), glitter * 0.8)


def _paint_boulders(easel: Easel) -> None:
    rng = easel.rng
    grain, spread = easel.noise(24), np.array([[-2, -1.5], [2, 1]])
    for depth in np.sort(rng.uniform(3.5, 14, rng.integers(3, 8)))[::-1]:
        foot = easel.project(rng.uniform(-0.55, 0.55) * depth, 0, depth)
        radius = rng.uniform(0.2, 0.7) / depth
        (left, top), (right, bottom) = ((foot + radius * spread) * easel.side).clip(0).astype(int)
        window = np.s_[top:bottom, left:right]
        if easel.x[window].size == 0:
            continue
        aside, down = (easel.x[window] - foot[0]) / radius, (easel.y[window] - foot[1]) / radius
        down = 1.5 * down + 0.4
        shadow = np.hypot(aside + 0.5 * easel.sun[0], (down - 0.45) * 2.4)
        easel.blend(bgr(25, 0.3, 0.15), 0.55 * smoothstep(1.25, 0.7, shadow), window)
        rough = grain[window] - 0.5
        light = 0.45 + 0.45 * (easel.sun[0] * aside + easel.sun[1] * down) + rough
        stone = bgr(30, 0.15, 0.72) * light.clip(0.15, 1.1)[..., None]
        bulk = np.hypot(aside, down) + 0.6 * rough
        easel.blend(stone, smoothstep(1.0, 0.95, bulk) * (down < 0.55), window)


def _paint_coast(easel: Easel, index: int) -> None:
    rng = easel.rng
    oblique = index % 2 == 1
    slant = rng.choice([-1, 1]) * rng.uniform(0.7, 1.2) if oblique else rng.normal(0, 0.08)
    offset = rng.uniform(-1, 3) if oblique else rng.uniform(6, 16)
    along = easel.lateral * np.cos(slant) - easel.depth * np.sin(slant)
    out = easel.lateral * np.sin(slant) + easel.depth * np.cos(slant) - offset
    out += 2.5 * (easel.relief(along, out * 0.3, 9) - 0.5)
    _paint_sky(easel)
    if rng.random() < 0.55:
        aside = easel.x[:1] if rng.random() < 0.5 else 1 - easel.x[:1]
        skyline = rng.uniform(0.06, 0.18) * smoothstep(rng.uniform(0.3, 0.7), 0.1, aside)
        skyline *= 0.75 + 0.5 * fractal_noise(rng, (1, easel.side), 6)
        _paint_massif(easel, skyline, bgr(80, 0.4, 0.42), 0.5)
    _paint_sand(easel, out)
    _paint_sea(easel, along, out)
    if rng.random() < 0.45:
        _paint_boulders(easel)


def _paint_turf(easel: Easel) -> None:
    green = bgr(easel.rng.uniform(52, 84), easel.rng.uniform(0.3, 0.5), 0.62)
    easel.cover(green, 0.4 + easel.soil_relief(0.3, 4), easel.below)


def _paint_road(easel: Easel, left: float, lanes: int) -> None:
    rng, lateral, depth = easel.rng, easel.lateral, easel.depth
    right, sunlight = left + lanes * LANE, 0.75 + 0.25 * easel.weather.sun
    pixel = depth / (FOCAL_LENGTH * easel.side)
    grit = easel.soil_relief(0.06) + easel.relief(lateral, depth * 0.15, 1.2)
    ruts = 0.04 * np.cos((lateral - left) / LANE * 4 * np.pi)
    edges = smoothstep(left - 1 - pixel, left - 1, lateral)
    edges *= smoothstep(right + 1 + pixel, right + 1, lateral)
    grey = bgr(rng.uniform(200, 230), 0.06, rng.uniform(0.5, 0.68) * sunlight)
    easel.cover(grey, 0.72 + 0.28 * grit + ruts, edges)
    stretch = depth * pixel / easel.eye + 0.02
    dashes = 0.5 + (1.5 - np.abs(np.mod(depth + rng.uniform(0, 9), 9) - 4.5)) / stretch
    middle = bgr(*(YELLOW if lanes == 2 and rng.random() < 0.6 else WHITE))
    for line in range(lanes + 1):
        outer = line in (0, lanes)
        offset = np.abs(lateral - left - line * LANE)
        stripe = np.clip((0.09 - offset) / pixel + 0.5, 0, 1) * np.minimum(0.2 / pixel, 1)
        paint, mask = (bgr(*WHITE), stripe) if outer else (middle, stripe * dashes.clip(0, 1))
        easel.cover(paint * sunlight, 0.8 + 0.2 * grit, mask)


def _paint_guard_rail(easel: Easel, lateral: float) -> None:
    steel = bgr(*STEEL) * (0.75 + 0.35 * easel.weather.sun)
    depths = np.geomspace(220, 1.2, 90)
    for far, near in itertools.pairwise(depths):
        post = (lateral - 0.06, lateral + 0.06)
        easel.panel(post, (0, 0.6), np.ceil(far / 4) * 4, easel.hazed(steel * 0.6, far / 250))
        for low, shade in ((0.46, 0.7), (0.56, 1.0), (0.66, 0.85)):
            heights = [low, low + 0.1, low + 0.1, low]
            band = easel.project(lateral, heights, [far, far, near, near])
            easel.polygon(band, easel.hazed(steel * shade, far / 250))


def _paint_box(easel: Easel, sides, heights, depth: float, length: float, colour) -> None:
    """Paint the flank that shows, the roof and the near end of a box."""
    (left, right), (low, high) = sides, heights
    ends = np.array([0, 0, length, length]) + depth
    flank = right if left + right < 0 else left
    easel.polygon(easel.project(flank, [low, high, high, low], ends), colour * 0.6)
    easel.polygon(easel.project([left, right, right, left], high, ends), colour * 1.2)
    easel.panel(sides, heights, depth, colour)


def _paint_vehicle(easel: Easel, centre: float, depth: float, oncoming: bool) -> None:
    rng = easel.rng
    truck = rng.random() < 0.3
    half = 1.2 if truck else 0.88

    def tint(*colour):
        return easel.hazed(bgr(*colour), depth / 250)

    def across(left, right):
        return centre + half * left, centre + half * right

    body = tint(rng.uniform(0, 360), rng.choice([0.03, 0.03, 0.6]), rng.uniform(0.3, 0.9))
    dark = tint(220, 0.1, 0.1)
    left, right = across(-1.15, 1.15)
    shadow = easel.project([left, left, right, right], 0, depth + np.array([-0.5, 5, 5, -0.5]))
    easel.polygon(shadow, dark * 1.6)
    for wheel in (-0.98, 0.66):
        easel.panel(across(wheel, wheel + 0.32), (0, 0.5), depth, dark)
    if truck:
        _paint_box(easel, across(-1, 1), (0.75, 3.6), depth, 9, body)
        easel.panel(across(-0.03, 0.01), (0.8, 3.5), depth, body * 0.6)
        easel.panel(across(-1, 1), (0.5, 0.78), depth, dark)
    else:
        _paint_box(easel, across(-1, 1), (0.28, 0.92), depth, 4.2, body)
        _paint_box(easel, across(-0.8, 0.8), (0.9, 1.42), depth + 0.6, 2.2, body)
        glass = tint(210, 0.25, 0.25)
        easel.panel(across(-0.92, 0.92), (0.92, 1.36), depth + 0.5, glass, inset=0.2)
        easel.panel(across(-0.96, 0.96), (0.26, 0.42), depth, body * 0.5)
        easel.panel(across(-0.26, 0.26), (0.5, 0.64), depth, tint(50, 0.1, 0.85))
    lamp = tint(50, 0.1, 1.0) if oncoming else tint(2, 0.85, 0.75)
    for edge in (-0.95, 0.65):
        easel.panel(across(edge, edge + 0.3), (0.62, 0.79), depth, lamp)


def _paint_gantry(easel: Easel, left: float, right: float) -> None:
    rng = easel.rng
    depth = rng.uniform(18, 40)
    steel = easel.hazed(bgr(*STEEL), depth / 200)
    field, white = bgr(rng.choice([152, 215]), 0.7, 0.52), bgr(*WHITE)
    for foot in (left, right):
        easel.panel((foot - 0.15, foot + 0.15), (0, 7), depth, steel)
    easel.panel((left, right), (6.2, 6.6), depth, steel)
    for start in np.arange(left + 1, right - 4, 6):
        easel.panel((start, start + 3.8), (5.2, 7.4), depth, white)
        easel.panel((start + 0.1, start + 3.7), (5.3, 7.3), depth, field)
        for line in (6.6, 6.0, 5.5):
            end = start + rng.uniform(1.8, 3.3)
            easel.panel((start + 0.5, end), (line, line + 0.35), depth, white)


def _paint_roadside(easel: Easel, left: float, right: float) -> None:
    rng = easel.rng
    leafage, poles = SEASONS[rng.integers(3)], rng.random() < 0.4
    if rng.random() < 0.6:
        _paint_guard_rail(easel, right + 1.6)
    for number, depth in enumerate(np.arange(150, 8, -9.0)):
        if poles and number % 2:
            wood = easel.hazed(bgr(*BARKS[1]), depth / 250)
            easel.panel((left - 2.6, left - 2.4), (0, 9), depth, wood)
        if rng.random() < 0.35:
            lateral = rng.choice([left, right]) + rng.choice([-1, 1]) * rng.uniform(7, 16)
            if left - 4 < lateral < right + 4:
                continue
            foot = easel.project(lateral, 0, depth)
            height = rng.uniform(4, 8) * FOCAL_LENGTH / depth
            _paint_tree(easel, foot, height, leafage, depth / 160, 0.005)


def _paint_highway(easel: Easel, index: int) -> None:
    rng = easel.rng
    lanes = 2 + index % 3
    left = -LANE * rng.uniform(0.3, 0.7) * lanes
    right = left + lanes * LANE
    _paint_sky(easel)
    for distance in (0.9, 0.65):
        hill = bgr(rng.uniform(85, 130), 0.3, 0.4)
        _paint_ridge(easel, rng.uniform(0.02, 0.09) * distance, 4, hill, distance)
    _paint_turf(easel)
    _paint_road(easel, left, lanes)
    _paint_roadside(easel, left, right)
    if rng.random() < 0.4:
        _paint_gantry(easel, left - 2, right + 2)
    for depth in np.sort(rng.uniform(7, 90, rng.integers(1, 8)))[::-1]:
        lane = int(rng.integers(lanes))
        _paint_vehicle(easel, left + (lane + 0.5) * LANE, depth, oncoming=lane < lanes // 2)


def _paint_mountain(easel: Easel, _index: int) -> None:
    rng = easel.rng
    _paint_sky(easel)
    for height, distance in ((0.42, 0.8), (0.26, 0.45)):
        peaks = 1 - np.abs(2 * fractal_noise(rng, (1, easel.side), 2.5, 5) - 1)
        skyline = height * rng.uniform(0.7, 1.1) * (0.25 + 0.75 * peaks)
        _paint_massif(easel, skyline, bgr(*SNOW), distance)
    _paint_turf(easel)
    for depth in np.sort(rng.uniform(25, 150, 50))[::-1]:
        foot = easel.project(rng.uniform(-0.65, 0.65) * depth, 0, depth)
        _paint_fir(easel, foot, rng.uniform(6, 11) / depth, 0.0, depth / 200, 0.003)


def _paint_desert(easel: Easel, _index: int) -> None:
    rng = easel.rng
    _paint_sky(easel)
    hue = rng.uniform(24, 36)
    for step in np.linspace(0, 1, 6):
        crest = fractal_noise(rng, (1, easel.side), 1.5 + 2 * (1 - step), 3)
        line = easel.horizon + step**1.5 * 0.55 - 0.16 * (0.4 + step) * crest
        lee = easel.sun[0] * np.gradient(line[0]) * easel.side
        fall = smoothstep(0.3, 0.0, easel.y - line)
        ripples = easel.noise(10 / (0.3 + step), 4, stretch=4)
        light = 0.78 + 0.18 * ripples + (1.6 * lee - 0.08) * fall
        sand = bgr(hue, 0.48, 0.92) * light.clip(0.35, 1.08)[..., None]
        easel.blend(easel.hazed(sand, 0.8 * (1 - step)), smoothstep(-0.002, 0.002, easel.y - line))


@dataclass(frozen=True)
class Scene:
    """A kind of scene: its painter, the chances of each weather and where the camera stands."""

    paint: Callable[[Easel, int], None]
    weathers: tuple[float, ...]
    horizons: tuple[float, float]
    eyes: tuple[float, float]

    def render(self, rng: np.random.Generator, index: int, size: int) -> np.ndarray:
        """Paint and photograph the scene: (size, size, 3) uint8 BGR."""
        weather = WEATHERS[rng.choice(len(WEATHERS), p=self.weathers)]
        horizon, eye = rng.uniform(*self.horizons), rng.uniform(*self.eyes)
        easel = Easel(rng, size * SUPERSAMPLING, weather, horizon, eye)
        self.paint(easel, index)
        return photograph(easel, size)


SCENES = {
    "forest": Scene(_paint_forest, (0.4, 0.2, 0.15, 0.13, 0.12), (0.5, 0.66), (1.5, 1.8)),
    "coast": Scene(_paint_coast, (0.52, 0.32, 0.08, 0.08, 0.0), (0.3, 0.48), (1.7, 3.5)),
    "highway": Scene(_paint_highway, (0.44, 0.33, 0.17, 0.03, 0.03), (0.42, 0.56), (1.5, 4.5)),
    "mountain": Scene(_paint_mountain, (0.5, 0.3, 0.1, 0.1, 0.0), (0.6, 0.75), (2.0, 6.0)),
    "desert": Scene(_paint_desert, (0.6, 0.2, 0.0, 0.2, 0.0), (0.4, 0.55), (2.0, 4.0)),
}


def render_scene(kind: str, seed: int, index: int, size: int = 256) -> np.ndarray:
    """Render picture ``index`` of a ``kind`` of scene: (size, size, 3) uint8 BGR.

    The same arguments always give the same picture. Raises ValueError if the kind is not one
    of ``SCENES``.
    """
    if kind not in SCENES:
        raise ValueError(f"unknown kind of scene {kind!r}: choose from {', '.join(SCENES)}")
    rng = np.random.default_rng([seed, index, int.from_bytes(kind.encode(), "big")])
    return SCENES[kind].render(rng, index, size)
