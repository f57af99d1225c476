"""Grids of cells over an image: the size to compute them at, and resampling between grids.

All pixels and cells are points, numbered from 0 at their middles; beyond the first or last one its
value continues.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

_MAX_ASPECT = 8  # longest side over shortest, of the working size


def working_size(
    height: int, width: int, side: int, multiple: int, tile: int | None = None
) -> tuple[int, int]:
    """The size at which features are computed: the area of a square, the image's aspect ratio.

    Args:
        height, width: of the image, in pixels.
        side: of the square.
        multiple: that both sides are rounded to.
        tile: instead, ``tile`` pixels of the image become ``side`` pixels, whatever its area.

    Returns:
        (height, width), at least ``2 * multiple`` each. Where one side is more than eight times the
        other, the image is stretched to that ratio.
    """
    stretch = max(height, width) / min(height, width)
    squeeze = (min(stretch, _MAX_ASPECT) / stretch) ** 0.5
    factor = side / (tile or (height * width) ** 0.5)
    sides = [
        length * factor * (squeeze if length == max(height, width) else 1 / squeeze)
        for length in (height, width)
    ]
    rows, columns = (max(2, round(length / multiple)) * multiple for length in sides)
    return rows, columns


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(any height, any width, ...) -> (*size, ...), by area where that makes it smaller."""
    if image.shape[:2] == size:
        return image
    shrinks = image.shape[0] > size[0] or image.shape[1] > size[1]
    kind = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(image, (size[1], size[0]), interpolation=kind)


def halves(n_rows: int) -> tuple[slice, slice]:
    """The upper and the lower half of a grid; the middle row of an odd number belongs to both."""
    return slice(-(-n_rows // 2)), slice(n_rows // 2, None)


def positions(n_out: int, stride: float, offset: float, n_pixels: int) -> np.ndarray:
    """Where the pixels of an image lie on a grid that was computed at another size of it.

    Args:
        n_out: pixels of the image along one side.
        stride, offset: of the grid's cells, in pixels of the size that it was computed at.
        n_pixels: that size.

    Returns:
        (n_out,) float64, in cells.
    """
    at_size = (np.arange(n_out) + 0.5) * (n_pixels / n_out) - 0.5
    return (at_size - offset) / stride


def interpolation_matrix(n_in: int, at: np.ndarray) -> np.ndarray:
    """The matrix of linear interpolation from cells to positions between them.

    Args:
        n_in: number of cells.
        at: (n_out,) positions, in cells.

    Returns:
        (n_out, n_in) float32, whose rows add up to 1.
    """
    at = np.clip(at, 0, n_in - 1)
    left = np.minimum(at.astype(np.intp), max(n_in - 2, 0))
    share = (at - left).astype(np.float32)
    matrix = np.zeros((len(at), n_in), np.float32)
    rows = np.arange(len(at))
    matrix[rows, left] = 1 - share
    matrix[rows, np.minimum(left + 1, n_in - 1)] += share
    return matrix


def neighbourhood_matrix(n_cells: int) -> np.ndarray:
    """The matrix of means of each cell and its two neighbours, which are 0 beyond the border."""
    ones = np.ones(n_cells, np.float32)
    matrix = np.diag(ones) + np.diag(ones[1:], 1) + np.diag(ones[1:], -1)
    return matrix / np.float32(3)


@lru_cache(maxsize=64)
def pooling_matrix(n_in: int, n_out: int, stride: float, offset: float) -> np.ndarray:
    """The matrix of means of neighbourhoods of one grid, interpolated at the cells of a finer one.

    Args:
        n_in, n_out: cells of the two along one side.
        stride, offset: of the finer one's cells, in cells of the other.

    Returns:
        (n_out, n_in) float32.
    """
    return interpolation_matrix(n_in, np.arange(n_out) * stride + offset) @ neighbourhood_matrix(
        n_in
    )


def to_image(
    values: np.ndarray,
    size: tuple[int, int],
    computed_at: tuple[int, int],
    stride: int,
    offset: float,
) -> np.ndarray:
    """Interpolate values of cells to the pixels of the image that they were computed from.

    Args:
        values: (rows, columns).
        size: (height, width) of the image.
        computed_at: (height, width) of the working size.
        stride, offset: of the cells, in pixels of that.

    Returns:
        (height, width) float32.
    """
    rows, columns = (
        interpolation_matrix(n_cells, positions(n_pixels, stride, offset, n_computed))
        for n_cells, n_pixels, n_computed in zip(values.shape, size, computed_at, strict=True)
    )
    return rows @ values.astype(np.float32) @ columns.T


def border_distance(shape: tuple[int, int], limit: int) -> np.ndarray:
    """Cells between each cell and the border: (rows, columns) intp, at most ``limit``."""
    rows, columns = (np.minimum(np.arange(n), np.arange(n)[::-1]).clip(max=limit) for n in shape)
    return np.minimum(rows[:, None], columns[None])
