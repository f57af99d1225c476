"""Series: accuracy compared with published methods, cost with the Conv1D autoencoder.

  python -m benchmarks.series --write docs/benchmarks.md

The data are NAB, the UCR anomaly archive and SMD; published numbers are those of TSB-AD. A
detector is trained on a whole series without labels and then scores it, as published methods do.
``benchmarks.nab`` measures the method stream.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import mean

import numpy as np

from benchmarks import nab
from benchmarks.measure import DATA, Usage, machine, run_python, write_into
from benchmarks.ucr_hits import ucr_hit
from benchmarks.vus import vus_pr
from pyimagesearch import metrics
from pyimagesearch.data.synthetic import series as synthetic_series
from pyimagesearch.detectors.series.nearest_window import NearestWindowDetector

SMD_BUFFER = 100


def own_scores(values: np.ndarray) -> np.ndarray:
    """Train on a series (n_rows, n_columns) and score its own rows: (n_rows,)."""
    return NearestWindowDetector.fit(values).score_rows(values, 0)[0]


# --- TSB-AD's series, UCR, SMD ------------------------------------------------------------------


def ucr_index() -> dict[str, tuple[int, int, int]]:
    with (DATA / "ucr/index.csv").open() as file:
        return {
            row["id"]: (int(row["train_end"]), int(row["anomaly_start"]), int(row["anomaly_end"]))
            for row in csv.DictReader(file)
        }


def published() -> list[dict[str, str]]:
    with (DATA / "tsb_ad_published.csv").open() as file:
        return list(csv.DictReader(file))


def vus_table() -> list[str]:
    rows = published()
    methods = [name for name in rows[0] if name not in ("kind", "series", "period", "tsb_ad_file")]
    found: dict[str, list[float]] = {"ucr": [], "nab": []}
    recordings = nab.load(DATA / "nab")
    for row in rows:
        values, labels = _published_series(row, recordings)
        found[row["kind"]].append(vus_pr(labels, own_scores(values), int(row["period"])))
    best = {
        kind: sorted(
            ((mean(float(r[m]) for r in rows if r["kind"] == kind), m) for m in methods),
            reverse=True,
        )[:3]
        for kind in found
    }
    lines = [
        "| VUS-PR, series that TSB-AD published | "
        + " | ".join(f"{kind.upper()} ({len(v)} series)" for kind, v in found.items())
        + " |",
        "|---|---|---|",
        f"| `--method nearest-window` | {mean(found['ucr']):.3f} | {mean(found['nab']):.3f} |",
    ]
    for rank in range(3):
        cells = [f"{value:.3f} ({name})" for value, name in (best[k][rank] for k in found)]
        lines.append(f"| number {rank + 1} of its {len(methods)} methods | {' | '.join(cells)} |")
    return lines


def _published_series(
    row: dict[str, str], recordings: dict[str, nab.Recording]
) -> tuple[np.ndarray, np.ndarray]:
    """The values (n_rows, 1) and labels (n_rows,) of one line of the published table."""
    if row["kind"] == "ucr":
        with np.load(DATA / "ucr/ucr.npz") as archive:
            values = archive[row["series"]].astype(float)
        _, first, last = ucr_index()[row["series"]]
        labels = np.zeros(len(values), bool)
        labels[first : last + 1] = True
        return values.reshape(-1, 1), labels
    recording = recordings[row["series"]]
    return recording.values[:, None], recording.worth.window >= 0


def ucr_table() -> list[str]:
    hits: dict[str, list[bool]] = {"short": [], "long": []}
    with np.load(DATA / "ucr/ucr.npz") as archive:
        for name, (train_end, first, last) in ucr_index().items():
            values = archive[name].astype(float).reshape(-1, 1)
            hit = ucr_hit(own_scores(values), first, last, train_end)
            hits["short" if len(values) <= 70_000 else "long"].append(hit)
    every = hits["short"] + hits["long"]
    return [
        "| UCR: the highest score lies in the anomaly | hits |",
        "|---|---|",
        f"| all {len(every)} series | {mean(every):.3f} |",
        f"| {len(hits['short'])} of at most 70,000 rows | {mean(hits['short']):.3f} |",
        f"| {len(hits['long'])} longer ones | {mean(hits['long']):.3f} |",
    ]


def smd_table() -> list[str]:
    found = []
    for path in sorted((DATA / "smd").glob("*.npz")):
        with np.load(path) as machine_:
            train, test, label = (machine_[k] for k in ("train", "test", "label"))
        scores, _ = NearestWindowDetector.fit(train.astype(float)).score_rows(test.astype(float))
        found.append(vus_pr(label, scores, SMD_BUFFER))
    return [
        f"| VUS-PR, SMD, {len(found)} machines of 38 columns (buffer {SMD_BUFFER}) | mean | each |",
        "|---|---|---|",
        f"| `--method nearest-window`, trained on the training part | {mean(found):.3f} "
        f"| {' '.join(f'{v:.2f}' for v in found)} |",
    ]


# --- cost, and what is found ---------------------------------------------------------------------

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
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("--write", metavar="FILE", help="write the tables into this file")
    makers: dict[str, Callable[[Path], list[str]]] = {
        "vus": lambda _: vus_table(),
        "ucr": lambda _: ucr_table(),
        "smd": lambda _: smd_table(),
        "found": found_tables,
        "million": million_table,
    }
    ap.add_argument("--only", nargs="+", choices=list(makers), default=list(makers))
    args = ap.parse_args()
    if not DATA.is_dir():
        sys.exit(f"[ERROR] no real data in {DATA}")

    def tables_of(folder: Path) -> Iterator[str]:
        yield f"Measured on {machine()}."
        for name in args.only:
            lines = makers[name](folder)
            print("\n".join(lines), flush=True)
            yield from ("", *lines)
        yield ""

    with tempfile.TemporaryDirectory() as folder:
        table = "\n".join(tables_of(Path(folder)))
    if args.write:
        write_into(args.write, "benchmarks.series", table)


if __name__ == "__main__":
    main()
