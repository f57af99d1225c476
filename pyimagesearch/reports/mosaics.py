"""Many pictures as one that fits a screen, with a title, headings and scores."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import cv2
import numpy as np

from pyimagesearch.labelling.verdict import Verdict
from pyimagesearch.reports import captions, heat_colours
from pyimagesearch.reports.drawing import LABEL_COLOURS
from pyimagesearch.runtime.console import printable

SCREEN = (1080, 1920)  # height and width that a mosaic fits, in pixels
_MARGIN, _GAP, _BETWEEN_TILES = 14, 4, 16
_TITLE, _HEADING, _CAPTION = 20, 13, 13  # heights of text
_SCALE_LENGTH, _MARK = 260, 11  # length of the scale of colours, height of the text at it
_LEAST_PANEL, _LARGEST_PANEL = 48, 320  # of the longer side; larger only where an image is
_GROUND, _INK, _QUIET = (255, 255, 255), (30, 30, 30), (90, 90, 90)
_CHIP = (90, 90, 90)


@dataclass(frozen=True)
class Tile:
    """Pictures of one image, side by side below a caption.

    Attributes:
        panels: (height, width, 3) uint8 BGR, all of one size, by what they show.
        score: in a box at the start of the caption.
        name: after it; shortened where it does not fit.
        colour: BGR of the box.
    """

    panels: dict[str, np.ndarray]
    score: str
    name: str = ""
    colour: tuple[int, int, int] = _CHIP


@dataclass(frozen=True)
class _Layout:
    columns: int
    rows: int
    width: int  # of a panel
    height: int


def draw_rows(rows: Iterable[tuple[Verdict, dict[str, np.ndarray]]], title: str) -> np.ndarray:
    """Arrange pictures of images in a mosaic, with their labels and scores.

    Args:
        rows: verdicts, each with (height, width, 3) uint8 BGR pictures of one size by what they
            show.
        title: of the whole.

    Returns:
        (height, width, 3) uint8 BGR, at most 1080 x 1920 for up to some 50 images.
    """
    tiles = [
        Tile(
            panels,
            f"{verdict.label} {verdict.score:.4g}",
            printable(os.path.basename(verdict.image)),
            LABEL_COLOURS[verdict.label],
        )
        for verdict, panels in rows
    ]
    return draw_mosaic(tiles, title, has_scale=True)


def draw_reconstructions(
    decoded: np.ndarray, originals: np.ndarray, scores: np.ndarray, title: str
) -> np.ndarray:
    """Arrange images and their reconstructions in a mosaic of two rows.

    Args:
        decoded: (n, height, width, 1 or 3) float, the reconstructions, grey or RGB; values
            outside [0, 1] are clipped.
        originals: the same in [0, 1].
        scores: (n,) float64.
        title: of the whole.

    Returns:
        (height, width, 3) uint8 BGR.
    """
    tiles = [
        Tile(
            {"image": _as_bgr(original), "reconstruction": _as_bgr(reconstruction)},
            f"score {score:.4g}",
        )
        for original, reconstruction, score in zip(originals, decoded, scores.tolist(), strict=True)
    ]
    return draw_mosaic(tiles, title, -(-len(tiles) // 2))


def _as_bgr(pixels: np.ndarray) -> np.ndarray:
    picture = (np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(picture, (*picture.shape[:2], 3))[:, :, ::-1])


def draw_mosaic(
    tiles: Sequence[Tile], title: str, columns: int | None = None, has_scale: bool = False
) -> np.ndarray:
    """Arrange tiles, row by row, as large as a screen allows.

    Args:
        tiles: at least one.
        title: of the whole.
        columns: of tiles; None chooses the number that leaves most room.
        has_scale: whether the colours of anomaly maps are explained, where there is room.

    Returns:
        (height, width, 3) uint8 BGR, at most 1080 x 1920 unless panels would be smaller than 48
        pixels.
    """
    headings = list(dict.fromkeys(chain.from_iterable(tile.panels for tile in tiles)))
    shapes = [next(iter(tile.panels.values())).shape for tile in tiles]
    layout = _lay_out(shapes, len(headings), columns)
    title_height = captions.text_size(title, _TITLE)[1]
    heading_height, caption_height = (
        captions.text_size("x", size)[1] for size in (_HEADING, _CAPTION)
    )
    tile_width = len(headings) * (layout.width + _GAP) - _GAP
    tile_height = caption_height + layout.height
    top = _MARGIN + title_height + heading_height
    width = 2 * _MARGIN + layout.columns * (tile_width + _BETWEEN_TILES) - _BETWEEN_TILES
    height = top + layout.rows * (tile_height + _GAP) + _MARGIN - _GAP
    width = max(width, min(captions.text_size(title, _TITLE)[0] + 2 * _MARGIN, SCREEN[1]))
    drawn = np.full((height, width, 3), _GROUND, np.uint8)
    room = width - 2 * _MARGIN
    size = captions.fitting_height(title, _TITLE, room)
    captions.write(drawn, title, (_MARGIN - _GAP, _MARGIN // 2), size, _INK, None)
    if has_scale and captions.text_size(title, size)[0] + 2 * _SCALE_LENGTH < room:
        _draw_scale(drawn, (width - _MARGIN - _SCALE_LENGTH, _MARGIN // 2))
    for number, tile in enumerate(tiles):
        row, column = divmod(number, layout.columns)
        left = _MARGIN + column * (tile_width + _BETWEEN_TILES)
        if not row:
            for place, heading in enumerate(headings):
                x, text_width = left + place * (layout.width + _GAP), layout.width + _GAP
                size = captions.fitting_height(heading, _HEADING, text_width)
                corner = (x - 3, top - heading_height)
                captions.write(drawn, heading, corner, size, _QUIET, None)
        y = top + row * (tile_height + _GAP)
        _draw_tile(drawn, tile, headings, (left, y), (tile_width, caption_height), layout)
    return drawn


def _draw_scale(drawn: np.ndarray, corner: tuple[int, int]) -> None:
    """Draw the colours of anomaly maps, and what multiples of the threshold they mean."""
    x, y = corner
    drawn[y : y + _CAPTION, x : x + _SCALE_LENGTH] = heat_colours.scale(_SCALE_LENGTH)
    _, marks = heat_colours.legend()
    for at, heat in marks:
        text = "threshold" if heat == "1" else f"\u00d7 {heat}"
        shift = captions.text_size(text, _MARK)[0] // 2 if at else 3
        place = (x + round(at * _SCALE_LENGTH) - shift, y + _CAPTION)
        captions.write(drawn, text, place, _MARK, _QUIET, None)


def _draw_tile(
    drawn: np.ndarray,
    tile: Tile,
    headings: list[str],
    corner: tuple[int, int],
    caption: tuple[int, int],
    layout: _Layout,
) -> None:
    (left, y), (tile_width, caption_height) = corner, caption
    size = captions.fitting_height(tile.score, _CAPTION, tile_width)
    chip = captions.text_size(tile.score, size)[0]
    captions.write(drawn, tile.score, (left, y), size, box=tile.colour)
    name = captions.fitting(tile.name, size, tile_width - chip)
    if name:
        captions.write(drawn, name, (left + chip, y), size, _INK, None)
    y += caption_height
    for place, heading in enumerate(headings):
        panel = tile.panels.get(heading)
        if panel is None:
            continue
        panel = _fit(panel, layout.height, layout.width)
        x = left + place * (layout.width + _GAP)
        drawn[y : y + panel.shape[0], x : x + panel.shape[1]] = panel


def _lay_out(shapes: Sequence[tuple[int, ...]], n_panels: int, columns: int | None) -> _Layout:
    """The layout whose panels are the largest; of equal ones that which is best filled."""
    ratio = float(np.median([height / width for height, width, *_ in shapes]))
    ratio = min(max(ratio, 1 / 8), 8)
    most = max(_LARGEST_PANEL, *(max(shape[:2]) for shape in shapes))
    heading, caption, title = (captions.text_size("x", s)[1] for s in (_HEADING, _CAPTION, _TITLE))
    best: tuple[float, int] | None = None
    chosen = _Layout(1, len(shapes), _LEAST_PANEL, _LEAST_PANEL)
    for n_columns in range(1, len(shapes) + 1) if columns is None else (columns,):
        n_rows = -(-len(shapes) // n_columns)
        across = (SCREEN[1] - 2 * _MARGIN + _BETWEEN_TILES) / n_columns - _BETWEEN_TILES
        down = (SCREEN[0] - 2 * _MARGIN - title - heading + _GAP) / n_rows - _GAP - caption
        width = min((across + _GAP) / n_panels - _GAP, down / ratio, most, most / ratio)
        width = int(max(width, _LEAST_PANEL, _LEAST_PANEL / ratio))
        found = (float(width), -n_columns * n_rows)
        fits = n_panels * (width + _GAP) - _GAP <= across
        if columns is not None or (fits and (best is None or found > best)):
            best = found
            chosen = _Layout(n_columns, n_rows, width, max(1, int(width * ratio)))
    return chosen


def _fit(panel: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize a picture into a box; small ones keep pixels that are equally large."""
    scale = min(height / panel.shape[0], width / panel.shape[1])
    if scale >= 2:
        whole = int(scale)
        panel = panel.repeat(whole, axis=0).repeat(whole, axis=1)
        scale /= whole
    size = tuple(
        max(1, min(round(scale * n), most))
        for n, most in zip(panel.shape[1::-1], (width, height), strict=True)
    )
    kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.resize(panel, size, interpolation=kind)
