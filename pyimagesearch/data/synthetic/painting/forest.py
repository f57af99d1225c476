"""Forests: inside a wood, its edge across a meadow, and a canopy from above."""

from __future__ import annotations

import numpy as np

from pyimagesearch.data.synthetic.noise import fractal_noise, smoothstep
from pyimagesearch.data.synthetic.painting.easel import FOCAL_LENGTH, Easel, bgr
from pyimagesearch.data.synthetic.painting.land import paint_sky
from pyimagesearch.data.synthetic.painting.plants import (
    BARKS,
    SEASONS,
    SNOW,
    Leafage,
    paint_fir,
    paint_foliage,
    paint_grass,
    paint_tree,
    paint_trunk,
)


def paint_forest(easel: Easel, index: int) -> None:
    """Paint a forest; the index decides from where it is seen."""
    leafage = SEASONS[easel.rng.choice(len(SEASONS), p=[0.27, 0.47, 0.19, 0.07])]
    # Taking the views in turn gives every run of consecutive indices the same mix of them.
    view = index % 4
    if view < 2:
        _paint_wood(easel, leafage, trail=view == 1)
    elif view == 2:
        _paint_wood_edge(easel, leafage)
    else:
        _paint_canopy(easel, leafage)


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
        paint_trunk(easel, foot, girth, rng.uniform(9, 16) / depth, bark, distance)
        bough, lift = rng.uniform(-2.5, 2.5, 9), rng.uniform(3.6, 7.2, 9)
        crown = easel.project(lateral + bough, lift, depth)
        paint_foliage(easel, crown, 0.9 / depth, leafage, distance, 0.04 / depth + 0.004)
        shrub = easel.project(lateral + rng.normal(0, 0.8, 3), rng.uniform(0.1, 0.4, 3), depth)
        paint_foliage(easel, shrub, 0.45 / depth, leafage, distance, 0.02 / depth + 0.003)
    if easel.weather.sun > 0.8 or easel.weather.haze > 0.5:
        _paint_sun_shafts(easel)


def _paint_wood_edge(easel: Easel, leafage: Leafage) -> None:
    """Paint a line of trees across a meadow."""
    rng = easel.rng
    _paint_backdrop(easel, leafage)
    easel.cover(leafage.shade(0.5), np.ones_like(easel.x), easel.below)
    firs = rng.choice([0.1, 0.5, 0.9], p=[0.5, 0.3, 0.2])
    offsets = rng.permutation(np.linspace(-0.6, 0.6, 34))
    for depth, offset in zip(np.linspace(38, 13, 34), offsets, strict=True):
        foot = easel.project(offset * depth, 0, depth)
        height = rng.uniform(13, 18) * FOCAL_LENGTH / depth
        if rng.random() < firs:
            paint_fir(easel, foot, height, leafage.frost, depth / 80, 0.004)
        else:
            paint_tree(easel, foot, height, leafage, depth / 80, 0.0055)
    paint_grass(easel, leafage, 4500, rng.uniform(0.02, 0.045))


def _paint_canopy(easel: Easel, leafage: Leafage) -> None:
    """Paint a wooded slope seen from a height."""
    rng = easel.rng
    top, firs = rng.uniform(-0.14, 0.08), rng.choice([0.05, 0.4, 0.85])
    hills = 0.12 * fractal_noise(rng, (1, easel.side), 2, 4)[0]
    paint_sky(easel)
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
            paint_fir(easel, spot, size * 2.6, leafage.frost, distance, 0.003 + 0.001 * step)
        else:
            radii = size * np.array([1.0, 0.5, 0.5])
            crown = spot + size * np.array([[0, 0], [-0.3, 0.1], [0.2, -0.2]])
            paint_foliage(easel, crown, radii, leafage, distance, 0.004 + 0.002 * step)


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
    paint_foliage(easel, clumps, 0.045, leafage, 0.75, 0.005)


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
