"""Whether --false-discovery-rate holds in streams, and how much it finds.

  python -m benchmarks.stream_discoveries [--write docs/benchmarks.md] [--cache FOLDER]

Streams of real scores: those of ``benchmarks.verdicts``, calibrated by folds. Each part is an
anomaly with a fixed chance, and its score is drawn from those of the set's anomalies, or of its
normal images that were not learned. The rule of the scripts judges each part as it comes; so do
LORD++ and SAFFRON. "Fixed" is the false-alarm rate that finds most in these very streams while no
more of what it finds is normal than was asked: nobody could choose it who does not know the truth.
"""

from __future__ import annotations

import functools
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.measure import machine, measured_parser, needs_real_data, write_into
from benchmarks.online_discoveries import lord_plus_plus, saffron
from benchmarks.verdicts import DISCOVERY_RATES, NAMES, SHARES, WAYS, Split, features_of, splits
from pyimagesearch.labelling import thresholds
from pyimagesearch.labelling.running_discoveries import RunningDiscoveries

N_STREAMS, N_PARTS = 20, 5_000  # of each set, one for each division
SHARES_OF_STREAMS = (0.0, *SHARES)
FIXED = "best fixed rate"


@dataclass(frozen=True)
class Stream:
    """Parts as they come.

    Attributes:
        scores: (n_parts,).
        p_values: (n_parts,), of them.
        is_anomaly: (n_parts,) bool, the truth.
        calibration: (n,) scores that p-values are of.
    """

    scores: np.ndarray
    p_values: np.ndarray
    is_anomaly: np.ndarray
    calibration: np.ndarray

    def judged(self, called: np.ndarray) -> tuple[float, float]:
        """The share of what is called an anomaly that is normal, and that of anomalies found."""
        n_found = int((called & self.is_anomaly).sum())
        false = (called.sum() - n_found) / max(called.sum(), 1)
        return false, n_found / max(self.is_anomaly.sum(), 1)


def streams(every: Sequence[Split], share: float) -> list[Stream]:
    """Streams of a set's scores, in which ``share`` of the parts are anomalies."""
    rng = np.random.default_rng(0)
    found = []
    for number in range(N_STREAMS):
        split = every[number % len(every)]
        is_anomaly = rng.random(N_PARTS) < share
        anomalies, normal = (rng.choice(some, N_PARTS) for some in (split.anomalies, split.normal))
        scores = np.where(is_anomaly, anomalies, normal)
        p_values = thresholds.p_values(scores, split.calibration)
        found.append(Stream(scores, p_values, is_anomaly, split.calibration))
    return found


def running(stream: Stream, rate: float, extrapolates: bool = False) -> np.ndarray:
    """What the scripts call anomalies."""
    judge = RunningDiscoveries(rate, stream.calibration, extrapolates=extrapolates)
    p_values = stream.p_values
    if extrapolates:
        p_values = thresholds.extrapolated_p_values(stream.scores, stream.calibration)
    pairs = zip(stream.scores, p_values, strict=True)
    return np.array([score > judge.add(score, p_value) for score, p_value in pairs])


# (stream, rate) -> (n_parts,) bool, which are called anomalies.
Rule = Callable[[Stream, float], np.ndarray]
RULES: dict[str, Rule] = {
    "`--false-discovery-rate`": running,
    "with `--extrapolate`": functools.partial(running, extrapolates=True),
    "LORD++": lambda stream, rate: lord_plus_plus(stream.p_values, rate),
    "SAFFRON": lambda stream, rate: saffron(stream.p_values, rate),
}
_OF_SETS = 2  # the first of them, which are told of each set


def measured(some: Sequence[Stream], rule: Rule, rate: float) -> np.ndarray:
    """(n_streams, 2): what ``Stream.judged`` says of a rule in each stream."""
    return np.array([stream.judged(rule(stream, rate)) for stream in some])


def best_fixed(some: Sequence[Stream], rate: float) -> float:
    """What the best fixed false-alarm rate finds: see the module."""
    n_values = len(some[0].calibration) + 1
    best = 0.0
    for rank in range(1, n_values):
        limit = (rank + 0.5) / n_values
        false, found = np.mean([one.judged(one.p_values <= limit) for one in some], axis=0)
        if false <= rate:
            best = max(best, found)
        elif rank > n_values * rate:
            break
    return best


def judged(found: dict[str, list[Split]], rate: float, share: float) -> dict[str, np.ndarray]:
    """What ``measured`` says of each of ``RULES`` and of ``best_fixed``, by the set.

    Returns:
        For each set (n_rules + 1, n_streams, 2).
    """
    results = {}
    for name, every in found.items():
        some = streams(every, share)
        ways = [measured(some, rule, rate) for rule in RULES.values()]
        fixed = np.full((N_STREAMS, 2), [np.nan, best_fixed(some, rate)])
        results[name] = np.array([*ways, fixed])
        print(rate, share, name, results[name].mean(axis=1).tolist(), file=sys.stderr, flush=True)
    return results


def tables(found: dict[str, list[Split]]) -> list[str]:
    """What the scripts do on each set at the last rate, and all rules in the mean."""
    titles = [f"{share:.0%} anomalies" for share in SHARES_OF_STREAMS]
    rules = (*RULES, FIXED)
    of_sets: list[dict[str, list[str]]] = [{name: [] for name in found} for _ in range(_OF_SETS)]
    of_rules = {(rate, rule): [] for rate in DISCOVERY_RATES for rule in rules}
    for rate in DISCOVERY_RATES:
        for share in SHARES_OF_STREAMS:
            results = judged(found, rate, share)
            means = np.array([of_set.mean(axis=1) for of_set in results.values()])
            for rule, (false, share_found) in zip(rules, means.transpose(1, 2, 0), strict=True):
                cell = [f"{share_found.mean():.0%}"] if share else []
                if rule != FIXED:
                    cell = [f"{false.mean():.1%}", f"{false.max():.1%}", *cell]
                of_rules[rate, rule].append(", ".join(cell) or "-")
            if rate == DISCOVERY_RATES[-1]:
                for name, of_set in results.items():
                    for cells, one in zip(of_sets, of_set[:_OF_SETS], strict=True):
                        cells[name].append(_cell(one, of_set[-1, 0, 1] if share else None))
    header, line = f"{' | '.join(titles)} |", "---|" * len(titles)
    lines = []
    for rule, cells in zip(RULES, of_sets, strict=False):
        lines += [f"| {rule} {DISCOVERY_RATES[-1]}: set, calibration images | {header}"]
        lines += [f"|---|{line}"]
        for name, every in found.items():
            lines.append(f"| {name}, {len(every[0].calibration)} | {' | '.join(cells[name])} |")
        lines.append("")
    return [
        *lines,
        f"| mean of the sets, worst set, found | {header}",
        f"|---|{line}",
        *(f"| {rule}, {rate} | {' | '.join(cells)} |" for (rate, rule), cells in of_rules.items()),
    ]


def _cell(judged: np.ndarray, best: float | None) -> str:
    (false, found), error = judged.mean(axis=0), judged[:, 0].std() / np.sqrt(len(judged))
    return f"{false:.1%} ± {error:.1%}" + ("" if best is None else f", {found:.0%} of {best:.0%}")


def written(found: dict[str, list[Split]]) -> str:
    """The tables, and what they are of."""
    lines = [
        f"Measured on {machine()}: {N_STREAMS} streams of {N_PARTS:,} parts for each set. Normal "
        "parts among what is called anomalies, with the standard error of the mean over the "
        "streams; and the share of the anomalies that is found, of what the best fixed rate finds.",
        "",
        *tables(found),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    ap = measured_parser(__doc__)
    ap.add_argument("--cache", metavar="FOLDER", type=Path, help="keep features here")
    args = ap.parse_args()
    needs_real_data()
    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        cache = args.cache or Path(scratch)
        cache.mkdir(parents=True, exist_ok=True)
        for seed, name in enumerate(NAMES):
            every = splits(*features_of(name, cache), seed)
            found[name] = [split[WAYS[0]] for split in every]
            print(name, file=sys.stderr, flush=True)
    text = written(found)
    print(text)
    if args.write:
        write_into(args.write, "benchmarks.stream_discoveries", text)


if __name__ == "__main__":
    main()
