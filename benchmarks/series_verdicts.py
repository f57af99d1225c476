"""Verdicts on series: what is named, what is named wrongly, and how the false-alarm rate holds.

  python -m benchmarks.series_verdicts [--write docs/benchmarks.md]

NAB's series are learned and judged as train_anomaly_detector.py and find_anomalies.py do without
options, each by itself. The false-alarm rate is that of normal rows: of the first 20,000 rows, at
most, of each part of the UCR archive that is given as normal, the first half is learned and the
second judged. Then some of the learned blocks are made anomalous: two deviations higher or lower,
constant, or in random order.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.measure import DATA, machine, measured_parser, needs_real_data, write_into
from pyimagesearch.cli.series_input import open_series
from pyimagesearch.data.series import Grid, Series, SeriesError, digest
from pyimagesearch.labelling import thresholds
from pyimagesearch.labelling.series import SeriesLabeller, score_stretches
from pyimagesearch.training.series import SeriesFit, fit_nearest_window

RATES = (None, 0.05, 0.02, 0.01)
CONTAMINATIONS = (0.0, 0.01, 0.03, 0.05)  # of the learned blocks
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
        has_default_rate=True,
    )
    scored = labeller.label(series, grid)
    rule = labeller.rule_in_learned or thresholds.ThresholdRule()
    found = scored.ranges(labeller.choose_threshold(rule, scored.scores).value)
    return [(pd.Timestamp(one.start), pd.Timestamp(one.end)) for one in found]


def rates_table() -> list[str]:
    """The share of blocks of normal rows with an alarm, where the other half was learned."""
    alarms: dict[float, list[np.ndarray]] = {share: [] for share in CONTAMINATIONS}
    named: dict[float, list[bool]] = {share: [] for share in CONTAMINATIONS}
    asked: list[float] = []
    for values in normal_parts():
        half = len(values) // 2
        try:
            of_clean = fit_nearest_window(_grid(values[:half]), SEED)
        except SeriesError:
            continue
        if len(of_clean.calibration) < LEAST_BLOCKS or half < of_clean.block:
            continue
        asked.append(thresholds.default_block_rate(len(of_clean.calibration)))
        for share in CONTAMINATIONS:
            learned, planted = contaminated(values[:half], of_clean.block, share, len(asked))
            fitted = fit_nearest_window(_grid(learned), SEED) if len(planted) else of_clean
            limits = [
                fitted.choose_threshold(
                    thresholds.ThresholdRule(thresholds.FALSE_ALARM_RATE, rate)
                ).value
                for rate in RATES
            ]
            blocks = thresholds.block_maxima(
                _deciding(fitted, values[half:], own=False), of_clean.block
            )
            alarms[share].append((blocks[:, None] > limits).mean(axis=0))
            own = thresholds.block_maxima(_deciding(fitted, learned, own=True), of_clean.block)
            named[share] += (own[planted] > limits[0]).tolist()
    titles = ["clean", *(f"{share:.0%} anomalous" for share in CONTAMINATIONS[1:])]
    lines = [
        f"| blocks with an alarm, normal halves of {len(asked)} series of UCR | asked | "
        f"{' | '.join(f'learned blocks {title}' for title in titles)} |",
        "|---" * (2 + len(titles)) + "|",
    ]
    means = [np.mean(alarms[share], axis=0) for share in CONTAMINATIONS]
    for number, rate in enumerate(RATES):
        name = "default" if rate is None else f"`--false-alarm-rate {rate:g}`"
        cells = " | ".join(f"{mean[number]:.3f}" for mean in means)
        lines.append(f"| {name} | {np.mean(asked) if rate is None else rate:.3f} | {cells} |")
    shares = " | ".join(
        f"{np.mean(named[share]):.2f} of {len(named[share])}" for share in CONTAMINATIONS[1:]
    )
    without = " | ".join(
        f"{np.mean(np.array(alarms[share])[:, 0] == 0):.0%}" for share in CONTAMINATIONS
    )
    return [
        *lines,
        f"| series without any alarm, default | | {without} |",
        f"| anomalous learned blocks that are named, default | | - | {shares} |",
    ]


def normal_parts() -> Iterator[np.ndarray]:
    """The beginnings of UCR's series that hold no anomaly: (n_rows, 1) float64."""
    with np.load(DATA / "ucr" / "ucr.npz") as arrays, (DATA / "ucr" / "index.csv").open() as file:
        index = pd.read_csv(file, dtype={"id": str})
        for name, end in zip(index["id"], index["train_end"], strict=True):
            yield arrays[name][: min(end, MOST_ROWS)].astype(float)[:, None]


def contaminated(
    values: np.ndarray, block: int, share: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Make some of the blocks of a series anomalous.

    Returns:
        The series, and (n,) int, the numbers of these blocks: on average, this share of all.
    """
    random = np.random.default_rng(seed)
    n_blocks = len(values) // block
    n_planted = int(share * n_blocks + random.random())
    planted = random.choice(n_blocks, n_planted, replace=False)
    changed, deviation = values.copy(), values.std()
    for number in planted:
        part = changed[number * block : (number + 1) * block]
        kind = random.integers(3)
        if kind == 0:
            part += random.choice([-2, 2]) * deviation
        elif kind == 1:
            part[:] = part[0]
        else:
            part[:] = random.permutation(part)
    return changed, planted


def _deciding(fitted: SeriesFit, values: np.ndarray, own: bool) -> np.ndarray:
    detector = fitted.detector
    return score_stretches(detector.score_rows, detector.time_steps, _grid(values), own=own)[1]


def _grid(values: np.ndarray) -> Grid:
    table = pd.DataFrame(values, columns=["value"])
    return Series(("value",), values, None, None, table, []).grid()


def main() -> None:
    ap = measured_parser(__doc__)
    args = ap.parse_args()
    needs_real_data()
    lines = [f"Measured on {machine()}.", "", *nab_table(), "", *rates_table()]
    table = "\n".join(lines) + "\n"
    print(table)
    if args.write:
        write_into(args.write, "benchmarks.series_verdicts", table)


if __name__ == "__main__":
    main()
