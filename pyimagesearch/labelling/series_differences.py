"""How a stretch of a series differs from the nearest one that a model knows, in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pyimagesearch.detectors.base import WindowDetector
from pyimagesearch.runtime.console import counted

_MOST_NAMED = 3  # columns
_NAMED_FROM = 0.5  # of the difference of the column that differs most
_NOTICEABLE = 0.5  # deviations of a column, in the root mean square
_ONE_SIDED = 0.5  # the mean difference over the mean of its absolute values

_HARDLY = "at no row far from the nearest known stretch"
_TOGETHER = "no column is far from its nearest known stretch, but they go together differently"


@dataclass(frozen=True)
class Comparison:
    """A range next to what is known.

    Attributes:
        first: the row of the scored series where ``known`` begins.
        known: (n, n_columns) float64, the nearest known stretch of each column, in its units.
        difference: which columns differ, how and when, in words.
    """

    first: int
    known: np.ndarray
    difference: str


def compare(
    detector: WindowDetector,
    values: np.ndarray,
    rows: tuple[int, int],
    own_start: int | None,
    names: Sequence[str],
    when: Callable[[int], str],
) -> Comparison | None:
    """Compare a range with the nearest stretch that a detector knows.

    Args:
        detector: knows stretches, or does not.
        values: (n_rows, n_columns) float64, the stretch without a gap that holds the range.
        rows: its first and last row, in ``values``.
        own_start: see ``WindowDetector.score_rows``.
        names: of the columns.
        when: the time of a row of ``values``, as it is to be shown.

    Returns:
        The comparison, its rows counted in ``values``; None where the detector knows no stretches.
    """
    found = detector.nearest_known(values, *rows, own_start)
    if found is None:
        return None
    start, known, deviation = found
    first, last = rows
    differences = values[first : last + 1] - known[first - start : last + 1 - start]
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        sizes = np.sqrt(np.nanmean((differences / deviation) ** 2, axis=0))
    ranked = np.argsort(-sizes, kind="stable")
    largest = sizes[ranked[0]]
    if not largest >= _NOTICEABLE:
        return Comparison(start, known, _TOGETHER if len(names) > 1 else _HARDLY)
    named = [c for c in ranked if sizes[c] >= _NAMED_FROM * largest]
    parts = [
        f"{names[c]!r} {_direction(differences[:, c])} than the nearest known stretch, most from "
        f"{' to '.join(when(first + row) for row in _extent(differences[:, c]))}"
        for c in named[:_MOST_NAMED]
    ]
    if len(named) > _MOST_NAMED:
        parts.append(f"and {counted(len(named) - _MOST_NAMED, 'more column')}")
    return Comparison(start, known, "; ".join(parts))


def _direction(difference: np.ndarray) -> str:
    share = difference.mean() / max(np.abs(difference).mean(), np.finfo(float).tiny)
    if abs(share) < _ONE_SIDED:
        return "partly higher and partly lower"
    return "higher" if share > 0 else "lower"


def _extent(difference: np.ndarray) -> tuple[int, int]:
    """The first and the last row that differ by half of the most."""
    size = np.abs(difference)
    large = np.flatnonzero(size >= size.max() / 2)
    return int(large[0]), int(large[-1])
