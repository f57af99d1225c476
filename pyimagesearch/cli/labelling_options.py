"""The options of the two labelling scripts: the command line becomes frozen data here."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass

from pyimagesearch.cli import arguments, line_options, option_rules
from pyimagesearch.cli.argument_types import duration, whole_number
from pyimagesearch.cli.arguments import Columns, Executor
from pyimagesearch.cli.line_options import EventOptions
from pyimagesearch.data.videos import Every
from pyimagesearch.labelling.thresholds import ThresholdRule

MOST_IN_PICTURE = 25  # images of find_anomalies.py --output


@dataclass(frozen=True)
class ResultOptions:
    """What a labelling script does with its results, besides printing them.

    Attributes:
        output: of pictures: a file or a folder, or None.
        csv, json: files of rows, or None.
        report: a page: a file, or a folder; or None.
        classes: of defects, to choose from on the page; () takes those that folders tell.
        resume: go on with an interrupted run of the same command.
        resume_by_name: of images: by the names of those that are done, not by their order.
        top: print so many of the strangest only, or None.
        show: open windows.
        fail_on_anomaly: whether an anomaly gives an exit status of its own.
    """

    output: str | None = None
    csv: str | None = None
    json: str | None = None
    report: str | None = None
    classes: tuple[str, ...] = ()
    resume: bool = False
    resume_by_name: bool = False
    top: int | None = None
    show: bool = False
    fail_on_anomaly: bool = False


@dataclass(frozen=True)
class ModelOptions:
    """Which model labels, and by which threshold.

    Attributes:
        path: of the model file, or URL.
        backbone: the ONNX file of a model that does not contain its network, or None.
        rule: chooses the threshold; None takes the model file's.
        extrapolates: as of ``Labeller``.
    """

    path: str
    backbone: str | None = None
    rule: ThresholdRule | None = None
    extrapolates: bool = False


@dataclass(frozen=True)
class LabellingOptions:
    """The options of test_anomaly_detector.py, for images that are there.

    Attributes:
        model: which labels.
        inputs: images, folders, patterns, videos, cameras, URLs, or ``STDIN``.
        dataset: the one of ``inputs`` that must exist, or None.
        every: which frames of videos and cameras are taken; None takes the usual ones.
        results: what is written.
        executor: where the work is done.
    """

    model: ModelOptions
    inputs: tuple[str, ...]
    dataset: str | None
    every: Every | None
    results: ResultOptions
    executor: Executor


@dataclass(frozen=True)
class WatchingOptions:
    """The options of test_anomaly_detector.py, for images that arrive.

    Attributes:
        model: which labels.
        source: a folder in which images arrive, a pattern, a camera or a stream.
        every: which frames of a camera are taken; None takes the usual ones.
        csv, json: files that rows are added to, or None.
        with_time: whether rows have the time of the verdict.
        output: a folder for labelled pictures, or None.
        report: a page that is made anew every so often: a file, or a folder; or None.
        classes: of defects, for the page.
        events: what is recorded and reported.
        fail_on_anomaly: whether an anomaly gives an exit status of its own.
        jobs: number of processes.
    """

    model: ModelOptions
    source: str
    every: Every | None
    csv: str | None
    json: str | None
    with_time: bool
    output: str | None
    report: str | None
    classes: tuple[str, ...]
    events: EventOptions
    fail_on_anomaly: bool
    jobs: int


@dataclass(frozen=True)
class FollowingOptions:
    """What find_anomalies.py does while it follows a series; None is nothing of that kind.

    Attributes:
        on_anomaly: a command to run for each alarm and gap.
        gap: seconds without a row that are an event of their own.
        heartbeat: seconds between two lines about how far it has come.
        save_every: seconds after which the state is written.
    """

    on_anomaly: str | None = None
    gap: float | None = None
    heartbeat: float | None = None
    save_every: float | None = None


@dataclass(frozen=True)
class FindingOptions:
    """The options of find_anomalies.py.

    Attributes:
        model: which labels.
        dataset: images, as of ``LabellingOptions.inputs``, an .npz file, a series, or ``STDIN``.
        every: which frames of a video or camera are taken; None takes the usual ones.
        results: what is written.
        jobs: number of processes.
        columns: of a series.
        group_by: the column of a table that says which of many series a row is of, or None.
        following: how rows of a series are followed as they come, or None.
        save_state: a model file to write after the last row of a series, or None.
        force: write it over any file.
    """

    model: ModelOptions
    dataset: str
    every: Every | None
    results: ResultOptions
    jobs: int
    columns: Columns
    group_by: str | None
    following: FollowingOptions | None
    save_state: str | None
    force: bool


def parse_labelling(
    documentation: str, argv: Sequence[str] | None
) -> LabellingOptions | WatchingOptions:
    """Parse the command line of test_anomaly_detector.py, and configure its messages.

    Args:
        documentation: the script's docstring, which ``--help`` prints.
        argv: the arguments; None takes the process' own.
    """
    ap = arguments.parser(documentation)
    ap.add_argument("-m", "--model", required=True, help="model file from training")
    ap.add_argument(
        "-i",
        "--image",
        nargs="+",
        default=[],
        metavar="PATH",
        help="images, folders of images, patterns of names in quotes, videos, camera:0, rtsp://... "
        "and other streams; - reads paths from stdin, one per line",
    )
    ap.add_argument("-d", "--dataset", metavar="FOLDER", help="folder of images, as with --image")
    arguments.add_every(ap, "of a camera or stream until Ctrl-C or SIGTERM")
    ap.add_argument(
        "-w",
        "--watch",
        metavar="SOURCE",
        help="label the images in a folder (or a pattern in quotes) and those that arrive there, "
        "or the frames of camera:0, rtsp://... or another stream, until Ctrl-C or SIGTERM; rows "
        "are added to --csv FILE and --json FILE, and images that have a row there are not "
        "labelled again; --report is made anew every minute",
    )
    ap.add_argument(
        "--with-time",
        action="store_true",
        help="with --watch: a column with the time of each verdict, in UTC",
    )
    ap.add_argument(
        "-o",
        "--output",
        metavar="PATH",
        help="write pictures with label and anomaly map: a file for one image, a folder for more",
    )
    arguments.add_results(ap)
    arguments.add_report(ap)
    arguments.add_resume(ap, "stdout gets the new rows only")
    ap.add_argument(
        "--top",
        type=whole_number(1),
        metavar="N",
        help="print only the N strangest images, strangest first",
    )
    arguments.add_external_backbone(ap)
    arguments.add_threshold(ap, "the threshold of the model file", discoveries=True)
    add_extrapolate(ap)
    arguments.add_executor(ap)
    arguments.add_max_pixels(ap)
    line_options.add_events(ap, "with --watch: ")
    args = arguments.parse_args(ap, argv)
    option_rules.check(ap, args, option_rules.LABEL)
    model = _model(args)
    if args.watch is not None:
        return WatchingOptions(
            model=model,
            source=args.watch,
            every=args.every,
            csv=args.csv,
            json=args.json,
            with_time=args.with_time,
            output=args.output,
            report=args.report,
            classes=args.classes or (),
            events=EventOptions.from_args(args),
            fail_on_anomaly=args.fail_on_anomaly,
            jobs=args.jobs,
        )
    return LabellingOptions(
        model=model,
        inputs=(*args.image, *([args.dataset] if args.dataset is not None else [])),
        dataset=args.dataset,
        every=args.every,
        results=_results(args),
        executor=Executor.from_args(args),
    )


def parse_finding(documentation: str, argv: Sequence[str] | None) -> FindingOptions:
    """Parse the command line of find_anomalies.py, and configure its messages.

    Args:
        documentation: the script's docstring, which ``--help`` prints.
        argv: the arguments; None takes the process' own.
    """
    ap = arguments.parser(documentation)
    ap.add_argument(
        "-m",
        "--model",
        required=True,
        help="model file from training, or the folder with those of many series",
    )
    ap.add_argument(
        "-d",
        "--dataset",
        required=True,
        metavar="PATH",
        help="folder of images, pattern of their names, video, camera:0, stream, or .npz file; or "
        "a series: a CSV file, - for stdin; or a folder of series",
    )
    arguments.add_every(ap, "of a camera or stream until Ctrl-C or SIGTERM")
    ap.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="picture of the anomalies, each next to its reconstruction (where the model makes "
        f"one) and its anomaly map; at most {MOST_IN_PICTURE} of them. Of a series: a "
        "plot (.png) with its ranges, the scores and the threshold",
    )
    arguments.add_results(ap)
    arguments.add_report(ap)
    arguments.add_resume(ap, "for folders of images, and for many series")
    ap.add_argument(
        "--top",
        type=whole_number(1),
        metavar="N",
        help="print the N strangest items instead, whatever their label; of a series at most N "
        "ranges",
    )
    ap.add_argument(
        "--follow",
        action="store_true",
        help="with a model of the method stream: read rows as they come, from stdin or a file that "
        "grows, and print an alarm as it happens; --json FILE gets a line for each row, at once",
    )
    ap.add_argument(
        "--on-anomaly",
        metavar="COMMAND",
        help="with --follow: run this command for each alarm, and for gaps; {} stands for the "
        "time, and $ANOMALY_TIME, $ANOMALY_EVENT, $ANOMALY_SCORE and $ANOMALY_P_VALUE are set; it "
        "may take a minute",
    )
    ap.add_argument(
        "--gap",
        type=duration,
        metavar="DURATION",
        help="with --follow: report when no row comes for so long, such as 10m, or the times of "
        "two are so far apart, and when rows come again",
    )
    ap.add_argument(
        "--heartbeat",
        type=duration,
        metavar="DURATION",
        help="with --follow: say every so often how many rows and alarms there were",
    )
    ap.add_argument(
        "--save-state",
        metavar="MODEL",
        help="with a model of the method stream: write the model as it is after the last row, so "
        "that the next run goes on from there",
    )
    ap.add_argument(
        "--save-every",
        type=duration,
        metavar="DURATION",
        help="with --follow and --save-state: write it every so often, too, such as 1m",
    )
    arguments.add_force(ap, "--save-state")
    arguments.add_columns(ap)
    ap.add_argument(
        "--group-by",
        metavar="NAME",
        help="the dataset is one long table of many series, and this column says which one a row "
        "is of; groups of images are those of the model",
    )
    arguments.add_external_backbone(ap)
    arguments.add_threshold(
        ap,
        "the threshold of the model file",
        discoveries=True,
        quantile_of="this dataset's own scores",
    )
    add_extrapolate(ap)
    arguments.add_jobs(ap)
    arguments.add_max_pixels(ap)
    args = arguments.parse_args(ap, argv)
    is_many = args.group_by is not None or os.path.isdir(args.model)
    option_rules.check(ap, args, option_rules.FIND, is_many=is_many)
    return FindingOptions(
        model=_model(args),
        dataset=args.dataset,
        every=args.every,
        results=_results(args),
        jobs=args.jobs,
        columns=Columns.from_args(args),
        group_by=args.group_by,
        following=_following(args),
        save_state=args.save_state,
        force=args.force,
    )


def add_extrapolate(ap: argparse.ArgumentParser) -> None:
    """Add --extrapolate, of ``ModelOptions``."""
    ap.add_argument(
        "--extrapolate",
        action="store_true",
        help="of images: estimate p-values and false-alarm rates that are too small to be promised "
        "from so few calibration images by the tail of their scores",
    )


def _model(args: argparse.Namespace) -> ModelOptions:
    return ModelOptions(args.model, args.backbone, arguments.threshold_rule(args), args.extrapolate)


def _following(args: argparse.Namespace) -> FollowingOptions | None:
    if not args.follow:
        return None
    return FollowingOptions(args.on_anomaly, args.gap, args.heartbeat, args.save_every)


def _results(args: argparse.Namespace) -> ResultOptions:
    return ResultOptions(
        output=args.output,
        csv=args.csv,
        json=args.json,
        report=args.report,
        classes=args.classes or (),
        resume=args.resume,
        resume_by_name=args.resume_by == "name",
        top=args.top,
        show=args.show,
        fail_on_anomaly=args.fail_on_anomaly,
    )
