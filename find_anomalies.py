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

if __name__ == "__main__":
    from pyimagesearch.runtime import interrupts

    interrupts.end_quietly_while_starting()

import argparse
import contextlib
import itertools
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from pyimagesearch import metrics
from pyimagesearch.cli import argument_types, arguments, option_rules, resume_journal
from pyimagesearch.cli.labelling_job import LabellingJob, measure_every_of
from pyimagesearch.data import image_sets, images, series, series_csv
from pyimagesearch.detectors import model_file, registry
from pyimagesearch.labelling.batch_shift import Batch
from pyimagesearch.labelling.images import Labeller
from pyimagesearch.labelling.series import SeriesLabeller
from pyimagesearch.labelling.thresholds import ThresholdRule
from pyimagesearch.labelling.verdict import ANOMALY, UNREADABLE, Verdict
from pyimagesearch.reports import drawing
from pyimagesearch.reports import series as series_reports
from pyimagesearch.reports.rows import Results, RowWriter, csv_line
from pyimagesearch.runtime import atomic_files, parallel, progress
from pyimagesearch.runtime.console import (
    EXIT_ANOMALY,
    EXIT_DONE,
    EXIT_UNREADABLE,
    STDIN,
    UserError,
    counted,
    info,
    printable,
    run,
    set_quiet,
    warn,
)

LEAST_PANEL_WIDTH = 160
MOST_IN_PICTURE = 25


def parse_arguments(argv: Sequence[str] | None) -> tuple[argparse.Namespace, ThresholdRule | None]:
    ap = arguments.parser(__doc__)
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
    arguments.add_results(ap)
    arguments.add_report(ap)
    arguments.add_resume(ap, "for folders of images")
    ap.add_argument(
        "--top",
        type=argument_types.whole_number(1),
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
    arguments.add_columns(ap)
    arguments.add_external_backbone(ap)
    arguments.add_threshold(
        ap, "the threshold of the model file", quantile_of="this dataset's own scores"
    )
    arguments.add_jobs(ap)
    args = ap.parse_args(argv)
    results = (args.output, args.csv, args.json, args.report)
    if args.follow and (args.dataset != STDIN or any(results)):
        ap.error("--follow reads -d - and prints alarms; it does not go with other results")
    option_rules.check(ap, args, option_rules.FIND)
    return args, arguments.threshold_rule(args)


def main(argv: Sequence[str] | None = None) -> int:
    args, rule = parse_arguments(argv)
    set_quiet(args.quiet)
    if args.output is not None:
        drawing.check_picture_name(args.output)
        atomic_files.check_writable(args.output)
    if args.show:
        drawing.check_display()
    if args.report is not None:
        from pyimagesearch.reports import html_page

        html_page.check(args.report, [args.dataset])

    info("loading anomaly detection model...")
    model = model_file.open_model(args.model, model_file.load_model)
    if model.manifest.get("kind") == series.KIND:
        return find_in_series(args, rule, model)
    take_over = arguments.opener(Labeller.from_model, args.backbone)
    labeller = model_file.open_model(args.model, lambda _: take_over(model))
    return find_in_images(args, rule, labeller)


def find_in_images(args: argparse.Namespace, rule: ThresholdRule | None, labeller: Labeller) -> int:
    started = time.monotonic()
    if series_csv.is_series(args.dataset) or args.follow or args.save_state:
        raise UserError(f"{printable(args.model)}: it is a model of images, not of series")
    is_npz = os.path.isfile(args.dataset) and not images.has_image_name(args.dataset)
    if is_npz:
        refuse_resume(args)
    judged_last = rule is not None and rule.name == "quantile"  # by the scores of this dataset
    if rule is not None and not judged_last:
        labeller = with_rule(labeller, rule)
    batch = Batch(labeller.calibration, labeller.conditions)
    journal = open_journal(labeller, args, is_npz)
    page = None
    if args.report is not None:
        from pyimagesearch.reports import html_page

        # Heat depends on the threshold: exhibits of another one are of no use.
        page = html_page.ImagePage(
            args.report, lambda: journal.holds_rows and not judged_last, linked=not is_npz
        )
    with journal, page or contextlib.nullcontext():
        if is_npz:
            verdicts, truth, picture_of = label_npz(labeller, args, batch)
        else:
            exhibits = page.exhibits if page and not judged_last else None
            verdicts, truth = label_folder(labeller, args, batch, journal, exhibits), None
            picture_of = images.read_image
        if not verdicts:
            raise UserError(f"{printable(args.dataset)}: no images in this folder")
        if judged_last:
            labeller = with_rule(labeller, rule, verdicts)
            verdicts = [v if v.score is None else labeller.relabel(v) for v in verdicts]

        readable = [v for v in verdicts if v.label != UNREADABLE]
        ranked = sorted(readable, key=lambda v: -v.score)
        anomalies = [v for v in ranked if v.label == ANOMALY]
        shown = anomalies if args.top is None else ranked[: args.top]
        for verdict in verdicts:
            if verdict.label == UNREADABLE:
                warn(f"{printable(verdict.image)}: {verdict.reason}")
        if args.output is not None or args.show:
            show_or_write(labeller, shown, picture_of, args)
        notices = batch.notices()
        if page:
            for verdict in verdicts:
                page.add(verdict)
            if is_npz:
                from pyimagesearch.reports.thumbnails import made_on_threads  # there, as pages is

                make = made_on_threads(labeller, picture_of, args.jobs)
            else:
                make = work_with(labeller, args).thumbnail_maker(args.jobs)
            page.write_for(args.model, labeller, notices, make)
            info(f"report written to {printable(args.report)}")
        with RowWriter(
            sys.stdout.buffer,
            args.csv,
            args.json,
            goes_on_without_stdout=args.output is not None or args.report is not None,
            name_column="index" if is_npz else "image",
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
        return EXIT_ANOMALY
    return EXIT_UNREADABLE if n_unreadable else EXIT_DONE


def refuse_resume(args: argparse.Namespace) -> None:
    if args.resume:
        raise UserError(
            f"{printable(args.dataset)}: --resume is for folders of images; this is done in one go"
        )


def open_journal(
    labeller: Labeller, args: argparse.Namespace, is_npz: bool
) -> resume_journal.Journal:
    """The journal of a folder; of a dataset that is done in one go none is kept."""

    def run() -> dict:
        return resume_journal.described(labeller.sha256, labeller.threshold, [args.dataset], None)

    if is_npz:
        return resume_journal.Journal((), run, (), resume=False)
    return resume_journal.Journal((args.csv, args.json), run, paths_of(args), args.resume)


def paths_of(args: argparse.Namespace) -> Iterator[str]:
    return images.list_images(args.dataset)


def work_with(labeller: Labeller, args: argparse.Namespace, **what: Any) -> LabellingJob:
    return LabellingJob.with_model(labeller, args.model, backbone=args.backbone, **what)


def label_folder(
    labeller: Labeller,
    args: argparse.Namespace,
    batch: Batch,
    journal: resume_journal.Journal,
    exhibits: str | None,
) -> list[Verdict]:
    verdicts = []
    every = measure_every_of(paths_of(args))
    work = work_with(labeller, args, thumbnails=exhibits, measure_every=every)
    with contextlib.closing(
        journal.verdicts(lambda remaining: parallel.run_task(work, remaining, args.jobs))
    ) as labelled:
        for verdict in progress.shown(labelled, lambda: paths_of(args), rows_on_stdout=False):
            batch.add(verdict.score, verdict.conditions)
            verdicts.append(verdict)
    return verdicts


def label_npz(
    labeller: Labeller, args: argparse.Namespace, batch: Batch
) -> tuple[list[Verdict], np.ndarray | None, Callable[[str], np.ndarray]]:
    """Verdicts, what is known about the truth, and how to get an item's picture."""
    try:
        dataset = image_sets.read_npz(args.dataset)
        labeller.check_pictures(dataset.images.shape[1:])
    except ValueError as error:
        raise UserError(f"{printable(args.dataset)}: {error}") from error

    def picture_of(index: str) -> np.ndarray:
        number = int(index)
        chosen = image_sets.Dataset(dataset.images[number : number + 1])
        return next(chosen.bgr_images())

    verdicts = []
    for verdict in labeller.label_arrays(dataset.bgr_images(), args.jobs):
        batch.add(verdict.score, verdict.conditions)
        verdicts.append(verdict)
    return verdicts, dataset.is_anomaly, picture_of


def with_rule(
    labeller: Labeller,
    rule: ThresholdRule,
    verdicts: Sequence[Verdict] = (),
) -> Labeller:
    """The model with another threshold, chosen by the scores of verdicts where there are any."""
    scores = np.array([v.score for v in verdicts if v.score is not None])
    looked_at = scores if len(scores) else labeller.training
    chosen = rule.choose(labeller.calibration, looked_at)
    info(f"anomalies score above {chosen.value:.4f} ({chosen.rule})")
    return labeller.with_threshold(chosen.value)


def show_or_write(
    labeller: Labeller,
    shown: list[Verdict],
    picture_of: Callable[[str], np.ndarray],
    args: argparse.Namespace,
) -> None:
    if not shown:
        info("there is no anomaly to show: no picture is made")
        return

    def rows() -> Iterator[tuple[Verdict, list[np.ndarray]]]:
        for verdict in itertools.islice(shown, MOST_IN_PICTURE):
            try:
                yield verdict, drawing.panels(labeller, picture_of(verdict.image))
            except images.ImageError as error:  # it was readable when it was labelled
                raise UserError(f"{printable(verdict.image)}: {error}") from error

    picture = drawing.draw_rows(rows(), LEAST_PANEL_WIDTH)
    if args.output is not None:
        with atomic_files.atomic_write(args.output) as file:
            file.write(images.encode_picture(picture, os.path.splitext(args.output)[1]))
        info(f"picture of {min(len(shown), MOST_IN_PICTURE)} written to {printable(args.output)}")
    if args.show:
        drawing.show(picture)


def find_in_series(
    args: argparse.Namespace, rule: ThresholdRule | None, model: model_file.ModelFile
) -> int:
    refuse_resume(args)
    labeller = model_file.open_model(args.model, lambda _: SeriesLabeller.from_model(model))
    if (args.follow or args.save_state) and not labeller.detector.causal:
        raise UserError("--follow and --save-state are for models of the method stream")
    if args.save_state:
        atomic_files.check_writable(args.save_state)
    if args.follow:
        return follow_series(args, rule, model, labeller)
    started = time.monotonic()
    read, grid = series_csv.open_series(
        args.dataset,
        args.timestamp_column,
        args.value_column,
        (labeller.time_name, labeller.names),
    )
    try:
        scored = labeller.label(read, grid)
    except series.SeriesError as error:
        raise UserError(f"{printable(args.dataset)}: {error}") from error
    known = scored.least[np.isfinite(scored.least)]
    threshold = series_threshold(rule, labeller, known)
    found = scored.ranges(threshold)
    n_unreadable = int((scored.labels(threshold) == UNREADABLE).sum())

    goes_on = args.output is not None or args.report is not None
    with Results(sys.stdout.buffer, args.csv, args.json, goes_on_without_stdout=goes_on) as results:
        if results.csv:
            series_reports.write_csv(results.csv, scored, threshold)
        if results.json:
            series_reports.write_json(results.json, scored, threshold)
        if args.output is not None or args.show or args.report is not None:
            plot = series_reports.plot_series(scored, found, threshold)
            show_or_write_plot(plot, args)
        if args.report is not None:
            from pyimagesearch.reports import html_page

            counts = {"rows": len(known), "unreadable": n_unreadable}
            html_page.write_series_page(args.report, args.model, threshold, found, counts, plot)
            info(f"report written to {printable(args.report)}")
        results.print_line(csv_line(series_reports.RANGE_COLUMNS))
        for one in found[: args.top]:
            results.print_line(series_reports.range_line(one))
    if args.save_state:
        save_state(args.save_state, model, labeller)
    info(
        f"{counted(len(found), 'range')} in {counted(len(known), 'row')}, "
        f"{n_unreadable:,} rows not judged ({time.monotonic() - started:.1f} s)"
    )
    if args.fail_on_anomaly and found:
        return EXIT_ANOMALY
    return EXIT_UNREADABLE if n_unreadable else EXIT_DONE


def follow_series(
    args: argparse.Namespace,
    rule: ThresholdRule | None,
    model: model_file.ModelFile,
    labeller: SeriesLabeller,
) -> int:
    threshold = series_threshold(rule, labeller, labeller.training)
    n_alarms = n_unreadable = 0
    try:
        with Results(sys.stdout.buffer) as results:
            results.print_line(csv_line(series_reports.RANGE_COLUMNS))
            for one in labeller.follow(sys.stdin.buffer, args.timestamp_column, args.value_column):
                if one.score is None:
                    n_unreadable += 1
                    warn(f"{printable(one.start)}: no number, or earlier than the row before")
                elif one.score > threshold:
                    n_alarms += 1
                    results.print_line(series_reports.range_line(one))
    except series.SeriesError as error:
        raise UserError(f"stdin: {error}") from error
    except KeyboardInterrupt:
        info("interrupted")
    finally:
        if args.save_state:
            save_state(args.save_state, model, labeller)
    info(f"{counted(n_alarms, 'alarm')}, {n_unreadable:,} rows not judged")
    if args.fail_on_anomaly and n_alarms:
        return EXIT_ANOMALY
    return EXIT_UNREADABLE if n_unreadable else EXIT_DONE


def series_threshold(
    rule: ThresholdRule | None,
    labeller: SeriesLabeller,
    scores: np.ndarray,
) -> float:
    if rule is None:
        return labeller.threshold
    looked_at = scores if rule.name == "quantile" else labeller.training
    chosen = rule.choose(labeller.calibration, looked_at, extrapolate=True)
    info(f"anomalies score above {chosen.value:.4f} ({chosen.rule})")
    return chosen.value


def show_or_write_plot(plot: bytes, args: argparse.Namespace) -> None:
    if args.output is not None:
        with atomic_files.atomic_write(args.output) as file:
            file.write(plot)
        info(f"plot written to {printable(args.output)}")
    if args.show:
        drawing.show(images.decode_image(plot))


def save_state(path: str, model: model_file.ModelFile, labeller: SeriesLabeller) -> None:
    manifest = {k: v for k, v in model.manifest.items() if k != "members"}
    manifest["detector"] = registry.described(labeller.detector)
    arrays = model.arrays | registry.members(labeller.detector)
    model_file.save_model(path, manifest, arrays, model.networks)
    info(f"state written to {printable(path)}")


def report_truth(verdicts: list[Verdict], truth: np.ndarray) -> None:
    """Tell how good the verdicts are."""
    counts = metrics.confusion(truth, [v.label == ANOMALY for v in verdicts])
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
    run(main)
