"""Slow and obvious versions of what is done with patches."""

from __future__ import annotations

import numpy as np


def nearest_squared(points: np.ndarray, bank: np.ndarray) -> list[float]:
    return [
        min(float(((p - b) ** 2).sum()) for b in bank.astype(float)) for p in points.astype(float)
    ]


def greedy(points: np.ndarray, first: int, size: int) -> list[int]:
    return greedy_from(points, [first], size)


def greedy_from(points: np.ndarray, chosen: list[int], size: int) -> list[int]:
    points, chosen = points.astype(float), list(chosen)
    while len(chosen) < size:
        apart = [min(((p - points[i]) ** 2).sum() for i in chosen) for p in points]
        chosen.append(int(np.argmax(apart)))
    return chosen


def pool_and_interpolate(
    maps: np.ndarray, shape: tuple[int, int], stride: float, offsets: tuple[float, float]
) -> np.ndarray:
    """Zero-padded 3 x 3 means, then bilinear values at ``i * stride + offset``."""
    n_channels, rows, columns = maps.shape
    padded = np.pad(maps, ((0, 0), (1, 1), (1, 1)))
    means = np.array(
        [
            [padded[:, y : y + 3, x : x + 3].mean(axis=(1, 2)) for x in range(columns)]
            for y in range(rows)
        ]
    )
    out = np.empty((n_channels, *shape))
    for i in range(shape[0]):
        for j in range(shape[1]):
            y = min(max(i * stride + offsets[0], 0), rows - 1)
            x = min(max(j * stride + offsets[1], 0), columns - 1)
            y0, x0 = int(y), int(x)
            y1, x1 = min(y0 + 1, rows - 1), min(x0 + 1, columns - 1)
            a, b = y - y0, x - x0
            out[:, i, j] = (
                (1 - a) * (1 - b) * means[y0, x0]
                + (1 - a) * b * means[y0, x1]
                + a * (1 - b) * means[y1, x0]
                + a * b * means[y1, x1]
            )
    return out


def mean_of_nearest(known: np.ndarray, row: np.ndarray, n_nearest: int) -> float:
    """Mean Mahalanobis distance to the nearest rows, where a variance of 1 is added everywhere."""
    mean, spread = known.mean(axis=0), known.std(axis=0)
    standard = (known - mean) / spread
    weights = np.linalg.inv(standard.T @ standard / len(known) + np.eye(len(mean)))
    apart = [(row - mean) / spread - other for other in standard]
    lengths = sorted(float(difference @ weights @ difference) ** 0.5 for difference in apart)
    return float(np.mean(lengths[:n_nearest])) / len(mean) ** 0.5
