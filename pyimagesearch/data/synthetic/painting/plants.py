"""Leaves, trunks, trees and grass, by season."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from pyimagesearch.data.synthetic.noise import fractal_noise
from pyimagesearch.data.synthetic.painting.easel import HSV, Easel, bgr

SNOW = (60, 0.05, 0.95)
BARKS = ((26, 0.35, 0.44), (34, 0.25, 0.5), (18, 0.42, 0.4), (42, 0.17, 0.8))


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


def paint_foliage(
    easel: Easel,
    clumps: np.ndarray,
    radii: ArrayLike,
    leafage: Leafage,
    distance: float,
    leaf: float,
) -> None:
    """Paint clumps of leaves in order, brightest on the side of the sun.

    Args:
        easel: to paint on.
        clumps: (n, 2) their centres.
        radii: of the clumps, or one for all.
        leafage: the look of the leaves.
        distance: as of ``Easel.hazed``.
        leaf: half the length of a leaf.
    """
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


def paint_trunk(
    easel: Easel, foot: np.ndarray, width: float, height: float, bark: HSV, distance: float
) -> None:
    """Paint a rounded, slightly bent trunk that stands at ``foot`` (x, y)."""
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


def paint_tree(
    easel: Easel,
    foot: np.ndarray,
    height: float,
    leafage: Leafage,
    distance: float,
    leaf: float,
) -> None:
    """Paint a broad-leaved tree that stands at ``foot`` (x, y)."""
    bark = BARKS[easel.rng.integers(3)]
    paint_trunk(easel, foot, height * 0.06, height * 0.55, bark, distance)
    turn = easel.rng.uniform(0, 2 * np.pi, 26)
    reach = np.sqrt(easel.rng.random((26, 1))) * height * [0.3, 0.33]
    clumps = foot - [0, height * 0.6] + reach * np.stack([np.cos(turn), np.sin(turn)], axis=-1)
    clumps = clumps[np.argsort(clumps[:, 1])]
    paint_foliage(easel, clumps, height * 0.13, leafage, distance, leaf)


def paint_fir(
    easel: Easel, foot: np.ndarray, height: float, frost: float, distance: float, leaf: float
) -> None:
    """Paint a fir that stands at ``foot`` (x, y)."""
    down = np.sort(easel.rng.uniform(0.0, 0.97, 56)) ** 0.8
    aside = easel.rng.uniform(-0.19, 0.19, 56) * down
    clumps = foot + height * np.stack([aside, down - 1], axis=-1)
    needles = replace(PINE, frost=frost)
    paint_foliage(easel, clumps, height * (0.015 + 0.06 * down), needles, distance, leaf)


def paint_grass(easel: Easel, leafage: Leafage, count: int, tallest: float) -> None:
    """Paint ``count`` blades, of half length ``tallest`` in the foreground."""
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
