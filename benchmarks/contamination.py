"""A few defects among the normal training images: what a model then still finds.

  python -m benchmarks.contamination [--write docs/benchmarks.md] [--sets bottle tile]

To the training folder of each set some of its test defects are added. The model that learns all of
them (--contamination 0), that of the defaults and one that is told the share are compared with the
one that learned the normal images alone, on the test images that nobody learned from.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.measure import DATA, machine, write_into
from benchmarks.patch_accuracy import RATE, SETS, train
from pyimagesearch import metrics
from pyimagesearch.data import images
from pyimagesearch.detectors import model_file
from pyimagesearch.labelling.images import Labeller
from pyimagesearch.runtime.system import available_cores

SHARES = (0.0, 0.05, 0.1)
MOST_LEARNED, MOST_JUDGED = 120, 60  # of each kind
HOW = ("all are learned", "default", "`--contamination SHARE`")


@dataclass(frozen=True)
class Found:
    """How good a model is.

    Attributes:
        auroc: of images.
        alarms, found: shares of the normal images and of the defects with p-values of at most
            ``RATE``.
        left_out: number of images that were not learned.
    """

    auroc: float
    alarms: float
    found: float
    left_out: int


def main() -> None:
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("--write", metavar="FILE", help="write the table into this file")
    ap.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    args = ap.parse_args()
    if not DATA.is_dir():
        sys.exit(f"[ERROR] no real data in {DATA}")
    found = {}
    for name in args.sets:
        with tempfile.TemporaryDirectory() as folder:
            found[name] = measure_set(Path(folder), DATA / SETS[name])
        print(name, found[name], file=sys.stderr, flush=True)
    table = "\n".join([f"Measured on {machine()}.", "", *tables(found)]).rstrip() + "\n"
    print(table)
    if args.write:
        write_into(args.write, "benchmarks.contamination", table)


def measure_set(folder: Path, root: Path) -> dict[tuple[float, str], Found]:
    """Train on a set with each share of defects, in each way, and judge by the same images."""
    rng = np.random.default_rng(0)
    good = _some(rng, sorted((root / "train" / "good").iterdir()), MOST_LEARNED)
    normal = _some(rng, sorted((root / "test" / "good").iterdir()), MOST_JUDGED)
    tested = map(Path, images.list_images(str(root / "test")))
    defects = _some(rng, [path for path in tested if path.parent.name != "good"], None)
    n_mixed = {share: round(share * len(good) / (1 - share)) for share in SHARES}
    n_most = max(n_mixed.values())
    anomalous = defects[n_most:][:MOST_JUDGED]

    found: dict[tuple[float, str], Found] = {}
    for share in SHARES:
        mixed = folder / f"mixed{share}"
        mixed.mkdir()
        for number, path in enumerate([*good, *defects[: n_mixed[share]]]):
            os.symlink(path, mixed / f"{number:04}{path.suffix}")
        for how, options in zip(HOW, ((0,), (), (share,)), strict=True):
            before = found.get((share, HOW[0]))
            if how == HOW[2] and share == 0:
                continue  # that is the first way
            model = folder / "mixed.model"
            given = ("--contamination", *options) if options else ()
            train(mixed, model, *given)
            left_out = model_file.load_model(str(model)).manifest["hyperparameters"]["left_out"]
            same = before is not None and left_out == 0
            found[share, how] = before if same else judge(model, normal, anomalous, left_out)
    return found


def _some(rng: np.random.Generator, paths: Sequence[Path], most: int | None) -> list[Path]:
    """At most so many paths, in random order."""
    return [paths[i] for i in rng.permutation(len(paths))[:most]]


def judge(model: Path, normal: Sequence[Path], anomalous: Sequence[Path], left_out: int) -> Found:
    """Label test images, and compare with the truth."""
    paths = [str(path) for path in (*normal, *anomalous)]
    verdicts = list(Labeller.open(str(model)).label(paths, available_cores()))
    truth = np.arange(len(paths)) >= len(normal)
    called = np.array([verdict.p_value <= RATE for verdict in verdicts])
    auroc = metrics.auroc(truth, [verdict.score for verdict in verdicts])
    return Found(auroc, called[~truth].mean(), called[truth].mean(), left_out)


def tables(found: dict[str, dict[tuple[float, str], Found]]) -> list[str]:
    """A table for each share: a row for each set, and what all come to in the mean."""
    lines = []
    for share in SHARES:
        ways = [how for how in HOW if (share, how) in next(iter(found.values()))]
        titles = [how.replace("SHARE", f"{share:g}") for how in ways]
        clean = [of_set[0.0, HOW[0]] for of_set in found.values()]
        lines += [
            f"| {share:.0%} defects: AUROC, defects found, false alarms (left out) "
            f"| no defects | {' | '.join(titles)} |",
            f"|---|---|{'---|' * len(ways)}",
        ]
        for (name, of_set), one in zip(found.items(), clean, strict=True):
            cells = [_cell(of_set[share, how]) for how in ways]
            lines.append(f"| {name} | {_cell(one)} | {' | '.join(cells)} |")
        means = [_mean(clean)] + [_mean([of[share, how] for of in found.values()]) for how in ways]
        lines += [f"| **mean** | {' | '.join(means)} |", ""]
    return lines


def _cell(one: Found) -> str:
    text = f"{one.auroc:.3f}, {one.found:.0%}, {one.alarms:.0%}"
    return f"{text} ({one.left_out})" if one.left_out else text


def _mean(several: Sequence[Found]) -> str:
    auroc, found, alarms = np.mean([(o.auroc, o.found, o.alarms) for o in several], axis=0)
    return f"{auroc:.3f}, {found:.0%}, {alarms:.0%}"


if __name__ == "__main__":
    main()
