"""How good a model is, as messages, CSV, JSON and a plot."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from pyimagesearch.labelling.ground_truth import REPORTING, Item, truth_and_scores
from pyimagesearch.labelling.validation import (
    MODEL_RULE,
    PixelMetrics,
    ThresholdMetrics,
    Validation,
    compare,
)
from pyimagesearch.metrics import Estimate, upper_bound
from pyimagesearch.reports import plots
from pyimagesearch.runtime.console import counted, printable

COLUMNS = ("metric", "rule", "value", "low", "high")
SCORE_COLUMNS = ("image", "truth", "part", "score")

MOST_CHANCE = 0.05  # where chance does as much more often, more verdicts are asked for

Value = Estimate | float | int | None


def summary(found: Validation, rule: str, confidence: float) -> Iterator[str]:
    """What a user wants to know first, line by line.

    Args:
        found: the metrics.
        rule: the one that is marked, and whose confusion matrix is shown.
        confidence: with which the rate of its false alarms is bounded.
    """
    for verb, counts in (
        ("thresholds chosen on", found.selected_on),
        ("reported on", found.reported_on),
    ):
        yield f"{verb} {counts.normal} normal, {counts.anomalous} anomalous images"
    for name, measured in found.thresholds.items():
        confusion = measured.confusion
        yield (
            f"{'*' if name == rule else ' '} {name} {measured.threshold.value:.4f}: "
            f"recall {_rate(confusion.recall)}, "
            f"escapes (false negatives) {_rate(confusion.escape_rate)}, "
            f"false rejects (false positives) {_rate(confusion.false_reject_rate)}, "
            f"precision {_rate(confusion.precision)}, F1 {_rate(measured.f1)}"
        )
    shown = rule if rule in found.thresholds else MODEL_RULE
    best = found.thresholds[shown].confusion
    yield f"confusion with {shown}:  called normal  called anomaly"
    yield f"  normal    {best.true_negatives:>13}  {best.false_positives:>14}"
    yield f"  anomalous {best.false_negatives:>13}  {best.true_positives:>14}"
    n_normal = best.true_negatives + best.false_positives
    bound = upper_bound(best.false_positives, n_normal, confidence)
    yield (
        f"with {100 * confidence:g}% confidence, {shown} calls at most {bound:.2%} of normal "
        "images anomalies"
    )


def describe_move(found: Validation, rule: str, items: Sequence[Item]) -> str:
    """How sure it is that the threshold of a rule is better than the one of the model file.

    Args:
        found: the metrics.
        rule: of a threshold that is no worse where it was chosen.
        items: that it was chosen on, and those that were kept for reporting.
    """
    measured = found.thresholds[rule]
    new, in_use = measured.threshold.value, found.thresholds[MODEL_RULE].threshold.value
    if new == in_use:
        return f"no threshold by {rule} is better on these verdicts than the one in use"
    kept = [item for item in items if item.used_for == REPORTING]
    compared = compare(kept, new, in_use)
    n_differ = compared.n_better + compared.n_worse
    escapes, rejects = measured.confusion.escape_rate, measured.confusion.false_reject_rate
    said = (
        f"with {rule}, 95% sure: escapes {_percents(escapes)}, false rejects {_percents(rejects)}; "
    )
    if not n_differ:
        return f"{said}the {counted(len(kept), 'image')} kept for reporting get the same labels"
    return (
        f"{said}of the {counted(n_differ, 'image')} kept for reporting that get another label, "
        f"{compared.n_better} rightly so, which chance alone does in {compared.chance:.1%} of cases"
        f"{'' if compared.chance <= MOST_CHANCE else ': judge more images before you take it'}"
    )


def _percents(rate: Estimate) -> str:
    return f"from {rate.low:.1%} to {rate.high:.1%}"


def _rate(estimate: Estimate) -> str:
    return "undefined" if math.isnan(estimate.value) else f"{estimate.value:.3f}"


def as_csv(found: Validation, pixels: PixelMetrics | None) -> str:
    """The metrics as CSV, a row each: ``COLUMNS``; what is undefined is empty."""
    lines: list[tuple[str, str, Value]] = [
        ("auroc", "", found.auroc),
        ("average_precision", "", found.average_precision),
    ]
    if pixels is not None:
        lines += [("pixel_auroc", "", pixels.auroc), ("aupro", "", pixels.aupro)]
    for rule, measured in found.thresholds.items():
        lines.append(("threshold", rule, measured.threshold.value))
        lines += [(name, rule, value) for name, value in _measures(measured).items()]
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for name, rule, value in lines:
        numbers = _numbers(value) if isinstance(value, Estimate) else {"value": _number(value)}
        texts = {key: "" if n is None else f"{n:.6g}" for key, n in numbers.items()}
        writer.writerow({"metric": name, "rule": rule, **texts})
    return buffer.getvalue()


def as_json(found: Validation, pixels: PixelMetrics | None, model: str) -> str:
    """The metrics, and what they are of, as JSON; what is undefined is null.

    Args:
        found: the metrics.
        pixels: those of anomaly maps, where there are masks.
        model: name of the model file.
    """
    described: dict[str, Any] = {
        "model": model,
        "chosen_on": asdict(found.selected_on),
        "reported_on": asdict(found.reported_on),
        "ranked_on": asdict(found.ranked_on),
        "split": "half and half" if found.in_halves else "given",
        "ranks": {
            "auroc": _numbers(found.auroc),
            "average_precision": _numbers(found.average_precision),
        },
        "thresholds": {},
    }
    if pixels is not None:
        described["pixels"] = {
            "auroc": _number(pixels.auroc),
            "aupro": _number(pixels.aupro),
            "pictures": pixels.n_images,
        }
    for rule, measured in found.thresholds.items():
        described["thresholds"][rule] = {
            "threshold": measured.threshold.value,
            "parameter": measured.threshold.parameter,
            "reported_on": asdict(measured.reported_on),
        } | {
            name: _numbers(value) if isinstance(value, Estimate) else value
            for name, value in _measures(measured).items()
        }
    return json.dumps(described, indent=2, allow_nan=False) + "\n"


def scores_as_csv(items: Sequence[Item]) -> str:
    """The truth and the score of each image as CSV: ``SCORE_COLUMNS``."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(SCORE_COLUMNS)
    for item in items:
        truth = "anomaly" if item.is_anomaly else "normal"
        writer.writerow((printable(item.path), truth, item.used_for, f"{item.score:.6g}"))
    return buffer.getvalue()


def plot(found: Validation, items: Sequence[Item]) -> bytes:
    """Plot how the scores of normal images and anomalies are spread, as PNG."""
    truth, scores = truth_and_scores(items)
    marked = {name: measured.threshold.value for name, measured in found.thresholds.items()}
    return plots.plot_histogram(
        scores[~truth], scores[truth], marked, "Scores of pictures whose truth is known"
    )


def _measures(measured: ThresholdMetrics) -> dict[str, Estimate | int]:
    """What a threshold does, by the names that CSV and JSON share."""
    confusion = measured.confusion
    return {
        "f1": measured.f1,
        "accuracy": confusion.accuracy,
        "precision": confusion.precision,
        "recall": confusion.recall,
        "false_reject_rate": confusion.false_reject_rate,
        "escape_rate": confusion.escape_rate,
        **asdict(confusion),
    }


def _numbers(estimate: Estimate) -> dict[str, float | None]:
    """The value and the ends of its interval; None for what is undefined."""
    return {name: _number(value) for name, value in asdict(estimate).items()}


def _number(value: float | int | None) -> float | int | None:
    return None if value is None or math.isnan(value) else value
