"""The nearest-window detector, slow and obvious: a window, a known one and a row at a time."""

from __future__ import annotations

import math

import numpy as np


def segments(rows: np.ndarray, segment: int) -> np.ndarray:
    return np.array([rows[i : i + segment].mean() for i in range(0, len(rows), segment)])


def standardised(window: np.ndarray) -> np.ndarray:
    return (window - window.mean()) / max(window.std(), 0.1)


def distance(a: np.ndarray, b: np.ndarray) -> float:
    return math.dist(a, b) / math.sqrt(len(a))


def nearest(window: np.ndarray, known: list[np.ndarray], allowed: list[bool]) -> tuple[float, int]:
    return min((distance(window, other), i) for i, other in enumerate(known) if allowed[i])


def from_mean(window: np.ndarray, known: list[np.ndarray]) -> float:
    """Mahalanobis distance to the mean of the known windows, a root mean square."""
    centred = np.array(known) - np.mean(known, axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred / len(centred))
    floor = max(values.mean(), 1e-4)
    along = (window - np.mean(known, axis=0)) @ vectors
    return math.sqrt(np.mean(along**2 / np.maximum(values, floor)))


def mean_of_strangest(scores: list[float]) -> float:
    n = math.ceil(len(scores) / 5)
    return sum(sorted(scores)[-n:]) / n


def window_scores(detector, bank, start: int, values: np.ndarray, own_start) -> list[float]:
    """The scores of one window, without units."""
    window, segment = bank.scale.window, bank.scale.segment
    forms = [lambda w: w, standardised]
    by_form: list[list[float]] = [[], []]
    mean_distances = []
    for column in range(detector.n_columns):
        scaled = (values[:, column] - detector.offset[column]) / detector.deviation[column]
        query = segments(scaled[start : start + window], segment)
        known = list(bank.windows[column].astype(float))
        allowed = [
            own_start is None or abs(own_start + start - other) >= window for other in bank.starts
        ]
        for form, transform in enumerate(forms):
            found, which = nearest(transform(query), [transform(w) for w in known], allowed)
            usual = bank.usual[form]
            by_form[form].append(found / (usual[column, which] + max(usual.mean(), 0.01)))
        mean_distances.append(from_mean(query, known))
    scores = [mean_of_strangest(columns) for columns in by_form]
    return [*scores, mean_of_strangest(mean_distances)] if bank.with_mean else scores


def by_length(detector, values: np.ndarray, own_start=None) -> np.ndarray:
    """For each length and row, the mean and the least over the windows that hold it."""
    n_rows, n_columns = values.shape
    lengths, weight = [], 0.0
    for bank, level in zip(detector.banks, detector.levels, strict=True):
        window, stride = bank.scale.window, bank.scale.stride
        starts = sorted({*range(0, n_rows - window + 1, stride), n_rows - window})
        weights = [1.0, 1.0] + ([(n_columns - 1) / 4] if bank.with_mean else [])
        found = {}
        for start in starts:
            scores = window_scores(detector, bank, start, values, own_start)
            found[start] = sum(w * s / u for w, s, u in zip(weights, scores, level, strict=True))
        held = [[found[s] for s in starts if s <= row < s + window] for row in range(n_rows)]
        lengths.append([(sum(some) / len(some), min(some)) for some in held])
        weight += sum(weights)
    return np.array(lengths) * len(lengths) / weight


def row_scores(detector, values: np.ndarray, own_start=None) -> np.ndarray:
    """For each row, the mean and the least over the windows that hold it, with what is added."""
    added = 0.0
    if detector.ridge is not None:
        scaled = (values - detector.offset) / detector.deviation
        added = np.transpose(detector.ridge.scores(scaled, own_start))
    return by_length(detector, values, own_start).mean(axis=0) + added


def surroundings(scores: list[float], reach: int) -> list[float]:
    """The highest score within ``reach`` rows, averaged over as many on either side."""
    n = len(scores)
    near = [range(max(i - reach, 0), min(i + reach + 1, n)) for i in range(n)]
    highest = [max(scores[j] for j in rows) for rows in near]
    return [sum(highest[j] for j in rows) / len(rows) for rows in near]
