"""Small plots of series as paths of SVG, cheap enough for a thousand of them on one page.

For each pixel across, a line goes from the lowest value of its rows to the highest, so that no
spike is lost; matplotlib would take a second for each plot.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from pyimagesearch.labelling.series import Range, ScoredSeries
from pyimagesearch.labelling.verdict import ANOMALY
from pyimagesearch.reports.plots import MOST_COLUMNS_DRAWN, column_label

SMALL = (240, 48)  # pixels across, and of the height
LARGE = (1000, 110)
_LEAST_WIDTH = 2.0  # pixels of a mark
_MOST_PIXELS = 10_000


@dataclass(frozen=True)
class Sketch:
    """One line of a plot.

    Attributes:
        low, high: of each pixel across, its ends in pixels from the top; -1 where there is nothing.
        height: in pixels.
        n_rows: that it shows.
        lowest, highest: the values at its bottom and its top.
        line: pixels from the top of a threshold, or None.
    """

    low: tuple[int, ...]
    high: tuple[int, ...]
    height: int
    n_rows: int
    lowest: float
    highest: float
    line: float | None = None

    @classmethod
    def draw(
        cls, values: np.ndarray, size: tuple[int, int], threshold: float | None = None
    ) -> Self:
        """Sketch (n_rows,) values, NaN where there are none.

        Args:
            values: at least one.
            size: pixels across, at most, and of the height.
            threshold: that is drawn, too.
        """
        n_rows, (width, height) = len(values), size
        width = min(width, n_rows)
        finite = np.isfinite(values)
        shown = [*values[finite], *([] if threshold is None else [threshold])]
        lowest, highest = (float(min(shown)), float(max(shown))) if shown else (0.0, 0.0)
        span = highest - lowest or 1.0

        def from_top(value: np.ndarray | float) -> np.ndarray:
            return 1 + (highest - value) / span * (height - 2)  # a pixel of air on either side

        edges = np.arange(width) * n_rows // width
        low = np.minimum.reduceat(np.where(finite, values, np.inf), edges)
        high = np.maximum.reduceat(np.where(finite, values, -np.inf), edges)
        # Each line reaches the one before it.
        low[1:], high[1:] = (
            np.where(np.isfinite(high[:-1]), np.minimum(low[1:], high[:-1]), low[1:]),
            np.where(np.isfinite(low[:-1]), np.maximum(high[1:], low[:-1]), high[1:]),
        )
        known = np.isfinite(low) & np.isfinite(high)
        ends = (
            tuple(np.where(known, np.rint(from_top(np.where(known, v, highest))), -1).astype(int))
            for v in (low, high)
        )
        bottoms, tops = (tuple(map(int, end)) for end in ends)
        line = None if threshold is None else float(from_top(threshold))
        return cls(bottoms, tops, height, n_rows, lowest, highest, line)

    @property
    def width(self) -> int:
        """Pixels across."""
        return len(self.low)

    @property
    def path(self) -> str:
        """The line, as the data of a path of SVG."""
        return "".join(
            f"M{x} {top}V{max(bottom, top + 1)}"
            for x, (top, bottom) in enumerate(zip(self.high, self.low, strict=True))
            if top >= 0
        )

    def mark(self, one: Range) -> tuple[float, float]:
        """Where a range begins and how wide it is, in pixels."""
        first, last = one.rows
        scale = self.width / self.n_rows
        width = max((last - first + 1) * scale, _LEAST_WIDTH)
        return round(min(first * scale, self.width - width), 1), round(width, 1)

    def to_json(self) -> dict[str, Any]:
        """JSON types, from which ``from_json`` makes it again."""
        return {name: getattr(self, name) for name in _FIELDS}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """Check and take over what ``to_json`` gave; raises ``ValueError`` where it is not that."""
        try:
            sketch = cls(**{**fields, "low": tuple(fields["low"]), "high": tuple(fields["high"])})
            whole = (*sketch.low, *sketch.high, sketch.height, sketch.n_rows)
            fits = (
                all(isinstance(number, int) and number >= -1 for number in whole)
                and 0 < len(sketch.low) == len(sketch.high) <= min(_MOST_PIXELS, sketch.n_rows)
                and all(map(math.isfinite, (sketch.lowest, sketch.highest)))
                and sketch.line is None
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a sketch ({error})") from error
        if not fits:
            raise ValueError("not a sketch")
        return sketch


_FIELDS = ("low", "high", "height", "n_rows", "lowest", "highest", "line")


@dataclass(frozen=True)
class Panel:
    """One of the plots of a series that is shown large.

    Attributes:
        title: the name of the column, or of what is plotted.
        sketch: the line.
    """

    title: str
    sketch: Sketch


def small_sketch(scored: ScoredSeries) -> Sketch:
    """The first column of a series, small."""
    return Sketch.draw(scored.values[:, 0], SMALL)


def large_panels(scored: ScoredSeries, threshold: float) -> list[Panel]:
    """The columns of a series, of many the first few, and its scores with the threshold."""
    names: Sequence[str] = scored.series.names[:MOST_COLUMNS_DRAWN]
    panels = [
        Panel(column_label(name), Sketch.draw(values, LARGE))
        for name, values in zip(names, scored.values.T, strict=False)
    ]
    return [*panels, Panel("score", Sketch.draw(scored.scores, LARGE, threshold))]


def marks(sketch: Sketch, ranges: Sequence[Range]) -> list[tuple[float, float, bool]]:
    """Where ranges lie in a sketch: ``Sketch.mark``, and whether each is an anomaly."""
    return [(*sketch.mark(one), one.label == ANOMALY) for one in ranges]
