"""The options of train_autoencoder.py."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pyimagesearch.cli import arguments, option_rules, series_input
from pyimagesearch.cli.argument_types import share, share_or_zero, whole_number
from pyimagesearch.cli.arguments import Columns, Executor
from pyimagesearch.data import image_sets
from pyimagesearch.data.synthetic import defects
from pyimagesearch.data.videos import Every
from pyimagesearch.labelling import thresholds
from pyimagesearch.labelling.thresholds import ThresholdRule
from pyimagesearch.line import sources
from pyimagesearch.training import image_autoencoders, image_set, trackers
from pyimagesearch.training.image_autoencoders import CONV, DENOISING, NetworkOptions
from pyimagesearch.training.image_set import ImageSetOptions
from pyimagesearch.training.series import AutoencoderOptions

_IMAGE_ARCHITECTURES = tuple(image_autoencoders.ARCHITECTURES)
_SERIES_ARCHITECTURES = ("conv1d", "lstm")
_SERIES = AutoencoderOptions()
# Rules whose parameter has an option here: --contamination is about the dataset.
_PARAMETERS = (thresholds.FALSE_ALARM_RATE, "quantile")
_COUNT: dict[str, Any] = {"type": whole_number(1), "metavar": "N"}

Chosen = TypeVar("Chosen", NetworkOptions, AutoencoderOptions)


@dataclass(frozen=True)
class AutoencoderTraining:
    """What to train, of images as of series.

    Attributes:
        dataset: that is learned from.
        every: which frames of a video are taken; None takes the usual ones.
        model: file to write.
        force: write it over any file.
        vis: file of a picture of reconstructions to write.
        plot: file of a plot of the losses to write.
        resume, tracker, log_dir: as of ``checkpoints``.
        rule: that chooses the threshold.
        executor: where the work is done.
    """

    dataset: str
    every: Every | None
    model: str
    force: bool
    vis: str
    plot: str
    resume: bool
    tracker: str
    log_dir: str
    rule: ThresholdRule
    executor: Executor


@dataclass(frozen=True)
class ImageAutoencoderTraining(AutoencoderTraining):
    """What to train on images.

    Attributes:
        architecture: one of ``image_autoencoders.ARCHITECTURES``.
        images: how the dataset is read.
        network: of the architecture.
        save_dataset: file to write the images to, or None.
        confidence: with which the false-alarm rate of the model is bounded.
    """

    architecture: str
    images: ImageSetOptions
    network: NetworkOptions
    save_dataset: str | None
    confidence: float


@dataclass(frozen=True)
class SeriesAutoencoderTraining(AutoencoderTraining):
    """What to train on a series.

    Attributes:
        columns: what they are.
        network: its options, and its architecture.
        contamination: share of the blocks of rows that may be anomalous; None for the usual one.
    """

    columns: Columns
    network: AutoencoderOptions
    contamination: float | None


def parse(
    documentation: str | None, argv: Sequence[str] | None
) -> ImageAutoencoderTraining | SeriesAutoencoderTraining:
    """Parse a command line, and configure the messages as it says.

    Ends the script where the command line is wrong or asks for help.

    Args:
        documentation: what --help prints first.
        argv: without the script's name; None takes that of this process.

    Raises:
        UserError: options that are for folders with a dataset that is none.
    """
    ap = _parser(documentation)
    args = arguments.parse_args(ap, argv)
    is_series = series_input.is_series(args.dataset)
    architectures = _SERIES_ARCHITECTURES if is_series else _IMAGE_ARCHITECTURES
    option_rules.check(
        ap,
        args,
        option_rules.AUTOENCODER,
        is_series=is_series,
        is_folder=image_set.is_folder(args.dataset) or sources.is_video(args.dataset),
        is_video=sources.is_video(args.dataset),
        architectures=architectures,
        fitting=" or ".join(architectures),
    )
    architecture = args.architecture or architectures[0]
    shared: dict[str, Any] = {
        name: getattr(args, name)
        for name in ("dataset", "every", "model", "force", "vis", "plot", "resume", "tracker")
    }
    shared |= {
        "log_dir": args.log_dir,
        "rule": arguments.threshold_rule(args, _PARAMETERS) or ThresholdRule(),
        "executor": Executor.from_args(args),
    }
    if is_series:
        network = dataclasses.replace(_SERIES, architecture=architecture)
        return SeriesAutoencoderTraining(
            **shared,
            columns=Columns.from_args(args),
            network=_chosen(args, network),
            contamination=args.contamination,
        )
    return ImageAutoencoderTraining(
        **shared,
        architecture=architecture,
        images=ImageSetOptions(
            contamination=args.contamination,
            valid_label=args.valid_label,
            anomaly_label=args.anomaly_label,
            size=_several(args.image_size),
            crop=_several(args.crop),
            colour=args.colour,
            strict=args.strict,
        ),
        network=_chosen(args, image_autoencoders.ARCHITECTURES[architecture].options),
        save_dataset=args.save_dataset,
        confidence=args.confidence,
    )


def _chosen(args: argparse.Namespace, usual: Chosen) -> Chosen:
    """The usual options of a network, but for those that the command line gives."""
    given = {field.name: _several(getattr(args, field.name)) for field in dataclasses.fields(usual)}
    return dataclasses.replace(usual, **{k: v for k, v in given.items() if v is not None})


def _several(value: Any) -> Any:
    """A tuple in place of the list that argparse makes of several values."""
    return tuple(value) if isinstance(value, list) else value


def _parser(documentation: str | None) -> argparse.ArgumentParser:
    ap = arguments.parser(documentation)
    ap.add_argument(
        "-d",
        "--dataset",
        required=True,
        help="mnist (through Keras, which may download it), digits (comes with scikit-learn), a "
        "folder of images, a video, an .npz file with images or with Keras' x_train, or a series: "
        "a CSV file, - for stdin",
    )
    arguments.add_every(ap, "near-equal ones count once")
    ap.add_argument("-m", "--model", required=True, help="model file to write")
    arguments.add_force(ap)
    ap.add_argument(
        "--save-dataset", metavar="FILE.npz", help="write the images that were trained on"
    )
    ap.add_argument(
        "-v",
        "--vis",
        default="recon_vis.png",
        metavar="FILE",
        help="picture of the best and worst reconstructions (default: recon_vis.png)",
    )
    ap.add_argument(
        "-p", "--plot", default="plot.png", metavar="FILE", help="loss plot (default: plot.png)"
    )
    ap.add_argument(
        "-a",
        "--architecture",
        choices=_IMAGE_ARCHITECTURES + _SERIES_ARCHITECTURES,
        help="of images: conv, a convolutional network (default); denoising, one that learns to "
        "remove synthetic defects from images of good parts; or pca, principal components: no "
        "TensorFlow, done in seconds. Of series: conv1d, convolutions over time (default), or lstm",
    )
    ap.add_argument(
        "--time-steps",
        type=whole_number(2),
        metavar="N",
        help=f"of series: rows of a window (default: {_SERIES.time_steps})",
    )
    _add_images(ap)
    _add_network(ap)
    arguments.add_columns(ap)
    _add_denoising(ap)
    arguments.add_threshold(
        ap,
        f"a false-alarm rate of {thresholds.DEFAULT_FALSE_ALARM_RATE}, or the best possible with "
        "few images",
        contamination=False,
    )
    arguments.add_confidence(ap)
    arguments.add_seed(ap)
    arguments.add_jobs(ap)
    arguments.add_max_pixels(ap)
    return ap


def _add_images(ap: argparse.ArgumentParser) -> None:
    ap.add_argument(
        "--image-size",
        nargs="+",
        **_COUNT,
        help="for folders: side of a square, or width and height, in pixels (default: the "
        f"images' own, but at most {CONV.largest_side}, or {DENOISING.largest_side} with "
        "--architecture denoising)",
    )
    ap.add_argument(
        "--crop",
        nargs=4,
        type=whole_number(0),
        metavar=("X0", "Y0", "X1", "Y1"),
        help="for folders: the part of each image that is used, in its own pixels",
    )
    ap.add_argument(
        "--colour",
        choices=image_set.COLOURS,
        default="auto",
        help="for folders: colour channels (default: rgb where an image has colour)",
    )
    usual = ImageSetOptions()
    for option, label, what in (
        ("--valid-label", usual.valid_label, "the normal class"),
        ("--anomaly-label", usual.anomaly_label, "the class mixed in"),
    ):
        help_text = f"of datasets with labels: {what} (default: {label})"
        ap.add_argument(option, type=int, default=label, metavar="N", help=help_text)
    ap.add_argument(
        "--contamination",
        type=share_or_zero,
        metavar="SHARE",
        help="of datasets with labels: anomalies that are mixed in, as a share of the normal "
        f"images (default: {image_sets.CONTAMINATION}). Of other images: up to this share of them "
        "may be anomalies, and the strangest do not count in calibration; what a network learns is "
        "chosen without it (default: all count, with a warning where a group stands apart). Of "
        "series: up to this share of the blocks of rows "
        f"(default: {thresholds.DEFAULT_BLOCK_CONTAMINATION})",
    )
    ap.add_argument(
        "--strict", action="store_true", help="refuse a folder that has unreadable images"
    )


def _add_network(ap: argparse.ArgumentParser) -> None:
    conv, denoising = CONV.options, DENOISING.options
    network = ap.add_argument_group("network")
    network.add_argument(
        "--epochs",
        **_COUNT,
        help=f"epochs of training (default: {conv.epochs}; with more, the network learns the "
        f"anomalies, too; denoising: at most {denoising.epochs}). An epoch shows it each image "
        f"once, or few images as often as makes {CONV.least_steps} steps (denoising: "
        f"{DENOISING.least_steps}). Of series at most {_SERIES.epochs}: training ends when the "
        "loss of held-out windows no longer improves",
    )
    network.add_argument(
        "--batch-size",
        **_COUNT,
        help=f"images per step (default: {conv.batch_size}, denoising: {denoising.batch_size}), or "
        f"windows (default: {_SERIES.batch_size})",
    )
    network.add_argument(
        "--learning-rate",
        type=share,
        metavar="RATE",
        help=f"of Adam, at the start (default: {conv.learning_rate}, denoising: "
        f"{denoising.learning_rate}, series: {_SERIES.learning_rate})",
    )
    network.add_argument(
        "--filters",
        nargs="+",
        **_COUNT,
        help="of each convolution, from the image inwards (default: "
        f"{' '.join(map(str, conv.filters))}, denoising: {' '.join(map(str, denoising.filters))})",
    )
    network.add_argument(
        "--latent-dim",
        **_COUNT,
        help="length of the latent vector, also of --architecture pca (default: "
        f"{conv.latent_dim}); denoising: channels of the bottleneck (default: "
        f"{denoising.latent_dim})",
    )
    network.add_argument(
        "--initial-weights", metavar="MODEL", help="start from the network of this model file"
    )
    network.add_argument(
        "--resume",
        action="store_true",
        help="go on with the training that this command began and that was killed or interrupted",
    )
    network.add_argument(
        "--tracker",
        choices=trackers.TRACKERS,
        default="none",
        help="log the losses of every epoch (default: none)",
    )
    network.add_argument(
        "--log-dir",
        default="runs",
        metavar="FOLDER",
        help="where --tracker writes to (default: runs)",
    )


def _add_denoising(ap: argparse.ArgumentParser) -> None:
    usual = image_autoencoders.DenoisingOptions()
    group = ap.add_argument_group("with --architecture denoising")
    group.add_argument(
        "--noisy",
        metavar="FOLDER",
        help="the dataset's images with defects, from generate_data.py defects (default: defects "
        "are made during training, always new ones)",
    )
    group.add_argument(
        "--kinds",
        nargs="+",
        choices=defects.KINDS,
        metavar="KIND",
        help=f"of synthetic defects: {', '.join(defects.KINDS)} (default: all)",
    )
    group.add_argument(
        "--loss",
        choices=image_autoencoders.LOSSES,
        help="of the reconstruction: structural similarity (ssim), squared error (mse), or both "
        "(mix, the default)",
    )
    group.add_argument(
        "--patience",
        **_COUNT,
        help="end after N epochs in which the held-out loss did not improve (default: "
        f"{usual.patience})",
    )
