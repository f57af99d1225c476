"""Turn scores into verdicts: p-values, false-alarm rates and the named threshold rules.

Everywhere **a higher score is more anomalous**, and an item is an anomaly when its score is
strictly above the threshold.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pyimagesearch.runtime.console import UserError

DEFAULT_FALSE_ALARM_RATE = 0.01
_MOST_DEFAULT_RATE = 0.1
DEFAULT_CONTAMINATION = 0.01
DEFAULT_QUANTILE = 0.999
_MOST_LOG = 700.0  # of a score: beyond, it is no longer a number
FALSE_ALARM_RATE = "false-alarm-rate"
RULES = (FALSE_ALARM_RATE, "contamination", "quantile", "max")
NUMBER = "number"  # in place of a rule: a score


class RateError(UserError):
    """A false-alarm rate was asked for that so few calibration items cannot promise."""


@dataclass(frozen=True)
class Threshold:
    """A rule, its parameter and the score that it came to.

    Attributes:
        rule: one of ``RULES``, or ``NUMBER`` for a score given by the user.
        parameter: the rate, contamination or quantile; None for ``max`` and ``number``.
        value: the score above which an item is an anomaly.
    """

    rule: str
    parameter: float | None
    value: float

    def __str__(self) -> str:
        return f"anomalies score above {self.value:.4f} ({self.rule})"

    def describe(self) -> dict[str, Any]:
        """The same as JSON types, for the model file."""
        return asdict(self)


def p_values(scores: np.ndarray, calibration: np.ndarray) -> np.ndarray:
    """Compute conformal p-values: how many normal items would look at least this strange.

    ``(1 + #{calibration >= score}) / (n + 1)``: Vovk, Gammerman and Shafer, Algorithmic Learning
    in a Random World (2005), section 2.2. Where a new normal item is exchangeable with the
    calibration items, the chance that its p-value is at most r is at most r.

    Args:
        scores: (n_items,) float.
        calibration: (n,) float, scores of normal items that the detector was not fitted on.

    Returns:
        (n_items,) float64 in [1 / (n + 1), 1].
    """
    ordered = np.sort(calibration)
    at_least = len(ordered) - np.searchsorted(ordered, scores, side="left")
    return (1 + at_least) / (len(ordered) + 1)


def block_maxima(scores: np.ndarray, block: int) -> np.ndarray:
    """The highest score of each block of a series: one item each for calibration.

    Neighbouring rows of a series are much alike, so that a thousand of them say little more than
    a few; blocks of a window's length each are nearly independent of each other. An alarm in a
    block is a block whose highest score is above the threshold.

    Args:
        scores: (n_rows,) float.
        block: rows of a block; a remainder at the end is left out.

    Returns:
        (n_rows // block,) float64.
    """
    n_blocks = len(scores) // block
    return scores[: n_blocks * block].reshape(n_blocks, block).max(axis=1)


@dataclass(frozen=True)
class Tail:
    """How probable scores are that no calibration item has reached: a Pareto tail.

    The upper half of the calibration scores gives the tail's index (Hill, A simple general
    approach to inference about the tail of a distribution, Annals of Statistics 3, 1975). That
    the index is estimated from few is allowed for: the probability is the predictive one, the
    mean over what the index may be after seeing them (a gamma distribution).

    Attributes:
        start: log of the score where the tail begins, the median.
        n_above: number of calibration scores above it.
        mean_excess: mean of the logs of these, above ``start``.
        n_items: number of calibration scores.
    """

    start: float
    n_above: int
    mean_excess: float
    n_items: int

    @classmethod
    def fit(cls, calibration: np.ndarray) -> Tail | None:
        """Fit to (n,) calibration scores; None where these have no tail above zero."""
        start = float(np.median(calibration))
        above = calibration[calibration > start]
        if start <= 0 or not len(above):
            return None
        excess = float(np.mean(np.log(above / start)))
        return cls(math.log(start), len(above), excess, len(calibration))

    def p_values(self, scores: np.ndarray) -> np.ndarray:
        """The share of normal items that would reach each of (n,) scores above the start."""
        excess = (np.log(scores) - self.start) / (self.n_above * self.mean_excess)
        return self.n_above / (self.n_items + 1) * (1 + excess) ** -float(self.n_above)

    def score_for_rate(self, rate: float) -> float:
        """The score whose p-value is ``rate``."""
        share = self.n_above / (self.n_items + 1)
        excess = (share / rate) ** (1 / self.n_above) - 1
        return math.exp(min(self.start + self.n_above * self.mean_excess * excess, _MOST_LOG))


def extrapolated_p_values(scores: np.ndarray, calibration: np.ndarray) -> np.ndarray:
    """``p_values``, and for scores above all of the calibration's what their ``Tail`` says.

    Args:
        scores: (n_items,) float.
        calibration: (n,) float, scores of normal items that the detector was not fitted on.

    Returns:
        (n_items,) float64 in (0, 1], not above ``p_values``.
    """
    found, tail = p_values(scores, calibration), Tail.fit(calibration)
    beyond = scores > calibration.max()
    if tail is not None and beyond.any():
        found[beyond] = np.minimum(found[beyond], tail.p_values(scores[beyond]))
    return found


def extrapolated_score_for_rate(calibration: np.ndarray, rate: float) -> float:
    """``score_for_rate``, and for a rate below ``best_rate`` what the calibration's ``Tail`` says.

    Raises:
        RateError: there are no two different calibration scores above zero to extrapolate from.
    """
    tail = Tail.fit(calibration)
    if tail is None or _reaching_at_most(rate, len(calibration)) >= 0:
        return score_for_rate(calibration, rate)
    return max(float(calibration.max()), tail.score_for_rate(rate))


@dataclass(frozen=True)
class FalseAlarms:
    """How many false alarms a threshold gives.

    Attributes:
        rate: the share of normal items that may exceed it.
        expected: how many of the items, if all were normal.
        low, high: between these their number lies in 19 of 20 batches.
    """

    rate: float
    expected: float
    low: int
    high: int


def false_alarms(threshold: float, calibration: np.ndarray, n_items: int) -> FalseAlarms:
    """Find how many false alarms to expect among items that are all normal.

    How often a threshold is exceeded is known from the calibration items alone; with them and
    the new ones exchangeable the number follows a beta-binomial distribution (Vovk, Conditional
    validity of inductive conformal predictors, ACML 2012, proposition 2a).

    Args:
        threshold: above which an item is an anomaly.
        calibration: (n,) float, scores of normal items that the detector was not fitted on.
        n_items: that are judged.
    """
    n_above = 1 + int((calibration > threshold).sum())
    n_below = len(calibration) + 1 - n_above
    rate = n_above / (n_above + n_below)
    if not n_below or not n_items:
        return FalseAlarms(rate, rate * n_items, n_items, n_items)
    counts = np.arange(n_items)
    # Each number's probability in terms of that of the one before it.
    ratios = np.log((n_items - counts) / (counts + 1.0))
    ratios += np.log((n_above + counts) / (n_below + n_items - counts - 1.0))
    logs = np.concatenate([[0.0], np.cumsum(ratios)])
    below = np.cumsum(np.exp(logs - logs.max()))
    low, high = np.searchsorted(below / below[-1], (0.025, 0.975))
    return FalseAlarms(rate, rate * n_items, int(low), int(high))


def best_rate(n_calibration: int) -> float:
    """The least false-alarm rate that this many calibration items can promise: 1 / (n + 1)."""
    return 1 / (n_calibration + 1)


def default_rate(calibration: np.ndarray) -> float:
    """The false-alarm rate where none was asked for: 1%, or the best that so few items can promise.

    With few items the highest score would be the threshold. Where that one stands far out (beyond
    Q3 + 3 (Q3 - Q1): Tukey, Exploratory Data Analysis, 1977, 2D), a single odd item would hide
    anomalies that are much stranger than all others, so that the second highest is taken, at twice
    the rate: this rate bounds the false alarms whichever of the two is taken.

    Args:
        calibration: (n,) float, scores of normal items that the detector was not fitted on.
    """
    best = best_rate(len(calibration))
    if best <= DEFAULT_FALSE_ALARM_RATE:
        return DEFAULT_FALSE_ALARM_RATE
    if 2 * best > _MOST_DEFAULT_RATE:
        return best
    second, highest = np.sort(calibration)[-2:]
    lower, upper = np.quantile(calibration, [0.25, 0.75])
    fence = upper + 3 * (upper - lower)
    return 2 * best if second <= fence < highest else best


def items_needed(rate: float) -> int:
    """The least number of calibration items with which ``rate`` can be promised."""
    return math.ceil(1 / rate - 1e-9) - 1


def check_rate(rate: float, n_calibration: int) -> None:
    """Refuse a rate that so few calibration items cannot promise.

    Raises:
        RateError: ``rate`` is below ``best_rate``; the text says how many items are missing.
    """
    if _reaching_at_most(rate, n_calibration) < 0:
        missing = items_needed(rate) - n_calibration
        raise RateError(
            f"a false-alarm rate of {rate:g} cannot be promised from {n_calibration} calibration "
            f"items: the best possible is 1/{n_calibration + 1} "
            f"({best_rate(n_calibration):.4f}); {rate:g} needs {missing} more"
        )


def score_for_rate(calibration: np.ndarray, rate: float) -> float:
    """The largest score that is still normal: its p-value exceeds ``rate``, all above have less.

    Raises:
        RateError: ``rate`` is below ``best_rate``.
    """
    n = len(calibration)
    check_rate(rate, n)
    return float(np.sort(calibration)[::-1][min(_reaching_at_most(rate, n), n - 1)])


def _reaching_at_most(rate: float, n_calibration: int) -> int:
    """p <= rate exactly when at most this many calibration scores reach the item's."""
    return math.floor(rate * (n_calibration + 1) + 1e-9) - 1


def without_contamination(scores: np.ndarray, share: float) -> np.ndarray:
    """Leave out of calibration what is presumed to be anomalies: the highest scores.

    Anomalies among the calibration items keep a false-alarm rate below the one that was asked
    for, by about their share, and hide others of their kind.

    Args:
        scores: (n,) of items of which some may be anomalies.
        share: of them; presuming too much raises the false-alarm rate by the difference.

    Returns:
        (n - round(share * n),) in ascending order.
    """
    return np.sort(scores)[: len(scores) - round(share * len(scores))]


@dataclass(frozen=True)
class ThresholdRule:
    """How a threshold is chosen from scores.

    - ``false-alarm-rate``: at most that share of normal items are called anomalies.
    - ``contamination``: that share of the training items are called anomalies, as scikit-learn's
      ``IsolationForest.predict`` has it.
    - ``quantile``: of the training scores; items that reach it are anomalies.
    - ``max``: the worst training score.
    - ``number``: a score that the user gives.

    Attributes:
        name: one of ``RULES``, or ``NUMBER``.
        parameter: the rate, contamination, quantile or score; None takes the rule's default.
    """

    name: str = FALSE_ALARM_RATE
    parameter: float | None = None

    def __post_init__(self) -> None:
        if self.name not in (*RULES, NUMBER) or (self.name == NUMBER and self.parameter is None):
            raise ValueError(f"no rule for a threshold: {self.name!r}, {self.parameter!r}")

    @property
    def asked_rate(self) -> float | None:
        """The false-alarm rate that was asked for, or None where another rule or none decides."""
        return self.parameter if self.name == FALSE_ALARM_RATE else None

    def choose(
        self, calibration: np.ndarray, training: np.ndarray, *, extrapolate: bool = False
    ) -> Threshold:
        """Find the threshold that the rule gives.

        Args:
            calibration: (n,) scores of normal items that the detector was not fitted on.
            training: (m,) scores of the items that it was fitted on.
            extrapolate: go below the best possible rate with ``extrapolated_score_for_rate``.

        Raises:
            RateError: a rate was asked for that so few calibration items cannot promise.
        """
        parameter, value = self.parameter, self.parameter
        if self.name == FALSE_ALARM_RATE and extrapolate:
            parameter = parameter or DEFAULT_FALSE_ALARM_RATE
            value = extrapolated_score_for_rate(calibration, parameter)
        elif self.name == FALSE_ALARM_RATE:
            parameter = default_rate(calibration) if parameter is None else parameter
            value = score_for_rate(calibration, parameter)
        elif self.name == "contamination":
            parameter = parameter or DEFAULT_CONTAMINATION
            # predict() calls x an anomaly where -score < percentile(-training scores).
            value = -np.percentile(-training, 100 * parameter)
        elif self.name == "quantile":
            parameter = parameter or DEFAULT_QUANTILE
            value = np.nextafter(np.quantile(training, parameter), -np.inf)
        elif self.name == "max":
            value = training.max()
        else:
            parameter = None
        return Threshold(self.name, parameter, float(value))
