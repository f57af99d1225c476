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

import pyimagesearch.starting  # noqa: F401  (before what takes long)

# isort: split
import argparse
import functools
import os
from typing import Any

import numpy as np

from pyimagesearch import (
    conditions,
    datasets,
    defects,
    files,
    images,
    noising,
    options,
    plots,
    reports,
    runs,
    series,
    seriestraining,
    thresholds,
    trackers,
    training,
)
from pyimagesearch.datasets import Dataset
from pyimagesearch.detectors.autoencoder import AutoencoderDetector, Components
from pyimagesearch.detectors.denoising import DenoisingDetector
from pyimagesearch.features import PixelFeatures, as_floats
from pyimagesearch.options import UserError, info, printable
from pyimagesearch.series import TIME_STEPS

IMAGE_ARCHITECTURES = ("conv", "denoising", "pca")
SERIES_ARCHITECTURES = ("conv1d", "lstm")
MIN_IMAGES = {"conv": 20, "denoising": 20, "pca": training.MIN_IMAGES}
LARGEST_SIDE = {"conv": 64, "denoising": 128, "pca": 64}  # unless --image-size says otherwise
LEAST_STEPS = {"conv": 80, "denoising": 30}  # of an epoch
NETWORK_DEFAULTS = {
    "conv": {
        "epochs": 5,
        "batch_size": 64,
        "learning_rate": 3e-3,
        "filters": [16, 32],
        "latent_dim": 16,
    },
    "denoising": {
        "epochs": 20,
        "batch_size": 16,
        "learning_rate": 2e-3,
        "filters": [16, 32, 64, 96],
        "latent_dim": 32,
    },
    "conv1d": {"epochs": 50, "batch_size": 128, "learning_rate": 5e-3, "time_steps": TIME_STEPS},
}
NETWORK_DEFAULTS["pca"] = NETWORK_DEFAULTS["conv"]
NETWORK_DEFAULTS["lstm"] = NETWORK_DEFAULTS["conv1d"]
# Options that go with one kind of dataset alone.
IMAGE_OPTIONS = (
    *("save_dataset", "image_size", "crop", "colour", "valid_label", "anomaly_label"),
    *("contamination", "strict", "filters", "latent_dim"),
)
SERIES_OPTIONS = ("time_steps", "timestamp_column", "value_column")
HELD_OUT = 0.2
# With fewer images than this, components are cheap to fit several times, and a fifth is few.
CROSS_CALIBRATED_BELOW = 1_000
SAMPLES = 10  # pairs in the reconstruction picture: half of them the best, half the worst
LEAST_PICTURE_WIDTH = 480


def parse_arguments() -> tuple[argparse.Namespace, str]:
    ap = options.parser(__doc__)
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
        type=options.whole_number(2),
        metavar="N",
        help=f"of series: rows of a window (default: {TIME_STEPS})",
    )
    ap.add_argument(
        "--image-size",
        nargs="+",
        type=options.whole_number(1),
        metavar="N",
        help="for folders: side of a square, or width and height, in pixels (default: the "
        "pictures' own, but at most 64, or 128 with --architecture denoising)",
    )
    ap.add_argument(
        "--crop",
        nargs=4,
        type=options.whole_number(0),
        metavar=("X0", "Y0", "X1", "Y1"),
        help="for folders: the part of each picture that is looked at, in its own pixels",
    )
    ap.add_argument(
        "--colour",
        choices=("auto", "grey", "rgb"),
        default="auto",
        help="for folders: channels to learn (default: rgb where a picture has colour)",
    )
    ap.add_argument(
        "--valid-label",
        type=int,
        default=1,
        metavar="N",
        help="of datasets with labels: the normal class (default: 1)",
    )
    ap.add_argument(
        "--anomaly-label",
        type=int,
        default=3,
        metavar="N",
        help="of datasets with labels: the class mixed in (default: 3)",
    )
    ap.add_argument(
        "--contamination",
        type=options.share_or_zero,
        metavar="SHARE",
        help="anomalies as a share of the normal images: of datasets with labels, as many are "
        "mixed in (default: 0.01); of others, as many are presumed (default: 0). Calibration "
        "leaves as many out",
    )
    ap.add_argument(
        "--strict", action="store_true", help="refuse a folder that has unreadable images"
    )
    network = ap.add_argument_group("network")
    network.add_argument(
        "--epochs",
        type=options.whole_number(1),
        metavar="N",
        help="default: 5; with more, it learns the anomalies, too. Denoising: at most 20. An "
        "epoch looks once at each image, at few images as often as makes 80 steps (denoising: 30). "
        "Of series at most 50, ending when the loss of windows held out no longer improves",
    )
    network.add_argument(
        "--batch-size",
        type=options.whole_number(1),
        metavar="N",
        help="images a step (default: 64, denoising: 16), or windows (default: 128)",
    )
    network.add_argument(
        "--learning-rate",
        type=options.share,
        metavar="RATE",
        help="of Adam, at the start (default: 0.003, denoising: 0.002, series: 0.005)",
    )
    network.add_argument(
        "--filters",
        nargs="+",
        type=options.whole_number(1),
        metavar="N",
        help="of each convolution, from the picture inwards (default: 16 32, denoising: 16 32 64 "
        "96)",
    )
    network.add_argument(
        "--latent-dim",
        type=options.whole_number(1),
        metavar="N",
        help="length of the latent vector, also of --architecture pca (default: 16); denoising: "
        "channels of the bottleneck (default: 32)",
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
    options.add_columns(ap)
    denoising = ap.add_argument_group("with --architecture denoising")
    denoising.add_argument(
        "--noisy",
        metavar="FOLDER",
        help="spoiled pictures of the dataset's, from generate_data.py defects (default: defects "
        "are made while it learns, always new ones)",
    )
    denoising.add_argument(
        "--kinds",
        nargs="+",
        choices=defects.KINDS,
        metavar="KIND",
        help=f"of the made defects: {', '.join(defects.KINDS)} (default: all)",
    )
    denoising.add_argument(
        "--loss",
        choices=("ssim", "mse", "mix"),
        help="of the reconstruction: structural similarity, squared error, or both (default: mix)",
    )
    denoising.add_argument(
        "--patience",
        type=options.whole_number(1),
        metavar="N",
        help="end after N epochs in which the held-out loss did not improve (default: 8)",
    )
    options.add_threshold(
        ap,
        f"a false-alarm rate of {thresholds.DEFAULT_FALSE_ALARM_RATE}, or the best possible with "
        "few images",
        contamination=False,
    )
    options.add_seed(ap)
    options.add_jobs(ap)
    args = ap.parse_args()
    rule = options.threshold_rule(ap, args) or "false-alarm-rate"
    if args.image_size is not None and len(args.image_size) > 2:
        ap.error("argument --image-size: one side or two, width and height")
    is_series = options.is_series(args.dataset)
    fitting = SERIES_ARCHITECTURES if is_series else IMAGE_ARCHITECTURES
    args.architecture = args.architecture or fitting[0]
    if args.architecture not in fitting:
        ap.error(
            f"--architecture {args.architecture} does not go with this dataset: "
            f"{' or '.join(fitting)}"
        )
    foreign = IMAGE_OPTIONS if is_series else SERIES_OPTIONS
    for name in foreign:
        if getattr(args, name) != ap.get_default(name):
            ap.error(f"--{name.replace('_', '-')} does not go with this dataset")
    if args.architecture == "pca":
        for option in ("resume", "initial_weights"):
            if getattr(args, option):
                ap.error(f"--{option.replace('_', '-')} does not go with --architecture pca")
        if args.tracker != "none":
            ap.error("--tracker does not go with --architecture pca, which has no epochs")
    if args.architecture != "denoising":
        for option in ("noisy", "kinds", "loss", "patience"):
            if getattr(args, option) is not None:
                ap.error(f"--{option} goes with --architecture denoising alone")
    if args.noisy is not None and args.kinds is not None:
        ap.error("--noisy and --kinds exclude each other")
    for name, value in NETWORK_DEFAULTS[args.architecture].items():
        if getattr(args, name) is None:
            setattr(args, name, value)
    return args, rule


def main() -> int:
    args, rule = parse_arguments()
    options.set_quiet(args.quiet)
    for path in (args.model, args.save_dataset, args.vis, args.plot):
        if path is not None:
            files.check_writable(path)
    options.check_picture_name(args.vis)
    options.check_picture_name(args.plot, (".png",))
    trackers.check_tracker(args.tracker)

    info(f"loading {printable(args.dataset)}...")
    return learn_series(args, rule) if options.is_series(args.dataset) else learn_images(args, rule)


def learn_images(args: argparse.Namespace, rule: str) -> int:
    names, dataset, digest, extractor = load(args)
    args.contamination = args.contamination or 0.0
    n_images = len(dataset.images)
    training.check_trainable(dataset.images, args.dataset, MIN_IMAGES[args.architecture])
    used, held_out = split(n_images, args)
    share = args.contamination / (1 + args.contamination)
    args.threshold_contamination = share or None
    if rule == "false-alarm-rate" and args.false_alarm_rate is not None:
        n_calibration = len(held_out) or n_images
        options.check_rate(args.false_alarm_rate, n_calibration - round(share * n_calibration))

    learned = dataset.images[used] if len(held_out) else dataset.images
    fit = functools.partial(AutoencoderDetector.fit, latent_dim=args.latent_dim, seed=args.seed)
    hyperparameters = {
        name: getattr(args, name) for name in ("architecture", "filters", "latent_dim", "seed")
    }
    libraries, weights, interrupted = ("numpy", "scikit-learn"), (), False
    tracker = trackers.Tracker()
    if args.architecture != "denoising":
        info(f"fitting principal components to {len(learned)} images...")
    if args.architecture == "pca":
        detector = fit(learned)
        plot = plots.plot_variances(detector.components.variances, detector.components.latent_dim)
    else:
        usual = used
        if args.architecture == "conv":
            components = Components.fit(learned, latent_dim=args.latent_dim, seed=args.seed)
            usual = used[components.usual(learned)]
        run, tracker, interrupted = train_network(
            args, names, extractor, dataset, usual, held_out, digest
        )
        loss = "mean squared error" if args.architecture == "conv" else "loss"
        plot = plots.plot_losses(run.history, run.best_epoch, loss)
        hyperparameters |= {
            "epochs": run.epochs,
            "best_epoch": run.best_epoch,
            "batch_size": args.batch_size,
            "learning_rate": args.learning_rate,
        }
        libraries, weights = (*libraries, "keras", "tensorflow"), run.autoencoder.get_weights()
        from pyimagesearch.networks import to_onnx

        info("writing the network for labelling...")
        if args.architecture == "conv":
            detector = fit(learned, components=components, network=to_onnx(run.autoencoder))
        else:
            hyperparameters |= {"loss": run.loss, "kinds": list(args.kinds or defects.KINDS)}
            detector = DenoisingDetector.fit(
                learned, to_onnx(run.autoencoder), dataset.images[held_out], seed=args.seed
            )

    training_scores = detector.score_pixels(learned)
    if len(held_out):
        method = f"held-out {HELD_OUT:.0%}"
        calibration = detector.score_pixels(dataset.images[held_out])
        calibrated = held_out
    else:
        folds = training.Folds.of(n_images)
        method, calibrated = folds.method, np.arange(n_images)
        calibration = folds.scores(
            np.asarray(dataset.images), fit, AutoencoderDetector.score_pixels, args.jobs
        )
    training.report_strangest([names[i] for i in calibrated], calibration)
    clean = thresholds.without_contamination(calibration, share)
    if len(clean) < len(calibration):
        method += f", without the {len(calibration) - len(clean)} strangest"
    threshold = options.choose_threshold(rule, args, clean, training_scores)
    model = training.TrainedModel(
        preprocessing=extractor.settings(),
        detector=detector,
        calibration=clean,
        calibration_method=method,
        training=training_scores,
        threshold=threshold,
        hyperparameters=hyperparameters,
        data_digest=digest,
        libraries=libraries,
        weights=weights,
        conditions=conditions.of_pictures(dataset.pictures(), n_images),
    )
    model.save(args.model)
    training.report_threshold(threshold, len(clean), args.false_alarm_rate)
    examples = reconstructions(detector, dataset.images[calibrated], calibration)
    write(args.vis, reports.encode_picture(examples, os.path.splitext(args.vis)[1]))
    write(args.plot, plot)
    tracker.log_scores("calibration_scores", calibration)
    tracker.log_picture("reconstructions", examples)
    if args.architecture == "denoising" and args.tracker != "none":
        track_defects(tracker, run, detector, held_out, calibration)
    tracker.finish()
    if args.save_dataset is not None:
        with files.written_whole(args.save_dataset) as file:
            datasets.write_npz(file, dataset)
    report_written(
        ("reconstructions", args.vis),
        ("plot", args.plot),
        ("dataset", args.save_dataset),
        ("model", args.model),
    )
    if interrupted:
        return options.EXIT_INTERRUPTED
    runs.forget(args.model)
    return options.EXIT_DONE


def learn_series(args: argparse.Namespace, rule: str) -> int:
    read, grid = options.open_series(args.dataset, args.timestamp_column, args.value_column)
    tracker = trackers.Tracker()
    names = ("architecture", "time_steps", "epochs", "batch_size", "learning_rate", "seed")
    chosen = {name: getattr(args, name) for name in names}
    config = {**chosen, "initial_weights": args.initial_weights, "data": series.digest(grid.values)}

    def train(run: Any) -> bool:
        nonlocal tracker
        resumed = args.resume and runs.go_on(run, args.model, config)
        tracker = trackers.open_tracker(args.tracker, args.log_dir, config, resumed)
        return runs.train(run, args.model, config, tracker)

    try:
        learned, run, interrupted = seriestraining.learn_autoencoder(
            grid, train=train, initial_weights=args.initial_weights, **chosen
        )
    except series.SeriesError as error:
        raise UserError(f"{printable(args.dataset)}: {error}") from error
    threshold = options.choose_threshold(
        rule, args, learned.calibration, learned.training, extrapolate=True
    )
    seriestraining.report_threshold(threshold, learned)
    model = seriestraining.series_model(
        read,
        grid,
        learned,
        threshold,
        hyperparameters={**chosen, "best_epoch": run.best_epoch},
        libraries=("numpy", "keras", "tensorflow"),
        weights=run.autoencoder.get_weights(),
    )
    model.save(args.model)
    window = grid.values[: args.time_steps]
    picture = plots.plot_reconstruction(
        window, learned.detector.reconstruct(window), read.names, learned.training, threshold.value
    )
    write(args.vis, picture)
    write(args.plot, plots.plot_losses(run.history, run.best_epoch))
    tracker.log_scores("calibration_scores", learned.calibration)
    tracker.log_picture("reconstruction", images.decode_image(picture))
    tracker.finish()
    report_written(
        ("reconstruction and errors", args.vis), ("plot", args.plot), ("model", args.model)
    )
    if interrupted:
        return options.EXIT_INTERRUPTED
    runs.forget(args.model)
    return options.EXIT_DONE


def report_written(*written: tuple[str, str | None]) -> None:
    for name, path in written:
        if path is not None:
            info(f"{name} written to {printable(path)}")


def load(args: argparse.Namespace) -> tuple[list[str], Dataset, str, PixelFeatures]:
    """The pictures, their names, a digest of them, and how they are made from files."""
    if args.dataset not in (datasets.MNIST, datasets.DIGITS) and not os.path.isfile(args.dataset):
        return load_folder(args)
    if args.image_size is not None or args.colour != "auto" or args.crop is not None:
        raise UserError(
            "--image-size, --crop and --colour are for folders; other datasets have theirs"
        )
    try:
        if os.path.isfile(args.dataset):
            dataset = datasets.read_npz(args.dataset)
        else:
            dataset = datasets.load_named(args.dataset)
        if dataset.labels is not None:
            args.contamination = 0.01 if args.contamination is None else args.contamination
            mixed = datasets.build_unsupervised_dataset(
                dataset.images,
                dataset.labels,
                args.valid_label,
                args.anomaly_label,
                args.contamination,
                args.seed,
            )
            dataset = Dataset(mixed[0], is_anomaly=mixed[1])
            info(f"{(~mixed[1]).sum()} of the label {args.valid_label}, {mixed[1].sum()} others")
    except datasets.DatasetError as error:
        raise UserError(f"{printable(args.dataset)}: {error}") from error
    names = [f"number {i}" for i in range(len(dataset.images))]
    extractor = PixelFeatures(*map(int, dataset.images.shape[1:]))
    return names, dataset, dataset.digest, extractor


def load_folder(args: argparse.Namespace) -> tuple[list[str], Dataset, str, PixelFeatures]:
    if not os.path.isdir(args.dataset):
        raise UserError(f"{printable(args.dataset)}: no such file or folder")
    paths = list(images.list_images(args.dataset))
    side, has_colour = images.common_size(paths, LARGEST_SIDE[args.architecture])
    size = args.image_size or [side]
    width, height = size if len(size) == 2 else size * 2
    grey = args.colour == "grey" or (args.colour == "auto" and not has_colour)
    try:
        crop = None if args.crop is None else tuple(args.crop)
        extractor = PixelFeatures(height, width, 1 if grey else 3, crop)
    except ValueError as error:
        raise UserError(f"--image-size, --crop: {error}") from error
    audit = training.audit_images(paths, extractor.resize, extractor.min_side, args.jobs)
    training.report_files(audit, args.dataset, args.strict)
    if audit.paths:
        info(f"{len(audit.paths)} images, taken as {width} x {height}, {'grey' if grey else 'rgb'}")
    return audit.paths, Dataset(audit.features), audit.digest, extractor


def split(n_images: int, args: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    """Indices to learn from and to calibrate on; none of the latter where it is done by folds."""
    if args.architecture == "pca" and n_images < CROSS_CALIBRATED_BELOW:
        return np.arange(n_images), np.arange(0)
    order = np.random.default_rng(args.seed).permutation(n_images)
    n_held_out = round(HELD_OUT * n_images)
    return np.sort(order[n_held_out:]), np.sort(order[:n_held_out])


def train_network(
    args: argparse.Namespace,
    names: list[str],
    extractor: PixelFeatures,
    dataset: Dataset,
    usual: np.ndarray,
    held_out: np.ndarray,
    digest: str,
) -> tuple[Any, trackers.Tracker, bool]:
    """The training, ended with the best epoch's weights; its tracker; whether Ctrl-C ended it."""
    noisy = None
    if args.noisy is not None:
        noisy = noising.load_noisy(args.noisy, names, args.dataset, extractor, args.jobs)
    info("loading TensorFlow...")
    from pyimagesearch.networks import make_repeatable

    make_repeatable(args.seed)
    height, width, depth = map(int, dataset.images.shape[1:])
    size, filters = (width, height, depth), tuple(args.filters)
    settings = {
        name: getattr(args, name) for name in ("epochs", "batch_size", "learning_rate", "seed")
    }
    config = settings | {
        name: getattr(args, name) for name in ("filters", "latent_dim", "initial_weights")
    }
    settings["least_steps"] = LEAST_STEPS[args.architecture]
    if args.architecture == "conv":
        from pyimagesearch.convautoencoder import ConvAutoencoder
        from pyimagesearch.networks import Training

        _, _, autoencoder = ConvAutoencoder.build(*size, filters, args.latent_dim)
        make = functools.partial(Training, as_floats=as_floats)
    else:
        from pyimagesearch.denoising import DenoisingAutoencoder, DenoisingTraining

        autoencoder = DenoisingAutoencoder.build(*size, filters, args.latent_dim)
        chosen = {"loss": args.loss or "mix", "patience": args.patience or 8}
        settings |= chosen | {"noisy": noisy, "kinds": args.kinds or ()}
        config |= chosen | {"kinds": args.kinds, "noisy": noisy and noisy.digest}
        make = DenoisingTraining
    if args.initial_weights is not None:
        runs.take_weights(autoencoder, args.initial_weights)
    run = make(autoencoder, dataset.images, usual, held_out, **settings)
    config |= {"data": digest}
    resumed = args.resume and runs.go_on(run, args.model, config)
    tracker = trackers.open_tracker(args.tracker, args.log_dir, config, resumed)
    info(f"training the network on {len(usual)} images, watching {len(held_out)} others...")
    return run, tracker, runs.train(run, args.model, config, tracker)


def reconstructions(detector: Any, pixels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The best and the worst of the calibration images beside their reconstructions."""
    order = np.argsort(scores, kind="stable")
    half = min(SAMPLES, len(order)) // 2
    chosen = np.concatenate([order[:half], order[len(order) - half :]])
    originals = np.stack([as_floats(pixels[i]) for i in chosen])
    decoded = np.stack([detector.reconstruct(x.ravel()).reshape(x.shape) for x in originals])
    pairs = reports.visualize_predictions(np.clip(decoded, 0, 1), originals, SAMPLES)
    if pairs.shape[2] == 1:
        pairs = pairs.repeat(3, axis=2)
    return reports.enlarge(pairs[:, :, ::-1], LEAST_PICTURE_WIDTH)


def track_defects(
    tracker: trackers.Tracker,
    run: Any,
    detector: DenoisingDetector,
    held_out: np.ndarray,
    calibration: np.ndarray,
) -> None:
    """Log how pictures that were held out look and score when they are spoiled."""
    spoiled = run.spoiled_pictures(held_out)
    scores = detector.score_pixels(spoiled)
    tracker.log_scores("spoiled_scores", scores)
    tracker.log_picture("spoiled", reconstructions(detector, spoiled, scores))
    histogram = plots.plot_histogram(
        calibration, scores, {}, "Scores of held-out pictures, good and spoiled"
    )
    decoded = images.decode_image(histogram)
    tracker.log_picture("histogram", decoded)


def write(path: str, content: bytes) -> None:
    with files.written_whole(path) as file:
        file.write(content)


if __name__ == "__main__":
    options.run(main)
