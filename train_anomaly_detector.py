"""Learn what normal photos look like, or how a series normally goes, and write a model file.

  python train_anomaly_detector.py --dataset forest --model anomaly_detector.model
  python train_anomaly_detector.py -d good_parts -m parts.model --backbone resnet18.onnx
  python train_anomaly_detector.py -d good_parts -m parts.model --method memory-bank
  python train_anomaly_detector.py -d more_parts -m parts.model --update parts.model
  python train_anomaly_detector.py --dataset examples/daily.csv --model series.model
  python train_anomaly_detector.py -d examples/daily.csv -m stream.model --method stream

The photos below the dataset folder should all be normal; a series (a CSV file) may hold a few
anomalies. Without a backbone or a method, a model of photos knows their colours (a forest on
histograms); with one, it knows what each patch of them may look like and shows where a photo is
strange. The model file holds no code and is read by test_anomaly_detector.py (images) and
find_anomalies.py (images and series).
"""

import pyimagesearch.starting  # noqa: F401  (before what takes long)

# isort: split
import argparse

from pyimagesearch import (
    features,
    files,
    images,
    learning,
    options,
    seriestraining,
    thresholds,
    training,
)
from pyimagesearch.backbones import Backbone
from pyimagesearch.detectors import stream
from pyimagesearch.detectors.forest import MAX_SAMPLES, default_estimators
from pyimagesearch.options import info, printable
from pyimagesearch.patches import BackboneHalves, BackbonePatches, ColourPatches, default_side
from pyimagesearch.series import SeriesError

SERIES_METHODS = ("ensemble", "stream")


def parse_arguments() -> tuple[argparse.Namespace, str | None]:
    ap = options.parser(__doc__)
    ap.add_argument(
        "-d",
        "--dataset",
        required=True,
        help="folder of normal images, or a series: a CSV file, - for stdin",
    )
    ap.add_argument("-m", "--model", required=True, help="model file to write")
    ap.add_argument(
        "--method",
        choices=learning.METHODS + SERIES_METHODS,
        help="detector: of images, forest (the default without --backbone) and neighbours judge a "
        "photo as a whole, memory-bank (the default with one), subspace and gaussian each of its "
        "patches; of series, ensemble (default; compares windows) or stream (one row at a time, as "
        "they come)",
    )
    ap.add_argument(
        "--update",
        metavar="MODEL",
        help="add the dataset to this memory-bank model, without its own images",
    )
    ap.add_argument(
        "--strict", action="store_true", help="refuse a dataset that has unreadable images"
    )
    options.add_forest(ap, features.HistogramFeatures.bins, default_estimators(MAX_SAMPLES))
    options.add_backbone(ap)
    options.add_patches(ap, learning.CORESETS)
    options.add_columns(ap)
    options.add_threshold(
        ap,
        f"a false-alarm rate of {thresholds.DEFAULT_FALSE_ALARM_RATE}, or the best possible with "
        f"few images; of the method stream a score of {stream.DEFAULT_THRESHOLD}",
    )
    options.add_seed(ap)
    options.add_places(ap)
    args = ap.parse_args()
    rule = options.threshold_rule(ap, args)
    options.check_backbone(ap, args)
    methods = learning.METHODS
    if options.is_series(args.dataset):
        methods = SERIES_METHODS
    elif args.method is None and args.backbone is not None:
        args.method = "memory-bank"
    args.method = args.method or methods[0]
    if args.method not in methods:
        ap.error(f"--method {args.method} does not go with this dataset: {' or '.join(methods)}")
    if args.scheduler is not None and args.method in SERIES_METHODS:
        ap.error("--scheduler goes with folders of images")
    options.check_patches(ap, args, args.method in learning.PATCH_METHODS)
    return args, rule


def main() -> int:
    args, rule = parse_arguments()
    options.set_quiet(args.quiet)
    files.check_writable(args.model)
    learn = learn_images if args.method in learning.METHODS else learn_series
    usual = str(stream.DEFAULT_THRESHOLD) if args.method == "stream" else "false-alarm-rate"
    model = learn(args, rule or usual)
    model.save(args.model)
    info(f"model written to {printable(args.model)}")
    return options.EXIT_DONE


def learn_images(args: argparse.Namespace, rule: str) -> training.TrainedModel:
    info("preparing dataset...")
    paths = list(images.list_images(args.dataset))
    source = learning.Source(
        args.dataset,
        paths,
        args.strict,
        options.asked_rate(rule, args),
        args.jobs,
        args.scheduler,
    )
    if args.update is not None:
        extractor, learned = learning.update(
            args.update, source, patch_options(args), args.backbone
        )
    else:
        extractor = choose_features(args, paths)
        if args.method in learning.PATCH_METHODS:
            learned = learning.learn_patches(source, extractor, args.method, patch_options(args))
        else:
            learned = learning.learn_pictures(
                source, extractor, args.method, n_estimators=args.n_estimators, seed=args.seed
            )
    training.report_strangest(learned.names, learned.calibration[-len(learned.names) :])

    threshold = options.choose_threshold(rule, args, learned.calibration, learned.training)
    training.report_threshold(threshold, len(learned.calibration), args.false_alarm_rate)
    return training.TrainedModel(
        preprocessing=extractor.settings(),
        detector=learned.detector,
        calibration=learned.calibration,
        calibration_method=learned.calibration_method,
        training=learned.training,
        threshold=threshold,
        hyperparameters=learned.hyperparameters,
        data_digest=learned.data_digest,
        feature_networks=extractor.networks(),
        conditions=learned.conditions,
    )


def choose_features(args: argparse.Namespace, paths: list[str]) -> features.Extractor:
    looks_at_patches = args.method in learning.PATCH_METHODS
    side = args.image_size or default_side(images.usual_pixels(paths), not looks_at_patches)
    ignored = None if args.mask is None else learning.read_mask(args.mask)
    embedded = not args.external_backbone
    try:
        if looks_at_patches:
            if args.backbone is None:
                return ColourPatches(side, args.tile, ignored)
            return BackbonePatches(open_backbone(args), side, args.tile, embedded, ignored)
        if args.backbone is not None:
            return BackboneHalves(open_backbone(args), side, embedded)
    except ValueError as error:
        raise options.UserError(str(error)) from error
    return features.HistogramFeatures(bins=tuple(args.bins))


def open_backbone(args: argparse.Namespace) -> Backbone:
    try:
        backbone = learning.open_backbone(
            args.backbone, args.weights, args.layers, options.preprocessing(args)
        )
    except ValueError as error:
        raise options.UserError(f"{printable(args.backbone)}: {error}") from error
    layers = ", ".join(f"{layer.name} (stride {layer.stride})" for layer in backbone.layers)
    info(f"features from {printable(args.backbone)}: {layers}")
    return backbone


def patch_options(args: argparse.Namespace) -> learning.PatchOptions:
    return learning.PatchOptions(
        memory=args.memory,
        bank_size=args.bank_size,
        coreset=args.coreset,
        rotate=args.augment == "rotation",
        thumbnails=args.keep_thumbnails,
        seed=args.seed,
    )


def learn_series(args: argparse.Namespace, rule: str) -> training.TrainedModel:
    info("preparing dataset...")
    series, grid = options.open_series(args.dataset, args.timestamp_column, args.value_column)
    info(f"fitting anomaly detection model on {len(grid.values):,} rows...")
    try:
        if args.method == "stream":
            learned = seriestraining.learn_stream(series)
        else:
            learned = seriestraining.learn_ensemble(grid, args.seed)
    except SeriesError as error:
        raise options.UserError(f"{printable(args.dataset)}: {error}") from error
    threshold = options.choose_threshold(
        rule, args, learned.calibration, learned.training, extrapolate=True
    )
    seriestraining.report_threshold(threshold, learned)
    return seriestraining.series_model(
        series, grid, learned, threshold, hyperparameters={"seed": args.seed}
    )


if __name__ == "__main__":
    options.run(main)
