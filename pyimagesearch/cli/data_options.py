"""The options of generate_data.py."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pyimagesearch.cli import arguments, option_rules
from pyimagesearch.cli.argument_types import whole_number
from pyimagesearch.cli.arguments import Executor
from pyimagesearch.data.synthetic import defects
from pyimagesearch.data.synthetic.defect_dataset import Recipe
from pyimagesearch.data.synthetic.scenes import SCENES
from pyimagesearch.data.synthetic.series import VARIANTS


@dataclass(frozen=True)
class Scenes:
    """Outdoor scenes to render: see ``example_files.write_scenes``."""

    output: str
    kinds: tuple[str, ...]
    count: int
    size: int
    seed: int


@dataclass(frozen=True)
class DailySeries:
    """Series to make: see ``example_files.write_series``."""

    output: str
    variants: tuple[str, ...]
    days: int
    labels: bool
    seed: int


@dataclass(frozen=True)
class Parts:
    """Good parts to render: see ``example_files.write_parts``."""

    output: str
    count: int
    test_count: int
    size: int
    seed: int


@dataclass(frozen=True)
class Defects:
    """Images of good parts to add defects to: see ``defect_dataset.fill_folder``.

    Attributes:
        output: folder to write to.
        backgrounds: folder of images of good parts.
        objects: folder of images to paste; None adds synthetic defects.
        recipe: what is done to each background, but for the objects.
        executor: where the work is done.
    """

    output: str
    backgrounds: str
    objects: str | None
    recipe: Recipe
    executor: Executor


def parse(
    documentation: str | None, argv: Sequence[str] | None
) -> Scenes | DailySeries | Parts | Defects:
    """Parse a command line, and configure the messages as it says.

    Ends the script where the command line is wrong or asks for help.

    Args:
        documentation: what --help prints first.
        argv: without the script's name; None takes that of this process.

    Raises:
        UserError: options that exclude each other.
    """
    ap = arguments.parser(documentation)
    commands = ap.add_subparsers(dest="command", required=True, metavar="COMMAND")
    read: dict[str, Callable[[argparse.Namespace], Scenes | DailySeries | Parts | Defects]] = {
        "scenes": _add_scenes(commands),
        "series": _add_series(commands),
        "parts": _add_parts(commands),
        "defects": _add_defects(commands),
    }
    args = arguments.parse_args(ap, argv)
    return read[args.command](args)


def _add_scenes(commands: argparse._SubParsersAction) -> Callable[[argparse.Namespace], Scenes]:
    ap = _add_command(
        commands,
        "scenes",
        summary="photo-like outdoor scenes, as JPEG files KIND_NUMBER.jpg",
        description="Render outdoor scenes as JPEG files KIND_NUMBER.jpg.",
    )
    ap.add_argument(
        "-k",
        "--kinds",
        nargs="+",
        choices=sorted(SCENES),
        default=["forest"],
        metavar="KIND",
        help=f"which scenes: {', '.join(sorted(SCENES))} (default: forest)",
    )
    _add_number(ap, "-c", "--count", least=1, default=24, what="images of each kind")
    _add_size(ap)
    arguments.add_seed(ap)
    return lambda args: Scenes(
        output=args.output,
        kinds=tuple(args.kinds),
        count=args.count,
        size=args.size,
        seed=args.seed,
    )


def _add_series(
    commands: argparse._SubParsersAction,
) -> Callable[[argparse.Namespace], DailySeries]:
    ap = _add_command(
        commands,
        "series",
        summary="a daily rhythm, one value each five minutes, as CSV files daily_VARIANT.csv",
        description="Make series with a daily rhythm as CSV files daily_VARIANT.csv.",
    )
    ap.add_argument(
        "-V",
        "--variants",
        nargs="+",
        choices=list(VARIANTS),
        default=["normal"],
        metavar="VARIANT",
        help=f"what goes wrong: {', '.join(VARIANTS)} (default: normal)",
    )
    _add_number(ap, "--days", least=8, default=14, what="length in days")
    ap.add_argument(
        "--labels", action="store_true", help="add a column label: 1 where something is wrong"
    )
    arguments.add_seed(ap)
    return lambda args: DailySeries(
        output=args.output,
        variants=tuple(args.variants),
        days=args.days,
        labels=args.labels,
        seed=args.seed,
    )


def _add_parts(commands: argparse._SubParsersAction) -> Callable[[argparse.Namespace], Parts]:
    ap = _add_command(
        commands,
        "parts",
        summary="images of a simple good part, as PNG files in train/good and test/good",
        description="Render images of a simple good part: PNG files in train/good and test/good.",
    )
    _add_number(ap, "-c", "--count", least=1, default=160, what="parts to train on")
    _add_number(ap, "--test-count", least=0, default=60, what="parts to test with")
    _add_size(ap)
    arguments.add_seed(ap)
    return lambda args: Parts(
        output=args.output,
        count=args.count,
        test_count=args.test_count,
        size=args.size,
        seed=args.seed,
    )


def _add_defects(commands: argparse._SubParsersAction) -> Callable[[argparse.Namespace], Defects]:
    ap = _add_command(
        commands,
        "defects",
        summary="images of good parts with pasted objects or synthetic defects, and masks",
        description="Add defects to images of good parts. Writes test/KIND/BACKGROUND__NUMBER.png, "
        "masks in ground_truth/KIND, and manifest.jsonl, which says what was done where; replaces "
        "what an earlier run wrote to the same folder. KIND is several where an image has more "
        "than one kind of defect.",
    )
    ap.add_argument(
        "-b", "--backgrounds", required=True, metavar="FOLDER", help="images of good parts"
    )
    ap.add_argument(
        "--objects",
        metavar="FOLDER",
        help="images to paste, with or without transparency (default: synthetic defects)",
    )
    usual = Recipe()
    _add_number(
        ap,
        "--n-samples",
        least=1,
        default=usual.n_samples,
        what="images made from each background, for each of --n-objects",
    )
    ap.add_argument(
        "--n-objects",
        nargs="+",
        type=whole_number(1),
        default=list(usual.n_objects),
        metavar="N",
        help="objects or defects in an image, one or more numbers (default: "
        f"{' '.join(map(str, usual.n_objects))})",
    )
    ap.add_argument(
        "-k",
        "--kinds",
        nargs="+",
        choices=defects.KINDS,
        metavar="KIND",
        help=f"of synthetic defects: {', '.join(defects.KINDS)} (default: all)",
    )
    arguments.add_seed(ap)
    arguments.add_jobs(ap)
    arguments.add_max_pixels(ap)

    def read(args: argparse.Namespace) -> Defects:
        option_rules.check(ap, args, option_rules.GENERATE)
        return Defects(
            output=args.output,
            backgrounds=args.backgrounds,
            objects=args.objects,
            recipe=Recipe(
                n_samples=args.n_samples,
                n_objects=tuple(args.n_objects),
                kinds=tuple(args.kinds or ()),
                seed=args.seed,
            ),
            executor=Executor.from_args(args),
        )

    return read


def _add_command(
    commands: argparse._SubParsersAction, name: str, *, summary: str, description: str
) -> argparse.ArgumentParser:
    ap = commands.add_parser(name, help=summary, description=description, allow_abbrev=False)
    arguments.add_messages(ap)
    ap.add_argument("-o", "--output", required=True, metavar="FOLDER", help="folder to write to")
    return ap


def _add_number(
    ap: argparse.ArgumentParser,
    *flags: str,
    least: int,
    default: int,
    what: str,
    metavar: str = "N",
) -> None:
    ap.add_argument(
        *flags,
        type=whole_number(least),
        default=default,
        metavar=metavar,
        help=f"{what} (default: {default})",
    )


def _add_size(ap: argparse.ArgumentParser) -> None:
    _add_number(ap, "--size", least=32, default=256, what="height and width", metavar="PIXELS")
