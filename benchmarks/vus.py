"""Volume under the precision-recall surface of a series (VUS-PR)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from pyimagesearch.metrics.arguments import as_labels_and_scores
from pyimagesearch.metrics.ranges import label_ranges

_THRESHOLDS = 250  # TSB-AD's


def vus_pr(
    labels: ArrayLike, scores: ArrayLike, max_buffer: int, n_thresholds: int = _THRESHOLDS
) -> float:
    """Average the area under the precision-recall curve over buffers around the anomalies.

    With a buffer of w rows, the rows next to an anomaly count as anomalous by sqrt(1 - d/w) at
    distance d up to w/2, at most by 1; recall is multiplied by the share of (widened) anomalies
    that were found. Thresholds are taken at evenly spaced ranks. The numbers are those of TSB-AD's
    version ``opt``, so that published results can be compared.

    Paparrizos, Boniol, Palpanas, Tsay, Elmore and Franklin, Volume Under the Surface: A New
    Accuracy Evaluation Measure for Time-Series Anomaly Detection, PVLDB 15 (2022), section 4;
    Liu and Paparrizos, The Elephant in the Room: Towards A Reliable Time-Series Anomaly Detection
    Benchmark, NeurIPS 2024.

    Args:
        labels: (n_rows,), not 0 for anomalous rows.
        scores: (n_rows,), higher is more anomalous.
        max_buffer: the largest buffer in rows, all from 0 on are averaged; TSB-AD takes the
            period of the series.
        n_thresholds: number of ranks.

    Returns:
        0 to 1; nan without an anomalous row.

    Raises:
        ValueError: the arguments do not fit each other or are outside their bounds, or a score is
            not finite.
    """
    truth, values = as_labels_and_scores(labels, scores)
    if max_buffer < 0 or n_thresholds < 1:
        raise ValueError(
            f"a buffer of {max_buffer} rows with {n_thresholds} thresholds: at least 0 and 1"
        )
    if not truth.any():
        return math.nan
    level = _levels(values, n_thresholds)
    n_called = _reached(level, n_thresholds)
    called_inside = _reached(level[truth], n_thresholds)
    ranges = label_ranges(truth)
    slots, distances = _buffer_rows(ranges, truth, max_buffer // 2)
    rows, slots = np.unique(slots, return_inverse=True)
    areas = []
    for buffer in range(max_buffer + 1):
        n_near = int(np.searchsorted(distances, buffer // 2, "right"))
        called_near = np.zeros(n_thresholds)
        if n_near:
            weights = np.sqrt(1 - distances[:n_near] / buffer)
            weights = np.bincount(slots[:n_near], weights, minlength=len(rows))
            called_near = _reached(level[rows], n_thresholds, np.minimum(weights, 1))
        first_levels = _first_levels(level, ranges, buffer // 2)
        found = _reached(first_levels, n_thresholds) / len(first_levels)
        true_positives = called_inside + called_near
        # TSB-AD's count of what there is to find: midway between without and with the buffer.
        recall = np.minimum(true_positives / (truth.sum() + called_near / 2), 1) * found
        areas.append(np.sum(np.diff(recall, prepend=0) * true_positives / n_called))
    return float(np.mean(areas))


def _levels(values: np.ndarray, n_thresholds: int) -> np.ndarray:
    """Number, for each row, of the first (highest) threshold that it reaches."""
    ranks = np.linspace(0, len(values) - 1, n_thresholds).astype(int)
    descending = -np.sort(-values)
    # The last threshold is the lowest score; a single one is the highest, which few reach.
    return np.searchsorted(-descending[ranks], -values, "left")


def _reached(
    levels: np.ndarray, n_thresholds: int, weights: np.ndarray | None = None
) -> np.ndarray:
    """Add up, for each threshold, the rows that reach it: (n_thresholds,)."""
    return np.cumsum(np.bincount(levels, weights, minlength=n_thresholds)[:n_thresholds])


def _buffer_rows(
    ranges: np.ndarray, truth: np.ndarray, reach: int
) -> tuple[np.ndarray, np.ndarray]:
    """Rows near anomalies, once for each anomaly that is near, and their distances, ascending."""
    steps = np.arange(1, reach + 1)
    rows = np.concatenate([ranges[:, :1] - steps, ranges[:, 1:] + steps], axis=None)
    distances = np.tile(steps, 2 * len(ranges))
    kept = (rows >= 0) & (rows < len(truth))
    kept[kept] = ~truth[rows[kept]]
    rows, distances = rows[kept], distances[kept]
    order = np.argsort(distances, kind="stable")
    return rows[order], distances[order]


def _first_levels(level: np.ndarray, ranges: np.ndarray, margin: int) -> np.ndarray:
    """The first threshold that finds each widened anomaly; those that touch are one."""
    first = np.maximum(ranges[:, 0] - margin, 0)
    last = np.minimum(ranges[:, 1] + margin, len(level) - 1)
    apart = np.flatnonzero(last[:-1] < first[1:])
    first = first[np.concatenate([[0], apart + 1])]
    last = last[np.concatenate([apart, [len(last) - 1]])]
    # reduceat takes alternate slices: the anomalies, and what lies between them.
    bounds = np.column_stack([first, last + 1]).ravel()
    return np.minimum.reduceat(np.append(level, level.max()), bounds)[::2]
