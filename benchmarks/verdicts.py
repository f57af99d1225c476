"""Whether verdicts hold what is promised of them: false alarms, and false discoveries.

  python -m benchmarks.verdicts [--write docs/benchmarks.md] [--only fibre] [--cache FOLDER]

The normal images of each set are divided anew, several times: some are learned, others are judged,
together with as many anomalies as make a share of the batch.

- neighbours, on the default network, learns two thirds. "By folds" is how training calibrates; "by
  halves" learns one half of its images and calibrates on the other, for which the promises are
  proven. No image is left out for standing apart.
- auto is trained as train_anomaly_detector.py does it where nothing else is asked for, and with
  --contamination 0, which leaves no image out. It takes half an hour.

Features are extracted once; with --cache those of neighbours, and the scores of auto, are kept for
the next run.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.measure import DATA, machine, measured_parser, needs_real_data, write_into
from benchmarks.patch_accuracy import SETS
from benchmarks.scenes import FORESTS
from benchmarks.verdicts_default import DEFAULT_WAYS, N_LEARNED, default_scores
from pyimagesearch.data import images
from pyimagesearch.detectors.image.knn import KnnDetector
from pyimagesearch.labelling import thresholds
from pyimagesearch.runtime.system import available_cores
from pyimagesearch.runtime.threads import ordered_map
from pyimagesearch.training.calibration import fit_calibrated
from pyimagesearch.training.image_features import (
    DEFAULT_BACKBONE,
    BackboneOptions,
    FeatureOptions,
)
from pyimagesearch.training.images import AUTO

N_SPLITS = 20
N_BATCHES = 10  # of anomalies, for each division
RATES = (0.01, 0.05)  # of false alarms
DISCOVERY_RATES = (0.05, 0.1)
SHARES = (0.01, 0.05, 0.2)  # of the batch that are anomalies
FIXED = 0.01  # the false-alarm rate that false-discovery rates are compared with
WAYS = ("by folds", "by halves")  # of the method neighbours
NEIGHBOURS = "neighbours"
FOREST_PHOTOS = "forest photos"
# (calibration scores, scores of a batch) -> which of the batch are called anomalies.
Rule = Callable[[np.ndarray, np.ndarray], np.ndarray]
# Parts, and scenes: with enough normal images for a rate of 1% in two thirds of them, or nearly.
NAMES = ("bottle", "casting", "tyre", "tile", "commutator", "solar-cell", "day", FOREST_PHOTOS)


@dataclass(frozen=True)
class Split:
    """Scores of one division of a set's normal images, by one way to calibrate.

    Attributes:
        calibration: (n,) of learned images.
        normal: (m,) of the others.
        anomalies: (k,) of anomalies of the set.
    """

    calibration: np.ndarray
    normal: np.ndarray
    anomalies: np.ndarray


@dataclass(frozen=True)
class Found:
    """What is called anomalies in batches, in the mean.

    Attributes:
        false: the share of what is called so that is normal; none is 0.
        share: of the anomalies that is called so.
    """

    false: float
    share: float


def photos(name: str) -> tuple[list[str], list[str]]:
    """The normal images and the anomalies of a set."""
    if name == FOREST_PHOTOS:
        folders = [FORESTS / "train" / "forest", FORESTS / "valid" / "forest"]
        others = [FORESTS / "valid" / kind for kind in ("buildings", "sea")]
    else:
        root = DATA / SETS[name]
        folders = [root / "train" / "good", root / "test" / "good"]
        others = [path for path in sorted((root / "test").iterdir()) if path.name != "good"]
    normal, anomalous = (
        [path for folder in some for path in images.list_images(str(folder))]
        for some in (folders, others)
    )
    return normal, anomalous


def features_of(name: str, cache: Path) -> tuple[np.ndarray, np.ndarray]:
    """The features of a set's normal images and of its anomalies, (n, n_features) float32 each."""
    kept = cache / f"{name}.npz"
    if not kept.exists():
        normal, anomalous = photos(name)
        options = FeatureOptions(BackboneOptions(DEFAULT_BACKBONE))
        extractor = options.extractor(normal, patches=False)

        def extract(path: str) -> np.ndarray:
            return extractor.extract(images.read_image(path, extractor.min_side))

        rows = np.array(list(ordered_map(extract, normal + anomalous, available_cores())))
        np.savez(kept, normal=rows[: len(normal)], anomalies=rows[len(normal) :])
    with np.load(kept) as arrays:
        return arrays["normal"], arrays["anomalies"]


def splits(normal: np.ndarray, anomalies: np.ndarray, seed: int) -> Iterator[dict[str, Split]]:
    """Divide normal images anew, and score them by neighbours in each of ``WAYS``."""
    rng = np.random.default_rng(seed)
    n_learned = 2 * len(normal) // 3
    for _ in range(N_SPLITS):
        order = rng.permutation(len(normal))
        learned, others = normal[order[:n_learned]], normal[order[n_learned:]]
        by_folds = fit_calibrated(KnnDetector, learned, {}, seed=seed, jobs=1)
        half = KnnDetector.fit(learned[: n_learned // 2], seed=seed)
        fitted = (
            (by_folds.detector, by_folds.calibration),
            (half, half.score(learned[n_learned // 2 :])),
        )
        yield {
            way: Split(calibration, detector.score(others), detector.score(anomalies))
            for way, (detector, calibration) in zip(WAYS, fitted, strict=True)
        }


def default_splits(name: str, cache: Path, seed: int) -> list[dict[str, Split]]:
    """Divide a set's normal images anew, and score them by auto in each of ``DEFAULT_WAYS``."""
    kept = cache / f"{name}.auto.npz"
    if not kept.exists():
        with threadpool_limits(1):  # products of few rows cost twice as much on two cores
            scores = list(default_scores(*photos(name), seed, N_SPLITS))
        np.savez(kept, *(part for split in scores for way in split for part in way))
    with np.load(kept) as arrays:
        parts = iter([arrays[f"arr_{number}"] for number in range(len(arrays))])
    by_way = iter([Split(*three) for three in zip(parts, parts, parts, strict=True)])
    found = zip(*[by_way] * len(DEFAULT_WAYS), strict=True)
    return [dict(zip(DEFAULT_WAYS, split, strict=True)) for split in found]


METHODS: dict[str, Callable[[str, Path, int], list[dict[str, Split]]]] = {
    NEIGHBOURS: lambda name, cache, seed: list(splits(*features_of(name, cache), seed)),
    AUTO: default_splits,
}


def possible(rate: float, calibration: np.ndarray) -> float:
    """A false-alarm rate, or the best that is possible."""
    return max(rate, thresholds.best_rate(len(calibration)))


def alarms_cell(some: Sequence[Split], rate: float) -> str:
    """The false alarms at a rate: realised, promised, and how many are in the band of 95%."""
    n_alarms, promised, n_inside = 0, 0.0, 0
    for split in some:
        limit = thresholds.score_for_rate(split.calibration, possible(rate, split.calibration))
        expected = thresholds.false_alarms(limit, split.calibration, len(split.normal))
        found = int((split.normal > limit).sum())
        n_alarms += found
        promised += expected.expected
        n_inside += expected.low <= found <= expected.high
    n_judged = sum(len(split.normal) for split in some)
    return (
        f"{n_alarms / n_judged:.1%} ({promised / n_judged:.1%}), {n_inside / len(some):.0%} inside"
    )


def alarms_table(found: dict[str, list[dict[str, Split]]]) -> list[str]:
    """False alarms of each set, and of all together."""
    ways = ways_of(found)
    titles = [f"{way}, {rate:.0%}" for way in ways for rate in RATES]
    lines = [
        f"| normal images: learned, judged | {' | '.join(titles)} |",
        f"|---|{'---|' * len(titles)}",
    ]
    rows = {
        f"{name}: {n_learned}, {len(every[0][ways[0]].normal)}": every
        for name, every in found.items()
        for n_learned in (max(len(split[ways[0]].calibration) for split in every),)
    }
    rows["all"] = [split for every in found.values() for split in every]
    for name, every in rows.items():
        cells = [
            alarms_cell([split[way] for split in every], rate) for way in ways for rate in RATES
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def ways_of(found: dict[str, list[dict[str, Split]]]) -> list[str]:
    """How the images were scored, of a method."""
    return list(next(iter(found.values()))[0])


def found_in_batches(some: Sequence[Split], share: float, rule: Rule) -> Found:
    """What a rule calls anomalies in batches with a share of anomalies, in random order."""
    rng = np.random.default_rng(0)
    false, found = [], []
    for split in some:
        n_anomalies = max(1, round(share * len(split.normal) / (1 - share)))
        n_anomalies = min(n_anomalies, len(split.anomalies))
        for _ in range(N_BATCHES):
            anomalies = rng.choice(split.anomalies, n_anomalies, replace=False)
            batch = np.concatenate([split.normal, anomalies])
            order = rng.permutation(len(batch))
            is_anomaly = order >= len(split.normal)
            called = rule(split.calibration, batch[order])
            n_found = int((called & is_anomaly).sum())
            false.append((called.sum() - n_found) / max(called.sum(), 1))
            found.append(n_found / n_anomalies)
    return Found(float(np.mean(false)), float(np.mean(found)))


def rules() -> dict[str, Rule]:
    """What is compared, by the title of its row."""

    def of_batch(rate: float, extrapolate: bool = False) -> Rule:
        def rule(calibration: np.ndarray, batch: np.ndarray) -> np.ndarray:
            find = thresholds.score_for_discovery_rate
            return batch > find(calibration, batch, rate, extrapolate)

        return rule

    def fixed(calibration: np.ndarray, batch: np.ndarray) -> np.ndarray:
        return batch > thresholds.score_for_rate(calibration, possible(FIXED, calibration))

    found = {f"`--false-discovery-rate {rate}`": of_batch(rate) for rate in DISCOVERY_RATES}
    for rate in DISCOVERY_RATES:
        found[f"`--false-discovery-rate {rate} --extrapolate`"] = of_batch(rate, True)
    found[f"`--false-alarm-rate {FIXED}`"] = fixed
    return found


def discoveries_table(found: dict[str, list[dict[str, Split]]]) -> list[str]:
    """False discoveries and what is found, by each of ``rules``."""
    ways = ways_of(found)
    titles = [f"{share:.0%} anomalies, {way}" for share in SHARES for way in ways]
    lines = [f"| | {' | '.join(titles)} |", f"|---|{'---|' * len(titles)}"]
    for title, rule in rules().items():
        cells = []
        for share in SHARES:
            for way in ways:
                sets = [
                    found_in_batches([split[way] for split in every], share, rule)
                    for every in found.values()
                ]
                false = [one.false for one in sets]
                shares = np.mean([one.share for one in sets])
                cells.append(f"{np.mean(false):.1%}, {max(false):.1%}, {shares:.0%}")
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return lines


def left_out_table(found: dict[str, list[dict[str, Split]]]) -> list[str]:
    """The divisions in which auto leaves out images that stand apart, and their false alarms."""
    lines = [
        "Images that stand apart are left out by default, though all are normal here. False alarms "
        "in the divisions where that happened; in brackets the rate that the threshold promises, "
        "and the highest that there can be on the mean where what was left out is normal.",
        "",
        f"| | divisions | left out of {N_LEARNED} | {' | '.join(f'{r:.0%}' for r in RATES)} |",
        f"|---|---|---|{'---|' * len(RATES)}",
    ]
    by_default, whole = DEFAULT_WAYS
    for name, every in found.items():
        n_left_out = [
            len(split[whole].calibration) - len(split[by_default].calibration) for split in every
        ]
        some = [
            (split[by_default], np.full(number, np.inf))
            for split, number in zip(every, n_left_out, strict=True)
            if number
        ]
        cells = [mean_alarms(some, rate) if some else "" for rate in RATES]
        sizes = sorted({len(others) for _, others in some})
        size = " to ".join(map(str, dict.fromkeys([*sizes[:1], *sizes[-1:]])))
        lines.append(f"| {name} | {len(some)} of {len(every)} | {size} | {' | '.join(cells)} |")
    return lines


def mean_alarms(some: Sequence[tuple[Split, np.ndarray]], rate: float) -> str:
    """False alarms at a rate: realised, promised, and at most, by scores of what was left out."""
    shares = []
    for split, others in some:
        limit = thresholds.score_for_rate(split.calibration, possible(rate, split.calibration))
        known = split.calibration, np.append(split.calibration, others)
        rates = (thresholds.false_alarms(limit, scores, 1).rate for scores in known)
        shares.append(((split.normal > limit).mean(), *rates))
    realised, promised, most = np.mean(shares, axis=0)
    return f"{realised:.1%} ({promised:.1%}, {most:.1%})"


def written(method: str, found: dict[str, list[dict[str, Split]]]) -> str:
    """Both tables of a method, and what they are of."""
    lines = [
        f"Measured on {machine()}: the method {method}, {N_SPLITS} divisions of the normal images "
        "of each set. Normal images called anomalies at a false-alarm rate, in brackets the rate "
        "that the threshold promises, which is the best possible where that is more; and in how "
        "many of the divisions their number lies in the band of 95% of the beta-binomial "
        "distribution.",
        "",
        *alarms_table(found),
        "",
        *([*left_out_table(found), ""] if method == AUTO else []),
        f"Batches of the judged images with anomalies among them, {N_BATCHES} for each division: "
        "normal ones among what is called anomalies, mean of the sets and worst set; and the share "
        "of the anomalies that is found.",
        "",
        *discoveries_table(found),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    ap = measured_parser(__doc__)
    ap.add_argument("--method", nargs="+", choices=METHODS, default=list(METHODS))
    ap.add_argument("--only", nargs="+", choices=(*SETS, FOREST_PHOTOS), help="some sets")
    ap.add_argument("--cache", metavar="FOLDER", type=Path, help="keep features and scores here")
    args = ap.parse_args()
    needs_real_data()
    with tempfile.TemporaryDirectory() as scratch:
        cache = args.cache or Path(scratch)
        cache.mkdir(parents=True, exist_ok=True)
        for method in args.method:
            found = {}
            for name in args.only or NAMES:
                seed = NAMES.index(name) if name in NAMES else len(NAMES)
                found[name] = METHODS[method](name, cache, seed)
                print(name, *alarms_table({name: found[name]})[-1:], file=sys.stderr, flush=True)
            tables = written(method, found)
            print(tables)
            if args.write:
                name = "benchmarks.verdicts"
                write_into(args.write, name if method == NEIGHBOURS else f"{name}.{method}", tables)


if __name__ == "__main__":
    main()
