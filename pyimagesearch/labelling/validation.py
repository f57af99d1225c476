"""How good a model is on images whose truth is known, and which threshold suits them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from pyimagesearch import metrics
from pyimagesearch.data import images, mvtec
from pyimagesearch.labelling.ground_truth import (
    REPORTING,
    SELECTING,
    Counts,
    Item,
    truth_and_scores,
)
from pyimagesearch.labelling.images import Labeller
from pyimagesearch.labelling.thresholds import Threshold, ThresholdRule
from pyimagesearch.metrics import Confusion, Estimate, PixelHistogram
from pyimagesearch.runtime.progress import track
from pyimagesearch.runtime.threads import ordered_map

RULES = ("f1", "overlap", "false-alarm-rate")
MODEL_RULE = "model"  # the threshold that the model file has
PAGE_RULE = "page"  # the one by which the page of a report judged, where it is another
# Masks and anomaly maps are compared at the image's own size, but at most at this.
_MOST_SIDE = 1024


@dataclass(frozen=True)
class ThresholdMetrics:
    """What a threshold does to images.

    Attributes:
        threshold: the rule that gave it, and its value.
        reported_on: the images.
        f1: with its 95% interval.
        confusion: counts, and the rates that follow from them.
    """

    threshold: Threshold
    reported_on: Counts
    f1: Estimate
    confusion: Confusion


class UnusableMask(NamedTuple):
    """A mask that does not count, nor its image, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class PixelMetrics:
    """How well anomaly maps mark defective pixels.

    Attributes:
        auroc: of all pixels.
        aupro: area under the per-region overlap curve, to 30% of false positives.
        n_images: whose pixels count.
        unusable: masks that do not count.
    """

    auroc: float
    aupro: float
    n_images: int
    unusable: list[UnusableMask]


@dataclass(frozen=True)
class Validation:
    """How good a model is on images whose truth is known.

    Attributes:
        selected_on: the images that thresholds were chosen on.
        reported_on: those that were kept for reporting.
        ranked_on: those that metrics without a threshold are of.
        in_halves: whether one set of images was divided between both.
        auroc, average_precision: with their 95% intervals.
        thresholds: what each rule's threshold does, by the rule's name.
    """

    selected_on: Counts
    reported_on: Counts
    ranked_on: Counts
    in_halves: bool
    auroc: Estimate
    average_precision: Estimate
    thresholds: dict[str, ThresholdMetrics]


def validate(
    items: Sequence[Item],
    known: Mapping[str, float],
    *,
    in_halves: bool,
    rate: float | None = None,
    stays: float | None = None,
) -> Validation:
    """Choose thresholds on some images and measure them on others.

    Args:
        items: scored images of both kinds.
        known: thresholds in use, by name: no image was used to choose them, so that they are
            measured on all that metrics without a threshold are measured on.
        in_halves: whether the items are one set that was divided, see ``ranked_items``.
        rate: of the rule ``false-alarm-rate``; None takes the usual one, or the best possible.
        stays: a threshold that stays where what a rule chooses is no better: see ``is_better``.

    Raises:
        thresholds.RateError: ``rate`` was given and takes more normal images.
    """
    selecting = [item for item in items if item.used_for == SELECTING]
    reporting = [item for item in items if item.used_for == REPORTING]
    ranked = ranked_items(items, in_halves=in_halves)
    truth, scores = truth_and_scores(ranked)
    chosen = choose_thresholds(selecting, rate) if selecting else {}
    if stays is not None:
        chosen = {
            rule: threshold
            if is_better(selecting, threshold, stays)
            else Threshold(rule, threshold.parameter, stays)
            for rule, threshold in chosen.items()
        }
    measured = {  # one that stays was not chosen here, and is measured as those that are known
        name: threshold_metrics(ranked if threshold.value == stays else reporting, threshold)
        for name, threshold in chosen.items()
        if name not in known
    }
    measured |= {
        name: threshold_metrics(ranked, Threshold(name, None, value))
        for name, value in known.items()
    }
    return Validation(
        selected_on=Counts.from_items(selecting),
        reported_on=Counts.from_items(reporting),
        ranked_on=Counts.from_items(ranked),
        in_halves=in_halves,
        auroc=metrics.auroc_interval(truth, scores),
        average_precision=metrics.bootstrap_interval(metrics.average_precision, truth, scores),
        thresholds=measured,
    )


def ranked_items(items: Sequence[Item], *, in_halves: bool) -> list[Item]:
    """The items that what needs no threshold is measured on: all of one set that was divided."""
    return [item for item in items if in_halves or item.used_for == REPORTING]


def choose_thresholds(items: Sequence[Item], rate: float | None) -> dict[str, Threshold]:
    """The threshold of each of ``RULES``, by its name: see ``choose_threshold``."""
    truth, scores = truth_and_scores(items)
    return {rule: choose_threshold(rule, truth, scores, rate) for rule in RULES}


def choose_threshold(
    rule: str, truth: np.ndarray, scores: np.ndarray, rate: float | None = None
) -> Threshold:
    """Choose a threshold on images whose truth is known.

    Args:
        rule: one of ``RULES``.

            - ``f1``: with the highest F1.
            - ``overlap``: where the histograms of normal images and anomalies overlap least: the
              share of the one kind above and of the other below it add up to the least (Youden,
              Index for Rating Diagnostic Tests, Cancer 3, 1950).
            - ``false-alarm-rate``: at most ``rate`` of normal images are above it.
        truth: (n,) bool, whether each is an anomaly.
        scores: (n,) float.
        rate: None takes the usual one, or the best possible.

    Raises:
        thresholds.RateError: ``rate`` was given and takes more normal images.
        ValueError: an unknown rule, or no image of one kind.
    """
    if rule == "false-alarm-rate":
        normal = scores[~truth]
        return ThresholdRule(rule, rate).choose(normal, normal)
    if rule == "f1":
        value = metrics.best_f1(truth, scores)[1]
    elif rule == "overlap":
        value = _least_overlap(truth, scores)
    else:
        raise ValueError(f"threshold rule {rule!r} is not one of {', '.join(RULES)}")
    return Threshold(rule, None, _middle_of_gap(scores, value))


def is_better(items: Sequence[Item], threshold: Threshold, other: float) -> bool:
    """Whether a threshold does better on images than another one, by the rule that chose it.

    Args:
        items: that it was chosen on.
        threshold: of one of ``RULES``. That of a false-alarm rate is better where another number
            of normal images is above it.
        other: the other one.
    """
    truth, scores = truth_and_scores(items)

    def errors(value: float) -> float:
        found = metrics.confusion(truth, scores > value)
        if threshold.rule == "f1":
            wrong = found.false_negatives + found.false_positives
            return wrong / max(2 * found.true_positives + wrong, 1)
        if threshold.rule == "overlap":
            return found.escape_rate.value + found.false_reject_rate.value
        return abs(found.false_positives - int((scores[~truth] > threshold.value).sum()))

    return errors(threshold.value) < errors(other)


@dataclass(frozen=True)
class Comparison:
    """Images that one of two thresholds calls normal and the other an anomaly.

    Attributes:
        n_better: of them, the first is right about so many.
        n_worse: the second about so many.
    """

    n_better: int
    n_worse: int

    @property
    def chance(self) -> float:
        """How often so many or more of them would fall to the first if neither were better.

        The exact one-sided sign test: McNemar, Note on the Sampling Error of the Difference
        Between Correlated Proportions, Psychometrika 12 (1947).
        """
        n_images = self.n_better + self.n_worse
        as_many = range(self.n_better, n_images + 1)
        return sum(math.comb(n_images, n) for n in as_many) / 2**n_images


def compare(items: Sequence[Item], first: float, second: float) -> Comparison:
    """Compare two thresholds on images that neither was chosen on."""
    truth, scores = truth_and_scores(items)
    differ = (scores > first) != (scores > second)
    n_better = int((differ & ((scores > first) == truth)).sum())
    return Comparison(n_better, int(differ.sum()) - n_better)


def _middle_of_gap(scores: np.ndarray, threshold: float) -> float:
    """Move a threshold as far from the scores as it can: new images are a little different."""
    below, above = scores[scores <= threshold], scores[scores > threshold]
    if not len(below) or not len(above):
        return float(threshold)
    middle = (below.max() + above.min()) / 2
    return float(middle if middle < above.min() else below.max())


def _least_overlap(truth: np.ndarray, scores: np.ndarray) -> float:
    if truth.all() or not truth.any():
        raise ValueError("the least overlap takes normal images and anomalies")
    candidates = np.unique(scores)
    normal, anomalies = np.sort(scores[~truth]), np.sort(scores[truth])
    rejected = 1 - np.searchsorted(normal, candidates, side="right") / len(normal)
    escaped = np.searchsorted(anomalies, candidates, side="right") / len(anomalies)
    return float(candidates[np.argmin(rejected + escaped)])


def threshold_metrics(items: Sequence[Item], threshold: Threshold) -> ThresholdMetrics:
    """Count what a threshold does to images, with 95% intervals of the rates that follow."""
    truth, scores = truth_and_scores(items)
    called = scores > threshold.value

    def f1(labels: np.ndarray, values: np.ndarray) -> float:
        hits = float((labels & (values > 0)).sum())
        return 2 * hits / max(float(labels.sum() + (values > 0).sum()), 1.0)

    return ThresholdMetrics(
        threshold=threshold,
        reported_on=Counts.from_items(items),
        f1=metrics.bootstrap_interval(f1, truth, called.astype(float)),
        confusion=metrics.confusion(truth, called),
    )


def pixel_metrics(labeller: Labeller, items: Sequence[Item], jobs: int) -> PixelMetrics:
    """Compare anomaly maps with masks, in bounded memory.

    Images larger than 1024 pixels are compared at that size. An anomaly without a mask does not
    count: nobody knows which of its pixels are defective.

    Args:
        labeller: the model.
        items: normal images, and anomalies with and without masks.
        jobs: number of threads.
    """

    def compare(item: Item) -> tuple[np.ndarray | None, np.ndarray] | UnusableMask:
        image, values = labeller.score_map(images.read_bytes(item.path))
        height, width = image.shape[:2]
        mask = None
        if item.mask is not None:
            try:
                mask = mvtec.read_mask(item.mask, (height, width))
            except (images.ImageError, mvtec.LayoutError) as error:
                return UnusableMask(item.mask, str(error))
        values = images.shrink(values, _MOST_SIDE)
        if mask is not None and mask.shape != values.shape:
            size = values.shape[::-1]
            mask = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
        return mask, values

    histogram, n_images = PixelHistogram(), 0
    unusable: list[UnusableMask] = []
    judged = [item for item in items if not item.is_anomaly or item.mask is not None]
    compared = ordered_map(compare, judged, jobs)
    for found in track(compared, "comparing anomaly maps", total=len(judged)):
        if isinstance(found, UnusableMask):
            unusable.append(found)
        else:
            histogram.add(*found)
            n_images += 1
    return PixelMetrics(histogram.auroc(), histogram.aupro(), n_images, unusable)
