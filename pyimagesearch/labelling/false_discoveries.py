"""What a false-discovery rate says about the anomalies of a batch, in words."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pyimagesearch.labelling.thresholds import best_rate, items_needed


def fewest_discoveries(rate: float, n_calibration: int, n_items: int) -> int:
    """How many items of a batch must stand out together to be anomalies: k rate / m >= 1 / (n + 1).

    Args:
        rate: as of ``thresholds.score_for_discovery_rate``.
        n_calibration: n, the number of calibration items.
        n_items: m, of the batch.
    """
    return max(1, math.ceil(n_items * best_rate(n_calibration) / rate - 1e-9))


def expectation(rate: float, n_found: int) -> str:
    """A sentence such as "of these 34, about 3 are expected to be normal".

    Args:
        rate: of false discoveries.
        n_found: number of images that are called anomalies by it.
    """
    if not n_found:
        return f"no image stands out enough for a false-discovery rate of {rate:g}"
    n_normal = round(rate * n_found)
    if n_normal:
        verb = "is" if n_normal == 1 else "are"
        return f"of these {n_found:,}, about {n_normal:,} {verb} expected to be normal"
    share = f"{100 * rate:.3g}%"
    return f"of images that are called anomalies so, at most {share} are expected to be normal"


@dataclass(frozen=True)
class FalseDiscoveries:
    """How many of a batch's anomalies are expected to be normal.

    Attributes:
        rate: the share of the anomalies that may be normal, in the mean over batches.
        n_calibration: number of calibration items.
        n_items: that were judged.
        n_found: of them called anomalies.
        extrapolates: whether p-values are estimated beyond what the calibration items promise.
    """

    rate: float
    n_calibration: int
    n_items: int
    n_found: int
    extrapolates: bool = False

    @property
    def expectation(self) -> str:
        """``expectation`` of them."""
        return expectation(self.rate, self.n_found)

    @property
    def limit(self) -> str | None:
        """A sentence on what so few calibration items cannot show; None where one image is enough.

        A lone anomaly takes n + 1 >= m / rate, unless p-values are estimated.
        """
        if self.extrapolates:
            return None
        fewest = fewest_discoveries(self.rate, self.n_calibration, self.n_items)
        if fewest == 1:
            return None
        needed = items_needed(self.rate / self.n_items)
        return (
            f"{self.n_calibration:,} calibration items show anomalies among {self.n_items:,} "
            f"images, at a false-discovery rate of {self.rate:g}, only where at least {fewest:,} "
            f"stand out together; {needed - self.n_calibration:,} more would show a single one"
        )
