"""Precision and recall of a series over ranges of anomalous rows, not over single rows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pyimagesearch.metrics.arguments import as_labels

BIASES = ("flat", "front", "middle", "back")


def label_ranges(labels: ArrayLike) -> np.ndarray:
    """Find the runs of anomalous rows.

    Args:
        labels: (n_rows,), not 0 for anomalous rows.

    Returns:
        (n_ranges, 2) int64, ascending: first and last row of each, both included.

    Raises:
        ValueError: labels of another shape or kind.
    """
    steps = np.diff(as_labels(labels).astype(np.int8), prepend=0, append=0)
    return np.column_stack([np.flatnonzero(steps == 1), np.flatnonzero(steps == -1) - 1])


def range_recall(
    labels: ArrayLike,
    called: ArrayLike,
    *,
    existence_weight: float = 0.0,
    bias: str = "flat",
    reciprocal: bool = True,
) -> float:
    """Compute recall over ranges: how much of each anomaly was found, in how many pieces.

    Tatbul, Lee, Zdonik, Alam and Gottschlich, Precision and Recall for Time Series, NeurIPS 2018,
    section 4. The defaults are the settings that the authors call most common.

    Args:
        labels: (n_rows,), not 0 for anomalous rows.
        called: (n_rows,), not 0 for rows that were called anomalous.
        existence_weight: the paper's alpha, 0 to 1: the reward for finding any row of an anomaly;
            the rest is for the share that was found.
        bias: the paper's delta, which rows of an anomaly count most: ``flat`` (all the same),
            ``front`` (early detection), ``middle`` or ``back``.
        reciprocal: the paper's gamma: an anomaly that was found in k pieces counts 1/k of the
            share; without it, all of it.

    Returns:
        0 to 1; nan without an anomaly.

    Raises:
        ValueError: the arguments do not fit each other, or are outside their bounds.
    """
    if not 0 <= existence_weight <= 1:
        raise ValueError(f"the weight of existence lies between 0 and 1, not at {existence_weight}")
    found = _overlaps(labels, called, bias)
    if not len(found.share):
        return math.nan
    overlap = found.reward(reciprocal)
    reward = existence_weight * (found.pieces > 0) + (1 - existence_weight) * overlap
    return float(reward.mean())


def range_precision(
    labels: ArrayLike, called: ArrayLike, *, bias: str = "flat", reciprocal: bool = True
) -> float:
    """Compute precision over ranges: how much of each called range is anomalous.

    Tatbul et al. (see ``range_recall``): the same with the roles exchanged, and without the reward
    for existence.

    Args:
        labels: (n_rows,), not 0 for anomalous rows.
        called: (n_rows,), not 0 for rows that were called anomalous.
        bias: which rows of a called range count most; see ``range_recall``.
        reciprocal: a called range that spans k anomalies counts 1/k of its share.

    Returns:
        0 to 1; nan where nothing was called.

    Raises:
        ValueError: the arguments do not fit each other, or are outside their bounds.
    """
    right = _overlaps(called, labels, bias)
    return float(right.reward(reciprocal).mean()) if len(right.share) else math.nan


@dataclass(frozen=True)
class _Overlaps:
    """What each range shares with the ranges of another labelling.

    Attributes:
        share: (n_ranges,) float64, omega: the weight of its rows that the others cover, of 1.
        pieces: (n_ranges,) int64, how many of the others it meets.
    """

    share: np.ndarray
    pieces: np.ndarray

    def reward(self, reciprocal: bool) -> np.ndarray:
        return self.share / np.maximum(self.pieces, 1) if reciprocal else self.share


def _overlaps(rows: ArrayLike, others: ArrayLike, bias: str) -> _Overlaps:
    if bias not in BIASES:
        raise ValueError(f"bias {bias!r} is not one of {', '.join(BIASES)}")
    covered = as_labels(others)
    if len(as_labels(rows)) != len(covered):
        raise ValueError("the labels and the verdicts differ in length")
    first, last = label_ranges(rows).T
    starts, ends = label_ranges(covered).T
    pieces = np.searchsorted(starts, last, "right") - np.searchsorted(ends, first, "left")
    inside, everywhere = (
        _weight(flags, first, last, bias) for flags in (covered, np.ones_like(covered))
    )
    return _Overlaps(inside / everywhere, pieces)


def _weight(covered: np.ndarray, first: np.ndarray, last: np.ndarray, bias: str) -> np.ndarray:
    """Sum delta over the covered rows of each range, by running sums: whole numbers, so exact.

    delta of the paper's figure 2b: the first row of a range counts 1 with ``back`` and its length
    with ``front``; with ``middle`` it rises to the middle and falls again.
    """
    numbers = np.cumsum(np.concatenate([[0], covered * np.arange(len(covered))]))
    counts = np.cumsum(np.concatenate([[0], covered]))

    def count(start: np.ndarray, stop: np.ndarray) -> np.ndarray:
        return counts[stop] - counts[start]

    def rising(start: np.ndarray, stop: np.ndarray) -> np.ndarray:
        return numbers[stop] - numbers[start] - (first - 1) * count(start, stop)

    def falling(start: np.ndarray, stop: np.ndarray) -> np.ndarray:
        return (last + 1) * count(start, stop) - (numbers[stop] - numbers[start])

    stop = last + 1
    if bias == "flat":
        return count(first, stop)
    if bias == "front":
        return falling(first, stop)
    if bias == "back":
        return rising(first, stop)
    middle = first + (stop - first) // 2
    return rising(first, middle) + falling(middle, stop)
