"""Mountains with snow above firs."""

from __future__ import annotations

import numpy as np

from pyimagesearch.data.synthetic.noise import fractal_noise
from pyimagesearch.data.synthetic.painting.easel import Easel, bgr
from pyimagesearch.data.synthetic.painting.land import paint_massif, paint_sky, paint_turf
from pyimagesearch.data.synthetic.painting.plants import SNOW, paint_fir


def paint_mountain(easel: Easel, _index: int) -> None:
    """Paint snow-capped mountains above a meadow with firs."""
    rng = easel.rng
    paint_sky(easel)
    for height, distance in ((0.42, 0.8), (0.26, 0.45)):
        peaks = 1 - np.abs(2 * fractal_noise(rng, (1, easel.side), 2.5, 5) - 1)
        skyline = height * rng.uniform(0.7, 1.1) * (0.25 + 0.75 * peaks)
        paint_massif(easel, skyline, bgr(*SNOW), distance)
    paint_turf(easel)
    for depth in np.sort(rng.uniform(25, 150, 50))[::-1]:
        foot = easel.project(rng.uniform(-0.65, 0.65) * depth, 0, depth)
        paint_fir(easel, foot, rng.uniform(6, 11) / depth, 0.0, depth / 200, 0.003)
