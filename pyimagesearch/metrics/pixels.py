"""How well anomaly maps mark defective pixels: pixel AUROC and AUPRO, over any number of images."""

from __future__ import annotations

import math
from collections.abc import Iterable

import cv2
import numpy as np

from pyimagesearch.metrics.rankings import area_under_steps

_N_BINS = 2**21


class PixelHistogram:
    """Counts of pixels by score, from which both measures follow, in memory that does not grow.

    Scores are rounded to float32. A bin holds 2^k neighbouring float32 numbers, where k is the
    least with which all scores so far, from the lowest to the highest, fit in 2^21 bins, whatever
    the order of the images. The numbers of one octave (1 to 2, say) get bins of at most 2^-12 of
    their size and usually far finer ones; where the scores span less than a quarter of an octave,
    each number has its own bin, and the measures are exact. Pixels in one bin count as ties;
    ``auroc_error`` and ``aupro_error`` bound how far that can move the measures.
    """

    def __init__(self) -> None:
        self.n_regions = 0
        self._shift = 0
        self._first = 0  # number of the first bin, in units of 2^shift float32 numbers
        self._span: tuple[int, int] | None = None  # least and greatest key so far
        self._normal = np.zeros(_N_BINS, np.int64)
        self._defective = np.zeros(_N_BINS, np.int64)
        self._overlap = np.zeros(_N_BINS, np.float64)  # each region adds up to 1

    @classmethod
    def from_pairs(cls, pairs: Iterable[tuple[np.ndarray | None, np.ndarray]]) -> PixelHistogram:
        """Count the pixels of a set of images, one image in memory at a time.

        Args:
            pairs: of mask and anomaly map, see ``add``.

        Raises:
            ValueError: as ``add``; the message begins with the number of the image, from 0.
        """
        histogram = cls()
        for number, (mask, heat) in enumerate(pairs):
            try:
                histogram.add(mask, heat)
            except ValueError as error:
                raise ValueError(f"image {number}: {error}") from error
        return histogram

    def add(self, mask: np.ndarray | None, heat: np.ndarray) -> None:
        """Count the pixels of one image.

        Args:
            mask: (height, width), not 0 where the image is defective; None for a normal one.
            heat: (height, width), the anomaly map.

        Raises:
            ValueError: the shapes differ or are not (height, width), or a score is not a finite
                float32.
        """
        heat = np.asarray(heat)
        defective = np.zeros(heat.shape, bool) if mask is None else np.asarray(mask) != 0
        if heat.ndim != 2 or defective.shape != heat.shape:
            raise ValueError(
                f"mask and anomaly map must have the same height and width, "
                f"not {defective.shape} and {heat.shape}"
            )
        if not heat.size:
            return
        bins = self._bins(_keys(heat))
        np.add.at(self._normal, bins[~defective], 1)
        if not defective.any():
            return
        n_labels, region, statistics, _ = cv2.connectedComponentsWithStats(
            defective.astype(np.uint8), connectivity=8, ltype=cv2.CV_32S
        )
        self.n_regions += n_labels - 1  # the first is the background
        marked, numbers = bins[defective], region[defective] - 1
        np.add.at(self._defective, marked, 1)
        np.add.at(self._overlap, marked, 1 / statistics[1:, cv2.CC_STAT_AREA][numbers])

    def auroc(self) -> float:
        """Compute pixel AUROC: all pixels of all images as items (``rankings.auroc``).

        Returns:
            0 to 1; nan without a defective or without a normal pixel.
        """
        used = self._used()
        return area_under_steps(np.cumsum(self._normal[used]), np.cumsum(self._defective[used]))

    def aupro(self, limit: float = 0.3) -> float:
        """Compute AUPRO: the area under the per-region overlap curve.

        The share of each defective region's pixels that are called defective, averaged over the
        regions, against the share of the normal pixels of all pictures that are; by trapezoids up
        to ``limit``, divided by it. Regions are connected over edges and corners. Bergmann,
        Batzner, Fauser, Sattlegger and Steger, The MVTec Anomaly Detection Dataset, IJCV 129
        (2021), section 5.

        Args:
            limit: false-positive rate up to which to integrate, above 0 and at most 1.

        Returns:
            0 to 1; nan without a defective or without a normal pixel.

        Raises:
            ValueError: ``limit`` is outside its bounds.
        """
        rate, overlap = self._curve(limit)
        if not len(rate):
            return math.nan
        stop = int(np.searchsorted(rate, limit))  # the curve reaches the limit between two points
        at_limit = np.interp(limit, rate[stop - 1 : stop + 1], overlap[stop - 1 : stop + 1])
        rate, overlap = np.append(rate[:stop], limit), np.append(overlap[:stop], at_limit)
        return float(np.sum(np.diff(rate) * (overlap[1:] + overlap[:-1])) / (2 * limit))

    def auroc_error(self) -> float:
        """Bound how far ``auroc`` can be from its value for float32 scores without bins."""
        if self._shift == 0:
            return 0.0
        n_pairs = float(self._normal.sum()) * float(self._defective.sum())
        tied = float(np.dot(self._normal.astype(float), self._defective.astype(float)))
        return tied / (2 * n_pairs) if n_pairs else math.nan

    def aupro_error(self, limit: float = 0.3) -> float:
        """Bound how far ``aupro`` can be from its value for float32 scores without bins.

        Args:
            limit: as of ``aupro``.

        Raises:
            ValueError: as of ``aupro``.
        """
        rate, overlap = self._curve(limit)
        if self._shift == 0:
            return 0.0
        if not len(rate):
            return math.nan
        # Within a bin the curve may run along either side of a rectangle, of which the trapezoid is
        # the middle; in the bin that holds the limit it is not.
        stop = int(np.searchsorted(rate, limit))
        rate = np.append(rate[:stop], limit)
        rectangles = np.diff(rate) * np.diff(overlap[: stop + 1])
        return float((rectangles[:-1].sum() / 2 + rectangles[-1]) / limit)

    def _curve(self, limit: float) -> tuple[np.ndarray, np.ndarray]:
        """False-positive rates from 0 to 1, and the mean overlap of the regions at each."""
        if not 0 < limit <= 1:
            raise ValueError(
                f"a limit of the false-positive rate lies above 0, up to 1: not {limit}"
            )
        n_normal = int(self._normal.sum())
        if not n_normal or not self.n_regions:
            return np.zeros(0), np.zeros(0)
        used = self._used()
        rate = np.cumsum(self._normal[used]) / n_normal
        overlap = np.cumsum(self._overlap[used]) / self.n_regions
        return np.concatenate([[0.0], rate]), np.concatenate([[0.0], overlap])

    def _used(self) -> np.ndarray:
        """The bins that hold pixels, the highest scores first."""
        return np.flatnonzero(self._normal | self._defective)[::-1]

    def _bins(self, keys: np.ndarray) -> np.ndarray:
        """Number of each key's bin, after making room for all of them."""
        low, high = int(keys.min()), int(keys.max())
        if self._span is not None:
            low, high = min(low, self._span[0]), max(high, self._span[1])
        shift = self._shift
        while (high >> shift) - (low >> shift) >= _N_BINS:
            shift += 1
        if (
            shift != self._shift
            or low >> shift < self._first
            or high >> shift >= self._first + _N_BINS
        ):
            self._move(shift, low, high)
        self._span = low, high
        return (keys >> shift) - self._first

    def _move(self, shift: int, low: int, high: int) -> None:
        """Move the counts into bins of 2^shift numbers, with low to high in the middle."""
        free = _N_BINS - 1 - ((high >> shift) - (low >> shift))
        first = (low >> shift) - free // 2
        for name in ("_normal", "_defective", "_overlap"):
            counts = getattr(self, name)
            moved = np.zeros_like(counts)
            used = np.flatnonzero(counts)
            target = ((used + self._first) >> (shift - self._shift)) - first
            np.add.at(moved, target, counts[used])
            setattr(self, name, moved)
        self._shift, self._first = shift, first


def _keys(heat: np.ndarray) -> np.ndarray:
    """Number the float32 numbers in their order: (height, width) int64, 0 for 0."""
    with np.errstate(over="ignore"):
        values = heat.astype(np.float32)
    if not np.isfinite(values).all():
        raise ValueError("the anomaly map holds nan, infinity or numbers too large for float32")
    bits = values.view(np.int32).astype(np.int64)
    # Negative numbers have the sign bit and then their size: -0 becomes 0, as it should.
    return np.where(bits < 0, -(bits & 0x7FFFFFFF), bits)
