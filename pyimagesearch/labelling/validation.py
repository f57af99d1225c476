"""How good a model is on pictures whose truth is known, and which threshold suits them.

A threshold is chosen on some of the pictures and reported on others: on those that chose it, it
looks better than it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np

from pyimagesearch import metrics
from pyimagesearch.data import images, mvtec
from pyimagesearch.detectors import model_file
from pyimagesearch.labelling.images import Labeller
from pyimagesearch.labelling.thresholds import Threshold, ThresholdRule
from pyimagesearch.labelling.verdict import UNREADABLE
from pyimagesearch.metrics import Estimate, PixelHistogram
from pyimagesearch.runtime.threads import ordered_map

RULES = ("f1", "overlap", "false-alarm-rate")
MODEL_RULE = "model"  # the threshold that the model file has
PAGE_RULE = "page"  # the one by which the page of a report judged, where it is another
SELECTING, REPORTING = "select", "report"
# Masks and heat maps are compared at the picture's own size, but at most at this.
_MOST_SIDE = 1024


@dataclass(frozen=True)
class Item:
    """A picture whose truth is known.

    Attributes:
        path: of its file.
        is_anomaly: the truth.
        digest: of the file's content.
        score: by the model; nan where it is unreadable.
        part: ``SELECTING`` or ``REPORTING``.
        mask: file of its mask, if it has one.
    """

    path: str
    is_anomaly: bool
    digest: bytes
    score: float
    part: str = REPORTING
    mask: str | None = None


@dataclass(frozen=True)
class Scored:
    """What was scored.

    Attributes:
        items: the readable pictures, each content once.
        unreadable: (path, reason).
        repeated: (path, path of the picture that it equals byte for byte), left out.
    """

    items: list[Item]
    unreadable: list[tuple[str, str]]
    repeated: list[tuple[str, str]]


class ContradictionError(ValueError):
    """The same picture is said to be normal and to be an anomaly."""


def score_items(
    labeller: Labeller,
    pictures: Iterable[tuple[str, bool]],
    jobs: int,
    known: Sequence[Item] = (),
) -> Scored:
    """Score pictures, each content once.

    Args:
        labeller: the model.
        pictures: (path, whether it is an anomaly) of each.
        jobs: number of threads.
        known: items whose contents are left out, too.

    Raises:
        ContradictionError: two pictures of the same content and of different truth.
    """
    named = list(pictures)
    first = {item.digest: item for item in known}
    scored = Scored([], [], [])
    verdicts = labeller.label((path for path, _ in named), jobs)
    digests = ordered_map(_digest, (path for path, _ in named), jobs)
    for (path, is_anomaly), verdict, digest in zip(named, verdicts, digests, strict=True):
        if verdict.label == UNREADABLE:
            scored.unreadable.append((path, verdict.reason or ""))
        elif digest in first:
            if first[digest].is_anomaly != is_anomaly:
                raise ContradictionError(
                    f"{path} equals {first[digest].path}, and one is said to be normal and the "
                    "other an anomaly"
                )
            scored.repeated.append((path, first[digest].path))
        else:
            first[digest] = Item(path, is_anomaly, digest, verdict.score)
            scored.items.append(first[digest])
    return scored


def _digest(path: str) -> bytes:
    try:
        return hashlib.sha256(images.read_bytes(path)).digest()
    except images.ImageError:
        return b""


def split_in_half(items: Sequence[Item], seed: int) -> list[Item]:
    """Deal normal pictures and anomalies alike to choosing a threshold and to reporting.

    Which goes where depends on the seed and on the pictures' content alone, not on their names.
    """
    dealt: list[Item] = []
    for is_anomaly in (False, True):
        of_kind = sorted(
            (item for item in items if item.is_anomaly == is_anomaly), key=lambda i: i.digest
        )
        order = np.random.default_rng(seed).permutation(len(of_kind))
        for place, index in enumerate(order):
            part = SELECTING if place % 2 else REPORTING
            dealt.append(replace(of_kind[index], part=part))
    return sorted(dealt, key=lambda item: (item.is_anomaly, item.path))


def truth_and_scores(items: Iterable[Item]) -> tuple[np.ndarray, np.ndarray]:
    """(n,) bool, whether each is an anomaly, and (n,) float64."""
    kept = list(items)
    return np.array([i.is_anomaly for i in kept], bool), np.array([i.score for i in kept], float)


def choose_threshold(
    rule: str, truth: np.ndarray, scores: np.ndarray, rate: float | None = None
) -> Threshold:
    """Choose a threshold on pictures whose truth is known.

    Args:
        rule: one of ``RULES``.

            - ``f1``: with the highest F1.
            - ``overlap``: where the histograms of normal pictures and anomalies overlap least: the
              share of the one kind above and of the other below it add up to the least (Youden,
              Index for Rating Diagnostic Tests, Cancer 3, 1950).
            - ``false-alarm-rate``: at most ``rate`` of normal pictures are above it.
        truth: (n,) bool, whether each is an anomaly.
        scores: (n,) float.
        rate: None takes the usual one, or the best possible.

    Raises:
        thresholds.RateError: ``rate`` was given and takes more normal pictures.
        ValueError: an unknown rule, or no picture of one kind.
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


def _middle_of_gap(scores: np.ndarray, threshold: float) -> float:
    """Move a threshold as far from the scores as it can: new pictures are a little different."""
    below, above = scores[scores <= threshold], scores[scores > threshold]
    if not len(below) or not len(above):
        return float(threshold)
    middle = (below.max() + above.min()) / 2
    return float(middle if middle < above.min() else below.max())


def _least_overlap(truth: np.ndarray, scores: np.ndarray) -> float:
    if truth.all() or not truth.any():
        raise ValueError("the least overlap takes normal pictures and anomalies")
    candidates = np.unique(scores)
    normal, anomalies = np.sort(scores[~truth]), np.sort(scores[truth])
    rejected = 1 - np.searchsorted(normal, candidates, side="right") / len(normal)
    escaped = np.searchsorted(anomalies, candidates, side="right") / len(anomalies)
    return float(candidates[np.argmin(rejected + escaped)])


def rank_metrics(truth: np.ndarray, scores: np.ndarray) -> dict[str, Estimate]:
    """AUROC and average precision, which need no threshold, with 95% intervals."""
    return {
        "auroc": metrics.auroc_interval(truth, scores),
        "average_precision": metrics.bootstrap_interval(metrics.average_precision, truth, scores),
    }


def threshold_metrics(truth: np.ndarray, scores: np.ndarray, threshold: float) -> dict[str, Any]:
    """What a threshold does to pictures: counts, and rates with 95% intervals.

    Args:
        truth: (n,) bool, whether each is an anomaly.
        scores: (n,) float.
        threshold: above which a picture is called an anomaly.
    """
    called = scores > threshold
    counts = metrics.confusion(truth, called)

    def f1(labels: np.ndarray, values: np.ndarray) -> float:
        hits = float((labels & (values > 0)).sum())
        return 2 * hits / max(float(labels.sum() + (values > 0).sum()), 1.0)

    return {
        "f1": metrics.bootstrap_interval(f1, truth, called.astype(float)),
        "accuracy": counts.accuracy,
        "precision": counts.precision,
        "recall": counts.recall,
        "false_reject_rate": counts.false_reject_rate,
        "escape_rate": counts.escape_rate,
        "true_positives": counts.true_positives,
        "false_positives": counts.false_positives,
        "false_negatives": counts.false_negatives,
        "true_negatives": counts.true_negatives,
    }


@dataclass(frozen=True)
class PixelMetrics:
    """How well heat maps mark defective pixels.

    Attributes:
        auroc: of all pixels.
        aupro: area under the per-region overlap curve, to 30% of false positives.
        n_pictures: whose pixels count.
        unusable: (path of a mask, why it does not count, nor its picture).
    """

    auroc: float
    aupro: float
    n_pictures: int
    unusable: list[tuple[str, str]]


def pixel_metrics(labeller: Labeller, items: Sequence[Item], jobs: int) -> PixelMetrics:
    """Compare heat maps with masks, in bounded memory.

    Pictures larger than 1024 pixels are compared at that size. An anomaly without a mask does not
    count: nobody knows which of its pixels are defective.

    Args:
        labeller: the model.
        items: normal pictures, and anomalies with and without masks.
        jobs: number of threads.
    """

    def compare(item: Item) -> tuple[np.ndarray | None, np.ndarray] | tuple[str, str]:
        image, heat = labeller.score_map(images.read_bytes(item.path))
        height, width = image.shape[:2]
        mask = None
        if item.mask is not None:
            try:
                mask = mvtec.read_mask(item.mask, (height, width))
            except (images.ImageError, mvtec.LayoutError) as error:
                return item.mask, str(error)
        heat = images.shrink(heat, _MOST_SIDE)
        if mask is not None and mask.shape != heat.shape:
            size = heat.shape[::-1]
            mask = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
        return mask, heat

    histogram, unusable, n_pictures = PixelHistogram(), [], 0
    counted = [item for item in items if not item.is_anomaly or item.mask is not None]
    for found in ordered_map(compare, counted, jobs):
        if isinstance(found[0], str):
            unusable.append(found)
        else:
            histogram.add(*found)
            n_pictures += 1
    return PixelMetrics(histogram.auroc(), histogram.aupro(), n_pictures, unusable)


def with_masks(
    items: Sequence[Item], folders: Sequence[str], masks: str
) -> tuple[list[Item], list[str]]:
    """Give anomalies their masks.

    Args:
        items: normal ones stay as they are.
        folders: that the anomalies lie in.
        masks: folder of masks, which lie as the pictures lie below their folders.

    Returns:
        The items, and masks that belong to none of them.

    Raises:
        layouts.LayoutError: two masks for one picture.
    """
    found: dict[str, str] = {}
    unused: set[str] | None = None
    for folder in folders:
        pictures = [item.path for item in items if item.is_anomaly]
        paired = mvtec.pair_masks(pictures, folder, masks)
        found |= paired.by_image
        left = set(paired.without_image)
        unused = left if unused is None else unused & left
    return [replace(item, mask=found.get(item.path)) for item in items], sorted(unused or ())


def update_threshold(path: str, threshold: Threshold, chosen_on: dict[str, Any]) -> None:
    """Write another threshold into a model file, in one step.

    Args:
        path: of the model file.
        threshold: the new one.
        chosen_on: what it was chosen on, for people, as JSON types.

    Raises:
        modelfiles.ModelFileError: not a usable model file.
        OSError: it cannot be read or written.
    """
    model = model_file.load_model(path)
    manifest = dict(model.manifest)
    manifest["threshold"] = threshold.describe() | {"chosen_on": chosen_on}
    model_file.save_model(path, manifest, model.arrays, model.networks)
