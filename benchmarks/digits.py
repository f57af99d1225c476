"""The autoencoder compared with the tutorial's and with principal components, on MNIST.

  python -m benchmarks.digits [--write docs/benchmarks.md] [--draws 5]

All are trained on the same contaminated digits, and evaluated by the average precision of the
anomalies among them. Ratios of time are medians over the draws, in which the peers take turns.
"""

from __future__ import annotations

import csv
import io
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

import numpy as np
from sklearn.decomposition import PCA
from sklearn.metrics import average_precision_score, roc_auc_score

from benchmarks.measure import (
    DATA,
    Usage,
    in_turn,
    machine,
    measured_parser,
    needs_real_data,
    ratio,
    run_python,
    write_into,
)
from pyimagesearch.data.image_sets import read_npz
from pyimagesearch.labelling.images import Labeller

TUTORIAL = "benchmarks/tutorial_autoencoder.py"
PAIRS = [(digit, (digit + 2) % 10) for digit in range(10)]
RATES = (0.01, 0.05)


@dataclass(frozen=True)
class Trained:
    """One training of this toolkit: its cost, and its files."""

    usage: Usage
    model: Path
    dataset: Path

    def average_precision(self) -> float:
        scores = self.dataset.with_suffix(".csv")
        run_python("find_anomalies.py", "-m", self.model, "-d", self.dataset, "--csv", scores)
        rows = csv.DictReader(io.StringIO(scores.read_text()))
        truth = read_npz(str(self.dataset)).is_anomaly
        return average_precision_score(truth, [float(row["score"]) for row in rows])


def train(folder: Path, name: str, *options: object) -> Trained:
    model, dataset = folder / f"{name}.model", folder / f"{name}.npz"
    usage = run_python(
        *("train_autoencoder.py", "-d", DATA / "mnist.npz", "-m", model),
        *("--save-dataset", dataset, "-v", folder / "v.png", "-p", folder / "p.png", *options),
    )
    return Trained(usage, model, dataset)


def tutorial(dataset: Path) -> tuple[float, float, int]:
    """CPU seconds of training, average precision, number of digits that are flagged."""
    model = dataset.with_suffix(".keras")
    usage = run_python(TUTORIAL, "train", dataset, model)
    precision, flagged = run_python(TUTORIAL, "find", dataset, model).output.split()
    return usage.cpu, float(precision), int(flagged)


def residuals(dataset: Path, rounds: int, trim: float = 0.05) -> float:
    """Average precision of the residual of 16 components, refitted without the worst items."""
    data = read_npz(str(dataset))
    flat = data.images.reshape(len(data.images), -1) / 255
    kept = np.arange(len(flat))
    for _ in range(1 + rounds):
        pca = PCA(16, random_state=0).fit(flat[kept])
        errors = ((flat - pca.inverse_transform(pca.transform(flat))) ** 2).sum(axis=1)
        kept = np.flatnonzero(errors <= np.quantile(errors, 1 - trim))
    return average_precision_score(data.is_anomaly, errors)


def clean_digits(model: Path) -> tuple[float, float, float]:
    """On test digits: AUROC of 3s against 1s, false alarms at 1%, and at 5%."""
    labeller = Labeller.open(str(model))
    with np.load(DATA / "mnist.npz") as mnist:
        digits, labels = mnist["x_test"][..., None], mnist["y_test"]
    ones, threes = (labeller.detector.score_pixels(digits[labels == k]) for k in (1, 3))
    truth = np.repeat([0, 1], [len(ones), len(threes)])
    p_values = [
        (1 + (labeller.calibration >= s).sum()) / (len(labeller.calibration) + 1) for s in ones
    ]
    alarms = [float(np.mean(np.array(p_values) <= rate)) for rate in RATES]
    return roc_auc_score(truth, np.concatenate([ones, threes])), *alarms


def draws_table(folder: Path, n_draws: int) -> list[str]:
    cpu: dict[str, list[float]] = {"conv": [], "pca": [], "tutorial": []}
    precision: dict[str, list[float]] = {name: [] for name in (*cpu, "plain", "trimmed")}
    flagged, clean = [], []
    for seed in range(n_draws):
        for name in ("conv", "pca"):
            ours = train(folder, f"{name}{seed}", "--seed", seed, "-a", name)
            cpu[name].append(ours.usage.cpu)
            precision[name].append(ours.average_precision())
            if name == "conv":
                clean.append(clean_digits(ours.model))
        theirs = tutorial(ours.dataset)
        cpu["tutorial"].append(theirs[0])
        precision["tutorial"].append(theirs[1])
        flagged.append(theirs[2])
        precision["plain"].append(residuals(ours.dataset, rounds=0))
        precision["trimmed"].append(residuals(ours.dataset, rounds=5))
        print(f"[INFO] draw {seed}: { {k: round(v[-1], 3) for k, v in precision.items()} }")
    auroc, one, five = (mean(column) for column in zip(*clean, strict=True))
    titles = {
        "conv": "`train_autoencoder.py`",
        "pca": "`train_autoencoder.py --architecture pca`",
        "tutorial": "the tutorial's network, 20 epochs",
        "plain": "residual of 16 principal components",
        "trimmed": "the same, refitted five times without its worst 5%",
    }
    lines = [
        f"| 1s with 1% of 3s, {n_draws} draws | average precision of the 3s: mean | each draw "
        "| CPU of the training |",
        "|---|---|---|---|",
    ]
    for name, title in titles.items():
        each = " ".join(f"{p:.2f}"[1:] if p < 1 else "1" for p in precision[name])
        cost = "" if name not in cpu else f"{median(cpu[name]):.1f} s"
        if name in ("conv", "pca"):
            cost += f", {ratio(cpu, name, 'tutorial'):.2f} of the tutorial's"
        lines.append(f"| {title} | {mean(precision[name]):.3f} | {each} | {cost} |")
    return [
        *lines,
        "",
        "| | |",
        "|---|---|",
        f"| AUROC on MNIST's test digits, 3s against 1s | {auroc:.4f} |",
        f"| of the test 1s called anomalies at 1% | {one:.2%} |",
        f"| of the test 1s called anomalies at 5% | {five:.2%} |",
        "| flagged by the 0.999 quantile (the tutorial's rule), tutorial's network "
        f"| {median(flagged):.0f} of 6,809 |",
    ]


def cold_table(folder: Path, rounds: int = 5) -> list[str]:
    """Label one image from the shell, compared with the tutorial's find step."""
    ours = train(folder, "cold")
    tutorial(ours.dataset)
    image = "examples/forest_1.jpg"
    cold = in_turn(
        {
            "ours": ["test_anomaly_detector.py", "-m", ours.model, "-i", image],
            "tutorial": [TUTORIAL, "find", ours.dataset, ours.dataset.with_suffix(".keras")],
        },
        rounds,
    )
    cpu = {name: [usage.cpu for usage in usages] for name, usages in cold.items()}
    memory = {name: median(usage.memory for usage in usages) for name, usages in cold.items()}
    return [
        "| | `test_anomaly_detector.py`, one image | the tutorial's find step | ratio |",
        "|---|---|---|---|",
        f"| CPU | {median(cpu['ours']):.2f} s | {median(cpu['tutorial']):.2f} s "
        f"| {ratio(cpu, 'ours', 'tutorial'):.2f} |",
        f"| peak memory | {memory['ours']:.0f} MB | {memory['tutorial']:.0f} MB "
        f"| {memory['ours'] / memory['tutorial']:.2f} |",
        "",
    ]


def pairs_table(folder: Path) -> list[str]:
    columns = ("network", "pca", "tutorial", "16 components", "trimmed")
    lines = [
        f"| normal / anomalous | {' | '.join(f'{r:.0%}: {c}' for r in RATES for c in columns)} |",
        "|---" * (1 + len(RATES) * len(columns)) + "|",
    ]
    table = []
    for valid, anomaly in PAIRS:
        row = []
        for rate in RATES:
            options = ("--valid-label", valid, "--anomaly-label", anomaly, "--contamination", rate)
            conv, pca = (train(folder, name, *options, "-a", name) for name in ("conv", "pca"))
            row += [
                conv.average_precision(),
                pca.average_precision(),
                tutorial(conv.dataset)[1],
                residuals(conv.dataset, rounds=0),
                residuals(conv.dataset, rounds=5),
            ]
        print(f"[INFO] {valid} / {anomaly}: {[round(value, 3) for value in row]}", flush=True)
        table.append(row)
        lines.append(f"| {valid} / {anomaly} | {' | '.join(f'{v:.2f}' for v in row)} |")
    means = [mean(column) for column in zip(*table, strict=True)]
    lines.append(f"| **mean** | {' | '.join(f'**{v:.3f}**' for v in means)} |")
    return lines


def main() -> None:
    ap = measured_parser(__doc__)
    ap.add_argument("--draws", type=int, default=5)
    ap.add_argument("--only-cold", action="store_true", help="only label one image")
    args = ap.parse_args()
    needs_real_data()
    with tempfile.TemporaryDirectory() as folder:
        cold = "\n".join(cold_table(Path(folder)))
        print(cold)
        if args.write:
            write_into(args.write, "benchmarks.digits.cold", cold)
        if args.only_cold:
            return
        table = "\n".join(
            [
                f"Measured on {machine()}.",
                "",
                *draws_table(Path(folder), args.draws),
                "",
                "Average precision for other digits:",
                "",
                *pairs_table(Path(folder)),
                "",
            ]
        )
    print(table)
    if args.write:
        write_into(args.write, "benchmarks.digits", table)


if __name__ == "__main__":
    main()
