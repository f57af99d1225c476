"""Anomalies among the images that are learned from: finding them by their out-of-fold scores.

A few defects among the normal images hardly harm what a detector learns, but calibration takes them
for normal, and the threshold rises above others of their kind. Where they stand apart from the
rest, they can be found and left out. What was tried: docs/methods.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np

from pyimagesearch.labelling.thresholds import false_alarms
from pyimagesearch.runtime.console import counted, info, printable, warn
from pyimagesearch.training.calibration import LEAVE_ONE_OUT, Folds
from pyimagesearch.training.folder_audit import MAX_REPORTED

# Standard deviations from the median, in logarithms of scores: of normal images one or two in a
# hundred reach the first, and fewer the second. What is left out unasked and was normal costs the
# promise of a false-alarm rate: so enough of a group must reach the third, in deviations that are
# those of the other side of the median where these are larger.
_STRANGE, _APART, _FAR_APART = 3.0, 4.0, 5.0
# Normal images, too, have a few strays, which are not a group.
_LEAST_APART, _LEAST_SHARE_APART, _LEAST_SHARE_FAR_APART = 3, 0.04, 0.02
# The most of all images that are left out without being asked: more may well be another kind of
# normal images.
_MOST_LEFT_OUT = 0.2
_MEDIAN_TO_DEVIATION = 1.4826  # of a normal distribution
_TINY = 1e-9


@dataclass(frozen=True)
class Suspects:
    """Which images may be anomalies.

    Attributes:
        indices: of the images, the strangest first; possibly none.
        are_apart: whether they stand apart from the rest, so that they were found unasked.
        are_far: whether they stand so far apart that they may be left out unasked.
    """

    indices: np.ndarray
    are_apart: bool = False
    are_far: bool = False


class Calibrated(Protocol):
    """A detector that was fitted to items, with their out-of-fold scores."""

    @property
    def calibration(self) -> np.ndarray: ...

    @property
    def folds(self) -> Folds: ...


Fitted = TypeVar("Fitted", bound=Calibrated)


@dataclass(frozen=True)
class Suspicion:
    """Which images may be left out.

    Attributes:
        share: as of ``find_suspects``; with 0 all are learned.
        never: (n_images,) bool, which ones are not suspected, however strange they are; or None.
        groups: (n_images,) names of the groups that have calibrations of their own, or None: a
            group whose scores are higher than others' is no group of anomalies.
        least_kept: number of images that must be left for a group to be left out unasked.
        least_in_group: the same of each of ``groups``.
        unasked: whether it may be left out without a share.
    """

    share: float | None
    never: np.ndarray | None = None
    groups: np.ndarray | None = None
    least_kept: int = 0
    least_in_group: int = 0
    unasked: bool = True

    def comparable(self, scores: np.ndarray) -> np.ndarray:
        """Scores of all images, of each group relative to its median."""
        if self.groups is None:
            return scores
        scores = scores.copy()
        for group in np.unique(self.groups):
            own = self.groups == group
            scores[own] /= max(float(np.median(scores[own])), np.finfo(float).tiny)
        return scores

    def leaves_few(self, left_out: np.ndarray, n_images: int) -> bool:
        """Whether too few images are left for some of them, by their indices, to go unasked."""
        n_kept = n_images - len(left_out)
        if self.groups is None:
            return n_kept < self.least_kept
        kept = np.delete(self.groups, left_out)
        in_group = min(np.count_nonzero(kept == group) for group in np.unique(self.groups))
        return n_kept < self.least_kept or in_group < self.least_in_group


@dataclass(frozen=True)
class Cleaned(Generic[Fitted]):
    """A detector that has not learned what may be anomalies.

    Attributes:
        fitted: to the other images.
        unlearned: (k,) indices of the images that it was not fitted to, the strangest first.
        counted: (m,) indices of those of them that may well be normal, and count in calibration.
        calibration: (n,) out-of-fold scores of the images that were learned, in their order, then
            those of ``counted``.
    """

    fitted: Fitted
    unlearned: np.ndarray
    counted: np.ndarray
    calibration: np.ndarray


def fit_cleaned(
    first: Fitted,
    names: Sequence[str],
    suspicion: Suspicion,
    fit: Callable[[np.ndarray], Fitted],
    score: Callable[[Fitted, np.ndarray], np.ndarray],
) -> Cleaned[Fitted]:
    """Find the images that may be anomalies, fit again without them, and report it.

    Of those that a share leaves out, the least strange count in calibration all the same: their
    scores by a detector that has not seen them are what a normal image's would be.

    Args:
        first: fitted to all images.
        names: of the images behind its calibration.
        suspicion: which of them may be left out.
        fit: makes a detector without the images of some indices.
        score: (detector, indices of images) -> their scores.
    """
    out = choose_left_out(names, first.calibration, suspicion, first.folds)
    none = np.empty(0, int)
    if not len(out):
        return Cleaned(first, none, none, first.calibration)
    fitted = fit(out)
    if suspicion.share is None:
        return Cleaned(fitted, out, none, fitted.calibration)
    scores = np.empty(len(names))
    scores[np.delete(np.arange(len(names)), out)] = fitted.calibration
    scores[out] = score(fitted, out)
    comparable = suspicion.comparable(scores)
    counted_ones = out[are_plausible(comparable[out], np.delete(comparable, out))]
    if n_counted := len(counted_ones):
        of_them = "it" if len(out) == 1 else f"{n_counted} of them"
        are, count = ("is", "counts") if n_counted == 1 else ("are", "count")
        info(
            f"{of_them} {are} no stranger than normal images may be, and {count} in calibration "
            f"all the same: {listed([names[i] for i in counted_ones])}"
        )
    calibration = np.concatenate([fitted.calibration, scores[counted_ones]])
    return Cleaned(fitted, out, counted_ones, calibration)


def are_plausible(scores: np.ndarray, calibration: np.ndarray) -> np.ndarray:
    """Which images may well be normal, compared with images that are presumed to be.

    Args:
        scores: (m,) of images that the detector has not seen.
        calibration: (n,) out-of-fold scores of those that are presumed to be normal.

    Returns:
        (m,) bool.
    """
    logs, usual = (np.log(np.maximum(some, _TINY)) for some in (scores, calibration))
    return _above_usual(logs, usual) <= _STRANGE


def strangeness(
    scores: np.ndarray, folds: Folds | None = None, both_sides: bool = False
) -> np.ndarray:
    """How far each score lies above what is usual, in robust standard deviations.

    The deviation is that of the scores below the median, which anomalies do not change. Each fold's
    scores are compared with its own median: what its detector was fitted on, be it anomalies, may
    have changed the scale of all of them.

    Args:
        scores: (n_images,) out-of-fold scores, from 0.
        folds: that they were scored in; of single images, or None, all are compared with all.
        both_sides: whether the deviation is that of the scores above the median where that is
            larger: those of normal images often scatter more there.

    Returns:
        (n_images,) float64; 0 for the median, whose logarithm the distances are taken from.
    """
    logs = np.log(np.maximum(scores, _TINY))
    if folds is not None and folds.method != LEAVE_ONE_OUT:
        for _, outside in folds.splits:
            logs[outside] -= np.median(logs[outside])
    return _above_usual(logs, logs, both_sides)


def _above_usual(logs: np.ndarray, usual: np.ndarray, both_sides: bool = False) -> np.ndarray:
    """How far logarithms of scores lie above the median of others, in the others' deviations."""
    median = np.median(usual)
    sides = [usual < median, usual > median] if both_sides else [usual < median]
    deviations = [np.median(np.abs(usual[side] - median)) for side in sides if side.any()]
    return (logs - median) / max(_MEDIAN_TO_DEVIATION * max(deviations, default=0.0), _TINY)


def find_suspects(
    scores: np.ndarray,
    share: float | None,
    never: np.ndarray | None = None,
    folds: Folds | None = None,
) -> Suspects:
    """Find the images that may be anomalies.

    Args:
        scores: (n_images,) out-of-fold scores, from 0.
        share: of the images that may be anomalies: the strangest of those above the median are
            suspected, at most so many. None suspects only what is a group apart.
        never: (n_images,) bool, which ones are not suspected, however strange they are.
        folds: as of ``strangeness``.
    """
    strange, by_both = (strangeness(scores, folds, both_sides=both) for both in (False, True))
    if never is not None:
        strange[never] = by_both[never] = -np.inf
    order = np.argsort(-strange, kind="stable")
    if share is not None:
        suspected = order[: int(share * len(scores) + 1e-9)]
        return Suspects(suspected[strange[suspected] > 0])
    for z, least_z, least_share in (
        (by_both, _FAR_APART, _LEAST_SHARE_FAR_APART),
        (strange, _APART, _LEAST_SHARE_APART),
    ):
        if (z > least_z).sum() > max(_LEAST_APART - 1, least_share * len(scores)):
            suspected = order[: int((z > _STRANGE).sum())]
            return Suspects(suspected, are_apart=True, are_far=z is by_both)
    return Suspects(order[:0])


def choose_left_out(
    names: Sequence[str],
    scores: np.ndarray,
    suspicion: Suspicion,
    folds: Folds | None = None,
) -> np.ndarray:
    """Choose which images are not learned, and report it.

    Args:
        names: of the images.
        scores: (n_images,) out-of-fold scores, from 0.
        suspicion: which may be left out.
        folds: as of ``strangeness``.

    Returns:
        Indices of the images, the strangest first.
    """
    share = suspicion.share
    if share == 0:
        return np.empty(0, int)
    found = find_suspects(suspicion.comparable(scores), share, suspicion.never, folds)
    n_found, n_images = len(found.indices), counted(len(scores), "image")
    _report_less_than_one(share, n_images, len(scores), "are learned")
    if not n_found:
        return found.indices
    shown = listed([names[i] for i in found.indices])
    if not found.are_apart:
        are = "is" if n_found == 1 else "are"
        info(f"--contamination {share:g}: the strangest {n_found} of {n_images} {are} not learned")
        info(f"left out: {shown}")
        return found.indices
    share_found = n_found / len(scores)
    are_few = suspicion.leaves_few(found.indices, len(scores))
    is_much = share_found > _MOST_LEFT_OUT
    if are_few or is_much or not (found.are_far and suspicion.unasked):
        too_few, advice = ", as too few would be left without them", _advice(n_found, len(scores))
        _warn_of_kept(names, found.indices, f"are learned{too_few if are_few else f'; {advice}'}")
        return found.indices[:0]
    warn(
        f"{n_found} of {n_images} stand apart from the rest, as anomalies would, and are not "
        f"learned: {shown}. Check them (--audit PAGE.html shows them): if they are normal, "
        f"--contamination 0 learns them, without which up to {share_found:.0%} more of the normal "
        "images would be called anomalies"
    )
    return found.indices


def _report_less_than_one(share: float | None, n_images: str, n_scores: int, do_what: str) -> None:
    """Say where a share of the images is none, so that all of them do what they do."""
    if share and share * n_scores + _TINY < 1:
        info(f"--contamination {share:.3g}: of {n_images} that is less than one, so all {do_what}")


def _warn_of_kept(names: Sequence[str], apart: np.ndarray, said: str) -> None:
    """Warn of those images, by their indices, that stand apart and are kept, as is said."""
    warn(
        f"{len(apart)} of {counted(len(names), 'image')} stand apart from the rest, and anomalies "
        f"among the images hide others: {listed([names[i] for i in apart])}. They {said}"
    )


def _advice(n_apart: int, n_images: int) -> str:
    """Which share leaves out all of them."""
    share = math.ceil(100 * n_apart / n_images - _TINY) / 100
    return f"--contamination {share:.2f} leaves them out"


def choose_uncalibrated(
    names: Sequence[str], scores: np.ndarray, share: float | None
) -> np.ndarray:
    """Choose which images calibration leaves out, where learning is not done twice; report it.

    Args:
        names: of the images.
        scores: (n_images,) by detectors that had not seen them, from 0.
        share: of them that may be anomalies: the strangest are left out. None only warns of a group
            that stands apart, and 0 does nothing.

    Returns:
        Indices of the images, the strangest first.
    """
    out = find_suspects(scores, share).indices
    if share is None:
        if len(out):
            advice = _advice(len(out), len(scores))
            _warn_of_kept(names, out, f"count in calibration; {advice}")
        return out[:0]
    n_images = counted(len(scores), "calibration image")
    _report_less_than_one(share, n_images, len(scores), "count")
    if n_out := len(out):
        info(
            f"--contamination {share:.3g}: the strangest {n_out} of {n_images} "
            f"{'does' if n_out == 1 else 'do'} not count: {listed([names[i] for i in out])}"
        )
    return out


def report_bias(parts: Sequence[tuple[np.ndarray, float, int]]) -> None:
    """Report how many more false alarms there may be where what was left out is normal.

    At worst, all that was left out would have been above the threshold.

    Args:
        parts: (calibration scores, threshold, number of images that the scores were made without),
            of each group where groups have thresholds of their own.
    """
    n_left_out = sum(n for _, _, n in parts)
    if not n_left_out:
        return
    rates = []
    for calibration, threshold, n in parts:
        with_them = np.append(calibration, np.full(n, np.inf))
        rates.append([false_alarms(threshold, some, 1).rate for some in (with_them, calibration)])
    most, promised = max(rates)
    these = "the image" if n_left_out == 1 else f"all {n_left_out} images"
    info(
        f"if {these} that calibration leaves out {'is' if n_left_out == 1 else 'are'} normal, at "
        f"most {most:.1%} of normal images{' of a group' if len(parts) > 1 else ''} are called "
        f"anomalies rather than {promised:.1%}"
    )


def listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    shown = ", ".join(map(printable, names[:MAX_REPORTED]))
    n_more = len(names) - MAX_REPORTED
    return f"{shown} and {n_more:,} more" if n_more > 0 else shown
