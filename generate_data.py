"""Render the data that the examples work with, and spoil pictures of good parts.

  python generate_data.py scenes --output forest --kinds forest --count 24
  python generate_data.py scenes --output examples --kinds forest coast highway --count 2 --seed 7
  python generate_data.py series --output examples --variants normal jump
  python generate_data.py parts --output parts
  python generate_data.py defects --backgrounds parts/test/good --output faulty
  python generate_data.py defects --backgrounds good --objects objects -o noisy --n-objects 1 4

The same command makes the same files.
"""

if __name__ == "__main__":
    from pyimagesearch.runtime import interrupts

    interrupts.end_quietly_while_starting()

import argparse
import itertools
import os
from collections.abc import Sequence

from pyimagesearch.cli import argument_types, arguments
from pyimagesearch.data import images, mvtec
from pyimagesearch.data.synthetic import defect_dataset, defects, parts
from pyimagesearch.data.synthetic import series as synthetic_series
from pyimagesearch.data.synthetic.scenes import SCENES, render_scene
from pyimagesearch.runtime.atomic_files import check_replaceable, written_whole
from pyimagesearch.runtime.console import (
    EXIT_DONE,
    EXIT_UNREADABLE,
    UserError,
    info,
    printable,
    run,
    set_quiet,
    warn,
)


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    ap = arguments.parser(__doc__)
    commands = ap.add_subparsers(dest="command", required=True, metavar="COMMAND")
    scenes = commands.add_parser(
        "scenes",
        help="photo-like outdoor scenes, as JPEG files KIND_NUMBER.jpg",
        description="Render outdoor scenes as JPEG files KIND_NUMBER.jpg.",
        allow_abbrev=False,
    )
    scenes.add_argument("-o", "--output", required=True, help="folder to write to")
    scenes.add_argument(
        "-k",
        "--kinds",
        nargs="+",
        choices=sorted(SCENES),
        default=["forest"],
        metavar="KIND",
        help=f"which scenes: {', '.join(sorted(SCENES))} (default: forest)",
    )
    add_number(scenes, "-c", "--count", least=1, default=24, help="pictures of each kind")
    add_size(scenes)
    arguments.add_seed(scenes)
    scenes.set_defaults(run=render_scenes)

    series = commands.add_parser(
        "series",
        help="a daily rhythm, one value each five minutes, as CSV files daily_VARIANT.csv",
        description="Make series with a daily rhythm as CSV files daily_VARIANT.csv.",
        allow_abbrev=False,
    )
    series.add_argument("-o", "--output", required=True, help="folder to write to")
    series.add_argument(
        "-V",
        "--variants",
        nargs="+",
        choices=list(synthetic_series.VARIANTS),
        default=["normal"],
        metavar="VARIANT",
        help=f"what goes wrong: {', '.join(synthetic_series.VARIANTS)} (default: normal)",
    )
    add_number(series, "--days", least=8, default=14, help="length in days")
    series.add_argument(
        "--labels", action="store_true", help="add a column label: 1 where something is wrong"
    )
    arguments.add_seed(series)
    series.set_defaults(run=make_series)
    add_parts(commands)
    add_defects(commands)
    return ap.parse_args(argv)


def add_number(
    ap: argparse.ArgumentParser,
    *flags: str,
    least: int,
    default: int,
    help: str,
    metavar: str = "N",
) -> None:
    ap.add_argument(
        *flags,
        type=argument_types.whole_number(least),
        default=default,
        metavar=metavar,
        help=f"{help} (default: {default})",
    )


def add_size(ap: argparse.ArgumentParser) -> None:
    add_number(ap, "--size", least=32, default=256, help="height and width", metavar="PIXELS")


def add_parts(commands: argparse._SubParsersAction) -> None:
    ap = commands.add_parser(
        "parts",
        help="pictures of a simple good part, as PNG files in train/good and test/good",
        description="Render pictures of a simple good part: PNG files in train/good and test/good.",
        allow_abbrev=False,
    )
    ap.add_argument("-o", "--output", required=True, help="folder to write to")
    add_number(ap, "-c", "--count", least=1, default=160, help="parts to learn from")
    add_number(ap, "--test-count", least=0, default=60, help="parts to test with")
    add_size(ap)
    arguments.add_seed(ap)
    ap.set_defaults(run=render_parts)


def add_defects(commands: argparse._SubParsersAction) -> None:
    ap = commands.add_parser(
        "defects",
        help="pictures of good parts, spoiled with pasted objects or made defects, and masks",
        description="Spoil pictures of good parts. Writes test/KIND/BACKGROUND__NUMBER.png, masks "
        "in ground_truth/KIND, and manifest.jsonl, which tells what was done where; replaces what "
        "an earlier run wrote to the same folder. KIND is several where a picture has more than "
        "one kind of defect.",
        allow_abbrev=False,
    )
    ap.add_argument(
        "-b", "--backgrounds", required=True, metavar="FOLDER", help="pictures of good parts"
    )
    ap.add_argument(
        "--objects",
        metavar="FOLDER",
        help="pictures to paste, with or without transparency (default: made defects)",
    )
    ap.add_argument("-o", "--output", required=True, metavar="FOLDER", help="folder to write to")
    add_number(
        ap,
        "--n-samples",
        least=1,
        default=5,
        help="pictures made from each background, for each of --n-objects",
    )
    ap.add_argument(
        "--n-objects",
        nargs="+",
        type=argument_types.whole_number(1),
        default=[3],
        metavar="N",
        help="objects or defects in a picture, one or more numbers (default: 3)",
    )
    ap.add_argument(
        "-k",
        "--kinds",
        nargs="+",
        choices=defects.KINDS,
        metavar="KIND",
        help=f"of made defects: {', '.join(defects.KINDS)} (default: all)",
    )
    arguments.add_seed(ap)
    arguments.add_jobs(ap)
    ap.set_defaults(run=make_defects)


def main(argv: Sequence[str] | None = None) -> int:
    args = parse_arguments(argv)
    set_quiet(args.quiet)
    return args.run(args)


def render_scenes(args: argparse.Namespace) -> int:
    os.makedirs(args.output, exist_ok=True)
    for kind in args.kinds:
        for number in range(1, args.count + 1):
            picture = render_scene(kind, args.seed, number, args.size)
            with written_whole(os.path.join(args.output, f"{kind}_{number}.jpg")) as file:
                file.write(images.encode_picture(picture, ".jpg"))
    info(f"{len(args.kinds) * args.count} pictures written to {printable(args.output)}")
    return EXIT_DONE


def make_series(args: argparse.Namespace) -> int:
    os.makedirs(args.output, exist_ok=True)
    for variant in args.variants:
        times, values, wrong = synthetic_series.make_series(variant, args.days, args.seed)
        lines = ["timestamp,value,label" if args.labels else "timestamp,value"]
        for time, value, is_wrong in zip(times, values, wrong, strict=True):
            lines.append(f"{time},{value:.3f}" + (f",{int(is_wrong)}" if args.labels else ""))
        with written_whole(os.path.join(args.output, f"daily_{variant}.csv")) as file:
            file.write(("\n".join(lines) + "\n").encode())
    info(f"{len(args.variants)} series written to {printable(args.output)}")
    return EXIT_DONE


def render_parts(args: argparse.Namespace) -> int:
    # Numbers go on from the one folder to the other, so that no part is in both.
    numbers = iter(range(1, args.count + args.test_count + 1))
    for folder, count in ((mvtec.TRAIN_GOOD, args.count), (mvtec.TEST_GOOD, args.test_count)):
        target = os.path.join(args.output, folder)
        os.makedirs(target, exist_ok=True)
        for number in itertools.islice(numbers, count):
            picture = parts.render_part(args.seed, number, args.size)
            with written_whole(os.path.join(target, f"part_{number:04}.png")) as file:
                file.write(images.encode_picture(picture, ".png"))
    info(f"{args.count + args.test_count} pictures written to {printable(args.output)}")
    return EXIT_DONE


def make_defects(args: argparse.Namespace) -> int:
    if args.kinds and args.objects:
        raise UserError("--kinds is for made defects; it does not go with --objects")
    check_replaceable(args.output, defect_dataset.MANIFEST)
    backgrounds = pictures_in(args.backgrounds)
    objects = [] if args.objects is None else pictures_in(args.objects)
    recipe = defect_dataset.Recipe(
        args.n_samples, args.n_objects, args.kinds or (), objects, args.seed
    )
    info(f"spoiling {len(backgrounds)} pictures...")
    try:
        noised = defect_dataset.fill_folder(
            args.output, backgrounds, args.backgrounds, recipe, args.jobs
        )
    except images.ImageError as error:
        raise UserError(f"{printable(args.objects)}: {error}") from error
    for path, reason in noised.unreadable:
        warn(f"{printable(path)}: {reason}; left out")
    if noised.n_untouched:
        warn(f"{noised.n_untouched} pictures were left out: no defect could be seen on them")
    info(f"{noised.n_pictures} pictures written to {printable(args.output)}")
    return EXIT_UNREADABLE if noised.unreadable else EXIT_DONE


def pictures_in(folder: str) -> list[str]:
    if not os.path.isdir(folder):
        raise UserError(f"{printable(folder)}: no such folder")
    if not (found := list(images.list_images(folder))):
        raise UserError(f"{printable(folder)}: no images in this folder")
    return found


if __name__ == "__main__":
    run(main)
