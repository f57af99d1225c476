"""Go through a dataset with a trained model and bring out the anomalies, strangest first.

  python find_anomalies.py --model autoencoder.model --dataset images.npz
  python find_anomalies.py -m autoencoder.model -d images.npz --quantile 0.999 -o anomalies.png
  python find_anomalies.py -m anomaly_detector.model -d my_photos --csv scores.csv

Prints a line of CSV for each anomaly: image (or its index in an .npz), label, score, p_value.
--csv and --json write every item, in the dataset's order. Where the dataset says which items are
anomalies, precision, recall and average precision are told, too. Exit status as of
test_anomaly_detector.py.
"""

import argparse
import itertools
import os
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np

from pyimagesearch import datasets, files, images, metrics, options, reports
from pyimagesearch.options import info, printable, warn
from pyimagesearch.scoring import Labeller

LEAST_PANEL_WIDTH = 160
MOST_IN_PICTURE = 25


def parse_arguments() -> tuple[argparse.Namespace, str | None]:
    ap = options.parser(__doc__)
    ap.add_argument("-m", "--model", required=True, help="model file from training")
    ap.add_argument(
        "-d", "--dataset", required=True, metavar="PATH", help="folder of images, or .npz file"
    )
    ap.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="picture of the anomalies, a row each: original, reconstruction (where the model "
        f"makes one), and in red what is strange; at most {MOST_IN_PICTURE} rows",
    )
    options.add_results(ap)
    ap.add_argument(
        "--top",
        type=options.whole_number(1),
        metavar="N",
        help="print the N strangest items instead, whatever their label",
    )
    options.add_threshold(
        ap, "the threshold of the model file", quantile_of="this dataset's own scores"
    )
    options.add_jobs(ap)
    args = ap.parse_args()
    return args, options.threshold_rule(ap, args)


def main() -> int:
    args, rule = parse_arguments()
    options.set_quiet(args.quiet)
    started = time.monotonic()
    if args.output is not None:
        options.check_picture_name(args.output)
        files.check_writable(args.output)
    if args.show:
        options.check_display()

    info("loading anomaly detection model...")
    labeller = options.open_model(args.model, Labeller.open)
    if os.path.isfile(args.dataset) and not images.has_image_name(args.dataset):
        verdicts, truth, picture_of = label_npz(labeller, args)
    else:
        paths = images.list_images(args.dataset)
        verdicts, truth = list(labeller.label(paths, args.jobs)), None
        picture_of = images.read_image
    if not verdicts:
        raise options.UserError(f"{printable(args.dataset)}: no images in this folder")
    if rule is not None:
        labeller, verdicts = judge_again(labeller, verdicts, rule, args)

    readable = [v for v in verdicts if v.label != reports.UNREADABLE]
    ranked = sorted(readable, key=lambda v: -v.score)
    anomalies = [v for v in ranked if v.label == reports.ANOMALY]
    shown = anomalies if args.top is None else ranked[: args.top]
    for verdict in verdicts:
        if verdict.label == reports.UNREADABLE:
            warn(f"{printable(verdict.image)}: {verdict.reason}")
    if args.output is not None or args.show:
        show_or_write(labeller, shown, picture_of, args)
    first_column = "image" if truth is None and picture_of is images.read_image else "index"
    with reports.RowWriter(
        sys.stdout.buffer,
        args.csv,
        args.json,
        goes_on_without_stdout=args.output is not None,
        name_column=first_column,
    ) as rows:
        for verdict in verdicts:
            rows.write(verdict, to_stdout=False)
        for verdict in shown:
            rows.print(verdict)

    n_unreadable = len(verdicts) - len(readable)
    info(
        f"{len(anomalies)} anomalies among {len(readable)}, {n_unreadable} unreadable "
        f"({time.monotonic() - started:.1f} s)"
    )
    if truth is not None:
        report_truth(verdicts, truth)
    if args.fail_on_anomaly and anomalies:
        return options.EXIT_ANOMALY
    return options.EXIT_UNREADABLE if n_unreadable else options.EXIT_DONE


def label_npz(
    labeller: Labeller, args: argparse.Namespace
) -> tuple[list[reports.Verdict], np.ndarray | None, Callable[[str], np.ndarray]]:
    """Verdicts, what is known about the truth, and how to get an item's picture."""
    try:
        dataset = datasets.read_npz(args.dataset)
        labeller.check_pictures(dataset.images.shape[1:])
    except ValueError as error:
        raise options.UserError(f"{printable(args.dataset)}: {error}") from error

    def picture_of(index: str) -> np.ndarray:
        number = int(index)
        chosen = datasets.Dataset(dataset.images[number : number + 1])
        return next(chosen.pictures())

    verdicts = list(labeller.label_pictures(dataset.pictures(), args.jobs))
    return verdicts, dataset.is_anomaly, picture_of


def judge_again(
    labeller: Labeller, verdicts: list[reports.Verdict], rule: str, args: argparse.Namespace
) -> tuple[Labeller, list[reports.Verdict]]:
    """Apply another threshold; the rule quantile looks at the scores of this dataset."""
    scores = np.array([v.score for v in verdicts if v.score is not None])
    looked_at = scores if rule == "quantile" and len(scores) else labeller.training
    chosen = options.choose_threshold(rule, args, labeller.calibration, looked_at)
    info(f"anomalies score above {chosen.value:.4f} ({chosen.rule})")
    labeller = labeller.with_threshold(chosen.value)
    return labeller, [v if v.score is None else labeller.relabel(v) for v in verdicts]


def show_or_write(
    labeller: Labeller,
    shown: list[reports.Verdict],
    picture_of: Callable[[str], np.ndarray],
    args: argparse.Namespace,
) -> None:
    if not shown:
        info("there is no anomaly to show: no picture is made")
        return

    def rows() -> Iterator[tuple[reports.Verdict, list[np.ndarray]]]:
        for verdict in itertools.islice(shown, MOST_IN_PICTURE):
            try:
                yield verdict, labeller.panels(picture_of(verdict.image))
            except images.ImageError as error:  # it was readable when it was labelled
                raise options.UserError(f"{printable(verdict.image)}: {error}") from error

    picture = reports.draw_rows(rows(), LEAST_PANEL_WIDTH)
    if args.output is not None:
        with files.written_whole(args.output) as file:
            file.write(reports.encode_picture(picture, os.path.splitext(args.output)[1]))
        info(f"picture of {min(len(shown), MOST_IN_PICTURE)} written to {printable(args.output)}")
    if args.show:
        reports.show(picture)


def report_truth(verdicts: list[reports.Verdict], truth: np.ndarray) -> None:
    """Tell how good the verdicts are."""
    counts = metrics.confusion(truth, [v.label == reports.ANOMALY for v in verdicts])
    if not counts.n_anomalies:
        info("the dataset says that none of its items is an anomaly")
        return
    precision = f"{counts.precision.value:.3f}" if counts.n_called else "undefined"
    average = metrics.average_precision(truth, [v.score for v in verdicts])
    info(
        f"of {counts.n_anomalies} true anomalies {counts.true_positives} found: "
        f"precision {precision}, recall {counts.recall.value:.3f}, "
        f"average precision {average:.3f}"
    )


if __name__ == "__main__":
    options.run(main)
