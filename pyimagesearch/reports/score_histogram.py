"""A histogram of the scores of a batch, for the page of a run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_N_BARS = 40  # at least, between the lowest and the highest score


@dataclass(frozen=True)
class ScoreHistogram:
    """Counts of scores, with an edge at the threshold, so that no bar counts both labels.

    Attributes:
        edges: (n_bars + 1,) float64; a score is above the lower edge of its bar and at most at
            the upper one.
        counts: (n_bars,) int64.
        threshold: above which an item is an anomaly.
        limit: scores beyond it are counted in the last bar.
        n_beyond: number of these.
    """

    edges: np.ndarray
    counts: np.ndarray
    threshold: float
    limit: float
    n_beyond: int

    @classmethod
    def from_scores(cls, scores: np.ndarray, threshold: float) -> ScoreHistogram:
        """Count the scores of a batch.

        Args:
            scores: (n,) of the readable items, at least one.
            threshold: as of the class.
        """
        # A few very high scores would squeeze all others into one bar.
        low, high = np.quantile(np.append(scores, threshold), [0.05, 0.95])
        limit = max(threshold, float(high + 3 * (high - low)))
        kept = np.minimum(scores, limit)
        usual = np.histogram_bin_edges(np.append(kept, threshold), bins=_N_BARS)
        step = usual[1] - usual[0]
        n_below, n_above = (int(np.ceil(abs(end - threshold) / step)) for end in usual[[0, -1]])
        edges = threshold + step * np.arange(-n_below - 1, n_above + 2)
        # numpy counts a score at an edge in the bar above it, but at the threshold it is normal.
        counts = np.histogram(-kept, -edges[::-1])[0][::-1]
        return cls(edges, counts, threshold, limit, int((scores > limit).sum()))

    @property
    def threshold_position(self) -> float:
        """Where the threshold lies between the first and the last edge, from 0 to 1."""
        first, last = self.edges[[0, -1]]
        return float((self.threshold - first) / (last - first))

    def bars(self) -> list[tuple[float, float, int, bool]]:
        """(lower edge, upper edge, count, whether it counts anomalies) of each bar."""
        lows, highs = self.edges[:-1].tolist(), self.edges[1:].tolist()
        above = (self.edges[:-1] + self.edges[1:] > 2 * self.threshold).tolist()
        return list(zip(lows, highs, self.counts.tolist(), above, strict=True))
