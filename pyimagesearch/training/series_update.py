"""Update a model of a series by later rows of it, so that it follows what becomes normal."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pyimagesearch.data.series import KIND, Grid, Series, SeriesError
from pyimagesearch.detectors import model_file
from pyimagesearch.detectors.array_checks import checked_count, checked_number
from pyimagesearch.detectors.model_file import ModelFile, ModelFileError
from pyimagesearch.detectors.series.nearest_window import NearestWindowDetector
from pyimagesearch.detectors.series.stream import StreamDetector, default_warm_up
from pyimagesearch.labelling import thresholds
from pyimagesearch.labelling.series import SeriesLabeller
from pyimagesearch.labelling.stream import Order, learned_until, shown_time
from pyimagesearch.labelling.thresholds import ThresholdRule
from pyimagesearch.runtime.console import counted, info
from pyimagesearch.training.series import (
    LEAST_STREAM_ROWS,
    SeriesFit,
    fit_nearest_window,
    series_model,
)
from pyimagesearch.training.trained_model import TrainedModel


@dataclass(frozen=True)
class KnownSeries:
    """A model that is to be updated.

    Attributes:
        labeller: what was restored from it; a stream's detector changes with the update.
        rule: by which its threshold was chosen.
        seed: of its random choices.
        until: the time up to which a stream has seen rows, in nanoseconds since 1970; or None.
        learned: the time up to which their scores calibrate it, likewise: those that it has only
            followed do not yet.
        preprocessing: what the model file says of the columns.
        header: the line that names the columns of what a stream has followed, or None.
    """

    labeller: SeriesLabeller
    rule: ThresholdRule
    seed: int
    until: int | None
    learned: int | None
    preprocessing: dict[str, Any]
    header: bytes | None

    @classmethod
    def open(cls, path: str, method: str | None) -> KnownSeries:
        """Open a model file.

        Args:
            path: of it.
            method: that was asked for, or None.

        Raises:
            UserError: it is not a usable model of a series, or one that cannot be updated.
            OSError: it cannot be read.
        """
        with model_file.named(path):
            return cls.from_model(model_file.load_model(path), method)

    @classmethod
    def from_model(cls, model: ModelFile, method: str | None = None) -> KnownSeries:
        """Take over a model file that was read already: see ``open``.

        Raises:
            ModelFileError: it is not a usable model of a series, or one that cannot be updated.
        """
        if model.manifest.get("kind") != KIND:
            raise ModelFileError("a series cannot be added to a model of images")
        labeller = SeriesLabeller.from_model(model)
        name = labeller.detector.name
        if not isinstance(labeller.detector, (StreamDetector, NearestWindowDetector)):
            raise ModelFileError(
                f"a model of {name} cannot be updated; training an autoencoder with "
                "--initial-weights begins with its network"
            )
        is_stream = isinstance(labeller.detector, StreamDetector)
        if method not in (None, "stream" if is_stream else "nearest-window"):
            raise ModelFileError(f"it is not a model of the method {method}")
        with model_file.usable():
            rule = _rule(model, labeller)
            seed = checked_count(model.manifest["hyperparameters"], "seed", 0, 2**63)
        order, learned = Order.from_manifest(model.manifest), learned_until(model.manifest)
        until = learned if order.seen is None else order.seen
        preprocessing = model.manifest["preprocessing"]
        return cls(labeller, rule, seed, until, learned, preprocessing, order.header)

    def update(
        self,
        series: Series,
        grid: Grid,
        *,
        rule: ThresholdRule | None = None,
        seed: int | None = None,
        contamination: float | None = None,
    ) -> tuple[SeriesFit, thresholds.Threshold, TrainedModel]:
        """Learn later rows.

        A stream goes on from its state: rows that it has seen are left out, and the scores of the
        others join its calibration. Of windows, the detector is fitted anew, on these rows alone.

        Args:
            series, grid: the rows, with the columns that the model learned.
            rule, seed, contamination: as of training; None takes what the model has.

        Returns:
            The fit, its threshold, and what goes into the model file.

        Raises:
            SeriesError: nothing can be learned.
        """
        rule = rule or self.rule
        if isinstance(self.labeller.detector, StreamDetector):
            updated = self.go_on(series, rule, contamination)
            return updated.fitted, updated.threshold, updated.model()
        contamination = self.labeller.contamination if contamination is None else contamination
        info("fitted anew on these rows alone, with the model's columns and options")
        fitted = fit_nearest_window(grid, self.seed if seed is None else seed, contamination)
        threshold = fitted.choose_threshold(rule)
        return fitted, threshold, series_model(series, grid.values, fitted, threshold)

    def go_on(
        self,
        series: Series,
        rule: ThresholdRule | None = None,
        contamination: float | None = None,
    ) -> UpdatedStream:
        """Let a stream learn later rows; its detector is changed.

        Args:
            series, rule, contamination: as of ``update``.

        Raises:
            SeriesError: there is nothing to learn.
        """
        detector = self.labeller.detector
        if not isinstance(detector, StreamDetector):
            raise TypeError(f"a detector {detector.name!r} does not learn rows as they come")
        contamination = self.labeller.contamination if contamination is None else contamination
        self.labeller.check_columns(series.values.shape[1])
        values, rows, _ = series.in_order()
        if not len(values):
            raise SeriesError("no row has a number that could be judged")
        times = None if series.times is None else series.times[rows]
        new, followed = self._unknown_rows(times, len(values))
        scores = detector.update(None if times is None else times[new], values[new])
        if followed.stop > followed.start:
            alone = _scores_alone(None if times is None else times[followed], values[followed])
            scores = np.concatenate([alone, scores])
        n_learned = new.stop - followed.start
        info(f"{counted(n_learned, 'row')} learned, on top of what the model knew")
        labeller = self.labeller
        fitted = SeriesFit(
            detector=detector,
            block=detector.rest,
            contamination=contamination,
            calibration=np.concatenate(
                [labeller.calibration, thresholds.block_maxima(scores, detector.rest)]
            ),
            calibration_method=(
                f"highest scores of blocks of {detector.rest} rows, as they came, added to "
                f"{len(labeller.calibration)}"
            ),
            training=np.concatenate([labeller.training, scores]),
            hyperparameters={"seed": self.seed, "contamination": contamination},
        )
        order = Order.after(times)
        order.header = self.header
        threshold = fitted.choose_threshold(rule or self.rule)
        return UpdatedStream(self, series, values, fitted, threshold, order)

    def _unknown_rows(self, times: np.ndarray | None, n_rows: int) -> tuple[slice, slice]:
        """The rows that the detector has not seen, and those that it has followed, not learned.

        Args:
            times: (n_rows,) int64 in ascending order, or None.

        Raises:
            SeriesError: there are neither.
        """
        if times is None or self.until is None:
            return slice(0, n_rows), slice(0, 0)
        first_new = int(np.searchsorted(times, self.until, side="right"))
        first = first_new
        if self.learned is not None and first_new:
            first = int(np.searchsorted(times, min(self.learned, self.until), side="right"))
        if first_new - first < LEAST_STREAM_ROWS:
            first = first_new  # too few to score by themselves
        if first == n_rows:
            raise SeriesError(
                f"no row is later than {shown_time(self.until)}, up to which the model has seen "
                "them: there is nothing to learn"
            )
        if first:
            left_out_until = shown_time(int(times[first - 1]))
            info(
                f"{counted(first, 'row')} up to {left_out_until} left out: the model has seen them"
            )
        if first < first_new:
            info(
                f"{counted(first_new - first, 'row')} up to {shown_time(self.until)} followed "
                "already: their scores, by themselves, join the calibration"
            )
        return slice(first_new, n_rows), slice(first, first_new)


@dataclass(frozen=True)
class UpdatedStream:
    """A stream behind rows that it has learned.

    Attributes:
        before: what was known of it.
        series: the rows.
        values: (n, n_columns) float64, those with a number, in order of time.
        fitted, threshold: as of ``KnownSeries.update``.
        order: where the rows have left off.
    """

    before: KnownSeries
    series: Series
    values: np.ndarray
    fitted: SeriesFit
    threshold: thresholds.Threshold
    order: Order

    def model(self) -> TrainedModel:
        """What goes into the model file."""
        trained = series_model(self.series, self.values, self.fitted, self.threshold)
        before, where = self.before.preprocessing, self.order.described()
        return replace(trained, preprocessing=before, where=where)

    def known(self) -> KnownSeries:
        """What ``KnownSeries.from_model`` finds in this model file: to go on without writing it."""
        labeller = replace(
            self.before.labeller,
            calibration=np.sort(self.fitted.calibration),
            training=self.fitted.training,
            threshold=self.threshold.value,
            contamination=self.fitted.contamination,
        )
        return replace(self.before, labeller=labeller, until=self.order.seen, learned=None)


def _scores_alone(times: np.ndarray | None, values: np.ndarray) -> np.ndarray:
    """Scores of rows as of a stream that begins with them, without those of its warm-up."""
    detector = StreamDetector(values.shape[1], warm_up=default_warm_up(len(values)))
    return detector.update(times, values)[detector.warm_up :]


def _rule(model: ModelFile, labeller: SeriesLabeller) -> ThresholdRule:
    """The rule of a model file, which may say anything; of a rate by default, that default."""
    described = model.manifest["threshold"]
    name = described["rule"]
    if name not in thresholds.RULES:
        return ThresholdRule(thresholds.NUMBER, labeller.threshold)
    if name == "max":
        return ThresholdRule(name)
    parameter = checked_number(described, "parameter", 0, 1)
    if labeller.has_default_rate:
        return ThresholdRule()
    return ThresholdRule(name, parameter)
