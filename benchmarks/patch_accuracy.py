"""How well the methods of train_anomaly_detector.py find what is wrong with parts and scenes."""

from __future__ import annotations

import csv
import io
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.measure import DATA, Usage, run_python
from pyimagesearch import metrics
from pyimagesearch.data import images
from pyimagesearch.detectors.base import WholeImageDetector
from pyimagesearch.labelling.images import Labeller
from pyimagesearch.labelling.verdict import ANOMALY
from pyimagesearch.runtime.system import available_cores

RESNET = DATA / "backbones" / "resnet18_trunk.onnx"
SETS = {
    "bottle": "mvtec_ad/bottle",
    "cookie": "aws_cookies/cookie",
    "alien": "aws_aliens/alien",
    "casting": "casting/impeller",
    "tyre": "mvtec_3d_rgb/tire",
    "tile": "magnetic_tile/tile",
    "commutator": "kolektor_sdd/commutator",
    "solar-cell": "elpv/mono",
    "fibre": "sdu_fibre/layup",
    "day": "day_night/day",
}
METHODS = {
    "default": (),
    "memory bank": ("--method", "memory-bank"),
    "memory bank, ResNet-18": ("--method", "memory-bank", "--backbone", RESNET),
    "memory bank, no network": ("--method", "memory-bank", "--no-backbone"),
    "subspace": ("--method", "subspace"),
    "gaussian": ("--method", "gaussian"),
    "neighbours": ("--method", "neighbours"),
    "forest": ("--method", "forest"),
}
NETWORKS = {
    "efficientnet-lite0": (),
    "efficientnet-lite1": ("--backbone", "efficientnet-lite1"),
    "efficientnet-lite2": ("--backbone", "efficientnet-lite2"),
    "ResNet-18": ("--backbone", RESNET),
}
RATE = 0.05


@dataclass(frozen=True)
class Accuracy:
    """How good a model is on the test folder of a set.

    Attributes:
        image_auroc: of images.
        pixel_auroc, aupro: of anomaly maps; NaN without masks or maps.
        called: the shares of normal and of anomalous images that are labelled anomalies.
        called_at_rate: the same of those with a p-value of at most ``RATE``.
    """

    image_auroc: float
    pixel_auroc: float = np.nan
    aupro: float = np.nan
    called: tuple[float, float] = (np.nan, np.nan)
    called_at_rate: tuple[float, float] = (np.nan, np.nan)


def train(dataset: Path, model: Path, *options: object) -> Usage:
    """Train a model on a folder of normal images."""
    return run_python("train_anomaly_detector.py", "-d", dataset, "-m", model, "--quiet", *options)


def judge(model: Path, root: Path) -> Accuracy:
    """Label the test folder of a set and compare with its folders and masks."""
    labeller = Labeller.open(str(model))
    paths = list(images.list_images(str(root / "test")))
    verdicts = list(labeller.label(paths, available_cores()))
    truth = np.array([Path(path).parent.name != "good" for path in paths])
    called = np.array([verdict.label == ANOMALY for verdict in verdicts])
    called_at_rate = np.array([verdict.p_value <= RATE for verdict in verdicts])
    histogram = metrics.PixelHistogram()
    if not isinstance(labeller.detector, WholeImageDetector) and (root / "ground_truth").is_dir():
        for path in paths:
            mask, has_mask = read_mask(root, path)
            if has_mask:
                histogram.add(mask, labeller.score_map(images.read_bytes(path))[1])
    return Accuracy(
        metrics.auroc(truth, [verdict.score for verdict in verdicts]),
        histogram.auroc() if histogram.n_regions else np.nan,
        histogram.aupro() if histogram.n_regions else np.nan,
        (float(called[~truth].mean()), float(called[truth].mean())),
        (float(called_at_rate[~truth].mean()), float(called_at_rate[truth].mean())),
    )


def read_mask(root: Path, path: str) -> tuple[np.ndarray | None, bool]:
    """(mask or None for a good image, whether its defective pixels are known)."""
    folder = Path(path).parent.name
    if folder == "good":
        return None, True
    file = root / "ground_truth" / folder / f"{Path(path).stem}_mask.png"
    return (images.read_image(str(file))[:, :, 0] > 127, True) if file.exists() else (None, False)


def sets_tables(folder: Path, names: Sequence[str]) -> list[str]:
    """What each method finds in each set: of images, of pixels, as labelled, and at 5%."""
    found = {name: {} for name in names}
    for name in names:
        root = DATA / SETS[name]
        for title, options in METHODS.items():
            train(root / "train" / "good", folder / "set.model", *options)
            found[name][title] = judge(folder / "set.model", root)
            print(name, title, found[name][title], file=sys.stderr, flush=True)

    return [
        *_table("image AUROC", found, lambda one: (one.image_auroc,), three_digits),
        *_table(
            "pixel AUROC, AUPRO", found, lambda one: (one.pixel_auroc, one.aupro), three_digits
        ),
        *_table("false alarms, anomalies found", found, lambda one: one.called, "{:.0%}".format),
        *_table(
            f"the same where p-values are at most {RATE}",
            found,
            lambda one: one.called_at_rate,
            "{:.0%}".format,
        ),
    ]


def networks_table(folder: Path, names: Sequence[str]) -> list[str]:
    """The default method on each network: accuracy in each set, and the cost of all sets."""
    found, cpu = {name: {} for name in names}, dict.fromkeys(NETWORKS, 0.0)
    for name in names:
        root, model = DATA / SETS[name], folder / "set.model"
        for title, options in NETWORKS.items():
            cpu[title] += train(root / "train" / "good", model, *options).cpu
            found[name][title] = judge(model, root)
            print(name, title, found[name][title], file=sys.stderr, flush=True)
    return [
        *_table("image AUROC", found, lambda one: (one.image_auroc,), three_digits)[:-1],
        f"| training on all of them: CPU | {' | '.join(f'{s:.0f} s' for s in cpu.values())} |",
        "",
        *_table("AUPRO", found, lambda one: (one.aupro,), three_digits),
    ]


def _table(
    title: str,
    found: dict[str, dict[str, Accuracy]],
    figures: Callable[[Accuracy], tuple[float, ...]],
    write: Callable[[float], str],
) -> list[str]:
    """A row for each set that has such figures, their mean, and an empty line."""
    rows = {name: [figures(one) for one in row.values()] for name, row in found.items()}
    rows = {name: row for name, row in rows.items() if not np.isnan(row).all()}
    if rows:
        rows["**mean**"] = np.mean(list(rows.values()), axis=0).tolist()
    columns = next(iter(found.values()))
    return [
        f"| {title} | {' | '.join(columns)} |",
        f"|---|{'---|' * len(columns)}",
        *(
            f"| {name} | {' | '.join(', '.join(map(write, cell)) for cell in row)} |"
            for name, row in rows.items()
        ),
        "",
    ]


def three_digits(value: float) -> str:
    """A measure of accuracy, or a dash where there is none."""
    return "-" if np.isnan(value) else f"{value:.3f}"


def few_table(folder: Path, count: int = 20) -> list[str]:
    """Train on few bottles."""
    root = DATA / SETS["bottle"]
    few = folder / "few"
    few.mkdir()
    for path in sorted((root / "train" / "good").iterdir())[:count]:
        os.symlink(path, few / path.name)
    lines = [f"| bottle, {count} training images | image AUROC |", "|---|---|"]
    for title in ("default", "memory bank", "memory bank, ResNet-18"):
        train(few, folder / "few.model", *METHODS[title])
        lines.append(f"| {title} | {judge(folder / 'few.model', root).image_auroc:.4f} |")
    return lines


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
            ("default", METHODS["default"]),
            ("forest on histograms", METHODS["forest"]),
            ("neighbours", METHODS["neighbours"]),
            ("neighbours, ResNet-18", ("--method", "neighbours", "--backbone", RESNET)),
            ("memory bank, ResNet-18", METHODS["memory bank, ResNet-18"]),
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
