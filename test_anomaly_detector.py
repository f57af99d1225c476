"""Label images as normal or anomaly with a trained model.

  python test_anomaly_detector.py --model anomaly_detector.model --image examples/coast_1.jpg
  python test_anomaly_detector.py -m anomaly_detector.model -i examples -o labelled
  python test_anomaly_detector.py -m anomaly_detector.model -d my_photos --report report.html
  find photos -name '*.jpg' | python test_anomaly_detector.py -m anomaly_detector.model -i -
  python test_anomaly_detector.py -m anomaly_detector.model -d photos --csv labels.csv --resume
  python test_anomaly_detector.py -m anomaly_detector.model --watch arriving --csv labels.csv

Prints a line of CSV for each image: image, label, score, p_value. Exit status: 0 done, 1 failed,
2 wrong usage, 3 done but some images were unreadable, 4 with --fail-on-anomaly: one was found.
"""

if __name__ == "__main__":
    from pyimagesearch.runtime import interrupts

    interrupts.end_quietly_while_starting()

import argparse
import contextlib
import heapq
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pyimagesearch.cli import argument_types, arguments, option_rules, resume_journal
from pyimagesearch.cli.labelling_job import LabellingJob, measure_every_of
from pyimagesearch.data import images
from pyimagesearch.detectors import model_file
from pyimagesearch.labelling.batch_shift import Batch
from pyimagesearch.labelling.images import Labeller
from pyimagesearch.labelling.thresholds import ThresholdRule
from pyimagesearch.labelling.verdict import ANOMALY, NORMAL, UNREADABLE, Verdict
from pyimagesearch.reports import drawing
from pyimagesearch.reports.rows import RowWriter
from pyimagesearch.runtime import atomic_files, parallel, progress, remote_files
from pyimagesearch.runtime.console import (
    EXIT_ANOMALY,
    EXIT_DONE,
    EXIT_UNREADABLE,
    STDIN,
    UserError,
    info,
    printable,
    run,
    set_quiet,
    warn,
)
from pyimagesearch.runtime.interrupts import Stop
from pyimagesearch.runtime.processes import ProcessPool

if TYPE_CHECKING:
    from pyimagesearch.cli import watch_folder


def parse_arguments(argv: Sequence[str] | None) -> tuple[argparse.Namespace, ThresholdRule | None]:
    ap = arguments.parser(__doc__)
    ap.add_argument("-m", "--model", required=True, help="model file from training")
    ap.add_argument(
        "-i",
        "--image",
        nargs="+",
        default=[],
        metavar="PATH",
        help="images or folders of images; - reads paths from stdin, one a line",
    )
    ap.add_argument("-d", "--dataset", metavar="FOLDER", help="folder of images, as with --image")
    ap.add_argument(
        "-w",
        "--watch",
        metavar="FOLDER",
        help="label the pictures in a folder and those that arrive there, until Ctrl-C or SIGTERM; "
        "--csv FILE is added to, and pictures that have a row in it are not labelled again",
    )
    ap.add_argument(
        "--on-anomaly",
        metavar="COMMAND",
        help="with --watch: run this for each anomaly; {} stands for the picture, and "
        "$ANOMALY_IMAGE, $ANOMALY_SCORE and $ANOMALY_P_VALUE are set; it gets a minute",
    )
    ap.add_argument(
        "-o",
        "--output",
        metavar="PATH",
        help="write pictures with label and heat map: a file for one image, a folder for more",
    )
    arguments.add_results(ap)
    arguments.add_report(ap)
    arguments.add_resume(ap, "stdout gets the new rows only")
    ap.add_argument(
        "--top",
        type=argument_types.whole_number(1),
        metavar="N",
        help="print only the N strangest images, strangest first",
    )
    arguments.add_external_backbone(ap)
    arguments.add_threshold(ap, "the threshold of the model file")
    arguments.add_executor(ap)
    args = ap.parse_args(argv)
    if args.dataset is not None:
        args.image.append(args.dataset)
    if not args.image and args.watch is None:
        ap.error("one of the arguments -i/--image -d/--dataset -w/--watch is required")
    if args.watch is None and args.on_anomaly is not None:
        ap.error("--on-anomaly goes with --watch")
    if args.watch is not None:
        if args.image:
            ap.error("--watch goes without --image and --dataset")
        for name in ("json", "resume", "report", "show", "top", "scheduler"):
            if getattr(args, name):
                ap.error(f"--{name} does not go with --watch")
        args.image.append(args.watch)
    option_rules.check(ap, args, option_rules.LABEL)
    return args, arguments.threshold_rule(args)


def main(argv: Sequence[str] | None = None) -> int:
    args, rule = parse_arguments(argv)
    set_quiet(args.quiet)
    started = time.monotonic()
    if args.dataset and not (os.path.exists(args.dataset) or remote_files.is_url(args.dataset)):
        raise UserError(f"{printable(args.dataset)}: no such folder")

    info("loading anomaly detection model...")
    labeller = open_labeller(args, rule)
    if args.output is not None and remote_files.is_url(args.output):
        raise UserError("--output is a folder that the workers have, and no URL")
    picture_file = single_picture_file(args)
    if args.output is not None and picture_file is None:
        atomic_files.refuse_output_inside_input(args.output, args.image)
    if args.show:
        drawing.check_display()
    if args.watch is not None:
        return watch(args, labeller)

    journal = resume_journal.Journal(
        (args.csv, args.json),
        lambda: resume_journal.described(
            labeller.sha256, labeller.threshold, args.image, args.output
        ),
        inputs(args.image),
        args.resume,
    )
    page = open_page(args, journal)
    work = LabellingJob.with_model(
        labeller,
        args.model,
        backbone=args.backbone,
        picture=picture_file,
        pictures=None if picture_file else args.output,
        thumbnails=page.exhibits if page else None,
        measure_every=measure_every_of(inputs(args.image)) if can_be_listed(args.image) else 1,
    )
    counts: Counter[str] = Counter()
    batch = Batch(labeller.calibration, labeller.conditions)
    strangest: list[tuple[float, int, Verdict]] = []
    with (
        journal,
        page or contextlib.nullcontext(),
        RowWriter(
            sys.stdout.buffer,
            args.csv,
            args.json,
            goes_on_without_stdout=args.output is not None or args.report is not None,
            in_sight=True,
        ) as rows,
        contextlib.closing(
            journal.verdicts(
                lambda paths: parallel.run_task(work, paths, args.jobs, args.scheduler)
            )
        ) as verdicts,
    ):
        countable = None if STDIN in args.image else lambda: inputs(args.image)
        for verdict in progress.shown(verdicts, countable, rows_on_stdout=args.top is None):
            counts[verdict.label] += 1
            if page:
                page.add(verdict)
            batch.add(verdict.score, verdict.conditions)
            is_new = counts.total() > journal.n_resumed
            rows.write(verdict, to_stdout=is_new and args.top is None)
            if verdict.label == UNREADABLE:
                if is_new:
                    warn(f"{printable(verdict.image)}: {verdict.reason}")
                continue
            if args.top:
                keep_strangest(strangest, verdict, args.top, counts.total())
            if args.show and is_new:
                drawing.show(drawing.draw_labelled(labeller, verdict))
        for _, _, verdict in sorted(strangest, reverse=True):
            rows.print(verdict)
        if not counts:
            raise UserError(f"no images in {', '.join(map(printable, args.image))}")
        notices = batch.notices()
        if page:
            page.write_for(args.model, labeller, notices, work.thumbnail_maker(args.jobs))

    for notice in notices:
        warn(notice)
    info(f"{told(counts)} ({time.monotonic() - started:.1f} s)")
    if args.output is not None:
        info(f"pictures written to {printable(args.output)}")
    if args.report is not None:
        info(f"report written to {printable(args.report)}")
    if args.fail_on_anomaly and counts[ANOMALY]:
        return EXIT_ANOMALY
    return EXIT_UNREADABLE if counts[UNREADABLE] else EXIT_DONE


def watch(args: argparse.Namespace, labeller: Labeller) -> int:
    """Label what is in a folder and what arrives there, until it is asked to stop."""
    # 10 ms that other runs should not pay.
    from pyimagesearch.cli import anomaly_command, watch_folder

    os.scandir(args.watch).close()  # a folder that is not there now is a mistake
    counts: Counter[str] = Counter()
    work = LabellingJob.with_model(
        labeller, args.model, backbone=args.backbone, pictures=args.output
    )
    with contextlib.ExitStack() as stack:
        # Kept from one picture to the next, since starting them takes longer than a picture.
        workers = stack.enter_context(ProcessPool(work, args.jobs, parallel.CHUNK_SIZE))
        stop = stack.enter_context(Stop(signal.SIGINT, signal.SIGTERM))
        table = command = None
        if args.csv is not None:
            run = resume_journal.described(
                labeller.sha256, labeller.threshold, args.image, args.output
            )
            table = stack.enter_context(watch_folder.GrowingCsv(args.csv, run))
        if args.on_anomaly is not None:
            command = stack.enter_context(anomaly_command.OnAnomaly(args.on_anomaly))
        goes_on = any((table, command, args.output))
        rows = stack.enter_context(RowWriter(sys.stdout.buffer, goes_on_without_stdout=goes_on))
        arrivals = watch_folder.Arrivals(args.watch, table.names if table else set())
        info(f"watching {printable(args.watch)}; Ctrl-C ends it")
        while not stop.asked:
            for verdict in labelled_until(stop, arrivals, workers):
                counts[verdict.label] += 1
                if table:
                    table.write(verdict)
                rows.print(verdict)
                if verdict.label == UNREADABLE:
                    warn(f"{printable(verdict.image)}: {verdict.reason}")
                if verdict.label == ANOMALY and command:
                    command.tell(verdict)
            if table:
                table.sync()
            stop.wait(arrivals.pause)
    info(told(counts))
    found = args.fail_on_anomaly and counts[ANOMALY]
    return EXIT_ANOMALY if found else EXIT_DONE


def labelled_until(
    stop: Stop, arrivals: "watch_folder.Arrivals", workers: ProcessPool[Verdict]
) -> Iterator[Verdict]:
    """The verdicts that stand on what has arrived, as far as it is not asked to stop."""
    try:
        with contextlib.closing(workers.run(arrivals.look())) as verdicts:
            for verdict in verdicts:
                if stop.asked:
                    return
                if arrivals.take(verdict):
                    yield verdict
    except UserError as error:  # a picture went away before it was drawn
        warn(str(error))


def told(counts: Counter[str]) -> str:
    n_anomalies = counts[ANOMALY]
    return (
        f"{counts[NORMAL]} normal, {n_anomalies} "
        f"{'anomaly' if n_anomalies == 1 else 'anomalies'}, {counts[UNREADABLE]} unreadable"
    )


def open_labeller(args: argparse.Namespace, rule: ThresholdRule | None) -> Labeller:
    labeller = model_file.open_model(args.model, arguments.opener(Labeller.open, args.backbone))
    if rule is None:
        return labeller
    chosen = rule.choose(labeller.calibration, labeller.training)
    info(f"anomalies score above {chosen.value:.4f} ({chosen.rule})")
    return labeller.with_threshold(chosen.value)


def open_page(args: argparse.Namespace, journal: resume_journal.Journal) -> Any:
    if args.report is None:
        return None
    from pyimagesearch.reports import html_page

    html_page.check(args.report, args.image)
    return html_page.ImagePage(args.report, resumable=lambda: journal.holds_rows)


def inputs(paths: list[str]) -> Iterator[str]:
    for path in paths:
        if path == STDIN:
            for line in sys.stdin.buffer:
                if name := line.rstrip(b"\r\n"):
                    yield os.fsdecode(name)
        elif images.is_folder(path):
            yield from images.list_images(path)
        else:
            yield path


def can_be_listed(paths: list[str]) -> bool:
    """Whether it costs little to look at some names beforehand."""
    return not any(path == STDIN or remote_files.is_url(path) for path in paths)


def keep_strangest(
    strangest: list[tuple[float, int, Verdict]],
    verdict: Verdict,
    at_most: int,
    number: int,
) -> None:
    """Keep a heap of the highest scores; of equal ones, the images that came first."""
    entry = (verdict.score, -number, verdict)
    if len(strangest) < at_most:
        heapq.heappush(strangest, entry)
    else:
        heapq.heappushpop(strangest, entry)


def single_picture_file(args: argparse.Namespace) -> str | None:
    """The file that --output names, where there is one image and it does not name a folder."""
    if args.output is None or len(args.image) != 1 or args.image[0] == STDIN:
        return None
    if images.is_folder(args.image[0]) or os.path.isdir(args.output) or args.output.endswith("/"):
        return None
    try:
        drawing.check_picture_name(args.output)
    except UserError as error:
        raise UserError(f"{error}; for a folder, add a / at the end") from error
    return args.output


if __name__ == "__main__":
    run(main)
