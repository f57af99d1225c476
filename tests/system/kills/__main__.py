"""Kill the scripts at random moments; what they end with must be what a quiet run ends with.

  python -m tests.system.kills --kills 30
  python -m tests.system.kills --command csv report --kills 100 --seed 7

Exit status: 0 nothing found, 1 something.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.system.kills.attack import Attack
from tests.system.kills.commands import COMMANDS, make_inputs

_SHOWN = 10  # of what is found of a command


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.system.kills",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--kills", type=int, default=30, help="of each command (30)")
    parser.add_argument("--command", nargs="+", choices=list(COMMANDS), help="these alone (all)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (0)")
    options = parser.parse_args()
    n_found = 0
    print(f"{'command':<12}{'kills':>8}{'too late':>10}{'compared':>10}{'found':>8}{'seconds':>10}")
    with tempfile.TemporaryDirectory(prefix="kills") as folder:
        inputs = Path(folder, "inputs")
        make_inputs(inputs)
        for name in options.command or COMMANDS:
            started = time.monotonic()
            tally = Attack(COMMANDS[name], inputs, options.seed).run(options.kills)
            print(
                f"{name:<12}{tally.kills:>8}{tally.missed:>10}{tally.finished:>10}"
                f"{len(tally.found):>8}{time.monotonic() - started:>10.0f}",
                flush=True,
            )
            for found, count in Counter(tally.found).most_common(_SHOWN):
                print(f"    {count} x {found}", flush=True)
            n_found += len(tally.found)
    return 1 if n_found else 0


if __name__ == "__main__":
    sys.exit(main())
