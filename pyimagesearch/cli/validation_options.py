"""The options of generate_validation_metrics.py."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from pyimagesearch.cli import arguments, option_rules
from pyimagesearch.cli.argument_types import share
from pyimagesearch.cli.arguments import Executor
from pyimagesearch.labelling import thresholds, validation
from pyimagesearch.labelling.ground_truth import Folders


@dataclass(frozen=True)
class Category:
    """A dataset that is laid out as a category of MVTec AD."""

    folder: str


@dataclass(frozen=True)
class TwoCategories:
    """Two such datasets: one to choose thresholds on, and one to report them on."""

    select_on: str
    report_on: str


@dataclass(frozen=True)
class VerdictFile:
    """Verdicts of an inspector, as the page of a report saves them."""

    path: str


@dataclass(frozen=True)
class Undo:
    """The last --update of a model is to be taken back."""

    model: str


@dataclass(frozen=True)
class ValidationOptions:
    """What to measure, on what, and what to do with it.

    Attributes:
        model: model file.
        source: images whose truth is known.
        rule: one of ``validation.RULES``: the threshold to take.
        false_alarm_rate: of the rule of that name; None takes the usual one.
        update: write that threshold into the model file.
        plot, csv, json, scores: files to write, or None.
        confidence: with which the rate of false alarms is bounded.
        seed: of the division into halves.
        executor: where the work is done.
    """

    model: str
    source: Folders | Category | TwoCategories | VerdictFile
    rule: str
    false_alarm_rate: float | None
    update: bool
    plot: str | None
    csv: str | None
    json: str | None
    scores: str | None
    confidence: float
    seed: int
    executor: Executor

    @property
    def in_halves(self) -> bool:
        """Whether one set of images is divided between choosing thresholds and reporting."""
        return not isinstance(self.source, TwoCategories)


def parse(documentation: str | None, argv: Sequence[str] | None) -> ValidationOptions | Undo:
    """Parse a command line, and configure the messages as it says.

    Ends the script where the command line is wrong or asks for help.

    Args:
        documentation: what --help prints first.
        argv: without the script's name; None takes that of this process.
    """
    ap = _parser(documentation)
    args = arguments.parse_args(ap, argv)
    option_rules.check(ap, args, option_rules.VALIDATE)
    if args.undo:
        return Undo(args.model)
    return ValidationOptions(
        model=args.model,
        source=_source(args),
        rule=args.rule,
        false_alarm_rate=args.false_alarm_rate,
        update=args.update,
        plot=args.plot,
        csv=args.csv,
        json=args.json,
        scores=args.scores,
        confidence=args.confidence,
        seed=args.seed,
        executor=Executor.from_args(args),
    )


def _source(args: argparse.Namespace) -> Folders | Category | TwoCategories | VerdictFile:
    if args.verdicts is not None:
        return VerdictFile(args.verdicts)
    if args.select_on is not None:
        return TwoCategories(args.select_on, args.report_on)
    if args.dataset is not None:
        return Category(args.dataset)
    anomalous = (args.anomalous,)
    return Folders(args.normal, anomalous, args.masks, masks_follow=anomalous)


def _parser(documentation: str | None) -> argparse.ArgumentParser:
    ap = arguments.parser(documentation)
    ap.add_argument("-m", "--model", required=True, help="model file from training")
    data = ap.add_argument_group("images whose truth is known: one of these ways")
    data.add_argument("--normal", metavar="FOLDER", help="images of good parts")
    data.add_argument("--anomalous", metavar="FOLDER", help="with it: images of defective ones")
    data.add_argument("--masks", metavar="FOLDER", help="masks of these, if you have them")
    data.add_argument(
        "-d",
        "--dataset",
        metavar="FOLDER",
        help="dataset with test/good, test/DEFECT and perhaps ground_truth/DEFECT",
    )
    data.add_argument(
        "--select-on", metavar="FOLDER", help="such a dataset to choose thresholds on"
    )
    data.add_argument("--report-on", metavar="FOLDER", help="with it: one to report them on")
    data.add_argument(
        "--verdicts", metavar="FILE", help="JSON or CSV of verdicts, saved by the page of a report"
    )
    ap.add_argument(
        "-r",
        "--rule",
        choices=validation.RULES,
        default="f1",
        help="which threshold to take: the one with the best F1 (default), the one where the "
        "histograms overlap least, or the one for a false-alarm rate; all of them are reported",
    )
    ap.add_argument(
        "--false-alarm-rate",
        type=share,
        metavar="RATE",
        help="rate of the rule of that name "
        f"(default: {thresholds.DEFAULT_FALSE_ALARM_RATE}, or the best possible)",
    )
    ap.add_argument(
        "--update", action="store_true", help="write the threshold of --rule into the model file"
    )
    ap.add_argument(
        "--undo",
        action="store_true",
        help="give the model file the threshold back that it had before the last --update",
    )
    ap.add_argument(
        "-p",
        "--plot",
        metavar="FILE.png",
        help="histogram of the scores of normal images and anomalies, with the thresholds",
    )
    ap.add_argument("--csv", metavar="FILE", help="write what is printed to a file, too")
    ap.add_argument("--json", metavar="FILE", help="write the same and more as JSON")
    ap.add_argument("--scores", metavar="FILE", help="write each image's truth and score as CSV")
    arguments.add_confidence(ap)
    arguments.add_seed(ap)
    arguments.add_jobs(ap)
    arguments.add_max_pixels(ap)
    return ap
