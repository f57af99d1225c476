"""Series: accuracy next to peers and published methods, cost next to the Conv1D autoencoder.

  python -m benchmarks.series [--only published ucr sets] --write docs/benchmarks.md

Published numbers are those of TSB-AD. On NAB and the UCR anomaly archive a detector is trained on a
whole series without labels and then scores it, as published methods do; on SMD, NASA, SKAB and CWRU
it is trained on one part and scores another. ``benchmarks.nab`` measures the method stream.
OPENBLAS_NUM_THREADS=1 saves CPU.
"""

from __future__ import annotations

import csv
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean

import numpy as np

from benchmarks.measure import (
    Usage,
    machine,
    measured_parser,
    needs_real_data,
    run_python,
    write_into,
)
from benchmarks.series_accuracy import published_table, sets_table, ucr_table
from pyimagesearch import metrics
from pyimagesearch.data.synthetic import series as synthetic_series

METHODS: dict[str, list[str]] = {
    "nearest-window": ["train_anomaly_detector.py"],
    "stream": ["train_anomaly_detector.py", "--method", "stream"],
    "conv1d": ["train_autoencoder.py", "--architecture", "conv1d"],
    "lstm": ["train_autoencoder.py", "--architecture", "lstm"],
}


def write_variants(folder: Path) -> dict[str, Path]:
    paths = {}
    for variant in synthetic_series.VARIANTS:
        times, values, _ = synthetic_series.make_series(variant)
        paths[variant] = folder / f"{variant}.csv"
        lines = [f"{t},{v:.3f}" for t, v in zip(times, values, strict=True)]
        paths[variant].write_text("\n".join(["timestamp,value", *lines]) + "\n")
    return paths


def train(folder: Path, method: str, dataset: Path) -> tuple[Path, Usage]:
    model = folder / f"{method}.model"
    command = [*METHODS[method], "-d", dataset, "-m", model, "--quiet"]
    if method in ("conv1d", "lstm"):
        command += ["-v", folder / "vis.png", "-p", folder / "plot.png"]
    return model, run_python(*command)


def found_tables(folder: Path) -> list[str]:
    paths = write_variants(folder)
    cells: dict[str, list[str]] = {variant: [] for variant in paths}
    costs = {}
    for method in METHODS:
        model, training = train(folder, method, paths["normal"])
        cpu = []
        for variant, path in paths.items():
            out = folder / "out.csv"
            cpu.append(run_python("find_anomalies.py", "-m", model, "-d", path, "--csv", out).cpu)
            with out.open() as file:
                called = np.array([row["label"] == "anomaly" for row in csv.DictReader(file)])
            wrong = synthetic_series.make_series(variant)[2]
            near = _widened(wrong)
            n_false = sum(
                not near[first : last + 1].any() for first, last in metrics.label_ranges(called)
            )
            is_found = "-" if variant == "normal" else "yes" if (called & wrong).any() else "no"
            cells[variant].append(is_found + (f" ({n_false} false)" if n_false else ""))
        costs[method] = training.cpu + mean(cpu)
    titles = " | ".join(METHODS)
    return [
        f"| rendered series with | {titles} |",
        "|---" * (len(METHODS) + 1) + "|",
        *(f"| {variant} | {' | '.join(found)} |" for variant, found in cells.items()),
        "",
        f"| 14 days, 4,032 rows | {titles} |",
        "|---" * (len(METHODS) + 1) + "|",
        f"| CPU to train and to score | {' | '.join(f'{c:.1f} s' for c in costs.values())} |",
        "| ratio to conv1d | "
        + " | ".join(f"{c / costs['conv1d']:.3f}" for c in costs.values())
        + " |",
    ]


def _widened(wrong: np.ndarray, rows: int = 36) -> np.ndarray:
    """Add three hours on either side: a range outside of these is a false alarm."""
    return np.convolve(wrong, np.ones(2 * rows + 1), "same") > 0


def million_table(folder: Path, n_rows: int = 1_000_000) -> list[str]:
    rng = np.random.default_rng(0)
    minutes = np.arange(n_rows)
    values = np.sin(2 * np.pi * minutes / 240) + 0.1 * rng.standard_normal(n_rows)
    values[700_000:700_100] += 1.5
    path, model = folder / "million.csv", folder / "million.model"
    times = np.datetime64("2020-01-01T00:00") + minutes.astype("timedelta64[m]")
    path.write_text(
        "timestamp,value\n" + "".join(f"{t},{v:.4f}\n" for t, v in zip(times, values, strict=True))
    )
    begun = time.monotonic()
    training = run_python("train_anomaly_detector.py", "-d", path, "-m", model, "--quiet")
    middle = time.monotonic()
    finding = run_python(
        "find_anomalies.py", "-m", model, "-d", path, "-o", folder / "plot.png", "--quiet"
    )
    end = time.monotonic()
    return [
        f"| {n_rows:,} rows, `nearest-window` | time | CPU | peak memory |",
        "|---|---|---|---|",
        f"| train and calibrate | {middle - begun:.0f} s | {training.cpu:.0f} s "
        f"| {training.memory:.0f} MB |",
        f"| score and plot | {end - middle:.0f} s | {finding.cpu:.0f} s "
        f"| {finding.memory:.0f} MB |",
    ]


def main() -> None:
    ap = measured_parser(__doc__)
    makers: dict[str, Callable[[Path], list[str]]] = {
        "published": lambda _: published_table(),
        "ucr": lambda _: ucr_table(),
        "sets": lambda _: sets_table(),
        "found": found_tables,
        "million": million_table,
    }
    ap.add_argument("--only", nargs="+", choices=list(makers), default=list(makers))
    args = ap.parse_args()
    needs_real_data()
    for name in args.only:
        with tempfile.TemporaryDirectory() as folder:
            lines = [f"Measured on {machine()}.", "", *makers[name](Path(folder)), ""]
        table = "\n".join(lines)
        print(table, flush=True)
        if args.write:
            write_into(args.write, f"benchmarks.series.{name}", table)


if __name__ == "__main__":
    main()
