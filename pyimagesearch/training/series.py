"""The training half for series: rows -> detector -> calibration on blocks of rows -> model."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

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
from pyimagesearch.detectors.series.stream import StreamDetector, default_warm_up
from pyimagesearch.detectors.series.window_autoencoder import Scaling, WindowAutoencoderDetector
from pyimagesearch.labelling import thresholds
from pyimagesearch.labelling.series import score_stretches
from pyimagesearch.metrics import label_ranges
from pyimagesearch.runtime.console import info
from pyimagesearch.training import checkpoints
from pyimagesearch.training.trained_model import TrainedModel

LEAST_STREAM_ROWS = 100


@dataclass(frozen=True)
class Learned:
    """A fitted detector of a series with what its threshold can be chosen from.

    Attributes:
        detector: one of ``registry.DETECTORS``.
        block: rows of a block of calibration.
        calibration: (n_blocks,) the highest score of each block of rows that were not learned.
        calibration_method: how these were made.
        training: (m,) scores of what was learned.
    """

    detector: WindowDetector | CausalDetector
    block: int
    calibration: np.ndarray
    calibration_method: str
    training: np.ndarray


def learn_ensemble(grid: Grid, seed: int) -> Learned:
    """Fit an ``NearestWindowDetector``; windows that overlap none of those they meet calibrate it.

    Detectors fitted without a block of rows each would have windows across the cut among those
    that they know, which move the scale of all their scores.

    Raises:
        SeriesError: the series is too short, or constant.
    """
    try:
        detector = NearestWindowDetector.fit(grid.values, seed=seed)
    except ValueError as error:
        raise SeriesError(str(error)) from error
    _, training = score_stretches(detector, grid, own=True)
    training = training[np.isfinite(training)]
    calibration = thresholds.block_maxima(training, detector.time_steps)
    method = (
        f"highest scores of blocks of {detector.time_steps} rows, their windows compared with "
        "those that they do not overlap"
    )
    return Learned(detector, detector.time_steps, calibration, method, training)


def learn_stream(series: Series) -> Learned:
    """Go through a series with a ``StreamDetector``; what it scored on the way calibrates it.

    Raises:
        SeriesError: the series is too short.
    """
    values, rows, _ = series.in_order()
    if len(values) < LEAST_STREAM_ROWS:
        raise SeriesError(
            f"{len(values):,} rows are too few to learn what is normal: it takes at least "
            f"{LEAST_STREAM_ROWS}"
        )
    if not (values != values[0]).any():
        raise SeriesError(f"nothing changes in these {len(values):,} rows: nothing can be learned")
    times = None if series.times is None else series.times[rows]
    detector = StreamDetector(values.shape[1], warm_up=default_warm_up(len(values)))
    scores = detector.update(times, values)[detector.warm_up :]
    calibration = thresholds.block_maxima(scores, detector.rest)
    method = f"highest scores of blocks of {detector.rest} rows, as they came"
    return Learned(detector, detector.rest, calibration, method, scores)


@dataclass(frozen=True)
class AutoencoderOptions:
    """What can be chosen about an autoencoder of windows.

    Attributes:
        architecture: one of ``series_networks.ARCHITECTURES``.
        time_steps: rows of a window.
        epochs, batch_size, learning_rate, seed: see ``series_networks.training_of``.
        initial_weights: a model file to start from.
    """

    architecture: str = "conv1d"
    time_steps: int = TIME_STEPS
    epochs: int = 50
    batch_size: int = 128
    learning_rate: float = 5e-3
    seed: int = 42
    initial_weights: str | None = None


def learn_autoencoder(
    grid: Grid, chosen: AutoencoderOptions, keeper: checkpoints.Keeper
) -> tuple[Learned, Any]:
    """Train an autoencoder on the windows of a series; blocks held out calibrate it.

    Args:
        grid: the series.
        chosen: of its network.
        keeper: trains it.

    Returns:
        What was learned, its training scores being the errors of all windows that were; and the
        ``keras_loop.Training``.

    Raises:
        SeriesError: the series is too short, or constant.
        KeyboardInterrupt: Ctrl-C before the first epoch was done.
    """
    time_steps = chosen.time_steps
    values = grid.values
    if not (values != values[0]).any():
        raise SeriesError(f"nothing changes in these {len(values):,} rows: nothing can be learned")
    starts = np.concatenate([np.arange(a, b - time_steps + 1) for a, b in grid.stretches])
    if not len(starts):
        raise SeriesError(
            f"{len(values):,} rows without a gap are too few for windows of {time_steps:,}"
        )
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
        checkpoints.take_weights(autoencoder, chosen.initial_weights)
    run = series_networks.training_of(
        autoencoder,
        windows,
        rows,
        held_out,
        epochs=chosen.epochs,
        batch_size=chosen.batch_size,
        learning_rate=chosen.learning_rate,
        seed=chosen.seed,
    )
    info(f"training the network on {len(rows):,} windows, watching {len(held_out):,} others...")
    keeper.begin(run, asdict(chosen) | {"data": digest(values)})
    keeper.train()
    info("writing the network for labelling...")
    detector = WindowAutoencoderDetector(time_steps, scaling, keras_runtime.to_onnx(autoencoder))
    held, known = (_block_maxima_of(detector, values, part) for part in (held_out, rows))
    # The few blocks held out show how much worse the network is where it did not learn; how much
    # blocks differ is taken from all.
    worse = max(np.median(held) / np.median(known), 1.0)
    calibration = np.concatenate([held, worse * known])
    method = (
        f"highest scores of blocks of {time_steps} rows: {len(held)} held out, and {len(known)} "
        f"learned ones times {worse:.4g}, as much as those are worse"
    )
    errors = detector.window_errors(values, rows)
    return Learned(detector, time_steps, calibration, method, errors), run


def _block_maxima_of(
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
    series: Series, grid: Grid, learned: Learned, threshold: thresholds.Threshold, **more: Any
) -> TrainedModel:
    """Put together what goes into the model file of a series.

    Args:
        series, grid: what was learned from.
        learned: from it.
        threshold: the verdict's rule and value.
        more: further fields of ``TrainedModel``.
    """
    return TrainedModel(
        kind=KIND,
        items=("blocks", "scores"),
        preprocessing={
            "timestamp_column": series.time_name,
            "value_columns": list(series.names),
        },
        detector=learned.detector,
        calibration=learned.calibration,
        calibration_method=learned.calibration_method,
        training=learned.training,
        threshold=threshold,
        data_digest=digest(grid.values),
        **more,
    )


def autoencoder_model(
    series: Series,
    grid: Grid,
    learned: Learned,
    threshold: thresholds.Threshold,
    chosen: AutoencoderOptions,
    run: Any,
) -> TrainedModel:
    """As ``series_model``, from what ``learn_autoencoder`` was given and returned."""
    hyperparameters = asdict(chosen) | {"best_epoch": run.best_epoch}
    del hyperparameters["initial_weights"]
    return series_model(
        series,
        grid,
        learned,
        threshold,
        hyperparameters=hyperparameters,
        libraries=("numpy", "keras", "tensorflow"),
        weights=run.autoencoder.get_weights(),
    )


def report_threshold(threshold: thresholds.Threshold, learned: Learned) -> None:
    """Tell the threshold, and how much its false-alarm rate can promise."""
    n_blocks = len(learned.calibration)
    if threshold.rule == "false-alarm-rate":
        info(
            f"false-alarm rate {threshold.parameter:g}: about that share of normal blocks of "
            f"{learned.block} rows would hold an alarm, as {n_blocks} of them let expect; since "
            "rows depend on those before, this is weaker than the promise for images"
        )
        best = thresholds.best_rate(n_blocks)
        if threshold.parameter < best:
            info(
                f"{n_blocks} blocks show rates down to 1/{n_blocks + 1} ({best:.4f}); beyond, the "
                "threshold follows the tail of their scores"
            )
    info(f"anomalies score above {threshold.value:.4f} ({threshold.rule})")
