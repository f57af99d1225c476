"""Smooth random textures, and a ramp with soft ends, which all painters share."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike


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
