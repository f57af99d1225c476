"""Learn what normal photos look like, or how a series normally goes, and write a model file.

  python train_anomaly_detector.py --dataset forest --model anomaly_detector.model
  python train_anomaly_detector.py -d forest -m anomaly_detector.model --false-alarm-rate 0.05
  python train_anomaly_detector.py --dataset examples/daily.csv --model series.model
  python train_anomaly_detector.py -d examples/daily.csv -m stream.model --method stream

The photos below the dataset folder should all be normal; a series (a CSV file) may hold a few
anomalies. The model file holds no code and is read by test_anomaly_detector.py (images) and
find_anomalies.py (images and series).
"""

import argparse
import functools

import numpy as np

from pyimagesearch import files, images, options, seriestraining, thresholds, training
from pyimagesearch.detectors import stream
from pyimagesearch.detectors.forest import MAX_SAMPLES, ForestDetector, default_estimators
from pyimagesearch.features import HistogramFeatures
from pyimagesearch.options import info, printable
from pyimagesearch.series import SeriesError

IMAGE_METHODS = ("forest",)
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
        choices=IMAGE_METHODS + SERIES_METHODS,
        help="detector: of images forest (default), of series ensemble (default; compares windows) "
        "or stream (one row at a time, as they come)",
    )
    ap.add_argument(
        "-b",
        "--bins",
        nargs=3,
        type=options.whole_number(1),
        default=HistogramFeatures.bins,
        metavar=("H", "S", "V"),
        help="histogram bins for hue, saturation and value (default: 3 3 3)",
    )
    ap.add_argument(
        "-n",
        "--n-estimators",
        type=options.whole_number(1),
        metavar="N",
        help="number of isolation trees (default: 4000 for 16 images, falling to "
        f"{default_estimators(MAX_SAMPLES)} for hundreds, whose trees are deeper)",
    )
    ap.add_argument(
        "--strict", action="store_true", help="refuse a dataset that has unreadable images"
    )
    options.add_columns(ap)
    options.add_threshold(
        ap,
        f"a false-alarm rate of {thresholds.DEFAULT_FALSE_ALARM_RATE}, or the best possible with "
        f"few images; of the method stream a score of {stream.DEFAULT_THRESHOLD}",
    )
    options.add_seed(ap)
    options.add_jobs(ap)
    args = ap.parse_args()
    rule = options.threshold_rule(ap, args)
    if max(args.bins) > 64:
        ap.error("argument -b/--bins: at most 64 bins for each channel")
    methods = SERIES_METHODS if options.is_series(args.dataset) else IMAGE_METHODS
    args.method = args.method or methods[0]
    if args.method not in methods:
        ap.error(f"--method {args.method} does not go with this dataset: {' or '.join(methods)}")
    return args, rule


def main() -> int:
    args, rule = parse_arguments()
    options.set_quiet(args.quiet)
    files.check_writable(args.model)
    learn = learn_images if args.method in IMAGE_METHODS else learn_series
    usual = str(stream.DEFAULT_THRESHOLD) if args.method == "stream" else "false-alarm-rate"
    model = learn(args, rule or usual)
    model.save(args.model)
    info(f"model written to {printable(args.model)}")
    return options.EXIT_DONE


def learn_images(args: argparse.Namespace, rule: str) -> training.TrainedModel:
    info("preparing dataset...")
    extractor = HistogramFeatures(bins=tuple(args.bins))
    audit = training.audit_images(
        images.list_images(args.dataset), extractor.extract, extractor.min_side, args.jobs
    )
    training.report_files(audit, args.dataset, args.strict)
    features = np.array(audit.features)
    training.check_trainable(features, args.dataset)
    n_images = len(audit.paths)
    if rule == "false-alarm-rate" and args.false_alarm_rate is not None:
        # Better to learn that the rate is out of reach before the fitting than after it.
        options.check_rate(args.false_alarm_rate, n_images)

    info(f"fitting anomaly detection model on {n_images} images...")
    folds = training.Folds.of(n_images)
    # Scores can be compared only between forests whose trees were grown from equal numbers.
    max_samples = min(MAX_SAMPLES, folds.fitted_on)
    n_estimators = args.n_estimators or default_estimators(max_samples)
    fit = functools.partial(
        ForestDetector.fit, max_samples=max_samples, n_estimators=n_estimators, seed=args.seed
    )
    detector = fit(features)
    calibration = folds.scores(features, fit, ForestDetector.score, args.jobs)
    training.report_strangest(audit.paths, calibration)

    training_scores = detector.score(features)
    threshold = options.choose_threshold(rule, args, calibration, training_scores)
    training.report_threshold(threshold, n_images, args.false_alarm_rate)
    return training.TrainedModel(
        preprocessing=extractor.settings(),
        detector=detector,
        calibration=calibration,
        calibration_method=folds.method,
        training=training_scores,
        threshold=threshold,
        hyperparameters={"n_estimators": n_estimators, "seed": args.seed},
        data_digest=audit.digest,
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
