"""How well scores rank anomalies above normal items: AUROC, average precision, best F1."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pyimagesearch.metrics.arguments import as_labels_and_scores


@dataclass(frozen=True)
class _Cuts:
    """Counts of what is called an anomaly at every distinct score, from the highest down.

    Attributes:
        score: (n,) float64, the lowest score that is called an anomaly.
        true_positives, false_positives: (n,) int64.
    """

    score: np.ndarray
    true_positives: np.ndarray
    false_positives: np.ndarray


def auroc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Compute the area under the receiver operating characteristic.

    It is the chance that an anomaly scores higher than a normal item, where a tie is half a chance:
    Hanley and McNeil, The Meaning and Use of the Area under a Receiver Operating Characteristic
    (ROC) Curve, Radiology 143 (1982).

    Args:
        labels: (n,), not 0 for anomalies.
        scores: (n,), higher is more anomalous.

    Returns:
        0 to 1; nan without an anomaly or without a normal item.

    Raises:
        ValueError: the arguments do not fit each other, or a score is not finite.
    """
    cuts = _cuts(*as_labels_and_scores(labels, scores))
    return area_under_steps(cuts.false_positives, cuts.true_positives)


def area_under_steps(false_positives: np.ndarray, true_positives: np.ndarray) -> float:
    """Compute the area under a ROC curve given by counts.

    Args:
        false_positives, true_positives: (n,) int64, ascending, one pair per threshold; the last
            pair counts all items.

    Returns:
        0 to 1; nan without positives or without negatives.
    """
    if not len(true_positives) or not true_positives[-1] or not false_positives[-1]:
        return math.nan
    before = np.concatenate([[0], true_positives[:-1]])
    # Exact as long as twice the product of both counts stays below 2^63.
    twice = int(np.sum(np.diff(false_positives, prepend=0) * (before + true_positives)))
    return twice / (2 * int(true_positives[-1]) * int(false_positives[-1]))


def average_precision(labels: ArrayLike, scores: ArrayLike) -> float:
    """Compute average precision: the area under the precision-recall curve, AUC-PR, by steps.

    The sum over the distinct scores of precision times the gain in recall, without interpolation,
    which would be optimistic: Davis and Goadrich, The Relationship Between Precision-Recall and ROC
    Curves, ICML 2006. Equal to scikit-learn's ``average_precision_score``.

    Args:
        labels: (n,), not 0 for anomalies.
        scores: (n,), higher is more anomalous.

    Returns:
        0 to 1; nan without an anomaly.

    Raises:
        ValueError: the arguments do not fit each other, or a score is not finite.
    """
    truth, values = as_labels_and_scores(labels, scores)
    if not truth.any():
        return math.nan
    cuts = _cuts(truth, values)
    precision = cuts.true_positives / (cuts.true_positives + cuts.false_positives)
    gains = np.diff(cuts.true_positives, prepend=0)
    return float(np.sum(gains * precision) / cuts.true_positives[-1])


def best_f1(labels: ArrayLike, scores: ArrayLike) -> tuple[float, float]:
    """Find the threshold with the highest F1: van Rijsbergen, Information Retrieval (1979), ch. 7.

    Since the threshold is chosen on the same items, F1 is the best that could have been reached,
    not what to expect of new items.

    Args:
        labels: (n,), not 0 for anomalies.
        scores: (n,), higher is more anomalous.

    Returns:
        F1, and the threshold above which an item is called an anomaly; of thresholds that are
        equally good, the highest.

    Raises:
        ValueError: there is no anomaly, the arguments do not fit each other, or a score is not
            finite.
    """
    truth, values = as_labels_and_scores(labels, scores)
    n_true = int(truth.sum())
    if not n_true:
        raise ValueError("no label is an anomaly, so that no threshold has a best F1")
    cuts = _cuts(truth, values)
    f1 = 2 * cuts.true_positives / (n_true + cuts.true_positives + cuts.false_positives)
    best = int(np.argmax(f1))
    return float(f1[best]), float(np.nextafter(cuts.score[best], -np.inf))


def _cuts(truth: np.ndarray, values: np.ndarray) -> _Cuts:
    order = np.argsort(-values, kind="stable")
    ordered, hits = values[order], np.cumsum(truth[order])
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], len(ordered) > 0))
    return _Cuts(ordered[last], hits[last], last + 1 - hits[last])
