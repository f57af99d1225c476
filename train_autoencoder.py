"""Learn to reconstruct normal pictures, or windows of a series, even if a few anomalies are there.

  python train_autoencoder.py --dataset digits --model autoencoder.model --save-dataset images.npz
  python train_autoencoder.py --dataset mnist --model autoencoder.model --save-dataset images.npz
  python train_autoencoder.py --dataset my_photos --model my.model --image-size 64
  python train_autoencoder.py --dataset my_photos --model my.model --architecture pca
  python train_autoencoder.py --dataset examples/daily_normal.csv --model s.model -a conv1d

Pictures that the model reconstructs badly are anomalies: find_anomalies.py brings them out of a
dataset, test_anomaly_detector.py labels files. Datasets with labels (mnist, digits, .npz) become
one class with a few of another mixed in; folders and .npz files without labels are taken as they
are. Training does not need to know which are the anomalies. Ctrl-C keeps the best epoch so far; a
killed training goes on with --resume.
"""

import argparse
import functools
import os
from typing import Any

import numpy as np

from pyimagesearch import (
    datasets,
    files,
    images,
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
from pyimagesearch.features import PixelFeatures, as_floats
from pyimagesearch.options import UserError, info, printable
from pyimagesearch.series import TIME_STEPS

IMAGE_ARCHITECTURES = ("conv", "pca")
SERIES_ARCHITECTURES = ("conv1d", "lstm")
IMAGE_DEFAULTS = {"epochs": 5, "batch_size": 64, "learning_rate": 3e-3}
SERIES_DEFAULTS = {"epochs": 50, "batch_size": 128, "learning_rate": 5e-3, "time_steps": TIME_STEPS}
IMAGE_OPTIONS = (
    *("save_dataset", "image_size", "colour", "valid_label", "anomaly_label", "contamination"),
    *("strict", "filters", "latent_dim"),
)
SERIES_OPTIONS = ("time_steps", "timestamp_column", "value_column")
MIN_IMAGES = {"conv": 20, "pca": training.MIN_IMAGES}
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
        help="of images: conv, a convolutional network (default), or pca, principal components: no "
        "TensorFlow, seconds; of series: conv1d, convolutions over time (default), or lstm",
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
        "pictures' own, but at most 64)",
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
        help="default: 5; with more, it learns the anomalies, too. An epoch looks once at each "
        "image, at few images as often as makes 80 steps. Of series at most 50, ending when the "
        "loss of windows held out has not improved for five",
    )
    network.add_argument(
        "--batch-size",
        type=options.whole_number(1),
        metavar="N",
        help="images a step (default: 64), or windows (default: 128)",
    )
    network.add_argument(
        "--learning-rate",
        type=options.share,
        metavar="RATE",
        help="of Adam, at the start (default: 0.003; of series 0.005)",
    )
    network.add_argument(
        "--filters",
        nargs="+",
        type=options.whole_number(1),
        default=[16, 32],
        metavar="N",
        help="of each convolution, from the picture inwards (default: 16 32)",
    )
    network.add_argument(
        "--latent-dim",
        type=options.whole_number(1),
        default=16,
        metavar="N",
        help="length of the latent vector, also of --architecture pca (default: 16)",
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
    for name, value in (SERIES_DEFAULTS if is_series else IMAGE_DEFAULTS).items():
        if getattr(args, name) is None:
            setattr(args, name, value)
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
    names, dataset, digest = load(args)
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
    info(f"fitting principal components to {len(learned)} images...")
    fit = functools.partial(AutoencoderDetector.fit, latent_dim=args.latent_dim, seed=args.seed)
    hyperparameters = {
        name: getattr(args, name) for name in ("architecture", "filters", "latent_dim", "seed")
    }
    libraries, weights, interrupted = ("numpy", "scikit-learn"), (), False
    if args.architecture == "pca":
        detector = fit(learned)
        plot = plots.plot_variances(detector.components.variances, detector.components.latent_dim)
    else:
        components = Components.fit(learned, latent_dim=args.latent_dim, seed=args.seed)
        usual = used[components.usual(learned)]
        run, autoencoder, interrupted = train_network(args, dataset, usual, held_out, digest)
        plot = plots.plot_losses(run.history, run.best_epoch)
        hyperparameters |= {
            "epochs": run.epochs,
            "best_epoch": run.best_epoch,
            "batch_size": args.batch_size,
            "learning_rate": args.learning_rate,
        }
        libraries, weights = (*libraries, "keras", "tensorflow"), autoencoder.get_weights()
        from pyimagesearch.networks import to_onnx

        info("writing the network for labelling...")
        detector = fit(learned, components=components, network=to_onnx(autoencoder))

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
        preprocessing=PixelFeatures(*map(int, dataset.images.shape[1:])).settings(),
        detector=detector,
        calibration=clean,
        calibration_method=method,
        training=training_scores,
        threshold=threshold,
        hyperparameters=hyperparameters,
        data_digest=digest,
        libraries=libraries,
        weights=weights,
    )
    model.save(args.model)
    training.report_threshold(threshold, len(clean), args.false_alarm_rate)
    write(args.vis, reconstructions(detector, dataset.images[calibrated], calibration, args.vis))
    write(args.plot, plot)
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
    names = ("architecture", "time_steps", "epochs", "batch_size", "learning_rate", "seed")
    chosen = {name: getattr(args, name) for name in names}
    config = {**chosen, "initial_weights": args.initial_weights, "data": series.digest(grid.values)}

    def train(run: Any) -> bool:
        resumed = args.resume and runs.go_on(run, args.model, config)
        callbacks = trackers.callbacks_for(args.tracker, args.log_dir, config, resumed)
        return runs.train(run, args.model, config, callbacks)

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


def load(args: argparse.Namespace) -> tuple[list[str], Dataset, str]:
    """The pictures, their names, and a digest of them."""
    if args.dataset not in (datasets.MNIST, datasets.DIGITS) and not os.path.isfile(args.dataset):
        return load_folder(args)
    if args.image_size is not None or args.colour != "auto":
        raise UserError("--image-size and --colour are for folders; other datasets have theirs")
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
    return [f"number {i}" for i in range(len(dataset.images))], dataset, dataset.digest


def load_folder(args: argparse.Namespace) -> tuple[list[str], Dataset, str]:
    if not os.path.isdir(args.dataset):
        raise UserError(f"{printable(args.dataset)}: no such file or folder")
    paths = list(images.list_images(args.dataset))
    side, has_colour = images.common_size(paths)
    size = args.image_size or [side]
    width, height = size if len(size) == 2 else size * 2
    grey = args.colour == "grey" or (args.colour == "auto" and not has_colour)
    try:
        extractor = PixelFeatures(height, width, 1 if grey else 3)
    except ValueError as error:
        raise UserError(f"--image-size: {error}") from error
    audit = training.audit_images(paths, extractor.resize, extractor.min_side, args.jobs)
    training.report_files(audit, args.dataset, args.strict)
    if audit.paths:
        info(f"{len(audit.paths)} images, taken as {width} x {height}, {'grey' if grey else 'rgb'}")
    return audit.paths, Dataset(audit.features), audit.digest


def split(n_images: int, args: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    """Indices to learn from and to calibrate on; none of the latter where it is done by folds."""
    if args.architecture == "pca" and n_images < CROSS_CALIBRATED_BELOW:
        return np.arange(n_images), np.arange(0)
    order = np.random.default_rng(args.seed).permutation(n_images)
    n_held_out = round(HELD_OUT * n_images)
    return np.sort(order[n_held_out:]), np.sort(order[:n_held_out])


def train_network(
    args: argparse.Namespace,
    dataset: Dataset,
    usual: np.ndarray,
    held_out: np.ndarray,
    digest: str,
) -> tuple[Any, Any, bool]:
    """The training, its autoencoder with the best epoch's weights, and whether Ctrl-C ended it."""
    info("loading TensorFlow...")
    from pyimagesearch.convautoencoder import ConvAutoencoder
    from pyimagesearch.networks import Training, make_repeatable

    make_repeatable(args.seed)
    height, width, depth = map(int, dataset.images.shape[1:])
    _, _, autoencoder = ConvAutoencoder.build(
        width, height, depth, tuple(args.filters), args.latent_dim
    )
    if args.initial_weights is not None:
        runs.take_weights(autoencoder, args.initial_weights)
    run = Training(
        autoencoder,
        dataset.images,
        usual,
        held_out,
        as_floats,
        epochs=args.epochs,
        batch_size=args.batch_size,
        learning_rate=args.learning_rate,
        seed=args.seed,
    )
    names = ("filters", "latent_dim", "batch_size", "learning_rate", "seed", "initial_weights")
    config = {name: getattr(args, name) for name in names}
    config |= {"epochs": run.epochs, "data": digest}
    resumed = args.resume and runs.go_on(run, args.model, config)
    callbacks = trackers.callbacks_for(args.tracker, args.log_dir, config, resumed)
    info(f"training the network on {len(usual)} images, watching {len(held_out)} others...")
    return run, autoencoder, runs.train(run, args.model, config, callbacks)


def reconstructions(
    detector: AutoencoderDetector, pixels: np.ndarray, scores: np.ndarray, path: str
) -> bytes:
    """The best and the worst of the calibration images beside their reconstructions."""
    order = np.argsort(scores, kind="stable")
    half = min(SAMPLES, len(order)) // 2
    chosen = np.concatenate([order[:half], order[len(order) - half :]])
    originals = np.stack([as_floats(pixels[i]) for i in chosen])
    decoded = np.stack([detector.reconstruct(x.ravel()).reshape(x.shape) for x in originals])
    pairs = reports.visualize_predictions(np.clip(decoded, 0, 1), originals, SAMPLES)
    pairs = reports.enlarge(pairs[:, :, ::-1], LEAST_PICTURE_WIDTH)
    return reports.encode_picture(pairs, os.path.splitext(path)[1])


def write(path: str, content: bytes) -> None:
    with files.written_whole(path) as file:
        file.write(content)


if __name__ == "__main__":
    options.run(main)
