"""Go through a dataset with a trained model and bring out the anomalies, strangest first.

  python find_anomalies.py --model autoencoder.model --dataset images.npz
  python find_anomalies.py -m autoencoder.model -d images.npz --quantile 0.999 -o anomalies.png
  python find_anomalies.py -m anomaly_detector.model -d my_photos --csv scores.csv
  python find_anomalies.py -m series.model -d examples/daily_jump.csv -o plot.png
  python find_anomalies.py -m series.model -d examples/daily_jump.csv --report report.html
  tail -f rows.csv | python find_anomalies.py -m stream.model -d - --follow

Prints a line of CSV for each anomaly: image (or its index in an .npz), label, score, p_value; of
a series a line for each range of rows: start, end, peak, score, p_value. --csv and --json write
every item or row, in the dataset's order. Where the dataset says which items are anomalies,
precision, recall and average precision are told, too. Exit status as of test_anomaly_detector.py.
"""

import pyimagesearch.starting  # noqa: F401  (before what takes long)

# isort: split
import argparse
import itertools
import os
import sys
import time
from collections.abc import Callable, Iterator

import numpy as np

from pyimagesearch import (
    datasets,
    detectors,
    files,
    images,
    journals,
    metrics,
    modelfiles,
    options,
    places,
    progress,
    reports,
    series,
    seriesreports,
)
from pyimagesearch.options import info, printable, warn
from pyimagesearch.scoring import Labeller
from pyimagesearch.seriesscoring import SeriesLabeller
from pyimagesearch.shifts import Batch
from pyimagesearch.work import Work, measured_of

LEAST_PANEL_WIDTH = 160
MOST_IN_PICTURE = 25


def parse_arguments() -> tuple[argparse.Namespace, str | None]:
    ap = options.parser(__doc__)
    ap.add_argument("-m", "--model", required=True, help="model file from training")
    ap.add_argument(
        "-d",
        "--dataset",
        required=True,
        metavar="PATH",
        help="folder of images, .npz file, or a series: a CSV file, - for stdin",
    )
    ap.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="picture of the anomalies, a row each: original, reconstruction (where the model "
        f"makes one), and in red what is strange; at most {MOST_IN_PICTURE} rows. Of a series: "
        "a plot (.png) with its ranges, the scores and the threshold",
    )
    options.add_results(ap)
    options.add_report(ap)
    options.add_resume(ap, "for folders of images")
    ap.add_argument(
        "--top",
        type=options.whole_number(1),
        metavar="N",
        help="print the N strangest items instead, whatever their label; of a series at most N "
        "ranges",
    )
    ap.add_argument(
        "--follow",
        action="store_true",
        help="with a model of the method stream: read rows from stdin as they come, and print an "
        "alarm as it happens",
    )
    ap.add_argument(
        "--save-state",
        metavar="MODEL",
        help="with a model of the method stream: write the model as it is after the last row, so "
        "that the next run goes on from there",
    )
    options.add_columns(ap)
    options.add_external_backbone(ap)
    options.add_threshold(
        ap, "the threshold of the model file", quantile_of="this dataset's own scores"
    )
    options.add_jobs(ap)
    args = ap.parse_args()
    results = (args.output, args.csv, args.json, args.report)
    if args.follow and (args.dataset != options.STDIN or any(results)):
        ap.error("--follow reads -d - and prints alarms; it does not go with other results")
    options.check_resume(ap, args)
    return args, options.threshold_rule(ap, args)


def main() -> int:
    args, rule = parse_arguments()
    options.set_quiet(args.quiet)
    if args.output is not None:
        options.check_picture_name(args.output)
        files.check_writable(args.output)
    if args.show:
        options.check_display()
    if args.report is not None:
        from pyimagesearch import pages  # 20 ms that a run without a page should not pay

        pages.check(args.report, [args.dataset])

    info("loading anomaly detection model...")
    model = options.open_model(args.model, modelfiles.load_model)
    if model.manifest.get("kind") == series.KIND:
        return find_in_series(args, rule, model)
    take_over = options.opener(Labeller.from_model, args)
    labeller = options.open_model(args.model, lambda _: take_over(model))
    return find_in_images(args, rule, labeller)


def find_in_images(args: argparse.Namespace, rule: str | None, labeller: Labeller) -> int:
    started = time.monotonic()
    if options.is_series(args.dataset) or args.follow or args.save_state:
        raise options.UserError(f"{printable(args.model)}: it is a model of images, not of series")
    batch = Batch(labeller.calibration, labeller.conditions)
    is_npz = os.path.isfile(args.dataset) and not images.has_image_name(args.dataset)
    if is_npz:
        refuse_resume(args)
        verdicts, truth, picture_of = label_npz(labeller, args, batch)
    else:
        verdicts, truth = label_folder(labeller, args, batch), None
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
    notices = batch.notices()
    if args.report is not None:
        write_report(labeller, verdicts, notices, picture_of, args)
    first_column = "image" if truth is None and picture_of is images.read_image else "index"
    with reports.RowWriter(
        sys.stdout.buffer,
        args.csv,
        args.json,
        goes_on_without_stdout=args.output is not None or args.report is not None,
        name_column=first_column,
        in_sight=not is_npz,
    ) as rows:
        for verdict in verdicts:
            rows.write(verdict, to_stdout=False)
        for verdict in shown:
            rows.print(verdict)

    for notice in notices:
        warn(notice)
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


def refuse_resume(args: argparse.Namespace) -> None:
    if args.resume:
        raise options.UserError(
            f"{printable(args.dataset)}: --resume is for folders of images; this is done in one go"
        )


def label_folder(
    labeller: Labeller, args: argparse.Namespace, batch: Batch
) -> list[reports.Verdict]:
    """Verdicts by the model's own threshold, kept in a journal until all are there."""

    def run() -> dict:
        return journals.described(labeller.sha256, labeller.threshold, [args.dataset], None)

    def paths() -> Iterator[str]:
        return images.list_images(args.dataset)

    work = Work.with_model(
        labeller, args.model, backbone=args.backbone, measured=measured_of(paths())
    )
    with journals.Journal((args.csv, args.json), run, paths(), args.resume) as journal:
        verdicts = []
        outcomes = journal.outcomes(lambda remaining: places.done(work, remaining, args.jobs))
        for outcome in progress.shown(outcomes, paths, rows_on_stdout=False):
            batch.add(outcome.verdict.score, outcome.conditions)
            verdicts.append(outcome.verdict)
        return verdicts


def label_npz(
    labeller: Labeller, args: argparse.Namespace, batch: Batch
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

    verdicts = []
    for seen in labeller.see_pictures(dataset.pictures(), args.jobs):
        batch.add(seen.verdict.score, seen.conditions)
        verdicts.append(seen.verdict)
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


def write_report(
    labeller: Labeller,
    verdicts: list[reports.Verdict],
    notices: list[str],
    picture_of: Callable[[str], np.ndarray],
    args: argparse.Namespace,
) -> None:
    from pyimagesearch import pages

    are_files = picture_of is images.read_image
    with pages.ImagePage(args.report, linked=are_files) as page:
        for verdict in verdicts:
            page.add(verdict)
        read = None if are_files else picture_of
        page.write_for(args.model, labeller, notices, jobs=args.jobs, read=read)
    info(f"report written to {printable(args.report)}")


def find_in_series(args: argparse.Namespace, rule: str | None, model: modelfiles.ModelFile) -> int:
    refuse_resume(args)
    labeller = options.open_model(args.model, lambda _: SeriesLabeller.from_model(model))
    if (args.follow or args.save_state) and not labeller.detector.causal:
        raise options.UserError("--follow and --save-state are for models of the method stream")
    if args.save_state:
        files.check_writable(args.save_state)
    if args.follow:
        return follow_series(args, rule, model, labeller)
    started = time.monotonic()
    read, grid = options.open_series(
        args.dataset,
        args.timestamp_column,
        args.value_column,
        (labeller.time_name, labeller.names),
    )
    try:
        scored = labeller.label(read, grid)
    except series.SeriesError as error:
        raise options.UserError(f"{printable(args.dataset)}: {error}") from error
    known = scored.least[np.isfinite(scored.least)]
    threshold = series_threshold(args, rule, labeller, known)
    found = scored.ranges(threshold)
    n_unreadable = int((scored.labels(threshold) == reports.UNREADABLE).sum())

    goes_on = args.output is not None or args.report is not None
    with reports.Results(
        sys.stdout.buffer, args.csv, args.json, goes_on_without_stdout=goes_on
    ) as results:
        if results.csv:
            seriesreports.write_csv(results.csv, scored, threshold)
        if results.json:
            seriesreports.write_json(results.json, scored, threshold)
        if args.output is not None or args.show or args.report is not None:
            plot = seriesreports.plot_series(scored, found, threshold)
            show_or_write_plot(plot, args)
        if args.report is not None:
            from pyimagesearch import pages

            counts = {"rows": len(known), "unreadable": n_unreadable}
            pages.write_series_page(args.report, args.model, threshold, found, counts, plot)
            info(f"report written to {printable(args.report)}")
        results.print_line(reports.csv_line(seriesreports.RANGE_COLUMNS))
        for one in found[: args.top]:
            results.print_line(seriesreports.range_line(one))
    if args.save_state:
        save_state(args.save_state, model, labeller)
    info(
        f"{series.counted(len(found), 'range')} in {series.counted(len(known), 'row')}, "
        f"{n_unreadable:,} rows not judged ({time.monotonic() - started:.1f} s)"
    )
    if args.fail_on_anomaly and found:
        return options.EXIT_ANOMALY
    return options.EXIT_UNREADABLE if n_unreadable else options.EXIT_DONE


def follow_series(
    args: argparse.Namespace,
    rule: str | None,
    model: modelfiles.ModelFile,
    labeller: SeriesLabeller,
) -> int:
    threshold = series_threshold(args, rule, labeller, labeller.training)
    n_alarms = n_unreadable = 0
    try:
        with reports.Results(sys.stdout.buffer) as results:
            results.print_line(reports.csv_line(seriesreports.RANGE_COLUMNS))
            for one in labeller.follow(sys.stdin.buffer, args.timestamp_column, args.value_column):
                if one.score is None:
                    n_unreadable += 1
                    warn(f"{printable(one.start)}: no number, or earlier than the row before")
                elif one.score > threshold:
                    n_alarms += 1
                    results.print_line(seriesreports.range_line(one))
    except series.SeriesError as error:
        raise options.UserError(f"stdin: {error}") from error
    except KeyboardInterrupt:
        info("interrupted")
    finally:
        if args.save_state:
            save_state(args.save_state, model, labeller)
    info(f"{series.counted(n_alarms, 'alarm')}, {n_unreadable:,} rows not judged")
    if args.fail_on_anomaly and n_alarms:
        return options.EXIT_ANOMALY
    return options.EXIT_UNREADABLE if n_unreadable else options.EXIT_DONE


def series_threshold(
    args: argparse.Namespace, rule: str | None, labeller: SeriesLabeller, scores: np.ndarray
) -> float:
    if rule is None:
        return labeller.threshold
    looked_at = scores if rule == "quantile" else labeller.training
    chosen = options.choose_threshold(rule, args, labeller.calibration, looked_at, extrapolate=True)
    info(f"anomalies score above {chosen.value:.4f} ({chosen.rule})")
    return chosen.value


def show_or_write_plot(plot: bytes, args: argparse.Namespace) -> None:
    if args.output is not None:
        with files.written_whole(args.output) as file:
            file.write(plot)
        info(f"plot written to {printable(args.output)}")
    if args.show:
        reports.show(images.decode_image(plot))


def save_state(path: str, model: modelfiles.ModelFile, labeller: SeriesLabeller) -> None:
    manifest = {k: v for k, v in model.manifest.items() if k != "members"}
    manifest["detector"] = detectors.described(labeller.detector)
    arrays = model.arrays | detectors.members(labeller.detector)
    modelfiles.save_model(path, manifest, arrays, model.networks)
    info(f"state written to {printable(path)}")


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
