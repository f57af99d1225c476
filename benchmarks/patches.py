"""Deep patch features on parts and scenes: accuracy, cost, and the figures of anomalib.

  python -m benchmarks.patches [--write docs/benchmarks.md] [--only speed]
  python -m benchmarks.patches --sets bottle cookie casting      (some of the sets)

The peer's figures are anomalib 2.7.0's with PatchCore on the same network (ResNet-18, layers 2 and
3, 256 x 256 pixels) and the same kind of machine, measured once; the rest is measured now, each
command as its own process, the costs compared with a plain implementation of the same method
(plain_patchcore.py).
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.measure import DATA, Usage, in_turn, machine, run_python, write_into
from pyimagesearch import metrics
from pyimagesearch.data import images
from pyimagesearch.labelling.images import Labeller
from pyimagesearch.labelling.verdict import ANOMALY

NETWORK = DATA / "backbones" / "resnet18_trunk.onnx"
SETS = {
    "bottle": "mvtec_ad/bottle",
    "cookie": "aws_cookies/cookie",
    "casting": "casting/impeller",
}
PEER = {
    "bottle": "251 s (coreset 1%; about 2,400 s at its default 10%) / 1.000 / .983 / .932",
    "cookie": "43 s / .978 / .959 / .873",
}
PEER_WARM = "98 to 172 ms"
PEER_COLD = "13.8 s, 624 MB"
PEER_MEMORY = "3.1 GB"
PEER_FIT = "251 s"
METHODS = {
    "default: memory bank, network and colours": ("--backbone", NETWORK),
    "memory bank, no network": ("--method", "memory-bank"),
    "subspace": ("--backbone", NETWORK, "--method", "subspace"),
    "gaussian": ("--backbone", NETWORK, "--method", "gaussian"),
}
N_WARM = 41
LARGE_BANK = 20_000


@dataclass(frozen=True)
class Accuracy:
    """How good a model is on the test folder of a set; pixels only where there are masks."""

    image_auroc: float
    pixel_auroc: float | None = None
    aupro: float | None = None
    false_alarms: float = 0.0
    found: float = 0.0

    def __str__(self) -> str:
        figures = [self.image_auroc, self.pixel_auroc, self.aupro]
        return " / ".join("-" if f is None else f"{f:.3f}" for f in figures)


def train(dataset: Path, model: Path, *options: object) -> Usage:
    return run_python("train_anomaly_detector.py", "-d", dataset, "-m", model, "--quiet", *options)


def judge(model: Path, root: Path, *, pixels: bool) -> Accuracy:
    """Label the test folder of a set and compare with its folders and masks."""
    labeller = Labeller.open(str(model))
    scores, truth, called = [], [], []
    histogram = metrics.PixelHistogram()
    for path in images.list_images(str(root / "test")):
        mask, has_mask = read_mask(root, path)
        if pixels and has_mask:
            _, heat = labeller.heat_map(images.read_bytes(path))
            histogram.add(mask, heat)
        verdict = next(labeller.label([path], 1))
        scores.append(verdict.score)
        truth.append(Path(path).parent.name != "good")
        called.append(verdict.label == ANOMALY)
    truth, called = np.array(truth), np.array(called)
    return Accuracy(
        metrics.auroc(truth, scores),
        histogram.auroc() if histogram.n_regions else None,
        histogram.aupro() if histogram.n_regions else None,
        float(called[~truth].mean()),
        float(called[truth].mean()),
    )


def read_mask(root: Path, path: str) -> tuple[np.ndarray | None, bool]:
    """(mask or None for a good image, whether its defective pixels are known)."""
    folder = Path(path).parent.name
    if folder == "good":
        return None, True
    file = root / "ground_truth" / folder / f"{Path(path).stem}_mask.png"
    return (images.read_image(str(file))[:, :, 0] > 127, True) if file.exists() else (None, False)


def parts_table(folder: Path, names: list[str]) -> list[str]:
    lines = [
        "| set | method | fit: CPU, peak memory | image AUROC / pixel AUROC / AUPRO "
        "| false alarms, defects found at the default rate |",
        "|---|---|---|---|---|",
    ]
    for name in names:
        root = DATA / SETS[name]
        for title, options in METHODS.items():
            model = folder / "parts.model"
            usage = train(root / "train" / "good", model, *options)
            found = judge(model, root, pixels=(root / "ground_truth").is_dir())
            lines.append(
                f"| {name} | {title} | {usage.cpu:.1f} s, {usage.memory:.0f} MB | {found} "
                f"| {found.false_alarms:.1%}, {found.found:.0%} |"
            )
            print(lines[-1], file=sys.stderr, flush=True)
        if name in PEER:
            lines.append(f"| {name} | *anomalib: fit / accuracy* | | *{PEER[name]}* | |")
    return lines


def few_table(folder: Path, count: int = 20) -> list[str]:
    """Train on few bottles."""
    root = DATA / SETS["bottle"]
    few = folder / "few"
    few.mkdir()
    for path in sorted((root / "train" / "good").iterdir())[:count]:
        os.symlink(path, few / path.name)
    train(few, folder / "few.model", "--backbone", NETWORK)
    found = judge(folder / "few.model", root, pixels=False)
    return [
        "| | image AUROC |",
        "|---|---|",
        f"| bottle, {count} training images | {found.image_auroc:.4f} |",
    ]


def speed_table(folder: Path) -> list[str]:
    """Train on a folder; label single images: warm in one process, and cold from the shell."""
    root = DATA / SETS["bottle"]
    good = root / "train" / "good"
    paths = list(images.list_images(str(root / "test")))[:N_WARM]
    model, plain = folder / "bottle.model", folder / "plain.npy"
    training = {
        "ours": ["train_anomaly_detector.py", "-d", good, "-m", model, "--backbone", NETWORK],
        "plain": ["-m", "benchmarks.plain_patchcore", "learn", NETWORK, good, plain],
    }
    labelling = {
        "ours": ["test_anomaly_detector.py", "--jobs", 1, "-m", model, "-i"],
        "plain": ["-m", "benchmarks.plain_patchcore", "label", NETWORK, plain],
    }
    fit = in_turn(training, 3)
    cold = in_turn({name: [*command, paths[0]] for name, command in labelling.items()}, 5)
    warm = in_turn({name: [*command, *paths] for name, command in labelling.items()}, 3)
    large = ("--bank-size", LARGE_BANK, "--coreset", "random")
    run_python(*training["ours"], *large)
    run_python(*training["plain"], LARGE_BANK)
    warm_large = in_turn({name: [*command, *paths] for name, command in labelling.items()}, 3)

    def milliseconds(runs: list[Usage], start: list[Usage]) -> float:
        spent = median(usage.cpu for usage in runs) - median(usage.cpu for usage in start)
        return 1000 * spent / (len(paths) - 1)

    def both(figure: Callable[[str], str]) -> str:
        return f"{figure('ours')} | {figure('plain')}"

    def cpu(runs: dict[str, list[Usage]], name: str) -> float:
        return median(usage.cpu for usage in runs[name])

    def memory(runs: dict[str, list[Usage]], name: str) -> float:
        return median(usage.memory for usage in runs[name])

    def per_image(runs: dict[str, list[Usage]], name: str) -> str:
        return f"{milliseconds(runs[name], cold[name]):.0f} ms"

    return [
        "| bottle | measured | plain PatchCore, measured in turn | anomalib |",
        "|---|---|---|---|",
        f"| train on 209 images: CPU | {both(lambda n: f'{cpu(fit, n):.1f} s')} | {PEER_FIT} |",
        f"| the same: peak memory | {both(lambda n: f'{memory(fit, n):.0f} MB')} | {PEER_MEMORY} |",
        f"| label one image, warm: CPU | {both(lambda n: per_image(warm, n))} | {PEER_WARM} |",
        f"| the same, {LARGE_BANK:,} patches in the bank "
        f"| {both(lambda n: per_image(warm_large, n))} | |",
        "| label one image from the shell: CPU, peak memory "
        f"| {both(lambda n: f'{cpu(cold, n):.2f} s, {memory(cold, n):.0f} MB')} | {PEER_COLD} |",
    ]


def scenes_table(folder: Path) -> list[str]:
    """Forests against other scenes, from few and from all photos."""
    forests = sorted((DATA / "intel_scenes" / "train" / "forest").iterdir())
    lines = [
        "| forests (intel_scenes) | method | AUROC: buildings and sea | false alarms | found |",
        "|---|---|---|---|---|",
    ]
    for count in (16, len(forests)):
        some = folder / f"forests{count}"
        some.mkdir()
        for path in forests[:: len(forests) // count][:count]:
            os.symlink(path, some / path.name)
        for title, options in (
            ("forest on histograms (default)", ()),
            ("neighbours, network", ("--method", "neighbours", "--backbone", NETWORK)),
            ("memory bank, network", ("--backbone", NETWORK)),
        ):
            model = folder / "scenes.model"
            train(some, model, *options)
            output = run_python(
                "test_anomaly_detector.py", "-m", model, "-i", DATA / "intel_scenes" / "valid"
            ).output
            rows = list(csv.DictReader(io.StringIO(output)))
            truth = np.array([Path(row["image"]).parent.name != "forest" for row in rows])
            called = np.array([row["label"] == ANOMALY for row in rows])
            auroc = metrics.auroc(truth, [float(row["score"]) for row in rows])
            lines.append(
                f"| {count} photos | {title} | {auroc:.4f} | {called[~truth].mean():.1%} "
                f"| {called[truth].mean():.0%} |"
            )
            print(lines[-1], file=sys.stderr, flush=True)
    return lines


def main() -> None:
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("--write", metavar="FILE", help="write the tables into this file")
    ap.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    ap.add_argument("--only", choices=("parts", "speed", "few", "scenes"), help="one of the tables")
    args = ap.parse_args()
    if not DATA.is_dir():
        sys.exit(f"[ERROR] no real data in {DATA}")
    makers = {
        "parts": lambda folder: parts_table(folder, args.sets),
        "speed": speed_table,
        "few": few_table,
        "scenes": scenes_table,
    }
    lines = [f"Measured on {machine()}.", ""]
    with tempfile.TemporaryDirectory() as folder:
        for name, make in makers.items():
            if args.only in (None, name):
                lines += [*make(Path(folder)), ""]
    table = "\n".join(lines)
    print(table)
    if args.write:
        write_into(args.write, "benchmarks.patches", table)


if __name__ == "__main__":
    main()
