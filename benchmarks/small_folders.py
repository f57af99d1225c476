"""What to expect of 4, 8, 16, 32 and 100 training images, and what is promised.

  python -m benchmarks.small_folders [--write docs/benchmarks.md] [--only bottle tyre]

From the training images of each set some are drawn at random, several times, and learned by
train_anomaly_detector.py with its defaults; each model labels the same test images.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.measure import DATA, machine, measured_parser, needs_real_data, write_into
from benchmarks.patch_accuracy import SETS, train
from pyimagesearch import metrics
from pyimagesearch.data import images
from pyimagesearch.labelling.images import Labeller
from pyimagesearch.labelling.thresholds import best_rate

# Of parts; scenes are in benchmarks.scenes.
PARTS = tuple(name for name in SETS if name != "day")
COUNTS = (4, 8, 16, 32, 100)
N_DRAWS = 3
MOST_TESTED = 50  # good ones of a set, and as many anomalies


@dataclass(frozen=True)
class Outcome:
    """What a model makes of a set's test images.

    Attributes:
        auroc: of images.
        false_alarms, found: the shares of normal and of anomalous images called anomalies.
    """

    auroc: float
    false_alarms: float
    found: float


def drawn(paths: list[Path], count: int, rng: np.random.Generator) -> list[Path]:
    return [paths[i] for i in np.sort(rng.permutation(len(paths))[:count])]


def tested(root: Path, rng: np.random.Generator) -> tuple[list[Path], np.ndarray]:
    """Some images of the test folder, and whether they are anomalies."""
    everything = [Path(path) for path in images.list_images(str(root / "test"))]
    good = drawn([p for p in everything if p.parent.name == "good"], MOST_TESTED, rng)
    bad = drawn([p for p in everything if p.parent.name != "good"], MOST_TESTED, rng)
    return good + bad, np.repeat([False, True], [len(good), len(bad)])


def models(root: Path, folder: Path, rng: np.random.Generator) -> Iterator[tuple[int, Labeller]]:
    """Train on every number of images; a set may not have as many."""
    everything = sorted((root / "train" / "good").iterdir())
    for count in COUNTS:
        for draw in range(N_DRAWS if count <= len(everything) else 0):
            few = folder / f"{count}-{draw}"
            few.mkdir()
            for path in drawn(everything, count, rng):
                os.symlink(path, few / path.name)
            train(few, folder / "few.model")
            yield count, Labeller.open(str(folder / "few.model"))


def outcomes(root: Path, folder: Path, seed: int) -> dict[int, list[Outcome]]:
    """By number of training images, those of each draw."""
    rng = np.random.default_rng(seed)
    paths, truth = tested(root, rng)
    all_models = list(models(root, folder, rng))
    # Models that take images alike share their features, which is nearly all of the work.
    scores = np.empty((len(all_models), len(paths)))
    for column, path in enumerate(paths):
        features = {}
        for row, (_, labeller) in enumerate(all_models):
            extractor = labeller.extractor
            if extractor.side not in features:
                image = images.read_image(str(path), extractor.min_side)
                features[extractor.side] = extractor.extract(image)
            scores[row, column] = labeller.detector.score([features[extractor.side]])[0]
    found: dict[int, list[Outcome]] = {count: [] for count in COUNTS}
    for (count, labeller), row in zip(all_models, scores, strict=True):
        called = row > labeller.threshold
        found[count].append(
            Outcome(
                metrics.auroc(truth, row), float(called[~truth].mean()), float(called[truth].mean())
            )
        )
    return {count: each for count, each in found.items() if each}


def summary(found: dict[str, dict[int, list[Outcome]]]) -> list[str]:
    """What is promised and to be expected of each number: the mean of the sets that have all."""
    lines = [
        "| training images | smallest p-value, and rate that can be promised | image AUROC | worst "
        "and best set | deviation between draws | false alarms at the default rate | anomalies "
        "found at it |",
        "|---|---|---|---|---|---|---|",
        "| 1, 2 | 1/2, 1/3 | refused: 3 are needed | | | | |",
    ]
    for count in COUNTS:
        sets = [each[count] for each in found.values() if len(each) == len(COUNTS)]
        if not sets:
            continue
        aurocs = np.array([[one.auroc for one in draws] for draws in sets])
        means = aurocs.mean(axis=1)
        others = np.array([[(o.false_alarms, o.found) for o in draws] for draws in sets])
        false_alarms, hits = others.mean(axis=(0, 1))
        lines.append(
            f"| {count} | 1/{count + 1} = {best_rate(count):.3f} | {means.mean():.3f} | "
            f"{means.min():.3f}, {means.max():.3f} | {aurocs.std(axis=1, ddof=1).mean():.3f} | "
            f"{false_alarms:.0%} | {hits:.0%} |"
        )
    return lines


def by_set(found: dict[str, dict[int, list[Outcome]]]) -> list[str]:
    """The image AUROC of each set, mean and smallest of the draws."""
    lines = [
        f"| image AUROC: mean, worst of {N_DRAWS} draws | {' | '.join(map(str, COUNTS))} |",
        f"|---|{'---|' * len(COUNTS)}",
    ]
    for name, each in found.items():
        cells = [
            f"{np.mean([o.auroc for o in each[n]]):.3f}, {min(o.auroc for o in each[n]):.3f}"
            if n in each
            else "-"
            for n in COUNTS
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def written(found: dict[str, dict[int, list[Outcome]]]) -> str:
    """Both tables, and what they are of."""
    lines = [
        f"Measured on {machine()}: {N_DRAWS} draws of each number from each set, labelled: up to "
        f"{MOST_TESTED} good images and as many anomalies. The first table has the means of the "
        f"sets with at least {COUNTS[-1]} training images.",
        "",
        *summary(found),
        "",
        *by_set(found),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    ap = measured_parser(__doc__)
    ap.add_argument("--only", choices=SETS, nargs="+", default=PARTS, help="some sets")
    args = ap.parse_args()
    needs_real_data()
    found = {}
    for seed, name in enumerate(args.only):
        with tempfile.TemporaryDirectory() as folder:
            found[name] = outcomes(DATA / SETS[name], Path(folder), seed)
        print(name, found[name], file=sys.stderr, flush=True)
    table = written(found)
    print(table)
    if args.write:
        write_into(args.write, "benchmarks.small_folders", table)


if __name__ == "__main__":
    main()
