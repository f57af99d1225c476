"""Verdicts on series: what is named, what is named wrongly, and how the false-alarm rate holds.

  python -m benchmarks.series_verdicts [--write docs/benchmarks.md]

NAB's series are learned and judged as train_anomaly_detector.py and find_anomalies.py do without
options, each by itself. The false-alarm rate is that of normal rows: of the first 20,000 rows, at
most, of each part of the UCR archive that is given as normal, the first half is learned and the
second judged.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.measure import DATA, machine, write_into
from pyimagesearch.cli.series_input import open_series
from pyimagesearch.data.series import Grid, Series, SeriesError, digest
from pyimagesearch.labelling import thresholds
from pyimagesearch.labelling.series import SeriesLabeller, score_stretches
from pyimagesearch.training.series import fit_nearest_window

RATES = (None, 0.05, 0.02, 0.01)
SEED = 42
LEAST_BLOCKS = 8
MOST_ROWS = 20_000


def nab_table() -> list[str]:
    """Of each group of files: windows that a range touches, and ranges that touch none."""
    labels = json.loads((DATA / "nab" / "labels" / "combined_windows.json").read_text())
    counts: dict[str, np.ndarray] = {}
    for name, windows in sorted(labels.items()):
        group = name.split("/")[0]
        try:
            found = own_ranges(DATA / "nab" / "data" / name)
        except SeriesError as error:
            print(f"{name}: {error}", file=sys.stderr)
            continue
        edges = [tuple(map(pd.Timestamp, window)) for window in windows]
        touches = [[end >= a and start <= b for a, b in edges] for start, end in found]
        named = int(np.any(touches, axis=0).sum()) if touches else 0
        wrong = sum(not any(row) for row in touches)
        counts[group] = counts.get(group, 0) + np.array([1, len(windows), named, wrong])
    counts["**all**"] = np.sum(list(counts.values()), axis=0)
    return [
        "| NAB, learned and judged without options | files | labelled windows | named | "
        "other ranges a file |",
        "|---|---|---|---|---|",
        *(
            f"| {group} | {files} | {windows} | {named} | {wrong / files:.2f} |"
            for group, (files, windows, named, wrong) in counts.items()
        ),
    ]


def own_ranges(path: Path) -> list[tuple[pd.Timestamp, pd.Timestamp]]:
    """Learn a series and find its own ranges: the first and the last time of each."""
    series, grid = open_series(str(path), None, None)
    fitted = fit_nearest_window(grid, SEED)
    labeller = SeriesLabeller(
        detector=fitted.detector,
        names=series.names,
        time_name=series.time_name,
        calibration=fitted.calibration,
        training=fitted.training,
        threshold=fitted.choose_threshold(thresholds.ThresholdRule()).value,
        digest=digest(grid.values),
    )
    found = labeller.label(series, grid).ranges(labeller.threshold)
    return [(pd.Timestamp(one.start), pd.Timestamp(one.end)) for one in found]


def rates_table() -> list[str]:
    """The share of blocks of normal rows with an alarm, where the other half was learned."""
    alarms: dict[float | None, list[float]] = {rate: [] for rate in RATES}
    asked: list[float] = []
    with np.load(DATA / "ucr" / "ucr.npz") as arrays, (DATA / "ucr" / "index.csv").open() as file:
        index = pd.read_csv(file, dtype={"id": str})
        for name, end in zip(index["id"], index["train_end"], strict=True):
            values = arrays[name][: min(end, MOST_ROWS)].astype(float)[:, None]
            half = len(values) // 2
            with contextlib.suppress(SeriesError):
                fitted = fit_nearest_window(_grid(values[:half]), SEED)
                detector = fitted.detector
                _, scores = score_stretches(
                    detector.score_rows, detector.time_steps, _grid(values[half:]), own=False
                )
                blocks = thresholds.block_maxima(scores, fitted.block)
                if len(fitted.calibration) < LEAST_BLOCKS or not len(blocks):
                    continue
                asked.append(thresholds.default_block_rate(len(fitted.calibration)))
                for rate in RATES:
                    rule = thresholds.ThresholdRule(thresholds.FALSE_ALARM_RATE, rate)
                    alarms[rate].append(
                        float((blocks > fitted.choose_threshold(rule).value).mean())
                    )
    lines = [
        f"| normal halves of {len(asked)} series of UCR | asked | blocks with an alarm, mean | "
        "median of the series | series without any |",
        "|---|---|---|---|---|",
    ]
    for rate, shares in alarms.items():
        name = "default" if rate is None else f"`--false-alarm-rate {rate:g}`"
        lines.append(
            f"| {name} | {np.mean(asked) if rate is None else rate:.3f} | {np.mean(shares):.3f} | "
            f"{np.median(shares):.3f} | {np.mean(np.array(shares) == 0):.0%} |"
        )
    return lines


def _grid(values: np.ndarray) -> Grid:
    table = pd.DataFrame(values, columns=["value"])
    return Series(("value",), values, None, None, table, []).grid()


def main() -> None:
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("--write", metavar="FILE", help="write the tables into this file")
    args = ap.parse_args()
    if not DATA.is_dir():
        sys.exit(f"[ERROR] no real data in {DATA}")
    lines = [f"Measured on {machine()}.", "", *nab_table(), "", *rates_table()]
    table = "\n".join(lines) + "\n"
    print(table)
    if args.write:
        write_into(args.write, "benchmarks.series_verdicts", table)


if __name__ == "__main__":
    main()
