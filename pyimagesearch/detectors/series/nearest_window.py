"""Nearest windows: how far windows of three lengths lie from known ones, and from the mean.

Each column is cut into windows of half a period, of one and of two. A window's scores are

- its distance to the nearest window of the training series, relative to how far that one lies from
  the nearest to itself: where windows are alike, a small distance is anomalous already. This is the
  local outlier factor with one neighbour (Breunig et al., LOF, SIGMOD 2000, section 4);
- the same after each window was given mean 0 and deviation 1: the matrix profile (Yeh et al.,
  Matrix Profile I, ICDM 2016), so that a known shape may come higher or lower, larger or smaller;
- with several columns, the Mahalanobis distance of the longest window to the mean one, with small
  eigenvalues raised to their mean (Shyu et al., A Novel Anomaly Detection Scheme Based on
  Principal Component Classifier, ICDM 2003). The strangest of many columns often has a distant
  nearest window, so that the more columns there are, the more this one weighs.

Of each score the mean over the strangest fifth of the columns is taken, in units of its mean over
the training windows. A row's score is their mean over all windows that hold it, or what
``sharpening`` makes of it. With several columns, what ``lagged_ridge`` finds is added. Where a
column that was constant in training has another value, a row is anomalous whatever its windows are
like.

What was tried: docs/methods.md.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from pyimagesearch.data.series import row_scores
from pyimagesearch.detectors.array_checks import (
    Array,
    check_networks,
    checked,
    checked_arrays,
    checked_count,
    checked_number,
)
from pyimagesearch.detectors.base import WindowDetector
from pyimagesearch.detectors.series.lagged_ridge import LaggedRidge
from pyimagesearch.detectors.series.sharpening import sharpened, surroundings
from pyimagesearch.detectors.series.window_bank import DISTANCE_FLOOR, Scale, WindowBank
from pyimagesearch.detectors.series.window_lengths import (
    LEAST_WINDOW,
    WINDOWS_IN_SERIES,
    checked_time_steps,
    default_time_steps,
    scales,
)

# Known windows of a column; fewer where there are many columns.
_BANK, _LARGEST_BANK = 8_000, 32_000
_ROWS_OF_KNOWN = 8  # of a long series, one window for so many rows is known
_LEAST_BANK = 500
_FIT_WINDOWS = 4_000  # from which the usual distances are learned
_MEAN_WEIGHT = 0.25  # of the distance to the mean, for each column but one
_HALO = 0.5
_LEAST_OTHERS = 0.5  # of a window, by which alone the nearest known one is found
_POWER = 5  # of the mean over the lengths: an anomaly mostly shows in windows of about its own
_MOST_DEVIATIONS = 1e6
_LEAST_CHANGE = 1e-6  # of a column's mean: less is the noise of arithmetic
# Where no column changes, nobody knows how far is far: windows are all alike, changes alone count.
_NO_UNIT = 1e106
CHANGE = 10.0  # the score of a row where a constant column has another value; 1 is usual
_BLOCK = 1024  # windows compared at once


@dataclass(frozen=True)
class NearestWindowDetector(WindowDetector):
    """Distances to known windows of three lengths: see the module's docstring.

    Attributes:
        offset, deviation: (n_columns,) float64; columns are scaled by them.
        is_constant: (n_columns,) bool, the columns of which all training rows have the same value.
        n_rows: of the training series.
        rows: (n_kept, n_columns) float32, those rows of it that known windows hold, scaled.
        banks: of each scale, the shortest windows first.
        levels: of each bank, (n_scores,) float64, the mean score of training windows.
        ridge: predicts rows from those before; None where there is one column.
        usual_least: what the least over the windows that hold a row usually is in training; None
            in model files of older versions, whose threshold is one of that least.
    """

    name = "ensemble"  # of model files; what it was called when these were first written
    SCORE_UNIT = "1 is usual"
    ARRAYS: ClassVar = {
        "offset": Array(np.float64, ("n_columns",)),
        "deviation": Array(np.float64, ("n_columns",), positive=True),
    }

    offset: np.ndarray
    deviation: np.ndarray
    is_constant: np.ndarray
    n_rows: int
    rows: np.ndarray
    banks: tuple[WindowBank, ...]
    levels: tuple[np.ndarray, ...]
    ridge: LaggedRidge | None = None
    usual_least: float | None = None

    @classmethod
    def fit(
        cls, values: np.ndarray, *, time_steps: int | None = None, seed: int = 42
    ) -> NearestWindowDetector:
        """Learn what windows there are and how much they differ.

        Args:
            values: (n_rows, n_columns) float64, finite.
            time_steps: rows of the longest windows, about; None takes two periods.
            seed: of the choice of the known windows.

        Raises:
            ValueError: too few rows.
        """
        n_rows, n_columns = values.shape
        least = checked_time_steps(n_rows, time_steps)
        with np.errstate(over="ignore", invalid="ignore"):
            offset, deviation = values.mean(axis=0), values.std(axis=0)
        if not np.isfinite(deviation).all():
            raise ValueError("the numbers are too large to be compared")
        changes = deviation > _least_change(offset)
        usual = np.median(deviation[changes]) if changes.any() else _NO_UNIT
        deviation = np.where(changes, deviation, usual)
        window = default_time_steps(values[:, changes]) if time_steps is None else least
        scaled = _scaled(values, offset, deviation)
        random = np.random.default_rng(seed)
        banks, levels = [], []
        for scale in scales(window):
            starts = _choose_starts(scale, n_rows, _bank_size(n_rows, n_columns), random)
            bank, level = _learn(scale, starts, scaled, cls._has_mean(scale, window, n_columns))
            banks.append(bank)
            levels.append(level)
        kept = _rows_in(*_stretches([(bank.scale, bank.starts) for bank in banks]))
        return cls(
            offset=offset,
            deviation=deviation,
            is_constant=~changes,
            n_rows=n_rows,
            rows=scaled[kept],
            banks=tuple(banks),
            levels=tuple(levels),
            ridge=LaggedRidge.fit(scaled[:, changes], banks[-1].scale.window // 2),
        )

    @property
    def n_columns(self) -> int:
        """Columns of a series."""
        return len(self.offset)

    @property
    def time_steps(self) -> int:
        """Rows of the longest windows."""
        return self.banks[-1].scale.window

    @property
    def stride(self) -> int:
        """Rows from one of the longest windows to the next.

        A part of a series that begins at a multiple of it has the same windows as the whole.
        """
        return self.banks[-1].scale.stride

    def score_rows(
        self, values: np.ndarray, own_start: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Compute the scores by which rows are ranked, and those that decide.

        With one column, the three lengths' scores have a power mean for the first, in which the
        highest counts most, and half of its surroundings' score is added to a row's: the highest
        within a longest window on either side, averaged over as many rows. An anomaly often begins
        before it shows and ends after. With several columns both were a loss.

        Args:
            values: (n_rows, n_columns) float64, finite, of at least ``time_steps`` rows.
            own_start: where these are rows of the training series, the number of the first; None
                for another series.

        Returns:
            (n_rows,) float64, the mean over the windows that hold a row, with its surroundings; 1
            is usual for a training row (1.5 with the surroundings). And (n_rows,) float64, which
            decide: see ``deciding``. Rows further away than three longest windows have no
            influence on the first, further than two on the second.

        Raises:
            ValueError: another number of columns, or fewer rows than a window.
        """
        by_length, added = self._by_length(values, own_start), self._added(values, own_start)
        mean, least = by_length.mean(axis=1) + added
        deciding = self.deciding(mean, least)
        if self.n_columns > 1:
            return mean, deciding
        high = (by_length[0] ** _POWER).mean(axis=0) ** (1 / _POWER) + added[0]
        return high + _HALO * surroundings(high, self.time_steps), deciding

    def deciding(self, mean: np.ndarray, least: np.ndarray) -> np.ndarray:
        """The scores that decide: as high as the mean, and high for no more rows than the least."""
        if self.usual_least is None:
            return least
        return sharpened(mean, least, self.usual_least, self.time_steps)

    def mean_and_least(
        self, values: np.ndarray, own_start: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """What the scores of rows are made of.

        Args:
            values, own_start: as of ``score_rows``.

        Returns:
            (n_rows,) float64, the mean over the windows that hold a row: in training 1 is usual, up
            to 2 with several columns. And (n_rows,) float64, the least of each length in place of
            its mean: this is high only where all windows that hold the row are anomalous.

        Raises:
            ValueError: another number of columns, or fewer rows than a window.
        """
        mean, least = self._by_length(values, own_start).mean(axis=1)
        added, least_added = self._added(values, own_start)
        return mean + added, least + least_added

    def _by_length(self, values: np.ndarray, own_start: int | None) -> np.ndarray:
        """Of windows of each length alone: (2, n_lengths, n_rows) float64, means and leasts."""
        n_rows = len(values)
        if values.ndim != 2 or values.shape[1] != self.n_columns or n_rows < self.time_steps:
            raise ValueError(
                f"values of shape {values.shape}, where it takes at least {self.time_steps:,} rows "
                f"of {self.n_columns} columns"
            )
        found = np.empty((2, len(self.banks), n_rows))
        total_weight = 0.0
        for number, (bank, level) in enumerate(zip(self.banks, self.levels, strict=True)):
            weights = _weights(len(level), self.n_columns)
            scores = np.concatenate(list(self._scores(bank, values, own_start)), axis=1)
            combined = (weights / level) @ scores
            starts, length = bank.scale.starts(n_rows), bank.scale.window
            found[:, number] = row_scores(starts, combined, n_rows, length)
            total_weight += weights.sum()
        return found * (len(self.banks) / total_weight)

    def _added(self, values: np.ndarray, own_start: int | None) -> np.ndarray:
        """What is added to the means and to the leasts of windows: (2, n_rows) float64."""
        added = np.tile(CHANGE * self._has_changed(values), (2, 1))
        if self.ridge is not None:
            scaled = _scaled(values, self.offset, self.deviation)[:, ~self.is_constant]
            added += self.ridge.scores(scaled, own_start)
        return added

    def nearest_known(
        self, values: np.ndarray, first: int, last: int, own_start: int | None = None
    ) -> tuple[int, np.ndarray, np.ndarray]:
        """Find the nearest known windows, of the longest, to those that hold some rows.

        Where a window has more other rows than of these, the others alone say which is nearest: so
        the known one is as the rows would be if they were normal.
        """
        bank = self.banks[-1]
        window, n_rows = bank.scale.window, len(values)
        if last - first < window:
            begin = first - (window - (last - first + 1)) // 2
            starts = np.array([min(max(begin, 0), n_rows - window)])
        else:
            starts = np.minimum(np.arange(first, last + 1, window), n_rows - window)
        begin, end = int(starts[0]), int(starts[-1]) + window
        known = np.empty((end - begin, self.n_columns))
        for start in starts.tolist():
            scaled = _scaled(values[start : start + window], self.offset, self.deviation)
            centres = start + (np.arange(window // bank.scale.segment) + 0.5) * bank.scale.segment
            compared = (centres < first) | (centres > last)
            if compared.mean() < _LEAST_OTHERS:
                compared[:] = True
            query = bank.scale.windows(scaled, np.array([0]))[:, 0]
            banned = slice(0, 0)
            if own_start is not None:
                at = own_start + start
                banned = slice(*np.searchsorted(bank.starts, (at - window + 1, at + window)))
            for column in range(self.n_columns):
                apart = bank.windows[column][:, compared] - query[column, compared]
                distances = np.einsum("ij,ij->i", apart, apart)
                distances[banned] = np.inf
                place = np.searchsorted(self._kept, bank.starts[distances.argmin()])
                rows = self.rows[place : place + window, column].astype(np.float64)
                at = slice(start - begin, start - begin + window)
                known[at, column] = rows * self.deviation[column] + self.offset[column]
        return begin, known, self.deviation

    @functools.cached_property
    def _kept(self) -> np.ndarray:
        """The numbers of ``rows`` in the training series; many ranges are looked up in them."""
        return _rows_in(*_stretches([(bank.scale, bank.starts) for bank in self.banks]))

    def _has_changed(self, values: np.ndarray) -> np.ndarray:
        """The rows in which a column that was constant in training has another value."""
        constant = self.offset[self.is_constant]
        differences = np.abs(values[:, self.is_constant] - constant)
        return (differences > _least_change(constant)).any(axis=1)

    def _scores(
        self, bank: WindowBank, values: np.ndarray, own_start: int | None
    ) -> Iterator[np.ndarray]:
        for starts in _blocks(bank.scale.starts(len(values))):
            part = values[starts[0] : starts[-1] + bank.scale.window]
            scaled = _scaled(part, self.offset, self.deviation)
            windows = bank.scale.windows(scaled, starts - starts[0])
            own_starts = None if own_start is None else own_start + starts
            yield bank.scores(windows, *bank.nearest(windows, own_starts))

    @staticmethod
    def _has_mean(scale: Scale, window: int, n_columns: int) -> bool:
        return n_columns > 1 and scale == scales(window)[-1]

    def parameters(self) -> dict[str, Any]:
        sizes = {"time_steps": self.time_steps, "n_columns": self.n_columns, "n_rows": self.n_rows}
        if self.ridge is not None:
            sizes |= {"ridge": self.ridge.parameters()}
        return sizes if self.usual_least is None else sizes | {"usual_least": self.usual_least}

    def arrays(self) -> dict[str, np.ndarray]:
        arrays = super().arrays() | {"rows": self.rows, "is_constant": self.is_constant}
        for number, (bank, level) in enumerate(zip(self.banks, self.levels, strict=True)):
            arrays[f"starts_{number}"] = bank.starts
            arrays[f"usual_{number}"] = bank.usual
            arrays[f"level_{number}"] = level
        return arrays if self.ridge is None else arrays | self.ridge.arrays()

    @classmethod
    def restore(
        cls,
        parameters: dict[str, Any],
        arrays: dict[str, np.ndarray],
        networks: dict[str, bytes],
    ) -> NearestWindowDetector:
        """Make the detector again from what a model file holds.

        Raises:
            ValueError: arrays that are missing, of a wrong type or shape, or not finite; windows
                that lie outside the series.
        """
        check_networks(networks)
        window, n_columns, n_rows = (
            checked_count(parameters, name) for name in ("time_steps", "n_columns", "n_rows")
        )
        if window < LEAST_WINDOW or WINDOWS_IN_SERIES * window > n_rows:
            raise ValueError(f"its detector's windows of {window} rows do not suit {n_rows} rows")
        columns = checked_arrays(arrays, cls.ARRAYS, {"n_columns": n_columns})
        is_constant = np.zeros(n_columns, bool)  # unknown in model files of older versions
        if "is_constant" in arrays:
            is_constant = checked(arrays, "is_constant", np.bool_, (n_columns,))
        all_scales = scales(window)
        all_starts = [
            _checked_starts(
                arrays, f"starts_{number}", scale, n_rows, _bank_size(n_rows, n_columns)
            )
            for number, scale in enumerate(all_scales)
        ]
        stretches = _stretches(list(zip(all_scales, all_starts, strict=True)))
        rows = checked(arrays, "rows", np.float32, (int(stretches[1].sum()), n_columns))
        kept = _rows_in(*stretches)  # as many as there are, whatever the parameters claim
        banks, levels = [], []
        for number, (scale, starts) in enumerate(zip(all_scales, all_starts, strict=True)):
            usual = checked(arrays, f"usual_{number}", np.float32, (2, n_columns, len(starts)))
            has_mean = cls._has_mean(scale, window, n_columns)
            shape = (3 if has_mean else 2,)
            level = checked(arrays, f"level_{number}", np.float64, shape, positive=True)
            if (usual < 0).any():
                raise ValueError("a usual distance of its detector is negative")
            windows = scale.windows(rows, np.searchsorted(kept, starts))
            banks.append(WindowBank(scale, starts, windows, usual, has_mean))
            levels.append(level)
        ridge = usual_least = None
        if "ridge" in parameters:
            ridge = LaggedRidge.restore(parameters["ridge"], arrays, int((~is_constant).sum()))
        if "usual_least" in parameters:
            usual_least = checked_number(parameters, "usual_least", 0)
        return cls(
            **columns,
            is_constant=is_constant,
            n_rows=n_rows,
            rows=rows,
            banks=tuple(banks),
            levels=tuple(levels),
            ridge=ridge,
            usual_least=usual_least,
        )


def _least_change(offset: np.ndarray) -> np.ndarray:
    """What a column's values must differ by to differ at all."""
    return _LEAST_CHANGE * np.maximum(np.abs(offset), 1e-3)


def _scaled(values: np.ndarray, offset: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Values in deviations of their columns, float32; bounded, so that squares stay finite."""
    with np.errstate(over="ignore"):
        scaled = (values - offset) / deviation
    return np.clip(scaled, -_MOST_DEVIATIONS, _MOST_DEVIATIONS).astype(np.float32)


def _bank_size(n_rows: int, n_columns: int) -> int:
    of_one = min(max(_BANK, n_rows // _ROWS_OF_KNOWN), _LARGEST_BANK) if n_columns == 1 else _BANK
    return max(of_one // n_columns, _LEAST_BANK)


def _choose_starts(
    scale: Scale, n_rows: int, n_bank: int, random: np.random.Generator
) -> np.ndarray:
    """Choose the known windows of a series: all on its segments, or one from each of equal cells.

    At equal distances they could have the period's beat.
    """
    n_places = (n_rows - scale.window) // scale.segment + 1
    if n_places <= n_bank:
        return np.arange(n_places) * scale.segment
    edges = np.linspace(0, n_places, n_bank + 1)
    places = edges[:-1] + random.random(n_bank) * np.diff(edges)
    return np.unique(np.minimum(places.astype(np.int64), n_places - 1)) * scale.segment


def _learn(
    scale: Scale, starts: np.ndarray, scaled: np.ndarray, with_mean: bool
) -> tuple[WindowBank, np.ndarray]:
    """Find out how far windows of the training series usually lie from the nearest, and score them.

    Args:
        scale, starts, with_mean: of the bank.
        scaled: (n_rows, n_columns) float32.

    Returns:
        The bank, and (n_scores,) float64, the mean scores.
    """
    windows = scale.windows(scaled, starts)
    nothing = np.zeros((2, *windows.shape[:2]), np.float32)
    bank = WindowBank(scale, starts, windows, nothing, with_mean=False)
    asked = scale.starts(len(scaled))
    asked = asked[:: math.ceil(len(asked) / _FIT_WINDOWS)]
    found = [
        (block, *bank.nearest(scale.windows(scaled, block), block)) for block in _blocks(asked)
    ]
    distances = np.concatenate([distances for _, distances, _ in found], axis=2)
    usual = [[np.interp(starts, asked, column) for column in form] for form in distances]
    bank = WindowBank(scale, starts, windows, np.array(usual, np.float32), with_mean)
    scores = [bank.scores(scale.windows(scaled, block), *nearest) for block, *nearest in found]
    # Where the series repeats itself exactly, any unit does for what does not.
    level = np.maximum(np.concatenate(scores, axis=1).mean(axis=1), DISTANCE_FLOOR)
    return bank, level


def _stretches(windows: list[tuple[Scale, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """The rows that known windows hold, as stretches that do not overlap, in ascending order.

    Returns:
        (n,) int64, the first row of each, and (n,) int64, how many it has, which may be none.
    """
    starts = np.concatenate([starts for _, starts in windows])
    ends = np.concatenate([starts + scale.window for scale, starts in windows])
    order = np.argsort(starts)
    reached = np.maximum.accumulate(ends[order])
    first = np.maximum(starts[order], np.concatenate([[0], reached[:-1]]))
    return first, reached - first


def _rows_in(first: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The numbers of the rows in stretches: see ``_stretches``."""
    before = np.cumsum(counts) - counts
    return np.repeat(first - before, counts) + np.arange(counts.sum())


def _weights(n_scores: int, n_columns: int) -> np.ndarray:
    """Of the scores of one scale in a row's."""
    return np.array([1.0, 1.0, _MEAN_WEIGHT * (n_columns - 1)])[:n_scores]


def _blocks(starts: np.ndarray) -> Iterator[np.ndarray]:
    for first in range(0, len(starts), _BLOCK):
        yield starts[first : first + _BLOCK]


def _checked_starts(
    arrays: dict[str, np.ndarray], name: str, scale: Scale, n_rows: int, most: int
) -> np.ndarray:
    starts = checked(arrays, name, np.int64, ("n_windows",))
    if len(starts) > most:
        raise ValueError(f"its detector knows {len(starts)} windows, not 1 to {most}")
    outside = starts[0] < 0 or starts[-1] > n_rows - scale.window
    if outside or (np.diff(starts) <= 0).any():
        raise ValueError(f"its detector's {name!r} are not in order within the series")
    return starts
