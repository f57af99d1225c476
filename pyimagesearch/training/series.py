"""The training half for series: rows -> detector -> calibration on blocks of rows -> model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from pyimagesearch.data.series import (
    KIND,
    TIME_STEPS,
    Grid,
    Series,
    SeriesError,
    create_sequences,
    digest,
)
from pyimagesearch.detectors.base import CausalDetector, WindowDetector
from pyimagesearch.detectors.series.nearest_window import NearestWindowDetector
from pyimagesearch.detectors.series.stream import (
    DEFAULT_THRESHOLD,
    StreamDetector,
    default_warm_up,
)
from pyimagesearch.detectors.series.window_autoencoder import Scaling, WindowAutoencoderDetector
from pyimagesearch.labelling import thresholds
from pyimagesearch.labelling.series import score_stretches
from pyimagesearch.labelling.stream import described_end, shown_time
from pyimagesearch.metrics import label_ranges
from pyimagesearch.runtime.console import counted, info, warn
from pyimagesearch.training import contamination
from pyimagesearch.training.checkpoints import TrainingRun, load_weights
from pyimagesearch.training.trained_model import Fit, TrainedModel

if TYPE_CHECKING:  # Keras takes seconds to import
    from pyimagesearch.training.keras_loop import Training

METHODS = ("nearest-window", "stream")
LEAST_STREAM_ROWS = 100
_BLOCKS_IN_WINDOW = 2  # of two periods: a block is about one


@dataclass(frozen=True)
class SeriesFit(Fit):
    """A fitted detector of a series, calibrated by the highest score of each block of rows.

    Attributes:
        block: rows of a block.
        contamination: the share of the blocks that may be anomalous.
        block_rows: (n_blocks,) int64, the row of the file that each block begins with, -1 where it
            is not there; empty where scores do not say which blocks stand apart.
    """

    detector: WindowDetector | CausalDetector
    block: int
    contamination: float = field(default=thresholds.DEFAULT_BLOCK_CONTAMINATION, kw_only=True)
    block_rows: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64), kw_only=True)

    def choose_threshold(self, rule: thresholds.ThresholdRule) -> thresholds.Threshold:
        """The threshold that a rule gives for series."""
        return rule.choose(self.calibration, self.training, block_contamination=self.contamination)


@dataclass(frozen=True)
class WindowAutoencoderFit(SeriesFit):
    """A fitted autoencoder of windows; its training scores are the errors of learned windows.

    Attributes:
        network: the training of its network.
    """

    detector: WindowAutoencoderDetector
    network: Training


def fit_nearest_window(grid: Grid, seed: int, contamination: float | None = None) -> SeriesFit:
    """Fit a ``NearestWindowDetector``; windows that overlap none of those they meet calibrate it.

    Detectors fitted without a block of rows each would have windows across the cut among those
    that they know, which move the scale of all their scores.

    Args:
        grid: the series.
        seed: of all random choices.
        contamination: the share of its blocks that may be anomalous; None for the usual one.

    Raises:
        SeriesError: the series is too short.
    """
    try:
        detector = NearestWindowDetector.fit(grid.values, seed=seed)
    except ValueError as error:
        raise SeriesError(str(error)) from error
    if n_constant := int(detector.is_constant.sum()):
        columns = counted(n_constant, "column")
        info(f"{columns} of {detector.n_columns} constant: any change there is an anomaly")
    mean, least = score_stretches(detector.mean_and_least, detector.time_steps, grid, own=True)
    is_known = np.isfinite(least)
    detector = replace(detector, usual_least=float(np.median(least[is_known])))
    training = np.full(len(least), np.nan)
    for rows in (slice(a, b) for a, b in grid.stretches if is_known[a]):
        training[rows] = detector.deciding(mean[rows], least[rows])
    training = training[is_known]
    block = max(detector.time_steps // _BLOCKS_IN_WINDOW, 1)
    calibration = thresholds.block_maxima(training, block)
    if contamination is None:
        contamination = thresholds.DEFAULT_BLOCK_CONTAMINATION
    method = (
        f"highest scores of blocks of {block} rows, their windows compared with those that they do "
        f"not overlap; {contamination:g} of the blocks may be anomalous"
    )
    return SeriesFit(
        detector=detector,
        block=block,
        contamination=contamination,
        block_rows=grid.row[np.flatnonzero(is_known)][::block][: len(calibration)],
        calibration=calibration,
        calibration_method=method,
        training=training,
        hyperparameters={"seed": seed, "contamination": contamination},
    )


def fit_stream(series: Series, seed: int, contamination: float | None = None) -> SeriesFit:
    """Pass a series through a ``StreamDetector``; its scores of the rows calibrate it.

    Args:
        series: to learn from.
        seed: noted in the model file; nothing is drawn.
        contamination: the share of its blocks that may be anomalous; None for the usual one.

    Raises:
        SeriesError: the series is too short.
    """
    values, rows, _ = series.in_order()
    if len(values) < LEAST_STREAM_ROWS:
        raise SeriesError(
            f"{counted(len(values), 'row')}: too few to learn what is normal, it takes at least "
            f"{LEAST_STREAM_ROWS}"
        )
    if not (values != values[0]).any():
        raise SeriesError(f"nothing changes in these {len(values):,} rows: nothing can be learned")
    times = None if series.times is None else series.times[rows]
    detector = StreamDetector(values.shape[1], warm_up=default_warm_up(len(values)))
    scores = detector.update(times, values)[detector.warm_up :]
    calibration = thresholds.block_maxima(scores, detector.rest)
    method = f"highest scores of blocks of {detector.rest} rows, as they came"
    if contamination is None:
        contamination = thresholds.DEFAULT_BLOCK_CONTAMINATION
    return SeriesFit(
        detector=detector,
        block=detector.rest,
        contamination=contamination,
        calibration=calibration,
        calibration_method=method,
        training=scores,
        hyperparameters={"seed": seed, "contamination": contamination},
    )


@dataclass(frozen=True)
class SeriesRecipe:
    """How a detector of a series is fitted, and its threshold chosen.

    Attributes:
        method: one of ``METHODS``.
        seed: of all random choices.
        contamination: share of the blocks of rows that may be anomalous; None for the usual one.
        rule: that chooses the threshold.
    """

    method: str
    seed: int
    contamination: float | None
    rule: thresholds.ThresholdRule

    @classmethod
    def choose(
        cls,
        method: str,
        seed: int,
        contamination: float | None,
        rule: thresholds.ThresholdRule | None,
    ) -> SeriesRecipe:
        """The recipe that was asked for, with the method's usual rule where none was."""
        if rule is None and method == "stream":
            rule = thresholds.ThresholdRule(thresholds.NUMBER, DEFAULT_THRESHOLD)
        return cls(method, seed, contamination, rule or thresholds.ThresholdRule())

    def learn(
        self, series: Series, grid: Grid
    ) -> tuple[SeriesFit, thresholds.Threshold, TrainedModel]:
        """Fit the detector and choose its threshold; what goes into the model file comes last.

        Raises:
            SeriesError: nothing can be learned.
        """
        fitted = self.fit(series, grid)
        threshold = fitted.choose_threshold(self.rule)
        return fitted, threshold, series_model(series, grid.values, fitted, threshold)

    def fit(self, series: Series, grid: Grid) -> SeriesFit:
        """Fit the detector; raises ``SeriesError`` where nothing can be learned."""
        if self.method == "stream":
            return fit_stream(series, self.seed, self.contamination)
        return fit_nearest_window(grid, self.seed, self.contamination)


@dataclass(frozen=True)
class AutoencoderOptions:
    """What can be chosen about an autoencoder of windows.

    Attributes:
        architecture: one of ``series_networks.ARCHITECTURES``.
        time_steps: rows of a window.
        epochs, batch_size, learning_rate, seed: see ``series_networks.new_training``.
        initial_weights: a model file to start from.
    """

    architecture: str = "conv1d"
    time_steps: int = TIME_STEPS
    epochs: int = 50
    batch_size: int = 128
    learning_rate: float = 5e-3
    seed: int = 42
    initial_weights: str | None = None


def fit_autoencoder(
    grid: Grid, chosen: AutoencoderOptions, run: TrainingRun, contamination: float | None = None
) -> WindowAutoencoderFit:
    """Train an autoencoder on the windows of a series; blocks held out calibrate it.

    Args:
        grid: the series.
        chosen: of its network.
        run: trains it.
        contamination: the share of its blocks that may be anomalous; None for the usual one.

    Raises:
        SeriesError: the series is too short, or constant.
        KeyboardInterrupt: Ctrl-C before the first epoch was done.
    """
    time_steps = chosen.time_steps
    values = grid.values
    starts = np.concatenate([np.arange(a, b - time_steps + 1) for a, b in grid.stretches])
    if not len(starts):
        raise SeriesError(
            f"{counted(len(values), 'row')} without a gap: too few for windows of {time_steps:,}"
        )
    if not (values != values[0]).any():
        raise SeriesError(f"nothing changes in these {len(values):,} rows: nothing can be learned")
    info("loading TensorFlow...")
    from pyimagesearch.runtime import keras as keras_runtime
    from pyimagesearch.training import series_networks

    try:
        scaling = Scaling.fit(values)
        windows = create_sequences(scaling.apply(values), time_steps)
        rows, held_out = series_networks.hold_out(starts, time_steps)
    except ValueError as error:
        raise SeriesError(str(error)) from error
    keras_runtime.make_repeatable(chosen.seed)
    build = series_networks.ARCHITECTURES[chosen.architecture].build
    autoencoder = build(time_steps, values.shape[1])
    if chosen.initial_weights is not None:
        load_weights(autoencoder, chosen.initial_weights)
    network = series_networks.new_training(
        autoencoder,
        windows,
        rows,
        held_out,
        epochs=chosen.epochs,
        batch_size=chosen.batch_size,
        learning_rate=chosen.learning_rate,
        seed=chosen.seed,
    )
    info(
        f"training the network on {counted(len(rows), 'window')}, "
        f"with {counted(len(held_out), 'other')} held out..."
    )
    run.train(network, asdict(chosen) | {"data": digest(values)})
    info("writing the network for labelling...")
    detector = WindowAutoencoderDetector(time_steps, scaling, keras_runtime.to_onnx(autoencoder))
    held, known = (_block_maxima(detector, values, starts) for starts in (held_out, rows))
    # The few blocks held out show how much worse the network is where it did not learn; how much
    # blocks differ is taken from all.
    worse = max(np.median(held) / np.median(known), 1.0)
    calibration = np.concatenate([held, worse * known])
    method = (
        f"highest scores of blocks of {time_steps} rows: {len(held)} held out, and {len(known)} "
        f"learned ones times {worse:.4g}, as much as those are worse"
    )
    if contamination is None:
        contamination = thresholds.DEFAULT_BLOCK_CONTAMINATION
    hyperparameters = asdict(chosen) | {
        "best_epoch": network.best_epoch,
        "contamination": contamination,
    }
    del hyperparameters["initial_weights"]
    return WindowAutoencoderFit(
        detector=detector,
        block=time_steps,
        contamination=contamination,
        calibration=calibration,
        calibration_method=method,
        training=detector.window_errors(values, rows),
        hyperparameters=hyperparameters,
        network=network,
    )


def _block_maxima(
    detector: WindowAutoencoderDetector, values: np.ndarray, starts: np.ndarray
) -> np.ndarray:
    """The highest scores of the blocks that windows which begin at some rows hold."""
    begins = np.zeros(len(values), bool)
    begins[starts] = True
    maxima = []
    for first, last in label_ranges(begins):
        _, least = detector.score_rows(values[first : last + detector.time_steps])
        maxima.append(thresholds.block_maxima(least, detector.time_steps))
    return np.concatenate(maxima)


def series_model(
    series: Series, values: np.ndarray, fitted: SeriesFit, threshold: thresholds.Threshold
) -> TrainedModel:
    """Put together what goes into the model file of a series.

    Args:
        series: what was learned from.
        values: (n, n_columns) float64, its rows as they were learned.
        fitted: the detector.
        threshold: the verdict's rule and value.
    """
    libraries: tuple[str, ...] = ("numpy", "scikit-learn")
    weights: Sequence[np.ndarray] = ()
    if isinstance(fitted, WindowAutoencoderFit):
        libraries = ("numpy", "keras", "tensorflow")
        weights = fitted.network.autoencoder.get_weights()
    return TrainedModel(
        fit=fitted,
        kind=KIND,
        items=("blocks", "scores"),
        preprocessing={
            "timestamp_column": series.time_name,
            "value_columns": list(series.names),
            "number_formats": list(series.number_formats),
            **({} if series.columns is None else series.columns.described()),
        },
        threshold=threshold,
        data_digest=digest(values),
        where=described_end(series) if isinstance(fitted.detector, CausalDetector) else {},
        libraries=libraries,
        weights=weights,
    )


def report_blocks_apart(fitted: SeriesFit, series: Series) -> None:
    """Report blocks that stand apart from the rest; warn where more do than may be anomalous.

    Args:
        fitted: to the series; of a contamination of 0 nothing is reported.
        series: says when the blocks begin.
    """
    n_blocks = len(fitted.block_rows)
    if not n_blocks or not fitted.contamination:
        return
    found = contamination.find_suspects(fitted.calibration, None).indices
    n_found = len(found)
    if not n_found:
        return
    begins = [
        f"row {row:,}" if series.times is None else shown_time(int(series.times[row]))
        for row in np.sort(fitted.block_rows[found])
        if row >= 0
    ]
    presumed = f"{fitted.contamination:.0%} may be anomalous without hiding others"
    sentence = (
        f"{n_found} of {counted(n_blocks, 'block')} of {counted(fitted.block, 'row')} stand apart "
        f"from the rest, as anomalies would, from {contamination.listed(begins)}; up to {presumed}"
    )
    if n_found <= fitted.contamination * n_blocks:
        info(sentence)
    else:
        warn(f"{sentence}: --contamination {n_found / n_blocks + 0.005:.2f} presumes these")


def report_threshold(threshold: thresholds.Threshold, fitted: SeriesFit) -> None:
    """Report the threshold, and what its false-alarm rate promises."""
    n_blocks = len(fitted.calibration)
    if threshold.rule == thresholds.FALSE_ALARM_RATE:
        expected = threshold.parameter * n_blocks
        info(
            f"false-alarm rate {threshold.parameter:.3g}: about that share of normal blocks of "
            f"{counted(fitted.block, 'row')} would hold an alarm, {expected:.2g} "
            f"in a normal series as long as this one of {counted(n_blocks, 'block')}, of which "
            f"{fitted.contamination:.0%} may be anomalous (--false-alarm-rate, --contamination); "
            "since rows depend on those before, this is weaker than the promise for images"
        )
    info(str(threshold))
