"""How many false alarms there are at rates that so few calibration images cannot promise.

  python -m benchmarks.extrapolation [--write docs/benchmarks.md] [--cache FOLDER]

A few of a set's normal images are learned by the method neighbours on the default network, 20 times
anew, and all others are judged: how many exceed the threshold that the tail fitted to the
calibration scores gives for a rate below 1 / (n + 1), and how many the best that is promised.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.measure import DATA, machine, write_into
from benchmarks.verdicts import NAMES, features_of
from pyimagesearch.detectors.image.knn import KnnDetector
from pyimagesearch.labelling import thresholds
from pyimagesearch.training.calibration import fit_calibrated

SIZES = (16, 30, 60)
RATES = (0.01, 0.001)
N_SPLITS = 20


def realised(normal: np.ndarray, size: int, seed: int) -> np.ndarray:
    """The shares of (n, n_features) normal images, beyond those learned, called anomalies.

    Returns:
        (N_SPLITS, 1 + len(RATES)): at the best promised rate, and at each of ``RATES``.
    """
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(N_SPLITS):
        order = rng.permutation(len(normal))
        fitted = fit_calibrated(KnnDetector, normal[order[:size]], {}, seed=seed, jobs=1)
        scores = fitted.detector.score(normal[order[size:]])
        limits = [thresholds.score_for_rate(fitted.calibration, thresholds.best_rate(size))]
        limits += [thresholds.extrapolated_score(fitted.calibration, rate) for rate in RATES]
        found.append([(scores > limit).mean() for limit in limits])
    return np.array(found)


def main() -> None:
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("--write", metavar="FILE", help="write the table into this file")
    ap.add_argument("--cache", metavar="FOLDER", type=Path, help="keep features here")
    args = ap.parse_args()
    if not DATA.is_dir():
        sys.exit(f"[ERROR] no real data in {DATA}")
    found: dict[str, list[np.ndarray]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        cache = args.cache or Path(scratch)
        for seed, name in enumerate(NAMES):
            normal, _ = features_of(name, cache)
            found[name] = [realised(normal, size, seed).mean(axis=0) for size in SIZES]
            print(name, *found[name], file=sys.stderr, flush=True)
    found["mean"] = list(np.mean(list(found.values()), axis=0))
    titles = [
        title
        for size in SIZES
        for title in (f"{size}: promised {1 / (size + 1):.1%}", *(f"asked {r:.1%}" for r in RATES))
    ]
    lines = [
        f"Measured on {machine()}: {N_SPLITS} divisions of the normal images of each set.",
        "",
        f"| images learned | {' | '.join(titles)} |",
        f"|---|{'---|' * len(titles)}",
    ]
    for name, shares in found.items():
        lines.append(f"| {name} | {' | '.join(f'{s:.2%}' for s in np.concatenate(shares))} |")
    table = "\n".join(lines) + "\n"
    print(table)
    if args.write:
        write_into(args.write, "benchmarks.extrapolation", table)


if __name__ == "__main__":
    main()
