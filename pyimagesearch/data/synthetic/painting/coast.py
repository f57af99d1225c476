"""Coasts: sand, sea and boulders."""

from __future__ import annotations

import numpy as np

from pyimagesearch.data.synthetic.noise import fractal_noise, smoothstep
from pyimagesearch.data.synthetic.painting.easel import Easel, bgr
from pyimagesearch.data.synthetic.painting.land import paint_massif, paint_sky


def paint_coast(easel: Easel, index: int) -> None:
    """Paint a beach or cliffs by the sea."""
    rng = easel.rng
    oblique = index % 2 == 1
    slant = rng.choice([-1, 1]) * rng.uniform(0.7, 1.2) if oblique else rng.normal(0, 0.08)
    offset = rng.uniform(-1, 3) if oblique else rng.uniform(6, 16)
    along = easel.lateral * np.cos(slant) - easel.depth * np.sin(slant)
    out = easel.lateral * np.sin(slant) + easel.depth * np.cos(slant) - offset
    out += 2.5 * (easel.relief(along, out * 0.3, 9) - 0.5)
    paint_sky(easel)
    if rng.random() < 0.55:
        aside = easel.x[:1] if rng.random() < 0.5 else 1 - easel.x[:1]
        skyline = rng.uniform(0.06, 0.18) * smoothstep(rng.uniform(0.3, 0.7), 0.1, aside)
        skyline *= 0.75 + 0.5 * fractal_noise(rng, (1, easel.side), 6)
        paint_massif(easel, skyline, bgr(80, 0.4, 0.42), 0.5)
    _paint_sand(easel, out)
    _paint_sea(easel, along, out)
    if rng.random() < 0.45:
        _paint_boulders(easel)


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
