"""A few defects among the normal training images: what verdicts then promise, and still find.

  python -m benchmarks.contamination [--write docs/benchmarks.md] [--method auto]
      [--only tile day] [--divisions 20] [--cache FOLDER]

The normal images of each set are divided anew, several times: two thirds are learned, together
with so many of the set's anomalies that they are 5% or 10% of all, and the rest of both is judged.
Models that learn all of them (--contamination 0), those of the defaults and those that are told the
share are compared with one that learned the normal images alone. Features are extracted once; with
--cache those of neighbours are kept for the next run.
"""

from __future__ import annotations

import itertools
import logging
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks import verdicts
from benchmarks.measure import machine, measured_parser, needs_real_data, write_into
from benchmarks.patch_accuracy import SETS
from benchmarks.verdicts import FOREST_PHOTOS, features_of, photos, possible
from benchmarks.verdicts_default import KnownPatches
from pyimagesearch import metrics
from pyimagesearch.detectors.image.knn import KnnDetector
from pyimagesearch.labelling import thresholds
from pyimagesearch.runtime.console import counted
from pyimagesearch.training.calibration import CalibratedDetector, fit_calibrated
from pyimagesearch.training.contamination import Suspicion, fit_cleaned
from pyimagesearch.training.folder_audit import MIN_IMAGES
from pyimagesearch.training.images import AUTO, PatchOptions, TrainingFolder, train_on_patches

NEIGHBOURS = "neighbours"
RATES = (0.05, 0.01)
TOLD_OF_NORMAL = 0.05  # the share that is told where there are no defects
CLEAN, ALL, DEFAULT, TOLD = "no defects", "all are learned", "default", "`--contamination SHARE`"


@dataclass(frozen=True)
class Extent:
    """How much is measured of each set.

    Attributes:
        names: of the sets.
        shares: of what is learned that are anomalies.
        most_normal, most_anomalous: numbers of images.
        n_divisions: of the normal images.
    """

    names: tuple[str, ...]
    shares: tuple[float, ...]
    most_normal: int
    most_anomalous: int
    n_divisions: int


EXTENTS = {
    NEIGHBOURS: Extent((*SETS, FOREST_PHOTOS), (0.0, 0.05, 0.1), 360, 150, 20),
    AUTO: Extent(verdicts.NAMES, (0.0, 0.05), 120, 60, 2),
}


@dataclass(frozen=True)
class Judged:
    """What a model makes of normal images and of anomalies.

    Attributes:
        calibration: (n,) scores.
        normal, anomalies: (m,) and (k,) scores of images that are judged.
        n_left_out: number of images that were not learned.
    """

    calibration: np.ndarray
    normal: np.ndarray
    anomalies: np.ndarray
    n_left_out: int

    def called(self, rate: float) -> tuple[int, int]:
        """How many normal images and anomalies are called anomalies at a false-alarm rate."""
        limit = thresholds.score_for_rate(self.calibration, possible(rate, self.calibration))
        return int((self.normal > limit).sum()), int((self.anomalies > limit).sum())

    @property
    def auroc(self) -> float:
        """Of the images that are judged."""
        truth = np.repeat([False, True], [len(self.normal), len(self.anomalies)])
        return metrics.auroc(truth, np.concatenate([self.normal, self.anomalies]))


class Learned(NamedTuple):
    """A model: its calibration scores, what scores images of some numbers, how many it left out."""

    calibration: np.ndarray
    score: Callable[[np.ndarray], np.ndarray]
    n_left_out: int


# (numbers of the images to learn, share that is told) -> model.
Learn = Callable[[np.ndarray, float | None], Learned]


def learn_neighbours(name: str, cache: Path, extent: Extent) -> tuple[Learn, int, int]:
    """How the method neighbours learns, and how many normal images and anomalies there are."""
    normal, anomalies = (
        _some(rows, n)
        for rows, n in zip(
            features_of(name, cache), (extent.most_normal, extent.most_anomalous), strict=True
        )
    )
    features = np.concatenate([normal, anomalies])

    def learn(learned: np.ndarray, share: float | None) -> Learned:
        def fit_without(left_out: np.ndarray) -> CalibratedDetector:
            rest = features[np.delete(learned, left_out)]
            return fit_calibrated(KnnDetector, rest, {}, seed=0, jobs=1)

        cleaned = fit_cleaned(
            fit_without(np.empty(0, int)),
            [str(i) for i in learned],
            Suspicion(share, least_kept=MIN_IMAGES),
            fit_without,
            lambda fitted, some: fitted.detector.score(features[learned[some]]),
        )
        detector = cleaned.fitted.detector
        return Learned(
            cleaned.calibration,
            lambda some: detector.score(features[some]),
            len(cleaned.unlearned),
        )

    return learn, len(normal), len(anomalies)


def _some(items: Sequence[Any] | np.ndarray, most: int) -> Any:
    """At most so many items, in random order."""
    chosen = np.random.default_rng(0).permutation(len(items))[:most]
    return items[chosen] if isinstance(items, np.ndarray) else [items[i] for i in chosen]


def learn_patches(name: str, extent: Extent) -> tuple[Learn, int, int]:
    """The same of the default method, on files."""
    normal, anomalies = photos(name)
    normal, anomalies = _some(normal, extent.most_normal), _some(anomalies, extent.most_anomalous)
    paths = normal + anomalies
    extractor = KnownPatches.of_default(normal)
    known = extractor.learn(paths)

    def learn(learned: np.ndarray, share: float | None) -> Learned:
        folder = TrainingFolder(name, [paths[i] for i in learned], contamination=share)
        fitted = train_on_patches(folder, extractor, AUTO, PatchOptions())

        def score(some: np.ndarray) -> np.ndarray:
            return fitted.detector.score([known[paths[i]] for i in some])

        return Learned(fitted.calibration, score, len(fitted.left_out))

    return learn, len(normal), len(anomalies)


def divisions(
    learn: Learn, n_normal: int, n_anomalies: int, extent: Extent
) -> Iterator[dict[tuple[float, str], Judged]]:
    """Divide the images anew, and judge by models of each share, learned in each way."""
    rng = np.random.default_rng(0)
    n_learned = 2 * n_normal // 3
    n_mixed = {share: round(share * n_learned / (1 - share)) for share in extent.shares}
    for _ in range(extent.n_divisions):
        order = rng.permutation(n_normal)
        anomalies = n_normal + rng.permutation(n_anomalies)
        rest = order[n_learned:][: extent.most_anomalous]
        others = anomalies[max(n_mixed.values()) :]
        found: dict[tuple[float, str], Judged] = {}
        for share in extent.shares:
            mixed = np.concatenate([order[:n_learned], anomalies[: n_mixed[share]]])
            told = {DEFAULT: None, ALL: 0.0, TOLD: share or TOLD_OF_NORMAL}
            for way, asked in told.items():
                if way == ALL and not found[share, DEFAULT].n_left_out:
                    found[share, ALL] = found[share, DEFAULT]
                    continue
                model = learn(mixed, asked)
                found[share, way] = Judged(
                    model.calibration, model.score(rest), model.score(others), model.n_left_out
                )
        yield found


@dataclass(frozen=True)
class Pooled:
    """What several divisions come to.

    Attributes:
        auroc: the mean.
        alarms, found: shares of all normal images and of all anomalies.
        asked: the share of false alarms that was asked for, or the least that is possible.
    """

    auroc: float
    alarms: float
    found: float
    asked: float

    @classmethod
    def of(cls, several: Sequence[Judged], rate: float) -> Pooled:
        """Pool what is called anomalies at a false-alarm rate."""
        n_alarms, n_found = np.sum([one.called(rate) for one in several], axis=0)
        n_normal = np.array([len(one.normal) for one in several])
        asked = np.array([possible(rate, one.calibration) for one in several])
        return cls(
            float(np.mean([one.auroc for one in several])),
            n_alarms / n_normal.sum(),
            n_found / sum(len(one.anomalies) for one in several),
            float(np.average(asked, weights=n_normal)),
        )


def tables(found: dict[str, list[dict[tuple[float, str], Judged]]], extent: Extent) -> list[str]:
    """For each share and rate a row for each set, and of all, also compared with what was asked."""
    pooled = {**found, "**all**": [one for of_set in found.values() for one in of_set]}
    lines = []
    for share, rate in itertools.product(extent.shares, RATES):
        keys = {CLEAN: (0.0, ALL)} | {way: (share, way) for way in (ALL, DEFAULT, TOLD)}
        if share == 0:
            del keys[ALL]
        titles = " | ".join(keys).replace("SHARE", f"{share or TOLD_OF_NORMAL:g}")
        lines += [
            f"| {share:.0%} defects, a rate of {rate:.0%}: AUROC, found, false alarms | {titles} |",
            f"|---|{'---|' * len(keys)}",
        ]
        for name, of_set in pooled.items():
            row = [Pooled.of([one[key] for one in of_set], rate) for key in keys.values()]
            cells = (f"{one.auroc:.3f}, {one.found:.0%}, {one.alarms:.1%}" for one in row)
            lines.append(f"| {name} | {' | '.join(cells)} |")
        clean = row[0].found or np.nan
        cells = (f"{one.found / clean:.2f}, {one.alarms / one.asked:.2f}" for one in row)
        lines += [f"| found as without defects, false alarms as asked | {' | '.join(cells)} |", ""]
    return lines


def main() -> None:
    ap = measured_parser(__doc__)
    ap.add_argument("--only", nargs="+", choices=(*SETS, FOREST_PHOTOS), help="some sets")
    ap.add_argument("--method", choices=tuple(EXTENTS), default=NEIGHBOURS)
    ap.add_argument("--divisions", type=int, metavar="N", help="of each set")
    ap.add_argument("--cache", metavar="FOLDER", type=Path, help="keep features here")
    args = ap.parse_args()
    needs_real_data()
    logging.disable()  # what hundreds of trainings have to say
    method, extent = args.method, EXTENTS[args.method]
    if args.divisions is not None:
        extent = replace(extent, n_divisions=args.divisions)
    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        cache = args.cache or Path(scratch)
        cache.mkdir(parents=True, exist_ok=True)
        for name in args.only or extent.names:
            if method == AUTO:
                learn = learn_patches(name, extent)
            else:
                learn = learn_neighbours(name, cache, extent)
            found[name] = list(divisions(*learn, extent))
            print(*tables({name: found[name]}, extent), sep="\n", file=sys.stderr, flush=True)
    n_divisions = counted(extent.n_divisions, "division")
    about = (
        f"Measured on {machine()}: the method {method}, {n_divisions} of each set, of which at "
        f"most {2 * extent.most_normal // 3} normal images are learned."
    )
    table = "\n".join([about, "", *tables(found, extent)]).rstrip() + "\n"
    print(table)
    if args.write:
        name = "benchmarks.contamination"
        write_into(args.write, name if method == NEIGHBOURS else f"{name}.{method}", table)


if __name__ == "__main__":
    main()
