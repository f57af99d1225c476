"""Sky, hills, rock and turf."""

from __future__ import annotations

import numpy as np

from pyimagesearch.data.synthetic.noise import fractal_noise, smoothstep
from pyimagesearch.data.synthetic.painting.easel import Easel, bgr


def paint_sky(easel: Easel) -> None:
    """Fill the canvas with the weather's sky and clouds."""
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


def paint_ridge(
    easel: Easel, height: float, cells: float, colour: np.ndarray, distance: float
) -> None:
    """Paint a line of hills of at most ``height``, ``cells`` of them across the canvas."""
    skyline = easel.horizon + 0.004 - height * fractal_noise(easel.rng, (1, easel.side), cells)
    easel.blend(easel.hazed(colour, distance), smoothstep(-0.002, 0.002, easel.y - skyline))


def paint_massif(easel: Easel, skyline: np.ndarray, cap: np.ndarray, distance: float) -> None:
    """Paint rock rising from the horizon to ``skyline`` (1, side), capped with a colour."""
    up = (easel.horizon + 0.004 - easel.y) / (skyline + 1e-6)
    rock = easel.noise(10, 6, stretch=0.6)
    light = 0.55 + 0.5 * rock + 5 * easel.sun[0] * (rock - np.roll(rock, easel.side // 60, axis=1))
    capped = smoothstep(0.5, 0.7, up + 0.9 * (rock - 0.5))[..., None]
    stone = bgr(30, 0.2, 0.58)
    colour = (stone + (cap - stone) * capped) * light[..., None].clip(0.3, 1.2)
    standing = (up < 1) & (up > 0) & (skyline > 0.004)
    easel.blend(easel.hazed(colour.clip(0, 1), distance), standing)


def paint_turf(easel: Easel) -> None:
    """Cover the ground with grass that is seen from a distance."""
    green = bgr(easel.rng.uniform(52, 84), easel.rng.uniform(0.3, 0.5), 0.62)
    easel.cover(green, 0.4 + easel.soil_relief(0.3, 4), easel.below)
