"""Options that several scripts share: what adds them to a parser, and what they become.

Each group has an ``add_...`` that declares its options and a dataclass, or a function, that takes
their values out of what argparse parsed. The scripts' own options stand next to this module, in
``training_options`` and its like: nothing outside this folder meets an ``argparse.Namespace``.
"""

from __future__ import annotations

import argparse
import functools
import os
import sys
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, Self, TypeVar

from pyimagesearch import __version__
from pyimagesearch.cli import command_line
from pyimagesearch.cli.argument_types import (
    class_names,
    every,
    memory_size,
    pixel_count,
    scheduler,
    share,
    threshold,
    whole_number,
)
from pyimagesearch.labelling import thresholds
from pyimagesearch.labelling.thresholds import ThresholdRule
from pyimagesearch.runtime import console, limits
from pyimagesearch.runtime.system import available_cores

Model = TypeVar("Model")
_HELP_WIDTH = 76


class _Parser(argparse.ArgumentParser):
    """One whose messages cannot steer the terminal: a shell makes arguments of files' names.

    Its help names commands as they are called: ``anomaly test`` or ``test_anomaly_detector.py``.
    """

    def format_help(self) -> str:
        return command_line.in_terms_of(self.prog, super().format_help())

    def error(self, message: str) -> NoReturn:
        super().error(console.escaped(message))


def parser(documentation: str | None) -> argparse.ArgumentParser:
    """Make a parser whose help is the script's own docstring, with the options all scripts have."""
    ap = _Parser(
        prog=os.path.basename(sys.argv[0]),
        description=documentation,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_messages(ap, default=False)
    ap.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return ap


def add_messages(ap: argparse.ArgumentParser, default: object = argparse.SUPPRESS) -> None:
    """Add the options that say which messages there are, and how they look.

    Args:
        ap: of a script, or of one of its commands, which leaves what the script was given.
        default: value where an option is not given; by default there is none.
    """
    ap.add_argument(
        "--quiet",
        action="store_true",
        default=default,
        help="no [INFO] lines; warnings and errors stay",
    )
    ap.add_argument(
        "--log-time",
        action="store_true",
        default=default,
        help="date and time in front of each message on stderr",
    )


def add_group(ap: argparse.ArgumentParser, title: str, description: str) -> argparse._ArgumentGroup:
    """Add a group of options whose description is broken into lines, which argparse leaves out."""
    return ap.add_argument_group(title, textwrap.fill(description, _HELP_WIDTH))


def parse_args(ap: argparse.ArgumentParser, argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse a command line, and configure the messages and limits of this process as it says.

    Args:
        ap: made by ``parser``.
        argv: without the script's name; None takes that of this process.
    """
    args = ap.parse_args(argv)
    console.configure(args.quiet, args.log_time)
    if getattr(args, "max_pixels", None) is not None:
        limits.set_max_pixels(args.max_pixels)
    return args


@dataclass(frozen=True)
class Executor:
    """Where and how the work is done; the results do not depend on it.

    Attributes:
        jobs: number of processes or threads on this machine.
        scheduler: the address of a Dask cluster, or None.
    """

    jobs: int
    scheduler: str | None = None

    @classmethod
    def from_args(cls, args: argparse.Namespace) -> Self:
        return cls(args.jobs, getattr(args, "scheduler", None))


def add_jobs(ap: argparse.ArgumentParser) -> None:
    """Add --jobs: an ``Executor`` without a cluster."""
    ap.add_argument(
        "-j",
        "--jobs",
        type=whole_number(1),
        default=available_cores(),
        metavar="N",
        help="images, or of many series, to work on at the same time (default: one for each core); "
        "the results do not depend on it",
    )


def add_every(ap: argparse.ArgumentParser, note: str) -> None:
    """Add --every of videos and cameras, with a note on the frames that are taken."""
    ap.add_argument(
        "--every",
        type=every,
        metavar="SECONDS|N",
        help="of a video or camera: take one frame in so many seconds, such as 0.5s (default: 1s), "
        f"or in so many frames, such as 10; {note}",
    )


def add_max_pixels(ap: argparse.ArgumentParser) -> None:
    """Add --max-pixels: ``parse_args`` sets that limit."""
    ap.add_argument(
        "--max-pixels",
        type=pixel_count,
        metavar="N",
        help="pixels that an image may have, such as 200M (default: "
        f"{limits.DEFAULT_PIXELS // 10**6}M); decoded, it may take four bytes for each",
    )


def add_force(ap: argparse.ArgumentParser, option: str = "--model") -> None:
    """Add --force: what ``overwriting.check_model_replaceable`` needs to know."""
    ap.add_argument(
        "--force",
        action="store_true",
        help=f"write {option} even over a file that is not a model",
    )


def add_executor(ap: argparse.ArgumentParser) -> None:
    """Add --jobs and --scheduler: an ``Executor``."""
    add_jobs(ap)
    ap.add_argument(
        "--scheduler",
        type=scheduler,
        metavar="ADDRESS",
        help="work on a Dask cluster: tls://HOST:PORT of its scheduler, tcp:// without "
        "certificates, or local[N] for N workers on this machine; the results do not depend on it. "
        "Whoever reaches a scheduler runs code on all machines, and a scheduler runs code here",
    )


def add_seed(ap: argparse.ArgumentParser) -> None:
    """Add --seed."""
    ap.add_argument(
        "--seed",
        type=whole_number(0),
        default=42,
        metavar="N",
        help="seed of all random choices (default: 42)",
    )


def add_results(ap: argparse.ArgumentParser) -> None:
    """Add what the labelling scripts can do with their results."""
    ap.add_argument("--csv", metavar="FILE", help="write a row for every item to a file, too")
    ap.add_argument("--json", metavar="FILE", help="write a line of JSON for every item to a file")
    ap.add_argument("--show", action="store_true", help="show the pictures in a window")
    ap.add_argument(
        "--fail-on-anomaly", action="store_true", help="exit status 4 if there is an anomaly"
    )


def add_report(ap: argparse.ArgumentParser) -> None:
    """Add --report."""
    ap.add_argument(
        "--report",
        metavar="PATH",
        help="write a page to look through: one file.html that holds all it needs, or a FOLDER/ "
        "with the thumbnails next to the page, for thousands of images",
    )
    ap.add_argument(
        "--classes",
        type=class_names,
        metavar="NAMES",
        help="classes of defects to choose from on the page of --report, such as scratch,dent "
        "(default: the folders next to a folder good that the images lie in)",
    )


def add_resume(ap: argparse.ArgumentParser, note: str) -> None:
    """Add --resume of the labelling scripts, with a note on what else there is to know."""
    ap.add_argument(
        "--resume",
        action="store_true",
        help="with --csv or --json: go on with a run of the same command that was killed or "
        f"interrupted, by the journal next to the first of these files; {note}",
    )
    ap.add_argument(
        "--resume-by",
        choices=("order", "name"),
        default="order",
        help="with --resume: go on after the last image that is done, and refuse a listing that no "
        "longer begins with those (order, the default); or label all that have another name than "
        "one that is done, wherever they sort, whatever became of the others (name)",
    )


def add_forest(
    ap: argparse.ArgumentParser, bins: tuple[int, int, int], n_for_hundreds: int
) -> None:
    """Add the options of the forest on histograms, with their defaults."""
    group = ap.add_argument_group("forest on colour histograms")
    group.add_argument(
        "-b",
        "--bins",
        nargs=3,
        type=whole_number(1, 64),
        default=bins,
        metavar=("H", "S", "V"),
        help=f"histogram bins for hue, saturation and value (default: {' '.join(map(str, bins))})",
    )
    group.add_argument(
        "-n",
        "--n-estimators",
        type=whole_number(1),
        metavar="N",
        help="number of isolation trees (default: 4000 for 16 images, falling to "
        f"{n_for_hundreds} for hundreds, whose trees are deeper)",
    )


def add_backbone(ap: argparse.ArgumentParser) -> None:
    """Add what chooses a pretrained network and says what input it expects."""
    group = add_group(
        ap,
        "pretrained network",
        "the settings of an ONNX file may stand in a .json file next to it; without any, images "
        "are prepared as torchvision's networks expect them",
    )
    group.add_argument(
        "--backbone",
        metavar="NETWORK",
        help="efficientnet-lite0 (default, but not of the method forest), -lite1 or -lite2, an "
        "ONNX file, or a name of keras.applications such as mobilenetv2",
    )
    group.add_argument(
        "--no-backbone",
        action="store_true",
        help="colours and edges instead; for the methods that can do without a network",
    )
    group.add_argument(
        "--weights",
        metavar="FILE.h5",
        help="weights for a named network; without them Keras downloads its own",
    )
    group.add_argument(
        "--layers",
        nargs="+",
        metavar="NAME",
        help="outputs to use (default: strides 8 and 16; of a transformer two in the middle)",
    )
    group.add_argument(
        "--colours", choices=("rgb", "bgr"), help="order of the colour channels that it expects"
    )
    group.add_argument("--scale", type=float, metavar="X", help="divide 8-bit values by this first")
    for name, what in (("mean", "then subtract these"), ("std", "then divide by these")):
        group.add_argument(
            f"--{name}",
            nargs=3,
            type=float,
            metavar=("C1", "C2", "C3"),
            help=f"{what}, one for each channel",
        )
    group.add_argument(
        "--external-backbone",
        action="store_true",
        help="keep only the network's digest in the model file; labelling then needs --backbone",
    )


def add_external_backbone(ap: argparse.ArgumentParser) -> None:
    """Add --backbone of the labelling scripts."""
    ap.add_argument(
        "--backbone",
        metavar="FILE.onnx",
        help="the network of a model that was trained with --external-backbone",
    )


def opener(open_file: Callable[..., Model], backbone: str | None) -> Callable[[Any], Model]:
    """What opens a model file with the network that --backbone names, if it names one."""
    if backbone is None:
        return functools.partial(open_file, external_backbone=None)
    from pyimagesearch.backbones.network import external_network  # most scripts have no --backbone

    return functools.partial(open_file, external_backbone=external_network(backbone))


def add_patches(ap: argparse.ArgumentParser, coresets: tuple[str, ...], memory: int) -> None:
    """Add the options of the methods that score patches; ``memory`` is in bytes, by default."""
    group = ap.add_argument_group("patches")
    group.add_argument(
        "--image-size",
        type=whole_number(32),
        metavar="N",
        help="resize images to the area of a square of N pixels, keeping their aspect ratio "
        "(default: 256; 384 for images of 512 x 512 pixels and more); more pixels show smaller "
        "defects, and cost more",
    )
    group.add_argument(
        "--tile",
        type=whole_number(8),
        metavar="N",
        help="for large images with small defects: give every N pixels of the image the detail "
        "that --image-size says, and score it window by window",
    )
    group.add_argument("--mask", metavar="IGNORE.png", help="image whose white areas are ignored")
    group.add_argument(
        "--augment",
        choices=("rotation",),
        help="train on rotated copies, too: takes 8 times as long; for parts that lie at any "
        "angle when there are few images of them",
    )
    group.add_argument(
        "--memory",
        type=memory_size,
        default=memory,
        metavar="SIZE",
        help=f"memory that training may take, such as 500MB (default: {memory >> 30}GB)",
    )
    group.add_argument(
        "--bank-size",
        type=whole_number(1),
        metavar="N",
        help="patches in a memory bank (default: 1500 to 6000, growing with the square root of "
        "how many the images have)",
    )
    group.add_argument(
        "--coreset",
        choices=coresets,
        default=coresets[0],
        help="how these are chosen: each the furthest from those before it, or at random "
        f"(default: {coresets[0]})",
    )
    group.add_argument(
        "--keep-thumbnails",
        action="store_true",
        help="keep thumbnails of the training images, to show what an anomalous region should "
        "look like",
    )


def add_threshold(
    ap: argparse.ArgumentParser,
    default: str,
    *,
    contamination: bool = True,
    discoveries: bool = False,
    quantile_of: str = "the training scores",
) -> None:
    """Add the options that choose a threshold: see ``threshold_rule``.

    Args:
        ap: where to.
        default: what happens without them.
        contamination: whether --contamination is one of them, or a script's own option.
        discoveries: whether --false-discovery-rate is one of them.
        quantile_of: the scores that the rule of that name is about.
    """
    group = add_group(ap, "what counts as an anomaly", f"default: {default}")
    group.add_argument(
        "--false-alarm-rate",
        type=share,
        metavar="RATE",
        help="share of normal images (of a series: of blocks of rows) that may be called "
        "anomalies, such as 0.05",
    )
    if discoveries:
        group.add_argument(
            "--false-discovery-rate",
            type=share,
            metavar="Q",
            help="of images: share of what is called an anomaly that may be normal, such as 0.1; "
            "decided over all images when the last is scored; of a stream over all so far",
        )
    group.add_argument(
        "-t",
        "--threshold",
        type=threshold,
        metavar="RULE",
        help=f"a score, or a rule: {', '.join(thresholds.RULES)}",
    )
    if contamination:
        group.add_argument(
            "--contamination",
            type=share,
            metavar="SHARE",
            help="with the rule contamination: the share of the training items that are "
            f"anomalies (default: {thresholds.DEFAULT_CONTAMINATION})",
        )
    group.add_argument(
        "--quantile",
        type=share,
        metavar="Q",
        help=f"with the rule quantile: which one of {quantile_of} (default: "
        f"{thresholds.DEFAULT_QUANTILE})",
    )


def add_confidence(ap: argparse.ArgumentParser) -> None:
    """Add --confidence, of a bound that is reported."""
    ap.add_argument(
        "--confidence",
        type=share,
        default=thresholds.DEFAULT_CONFIDENCE,
        metavar="C",
        help="of images: with which to say how large the false-alarm rate is at most (default: "
        f"{thresholds.DEFAULT_CONFIDENCE})",
    )


def threshold_rule(
    args: argparse.Namespace,
    parameters: Sequence[str] = (*thresholds.RULES, thresholds.FALSE_DISCOVERY_RATE),
) -> ThresholdRule | None:
    """The rule that the threshold options ask for, or None where there is no such option.

    Args:
        args: the options; those that exclude each other are refused by ``option_rules``.
        parameters: the rules whose parameter has an option of its own here.
    """
    given = {name: getattr(args, name.replace("-", "_"), None) for name in parameters}
    given = {name: value for name, value in given.items() if value is not None}
    if args.threshold is None:
        return ThresholdRule(*given.popitem()) if given else None
    if args.threshold in thresholds.RULES:
        return ThresholdRule(args.threshold, given.get(args.threshold))
    return ThresholdRule(thresholds.NUMBER, float(args.threshold))


@dataclass(frozen=True)
class Columns:
    """What the columns of a series are; None where that is to be found out.

    Attributes:
        timestamp: name of the column with the times.
        values: names of the columns with the values.
    """

    timestamp: str | None = None
    values: tuple[str, ...] | None = None

    @classmethod
    def from_args(cls, args: argparse.Namespace) -> Self:
        values = args.value_column
        return cls(args.timestamp_column, None if values is None else tuple(values))


def add_columns(ap: argparse.ArgumentParser) -> None:
    """Add the options that say what the columns of a series are: ``Columns``."""
    group = ap.add_argument_group("columns of a series", "default: found automatically")
    group.add_argument("--timestamp-column", metavar="NAME", help="column with the times")
    group.add_argument(
        "--value-column",
        nargs="+",
        metavar="NAME",
        help="columns with the values (default: all columns of numbers)",
    )
