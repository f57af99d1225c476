"""Counts of right and wrong verdicts, and the rates that follow from them."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import ArrayLike

from pyimagesearch.metrics.arguments import as_labels
from pyimagesearch.metrics.intervals import Estimate, wilson_interval


@dataclass(frozen=True)
class Confusion:
    """How often verdicts were right and wrong; anomalies are the positives.

    Rates come with their 95% interval (``wilson_interval``); a rate of nothing is nan.

    Attributes:
        true_positives: anomalies called anomalies.
        false_positives: normal items called anomalies.
        false_negatives: anomalies called normal.
        true_negatives: normal items called normal.
    """

    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int

    @property
    def n_items(self) -> int:
        return self.n_anomalies + self.n_normal

    @property
    def n_anomalies(self) -> int:
        return self.true_positives + self.false_negatives

    @property
    def n_normal(self) -> int:
        return self.false_positives + self.true_negatives

    @property
    def n_called(self) -> int:
        return self.true_positives + self.false_positives

    @property
    def accuracy(self) -> Estimate:
        """The share of verdicts that are right."""
        return wilson_interval(self.true_positives + self.true_negatives, self.n_items)

    @property
    def precision(self) -> Estimate:
        """The share of the items called anomalies that are anomalies."""
        return wilson_interval(self.true_positives, self.n_called)

    @property
    def recall(self) -> Estimate:
        """The share of the anomalies that were called anomalies."""
        return wilson_interval(self.true_positives, self.n_anomalies)

    @property
    def false_reject_rate(self) -> Estimate:
        """The share of the normal items that were called anomalies: the false-positive rate."""
        return wilson_interval(self.false_positives, self.n_normal)

    @property
    def escape_rate(self) -> Estimate:
        """The share of the anomalies that were called normal: the false-negative rate."""
        return wilson_interval(self.false_negatives, self.n_anomalies)


def confusion(labels: ArrayLike, called: ArrayLike) -> Confusion:
    """Count right and wrong verdicts.

    Args:
        labels: (n,), not 0 for anomalies.
        called: (n,), not 0 for what was called an anomaly (``scores > threshold``).

    Raises:
        ValueError: the arguments do not fit each other.
    """
    truth, verdicts = as_labels(labels), as_labels(called, "verdicts")
    if len(truth) != len(verdicts):
        raise ValueError(f"there are {len(truth)} labels and {len(verdicts)} verdicts")
    return Confusion(
        true_positives=int((truth & verdicts).sum()),
        false_positives=int((~truth & verdicts).sum()),
        false_negatives=int((truth & ~verdicts).sum()),
        true_negatives=int((~truth & ~verdicts).sum()),
    )
