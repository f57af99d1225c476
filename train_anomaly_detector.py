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

if __name__ == "__main__":
    from pyimagesearch.runtime import interrupts

    interrupts.end_quietly_while_starting()

import argparse
from collections.abc import Sequence

from pyimagesearch import features
from pyimagesearch.backbones.network import Backbone
from pyimagesearch.backbones.patch_features import (
    BackboneHalves,
    BackbonePatches,
    ColourPatches,
    default_side,
)
from pyimagesearch.cli import arguments, option_rules
from pyimagesearch.data import images, series_csv
from pyimagesearch.data.series import SeriesError
from pyimagesearch.detectors.image.isolation_forest import MAX_SAMPLES, default_estimators
from pyimagesearch.detectors.series import stream
from pyimagesearch.labelling import thresholds
from pyimagesearch.labelling.thresholds import ThresholdRule
from pyimagesearch.runtime import atomic_files
from pyimagesearch.runtime.console import EXIT_DONE, UserError, info, printable, run, set_quiet
from pyimagesearch.training import images as image_training
from pyimagesearch.training import series as series_training
from pyimagesearch.training.calibration import report_strangest, report_threshold
from pyimagesearch.training.trained_model import TrainedModel

SERIES_METHODS = ("ensemble", "stream")


def parse_arguments(argv: Sequence[str] | None) -> tuple[argparse.Namespace, ThresholdRule | None]:
    ap = arguments.parser(__doc__)
    ap.add_argument(
        "-d",
        "--dataset",
        required=True,
        help="folder of normal images, or a series: a CSV file, - for stdin",
    )
    ap.add_argument("-m", "--model", required=True, help="model file to write")
    ap.add_argument(
        "--method",
        choices=image_training.METHODS + SERIES_METHODS,
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
    arguments.add_forest(ap, features.HistogramFeatures.bins, default_estimators(MAX_SAMPLES))
    arguments.add_backbone(ap)
    arguments.add_patches(ap, image_training.CORESETS)
    arguments.add_columns(ap)
    arguments.add_threshold(
        ap,
        f"a false-alarm rate of {thresholds.DEFAULT_FALSE_ALARM_RATE}, or the best possible with "
        f"few images; of the method stream a score of {stream.DEFAULT_THRESHOLD}",
    )
    arguments.add_seed(ap)
    arguments.add_places(ap)
    args = ap.parse_args(argv)
    is_series = series_csv.is_series(args.dataset)
    methods = SERIES_METHODS if is_series else image_training.METHODS
    if args.method is None:
        args.method = methods[0] if is_series or args.backbone is None else "memory-bank"
    option_rules.check(
        ap,
        args,
        option_rules.TRAIN,
        is_series=is_series,
        methods=methods,
        fitting=" or ".join(methods),
        uses_patches=args.method in image_training.PATCH_METHODS,
    )
    return args, arguments.threshold_rule(args)


def main(argv: Sequence[str] | None = None) -> int:
    args, rule = parse_arguments(argv)
    set_quiet(args.quiet)
    atomic_files.check_writable(args.model)
    learn = learn_images if args.method in image_training.METHODS else learn_series
    usual = ThresholdRule()
    if args.method == "stream":
        usual = ThresholdRule(thresholds.NUMBER, stream.DEFAULT_THRESHOLD)
    model = learn(args, rule or usual)
    model.save(args.model)
    info(f"model written to {printable(args.model)}")
    return EXIT_DONE


def learn_images(args: argparse.Namespace, rule: ThresholdRule) -> TrainedModel:
    info("preparing dataset...")
    paths = list(images.list_images(args.dataset))
    source = image_training.Source(
        args.dataset,
        paths,
        args.strict,
        rule.asked_rate,
        args.jobs,
        args.scheduler,
    )
    if args.update is not None:
        extractor, learned = image_training.update(
            args.update, source, patch_options(args), args.backbone
        )
    else:
        extractor = choose_features(args, paths)
        if args.method in image_training.PATCH_METHODS:
            learned = image_training.learn_patches(
                source, extractor, args.method, patch_options(args)
            )
        else:
            learned = image_training.learn_pictures(
                source, extractor, args.method, n_estimators=args.n_estimators, seed=args.seed
            )
    report_strangest(learned.names, learned.calibration[-len(learned.names) :])

    threshold = rule.choose(learned.calibration, learned.training)
    report_threshold(threshold, len(learned.calibration), rule.asked_rate)
    return TrainedModel(
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
    looks_at_patches = args.method in image_training.PATCH_METHODS
    side = args.image_size or default_side(images.usual_pixels(paths), not looks_at_patches)
    ignored = None if args.mask is None else image_training.read_mask(args.mask)
    embedded = not args.external_backbone
    try:
        if looks_at_patches:
            if args.backbone is None:
                return ColourPatches(side, args.tile, ignored)
            return BackbonePatches(open_backbone(args), side, args.tile, embedded, ignored)
        if args.backbone is not None:
            return BackboneHalves(open_backbone(args), side, embedded)
    except ValueError as error:
        raise UserError(str(error)) from error
    return features.HistogramFeatures(bins=tuple(args.bins))


def open_backbone(args: argparse.Namespace) -> Backbone:
    try:
        backbone = image_training.open_backbone(
            args.backbone, args.weights, args.layers, arguments.preprocessing(args)
        )
    except ValueError as error:
        raise UserError(f"{printable(args.backbone)}: {error}") from error
    layers = ", ".join(f"{layer.name} (stride {layer.stride})" for layer in backbone.layers)
    info(f"features from {printable(args.backbone)}: {layers}")
    return backbone


def patch_options(args: argparse.Namespace) -> image_training.PatchOptions:
    return image_training.PatchOptions(
        memory=args.memory,
        bank_size=args.bank_size,
        coreset=args.coreset,
        rotate=args.augment == "rotation",
        thumbnails=args.keep_thumbnails,
        seed=args.seed,
    )


def learn_series(args: argparse.Namespace, rule: ThresholdRule) -> TrainedModel:
    info("preparing dataset...")
    series, grid = series_csv.open_series(args.dataset, args.timestamp_column, args.value_column)
    info(f"fitting anomaly detection model on {len(grid.values):,} rows...")
    try:
        if args.method == "stream":
            learned = series_training.learn_stream(series)
        else:
            learned = series_training.learn_ensemble(grid, args.seed)
    except SeriesError as error:
        raise UserError(f"{printable(args.dataset)}: {error}") from error
    threshold = rule.choose(learned.calibration, learned.training, extrapolate=True)
    series_training.report_threshold(threshold, learned)
    return series_training.series_model(
        series, grid, learned, threshold, hyperparameters={"seed": args.seed}
    )


if __name__ == "__main__":
    run(main)
