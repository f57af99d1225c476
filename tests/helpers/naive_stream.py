"""The stream detector, slow and obvious: each row is looked at with its whole past."""

from __future__ import annotations

import math

UNITS = (0.01, 0.1, 0.01, 0.1, 0.1, 0.1, 0.1)
DAY, WEEK = 86_400, 7 * 86_400


def sliding_minima(values: list[float], length: int) -> list[float]:
    return [min(values[max(i - length + 1, 0) : i + 1]) for i in range(len(values))]


def share(excess: float, seen: float) -> float:
    return min(excess / seen, 10.0) if seen > 0 else 10.0


def beyond_the_range(values: list[float]) -> list[float]:
    """How far each value lies outside the range of those before it, in shares of that range."""
    found = []
    for i, value in enumerate(values):
        past = values[:i]
        excess = max(value - max(past), min(past) - value) if past else 0.0
        found.append(share(excess, max(past) - min(past)) if excess > 0 else 0.0)
    return found


def departures(seconds: list[int], values: list[float], period: int, slot: int) -> list[float]:
    """How far each value lies from the mean of the earlier ones at its time of the period."""
    found = []
    for i, (second, value) in enumerate(zip(seconds, values, strict=True)):
        now = second % period // slot
        earlier = [
            v for s, v in zip(seconds[:i], values[:i], strict=True) if s % period // slot == now
        ]
        mean = 0.0
        for visit, v in enumerate(earlier, start=1):
            mean += (v - mean) / min(visit, 20)
        found.append(value - mean if earlier else 0.0)
    return found


def beyond_the_record(departed: list[float], length: int, spans: list[float]) -> list[float]:
    """How far the least of the last departures exceeds the largest such before.

    Args:
        departed: of each row.
        length: rows for which a departure must have kept its side.
        spans: (highest - lowest) value up to each row.
    """
    found, record = [], 0.0
    for i in range(len(departed)):
        last = departed[max(i - length + 1, 0) : i + 1]
        one_side = all(d > 0 for d in last) or all(d < 0 for d in last)
        held = min(abs(d) for d in last) if len(last) == length and one_side else 0.0
        found.append(share(held - record, max(record, 0.001 * spans[i])) if held > record else 0.0)
        record = max(record, held)
    return found


def surprises(seconds: list[int] | None, values: list[float], settings) -> list[tuple[float, ...]]:
    """The seven of each row of one column without missing values."""
    found = [
        beyond_the_range(values),
        beyond_the_range(sliding_minima(values, 2)),
        beyond_the_range(sliding_minima(values, settings.minimum)),
    ]
    if seconds is None:
        return [(*row, 0.0, 0.0, 0.0, 0.0) for row in zip(*found, strict=True)]
    spans = [max(values[: i + 1]) - min(values[: i + 1]) for i in range(len(values))]
    of_week = departures(seconds, values, WEEK, settings.slot)
    of_day = departures(seconds, values, DAY, settings.slot)
    found += [beyond_the_record(of_week, n, spans) for n in (1, settings.short, settings.long)]
    found.append(beyond_the_record(of_day, settings.long, spans))
    return list(zip(*found, strict=True))


def scores(seconds, columns: list[list[float]], settings, warm_up: int, rest: int) -> list[float]:
    """Score the rows of several columns, of which each may lack values (NaN)."""
    n_rows = len(columns[0])
    strengths = [[] for _ in range(n_rows)]
    for column in columns:
        known = [i for i in range(n_rows) if math.isfinite(column[i])]
        times = None if seconds is None else [seconds[i] for i in known]
        found = surprises(times, [column[i] for i in known], settings)
        for i, row in zip(known, found, strict=True):
            strengths[i].append(max(s * (1 / unit) for s, unit in zip(row, UNITS, strict=True)))
    counted = [i for i in range(n_rows) if strengths[i]]
    result = [0.0] * n_rows
    for place, i in enumerate(counted):
        strength = max(strengths[i])
        rested = all(strength > max(strengths[j]) for j in counted[max(place - rest, 0) : place])
        if place >= warm_up and rested and strength > 0:
            result[i] = strength
    return result
