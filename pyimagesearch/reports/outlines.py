"""Find and draw the regions of an anomaly map above the threshold: contours, boxes and areas."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pyimagesearch.reports import captions

COLOUR = (0, 200, 255)  # BGR
_EDGE = (0, 0, 0)
_LEAST_SHARE = 0.0005  # smaller regions are drawn only where there are no others
_SMALL = 12  # times the thickness of lines; a contour would hide what is smaller


@dataclass(frozen=True)
class Region:
    """A connected part of an image where its anomaly map exceeds 1.

    Attributes:
        contour: (n, 1, 2) int32, x and y of its outline, a contour of OpenCV.
        box: x, y, width and height in pixels.
        share: of the image's area, 0 to 1.
    """

    contour: np.ndarray
    box: tuple[int, int, int, int]
    share: float


def find_regions(heat: np.ndarray) -> list[Region]:
    """Find the connected parts of an anomaly map above 1, the largest first.

    Args:
        heat: (height, width) float, 1 at the threshold.
    """
    hot = (heat > 1).astype(np.uint8)
    contours, _ = cv2.findContours(hot, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    regions = []
    for contour in contours:
        x, y, width, height = cv2.boundingRect(contour)
        filled = np.zeros((height, width), np.uint8)
        cv2.drawContours(filled, [contour], -1, 1, cv2.FILLED, offset=(-x, -y))
        n_pixels = int((filled & hot[y : y + height, x : x + width]).sum())
        regions.append(Region(contour, (x, y, width, height), n_pixels / hot.size))
    regions.sort(key=lambda region: (-region.share, region.box))
    visible = [region for region in regions if region.share >= _LEAST_SHARE]
    return visible or regions[:1]


def draw_regions(picture: np.ndarray, regions: list[Region], scale: float) -> None:
    """Draw contours, boxes and areas in per cent onto a picture.

    Regions that their contour would hide have a box alone.

    Args:
        picture: (height, width, 3) uint8 BGR; changed.
        regions: of an anomaly map of its size.
        scale: of lines and text, 1 for a picture of 256 pixels.
    """
    thin = max(1, round(scale))
    for region in regions:
        x, y, width, height = region.box
        is_small = max(width, height) < _SMALL * thin
        gap = 4 * thin if is_small else thin
        corners = ((x - gap, y - gap), (x + width + gap, y + height + gap))
        for colour, thickness in ((_EDGE, 3 * thin), (COLOUR, thin)):
            if not is_small:
                cv2.drawContours(picture, [region.contour], -1, colour, thickness)
            cv2.rectangle(picture, *corners, colour, thickness)
    # Last, so that no line runs through a number.
    for region in regions:
        _write_share(picture, region, scale)


def draw_ring(picture: np.ndarray, middle: tuple[int, int], radius: int, scale: float) -> None:
    """Draw a ring around a point.

    Args:
        picture: (height, width, 3) uint8 BGR; changed.
        middle: x and y, in pixels.
        radius: in pixels.
        scale: as of ``draw_regions``.
    """
    thin = max(1, round(scale))
    for colour, thickness in ((_EDGE, 3 * thin), (COLOUR, thin)):
        cv2.circle(picture, middle, radius, colour, thickness, cv2.LINE_AA)


def _write_share(picture: np.ndarray, region: Region, scale: float) -> None:
    text = f"{region.share:.1%}" if region.share >= 0.001 else "<0.1%"
    size = max(8, round(9 * scale))
    width, height = captions.text_size(text, size)
    x, y, _, box_height = region.box
    gap = 6 * max(1, round(scale))
    below = y + box_height + gap
    y = below if below + height <= picture.shape[0] else max(0, y - gap - height)
    x = max(0, min(x, picture.shape[1] - width))
    captions.write(picture, text, (x, y), size, COLOUR)
