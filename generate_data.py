"""Render the data that the examples work with.

  python generate_data.py scenes --output forest --kinds forest --count 24
  python generate_data.py scenes --output examples --kinds forest coast highway --count 2 --seed 7

The same command renders the same pictures.
"""

import argparse
import os

from pyimagesearch import options, reports, synthetic
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


if __name__ == "__main__":
    options.run(main)
