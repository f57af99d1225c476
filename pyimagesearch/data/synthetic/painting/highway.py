"""Highways: the road, its vehicles and what stands along it."""

from __future__ import annotations

import itertools

import numpy as np

from pyimagesearch.data.synthetic.noise import smoothstep
from pyimagesearch.data.synthetic.painting.easel import FOCAL_LENGTH, Easel, bgr
from pyimagesearch.data.synthetic.painting.land import paint_ridge, paint_sky, paint_turf
from pyimagesearch.data.synthetic.painting.plants import BARKS, SEASONS, paint_tree

STEEL = (210, 0.05, 0.6)
WHITE = (45, 0.04, 0.95)
YELLOW = (44, 0.75, 0.92)
LANE = 3.6  # metres


def paint_highway(easel: Easel, index: int) -> None:
    """Paint a highway; the index decides how many lanes it has."""
    rng = easel.rng
    lanes = 2 + index % 3
    left = -LANE * rng.uniform(0.3, 0.7) * lanes
    right = left + lanes * LANE
    paint_sky(easel)
    for distance in (0.9, 0.65):
        hill = bgr(rng.uniform(85, 130), 0.3, 0.4)
        paint_ridge(easel, rng.uniform(0.02, 0.09) * distance, 4, hill, distance)
    paint_turf(easel)
    _paint_road(easel, left, lanes)
    _paint_roadside(easel, left, right)
    if rng.random() < 0.4:
        _paint_gantry(easel, left - 2, right + 2)
    for depth in np.sort(rng.uniform(7, 90, rng.integers(1, 8)))[::-1]:
        lane = int(rng.integers(lanes))
        _paint_vehicle(easel, left + (lane + 0.5) * LANE, depth, oncoming=lane < lanes // 2)


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


def _paint_box(
    easel: Easel,
    sides: tuple[float, float],
    heights: tuple[float, float],
    depth: float,
    length: float,
    colour: np.ndarray,
) -> None:
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

    def tint(*colour: float) -> np.ndarray:
        return easel.hazed(bgr(*colour), depth / 250)

    def across(left: float, right: float) -> tuple[float, float]:
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
            paint_tree(easel, foot, height, leafage, depth / 160, 0.005)
