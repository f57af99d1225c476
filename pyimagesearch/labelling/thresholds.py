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
DEFAULT_CONFIDENCE = 0.95  # of what is said about the rate of one model
DEFAULT_CONTAMINATION = 0.01
DEFAULT_QUANTILE = 0.999
# Of the blocks of a series that is learned; the strangest may be what is looked for.
DEFAULT_BLOCK_CONTAMINATION = 0.1
_EXPECTED_FALSE_ALARMS, _MOST_BLOCK_RATE = 2.0, 0.05
# Where what was learned is searched, more false alarms are worth what they find.
_EXPECTED_IN_LEARNED, _MOST_RATE_IN_LEARNED = 6.0, 0.1
_LEAST_BLOCKS_IN_LEARNED = 30  # of fewer, the tail is too uncertain for that
# Mean log of a block's score over the tail's start, and what that is worth: docs/methods.md
_PRIOR_EXCESS, _PRIOR_BLOCKS = 0.15, 4.0
_MOST_LOG = 700.0  # of a score: beyond, it is no longer a number
FALSE_ALARM_RATE = "false-alarm-rate"
RULES = (FALSE_ALARM_RATE, "contamination", "quantile", "max")
NUMBER = "number"  # in place of a rule: a score
# Of the batch that is judged, so that no model file has it, and its rate has no default.
FALSE_DISCOVERY_RATE = "false-discovery-rate"


class RateError(UserError):
    """A false-alarm rate was asked for that so few calibration items cannot promise."""


@dataclass(frozen=True)
class Threshold:
    """A rule, its parameter and the score that it came to.

    Attributes:
        rule: one of ``RULES``, ``FALSE_DISCOVERY_RATE``, or ``NUMBER`` for a score given by the
            user.
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
    """How probable high scores of normal blocks are, from the body of the calibration scores.

    Above a start, their median, the logs of scores are taken to be exponentially distributed (Hill,
    A simple general approach to inference about the tail of a distribution, Annals of Statistics
    3, 1975). The highest ones, the share of blocks that may be anomalous, only count as no lower
    than the highest of the others: right for normal ones, and anomalies cannot hide themselves
    (censoring: Epstein and Sobel, Life testing, JASA 48, 1953). What is not known from few blocks
    is taken from other series: a gamma distribution, whose mean is worth ``_PRIOR_BLOCKS`` blocks.
    A probability is the mean over what the tail may be after seeing the scores.

    Attributes:
        start: log of the score where the tail begins.
        share: of normal blocks that lie above it.
        n_counted: blocks that the tail's length is known from, with the prior's.
        total: sum of the logs above ``start``, with the prior's.
    """

    start: float
    share: float
    n_counted: float
    total: float

    @classmethod
    def fit(cls, calibration: np.ndarray, contamination: float) -> Tail | None:
        """Fit to (n,) calibration scores; None where half of them are 0, and the rest nearly."""
        ordered = np.sort(calibration)
        n_left_out = math.ceil(contamination * len(ordered) - 1e-9)
        body = ordered[: max(len(ordered) - n_left_out, 1)]
        # A series that repeats itself exactly has blocks of score 0.
        start = max(float(np.median(ordered)), float(body.mean()) / 2)
        if start <= np.finfo(float).tiny:
            return None
        above = np.log(np.minimum(ordered[ordered > start], body[-1]) / start).clip(0)
        return cls(
            math.log(start),
            max(len(above), 1) / (len(ordered) + 1),
            max(len(above) - n_left_out, 0) + _PRIOR_BLOCKS,
            float(above.sum()) + _PRIOR_BLOCKS * _PRIOR_EXCESS,
        )

    def p_values(self, scores: np.ndarray) -> np.ndarray:
        """The share of normal blocks that would reach each of (n,) scores above the start."""
        excess = (np.log(scores) - self.start) / self.total
        return self.share * (1 + excess) ** -self.n_counted

    def score_for_rate(self, rate: float) -> float:
        """The score whose p-value is ``rate``, at most ``share``."""
        excess = (self.share / rate) ** (1 / self.n_counted) - 1
        return math.exp(min(self.start + self.total * excess, _MOST_LOG))


def extrapolated_p_values(scores: np.ndarray, calibration: np.ndarray) -> np.ndarray:
    """``p_values``; beyond all calibration scores what their ``Tail`` says, which is no promise.

    Args:
        scores: (n_items,) float.
        calibration: (n,) float, of normal items, none of which is taken for an anomaly.

    Returns:
        (n_items,) float64 in (0, 1]; only what is below ``best_rate`` is extrapolated.
    """
    found, tail = p_values(scores, calibration), Tail.fit(calibration, 0)
    beyond = scores > calibration.max()
    if tail is not None:
        found[beyond] = np.minimum(found[beyond], tail.p_values(scores[beyond]))
    return found


def extrapolated_score(calibration: np.ndarray, rate: float) -> float:
    """``score_for_rate``, and for rates below ``best_rate`` what the ``Tail`` says, at a venture.

    Raises:
        RateError: ``rate`` is below ``best_rate``, and no tail can be fitted.
    """
    tail = Tail.fit(calibration, 0)
    if tail is None or _reaching_at_most(rate, len(calibration)) >= 0:
        return score_for_rate(calibration, rate)
    return max(float(calibration.max()), tail.score_for_rate(rate))


def block_p_values(
    scores: np.ndarray, calibration: np.ndarray, contamination: float = DEFAULT_BLOCK_CONTAMINATION
) -> np.ndarray:
    """The share of normal blocks of a series that would score at least as high.

    ``p_values`` up to where the ``Tail`` begins, and what that says from there on.

    Args:
        scores: (n_items,) float.
        calibration: (n,) float, the highest scores of blocks.
        contamination: the share of the blocks that may be anomalous.

    Returns:
        (n_items,) float64 in (0, 1].
    """
    found, tail = p_values(scores, calibration), Tail.fit(calibration, contamination)
    if tail is not None:
        high = scores > math.exp(tail.start)
        found[high] = np.minimum(found[high], tail.p_values(scores[high]))
    return found


def score_for_block_rate(
    calibration: np.ndarray, rate: float, contamination: float = DEFAULT_BLOCK_CONTAMINATION
) -> float:
    """The score whose ``block_p_values`` is ``rate``; arguments as there.

    Where nothing is known of the tail, the highest calibration score.
    """
    tail = Tail.fit(calibration, contamination)
    if tail is not None and rate < tail.share:
        return tail.score_for_rate(rate)
    n_reaching = np.clip(_reaching_at_most(rate, len(calibration)), 0, len(calibration) - 1)
    of_rank = float(np.sort(calibration)[::-1][n_reaching])
    return of_rank if tail is None else min(of_rank, math.exp(tail.start))


def default_block_rate(n_blocks: int, is_learned: bool = False) -> float:
    """The false-alarm rate of a series where none was asked for.

    A normal series as long as the one that was learned, of so many blocks, is to have few false
    alarms, however many blocks it has.

    Args:
        n_blocks: of the series that was learned.
        is_learned: whether it is that one that is searched.
    """
    if is_learned and n_blocks >= _LEAST_BLOCKS_IN_LEARNED:
        return min(_EXPECTED_IN_LEARNED / n_blocks, _MOST_RATE_IN_LEARNED)
    return min(_EXPECTED_FALSE_ALARMS / n_blocks, _MOST_BLOCK_RATE)


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


def check_rate(rate: float, n_calibration: int, name: str = "false-alarm rate") -> None:
    """Refuse a rate that so few calibration items cannot promise.

    Args:
        rate: that was asked for: of false alarms, or of false discoveries, which cannot be fewer
            where every item of a batch is called an anomaly.
        n_calibration: number of calibration items.
        name: of the rate, for people.

    Raises:
        RateError: ``rate`` is below ``best_rate``; the text says how many items are missing.
    """
    if _reaching_at_most(rate, n_calibration) < 0:
        missing = items_needed(rate) - n_calibration
        raise RateError(
            f"a {name} of {rate:g} cannot be promised from {n_calibration} calibration "
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


def score_for_discovery_rate(
    calibration: np.ndarray, scores: np.ndarray, rate: float, extrapolate: bool = False
) -> float:
    """The score above which items of a batch are anomalies, of which few are to be normal.

    With p-values p(1) <= ... <= p(m), the items whose p-value is at most p(k) are anomalies, for
    the largest k with p(k) <= k rate / m: Benjamini and Hochberg, Controlling the False Discovery
    Rate, JRSS B 57 (1995). It holds for conformal p-values, which all depend on one calibration
    set: Bates, Candès, Lei, Romano and Sesia, Testing for Outliers with Conformal p-values, Annals
    of Statistics 51 (2023), theorem 2, for a detector that was fitted on other items than both.
    Of cross-conformal ones, whose detectors were fitted on the rest of the calibration items, that
    is not proven.

    Args:
        calibration: (n,) scores of normal items that the detector was not fitted on.
        scores: (m,) of the batch, m at least 1.
        rate: the share of the anomalies that may be normal, in the mean over batches.
        extrapolate: whether p-values are those of ``extrapolated_p_values``: then nothing is
            proven.

    Raises:
        RateError: so few calibration items cannot show an anomaly at that rate in any batch.
    """
    if extrapolate:
        found = extrapolated_p_values(scores, calibration)
    else:
        check_rate(rate, len(calibration), "false-discovery rate")
        found = p_values(scores, calibration)
    highest = highest_discovered(found, rate)
    if highest is None:
        return float(max(calibration.max(), scores.max()))
    if highest < best_rate(len(calibration)):
        return float(np.nextafter(scores[found <= highest].min(), -np.inf))
    return score_for_rate(calibration, highest)


def highest_discovered(p_values: np.ndarray, rate: float) -> float | None:
    """The highest p-value of a batch that is an anomaly's, by Benjamini and Hochberg.

    Args:
        p_values: (m,) of the batch.
        rate: as of ``score_for_discovery_rate``, which says what it holds for.

    Returns:
        It, or None where there is no anomaly.
    """
    ordered = np.sort(p_values)
    allowed = rate * np.arange(1, len(ordered) + 1) / len(ordered)
    within = np.flatnonzero(ordered <= allowed * (1 + 1e-9))
    return float(ordered[within[-1]]) if len(within) else None


def _reaching_at_most(rate: float, n_calibration: int) -> int:
    """p <= rate exactly when at most this many calibration scores reach the item's."""
    return math.floor(rate * (n_calibration + 1) + 1e-9) - 1


@dataclass(frozen=True)
class ThresholdRule:
    """How a threshold is chosen from scores.

    - ``false-alarm-rate``: at most that share of normal items are called anomalies.
    - ``contamination``: that share of the training items are called anomalies, as scikit-learn's
      ``IsolationForest.predict`` has it.
    - ``quantile``: of the training scores; items that reach it are anomalies.
    - ``max``: the worst training score.
    - ``false-discovery-rate``: at most that share of a batch's anomalies are normal items.
    - ``number``: a score that the user gives.

    Attributes:
        name: one of ``RULES``, ``FALSE_DISCOVERY_RATE``, or ``NUMBER``.
        parameter: the rate, contamination, quantile or score; None takes the rule's default.
    """

    name: str = FALSE_ALARM_RATE
    parameter: float | None = None

    def __post_init__(self) -> None:
        without_default = (FALSE_DISCOVERY_RATE, NUMBER)
        if self.name not in (*RULES, *without_default) or (
            self.name in without_default and self.parameter is None
        ):
            raise ValueError(f"no rule for a threshold: {self.name!r}, {self.parameter!r}")

    @property
    def asked_rate(self) -> float | None:
        """The false-alarm rate that was asked for, or None where another rule or none decides."""
        return self.parameter if self.name == FALSE_ALARM_RATE else None

    def choose(
        self,
        calibration: np.ndarray,
        training: np.ndarray,
        *,
        block_contamination: float | None = None,
        extrapolate: bool = False,
    ) -> Threshold:
        """Find the threshold that the rule gives.

        Args:
            calibration: (n,) scores of normal items that the detector was not fitted on.
            training: (m,) scores of the items that it was fitted on; of a false-discovery rate,
                those of the batch that is judged.
            block_contamination: where calibration scores are of blocks of a series, the share of
                these that may be anomalous: see ``score_for_block_rate``.
            extrapolate: whether rates that cannot be promised are allowed: see
                ``extrapolated_score``.

        Raises:
            RateError: a rate was asked for that so few calibration items cannot promise.
        """
        parameter, value = self.parameter, self.parameter
        if self.name == FALSE_ALARM_RATE and block_contamination is not None:
            parameter = parameter or default_block_rate(len(calibration))
            value = score_for_block_rate(calibration, parameter, block_contamination)
        elif self.name == FALSE_ALARM_RATE:
            parameter = default_rate(calibration) if parameter is None else parameter
            find = extrapolated_score if extrapolate else score_for_rate
            value = find(calibration, parameter)
        elif self.name == "contamination":
            parameter = parameter or DEFAULT_CONTAMINATION
            # predict() calls x an anomaly where -score < percentile(-training scores).
            value = -np.percentile(-training, 100 * parameter)
        elif self.name == "quantile":
            parameter = parameter or DEFAULT_QUANTILE
            value = np.nextafter(np.quantile(training, parameter), -np.inf)
        elif self.name == "max":
            value = training.max()
        elif self.name == FALSE_DISCOVERY_RATE:
            value = score_for_discovery_rate(calibration, training, self.parameter, extrapolate)
        else:
            parameter = None
        return Threshold(self.name, parameter, float(value))
