"""Confidence intervals: how far a measured rate or AUROC may be from the true one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from pyimagesearch.metrics.arguments import as_labels, as_labels_and_scores
from pyimagesearch.metrics.rankings import auroc

DEFAULT_LEVEL = 0.95
_HALVINGS = 60  # of [0, 1]: more than float64 resolves


@dataclass(frozen=True)
class Estimate:
    """A measured value and its confidence interval.

    Attributes:
        value: as measured; nan where nothing was.
        low, high: the interval; 0 and 1 where nothing was measured.
    """

    value: float
    low: float
    high: float


def wilson_interval(successes: int, trials: int, level: float = DEFAULT_LEVEL) -> Estimate:
    """Estimate a rate from counts, with Wilson's score interval.

    Of 20 parts without an escape it says that up to 16% may escape, where the textbook's interval
    (Wald's) says 0%. Its coverage is close to the level on average over the rates; Clopper and
    Pearson's never falls below, but with tens of parts it is wider than it need be, and its
    quantiles of the beta distribution would take SciPy. Wilson, JASA 22 (1927); compared by Brown,
    Cai and DasGupta, Interval Estimation for a Binomial Proportion, Statistical Science 16 (2001).

    Args:
        successes: at least 0.
        trials: at least ``successes``.
        level: the chance that the interval holds the true rate.

    Raises:
        ValueError: counts or level outside their bounds.
    """
    z = _quantile(level)
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} of {trials} is not a rate")
    if not trials:
        return Estimate(math.nan, 0.0, 1.0)
    rate = successes / trials
    shrunk = (rate + z * z / (2 * trials)) / (1 + z * z / trials)
    spread = rate * (1 - rate) / trials + (z / (2 * trials)) ** 2
    half = z * math.sqrt(spread) / (1 + z * z / trials)
    # With no or only successes the bound is the rate itself, but for rounding.
    low = 0.0 if successes == 0 else shrunk - half
    high = 1.0 if successes == trials else shrunk + half
    return Estimate(rate, low, high)


def upper_bound(successes: int, trials: int, level: float = DEFAULT_LEVEL) -> float:
    """How large a rate may be, with confidence, where counts are known: a quantile of a beta law.

    Clopper and Pearson, Biometrika 26 (1934). It also holds for the items that a threshold was
    chosen on by its rank, where ``successes`` are above it: in a share ``level`` of all draws of
    ``trials`` items, at most this share of new ones is above the threshold (Vovk, Conditional
    validity of inductive conformal predictors, ACML 2012, proposition 2b).

    Args:
        successes: at least 0.
        trials: at least ``successes``.
        level: the confidence.

    Raises:
        ValueError: counts or level outside their bounds.
    """
    if not 0 <= successes <= trials or not 0 < level < 1:
        raise ValueError(f"no bound for {successes} of {trials} with confidence {level}")
    if successes == trials:
        return 1.0
    counts = np.arange(successes + 1)
    ways = np.zeros(successes + 1)  # logs of the binomial coefficients
    ways[1:] = np.cumsum(np.log((trials - counts[:-1]) / counts[1:]))
    low, high = successes / trials, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        logs = ways + counts * math.log(middle) + (trials - counts) * math.log1p(-middle)
        low, high = (middle, high) if np.exp(logs).sum() > 1 - level else (low, middle)
    return high


def auroc_interval(labels: ArrayLike, scores: ArrayLike, level: float = DEFAULT_LEVEL) -> Estimate:
    """Estimate AUROC, with Newcombe's score interval.

    DeLong's interval and the bootstrap's shrink to nothing where all anomalies rank above all
    normal items, and near there they are far too narrow: with 20 normal items, 60 anomalies and a
    true AUROC of 0.99, DeLong's holds it in three of four draws. This one solves for the values
    that the measured one would not contradict, as Wilson's does for a rate. With few anomalies
    that are much more spread than normal items it may be too low at the upper end.

    Newcombe, Confidence Intervals for an Effect Size Measure Based on the Mann-Whitney Statistic,
    Part 2, Statistics in Medicine 25 (2006), method 5; variance of Hanley and McNeil (1982).

    Args:
        labels: (n,), not 0 for anomalies.
        scores: (n,), higher is more anomalous.
        level: the chance that the interval holds the true AUROC.

    Raises:
        ValueError: the arguments do not fit each other, a score is not finite, or the level is
            outside its bounds.
    """
    z = _quantile(level)
    value = auroc(labels, scores)
    if math.isnan(value):
        return Estimate(value, 0.0, 1.0)
    truth = as_labels(labels)
    n_anomalies = int(truth.sum())
    n_normal = len(truth) - n_anomalies

    def contradicted(area: float) -> bool:
        pairs = (n_anomalies + n_normal) / 2 - 1
        shared = (1 - area) / (2 - area) + area / (1 + area)
        variance = area * (1 - area) * (1 + pairs * shared) / (n_anomalies * n_normal)
        return abs(value - area) > z * math.sqrt(variance)

    def bound(outside: float) -> float:
        inside = value
        for _ in range(_HALVINGS):
            middle = (inside + outside) / 2
            inside, outside = (inside, middle) if contradicted(middle) else (middle, outside)
        return inside

    return Estimate(value, bound(0.0), bound(1.0))


def _quantile(level: float) -> float:
    if not 0 < level < 1:
        raise ValueError(f"a confidence level lies between 0 and 1, not at {level}")
    return NormalDist().inv_cdf((1 + level) / 2)


def bootstrap_interval(
    metric: Callable[[np.ndarray, np.ndarray], float],
    labels: ArrayLike,
    scores: ArrayLike,
    level: float = DEFAULT_LEVEL,
    n_draws: int = 1000,
    seed: int = 0,
) -> Estimate:
    """Estimate any metric of labels and scores, with the percentile bootstrap.

    Normal items and anomalies are resampled separately: Efron and Tibshirani, An
    Introduction to the Bootstrap (1993), chapter 13. Where a metric is perfect, so is every draw,
    and the interval says nothing: use ``wilson_interval`` and ``auroc_interval`` where they apply.

    Args:
        metric: (labels, (n,) bool; scores, (n,) float64) -> a number.
        labels: (n,), not 0 for anomalies.
        scores: (n,), higher is more anomalous.
        level: the chance that the interval holds the true value.
        n_draws: number of draws.
        seed: of the draws.

    Raises:
        ValueError: the arguments do not fit each other, or a score is not finite.
    """
    truth, values = as_labels_and_scores(labels, scores)
    order = np.lexsort((values, truth))  # the same items in another order give the same interval
    truth, values = truth[order], values[order]
    value = metric(truth, values)
    if math.isnan(value):
        return Estimate(math.nan, 0.0, 1.0)
    rng = np.random.default_rng(seed)
    kinds = [np.flatnonzero(truth == kind) for kind in (False, True)]
    drawn = []
    for _ in range(n_draws):
        rows = np.concatenate([rng.choice(k, len(k)) for k in kinds if len(k)])
        drawn.append(metric(truth[rows], values[rows]))
    outside = (1 - level) / 2
    low, high = np.quantile(drawn, [outside, 1 - outside])
    return Estimate(value, float(low), float(high))
