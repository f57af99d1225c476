"""Why an image is an anomaly, in words made from its anomaly map and its features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pyimagesearch.reports.outlines import Region
from pyimagesearch.runtime.console import counted

_POSITIONS = (
    ("upper left", "top", "upper right"),
    ("left", "centre", "right"),
    ("lower left", "bottom", "lower right"),
)
_MAX_NAMED = 3  # regions or colours
_MOST_OF_IMAGE = 0.5  # share
# (hue in degrees, colour)
_HUES = (
    (0, "red"),
    (30, "orange"),
    (60, "yellow"),
    (120, "green"),
    (180, "cyan"),
    (240, "blue"),
    (280, "violet"),
    (320, "pink"),
    (360, "red"),
)
_SATURATIONS = ("greyish", "muted", "vivid")
_VALUES = ("dark", "half-bright", "bright")


def explain_regions(regions: Sequence[Region], shape: tuple[int, ...]) -> str:
    """Say where an image is unusual.

    Args:
        regions: of its anomaly map, the largest first.
        shape: (height, width, ...) of that map.
    """
    named = []
    for region in regions[:_MAX_NAMED]:
        if region.share > _MOST_OF_IMAGE:
            named.append(f"most of the image ({region.share:.0%})")
        else:
            named.append(f"{_position(region, shape)} ({_percent(region.share)} of the image)")
    n_more = len(regions) - len(named)
    if n_more > 0:
        named.append(counted(n_more, "smaller region"))
    return f"Unusual: {_enumerate(named)}." if named else explain_whole()


def explain_colours(
    excess: np.ndarray, shares: np.ndarray, usual: np.ndarray | None, bins: Sequence[int]
) -> str:
    """Say which colours an image has too much of.

    Args:
        excess: (n_bins,) of each bin of its histogram, 1 at the threshold.
        shares: (n_bins,) of the image that have these colours.
        usual: the same of a normal image, where the model knows it.
        bins: number of bins for hue, saturation and value, hue slowest.
    """
    named = []
    for index in np.argsort(-excess, kind="stable")[:_MAX_NAMED].tolist():
        if excess[index] <= max(1, excess.max() / 2) and named:
            break
        share = f"{_percent(shares[index])} of the image"
        if usual is not None:
            share += f", usually {_percent(usual[index])}"
        named.append(f"{colour_name(index, bins)} ({share})")
    return f"More than usual: {_enumerate(named)}."


def explain_whole() -> str:
    """The explanation where a model distinguishes neither regions nor colours."""
    return "The image as a whole is unlike the normal ones."


def colour_name(index: int, bins: Sequence[int]) -> str:
    """Name the colours of a bin of an HSV histogram.

    Args:
        index: of the bin.
        bins: number of bins for hue, saturation and value, hue slowest.
    """
    hue, saturation, value = (int(i) for i in np.unravel_index(index, tuple(bins)))
    first, last = (_hue(360 * (hue + end) / bins[0]) for end in (0, 1))
    hues = first if first == last else f"{first} to {last}"
    adjectives = [
        words[min(int((number + 0.5) / n * len(words)), len(words) - 1)]
        for words, number, n in ((_VALUES, value, bins[2]), (_SATURATIONS, saturation, bins[1]))
        if n > 1
    ]
    return ", ".join([*adjectives, "any hue" if bins[0] == 1 else hues])


def _hue(degrees: float) -> str:
    return min(_HUES, key=lambda known: abs(known[0] - degrees))[1]


def _position(region: Region, shape: tuple[int, ...]) -> str:
    x, y, width, height = region.box
    row = min(int(3 * (y + height / 2) / shape[0]), 2)
    column = min(int(3 * (x + width / 2) / shape[1]), 2)
    return _POSITIONS[row][column]


def _percent(share: float) -> str:
    if share < 0.001:
        return "under 0.1%" if share else "none"
    return f"{share:.1%}" if share < 0.1 else f"{share:.0%}"


def _enumerate(items: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(items[:-1]), items[-1]]))
