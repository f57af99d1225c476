"""Text on pictures: in boxes, so that it can be read whatever is behind it."""

from __future__ import annotations

import threading

import cv2
import numpy as np

WHITE, BLACK = (255, 255, 255), (0, 0, 0)
_WEIGHT = 600
_ELLIPSIS = "\u2026"
_FACE = cv2.FontFace("sans")
# A face keeps the letters that it has drawn, and threads that draw at once would mix them up.
_LOCK = threading.Lock()


def text_size(text: str, height: int) -> tuple[int, int]:
    """(width, height) in pixels of the box of a line of text.

    Args:
        text: in any script; what the font lacks becomes question marks.
        height: of the font, in pixels.
    """
    with _LOCK:
        _, _, width, _ = cv2.getTextSize((0, 0), _valid(text), (0, 0), _FACE, height, _WEIGHT)
    padding = _padding(height)
    return width + 2 * padding, height + 2 * padding


def write(
    picture: np.ndarray,
    text: str,
    corner: tuple[int, int],
    height: int,
    colour: tuple[int, int, int] = WHITE,
    box: tuple[int, int, int] | None = BLACK,
) -> None:
    """Write a line of text in a box.

    Args:
        picture: (height, width, 3) uint8 BGR; changed.
        text, height: as of ``text_size``.
        corner: x and y of the box's upper left.
        colour, box: BGR, of the text and behind it; without a box, what is there stays.
    """
    width, tall = text_size(text, height)
    (x, y), padding = corner, _padding(height)
    if box is not None:
        cv2.rectangle(picture, (x, y), (x + width - 1, y + tall - 1), box, cv2.FILLED)
    origin = (x + padding, y + padding + round(0.82 * height))
    with _LOCK:
        cv2.putText(
            picture, _valid(text), origin, colour, _FACE, height, _WEIGHT, cv2.PUT_TEXT_ALIGN_LEFT,
            (-(2**16), 2**16),
        )  # fmt: skip


def fitting(text: str, height: int, width: int) -> str:
    """A line of text without what does not fit, the end being kept; empty where nothing does."""
    if text_size(text, height)[0] <= width:
        return text
    for start in range(1, len(text)):
        shorter = _ELLIPSIS + text[start:]
        if text_size(shorter, height)[0] <= width:
            return shorter
    return ""


def fitting_height(text: str, height: int, width: int, least: int = 7) -> int:
    """The height, at most this one, at which a line of text is no wider than this."""
    while height > least and text_size(text, height)[0] > width:
        height -= 1
    return height


def _valid(text: str) -> str:
    """A text without lone surrogates, over which OpenCV crashes."""
    return text.encode("utf-8", "replace").decode()


def _padding(height: int) -> int:
    return max(2, round(0.3 * height))
