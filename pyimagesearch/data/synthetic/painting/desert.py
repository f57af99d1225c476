"""Deserts: dune behind dune."""

from __future__ import annotations

import numpy as np

from pyimagesearch.data.synthetic.noise import fractal_noise, smoothstep
from pyimagesearch.data.synthetic.painting.easel import Easel, bgr
from pyimagesearch.data.synthetic.painting.land import paint_sky


def paint_desert(easel: Easel, _index: int) -> None:
    """Paint dunes."""
    rng = easel.rng
    paint_sky(easel)
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
