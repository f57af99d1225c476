"""Windows of a series on a grid, and a bank of known ones: how far others lie from them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from pyimagesearch.data.series import create_sequences

_LEAST_STEPS = 6  # strides in a window; it has fewer than twice as many
_SEGMENTS = 8  # values of a stride of a long window
DISTANCE_FLOOR = 0.01  # in deviations of the column: less is no difference
_DEVIATION_FLOOR = 0.1  # of a window that is given deviation 1, in deviations of its column
_COLUMN_SHARE = 0.2


@dataclass(frozen=True)
class Scale:
    """Windows of one length, which follow each other by about an eighth of it.

    Long windows are averaged over segments, so that none has more than 95 values.

    Attributes:
        stride: rows from one window to the next, a power of 2.
        steps: strides in a window, 6 to 11.
    """

    stride: int
    steps: int

    @classmethod
    def from_rows(cls, rows: int) -> Scale:
        """The scale whose windows are nearest to this length, off by a twelfth at most."""
        stride = 2 ** max(math.floor(math.log2(rows / _LEAST_STEPS)), 0)
        steps = round(rows / stride)
        return cls(stride, steps) if steps < 2 * _LEAST_STEPS else cls(2 * stride, _LEAST_STEPS)

    @property
    def window(self) -> int:
        """Rows of a window."""
        return self.stride * self.steps

    @property
    def segment(self) -> int:
        """Rows that are averaged to one value."""
        return max(self.stride // _SEGMENTS, 1)

    def starts(self, n_rows: int) -> np.ndarray:
        """The first rows of a series' windows; the last of them ends with the series."""
        last = n_rows - self.window
        starts = np.arange(0, last + 1, self.stride)
        return starts if starts[-1] == last else np.append(starts, last)

    def windows(self, scaled: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """Cut out windows and average their segments.

        Args:
            scaled: (n_rows, n_columns) float32.
            starts: (n,) the first row of each.

        Returns:
            (n_columns, n, window / segment) float32.
        """
        windows = create_sequences(scaled, self.window)[starts]
        segments = windows.reshape(len(starts), -1, self.segment, scaled.shape[1])
        return np.ascontiguousarray(np.moveaxis(segments.mean(axis=2), 2, 0))


@dataclass(frozen=True)
class WindowBank:
    """The windows of one scale that are known, and how far they lie from each other.

    Attributes:
        scale: of the windows.
        starts: (n_bank,) int64, their first rows in the training series, in ascending order.
        windows: (n_columns, n_bank, n_values) float32.
        usual: (2, n_columns, n_bank) float32, how far each is from the nearest to it: as they
            are, and given mean 0 and deviation 1.
        with_mean: whether the distance to the mean is a score, too.
    """

    scale: Scale
    starts: np.ndarray
    windows: np.ndarray
    usual: np.ndarray
    with_mean: bool
    _forms: tuple[np.ndarray, np.ndarray] = field(init=False, repr=False)
    _half_norms: list[np.ndarray] = field(init=False, repr=False)
    _relative_to: np.ndarray = field(init=False, repr=False)
    _centre: np.ndarray = field(init=False, repr=False)
    _whitening: np.ndarray | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        forms = (self.windows, _standardised(self.windows))
        # The mean over all columns: a small change of one that hardly ever changes is no anomaly.
        usual = np.maximum(self.usual.mean(axis=(1, 2), keepdims=True), DISTANCE_FLOOR)
        centre = self.windows.mean(axis=1, keepdims=True)
        derived = {
            "_forms": forms,
            "_half_norms": [np.einsum("cij,cij->ci", form, form) / 2 for form in forms],
            "_relative_to": self.usual + usual,
            "_centre": centre,
            "_whitening": None,
        }
        if self.with_mean:
            derived["_whitening"] = np.stack([_whitening(w) for w in self.windows - centre])
        for name, value in derived.items():
            object.__setattr__(self, name, value)

    def nearest(
        self, windows: np.ndarray, own_starts: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the nearest known window of the same column.

        Args:
            windows: (n_columns, n, n_values) float32.
            own_starts: (n,) their first rows, where they are windows of the training series: none
                is compared with one that overlaps it.

        Returns:
            (2, n_columns, n) float32, root mean square distances: as they are, and given mean 0
            and deviation 1; and (2, n_columns, n), the number of the window that is nearest.
        """
        shape = (2, *windows.shape[:2])
        distances, numbers = np.empty(shape, np.float32), np.empty(shape, np.int64)
        banned = None if own_starts is None else self._overlapping(own_starts)
        for form, queries in enumerate((windows, _standardised(windows))):
            for column, known in enumerate(self._forms[form]):
                closeness = queries[column] @ known.T
                closeness -= self._half_norms[form][column]
                if banned is not None:
                    closeness.ravel()[banned] = -np.inf
                numbers[form, column] = closeness.argmax(axis=1)
                difference = queries[column] - known[numbers[form, column]]
                distances[form, column] = _root_mean_square(difference)
        return distances, numbers

    def scores(self, windows: np.ndarray, distances: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """Compute the scores of windows from what ``nearest`` found.

        Returns:
            (n_scores, n) float64, the means over the strangest columns, without units.
        """
        scores = distances / np.take_along_axis(self._relative_to, numbers, axis=2)
        if self._whitening is not None:
            from_mean = _root_mean_square((windows - self._centre) @ self._whitening)
            scores = np.concatenate([scores, from_mean[None]])
        n_columns = len(windows)
        n_usual = n_columns - math.ceil(_COLUMN_SHARE * n_columns)
        return np.partition(scores, n_usual, axis=1)[:, n_usual:].mean(axis=1, dtype=np.float64)

    def _overlapping(self, own_starts: np.ndarray) -> np.ndarray:
        """Flat positions, in an (n, n_bank) array, of the pairs of windows that share a row."""
        window = self.scale.window
        first = np.searchsorted(self.starts, own_starts - window, side="right")
        count = np.searchsorted(self.starts, own_starts + window, side="left") - first
        row = np.repeat(np.arange(len(own_starts)), count)
        within = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
        return row * len(self.starts) + first[row] + within


def _standardised(windows: np.ndarray) -> np.ndarray:
    """Windows, along the last axis, with mean 0 and deviation 1 where they have some."""
    centred = windows - windows.mean(axis=-1, keepdims=True)
    deviations = _root_mean_square(centred)[..., None]
    return centred / np.maximum(deviations, np.float32(_DEVIATION_FLOOR))


def _root_mean_square(vectors: np.ndarray) -> np.ndarray:
    squares = np.einsum("...i,...i->...", vectors, vectors)
    return np.sqrt(squares / np.float32(vectors.shape[-1]))


def _whitening(centred: np.ndarray) -> np.ndarray:
    """The matrix by which vectors are multiplied to have Mahalanobis lengths.

    Args:
        centred: (n, n_values) float32, from which it is learned.

    Returns:
        (n_values, n_values) float32.
    """
    covariance = centred.T.astype(np.float64) @ centred / len(centred)
    eigenvalues, vectors = np.linalg.eigh(covariance)
    floor = max(eigenvalues.mean(), DISTANCE_FLOOR**2)
    return (vectors / np.sqrt(np.maximum(eigenvalues, floor))).astype(np.float32)
