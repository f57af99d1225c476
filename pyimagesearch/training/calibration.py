"""Scores of normal items by detectors that have not seen them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from pyimagesearch import metrics
from pyimagesearch.detectors.base import WholeImageDetector
from pyimagesearch.labelling import thresholds
from pyimagesearch.labelling.image_groups import ImageGroups
from pyimagesearch.runtime import parallel
from pyimagesearch.runtime.console import UserError, counted, info, printable
from pyimagesearch.runtime.progress import track
from pyimagesearch.runtime.system import available_cores
from pyimagesearch.training.folder_audit import MAX_REPORTED

Fitted = TypeVar("Fitted")
Result = TypeVar("Result")

# Below this many images, five folds would take too much away from each detector, and the largest
# score, which is then the threshold, would depend on who is left out with whom.
LEAVE_ONE_OUT_BELOW = 30
N_FOLDS = 5
LEAVE_ONE_OUT = "leave-one-out"


@dataclass(frozen=True)
class Folds:
    """Which items each detector of a cross-calibration is fitted on.

    Five folds or more (Vovk, Cross-conformal predictors, Annals of Mathematics and Artificial
    Intelligence 74, 2015); with fewer than ``LEAVE_ONE_OUT_BELOW`` items each is left out alone.

    Attributes:
        method: for people.
        splits: (indices to fit on, indices to score) of each fold.
    """

    method: str
    splits: list[tuple[np.ndarray, np.ndarray]]

    @classmethod
    def split(cls, n_items: int, n_folds: int = N_FOLDS) -> Folds:
        """Split ``n_items`` items, always shuffled in the same way."""
        items = np.arange(n_items)
        if n_items < LEAVE_ONE_OUT_BELOW:
            outside = [items[i : i + 1] for i in items]
            method = LEAVE_ONE_OUT
        else:
            # As scikit-learn's KFold does it, whose import would cost a second.
            shuffled = np.random.RandomState(0).permutation(n_items)
            outside = [np.sort(fold) for fold in np.array_split(shuffled, n_folds)]
            method = f"{n_folds}-fold cross-conformal"
        return cls(method, [(np.setdiff1d(items, fold), fold) for fold in outside])

    @property
    def min_fitted(self) -> int:
        """The smallest number of items that a detector is fitted on."""
        return min(len(inside) for inside, _ in self.splits)

    def scores(
        self,
        items: np.ndarray,
        fit: Callable[[np.ndarray], Fitted],
        score: Callable[[Fitted, np.ndarray], np.ndarray],
        jobs: int,
    ) -> np.ndarray:
        """Score each item by a detector that was fitted without it.

        Args:
            items: (n_items, ...).
            fit: makes a detector from some of the items; importable by other processes.
            score: (detector, some of the items) -> their scores; importable, too.
            jobs: number of processes; the scores do not depend on it.

        Returns:
            (n_items,) float64.

        Raises:
            UserError: one of the processes ends.
        """
        scores = np.empty(len(items))
        jobs = min(jobs, len(self.splits))
        work = _FoldWork(fit, score, items, self.splits, max(1, available_cores() // jobs))
        numbers = map(str, range(len(self.splits)))
        # Workers of joblib would stay for minutes after a kill, and need /dev/shm.
        scored = (
            parallel.run_task(work, numbers, jobs, chunk_size=1)
            if jobs > 1
            else map(work.fit_and_score, numbers)
        )
        for (_, outside), found in zip(self.splits, self.track(scored), strict=True):
            scores[outside] = found
        return scores

    def track(self, results: Iterable[Result], n_more: int = 0) -> Iterator[Result]:
        """Pass on the results of the folds as they come, with a progress bar.

        Args:
            results: one for each fold.
            n_more: number of results in addition to these.
        """
        is_alone = self.method == LEAVE_ONE_OUT
        how = f"by {self.method}" if is_alone else f"in {counted(len(self.splits), 'fold')}"
        info(f"calibrating {how}...")
        return track(results, "calibrating", total=len(self.splits) + n_more, unit="fits")


@dataclass(frozen=True)
class _FoldWork(Generic[Fitted]):
    """Fits detectors without some items and scores these: an ``ordered_queue.Task`` of folds."""

    fit: Callable[[np.ndarray], Fitted]
    score: Callable[[Fitted, np.ndarray], np.ndarray]
    items: np.ndarray
    splits: list[tuple[np.ndarray, np.ndarray]]
    n_threads: int

    def open(self) -> Callable[[list[str]], list[np.ndarray]]:
        from threadpoolctl import threadpool_limits  # comes with scikit-learn

        threadpool_limits(self.n_threads)
        return lambda numbers: [self.fit_and_score(number) for number in numbers]

    def fit_and_score(self, number: str) -> np.ndarray:
        inside, outside = self.splits[int(number)]
        return self.score(self.fit(self.items[inside]), self.items[outside])

    def lost(self, number: str) -> np.ndarray:  # noqa: ARG002
        raise UserError(
            "a process that calibrates was ended, perhaps for want of memory: with fewer jobs it "
            "takes less"
        )


@dataclass(frozen=True)
class CalibratedDetector:
    """A detector of feature vectors, and what its threshold can be chosen from.

    Attributes:
        detector: fitted on all of them.
        options: what it was fitted with, in addition to the seed.
        folds: of the calibration.
        calibration: (n_items,) float64, scores by detectors that had not seen them.
        training: (n_items,) float64, scores by ``detector``; where these say nothing, calibration
            stands for them.
    """

    detector: WholeImageDetector
    options: dict[str, Any]
    folds: Folds
    calibration: np.ndarray
    training: np.ndarray


def fit_calibrated(
    kind: type[WholeImageDetector],
    features: np.ndarray,
    asked: Mapping[str, Any],
    *,
    seed: int,
    jobs: int,
) -> CalibratedDetector:
    """Fit a detector to feature vectors, and score each by one that was fitted without it.

    Args:
        kind: of detector.
        features: (n_items, n_features) float32, finite.
        asked: as of ``WholeImageDetector.fit_options``.
        seed: of all choices.
        jobs: number of processes.

    Raises:
        UserError: one of the processes ends.
    """
    folds = Folds.split(len(features), kind.N_FOLDS)
    options = kind.fit_options(folds.min_fitted, asked)
    fit = functools.partial(kind.fit, seed=seed, **options)
    detector = fit(features)
    calibration = folds.scores(features, fit, kind.score, jobs)
    training = detector.score(features) if kind.SCORES_ITS_OWN else calibration
    return CalibratedDetector(detector, options, folds, calibration, training)


def outlying(scores: np.ndarray) -> np.ndarray:
    """Find the items whose scores stand out, the highest first.

    Beyond the upper fence, Q3 + 1.5 (Q3 - Q1): Tukey, Exploratory Data Analysis (1977), 2D.

    Args:
        scores: (n_items,) out-of-fold scores.

    Returns:
        Indices of the items, possibly none.
    """
    lower, upper = np.quantile(scores, [0.25, 0.75])
    found = np.flatnonzero(scores > upper + 1.5 * (upper - lower))
    return found[np.argsort(-scores[found], kind="stable")]


def report_outlying(names: Sequence[str], calibration: np.ndarray) -> None:
    """Report which of the images that calibration scored stand out.

    Args:
        names: of the images.
        calibration: (n_images,) their out-of-fold scores.
    """
    for index in outlying(calibration)[:MAX_REPORTED]:
        info(
            f"looks unlike the rest: {printable(names[index])} "
            f"(score {calibration[index]:.4f} when left out, median {np.median(calibration):.4f})"
        )


def report_threshold(
    threshold: thresholds.Threshold,
    calibration: np.ndarray,
    asked_rate: float | None,
    confidence: float,
) -> None:
    """Report the threshold, what it promises, and why a default rate is larger than usual.

    Args:
        threshold: the chosen one.
        calibration: (n_calibration,) scores of images by detectors that had not seen them.
        asked_rate: a false-alarm rate that was asked for, or None.
        confidence: with which the rate of these very images is bounded.
    """
    n_calibration = len(calibration)
    best, usual = thresholds.best_rate(n_calibration), thresholds.DEFAULT_FALSE_ALARM_RATE
    are_few = threshold.rule == thresholds.FALSE_ALARM_RATE and best > usual
    if are_few and asked_rate is None:
        missing = thresholds.items_needed(usual) - n_calibration
        info(
            f"{counted(n_calibration, 'image')} promise a false-alarm rate of "
            f"1/{n_calibration + 1} ({best:.4f}) at best; {missing} more would promise {usual}"
        )
        if threshold.parameter > best:
            info(
                "their highest score stands far apart, and would hide anomalies: it is left "
                f"above the threshold, at a rate of 2/{n_calibration + 1} ({2 * best:.4f})"
            )
    info(str(threshold))
    n_above = int((calibration > threshold.value).sum())
    bound = metrics.upper_bound(n_above, n_calibration, confidence)
    sure = f"with {100 * confidence:g}% confidence"
    if are_few:
        # No lower end: of thresholds that are calibrated by folds, more than the beta law says
        # have next to no false alarms (benchmarks/extrapolation).
        mean = (n_above + 1) / (n_calibration + 1)
        info(
            f"so do at most {n_above + 1}/{n_calibration + 1} ({mean:.2%}) of normal images, on "
            "the mean over training folders; with these very images it may be anything up to "
            f"{bound:.2%}, {sure}"
        )
    else:
        info(
            f"{sure} over sets of {n_calibration:,} calibration images, at most {bound:.2%} of "
            "normal images score above it"
        )


def report_groups(
    groups: ImageGroups,
    rule: thresholds.ThresholdRule,
    pooled: thresholds.Threshold,
    confidence: float,
) -> None:
    """Report the threshold of each group, and what it promises.

    Args:
        groups: with their thresholds.
        rule: that chose them.
        pooled: the threshold of images of no known group.
        confidence: as of ``report_threshold``.
    """
    smallest = min(len(group.calibration) for group in groups.members.values())
    if rule.asked_rate is not None:
        info(
            f"at most {rule.asked_rate:.3g} of the normal images of each group are called anomalies"
        )
        usual = thresholds.DEFAULT_FALSE_ALARM_RATE
        if rule.asked_rate > usual and (missing := thresholds.items_needed(usual) - smallest) > 0:
            info(
                f"the smallest group has {counted(smallest, 'image')}; {missing} more would "
                f"promise {usual}"
            )
    for name, group in groups.members.items():
        n_images = len(group.calibration)
        n_above = int((group.calibration > group.threshold).sum())
        bound = metrics.upper_bound(n_above, n_images, confidence)
        info(
            f"{printable(name)}, {counted(n_images, 'image')}: anomalies score above "
            f"{group.threshold:.4f}; with {100 * confidence:g}% confidence, at most {bound:.2%} of "
            "its normal images do"
        )
    info(f"images of no known group: {pooled}")
