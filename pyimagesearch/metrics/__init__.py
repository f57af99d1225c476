"""How good scores and verdicts are, where the truth is known: of items, series and pixels.

Everywhere a higher score is more anomalous, labels that are not 0 mark anomalies, and an item is
called an anomaly where its score is strictly above a threshold, as in ``labelling.thresholds``.
What the data leave undefined (a rate of nothing, a ranking without anomalies) is nan; a threshold
that they leave undefined is a ``ValueError``, and so is input of the wrong form.

There is no point-adjusted F1: it counts a whole anomaly as found when one of its rows is, so that
random scores reach or beat the best published detectors: Kim et al., Towards a Rigorous Evaluation
of Time-Series Anomaly Detection, AAAI 2022.
"""

from __future__ import annotations

from pyimagesearch.metrics.confusion import Confusion, confusion
from pyimagesearch.metrics.intervals import (
    Estimate,
    auroc_interval,
    bootstrap_interval,
    upper_bound,
    wilson_interval,
)
from pyimagesearch.metrics.pixels import PixelHistogram
from pyimagesearch.metrics.ranges import label_ranges, range_precision, range_recall
from pyimagesearch.metrics.rankings import auroc, average_precision, best_f1

__all__ = [
    "Confusion",
    "Estimate",
    "PixelHistogram",
    "auroc",
    "auroc_interval",
    "average_precision",
    "best_f1",
    "bootstrap_interval",
    "confusion",
    "label_ranges",
    "range_precision",
    "range_recall",
    "upper_bound",
    "wilson_interval",
]
