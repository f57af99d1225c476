"""The colours of anomaly maps, the same in labelled images, on pages and in the documentation."""

from __future__ import annotations

import cv2
import numpy as np

# Perceptually uniform: steps of heat that are equal look equal, and the map stays ordered in grey.
# Its darkest colours are left out, which on dark images would look like none.
_COLOURS = cv2.applyColorMap(
    np.linspace(40, 255, 256).round().astype(np.uint8), cv2.COLORMAP_PLASMA
).reshape(256, 3)
# From the threshold up. An image is never covered: what the heat is about must remain visible.
_OPACITY = (0.35, 0.65)
_EDGE_COLOUR = (255, 255, 255)  # BGR
_PIXELS_AT_ONCE = 2**20
_LEGEND = (1, 1.5, 2, 4)  # heats that the legend names


def shade(heat: np.ndarray) -> np.ndarray:
    """Where heat lies on the colour scale: 0 up to the threshold, where heat is 1, towards 1.

    Heat has no upper end: the maximum of an anomaly may be 1.05 as well as 20. What is shown is
    the share of it that exceeds the threshold, 1 - 1 / heat, which is steepest just above the
    threshold, where most is decided, and never saturates: twice the threshold is in the middle of
    the scale, ten times at nine tenths. On a logarithmic scale of scores, whose heats lie closer to
    1, the lower half is used.

    Args:
        heat: of any shape.
    """
    return 1 - 1 / np.fmax(heat, 1)  # which takes NaN for no heat


def tint(heat: np.ndarray, levels: int = 256) -> np.ndarray:
    """The colour to lay over an image: transparent where heat is at most 1.

    Args:
        heat: of any shape.
        levels: number of different colours, at most 256; fewer make smaller files.

    Returns:
        (*heat's shape, 4) uint8 BGR and opacity.
    """
    shades = np.rint(shade(heat) * (levels - 1)) / (levels - 1)
    least, most = _OPACITY
    drawn = np.empty((*heat.shape, 4), np.uint8)
    drawn[..., :3] = _COLOURS[np.rint(shades * 255).astype(np.intp)]
    drawn[..., 3] = np.where(heat > 1, np.rint(255 * (least + (most - least) * shades)), 0)
    return drawn


def overlay_heat(image: np.ndarray, heat: np.ndarray, outlined: bool = False) -> np.ndarray:
    """Lay the colours of an anomaly map over an image, which shows through.

    Args:
        image: (height, width, 3) uint8 BGR.
        heat: (height, width), 1 at the threshold.
        outlined: whether what exceeds the threshold gets a white edge, which lies inside it.

    Returns:
        (height, width, 3) uint8 BGR, unchanged where heat is at most 1.
    """
    hot = heat > 1
    drawn = image.copy()
    if not hot.any():
        return drawn
    # Row by row, what is computed on the way takes less memory than the image.
    n_rows = max(1, _PIXELS_AT_ONCE // image.shape[1])
    for start in range(0, len(image), n_rows):
        rows = slice(start, start + n_rows)
        here = hot[rows]
        tints = tint(heat[rows][here]).astype(np.float32)
        opacity = tints[:, 3:] / 255
        mixed = image[rows][here] * (1 - opacity) + tints[:, :3] * opacity
        drawn[rows][here] = np.rint(mixed).astype(np.uint8)
    if outlined:
        thickness = max(1, round(min(image.shape[:2]) / 300))
        kernel = np.ones((2 * thickness + 1, 2 * thickness + 1), np.uint8)
        # By default nothing beyond the border counts as cold: there is no edge along it.
        inner = cv2.erode(hot.astype(np.uint8), kernel)
        drawn[hot & (inner == 0)] = _EDGE_COLOUR
    return drawn


def scale(length: int) -> np.ndarray:
    """The colour scale from the threshold on, as a line: (length, 3) uint8 BGR."""
    return _COLOURS[np.linspace(0, 255, length).round().astype(np.intp)]


def legend() -> tuple[list[str], list[tuple[float, str]]]:
    """The colour scale as CSS colours at equal steps, and (position from 0 to 1, heat) of marks."""
    colours = [f"#{r:02x}{g:02x}{b:02x}" for b, g, r in _COLOURS[::15].tolist()]
    return colours, [(float(shade(np.float64(h))), f"{h:g}") for h in _LEGEND]
