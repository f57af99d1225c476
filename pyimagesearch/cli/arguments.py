"""What every script's command line shares: options, messages, exit codes and manners."""

from __future__ import annotations

import argparse
import contextlib
import functools
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pyimagesearch import __version__
from pyimagesearch.backbones.network import external_network
from pyimagesearch.labelling import thresholds
from pyimagesearch.labelling.thresholds import ThresholdRule
from pyimagesearch.runtime.threads import available_cores

Model = TypeVar("Model")


def parser(documentation: str) -> argparse.ArgumentParser:
    """Make a parser whose help is the script's own docstring, with the options all scripts have."""
    ap = argparse.ArgumentParser(
        description=documentation,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    ap.add_argument(
        "--quiet", action="store_true", help="no [INFO] lines; warnings and errors stay"
    )
    ap.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return ap


def add_jobs(ap: argparse.ArgumentParser) -> None:
    """Add --jobs."""
    ap.add_argument(
        "-j",
        "--jobs",
        type=whole_number(1),
        default=available_cores(),
        metavar="N",
        help="pictures to work on at the same time (default: one for each core); "
        "the results do not depend on it",
    )


def add_places(ap: argparse.ArgumentParser) -> None:
    """Add what says where the work is done: --jobs and --scheduler."""
    add_jobs(ap)
    ap.add_argument(
        "--scheduler",
        type=scheduler,
        metavar="ADDRESS",
        help="work on a Dask cluster: tcp://HOST:PORT of its scheduler, or local[N] for N workers "
        "on this machine; the results do not depend on it",
    )


def add_seed(ap: argparse.ArgumentParser) -> None:
    """Add --seed."""
    ap.add_argument(
        "--seed", type=whole_number(0), default=42, metavar="N", help="seed (default: 42)"
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
        "with the pictures beside the page, for thousands of them",
    )


def add_resume(ap: argparse.ArgumentParser, note: str) -> None:
    """Add --resume of the labelling scripts, with a note on what else there is to know."""
    ap.add_argument(
        "--resume",
        action="store_true",
        help="with --csv or --json: go on with a run of the same command that was killed or "
        f"interrupted, by the journal beside the first of these files; {note}",
    )


def add_forest(ap: argparse.ArgumentParser, bins: tuple[int, ...], n_for_hundreds: int) -> None:
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
    """Add what chooses a pretrained network and says how it wants its pictures."""
    group = ap.add_argument_group(
        "pretrained network",
        "an ONNX file may have its settings in a .json file beside it; without any, pictures are "
        "given to it as torchvision's networks have them",
    )
    group.add_argument(
        "--backbone",
        metavar="NETWORK",
        help="an ONNX file, or a name of keras.applications such as mobilenetv2 or resnet50",
    )
    group.add_argument(
        "--weights",
        metavar="FILE.h5",
        help="weights for a named network; without them Keras downloads its own",
    )
    group.add_argument(
        "--layers", nargs="+", metavar="NAME", help="outputs to use (default: strides 8 and 16)"
    )
    group.add_argument("--colours", choices=("rgb", "bgr"), help="order that it wants")
    group.add_argument(
        "--scale", type=float, metavar="X", help="what 8-bit values are divided by first"
    )
    for name in ("mean", "std"):
        group.add_argument(
            f"--{name}",
            nargs=3,
            type=float,
            metavar=("C1", "C2", "C3"),
            help=f"{name} of each colour, after that",
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


def opener(open_file: Callable[..., Model], args: argparse.Namespace) -> Callable[[Any], Model]:
    """What opens a model file with the network that --backbone names, if it does."""
    external = None if args.backbone is None else external_network(args.backbone)
    return functools.partial(open_file, external_backbone=external)


def preprocessing(args: argparse.Namespace) -> dict[str, Any]:
    """The preprocessing that the command line asks for, as far as it does."""
    given = {name: getattr(args, name) for name in ("colours", "scale", "mean", "std")}
    return {name: value for name, value in given.items() if value is not None}


def add_patches(ap: argparse.ArgumentParser, coresets: tuple[str, ...]) -> None:
    """Add the options of the methods that look at patches."""
    group = ap.add_argument_group("patches")
    group.add_argument(
        "--image-size",
        type=whole_number(32),
        metavar="N",
        help="look at pictures with the area of a square of N pixels, in their own aspect ratio "
        "(default: 256; 384 for pictures of 512 x 512 pixels and more)",
    )
    group.add_argument(
        "--tile",
        type=whole_number(8),
        metavar="N",
        help="for large pictures with small defects: give every N pixels of the picture the "
        "detail that --image-size says, and look at it window by window",
    )
    group.add_argument(
        "--mask", metavar="IGNORE.png", help="picture whose white parts are to be ignored"
    )
    group.add_argument(
        "--augment",
        choices=("rotation",),
        help="learn from turned copies, too: takes 8 times as "
        "long, for parts that lie at any angle when few are there to learn from",
    )
    group.add_argument(
        "--memory",
        type=memory_size,
        default=memory_size("2GB"),
        metavar="SIZE",
        help="memory that training may take, such as 500MB (default: 2GB)",
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
        help="keep small copies of the training images, to show what a strange place should "
        "look like",
    )


_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}


def memory_size(text: str) -> int:
    """An argparse type: a number of bytes, such as 2GB or 500M."""
    number = text.strip().lower().removesuffix("b").removesuffix("i")
    unit = number[-1:] if number[-1:] in "kmgt" else ""
    try:
        size = float(number.removesuffix(unit)) * _UNITS[unit]
    except ValueError:
        size = math.nan
    if not 1024**2 <= size < 2**60:
        raise argparse.ArgumentTypeError(f"{text!r} is no amount of memory such as 2GB or 500MB")
    return int(size)


def add_threshold(
    ap: argparse.ArgumentParser,
    default: str,
    *,
    contamination: bool = True,
    quantile_of: str = "the training scores",
) -> None:
    """Add the options that choose a threshold.

    Args:
        ap: where to.
        default: what happens without them.
        contamination: whether --contamination is one of them, or a script's own option.
        quantile_of: what the rule of that name looks at.
    """
    group = ap.add_argument_group("what counts as an anomaly", f"default: {default}")
    group.add_argument(
        "--false-alarm-rate",
        type=share,
        metavar="RATE",
        help="share of normal images (of a series: of blocks of rows) that may be called "
        "anomalies, such as 0.05",
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
        help=f"with the rule quantile: of {quantile_of} (default: {thresholds.DEFAULT_QUANTILE})",
    )


def threshold_rule(
    args: argparse.Namespace, parameters: Sequence[str] = thresholds.RULES
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


def threshold(text: str) -> str:
    """An argparse type: a score, or the name of a rule."""
    with contextlib.suppress(ValueError):
        if text in thresholds.RULES or math.isfinite(float(text)):
            return text
    raise argparse.ArgumentTypeError(
        f"{text!r} is neither a number nor one of {', '.join(thresholds.RULES)}"
    )


def add_columns(ap: argparse.ArgumentParser) -> None:
    """Add the options that say what the columns of a series are."""
    group = ap.add_argument_group("columns of a series", "default: found by themselves")
    group.add_argument("--timestamp-column", metavar="NAME", help="column with the times")
    group.add_argument(
        "--value-column",
        nargs="+",
        metavar="NAME",
        help="columns with the values (default: all columns of numbers)",
    )


def scheduler(text: str) -> str:
    """An argparse type: the address of a Dask scheduler, or local[N]."""
    if not re.fullmatch(r"local\[[1-9]\d{0,3}\]|[a-z]+://.+", text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither tcp://HOST:PORT nor local[N], such as local[4]"
        )
    return text


def whole_number(least: int, most: int | None = None) -> Callable[[str], int]:
    """An argparse type: a whole number, at least ``least`` and, where given, at most ``most``."""
    limits = f"from {least} up" if most is None else f"from {least} to {most}"

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least or (most is not None and number > most):
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number {limits}")
        return number

    return parse


def share_or_zero(text: str) -> float:
    """An argparse type: a number from 0 to 1, the latter excluded."""
    with contextlib.suppress(ValueError):
        if float(text) == 0:
            return 0.0
    return share(text)


def share(text: str) -> float:
    """An argparse type: a number between 0 and 1, both excluded."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number between 0 and 1")
    return number
