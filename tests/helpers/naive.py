"""Slow and obvious versions of the project's kernels, to compare the fast ones with."""

from __future__ import annotations

import math

import numpy as np


def average_path_length(n: int) -> float:
    """c(n) of the isolation forest paper, equation 1."""
    if n <= 1:
        return 0.0
    if n == 2:
        return 1.0
    return 2.0 * (math.log(n - 1) + 0.5772156649015329) - 2.0 * (n - 1) / n


def forest_score(forest, row: np.ndarray) -> float:
    """Walk one item down every tree of a IsolationForestDetector."""
    row = row.astype(np.float32)
    total = 0.0
    n_trees = len(forest.tree_start) - 1
    for tree in range(n_trees):
        start = node = int(forest.tree_start[tree])
        depth = 0
        while forest.feature[node] >= 0:
            below = row[forest.feature[node]] <= forest.threshold[node]
            child = forest.left[node] if below else forest.right[node]
            node = start + int(child)
            depth += 1
        total += depth + average_path_length(int(forest.n_samples[node]))
    return 2.0 ** (-(total / n_trees) / average_path_length(forest.max_samples))


def p_value(score: float, calibration: list[float]) -> float:
    return (1 + sum(c >= score for c in calibration)) / (len(calibration) + 1)


def back_projection(hsv: np.ndarray, bins: tuple[int, int, int], values: np.ndarray) -> np.ndarray:
    """Look up each pixel's bin, one at a time."""
    table = values.reshape(bins)
    out = np.empty(hsv.shape[:2], np.float32)
    for y in range(hsv.shape[0]):
        for x in range(hsv.shape[1]):
            h, s, v = (int(c) for c in hsv[y, x])
            out[y, x] = table[h * bins[0] // 180, s * bins[1] // 256, v * bins[2] // 256]
    return out


def autoencoder_score(detector, picture: np.ndarray) -> float:
    """Score one picture with an AutoencoderDetector, direction by direction and pixel by pixel."""
    components = detector.components
    centred = picture.astype(np.float64) - components.mean
    floor = 0.05 * sum(map(float, components.variances)) / len(components.variances)
    distance = sum(
        float(np.dot(direction, centred)) ** 2 / (float(variance) + floor)
        for direction, variance in zip(components.directions, components.variances, strict=True)
    )
    height, width, channels = detector.shape
    residual = (detector.reconstruct(picture) - picture).reshape(detector.shape)
    sigma = max(height, width) / 40
    reach = 2 * math.ceil(4 * sigma) + 2
    error = 0.0
    for channel in range(channels):
        smoothed = _blurred(residual[:, :, channel].astype(np.float64), sigma, reach)
        error += float((smoothed**2).sum())
    error /= height * width * channels
    return math.log(distance / detector.units[1]) + math.log(error / detector.units[0]) / 2


def _blurred(values: np.ndarray, sigma: float, reach: int) -> np.ndarray:
    weights = [math.exp(-(d**2) / (2 * sigma**2)) for d in range(-reach, reach + 1)]
    padded = np.pad(values, reach, mode="reflect")
    out = np.zeros_like(values)
    for y, wy in enumerate(weights):
        for x, wx in enumerate(weights):
            out += wy * wx * padded[y : y + values.shape[0], x : x + values.shape[1]]
    return out / sum(weights) ** 2


def row_scores(starts, scores, n_rows: int, time_steps: int) -> list[tuple[float, float]]:
    """Mean and least score of the windows that hold each row, row by row."""
    found = []
    for row in range(n_rows):
        held = [
            score
            for start, score in zip(starts, scores, strict=True)
            if start <= row < start + time_steps
        ]
        found.append((sum(held) / len(held), min(held)))
    return found


def least_overlap(truth, scores):
    """The share of normal items above and of anomalies not above the best threshold."""
    best = 2.0
    for threshold in scores:
        rejected = [s > threshold for s, anomaly in zip(scores, truth, strict=True) if not anomaly]
        escaped = [s <= threshold for s, anomaly in zip(scores, truth, strict=True) if anomaly]
        best = min(best, sum(rejected) / len(rejected) + sum(escaped) / len(escaped))
    return best


def false_alarms(threshold: float, calibration, n_items: int) -> tuple[float, int, int]:
    """``thresholds.false_alarms`` by counting orders: (rate, low, high).

    Of all orders of known and new normal items, each as likely as any other, those in which so
    many new ones lie above the known one that stands for the threshold.
    """
    n_known = len(calibration)
    n_above = 1 + sum(score > threshold for score in calibration)
    n_below = n_known + 1 - n_above
    rate = n_above / (n_known + 1)
    if not n_below or not n_items:
        return rate, n_items, n_items
    orders = [
        math.comb(n_above - 1 + k, k) * math.comb(n_below - 1 + n_items - k, n_items - k)
        for k in range(n_items + 1)
    ]
    ends, total, so_far = [], sum(orders), 0
    for k, number in enumerate(orders):
        so_far += number
        ends += [k] * (so_far >= 0.025 * total and not ends)
        if so_far >= 0.975 * total:
            return rate, ends[0], k
    raise AssertionError


def mean_absolute_errors(windows: np.ndarray, predictions: np.ndarray) -> list[list[float]]:
    """The error of each column of each window, step by step."""
    return [
        [
            sum(abs(float(p) - float(w)) for p, w in zip(predicted, actual, strict=True))
            / len(actual)
            for predicted, actual in zip(predicted_window.T, window.T, strict=True)
        ]
        for predicted_window, window in zip(predictions, windows, strict=True)
    ]
