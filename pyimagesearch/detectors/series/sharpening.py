"""Scores of rows from those of the windows that hold them.

The mean over the windows that hold a row is the steadier number, but it is high for rows that only
share windows with what is strange. The least is high for the strange rows alone, but one window in
which noise hides them is enough to bring it down. What was tried: docs/methods.md
"""

from __future__ import annotations

import numpy as np

_TINY = 1e-6
# Of the way, in logs, from what is usual to the highest nearby: from here on the mean is taken.
_FULL_AT = 0.5


def sharpened(mean: np.ndarray, least: np.ndarray, usual: float, reach: int) -> np.ndarray:
    """A score with the height of the mean and the extent of the least.

    It is the mean where the least stands out from what is usual as it does nowhere else nearby, the
    least where that is usual, and between the two, in logs, where it lies between.

    Args:
        mean, least: (n_rows,) float64, over the windows that hold a row.
        usual: what the least usually is.
        reach: rows that count as nearby, on either side.

    Returns:
        (n_rows,) float64, never below the least nor above the mean.
    """
    high, low = (np.log(np.maximum(scores, _TINY)) for scores in (mean, least))
    floor = np.log(max(usual, _TINY))
    rise = _FULL_AT * (sliding_maximum(low, reach) - floor)
    share = np.clip((low - floor) / np.maximum(rise, _TINY), 0, 1)
    return np.clip(np.exp(low + (high - low) * share), least, np.maximum(mean, least))


def surroundings(scores: np.ndarray, reach: int) -> np.ndarray:
    """The highest score within ``reach`` rows of each, averaged over as many on either side."""
    return moving_mean(sliding_maximum(scores, reach), reach)


def moving_mean(values: np.ndarray, reach: int) -> np.ndarray:
    """The mean of the values within ``reach`` places of each: (n,) float64."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    place = np.arange(len(values))
    first, end = np.maximum(place - reach, 0), np.minimum(place + reach + 1, len(values))
    return (total[end] - total[first]) / (end - first)


def sliding_maximum(values: np.ndarray, reach: int) -> np.ndarray:
    """The highest of the values within ``reach`` places of each: (n,) float64."""
    highest = np.pad(values, reach, constant_values=-np.inf)
    width = 1
    while width < 2 * reach + 1:
        # Each number is the highest of the next ``width`` ones.
        step = min(width, 2 * reach + 1 - width)
        highest = np.maximum(highest[:-step], highest[step:])
        width += step
    return highest
