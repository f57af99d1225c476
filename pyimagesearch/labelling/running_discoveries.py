"""Which items of a stream are called anomalies, so that few of these are normal.

A batch is decided when it is complete (``thresholds.score_for_discovery_rate``); a stream never is.
Rules that judge one item at a time and bound the share of false discoveries whatever comes, LORD++
and SAFFRON, allow each a level that soon sinks below 1/(n + 1), the smallest p-value that n
calibration items can give, and then find nothing. So each item is judged by the rule of Benjamini
and Hochberg over itself and all items before it. Conformal p-values of one model take n + 1 values,
so that to count each of them is all that has to be remembered of a stream.

At each moment the rule, were it to judge all items so far again, bounds the share of normal ones
among its anomalies, as of a batch. Labels are not changed later, though, and what was called an
anomaly at different moments is bounded by no proof; what was measured: docs/benchmarks.md. (A rule
that may change them later has the bound at all moments: Fischer and Ramdas, An online
generalization of the (e-)Benjamini-Hochberg procedure, 2024.)
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from pyimagesearch.labelling import thresholds

# Estimated p-values are rounded up to one of these, each so many times as small as the one before.
_STEP, _N_STEPS = 1.1, 200
CLOSE = 1e-5  # to a p-value: how it is written, with six digits


class RunningDiscoveries:
    """The rule for one model; the memory that it takes does not grow.

    Args:
        rate: of false discoveries.
        calibration: (n,) float, scores of normal items that the detector was not fitted on.
        earlier: how many items had each p-value.
        extrapolates: whether p-values are those of ``thresholds.extrapolated_p_values``.

    Raises:
        thresholds.RateError: so few calibration items cannot show an anomaly at that rate.

    Attributes:
        n_items: how many there were.
    """

    def __init__(
        self,
        rate: float,
        calibration: np.ndarray,
        earlier: Mapping[float, int] | None = None,
        *,
        extrapolates: bool = False,
    ) -> None:
        self._rate = rate
        self._highest = float(calibration.max())
        n_values = len(calibration) + 1
        n_kept = math.floor(rate * n_values + 1e-9)
        # Among fewer items, a lone one would be an anomaly as soon as it is stranger than all of
        # calibration: each of the first would have a chance of its own, and the first would be
        # false discoveries more often than the rate allows.
        self._least = n_kept + 1
        # The p-values with which an item may ever be an anomaly, from the lowest, and the score
        # above which an item has that one or a lower one.
        self._values = np.arange(1, n_kept + 1) / n_values
        self._limits = np.sort(calibration)[::-1][:n_kept]
        if extrapolates and thresholds.Tail.fit(calibration, 0) is not None:
            lower = min(rate, 1 / n_values) * _STEP ** -np.arange(_N_STEPS, 0.0, -1)
            find = thresholds.extrapolated_score
            self._values = np.concatenate([lower, self._values])
            self._limits = np.append([find(calibration, p) for p in lower], self._limits)
        else:
            thresholds.check_rate(rate, len(calibration), "false-discovery rate")
        self._at_most = np.zeros(len(self._values), np.int64)  # items whose p-value is at most that
        self.n_items = 0
        for p_value, count in (earlier or {}).items():
            self._count(p_value, count)

    def add(self, score: float, p_value: float) -> float:
        """Take note of the next item.

        Args:
            score, p_value: of it, the latter as of ``thresholds.p_values``.

        Returns:
            The score above which it is an anomaly. Where none would be, the highest one of
            calibration, or its own if that is more.
        """
        self._count(p_value, 1)
        expected = self._values * max(self.n_items, self._least)  # at most, of normal items
        within = np.flatnonzero(expected <= self._rate * self._at_most * (1 + 1e-9))
        return float(self._limits[within[-1]] if len(within) else max(self._highest, score))

    def forget(self, p_value: float) -> None:
        """Take back that an item of that p-value was added: it comes again."""
        self._count(p_value, -1)

    def _count(self, p_value: float, n_items: int) -> None:
        self.n_items += n_items
        first = np.searchsorted(self._values, p_value * (1 - CLOSE))
        self._at_most[first:] += n_items


def loosest_threshold(rate: float, calibration: np.ndarray, extrapolates: bool = False) -> float:
    """The lowest score that ``RunningDiscoveries`` may ever call an anomaly is above this one.

    Raises:
        thresholds.RateError: as of ``RunningDiscoveries``.
    """
    # An item is an anomaly where p N <= rate k, and k of N items are at most N.
    if extrapolates:
        return thresholds.extrapolated_score(calibration, rate)
    thresholds.check_rate(rate, len(calibration), "false-discovery rate")
    return thresholds.score_for_rate(calibration, rate)


def share_needed(rate: float, n_calibration: int) -> float:
    """The share of all items that must be stranger than all of calibration to be anomalies."""
    return thresholds.best_rate(n_calibration) / rate
