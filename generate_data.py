"""Render the data that the examples work with.

  python generate_data.py scenes --output forest --kinds forest --count 24
  python generate_data.py scenes --output examples --kinds forest coast highway --count 2 --seed 7
  python generate_data.py series --output examples --variants normal jump

The same command makes the same files.
"""

import argparse
import os

from pyimagesearch import options, reports, synthetic, syntheticseries
from pyimagesearch.files import written_whole
from pyimagesearch.options import info, printable


def parse_arguments() -> argparse.Namespace:
    ap = options.parser(__doc__)
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
        choices=sorted(synthetic.SCENES),
        default=["forest"],
        metavar="KIND",
        help=f"which scenes: {', '.join(sorted(synthetic.SCENES))} (default: forest)",
    )
    scenes.add_argument(
        "-c",
        "--count",
        type=options.whole_number(1),
        default=24,
        metavar="N",
        help="pictures of each kind (default: 24)",
    )
    scenes.add_argument(
        "--size",
        type=options.whole_number(32),
        default=256,
        metavar="PIXELS",
        help="height and width (default: 256)",
    )
    options.add_seed(scenes)
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
        choices=list(syntheticseries.VARIANTS),
        default=["normal"],
        metavar="VARIANT",
        help=f"what goes wrong: {', '.join(syntheticseries.VARIANTS)} (default: normal)",
    )
    series.add_argument(
        "--days",
        type=options.whole_number(8),
        default=14,
        metavar="N",
        help="length in days (default: 14)",
    )
    series.add_argument(
        "--labels", action="store_true", help="add a column label: 1 where something is wrong"
    )
    options.add_seed(series)
    series.set_defaults(run=make_series)
    return ap.parse_args()


def main() -> int:
    args = parse_arguments()
    options.set_quiet(args.quiet)
    return args.run(args)


def render_scenes(args: argparse.Namespace) -> int:
    os.makedirs(args.output, exist_ok=True)
    for kind in args.kinds:
        for number in range(1, args.count + 1):
            picture = synthetic.render_scene(kind, args.seed, number, args.size)
            with written_whole(os.path.join(args.output, f"{kind}_{number}.jpg")) as file:
                file.write(reports.encode_picture(picture, ".jpg"))
    info(f"{len(args.kinds) * args.count} pictures written to {printable(args.output)}")
    return options.EXIT_DONE


def make_series(args: argparse.Namespace) -> int:
    os.makedirs(args.output, exist_ok=True)
    for variant in args.variants:
        times, values, wrong = syntheticseries.make_series(variant, args.days, args.seed)
        lines = ["timestamp,value,label" if args.labels else "timestamp,value"]
        for time, value, is_wrong in zip(times, values, wrong, strict=True):
            lines.append(f"{time},{value:.3f}" + (f",{int(is_wrong)}" if args.labels else ""))
        with written_whole(os.path.join(args.output, f"daily_{variant}.csv")) as file:
            file.write(("\n".join(lines) + "\n").encode())
    info(f"{len(args.variants)} series written to {printable(args.output)}")
    return options.EXIT_DONE


if __name__ == "__main__":
    options.run(main)
