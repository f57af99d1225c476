"""Heat maps: how strange each pixel is, in agreement with the verdict on the picture."""

from __future__ import annotations

import numpy as np


def within_verdict(heat: np.ndarray, relative: float) -> np.ndarray:
    """Bring a heat map into line with a picture's score.

    Args:
        heat: any shape, not negative; 1 is about the limit of what is normal.
        relative: the picture's score, where 0 is typical and 1 the threshold.

    Returns:
        The same shape. Nothing exceeds 1 if the score does not, and something does if it does, if
        only the hottest pixel.
    """
    if relative <= 1:
        return np.minimum(heat, 1)
    least = np.nextafter(1, 2, dtype=np.float32)
    hottest = heat.max()
    if hottest <= 0:  # the verdict rests on something that no pixel shows
        return np.full_like(heat, least)
    return heat * max(1, least / hottest)
