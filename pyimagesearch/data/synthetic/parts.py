"""Synthetic images of a simple machined part, with which the production line can be tried offline.

A flange with a bore, a groove and bolt holes lies on a dark belt under a camera. Its position,
rotation, metal and lighting vary a little from image to image. Every image is a function of its
seed and number.
"""

from __future__ import annotations

import cv2
import numpy as np

from pyimagesearch.data.synthetic.noise import fractal_noise, smoothstep

_SUPERSAMPLING = 2
# Radii, relative to the image's side.
_FLANGE, _HUB, _BORE, _BOLTS, _BOLT = 0.40, 0.20, 0.095, 0.30, 0.032
_GROOVE = (0.235, 0.012)  # its radius and half its width
_N_BOLTS = 6
_METAL = (0.66, 0.65, 0.63)  # BGR
_BELT = (0.15, 0.13, 0.12)


def render_part(seed: int, number: int, size: int = 256) -> np.ndarray:
    """Render a good part.

    Args:
        seed: of a set of parts.
        number: of a part in it.
        size: height and width, in pixels.

    Returns:
        (size, size, 3) uint8 BGR.
    """
    rng = np.random.default_rng([seed, number])
    side = size * _SUPERSAMPLING
    scale = side * rng.uniform(0.985, 1.015)
    centre = side * (0.5 + rng.uniform(-0.012, 0.012, 2))
    steps = np.arange(side, dtype=np.float32)
    y, x = (steps[:, None] - centre[0]) / scale, (steps[None] - centre[1]) / scale
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    light = rng.uniform(-0.9, -0.6)  # from the upper left, more or less
    rotation = rng.uniform(-0.06, 0.06)
    bolts = np.min(
        [
            np.hypot(x - _BOLTS * np.cos(a + rotation), y - _BOLTS * np.sin(a + rotation))
            for a in np.arange(_N_BOLTS) * 2 * np.pi / _N_BOLTS
        ],
        axis=0,
    )
    pixel = 1.0 / scale
    covered = _inside(radius, _FLANGE, pixel) * (1 - _inside(radius, _BORE, pixel))
    covered *= 1 - _inside(bolts, _BOLT, pixel)
    metal = _metal(rng, radius, angle, bolts, light)
    belt = np.array(_BELT, np.float32) * rng.uniform(0.9, 1.1)
    belt = belt * (0.8 + 0.4 * fractal_noise(rng, (side, side), 40, octaves=3))[:, :, None]
    belt *= (1 - 0.55 * _shadow(covered, side))[:, :, None]
    image = belt + (metal - belt) * covered[:, :, None]
    image *= rng.uniform(0.95, 1.05)
    small = cv2.resize(image.astype(np.float32), (size, size), interpolation=cv2.INTER_AREA)
    small += rng.normal(0, 0.008, small.shape).astype(np.float32)
    return (np.clip(small, 0, 1) * 255 + 0.5).astype(np.uint8)


def _inside(distance: np.ndarray, radius: float, pixel: float) -> np.ndarray:
    return smoothstep(radius + pixel, radius - pixel, distance)


def _metal(
    rng: np.random.Generator,
    radius: np.ndarray,
    angle: np.ndarray,
    bolts: np.ndarray,
    light: float,
) -> np.ndarray:
    """The lit surface of the part, (side, side, 3) float32."""
    # Machining leaves fine rings, which shine in two opposite sectors.
    rings = cv2.resize(rng.normal(0, 1, (1, 512)).astype(np.float32), (4096, 1))[0]
    cut = rings[np.minimum(radius / 0.75 * 4095, 4095).astype(np.intp)]
    shine = np.cos(angle - light) ** 2
    surface = 0.72 + 0.3 * shine**3 + 0.035 * cut * (0.4 + shine)
    # A raised hub and a groove: edges that are light towards the lamp and dark away from it.
    facing = np.cos(angle - light)
    for edge, width, height in ((_HUB, 0.006, 1.0), (_FLANGE - 0.008, 0.008, 0.8)):
        surface += 0.28 * height * facing * np.exp(-(((radius - edge) / width) ** 2))
    middle, half = _GROOVE
    surface -= 0.3 * smoothstep(half, 0.5 * half, np.abs(radius - middle))
    surface += 0.15 * facing * np.exp(-(((radius - middle - half) / 0.004) ** 2))
    # The rims of the holes are countersunk.
    for distance, edge in ((radius, _BORE), (bolts, _BOLT)):
        surface += 0.2 * np.exp(-(((distance - edge - 0.006) / 0.004) ** 2))
    cast = fractal_noise(rng, radius.shape, 6, octaves=4) - 0.5
    surface *= 1 + 0.08 * cast
    return (surface[:, :, None] * np.array(_METAL, np.float32)).astype(np.float32)


def _shadow(covered: np.ndarray, side: int) -> np.ndarray:
    move = np.float32([[1, 0, 0.012 * side], [0, 1, 0.016 * side]])
    moved = cv2.warpAffine(covered.astype(np.float32), move, (side, side))
    return cv2.GaussianBlur(moved, (0, 0), 0.012 * side)
