"""Attack the readers with files that are wrong in every way.

  python -m tests.system.fuzz --seconds 3600 --jobs 4
  python -m tests.system.fuzz --cases 100
  python -m tests.system.fuzz --target models --seed 7 --case 1234

Exit status: 0 nothing found, 1 something, with the commands that show it again.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.system.fuzz.case import BLOCK
from tests.system.fuzz.supervise import OUTCOMES, Found, Supervisor
from tests.system.fuzz.targets import TARGETS, USUAL

_SHOWN_LINES = 25  # of a finding's traceback


def main() -> int:
    options = _parsed()
    names = options.target or list(USUAL)
    found: list[Found] = []
    started = time.monotonic()

    def report(finding: Found) -> None:
        known = [one for one in found if one.where == finding.where]
        found.append(finding)
        if known:
            print(f"[FOUND] {finding.target}, case {finding.number}: as {known[0].number}")
            return
        lines = finding.what.strip().splitlines()[-_SHOWN_LINES:]
        print(f"[FOUND] {finding.target}, case {finding.number}:", *lines, sep="\n    ")
        print(f"    again: {_command(finding, options.seed)}")
        print(f"    files: {finding.kept}", flush=True)

    # Not removed where a case has left what cannot be: folders that nobody may list.
    with tempfile.TemporaryDirectory(prefix="fuzz", ignore_cleanup_errors=True) as folder:
        kept = options.findings.absolute()
        with Supervisor(Path(folder), options.seed, options.jobs, report, kept) as supervisor:
            supervisor.make_seeds(names)
            print(f"seeds made in {time.monotonic() - started:.0f} s", flush=True)
            started = time.monotonic()
            with contextlib.suppress(KeyboardInterrupt):  # what was done until then is reported
                supervisor.run(_blocks(names, options, supervisor))
    _print_table(supervisor, time.monotonic() - started)
    for where in dict.fromkeys(one.where for one in found):
        same = [one for one in found if one.where == where]
        print(f"{len(same)} x {' '.join(where)}\n    {_command(same[0], options.seed)}")
    return 1 if found else 0


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.system.fuzz",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--seconds", type=float, default=60, help="how long (60)")
    group.add_argument("--cases", type=int, help="how many of each target instead")
    group.add_argument("--case", type=int, help="this one alone")
    parser.add_argument("--target", nargs="+", choices=list(TARGETS), help="these alone (all)")
    parser.add_argument("--seed", type=int, default=0, help="of all cases (0)")
    parser.add_argument("--first", type=int, default=0, help="case to begin with (0)")
    parser.add_argument("--jobs", type=int, default=1, help="processes at once (1)")
    parser.add_argument(
        "--findings", type=Path, default=Path("findings"), help="folder for their files (findings)"
    )
    return parser.parse_args()


def _blocks(
    names: list[str], options: argparse.Namespace, supervisor: Supervisor
) -> Iterator[tuple[str, int, int]]:
    """What to run: blocks of all targets in turn, or so that all get the same time."""
    if options.case is not None:
        yield from ((name, options.case, 1) for name in names)
        return
    first = options.first - options.first % BLOCK
    if options.cases is not None:
        n_cases = {name: round(options.cases * TARGETS[name].share) for name in names}
        for start in range(0, options.cases, BLOCK):
            for name in (name for name in names if start < n_cases[name]):
                yield name, first + start, min(n_cases[name] - start, BLOCK)
        return
    ends = time.monotonic() + options.seconds
    sizes = {name: round(BLOCK * TARGETS[name].share) for name in names}
    given = dict.fromkeys(names, 0)
    while time.monotonic() < ends:
        name = min(names, key=lambda name: (supervisor.tallies[name].seconds, given[name]))
        yield name, first + given[name], sizes[name]
        given[name] += sizes[name]


def _print_table(supervisor: Supervisor, seconds: float) -> None:
    titles = ("cases", *OUTCOMES, "ms each", "longest s")
    print(f"{'target':<12}{''.join(f'{title:>11}' for title in titles)}")
    total = 0
    for name, tally in supervisor.tallies.items():
        n_cases = tally.outcomes.total()
        total += n_cases
        counts = "".join(f"{n:>11,}" for n in (n_cases, *(tally.outcomes[o] for o in OUTCOMES)))
        print(f"{name:<12}{counts}{1000 * tally.seconds / n_cases:>11.1f}{tally.longest:>11.1f}")
    print(
        f"{total:,} cases in {seconds:,.0f} s; a process had {supervisor.most_bytes / 1e9:.1f} GB"
    )


def _command(finding: Found, seed: int) -> str:
    chosen = f"--target {finding.target} --seed {seed} --case {finding.number}"
    return f"python -m tests.system.fuzz {chosen}"


if __name__ == "__main__":
    sys.exit(main())
