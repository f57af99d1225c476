"""Accuracy on real series: the nearest-window search next to peers that run on the same machine.

Tables of benchmarks/series.py.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from statistics import mean
from typing import NamedTuple

import numpy as np

from benchmarks import series_sets
from benchmarks.environments import peer_environment
from benchmarks.series_peers import (
    STUMPY,
    Method,
    accounted,
    kmeans_ad,
    matrix_profile,
    sub_pca,
)
from benchmarks.series_sets import BUFFER, LabelledSeries
from benchmarks.ucr_hits import ucr_hit
from benchmarks.vus import vus_pr
from pyimagesearch import metrics
from pyimagesearch.detectors.series.nearest_window import NearestWindowDetector

OWN = "`--method nearest-window`"
PROFILE = "matrix profile"
SEEDS = (42, 43, 44)  # the first is the default
LONG = 70_000  # rows; the matrix profile's cost grows with their square
# What TSB-AD calls the peers.
PUBLISHED_NAMES = {PROFILE: "MatrixProfile", "Sub-PCA": "Sub-PCA", "KMeansAD": "KMeansAD"}
SETS = {
    "SMD, {} machines": series_sets.smd,
    "NASA, {} channels": series_sets.nasa,
    "SKAB, {} files": series_sets.skab,
    "CWRU, {} files": series_sets.cwru,
}


class Result(NamedTuple):
    """What a method reaches on a series, its CPU seconds, and the rows of the series."""

    value: float
    cpu: float
    n_rows: int


def nearest_window(seed: int = SEEDS[0]) -> Method:
    """The toolkit's own, which chooses the lengths of its windows itself."""

    def scores(train: np.ndarray, test: np.ndarray, _: int) -> np.ndarray:
        own_start = 0 if train is test else None
        return NearestWindowDetector.fit(train, seed=seed).score_rows(test, own_start)[0]

    return accounted(scores)


@contextmanager
def methods() -> Iterator[dict[str, Method]]:
    """All of them, by name; without the matrix profile where stumpy cannot be installed."""
    found = {OWN: nearest_window(), "Sub-PCA": accounted(sub_pca), "KMeansAD": accounted(kmeans_ad)}
    python = peer_environment(STUMPY, "stumpy")
    if python is None:
        yield found
    else:
        with matrix_profile(python) as profile:
            yield found | {PROFILE: profile}


def vus(series: LabelledSeries, method: Method) -> Result:
    """VUS-PR of one method on one series."""
    scores, cpu = method(series.train, series.test, series.period)
    return Result(vus_pr(series.labels, scores, series.buffer), cpu, len(series.test))


def hit(series: LabelledSeries, method: Method) -> Result:
    """Whether the highest score is that of the anomaly, for one method on one series of UCR."""
    scores, cpu = method(series.train, series.test, series.period)
    ((first, last),) = metrics.label_ranges(series.labels)
    value = ucr_hit(scores, int(first), int(last), series.first_test_row)
    return Result(float(value), cpu, len(series.test))


def published_table() -> list[str]:
    """VUS-PR on the series that TSB-AD published, next to what it published."""
    kinds = ("ucr", "nab")
    rows = {
        kind: [row for row in series_sets.published_rows() if row["kind"] == kind] for kind in kinds
    }
    others = ("kind", "series", "period", "tsb_ad_file")
    of_each = {
        kind: {
            name: mean(float(row[name]) for row in rows[kind])
            for name in rows[kind][0]
            if name not in others
        }
        for kind in kinds
    }
    with methods() as run:
        results = {kind: _run(run, series_sets.published(kind)) for kind in kinds}
    lines = [
        "| VUS-PR, series that TSB-AD published | "
        + " | ".join(f"{kind.upper()} ({len(rows[kind])} series)" for kind in kinds)
        + " | CPU |",
        "|---|---|---|---|",
    ]
    for name in run:
        cells = [f"{_mean(results[kind][name]):.3f}" for kind in kinds]
        cpu = sum(_cpu(results[kind][name]) for kind in kinds)
        lines.append(f"| {name} | {' | '.join(cells)} | {_seconds(cpu)} |")
    for name, published in PUBLISHED_NAMES.items():
        cells = [f"{of_each[kind][published]:.3f}" for kind in kinds]
        lines.append(f"| {name}, as published | {' | '.join(cells)} | |")
    for rank in range(3):
        best = [sorted(((v, n) for n, v in of_each[kind].items()), reverse=True) for kind in kinds]
        cells = [f"{b[rank][0]:.3f} ({b[rank][1]})" for b in best]
        n_methods = len(best[0])
        lines.append(f"| number {rank + 1} of its {n_methods} methods | {' | '.join(cells)} | |")
    return lines


def ucr_results(every: Iterable[LabelledSeries]) -> dict[str, list[Result]]:
    """Hits of all methods, of the toolkit's own with each seed; long series without the profile."""
    with methods() as run:
        run |= {_seeded(seed): nearest_window(seed) for seed in SEEDS}
        del run[OWN]
        results: dict[str, list[Result]] = {name: [] for name in run}
        for series in every:
            for name, method in run.items():
                if name != PROFILE or len(series.test) <= LONG:
                    results[name].append(hit(series, method))
            _progress(series.name)
    return results


def _seeded(seed: int) -> str:
    return f"{OWN}, seed {seed}"


def ucr_table() -> list[str]:
    """Hits on the UCR archive, with the mean over seeds."""
    return ucr_lines(ucr_results(series_sets.ucr()))


def ucr_lines(results: dict[str, list[Result]]) -> list[str]:
    """The table of hits; the lists of results are in the order of the series."""
    draws = [results[_seeded(seed)] for seed in SEEDS]
    own = [
        Result(mean(r.value for r in same), mean(r.cpu for r in same), same[0].n_rows)
        for same in zip(*draws, strict=True)
    ]
    n_hits = " ".join(f"{sum(r.value for r in draw):.0f}" for draw in draws)
    rows = {f"{OWN}, mean of {len(SEEDS)} seeds ({n_hits} of {len(own)} series)": own} | {
        name: found for name, found in results.items() if not name.startswith(OWN)
    }
    short, long = (sum((r.n_rows > LONG) == is_long for r in own) for is_long in (False, True))
    lines = [
        f"| UCR: the highest score lies in the anomaly, hits | all {len(own)} series | "
        f"{short} of at most {LONG:,} rows | {long} longer ones | CPU, the {short} | "
        f"CPU, the {long} |",
        "|---|---|---|---|---|---|",
    ]
    for name, found in rows.items():
        parts = [[r for r in found if (r.n_rows > LONG) == is_long] for is_long in (False, True)]
        whole = found if len(found) == len(own) else []
        hits = [f"{_mean(part):.3f}" if part else "-" for part in (whole, *parts)]
        costs = [_seconds(_cpu(part)) if part else "-" for part in parts]
        lines.append(f"| {name} | {' | '.join(hits + costs)} |")
    return lines


def sets_table() -> list[str]:
    """VUS-PR on series with a part to learn."""
    with methods() as run:
        results = {title: _run(run, load()) for title, load in SETS.items()}
    titles = [title.format(len(found[OWN])) for title, found in results.items()]
    return [
        f"| VUS-PR, buffer {BUFFER}, and CPU | {' | '.join(titles)} |",
        "|---" * (len(titles) + 1) + "|",
        *(
            f"| {name} | "
            + " | ".join(
                f"{_mean(f[name]):.3f}, {_seconds(_cpu(f[name]))}" for f in results.values()
            )
            + " |"
            for name in run
        ),
    ]


def _run(run: Mapping[str, Method], every: Iterable[LabelledSeries]) -> dict[str, list[Result]]:
    """VUS-PR of all methods in turn, series by series."""
    results: dict[str, list[Result]] = {name: [] for name in run}
    for series in every:
        for name, method in run.items():
            results[name].append(vus(series, method))
        _progress(series.name, *(f"{found[-1].value:.3f}" for found in results.values()))
    return results


def _mean(results: list[Result]) -> float:
    return mean(result.value for result in results)


def _cpu(results: list[Result]) -> float:
    return sum(result.cpu for result in results)


def _seconds(cpu: float) -> str:
    return f"{cpu:.0f} s" if cpu >= 0.5 else "< 1 s"


def _progress(*words: str) -> None:
    print(*words, file=sys.stderr, flush=True)
