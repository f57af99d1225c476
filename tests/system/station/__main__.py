"""Send parts to a server whose broker or receiver, and which itself, is killed at random moments.

  python -m tests.system.station --parts 2000 --defects 40 --kills 20
  python -m tests.system.station --parts 2000 --defects 40 --target http --kills 0
  python -m tests.system.station --soak 30

What the broker or the receiver has at the end must be the anomalies that the script names, in
order, each once, or again with the same id where a kill came between; and the record must have each
verdict that was answered once. With --soak, parts are sent for so many minutes, and the memory of
the server and its workers is printed. Exit status: 0 nothing found, 1 something.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.system.station.run import TARGETS, Station, soak


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.system.station",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--parts", type=int, default=2000)
    parser.add_argument("--defects", type=int, default=40)
    parser.add_argument("--kills", type=int, default=20, help="of the server (20)")
    parser.add_argument("--target", choices=TARGETS, default="mqtt")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--soak", type=float, metavar="MINUTES")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="station") as folder:
        if options.soak:
            print(soak(Path(folder), options.soak))
            return 0
        station = Station(
            Path(folder), options.parts, options.defects, options.target, options.seed
        )
        found = station.run(options.kills)
    print("\n".join(found.faults) or "nothing found")
    print(found)
    return 1 if found.faults else 0


if __name__ == "__main__":
    sys.exit(main())
