"""Check the arguments of all metrics: labels and scores."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def as_labels(labels: ArrayLike, name: str = "labels") -> np.ndarray:
    """Convert labels to booleans.

    Args:
        labels: (n,) booleans or numbers; what is not 0 is an anomaly.
        name: what messages call them.

    Returns:
        (n,) bool.

    Raises:
        ValueError: they have another shape, or are text or nan.
    """
    values = np.asarray(labels)
    _check_shape(values, name)
    if values.size and values.dtype.kind not in "biuf":
        raise ValueError(f"{name} must be numbers or booleans, not {values.dtype}")
    if values.dtype.kind == "f":
        _check_finite(values, name)
    return values != 0


def as_scores(scores: ArrayLike, name: str = "scores") -> np.ndarray:
    """Convert scores to float64.

    Args:
        scores: (n,) numbers.
        name: what messages call them.

    Returns:
        (n,) float64, finite.

    Raises:
        ValueError: they have another shape, or one is not finite.
    """
    values = np.asarray(scores, np.float64)
    _check_shape(values, name)
    _check_finite(values, name)
    return values


def as_labels_and_scores(labels: ArrayLike, scores: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Convert labels and scores.

    Args:
        labels: (n,), see ``as_labels``.
        scores: (n,), see ``as_scores``.

    Raises:
        ValueError: one of them is not as it must be, or their lengths differ.
    """
    truth, values = as_labels(labels), as_scores(scores)
    if len(truth) != len(values):
        raise ValueError(f"there are {len(truth)} labels and {len(values)} scores")
    return truth, values


def _check_shape(values: np.ndarray, name: str) -> None:
    if values.ndim != 1:
        raise ValueError(f"{name} must have one dimension, not {values.ndim}")


def _check_finite(values: np.ndarray, name: str) -> None:
    finite = np.isfinite(values)
    if not finite.all():
        index = int(np.argmin(finite))
        raise ValueError(f"{name} must be finite: number {index} is {values[index]}")
