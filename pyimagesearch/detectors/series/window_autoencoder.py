"""Autoencoders of series: each window's reconstruction error, and from these each row's score.

A window's error is the mean absolute error over its time steps, of each column, as in Keras'
example "Timeseries anomaly detection using an Autoencoder". Its rule for rows is "a row is an
anomaly when all windows that contain it are": that is, when the least of their errors is above
the threshold, at the series' ends, too.

Of several columns, a window's error is the mean. What was tried: docs/methods.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from pyimagesearch.backbones.onnx_graph import open_autoencoder
from pyimagesearch.data.series import create_sequences, row_scores
from pyimagesearch.detectors.array_checks import (
    Array,
    check_networks,
    checked_arrays,
    checked_count,
)
from pyimagesearch.detectors.base import WindowDetector

# Every window is scored up to this many; of more, every second and so on, but never fewer than
# these in a stretch of a window's length.
_ALL_WINDOWS = 50_000
_PER_LENGTH = 16
_MOST_AT_ONCE = 256  # windows, which then have to fit the processor's cache
_VALUES_AT_ONCE = 2**20
_MOST_VALUES = 2**26  # of a window
_MOST_DEVIATIONS = 1e6  # more would overflow within the network


@dataclass(frozen=True)
class Scaling:
    """Each column's mean and standard deviation, which make columns comparable.

    Attributes:
        mean: (n_columns,) float64.
        std: (n_columns,) float64, positive; 1 for a constant column.
    """

    mean: np.ndarray
    std: np.ndarray

    @classmethod
    def fit(cls, values: np.ndarray) -> Scaling:
        """Take them from a series.

        Args:
            values: (n_rows, n_columns) float64 without NaN, at least two rows.

        Raises:
            ValueError: values so large that these are not finite.
        """
        is_constant = values.min(axis=0) == values.max(axis=0)
        with np.errstate(over="ignore", invalid="ignore"):
            mean = np.where(is_constant, values[0], values.mean(axis=0))
            std = np.where(is_constant, 1.0, values.std(axis=0, ddof=1))
        if not (np.isfinite(mean).all() and np.isfinite(std).all() and (std > 0).all()):
            raise ValueError("a column's values are too large or too small to compute with")
        return cls(mean, std)

    def apply(self, values: np.ndarray) -> np.ndarray:
        """(n_rows, n_columns) float64 -> float32, in standard deviations from the mean."""
        with np.errstate(over="ignore"):
            scaled = (values - self.mean) / self.std
        return np.clip(scaled, -_MOST_DEVIATIONS, _MOST_DEVIATIONS).astype(np.float32)

    def undo(self, scaled: np.ndarray) -> np.ndarray:
        """(n_rows, n_columns), in standard deviations -> float64, in the columns' own units."""
        return scaled * self.std + self.mean


@dataclass(frozen=True)
class WindowAutoencoderDetector(WindowDetector):
    """A network's reconstruction error on windows: see the module's docstring.

    Attributes:
        window: rows of a window.
        scaling: of the training series.
        network: an ONNX graph, (n, time_steps, n_columns) float32 to the same.
    """

    name = "window-autoencoder"
    SCORE_UNIT = "standard deviations"
    ARRAYS: ClassVar = {
        "mean": Array(np.float64, ("n_columns",)),
        "std": Array(np.float64, ("n_columns",), positive=True),
    }

    window: int
    scaling: Scaling
    network: bytes

    @property
    def n_columns(self) -> int:
        """Number of columns of the series."""
        return len(self.scaling.mean)

    @property
    def time_steps(self) -> int:
        """Rows of a window."""
        return self.window

    def score_rows(
        self,
        values: np.ndarray,
        own_start: int | None = None,  # noqa: ARG002 - a network keeps no windows of its own
    ) -> tuple[np.ndarray, np.ndarray]:
        """Compute anomaly scores of rows.

        Args:
            values: (n_rows, n_columns) float64 without NaN.
            own_start: without effect.

        Returns:
            (n_rows,) float64, the mean score of the windows that hold the row, and (n_rows,)
            float64, the least, which decides.

        Raises:
            ValueError: another number of columns, or fewer rows than a window has.
        """
        return row_scores(*self.score_windows(values), len(values), self.time_steps)

    def score_windows(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Compute the errors of windows: of all, or of a long series' evenly spaced ones.

        Every window of up to 50,000 is scored; of more, every k-th, 16 in each stretch of a
        window's length at least, and the last. So some hold each row, and its least score is
        never less than with all.

        Args:
            values: (n_rows, n_columns) float64 without NaN.

        Returns:
            (n_scored,) int, the windows' first rows; and (n_scored,) float64, their mean absolute
            errors over time, in standard deviations; of several columns, the mean.

        Raises:
            ValueError: another number of columns, or fewer rows than a window has.
        """
        starts = self._starts(values)
        return starts, self.window_errors(values, starts)

    def window_errors(self, values: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """Compute the errors of the windows that begin at some rows.

        Args:
            values: (n_rows, n_columns) float64 without NaN.
            starts: (n,) int, in ascending order.

        Returns:
            (n,) float64, mean absolute errors over time, in standard deviations; of several
            columns, the mean.
        """
        return np.concatenate([e.mean(axis=1) for e in self._errors(values, starts)])

    def reconstruct(self, window: np.ndarray) -> np.ndarray:
        """(time_steps, n_columns) float64 -> the same, as the window would be if it were normal."""
        return self.scaling.undo(self._run(self.scaling.apply(window)[None])[0].astype(np.float64))

    def parameters(self) -> dict[str, Any]:
        return {"time_steps": self.time_steps}

    def arrays(self) -> dict[str, np.ndarray]:
        return {"mean": self.scaling.mean, "std": self.scaling.std}

    def networks(self) -> dict[str, bytes]:
        return {"network": self.network}

    @classmethod
    def restore(
        cls,
        parameters: dict[str, Any],
        arrays: dict[str, np.ndarray],
        networks: dict[str, bytes],
    ) -> WindowAutoencoderDetector:
        """Make the detector again from what a model file holds.

        Raises:
            ValueError: something is missing or does not fit together.
        """
        check_networks(networks, ("network",))
        time_steps = checked_count(parameters, "time_steps")
        scaling = Scaling(**checked_arrays(arrays, cls.ARRAYS))
        detector = cls(time_steps, scaling, networks["network"])
        if time_steps * detector.n_columns > _MOST_VALUES:
            raise ValueError(
                f"its detector's windows have {time_steps} x {detector.n_columns} values"
            )
        return detector

    def check(self) -> None:
        shape = (1, self.time_steps, self.n_columns)
        found = self._run(np.zeros(shape, np.float32))
        if found.shape != shape or not np.isfinite(found).all():
            raise ValueError("what its detector's network returns are not numbers of its shape")

    def _starts(self, values: np.ndarray) -> np.ndarray:
        if values.ndim != 2 or values.shape[1] != self.n_columns:
            raise ValueError(f"values of shape {values.shape} for {self.n_columns} columns")
        last = len(values) - self.time_steps
        if last < 0:
            raise ValueError(f"{len(values)} rows, but a window has {self.time_steps}")
        stride = min(last // _ALL_WINDOWS + 1, max(self.time_steps // _PER_LENGTH, 1))
        starts = np.arange(0, last + 1, stride)
        return starts if starts[-1] == last else np.append(starts, last)

    def _errors(self, values: np.ndarray, starts: np.ndarray) -> Iterator[np.ndarray]:
        """Mean absolute errors over time, (n, n_columns) float64, of some windows at a time."""
        at_once = min(_MOST_AT_ONCE, max(1, _VALUES_AT_ONCE // (self.time_steps * self.n_columns)))
        for some in np.split(starts, np.arange(at_once, len(starts), at_once)):
            scaled = self.scaling.apply(values[some[0] : some[-1] + self.time_steps])
            windows = create_sequences(scaled, self.time_steps)[some - some[0]]
            yield np.abs(self._run(windows) - windows).mean(axis=1, dtype=np.float64)

    @cached_property
    def _run(self) -> Callable[[np.ndarray], np.ndarray]:
        return open_autoencoder(self.network, (self.time_steps, self.n_columns))
