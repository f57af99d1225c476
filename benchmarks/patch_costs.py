"""What training and labelling by patches costs, in turns with two peers, on bottles.

  python -m benchmarks.patches --only costs [--write docs/benchmarks.md] [--anomalib FOLDER]

The peers compute on the same ResNet-18: anomalib, installed into an environment of its own
(anomalib_peer.py), and a plain implementation of PatchCore (plain_patchcore.py).
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

import cv2
import numpy as np

from benchmarks.environments import environment, peer_environment, size
from benchmarks.measure import CHECKOUT, DATA, Usage, in_turn, ratio, run_python
from benchmarks.patch_accuracy import (
    METHODS,
    RESNET,
    SETS,
    Accuracy,
    judge,
    read_mask,
    three_digits,
)
from pyimagesearch import metrics
from pyimagesearch.data import images

ROOT = DATA / SETS["bottle"]
ANOMALIB = "anomalib==2.7.0"
SHARE = 0.01  # of the patches that anomalib keeps
N_WARM = 41
LARGE_BANK = 20_000
RESNET_BANK = "memory bank, ResNet-18"
OURS = ("default", RESNET_BANK)  # methods
PLAIN, PEER = "plain PatchCore", "anomalib"
COLUMNS = (*OURS, PLAIN, PEER)
Runs = Mapping[str, Sequence[Usage]]

_PEER_SCRIPT = "benchmarks/anomalib_peer.py"
_PLAIN_SCRIPT = ("-m", "benchmarks.plain_patchcore")


def install_anomalib(folder: Path | None) -> Path | None:
    """Python of an environment with anomalib, or None: see ``peer_environment``."""
    return peer_environment(ANOMALIB, "anomalib.models", folder)


def costs_table(folder: Path, anomalib: Path | None) -> list[str]:
    """Train on a folder; label its images: one by one, all of a folder, and cold from the shell.

    Args:
        folder: to write into.
        anomalib: Python of its environment, or None.
    """
    good, test = ROOT / "train" / "good", ROOT / "test"
    paths = list(images.list_images(str(test)))
    models = {name: folder / f"{name}.model" for name in OURS}
    models |= {PLAIN: folder / "plain.npy", PEER: folder / "anomalib.pt"}
    weights, found = folder / "weights.npz", folder / "found.npz"
    pythons = {} if anomalib is None else {PEER: anomalib}
    train = ("train_anomaly_detector.py", "-d", good, "-m")
    fitting = {name: [*train, models[name], *METHODS[name]] for name in OURS}
    fitting[PLAIN] = [*_PLAIN_SCRIPT, "learn", RESNET, good, models[PLAIN]]
    label = ("test_anomaly_detector.py", "-m")
    one_by_one = {
        **{name: [*label, models[name], "--jobs", 1, "-i"] for name in OURS},
        PLAIN: [*_PLAIN_SCRIPT, "label", RESNET, models[PLAIN]],
    }
    whole = {name: [*label, models[name], "-d", test] for name in OURS}
    if anomalib is not None:
        write_weights(weights)
        fitting[PEER] = [_PEER_SCRIPT, "learn", weights, good, models[PEER], SHARE]
        one_by_one[PEER] = [_PEER_SCRIPT, "label", models[PEER]]
        whole[PEER] = [_PEER_SCRIPT, "batches", models[PEER], test, found]

    fit = in_turn(fitting, 3, pythons)
    cold = in_turn({n: [*command, paths[0]] for n, command in one_by_one.items()}, 5, pythons)
    some = paths[:N_WARM]
    warm = in_turn({n: [*command, *some] for n, command in one_by_one.items()}, 3, pythons)
    batches = in_turn(whole, 3, pythons)
    per_image = {name: milliseconds(batches[name], cold[name], len(paths)) for name in OURS}
    accuracies = {name: judge(models[name], ROOT) for name in OURS}
    if anomalib is not None:
        per_image[PEER] = [1000 * float(usage.output.split()[-1]) for usage in batches[PEER]]
        accuracies[PEER] = judge_maps(found)
    file_sizes = {name: models[name].stat().st_size / 1e6 for name in fitting}

    large = {name: one_by_one[name] for name in (RESNET_BANK, PLAIN)}
    run_python(*fitting[RESNET_BANK], "--bank-size", LARGE_BANK, "--coreset", "random")
    run_python(*fitting[PLAIN], LARGE_BANK)
    warm_large = in_turn({n: [*command, *some] for n, command in large.items()}, 3)

    return [
        f"| bottle | {' | '.join(COLUMNS)} | {' | '.join(f'{name} / {PEER}' for name in OURS)} |",
        "|---|" + "---|" * (len(COLUMNS) + len(OURS)),
        row(f"train on {len(list(good.iterdir()))} images: CPU", cpu(fit), "s"),
        row("the same: peak memory", memory(fit), "MB"),
        row("label one image, warm, one by one: CPU", each(warm, cold), "ms"),
        row("the same of a folder, in batches: CPU", per_image, "ms"),
        row(f"one by one, {LARGE_BANK:,} patches in the bank: CPU", each(warm_large, cold), "ms"),
        row("label one image from the shell: CPU", cpu(cold), "s"),
        row("the same: peak memory", memory(cold), "MB"),
        row("model file", single(file_sizes), "MB"),
        row("installed", single(installed_sizes(folder, anomalib)), "MB"),
        accuracy_row("image AUROC", accuracies, "image_auroc"),
        accuracy_row("pixel AUROC", accuracies, "pixel_auroc"),
        accuracy_row("AUPRO", accuracies, "aupro"),
        "",
        f"{PEER}: version {ANOMALIB.partition('==')[2]}, {SHARE:.0%} of the patches."
        if anomalib is not None
        else f"{ANOMALIB} could not be installed on this machine, and was not measured.",
    ]


def installed_sizes(folder: Path, anomalib: Path | None) -> dict[str, float]:
    """MB of environments with all that training needs, of the columns that could be installed."""
    sizes = {} if anomalib is None else {PEER: size(anomalib.parent.parent)}
    try:
        environment(folder / "toolkit", "-r", str(CHECKOUT / "requirements-train.txt"))
    except subprocess.CalledProcessError as error:
        print(f"[WARNING] the toolkit cannot be installed here: {error}", file=sys.stderr)
        return sizes
    return sizes | dict.fromkeys(OURS, size(folder / "toolkit"))


def write_weights(path: Path) -> None:
    """Write the weights of the network for PyTorch: arrays by their names in the graph."""
    import onnx

    graph = onnx.load(RESNET).graph
    np.savez(path, **{one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer})


def judge_maps(found: Path) -> Accuracy:
    """As ``judge``, of the scores and maps that anomalib wrote, at the images' own size."""
    with np.load(found) as arrays:
        paths, scores, maps = arrays["paths"], arrays["scores"], arrays["maps"]
    histogram = metrics.PixelHistogram()
    for path, small in zip(paths, maps, strict=True):
        mask, has_mask = read_mask(ROOT, str(path))
        if has_mask:
            height, width = images.read_image(str(path)).shape[:2]
            histogram.add(mask, cv2.resize(small, (width, height)))
    truth = np.array([Path(path).parent.name != "good" for path in paths])
    return Accuracy(metrics.auroc(truth, scores), histogram.auroc(), histogram.aupro())


def cpu(runs: Runs) -> dict[str, list[float]]:
    return {name: [usage.cpu for usage in usages] for name, usages in runs.items()}


def memory(runs: Runs) -> dict[str, list[float]]:
    return {name: [usage.memory for usage in usages] for name, usages in runs.items()}


def milliseconds(runs: Sequence[Usage], starts: Sequence[Usage], n_images: int) -> list[float]:
    """CPU of each image but the first, whose runs are ``starts``."""
    start = median(usage.cpu for usage in starts)
    return [1000 * (usage.cpu - start) / (n_images - 1) for usage in runs]


def each(runs: Runs, starts: Runs) -> dict[str, list[float]]:
    return {name: milliseconds(runs[name], starts[name], N_WARM) for name in runs}


def single(figures: Mapping[str, float]) -> dict[str, list[float]]:
    return {name: [figure] for name, figure in figures.items()}


def row(title: str, figures: dict[str, list[float]], unit: str) -> str:
    """Medians of the columns that were measured, and what ours take of the peer's."""
    medians = {name: median(values) for name, values in figures.items()}
    cells = [f"{significant(medians[n])} {unit}" if n in medians else "-" for n in COLUMNS]
    ratios = [
        f"{ratio(figures, n, PEER):.2g}" if {n, PEER} <= figures.keys() else "-" for n in OURS
    ]
    return f"| {title} | {' | '.join(cells + ratios)} |"


def significant(value: float) -> str:
    """Three digits, or all of those before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def accuracy_row(title: str, found: Mapping[str, Accuracy], measure: str) -> str:
    cells = [three_digits(getattr(found[n], measure)) if n in found else "-" for n in COLUMNS]
    return f"| {title} | {' | '.join(cells)} |{' - |' * len(OURS)}"
