"""How often batches of 50 get a notice of a batch shift: with a shift, and without.

  python -m benchmarks.shifts [--write docs/benchmarks.md] [--only "forests, trained on 100"]

Normal images are split at random into some to train on and a pool; each number is the share of
batches, drawn from the pool, that get a notice: unchanged, with real anomalies among them, and with
all images made darker, blurred, tinted, rotated ...; of some kinds for small batches, too. The
images are written as PNG files and labelled as by test_anomaly_detector.py.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from benchmarks.measure import (
    DATA,
    machine,
    measured_parser,
    needs_real_data,
    run_python,
    write_into,
)
from pyimagesearch.data import images
from pyimagesearch.labelling.batch_shift import Batch
from pyimagesearch.labelling.images import Labeller
from pyimagesearch.labelling.verdict import Verdict
from pyimagesearch.runtime.system import available_cores

NETWORK = DATA / "backbones" / "resnet18_trunk.onnx"
N_BATCH = 50
N_SMALL = 12
N_POOL = 150
N_BATCHES = 400  # of each kind, over all splits
SHARES = (0.2, 0.5, 1.0)  # of anomalies

Change = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Trial:
    """Normal images, anomalies, and a method.

    Attributes:
        good, bad: folders of images.
        n_train: number of good ones to train on.
        options: of train_anomaly_detector.py.
        n_splits: number of random splits.
    """

    good: tuple[str, ...]
    bad: tuple[str, ...]
    n_train: int
    options: tuple[object, ...] = ()
    n_splits: int = 1


FORESTS = ("intel_scenes/train/forest", "intel_scenes/valid/forest")
SCENES = ("intel_scenes/valid/buildings", "intel_scenes/valid/sea")
BOTTLES = ("mvtec_ad/bottle/train/good", "mvtec_ad/bottle/test/good")
BROKEN = tuple(
    f"mvtec_ad/bottle/test/{kind}" for kind in ("broken_large", "broken_small", "contamination")
)
CASTINGS = ("casting/impeller/train/good", "casting/impeller/test/good")
HISTOGRAMS = ("--method", "forest")
NO_NETWORK = ("--method", "memory-bank", "--no-backbone")
TRIALS = {
    "forests, trained on 16": Trial(FORESTS, SCENES, 16, HISTOGRAMS, n_splits=4),
    "forests, trained on 100": Trial(FORESTS, SCENES, 100, HISTOGRAMS, n_splits=2),
    "forests, trained on 400": Trial(FORESTS, SCENES, 400, HISTOGRAMS, n_splits=2),
    "bottles, default": Trial(BOTTLES, BROKEN, 100),
    "bottles, patches without a network": Trial(BOTTLES, BROKEN, 100, NO_NETWORK),
    "bottles, patches of a network": Trial(
        BOTTLES, BROKEN, 100, ("--method", "memory-bank", "--backbone", NETWORK)
    ),
    "castings, patches without a network": Trial(
        CASTINGS, ("casting/impeller/test/defect",), 300, NO_NETWORK
    ),
}


def scaled(*factors: float) -> Change:
    """Multiply all channels by one factor, or blue, green and red by one each."""
    return lambda image: np.clip(image * np.array(factors) + 0.5, 0, 255).astype(np.uint8)


def curved(gamma: float) -> Change:
    table = (255 * (np.arange(256) / 255) ** gamma + 0.5).astype(np.uint8)
    return lambda image: cv2.LUT(image, table)


def blurred(sigma: float) -> Change:
    return lambda image: cv2.GaussianBlur(image, (0, 0), sigma)


def rotated(degrees: float) -> Change:
    """Rotate about the middle, with mirrored corners."""
    if degrees % 90 == 0:
        return lambda image: np.ascontiguousarray(np.rot90(image, round(degrees / 90)))

    def rotate(image: np.ndarray) -> np.ndarray:
        height, width = image.shape[:2]
        matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1)
        return cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101)

    return rotate


def saved_as_jpeg(image: np.ndarray) -> np.ndarray:
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 95])
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


CHANGES: dict[str, Change] = {
    "saved once more, JPEG 95": saved_as_jpeg,
    **{f"brightness x {factor:g}": scaled(factor) for factor in (0.8, 0.9, 1.1, 1.25)},
    **{f"gamma {gamma:g}": curved(gamma) for gamma in (0.7, 1.4)},
    **{f"blur, sigma {sigma:g}": blurred(sigma) for sigma in (0.5, 1, 2)},
    "red x 1.1": scaled(1, 1, 1.1),
    "warm: red x 1.15, blue x 0.85": scaled(0.85, 1, 1.15),
    "blue x 1.3": scaled(1.3, 1, 1),
    **{f"rotated by {degrees:g} degrees": rotated(degrees) for degrees in (5, 15, 90)},
}
UNCHANGED = "ordinary"
SMALL = (UNCHANGED, "brightness x 0.8")


def small(kind: str) -> str:
    return f"{kind}, {N_SMALL} images"


@dataclass(frozen=True)
class Pool:
    """A trained model, and its verdicts on images that it was not trained on.

    Attributes:
        labeller: the model.
        anomalies: verdicts on real ones.
        good: for each kind of change, verdicts on up to ``N_POOL`` good images.
    """

    labeller: Labeller
    anomalies: list[Verdict]
    good: dict[str, list[Verdict]]


def label_pool(trial: Trial, rng: np.random.Generator) -> Pool:
    """Train on some images, and label the others, unchanged and with each change."""
    good, bad = (
        [path for folder in folders for path in images.list_images(str(DATA / folder))]
        for folders in (trial.good, trial.bad)
    )
    order = rng.permutation(len(good))
    trained_on, pool = order[: trial.n_train], order[trial.n_train :][:N_POOL]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "good").mkdir()
        for index in trained_on:
            os.symlink(good[index], folder / "good" / f"{index}{Path(good[index]).suffix}")
        model = folder / "some.model"
        run_python(
            *("train_anomaly_detector.py", "-d", folder / "good", "-m", model, "--quiet"),
            *trial.options,
        )
        labeller = Labeller.open(str(model))
        anomalies = list(labeller.label(bad, available_cores()))
        changes = {UNCHANGED: None, **CHANGES}
        verdicts = {
            kind: label(labeller, [good[index] for index in pool], change, folder)
            for kind, change in changes.items()
        }
    return Pool(labeller, anomalies, verdicts)


def shares(trial: Trial, seed: int) -> dict[str, np.ndarray]:
    """For each kind of batch, whether there were notices: of capture conditions, and of scores.

    Returns:
        (n_batches, 2) bool of each kind.
    """
    rng = np.random.default_rng(seed)
    pool = label_pool(trial, rng)
    found = {}
    for kind, verdicts in pool.good.items():
        if kind == UNCHANGED:
            for share in SHARES:
                found[f"{share:.0%} real anomalies"] = notices(
                    pool.labeller, verdicts, pool.anomalies, share, trial, rng
                )
        found[kind] = notices(pool.labeller, verdicts, (), 0, trial, rng)
        if kind in SMALL:
            found[small(kind)] = notices(pool.labeller, verdicts, (), 0, trial, rng, N_SMALL)
    return found


def label(
    labeller: Labeller, paths: list[str], change: Change | None, folder: Path
) -> list[Verdict]:
    if change is not None:
        for number, path in enumerate(paths):
            paths[number] = str(folder / f"{number}.png")
            changed = change(images.read_image(path))
            Path(paths[number]).write_bytes(cv2.imencode(".png", changed)[1].tobytes())
    return list(labeller.label(paths, available_cores()))


def notices(
    labeller: Labeller,
    normal: Sequence[Verdict],
    anomalies: Sequence[Verdict],
    share: float,
    trial: Trial,
    rng: np.random.Generator,
    n_batch: int = N_BATCH,
) -> np.ndarray:
    found = []
    for _ in range(N_BATCHES // trial.n_splits):
        n_anomalies = min(round(share * n_batch), len(anomalies))
        drawn = [anomalies[i] for i in rng.permutation(len(anomalies))[:n_anomalies]]
        drawn += [normal[i] for i in rng.permutation(len(normal))[: n_batch - n_anomalies]]
        batch = Batch(labeller.calibration, labeller.conditions)
        for verdict in drawn:
            batch.add(verdict.score, verdict.conditions)
        of_scores = {shift.is_of_scores for shift in batch.shifts()}
        found.append((False in of_scores, True in of_scores))
    return np.array(found)


def main() -> None:
    ap = measured_parser(__doc__)
    ap.add_argument("--only", choices=TRIALS, nargs="+", default=list(TRIALS), help="some columns")
    args = ap.parse_args()
    needs_real_data()
    columns = {}
    for name in args.only:
        trial = TRIALS[name]
        splits = [shares(trial, seed) for seed in range(trial.n_splits)]
        columns[name] = {kind: np.concatenate([s[kind] for s in splits]) for kind in splits[0]}
        print(name, file=sys.stderr, flush=True)
    kinds = [UNCHANGED, *(f"{share:.0%} real anomalies" for share in SHARES), *CHANGES]
    kinds += map(small, SMALL)
    lines = [
        f"Measured on {machine()}: of {N_BATCHES} batches of {N_BATCH} (or of the number of images "
        "that a row names), how many get a notice; in "
        "brackets, how many one about their scores.",
        "",
        f"| | {' | '.join(columns)} |",
        f"|---|{'---|' * len(columns)}",
    ]
    for kind in kinds:
        cells = [
            f"{found[kind].any(axis=1).mean():.1%} ({found[kind][:, 1].mean():.0%})"
            for found in columns.values()
        ]
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    table = "\n".join(lines) + "\n"
    print(table)
    if args.write:
        write_into(args.write, "benchmarks.shifts", table)


if __name__ == "__main__":
    main()
