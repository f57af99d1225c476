"""Learn to reconstruct normal images, or windows of a series, even if a few anomalies are there.

  python train_autoencoder.py --dataset digits --model autoencoder.model --save-dataset images.npz
  python train_autoencoder.py --dataset mnist --model autoencoder.model --save-dataset images.npz
  python train_autoencoder.py --dataset my_photos --model my.model --image-size 64
  python train_autoencoder.py --dataset my_photos --model my.model --architecture pca
  python train_autoencoder.py --dataset examples/daily_normal.csv --model s.model -a conv1d
  python train_autoencoder.py --dataset good_parts --model my.model --architecture denoising

Images that the model reconstructs badly are anomalies: find_anomalies.py brings them out of a
dataset, test_anomaly_detector.py labels files. Datasets with labels (mnist, digits, .npz) become
one class with a few of another mixed in; folders and .npz files without labels are taken as they
are. Training does not need to know which are the anomalies. Ctrl-C keeps the best epoch so far; a
killed training goes on with --resume.
"""

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from pyimagesearch.cli import autoencoder_options
from pyimagesearch.cli.autoencoder_options import (
    AutoencoderTraining,
    ImageAutoencoderTraining,
    SeriesAutoencoderTraining,
)
from pyimagesearch.cli.overwriting import check_model_replaceable
from pyimagesearch.cli.series_input import open_series
from pyimagesearch.cli.training_frames import frames_of
from pyimagesearch.data import image_sets, images
from pyimagesearch.data.series import SeriesError
from pyimagesearch.labelling.thresholds import ThresholdRule
from pyimagesearch.line import sources
from pyimagesearch.reports import drawing, plots
from pyimagesearch.reports.series import time_axis
from pyimagesearch.runtime import atomic_files, packages
from pyimagesearch.runtime.console import (
    EXIT_DONE,
    EXIT_INTERRUPTED,
    UserError,
    info,
    printable,
)
from pyimagesearch.training import contamination, image_autoencoders, image_set, trackers
from pyimagesearch.training import series as series_training
from pyimagesearch.training.calibration import report_outlying, report_threshold
from pyimagesearch.training.checkpoints import TrainingRun


def main(argv: Sequence[str] | None = None) -> int:
    """Train an autoencoder as a command line says; return the exit status."""
    options = autoencoder_options.parse(__doc__, argv)
    _check_outputs(options)
    info(f"loading {printable(options.dataset)}...")
    training_run = TrainingRun(options.model, options.resume, options.tracker, options.log_dir)
    if isinstance(options, ImageAutoencoderTraining):
        with _images_of(options) as dataset:
            written = _learn_images(options, dataset, training_run)
    else:
        written = _learn_series(options, training_run)
    for name, path in written.items():
        info(f"{name} written to {printable(path)}")
    training_run.finish()
    return EXIT_INTERRUPTED if training_run.interrupted else EXIT_DONE


def _check_outputs(options: AutoencoderTraining) -> None:
    """Find out, before long work, that its results cannot be made or written."""
    needed = ["sklearn", "matplotlib"]
    if not (isinstance(options, ImageAutoencoderTraining) and options.architecture == "pca"):
        needed = ["tensorflow", "tf2onnx", *needed]  # whose sentence names what brings all of them
    packages.require(*needed)
    paths = [options.model, options.vis, options.plot]
    if isinstance(options, ImageAutoencoderTraining) and options.save_dataset is not None:
        paths.append(options.save_dataset)
    for path in paths:
        atomic_files.check_writable(path)
    check_model_replaceable(options.model, options.force)
    drawing.check_picture_name(options.vis)
    drawing.check_picture_name(options.plot, (".png",))
    trackers.check_tracker(options.tracker)


def _images_of(options: ImageAutoencoderTraining) -> AbstractContextManager[str]:
    """What is read as the dataset: of a video a folder of its frames."""
    if sources.is_video(options.dataset):
        return frames_of(options.dataset, options.every, options.model)
    return nullcontext(options.dataset)


def _learn_images(
    options: ImageAutoencoderTraining, dataset: str, training_run: TrainingRun
) -> dict[str, str]:
    """Write all files of a model of images; these, by what they are."""
    jobs, rule = options.executor.jobs, options.rule
    found = image_set.read_images(
        dataset,
        options.images,
        largest_side=image_autoencoders.ARCHITECTURES[options.architecture].largest_side,
        seed=options.network.seed,
        jobs=jobs,
    )
    fitted = image_autoencoders.fit(
        found, options.architecture, options.network, training_run, rate=rule.asked_rate, jobs=jobs
    )
    report_outlying(fitted.names, fitted.scores)
    if rule.name == "contamination":
        rule = ThresholdRule(rule.name, found.anomalous_share or None)
    threshold = rule.choose(fitted.calibration, fitted.training)
    image_autoencoders.image_model(fitted, threshold).save(options.model)
    report_threshold(threshold, fitted.calibration, rule.asked_rate, options.confidence)
    contamination.report_bias([(fitted.calibration, threshold.value, fitted.n_left_out)])

    examples = image_autoencoders.draw_examples(fitted)
    atomic_files.write_bytes(
        options.vis, images.encode_picture(examples, os.path.splitext(options.vis)[1])
    )
    atomic_files.write_bytes(options.plot, image_autoencoders.plot_fit(fitted))
    training_run.tracker.log_scores("calibration_scores", fitted.scores)
    training_run.tracker.log_image("reconstructions", examples)
    if options.architecture == "denoising" and options.tracker != "none":
        image_autoencoders.log_defective(fitted, training_run.tracker)
    written = {"reconstructions": options.vis, "plot": options.plot}
    if options.save_dataset is not None:
        with atomic_files.atomic_write(options.save_dataset) as file:
            image_sets.write_npz(file, found.dataset)
        written["dataset"] = options.save_dataset
    return written | {"model": options.model}


def _learn_series(options: SeriesAutoencoderTraining, training_run: TrainingRun) -> dict[str, str]:
    """Write all files of a model of a series; these, by what they are."""
    columns, network = options.columns, options.network
    read, grid = open_series(options.dataset, columns.timestamp, columns.values)
    try:
        fitted = series_training.fit_autoencoder(grid, network, training_run, options.contamination)
    except SeriesError as error:
        raise UserError(f"{printable(options.dataset)}: {error}") from error
    threshold = fitted.choose_threshold(options.rule)
    series_training.report_threshold(threshold, fitted)
    series_training.series_model(read, grid.values, fitted, threshold).save(options.model)

    first = next(a for a, b in grid.stretches if b - a >= network.time_steps)
    rows = slice(first, first + network.time_steps)
    at, axis_name = time_axis(read, grid.row)
    picture = plots.plot_reconstruction(
        grid.values[rows],
        fitted.detector.reconstruct(grid.values[rows]),
        (at[rows], axis_name),
        read.names,
        fitted.training,
        threshold.value,
    )
    atomic_files.write_bytes(options.vis, picture)
    atomic_files.write_bytes(
        options.plot,
        plots.plot_losses(
            fitted.network.history,
            fitted.network.best_epoch,
            "mean squared error (squared standard deviations)",
        ),
    )
    training_run.tracker.log_scores("calibration_scores", fitted.calibration)
    training_run.tracker.log_image("reconstruction", images.decode_image(picture))
    return {
        "reconstruction and errors": options.vis,
        "plot": options.plot,
        "model": options.model,
    }
