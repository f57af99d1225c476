"""The labelling half for series: a model file and rows -> scores, verdicts and ranges of time."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pyimagesearch.data.number_format import NUMBER_FORMATS
from pyimagesearch.data.series import KIND, Grid, Series, SeriesError, digest
from pyimagesearch.data.series_columns import Learned
from pyimagesearch.detectors import model_file, registry
from pyimagesearch.detectors.array_checks import checked_number
from pyimagesearch.detectors.base import CausalDetector, WindowDetector
from pyimagesearch.labelling import thresholds
from pyimagesearch.labelling.series_differences import Comparison, compare
from pyimagesearch.labelling.verdict import ANOMALY, NORMAL, UNREADABLE
from pyimagesearch.metrics import label_ranges
from pyimagesearch.runtime.console import counted, printable
from pyimagesearch.runtime.processes import call_in_process

_COMPARED = 20  # of the ranges
_SHOWN_CHARACTERS = 200  # of the names of columns
_REACH = 4  # of a window, which are two periods: anomalies half a period apart are one event


@dataclass(frozen=True)
class Range:
    """A stretch of time that a person would call one event.

    Attributes:
        start, end, peak: times of its first, last and most anomalous row as the file writes them,
            or the numbers of these rows where there are no times.
        score: of the most anomalous row; None where it could not be judged.
        p_value: the least of its rows.
        rows: (first, last) row of the scored series, both inclusive.
        problem: why it could not be judged, or None.
        label: ``ANOMALY``, or ``NORMAL`` where its score is not above the threshold.
        comparison: with the nearest stretch that the model knows; None where there was none.
    """

    start: str
    end: str
    peak: str
    score: float | None
    p_value: float | None
    rows: tuple[int, int]
    problem: str | None = None
    label: str = ANOMALY
    comparison: Comparison | None = None


@dataclass(frozen=True)
class ScoredSeries:
    """The scores of a series, in order of time.

    Attributes:
        series: as it stands in its file.
        values: (n_scored, n_columns) float64, what was scored; rows that were missing are filled.
        row: (n_scored,) the file's row of each; -1 where it was filled.
        scores: (n_scored,) float64, which decide; NaN where a stretch is shorter than a window.
        smoothed: (n_scored,) float64, spread over the windows that hold a row, and around them: by
            these, rows are ranked best. NaN likewise.
        p_values: (n_scored,) float64, of ``scores``.
        position: (n_rows,) of each row of the file in the arrays above; -1 where it has none.
        reach: rows between anomalies of one event, at most.
        n_without_score: rows for which the model finds no finite score; theirs are NaN, too.
        is_learned: whether it is the series that the detector was fitted on.
        score_unit: what ``scores`` are measured in; "" where in nothing.
    """

    series: Series
    values: np.ndarray
    row: np.ndarray
    scores: np.ndarray
    smoothed: np.ndarray
    p_values: np.ndarray
    position: np.ndarray
    reach: int
    n_without_score: int = 0
    is_learned: bool = False
    score_unit: str = ""

    def by_file_row(self, values: np.ndarray) -> np.ndarray:
        """Put one number for each scored row into the file's order; NaN for rows without one."""
        return np.where(self.position < 0, np.nan, values[np.maximum(self.position, 0)])

    def with_row_numbers(self) -> ScoredSeries:
        """The same, whose ranges have the numbers of their rows from 0 in place of times."""
        return replace(self, series=replace(self.series, time_name=None))

    def labels(self, threshold: float) -> np.ndarray:
        """The label of each row of the file: (n_rows,) str."""
        scores = self.by_file_row(self.scores)
        with np.errstate(invalid="ignore"):
            found = np.where(scores > threshold, ANOMALY, NORMAL)
        return np.where(np.isnan(scores), UNREADABLE, found)

    def ranges(self, threshold: float) -> list[Range]:
        """Find the events whose first, last and most anomalous row are anomalies, strangest first.

        Anomalies with at most ``reach`` other rows between them are one event.
        """
        with np.errstate(invalid="ignore"):
            runs = label_ranges(self.scores > threshold)
        joined: list[tuple[int, int]] = []
        for first, last in runs.tolist():
            if joined and first - joined[-1][1] <= self.reach + 1:
                first = joined.pop()[0]
            joined.append((first, last))
        found = [self._range(first, last, ANOMALY) for first, last in joined]
        return sorted(filter(None, found), key=lambda one: -one.score)

    def strangest_below(self, threshold: float, count: int) -> list[Range]:
        """Find the strangest stretches whose scores are not above the threshold, strangest first.

        Each goes as far as scores stay in the upper half, in logs, of what its peak has over the
        usual score. There may be fewer than ``count``: none is near another or near an event.
        """
        usual = float(np.nanmedian(self.scores))
        left = np.where(np.isnan(self.scores), -np.inf, self.scores)
        for one in self.ranges(threshold):
            self._take(left, *one.rows)
        found: list[Range] = []
        while len(found) < count and (peak := int(left.argmax())) >= 0 and left[peak] > usual:
            is_high = left >= max(usual * left[peak], 0.0) ** 0.5
            outside = np.flatnonzero(~is_high)
            side = np.searchsorted(outside, peak)
            first = int(outside[side - 1]) + 1 if side else 0
            last = int(outside[side]) - 1 if side < len(outside) else len(left) - 1
            if one := self._range(first, last, NORMAL):
                found.append(one)
            self._take(left, first, last)
        return found

    def _take(self, left: np.ndarray, first: int, last: int) -> None:
        """Leave out the rows of a range, and what is near."""
        left[max(first - self.reach, 0) : last + self.reach + 1] = -np.inf

    def _range(self, first: int, last: int, label: str) -> Range | None:
        """The range of these rows, without those at its ends that the file does not have."""
        present = first + np.flatnonzero(self.row[first : last + 1] >= 0)
        if not len(present):
            return None
        scores = self.scores[present]
        highest = present[scores == np.nanmax(scores)]
        peak = highest[np.argmax(self.smoothed[highest])]
        start, end, at = (
            self.series.when(int(self.row[i])) for i in (present[0], present[-1], peak)
        )
        p_value = float(np.nanmin(self.p_values[first : last + 1]))
        return Range(start, end, at, float(self.scores[peak]), p_value, (first, last), None, label)


@dataclass(frozen=True)
class SeriesLabeller:
    """A trained model of series, ready to score others.

    Attributes:
        detector: scores rows.
        names: of the columns that it learned.
        time_name: of the column with the times, or None.
        calibration: (n,) float64 sorted, the highest scores of blocks of normal rows that the
            detector did not see.
        training: (m,) float64, the training scores.
        threshold: the score above which a row is an anomaly.
        digest: of the series that it was fitted on.
        contamination: the share of the blocks that may be anomalous.
        has_default_rate: whether the threshold is of the false-alarm rate that nobody asked for.
        times, number_formats: how the columns were written: see ``Learned``.
    """

    detector: WindowDetector | CausalDetector
    names: tuple[str, ...]
    time_name: str | None
    calibration: np.ndarray
    training: np.ndarray
    threshold: float
    digest: str
    contamination: float = thresholds.DEFAULT_BLOCK_CONTAMINATION
    times: str | None = None
    number_formats: tuple[str | None, ...] = ()
    has_default_rate: bool = False

    @classmethod
    def from_model(cls, model: model_file.ModelFile) -> SeriesLabeller:
        """Restore the labeller of a model file.

        A network is opened and run by another process first.

        Raises:
            ModelFileError: it is not a usable one of a series.
            runtime.limits.NetworkLimitError: its network takes more than it may.
        """
        with model_file.usable():
            model.check_kind(KIND)
            preprocessing = model.manifest["preprocessing"]
            names, time_name = preprocessing["value_columns"], preprocessing["timestamp_column"]
            detector = registry.restore(model)
            if not all(isinstance(name, str) for name in names) or not (
                time_name is None or isinstance(time_name, str)
            ):
                raise ValueError("the names of its columns are not text")
            if not isinstance(
                detector, (WindowDetector, CausalDetector)
            ) or detector.n_columns != len(names):
                n_columns = counted(len(names), "column")
                raise ValueError(f"its detector is not one of a series of {n_columns}")
            if detector.networks():
                call_in_process(detector.check)
            else:
                detector.check()
            calibration = np.sort(model.scores("calibration_scores"))
            rule = model.manifest["threshold"]
            is_default = rule["parameter"] == thresholds.default_block_rate(len(calibration))
            return cls(
                detector=detector,
                names=tuple(names),
                time_name=time_name,
                calibration=calibration,
                training=model.scores("training_scores"),
                threshold=model.threshold,
                digest=str(model.manifest["training"]["sha256"]),
                contamination=_contamination(model.manifest),
                times=_time_format(preprocessing),
                number_formats=_number_formats(preprocessing),
                has_default_rate=rule["rule"] == thresholds.FALSE_ALARM_RATE and is_default,
            )

    @property
    def learned(self) -> Learned:
        """The columns that it learned, for who reads a series for it."""
        return Learned(self.time_name, self.names, self.times, self.number_formats)

    @property
    def causal(self) -> CausalDetector | None:
        """The detector, where it scores rows as they come."""
        return self.detector if isinstance(self.detector, CausalDetector) else None

    def label(self, series: Series, grid: Grid) -> ScoredSeries:
        """Score all rows of a series.

        Where it is the series that the detector was fitted on, no window is compared with one that
        overlaps it.

        Raises:
            SeriesError: another number of columns than the model's, or no stretch of it is as
                long as a window.
        """
        self.check_columns(series.values.shape[1])
        if isinstance(self.detector, CausalDetector):
            values, row, position = series.in_order()
            times = None if series.times is None else series.times[row]
            smoothed = scores = self.detector.update(times, values)
            reach, is_learned = 0, False
        else:
            values, row, position = grid.values, grid.row, grid.position
            is_learned = digest(grid.values) == self.digest
            detector = self.detector
            score = functools.partial(
                score_stretches, detector.score_rows, detector.time_steps, grid, is_learned
            )
            # Of a network that computes well on nothing, nobody knows what it does with these rows.
            smoothed, scores = call_in_process(score) if detector.networks() else score()
            reach = detector.time_steps // _REACH
        known = np.isfinite(smoothed) & np.isfinite(scores)
        n_without = int((~known).sum()) - self._n_in_short_stretches(grid)
        smoothed[~known] = scores[~known] = np.nan
        p_values = np.full(len(scores), np.nan)
        p_values[known] = self.p_values(scores[known])
        return ScoredSeries(
            series,
            values,
            row,
            scores,
            smoothed,
            p_values,
            position,
            reach,
            n_without,
            is_learned,
            self.detector.SCORE_UNIT,
        )

    def compared(self, scored: ScoredSeries, grid: Grid, ranges: Sequence[Range]) -> list[Range]:
        """Compare the first ranges with the nearest stretches that the model knows.

        Args:
            scored, grid: the series of ``label``.
            ranges: of it.

        Returns:
            The ranges, of which some have a ``comparison``.
        """
        detector = self.detector
        if not isinstance(detector, WindowDetector):
            return list(ranges)

        def with_comparison(one: Range) -> Range:
            start, end = next((a, b) for a, b in grid.stretches if a <= one.rows[0] < b)
            first, last = one.rows[0] - start, one.rows[1] - start
            present = start + np.flatnonzero(scored.row[start:end] >= 0)

            def when(row: int) -> str:
                nearest = present[np.abs(present - (start + row)).argmin()]
                return scored.series.when(int(scored.row[nearest]))

            found = compare(
                detector,
                grid.values[start:end],
                (first, last),
                start if scored.is_learned else None,
                self.names,
                when,
            )
            if found is None:
                return one
            return replace(one, comparison=replace(found, first=start + found.first))

        return [with_comparison(one) for one in ranges[:_COMPARED]] + list(ranges[_COMPARED:])

    def p_values(self, scores: np.ndarray) -> np.ndarray:
        """The p-values of (n,) finite scores."""
        return thresholds.block_p_values(scores, self.calibration, self.contamination)

    @property
    def rule_in_learned(self) -> thresholds.ThresholdRule | None:
        """The rule by which the series that was learned is searched; None where it is the model's.

        What is strange in it is asked, and some of it may be: see ``default_block_rate``.
        """
        n_blocks = len(self.calibration)
        rate = thresholds.default_block_rate(n_blocks, is_learned=True)
        is_usual = rate == thresholds.default_block_rate(n_blocks)
        if not self.has_default_rate or is_usual or self.causal is not None:
            return None
        return thresholds.ThresholdRule(thresholds.FALSE_ALARM_RATE, rate)

    def threshold_for(self, scored: ScoredSeries) -> float:
        """The threshold for a series where none is asked for: see ``rule_in_learned``."""
        rule = self.rule_in_learned if scored.is_learned else None
        return self.threshold if rule is None else self.choose_threshold(rule, scored.scores).value

    def choose_threshold(
        self, rule: thresholds.ThresholdRule, scores: np.ndarray
    ) -> thresholds.Threshold:
        """The threshold that a rule gives; a quantile is one of (m,) ``scores``."""
        compared = scores if rule.name == "quantile" else self.training
        return rule.choose(self.calibration, compared, block_contamination=self.contamination)

    def _n_in_short_stretches(self, grid: Grid) -> int:
        """Rows of the grid that are not scored, since there is no window of them."""
        if isinstance(self.detector, CausalDetector):
            return 0
        lengths = (end - start for start, end in grid.stretches)
        return sum(length for length in lengths if length < self.detector.time_steps)

    def check_columns(self, n_columns: int) -> None:
        """Raise ``SeriesError`` where the model learned another number of columns."""
        if n_columns != len(self.names):
            learned = printable(", ".join(self.names))[:_SHOWN_CHARACTERS]
            raise SeriesError(
                f"it has {counted(n_columns, 'column')} of values, and the model learned "
                f"{len(self.names)} ({learned})"
            )


def score_stretches(
    score: Callable[[np.ndarray, int | None], tuple[np.ndarray, np.ndarray]],
    time_steps: int,
    grid: Grid,
    own: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Score the rows of a series, each stretch without a gap on its own.

    Args:
        score: ``WindowDetector.score_rows``, or what takes the same.
        time_steps: rows of a window.
        grid: the series.
        own: whether it is what the detector was fitted on.

    Returns:
        (n_grid,) float64 and (n_grid,) float64, what ``score`` gives; NaN where a stretch is
        shorter than a window.

    Raises:
        SeriesError: no stretch is as long as a window.
    """
    long_enough = [(a, b) for a, b in grid.stretches if b - a >= time_steps]
    if not long_enough:
        longest = max(b - a for a, b in grid.stretches)
        raise SeriesError(
            f"its longest stretch without a gap has {counted(longest, 'row')}, and the model takes "
            f"windows of {time_steps:,}"
        )
    first, second = np.full((2, len(grid.values)), np.nan)
    for start, end in long_enough:
        first[start:end], second[start:end] = score(grid.values[start:end], start if own else None)
    return first, second


def _time_format(preprocessing: Mapping[str, Any]) -> str | None:
    """What a model file says; those of older versions say nothing."""
    times = preprocessing.get("times")
    if not (times is None or isinstance(times, str)):
        raise ValueError("what its times were read as is no text")
    return times


def _number_formats(preprocessing: Mapping[str, Any]) -> tuple[str | None, ...]:
    """What a model file says; those of older versions say nothing."""
    formats = preprocessing.get("number_formats", [])
    if not isinstance(formats, list) or not all(
        known is None or known in NUMBER_FORMATS for known in formats
    ):
        raise ValueError("the formats of its numbers are unknown")
    return tuple(formats)


def _contamination(manifest: Mapping[str, Any]) -> float:
    """What a model file says; those of older versions say nothing."""
    hyperparameters = manifest.get("hyperparameters")
    if not isinstance(hyperparameters, dict) or "contamination" not in hyperparameters:
        return thresholds.DEFAULT_BLOCK_CONTAMINATION
    return checked_number(hyperparameters, "contamination", 0, 1)
