"""Slow and obvious versions of the metrics, written from their papers' definitions."""

from __future__ import annotations

import itertools
import math

import numpy as np


def auroc(labels, scores) -> float:
    """The share of pairs that are in order; a tie is half in order."""
    anomalies = [s for s, label in zip(scores, labels, strict=True) if label]
    normal = [s for s, label in zip(scores, labels, strict=True) if not label]
    if not anomalies or not normal:
        return math.nan
    wins = sum((a > n) + (a == n) / 2 for a in anomalies for n in normal)
    return wins / (len(anomalies) * len(normal))


def counts_above(labels, scores, threshold) -> tuple[int, int, int]:
    """True positives, false positives and false negatives."""
    above = [s > threshold for s in scores]
    return (
        sum(a and bool(label) for a, label in zip(above, labels, strict=True)),
        sum(a and not label for a, label in zip(above, labels, strict=True)),
        sum(not a and bool(label) for a, label in zip(above, labels, strict=True)),
    )


def thresholds(scores) -> list[float]:
    """One below each distinct score, so that it is the lowest that is above; the highest first."""
    return [math.nextafter(s, -math.inf) for s in sorted(set(map(float, scores)), reverse=True)]


def average_precision(labels, scores) -> float:
    if not any(labels):
        return math.nan
    area = recall_before = 0.0
    for threshold in thresholds(scores):
        hits, false, missed = counts_above(labels, scores, threshold)
        recall = hits / (hits + missed)
        area += (recall - recall_before) * hits / (hits + false)
        recall_before = recall
    return area


def best_f1(labels, scores) -> float:
    best = 0.0
    for threshold in thresholds(scores):
        hits, false, missed = counts_above(labels, scores, threshold)
        if hits:
            precision, recall = hits / (hits + false), hits / (hits + missed)
            best = max(best, 2 * precision * recall / (precision + recall))
    return best


def wilson_interval(successes: int, trials: int, z: float) -> tuple[float, float]:
    """All rates that the measured one would not contradict, on a fine grid."""
    rates = np.linspace(0, 1, 100_001)
    deviation = np.abs(successes / trials - rates)
    agreeing = rates[deviation <= z * np.sqrt(rates * (1 - rates) / trials) + 1e-12]
    return float(agreeing.min()), float(agreeing.max())


def auroc_interval(value: float, n_anomalies: int, n_normal: int, z: float) -> tuple[float, float]:
    """All areas that the measured one would not contradict, by Hanley and McNeil's variance."""
    areas = np.linspace(0, 1, 100_001)
    q1, q2 = areas / (2 - areas), 2 * areas**2 / (1 + areas)
    others = (n_anomalies + n_normal) / 2 - 1  # Newcombe: instead of either number less one
    variance = areas * (1 - areas) + others * (q1 - areas**2) + others * (q2 - areas**2)
    deviation = np.sqrt(np.maximum(variance, 0) / (n_anomalies * n_normal))
    agreeing = areas[np.abs(value - areas) <= z * deviation + 1e-12]
    return float(agreeing.min()), float(agreeing.max())


def runs(labels) -> list[list[int]]:
    """The rows of each run of anomalous rows."""
    found: list[list[int]] = []
    for row, label in enumerate(labels):
        if label and row > 0 and labels[row - 1]:
            found[-1].append(row)
        elif label:
            found.append([row])
    return found


def vus_pr(labels, scores, max_buffer: int, n_thresholds: int) -> float:
    n_rows = len(labels)
    ranges = [(rows[0], rows[-1]) for rows in runs(labels)]
    if not ranges:
        return math.nan
    descending = sorted(scores, reverse=True)
    ranks = [int(x) for x in np.linspace(0, n_rows - 1, n_thresholds)]
    areas = []
    for buffer in range(max_buffer + 1):
        weight = [float(bool(label)) for label in labels]
        for row in range(n_rows):
            if labels[row]:
                continue
            for first, last in ranges:
                distance = first - row if row < first else row - last
                if distance <= buffer // 2:
                    weight[row] += math.sqrt(1 - distance / buffer)
            weight[row] = min(weight[row], 1.0)
        margin = buffer // 2
        # Neighbours that touch without sharing a row stay apart.
        segments: list[list[int]] = []
        for first, last in ranges:
            rows = set(range(max(first - margin, 0), min(last + margin, n_rows - 1) + 1))
            if segments and rows & set(segments[-1]):
                segments[-1] = sorted(rows | set(segments[-1]))
            else:
                segments.append(sorted(rows))
        area = recall_before = 0.0
        for rank in ranks:
            called = [s >= descending[rank] for s in scores]
            hits = sum(w for w, c in zip(weight, called, strict=True) if c)
            beside = sum(
                w for w, c, label in zip(weight, called, labels, strict=True) if c and not label
            )
            n_true = sum(map(bool, labels))
            to_find = (n_true + (n_true + beside)) / 2
            met = sum(any(called[row] for row in rows) for rows in segments) / len(segments)
            recall = min(hits / to_find, 1.0) * met
            area += (recall - recall_before) * hits / sum(called)
            recall_before = recall
        areas.append(area)
    return sum(areas) / len(areas)


def ucr_hit(scores, first: int, last: int, train_end: int) -> bool:
    best = max(range(train_end, len(scores)), key=lambda row: (scores[row], -row))
    length = last - first + 1
    allowed = range(first - max(100, length), last + max(100, length) + 1)
    return best in allowed


def position_weight(position: int, length: int, bias: str) -> float:
    """delta of figure 2b; positions count from 1."""
    if bias == "front":
        return length - position + 1
    if bias == "back":
        return position
    if bias == "middle":
        return position if position <= length / 2 else length - position + 1
    return 1


def overlap_reward(rows: list[int], others: list[list[int]], bias: str, reciprocal: bool) -> float:
    """OverlapReward: CardinalityFactor times the sum of omega, which is figure 2a."""
    total = 0.0
    for other in others:
        mine = most = 0.0
        for position, row in enumerate(rows, start=1):
            weight = position_weight(position, len(rows), bias)
            most += weight
            if row in other:
                mine += weight
        total += mine / most
    met = sum(bool(set(rows) & set(other)) for other in others)
    return total / met if reciprocal and met > 1 else total


def range_recall(labels, called, existence_weight: float, bias: str, reciprocal: bool) -> float:
    real, predicted = runs(labels), runs(called)
    if not real:
        return math.nan
    total = 0.0
    for rows in real:
        existence = any(set(rows) & set(other) for other in predicted)
        total += existence_weight * existence
        total += (1 - existence_weight) * overlap_reward(rows, predicted, bias, reciprocal)
    return total / len(real)


def range_precision(labels, called, bias: str, reciprocal: bool) -> float:
    real, predicted = runs(labels), runs(called)
    if not predicted:
        return math.nan
    return sum(overlap_reward(rows, real, bias, reciprocal) for rows in predicted) / len(predicted)


def nab_score(files, scores, weights, threshold: float) -> float:
    """Score one threshold.

    Args:
        files: by name, (n_rows, windows).
        scores: by name.
        weights: of a hit, a miss and a false alarm.
        threshold: alarms are above it.
    """
    hit, miss, false_alarm = weights

    def sigmoid(position):
        return 2 / (1 + math.exp(5 * position)) - 1

    total = never = perfect = 0.0
    for name, (n_rows, windows) in files.items():
        probation = min(math.floor(0.15 * n_rows), 750)
        alarms = [r for r in range(probation, n_rows) if scores[name][r] > threshold]
        for first, last in windows:
            if last < probation:
                continue
            never -= miss
            perfect += hit
            inside = [row for row in alarms if first <= row <= last]
            if inside:
                early = (last - inside[0] + 1) / (last - first + 1)
                total += hit * sigmoid(-early) / sigmoid(-1)
            else:
                total -= miss
        for row in alarms:
            if any(first <= row <= last for first, last in windows):
                continue
            before = [(first, last) for first, last in windows if last < row]
            position = 3.0
            if before:
                first, last = before[-1]
                position = min((row - last) / max(last - first, 1), 3.0)
            total += false_alarm * (-1 if position == 3.0 else sigmoid(position))
    return 100 * (total - never) / (perfect - never) if perfect else math.nan


def regions(mask) -> list[set[tuple[int, int]]]:
    """Defective pixels that are connected over edges and corners."""
    left = {(int(y), int(x)) for y, x in np.argwhere(mask)}
    found = []
    while left:
        region, edge = set(), [left.pop()]
        while edge:
            y, x = edge.pop()
            region.add((y, x))
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= near
            edge += near
        found.append(region)
    return found


def aupro(pairs, limit: float) -> float:
    """Draw the curve threshold by threshold, then cut it at the limit."""
    pairs = [(mask, heat.astype(float)) for mask, heat in pairs]
    every = [(heat, region) for mask, heat in pairs for region in regions(mask)]
    normal = np.concatenate([heat[mask == 0] for mask, heat in pairs])
    if not every or not len(normal):
        return math.nan
    curve = [(0.0, 0.0)]
    for threshold in thresholds(np.concatenate([heat.ravel() for _, heat in pairs])):
        overlap = [
            sum(heat[pixel] > threshold for pixel in region) / len(region) for heat, region in every
        ]
        curve.append((float((normal > threshold).mean()), sum(overlap) / len(overlap)))
    area = 0.0
    for (x0, y0), (x1, y1) in itertools.pairwise(curve):
        if x0 >= limit or x1 == x0:
            continue
        stop = min(x1, limit)
        y_stop = y0 + (y1 - y0) * (stop - x0) / (x1 - x0)
        area += (stop - x0) * (y0 + y_stop) / 2
    return area / limit
