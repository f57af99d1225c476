"""Why a picture is strange, in words made from its heat and its features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pyimagesearch.reports.outlines import Region

_PLACES = (
    ("upper left", "top", "upper right"),
    ("left", "centre", "right"),
    ("lower left", "bottom", "lower right"),
)
_MOST = 3  # places or colours that are named
_MOST_OF_IT = 0.5
# Where each colour's hue lies, in degrees.
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


def of_places(regions: Sequence[Region], shape: tuple[int, ...]) -> str:
    """Say where a picture is strange.

    Args:
        regions: of its heat map, the largest first.
        shape: (height, width, ...) of that map.
    """
    named = []
    for region in regions[:_MOST]:
        if region.share > _MOST_OF_IT:
            named.append(f"most of the picture ({region.share:.0%})")
        else:
            named.append(f"{_place(region, shape)} ({_percent(region.share)} of the picture)")
    more = len(regions) - len(named)
    if more > 0:
        named.append(f"{more} smaller place{'s' if more > 1 else ''}")
    return f"Strange: {_listed(named)}." if named else of_the_whole()


def of_colours(
    heat: np.ndarray, shares: np.ndarray, usual: np.ndarray | None, bins: Sequence[int]
) -> str:
    """Say of which colours a picture has too much.

    Args:
        heat: (n_bins,) of each bin of its histogram, 1 at the threshold.
        shares: (n_bins,) of the picture that have these colours.
        usual: the same of a normal picture, where the model knows it.
        bins: number of bins for hue, saturation and value, hue slowest.
    """
    named = []
    for index in np.argsort(-heat, kind="stable")[:_MOST].tolist():
        if heat[index] <= max(1, heat.max() / 2) and named:
            break
        share = f"{_percent(shares[index])} of the picture"
        if usual is not None:
            share += f", usually {_percent(usual[index])}"
        named.append(f"{colour_name(index, bins)} ({share})")
    return f"More than usual: {_listed(named)}."


def of_the_whole() -> str:
    """What there is to say where a model sees neither places nor colours."""
    return "The picture as a whole is unlike the normal ones."


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


def _place(region: Region, shape: tuple[int, ...]) -> str:
    x, y, width, height = region.box
    row = min(int(3 * (y + height / 2) / shape[0]), 2)
    column = min(int(3 * (x + width / 2) / shape[1]), 2)
    return _PLACES[row][column]


def _percent(share: Any) -> str:
    if share < 0.001:
        return "under 0.1%" if share else "none"
    return f"{share:.1%}" if share < 0.1 else f"{share:.0%}"


def _listed(parts: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))
