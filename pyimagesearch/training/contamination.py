"""Anomalies among the images that are learned from: finding them by their out-of-fold scores.

A few defects among the normal images hardly harm what a detector learns, but calibration takes them
for normal, and the threshold rises above others of their kind. Where they stand apart from the
rest, they can be found and left out. What was tried: docs/methods.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pyimagesearch.runtime.console import counted, info, printable, warn
from pyimagesearch.training.calibration import LEAVE_ONE_OUT, Folds
from pyimagesearch.training.folder_audit import MAX_REPORTED

# Standard deviations from the median, in logarithms of scores: of normal images one or two in a
# hundred reach the first, and fewer the second.
_STRANGE, _APART = 3.0, 4.0
# Normal images, too, have a few strays, which are not a group.
_LEAST_APART, _LEAST_SHARE_APART = 3, 0.04
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
    """

    indices: np.ndarray
    are_apart: bool


def strangeness(scores: np.ndarray, folds: Folds | None = None) -> np.ndarray:
    """How far each score lies above what is usual, in robust standard deviations.

    The deviation is that of the scores below the median, which anomalies do not change. Each fold's
    scores are compared with its own median: what its detector was fitted on, be it anomalies, may
    have changed the scale of all of them.

    Args:
        scores: (n_images,) out-of-fold scores, from 0.
        folds: that they were scored in; of single images, or None, all are compared with all.

    Returns:
        (n_images,) float64; 0 for the median, whose logarithm the distances are taken from.
    """
    logs = np.log(np.maximum(scores, _TINY))
    if folds is not None and folds.method != LEAVE_ONE_OUT:
        for _, outside in folds.splits:
            logs[outside] -= np.median(logs[outside])
    median = np.median(logs)
    below = median - logs[logs < median]
    deviation = _MEDIAN_TO_DEVIATION * np.median(below) if len(below) else 0.0
    return (logs - median) / max(deviation, _TINY)


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
    strange = strangeness(scores, folds)
    if never is not None:
        strange[never] = -np.inf
    order = np.argsort(-strange, kind="stable")
    if share is not None:
        suspected = order[: int(share * len(scores) + 1e-9)]
        return Suspects(suspected[strange[suspected] > 0], False)
    n_apart = int((strange > _APART).sum())
    if n_apart < _LEAST_APART or n_apart <= _LEAST_SHARE_APART * len(scores):
        return Suspects(order[:0], False)
    return Suspects(order[: int((strange > _STRANGE).sum())], True)


def choose_left_out(
    names: Sequence[str],
    scores: np.ndarray,
    share: float | None,
    never: np.ndarray | None = None,
    folds: Folds | None = None,
    *,
    least_kept: int,
    unasked: bool,
) -> np.ndarray:
    """Choose which images are not learned, and report it.

    Args:
        names: of the images.
        scores, share, never, folds: as of ``find_suspects``; with a share of 0 all are learned.
        least_kept: number of images that must be left for a group to be left out unasked.
        unasked: whether it may be left out without a share.

    Returns:
        Indices of the images, the strangest first.
    """
    if share == 0:
        return np.empty(0, int)
    found = find_suspects(scores, share, never, folds)
    n_found, n_images = len(found.indices), counted(len(scores), "image")
    if not n_found:
        return found.indices
    listed = _listed([names[i] for i in found.indices])
    if not found.are_apart:
        info(f"--contamination {share:g}: the strangest {n_found} of {n_images} are not learned")
        info(f"left out: {listed}")
        return found.indices
    share_found = n_found / len(scores)
    stand = f"{n_found} of {n_images} {'stands' if n_found == 1 else 'stand'} apart from the rest"
    too_many = share_found > _MOST_LEFT_OUT or len(scores) - n_found < least_kept
    if too_many or not unasked:
        warn(
            f"{stand}, and anomalies among the images hide others: {listed}. They are learned; "
            f"--contamination {share_found:.2f} leaves them out"
        )
        return found.indices[:0]
    warn(
        f"{stand}, as anomalies would, and are not learned: {listed}. Check them (--audit PAGE.html"
        " shows them): if they are normal, --contamination 0 learns them, without which up to "
        f"{share_found:.0%} more of the normal images would be called anomalies"
    )
    return found.indices


def _listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    shown = ", ".join(map(printable, names[:MAX_REPORTED]))
    n_more = len(names) - MAX_REPORTED
    return f"{shown} and {n_more:,} more" if n_more > 0 else shown
