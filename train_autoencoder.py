"""Learn to reconstruct normal pictures, or windows of a series, even if a few anomalies are there.

  python train_autoencoder.py --dataset digits --model autoencoder.model --save-dataset images.npz
  python train_autoencoder.py --dataset mnist --model autoencoder.model --save-dataset images.npz
  python train_autoencoder.py --dataset my_photos --model my.model --image-size 64
  python train_autoencoder.py --dataset my_photos --model my.model --architecture pca
  python train_autoencoder.py --dataset examples/daily_normal.csv --model s.model -a conv1d
  python train_autoencoder.py --dataset good_parts --model my.model --architecture denoising

Pictures that the model reconstructs badly are anomalies: find_anomalies.py brings them out of a
dataset, test_anomaly_detector.py labels files. Datasets with labels (mnist, digits, .npz) become
one class with a few of another mixed in; folders and .npz files without labels are taken as they
are. Training does not need to know which are the anomalies. Ctrl-C keeps the best epoch so far; a
killed training goes on with --resume.
"""

if __name__ == "__main__":
    from pyimagesearch.runtime import interrupts

    interrupts.end_quietly_while_starting()

import argparse
import dataclasses
import os
from collections.abc import Sequence
from typing import Any

from pyimagesearch.cli import arguments, option_rules
from pyimagesearch.data import image_sets, images, series, series_csv
from pyimagesearch.data.synthetic import defects
from pyimagesearch.labelling import thresholds
from pyimagesearch.labelling.thresholds import ThresholdRule
from pyimagesearch.reports import drawing, plots
from pyimagesearch.runtime import atomic_files
from pyimagesearch.runtime.console import (
    EXIT_DONE,
    EXIT_INTERRUPTED,
    UserError,
    info,
    printable,
    run,
    set_quiet,
)
from pyimagesearch.training import checkpoints, image_autoencoders, image_set, trackers
from pyimagesearch.training import series as series_training
from pyimagesearch.training.calibration import report_strangest, report_threshold
from pyimagesearch.training.image_autoencoders import CONV, DENOISING

IMAGE_ARCHITECTURES = tuple(image_autoencoders.ARCHITECTURES)
SERIES_ARCHITECTURES = ("conv1d", "lstm")
SERIES = series_training.AutoencoderOptions()
# Threshold rules whose parameter has an option of that name.
PARAMETERS = (thresholds.FALSE_ALARM_RATE, "quantile")
# Options that go with one kind of dataset alone.
IMAGE_OPTIONS = (
    *("save_dataset", "image_size", "crop", "colour", "valid_label", "anomaly_label"),
    *("contamination", "strict", "filters", "latent_dim"),
)
SERIES_OPTIONS = ("time_steps", "timestamp_column", "value_column")
DENOISING_OPTIONS = ("noisy", "kinds", "loss", "patience")
COUNT = {"type": arguments.whole_number(1), "metavar": "N"}


def parse_arguments(argv: Sequence[str] | None) -> tuple[argparse.Namespace, ThresholdRule]:
    ap = arguments.parser(__doc__)
    ap.add_argument(
        "-d",
        "--dataset",
        required=True,
        help="mnist (through Keras, which may download it), digits (comes with scikit-learn), a "
        "folder of images, an .npz file with images or with Keras' x_train, or a series: a CSV "
        "file, - for stdin",
    )
    ap.add_argument("-m", "--model", required=True, help="model file to write")
    ap.add_argument(
        "--save-dataset", metavar="FILE.npz", help="write the pictures that were trained on"
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
        choices=IMAGE_ARCHITECTURES + SERIES_ARCHITECTURES,
        help="of images: conv, a convolutional network (default); denoising, one that learns to "
        "take made defects out of pictures of good parts; or pca, principal components: no "
        "TensorFlow, seconds. Of series: conv1d, convolutions over time (default), or lstm",
    )
    ap.add_argument(
        "--time-steps",
        type=arguments.whole_number(2),
        metavar="N",
        help=f"of series: rows of a window (default: {SERIES.time_steps})",
    )
    ap.add_argument(
        "--image-size",
        nargs="+",
        **COUNT,
        help="for folders: side of a square, or width and height, in pixels (default: the "
        f"pictures' own, but at most {CONV.largest_side}, or {DENOISING.largest_side} with "
        "--architecture denoising)",
    )
    ap.add_argument(
        "--crop",
        nargs=4,
        type=arguments.whole_number(0),
        metavar=("X0", "Y0", "X1", "Y1"),
        help="for folders: the part of each picture that is looked at, in its own pixels",
    )
    ap.add_argument(
        "--colour",
        choices=image_set.COLOURS,
        default="auto",
        help="for folders: channels to learn (default: rgb where a picture has colour)",
    )
    for option, label, what in (
        ("--valid-label", 1, "the normal class"),
        ("--anomaly-label", 3, "the class mixed in"),
    ):
        help_text = f"of datasets with labels: {what} (default: {label})"
        ap.add_argument(option, type=int, default=label, metavar="N", help=help_text)
    ap.add_argument(
        "--contamination",
        type=arguments.share_or_zero,
        metavar="SHARE",
        help="anomalies as a share of the normal images: of datasets with labels, as many are "
        f"mixed in (default: {image_sets.CONTAMINATION}); of others, as many are presumed "
        "(default: 0). Calibration leaves as many out",
    )
    ap.add_argument(
        "--strict", action="store_true", help="refuse a folder that has unreadable images"
    )
    conv, denoising = CONV.options, DENOISING.options
    network = ap.add_argument_group("network")
    network.add_argument(
        "--epochs",
        **COUNT,
        help=f"default: {conv.epochs}; with more, it learns the anomalies, too. Denoising: at most "
        f"{denoising.epochs}. An epoch looks once at each image, at few images as often as makes "
        f"{CONV.least_steps} steps (denoising: {DENOISING.least_steps}). Of series at most "
        f"{SERIES.epochs}, ending when the loss of windows held out no longer improves",
    )
    network.add_argument(
        "--batch-size",
        **COUNT,
        help=f"images a step (default: {conv.batch_size}, denoising: {denoising.batch_size}), or "
        f"windows (default: {SERIES.batch_size})",
    )
    network.add_argument(
        "--learning-rate",
        type=arguments.share,
        metavar="RATE",
        help=f"of Adam, at the start (default: {conv.learning_rate}, denoising: "
        f"{denoising.learning_rate}, series: {SERIES.learning_rate})",
    )
    network.add_argument(
        "--filters",
        nargs="+",
        **COUNT,
        help="of each convolution, from the picture inwards (default: "
        f"{' '.join(map(str, conv.filters))}, denoising: {' '.join(map(str, denoising.filters))})",
    )
    network.add_argument(
        "--latent-dim",
        **COUNT,
        help="length of the latent vector, also of --architecture pca (default: "
        f"{conv.latent_dim}); denoising: channels of the bottleneck (default: "
        f"{denoising.latent_dim})",
    )
    network.add_argument(
        "--initial-weights", metavar="MODEL", help="start from the network of this model file"
    )
    network.add_argument(
        "--resume", action="store_true", help="go on with the killed training of this command"
    )
    network.add_argument(
        "--tracker",
        choices=trackers.TRACKERS,
        default="none",
        help="log the losses of every epoch (default: none)",
    )
    network.add_argument(
        "--log-dir", default="runs", metavar="FOLDER", help="for --tracker (default: runs)"
    )
    arguments.add_columns(ap)
    spoiled = ap.add_argument_group("with --architecture denoising")
    spoiled.add_argument(
        "--noisy",
        metavar="FOLDER",
        help="spoiled pictures of the dataset's, from generate_data.py defects (default: defects "
        "are made while it learns, always new ones)",
    )
    spoiled.add_argument(
        "--kinds",
        nargs="+",
        choices=defects.KINDS,
        metavar="KIND",
        help=f"of the made defects: {', '.join(defects.KINDS)} (default: all)",
    )
    spoiled.add_argument(
        "--loss",
        choices=image_autoencoders.LOSSES,
        help="of the reconstruction: structural similarity, squared error, or both (default: "
        f"{denoising.loss})",
    )
    spoiled.add_argument(
        "--patience",
        **COUNT,
        help="end after N epochs in which the held-out loss did not improve (default: "
        f"{denoising.patience})",
    )
    arguments.add_threshold(
        ap,
        f"a false-alarm rate of {thresholds.DEFAULT_FALSE_ALARM_RATE}, or the best possible with "
        "few images",
        contamination=False,
    )
    arguments.add_seed(ap)
    arguments.add_jobs(ap)
    args = ap.parse_args(argv)
    option_rules.check(ap, args, option_rules.AUTOENCODER)
    rule = arguments.threshold_rule(args, PARAMETERS) or ThresholdRule()
    check_arguments(ap, args)
    return args, rule


def check_arguments(ap: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Choose the usual architecture where none is given, and refuse what does not go together."""
    if args.image_size is not None and len(args.image_size) > 2:
        ap.error("argument --image-size: one side or two, width and height")
    is_series = series_csv.is_series(args.dataset)
    fitting = SERIES_ARCHITECTURES if is_series else IMAGE_ARCHITECTURES
    args.architecture = args.architecture or fitting[0]
    if args.architecture not in fitting:
        ap.error(
            f"--architecture {args.architecture} does not go with this dataset: "
            f"{' or '.join(fitting)}"
        )
    for name in IMAGE_OPTIONS if is_series else SERIES_OPTIONS:
        if getattr(args, name) != ap.get_default(name):
            ap.error(f"--{name.replace('_', '-')} does not go with this dataset")
    if args.architecture == "pca":
        for option in ("resume", "initial_weights"):
            if getattr(args, option):
                ap.error(f"--{option.replace('_', '-')} does not go with --architecture pca")
        if args.tracker != "none":
            ap.error("--tracker does not go with --architecture pca, which has no epochs")
    if args.architecture != "denoising":
        for option in DENOISING_OPTIONS:
            if getattr(args, option) is not None:
                ap.error(f"--{option} goes with --architecture denoising alone")
    if args.noisy is not None and args.kinds is not None:
        ap.error("--noisy and --kinds exclude each other")


def main(argv: Sequence[str] | None = None) -> int:
    args, rule = parse_arguments(argv)
    set_quiet(args.quiet)
    for path in (args.model, args.save_dataset, args.vis, args.plot):
        if path is not None:
            atomic_files.check_writable(path)
    drawing.check_picture_name(args.vis)
    drawing.check_picture_name(args.plot, (".png",))
    trackers.check_tracker(args.tracker)

    info(f"loading {printable(args.dataset)}...")
    keeper = checkpoints.Keeper(args.model, args.resume, args.tracker, args.log_dir)
    learn = learn_series if series_csv.is_series(args.dataset) else learn_images
    shown = learn(args, rule, keeper)
    written = {
        shown: args.vis,
        "plot": args.plot,
        "dataset": args.save_dataset,
        "model": args.model,
    }
    for name, path in written.items():
        if path is not None:
            info(f"{name} written to {printable(path)}")
    keeper.end()
    return EXIT_INTERRUPTED if keeper.interrupted else EXIT_DONE


def learn_images(args: argparse.Namespace, rule: ThresholdRule, keeper: checkpoints.Keeper) -> str:
    """Write all files of a model of pictures; what --vis shows."""
    architecture = image_autoencoders.ARCHITECTURES[args.architecture]
    pictures = read_pictures(args, architecture.largest_side)
    learned = image_autoencoders.learn(
        pictures,
        args.architecture,
        chosen_options(args, architecture.options),
        keeper,
        rate=rule.asked_rate,
        jobs=args.jobs,
    )
    report_strangest(learned.names, learned.scores)
    if rule.name == "contamination":
        rule = ThresholdRule(rule.name, pictures.anomalous_share or None)
    threshold = rule.choose(learned.calibration, learned.training)
    image_autoencoders.image_model(learned, threshold).save(args.model)
    report_threshold(threshold, len(learned.calibration), rule.asked_rate)

    examples = image_autoencoders.draw_examples(learned)
    write(args.vis, images.encode_picture(examples, os.path.splitext(args.vis)[1]))
    write(args.plot, image_autoencoders.plot_learned(learned))
    keeper.tracker.log_scores("calibration_scores", learned.scores)
    keeper.tracker.log_picture("reconstructions", examples)
    if args.architecture == "denoising" and args.tracker != "none":
        image_autoencoders.track_spoiled(learned, keeper.tracker)
    keeper.tracker.finish()
    if args.save_dataset is not None:
        with atomic_files.written_whole(args.save_dataset) as file:
            image_sets.write_npz(file, pictures.dataset)
    return "reconstructions"


def learn_series(args: argparse.Namespace, rule: ThresholdRule, keeper: checkpoints.Keeper) -> str:
    """Write all files of a model of a series; what --vis shows."""
    read, grid = series_csv.open_series(args.dataset, args.timestamp_column, args.value_column)
    chosen = chosen_options(args, SERIES)
    try:
        learned, run = series_training.learn_autoencoder(grid, chosen, keeper)
    except series.SeriesError as error:
        raise UserError(f"{printable(args.dataset)}: {error}") from error
    threshold = rule.choose(learned.calibration, learned.training, extrapolate=True)
    series_training.report_threshold(threshold, learned)
    series_training.autoencoder_model(read, grid, learned, threshold, chosen, run).save(args.model)

    window = grid.values[: chosen.time_steps]
    picture = plots.plot_reconstruction(
        window, learned.detector.reconstruct(window), read.names, learned.training, threshold.value
    )
    write(args.vis, picture)
    write(args.plot, plots.plot_losses(run.history, run.best_epoch))
    keeper.tracker.log_scores("calibration_scores", learned.calibration)
    keeper.tracker.log_picture("reconstruction", images.decode_image(picture))
    keeper.tracker.finish()
    return "reconstruction and errors"


def read_pictures(args: argparse.Namespace, largest_side: int) -> image_set.ImageSet:
    if args.dataset in image_sets.NAMES or os.path.isfile(args.dataset):
        if args.image_size is not None or args.colour != "auto" or args.crop is not None:
            raise UserError(
                "--image-size, --crop and --colour are for folders; other datasets have theirs"
            )
        return image_set.read_dataset(
            args.dataset, args.valid_label, args.anomaly_label, args.contamination, args.seed
        )
    return image_set.read_folder(
        args.dataset,
        largest_side,
        args.contamination,
        size=args.image_size,
        crop=args.crop,
        colour=args.colour,
        strict=args.strict,
        jobs=args.jobs,
    )


def chosen_options(args: argparse.Namespace, usual: Any) -> Any:
    """The usual options of a network, but for those that the command line gives."""
    given = {field.name: getattr(args, field.name) for field in dataclasses.fields(usual)}
    return dataclasses.replace(usual, **{k: v for k, v in given.items() if v is not None})


def write(path: str, content: bytes) -> None:
    with atomic_files.written_whole(path) as file:
        file.write(content)


if __name__ == "__main__":
    run(main)
