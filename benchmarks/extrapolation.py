"""How many false alarms there are where few images were learned: promised, and beyond the promise.

  python -m benchmarks.extrapolation [--write docs/benchmarks.md] [--cache FOLDER]

A few of a set's normal images are learned by the method neighbours on the default network, 20 times
anew, and all others are judged: how many exceed the threshold that the tail fitted to the
calibration scores gives for a rate below 1 / (n + 1), and how many the best that is promised. The
second table is about the threshold that training chooses by itself: how often the bound that it
prints held, and how often the number of false alarms is as the beta law of its rate has it, within
the beta-binomial band of 95%, below or above; and how often there were none, next to how often the
law expects that. "Apart" is a model that is calibrated on as many other images than it has learned,
for which the law is proven.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
from scipy.stats import betabinom

from benchmarks.measure import machine, measured_parser, needs_real_data, write_into
from benchmarks.verdicts import NAMES, features_of
from pyimagesearch import metrics
from pyimagesearch.detectors.image.knn import KnnDetector
from pyimagesearch.labelling import thresholds
from pyimagesearch.training.calibration import fit_calibrated

SIZES = (16, 30, 60)
RATES = (0.01, 0.001)
N_SPLITS = 20


@dataclass(frozen=True)
class AgainstLaw:
    """False alarms at training's own threshold, next to the beta law of their rate.

    Attributes:
        kept: divisions in which they are at most as many as ``DEFAULT_CONFIDENCE`` allows.
        inside, below, above: divisions by where their number lies, of the band of 95%.
        none: divisions in which there is none.
        expected: the number of these by the law.
    """

    kept: int = 0
    inside: int = 0
    below: int = 0
    above: int = 0
    none: int = 0
    expected: float = 0.0

    def __add__(self, other: AgainstLaw) -> AgainstLaw:
        return AgainstLaw(*map(sum, zip(astuple(self), astuple(other), strict=True)))

    @classmethod
    def of(cls, calibration: np.ndarray, scores: np.ndarray) -> AgainstLaw:
        """One division: (n,) scores that the threshold is chosen on, (m,) of images judged."""
        threshold = thresholds.ThresholdRule().choose(calibration, calibration).value
        n, n_judged = len(calibration), len(scores)
        n_left, n_alarms = (int((some > threshold).sum()) for some in (calibration, scores))
        band = thresholds.false_alarms(threshold, calibration, n_judged)
        bound = metrics.upper_bound(n_left, n, thresholds.DEFAULT_CONFIDENCE)
        return cls(
            kept=int(n_alarms <= bound * n_judged),
            inside=int(band.low <= n_alarms <= band.high),
            below=int(n_alarms < band.low),
            above=int(n_alarms > band.high),
            none=int(n_alarms == 0),
            expected=float(betabinom.pmf(0, n_judged, n_left + 1, n - n_left)),
        )


@dataclass(frozen=True)
class Realised:
    """What became of normal images that were judged, in ``N_SPLITS`` divisions.

    Attributes:
        shares: (1 + len(RATES),), of them called anomalies in the mean: at the best promised rate,
            and at each of ``RATES``.
        by_folds: of a model that is calibrated as training does it.
        apart: of one that is calibrated on other images than it has learned.
    """

    shares: np.ndarray
    by_folds: AgainstLaw
    apart: AgainstLaw


def realised(normal: np.ndarray, size: int, seed: int) -> Realised:
    """Learn so many of (n, n_features) normal images, and judge the others."""
    rng = np.random.default_rng(seed)
    shares, by_folds, apart = [], AgainstLaw(), AgainstLaw()
    for _ in range(N_SPLITS):
        order = rng.permutation(len(normal))
        fitted = fit_calibrated(KnnDetector, normal[order[:size]], {}, seed=seed, jobs=1)
        scores = fitted.detector.score(normal[order[size:]])
        limits = [thresholds.score_for_rate(fitted.calibration, thresholds.best_rate(size))]
        limits += [thresholds.extrapolated_score(fitted.calibration, rate) for rate in RATES]
        shares.append([(scores > limit).mean() for limit in limits])
        by_folds += AgainstLaw.of(fitted.calibration, scores)
        apart += AgainstLaw.of(scores[:size], scores[size:])
    return Realised(np.mean(shares, axis=0), by_folds, apart)


def shares_table(found: dict[str, list[Realised]]) -> list[str]:
    """False alarms at rates that are promised, and that are not."""
    titles = [
        title
        for size in SIZES
        for title in (f"{size}: promised {1 / (size + 1):.1%}", *(f"asked {r:.1%}" for r in RATES))
    ]
    lines = [f"| images learned | {' | '.join(titles)} |", f"|---|{'---|' * len(titles)}"]
    rows = {name: np.concatenate([one.shares for one in each]) for name, each in found.items()}
    rows["mean"] = np.mean(list(rows.values()), axis=0)
    for name, shares in rows.items():
        lines.append(f"| {name} | {' | '.join(f'{share:.2%}' for share in shares)} |")
    return lines


def law_table(found: dict[str, list[Realised]]) -> list[str]:
    """In how many divisions training's own threshold does what is said of it."""
    titles = ("bound kept", "inside, below, above", "none (expected)", "apart: none (expected)")
    lines = [
        f"| images learned | {' | '.join(f'{s}: {title}' for s in SIZES for title in titles)} |",
        f"|---|{'---|' * len(SIZES) * len(titles)}",
    ]
    rows = {name: [(one.by_folds, one.apart) for one in each] for name, each in found.items()}
    of_sizes = zip(*rows.values(), strict=True)
    rows["all"] = [
        tuple(sum(way, AgainstLaw()) for way in zip(*each, strict=True)) for each in of_sizes
    ]
    for name, row in rows.items():
        cells = [
            f"{one.kept} | {one.inside}, {one.below}, {one.above} "
            f"| {one.none} ({one.expected:.1f}) | {apart.none} ({apart.expected:.1f})"
            for one, apart in row
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def main() -> None:
    ap = measured_parser(__doc__)
    ap.add_argument("--cache", metavar="FOLDER", type=Path, help="keep features here")
    args = ap.parse_args()
    needs_real_data()
    found: dict[str, list[Realised]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        cache = args.cache or Path(scratch)
        for seed, name in enumerate(NAMES):
            normal, _ = features_of(name, cache)
            found[name] = [realised(normal, size, seed) for size in SIZES]
            print(name, *found[name], file=sys.stderr, flush=True)
    lines = [
        f"Measured on {machine()}: {N_SPLITS} divisions of the normal images of each set.",
        "",
        *shares_table(found),
        "",
        *law_table(found),
    ]
    table = "\n".join(lines) + "\n"
    print(table)
    if args.write:
        write_into(args.write, "benchmarks.extrapolation", table)


if __name__ == "__main__":
    main()
