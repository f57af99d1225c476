"""Was a single image taken under conditions far from those of all training images?

A night among days, one photo against the sun: a batch does not shift by it, and its verdict may
not hold all the same. An image is far off where one of its capture conditions lies beyond the range
of those that are known by a margin, a share of that range. Of n known images an ordinary one is the
darkest with probability 1 / (n + 1), whatever their distribution, so that the range of a few is
soon left: the margin falls with n as that probability does, and with it the chance of a notice
hardly depends on n. How large it is depends on the tails of the conditions, for which nothing can
be promised without a distribution; it was measured on real images (``benchmarks/single_lights``).

Compared is what is about a picture as a whole. Its very darkest and brightest spots and the
direction and colours of its edges are left to batches: a crack, a hole or a reflection moves them,
too, and blur leaves few edges that have a colour.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from pyimagesearch.labelling.capture_conditions import CONDITIONS, NAMES, UNNOTICED
from pyimagesearch.labelling.verdict import NORMAL, Verdict
from pyimagesearch.runtime.console import counted, printable

# Less than this share of ordinary images is said to be far off: the mean over real sets.
FALSE_NOTICE_RATE = 0.01
_LEAST_IMAGES = 10  # that have a range
_MARGIN_TIMES_IMAGES, _LEAST_MARGIN = 30, 0.25
_MOST_NAMES = 3  # in a notice
_EDGES = ("red_green_edges", "blue_yellow_edges", "upright", "slanting")
_LEFT_TO_BATCHES = ("brightest", "darkest", *_EDGES)
_COMPARED = [place for place, name in enumerate(NAMES) if name not in _LEFT_TO_BATCHES]


class KnownRange:
    """The range of the capture conditions of training images.

    Args:
        conditions: (n, len(CONDITIONS)) of them.
    """

    def __init__(self, conditions: np.ndarray) -> None:
        known = conditions[:, _COMPARED].astype(np.float64)
        low, high = known.min(axis=0), known.max(axis=0)
        self._knows_enough = len(conditions) >= _LEAST_IMAGES
        self._middle = (low + high) / 2
        margin = max(_MARGIN_TIMES_IMAGES / len(conditions), _LEAST_MARGIN)
        self._reach = (high - low) * (0.5 + margin) + UNNOTICED[_COMPARED]

    def beyond(self, conditions: np.ndarray) -> str | None:
        """In what an image is farthest beyond all that is known, such as "darker".

        Args:
            conditions: (len(CONDITIONS),) of the image.

        Returns:
            None where it is in nothing.
        """
        if not self._knows_enough:
            return None
        from_middle = conditions[_COMPARED] - self._middle
        distance = np.abs(from_middle) / self._reach
        farthest = int(distance.argmax())
        if distance[farthest] <= 1:
            return None
        condition = CONDITIONS[_COMPARED[farthest]]
        return condition.more if from_middle[farthest] > 0 else condition.less


class FarImages:
    """Counts the images of a run that are far off, in memory that does not grow with it.

    Args:
        n_known: number of training images whose conditions are known.
    """

    def __init__(self, n_known: int) -> None:
        self._n_known = n_known
        self._n_measured = 0
        self._n_called_normal = 0
        self._words: Counter[str] = Counter()
        self._names: list[tuple[str, str]] = []

    def add(self, verdict: Verdict) -> None:
        """Count one image."""
        self._n_measured += verdict.conditions is not None
        if verdict.outside is not None:
            self._words[verdict.outside] += 1
            self._n_called_normal += verdict.label == NORMAL
            if len(self._names) < _MOST_NAMES:
                self._names.append((verdict.image, verdict.outside))

    @property
    def pass_too_often(self) -> bool:
        """Whether more are called normal than is to be expected of ordinary images.

        An anomaly is looked at anyway, and a picture of something else is mostly far off, too.
        """
        return self._n_called_normal > FALSE_NOTICE_RATE * self._n_measured

    def notice(self) -> str | None:
        """A sentence or two about them; None where there are none."""
        count = self._words.total()
        if not count:
            return None
        rate = (
            f"Of images taken like those, fewer than {FALSE_NOTICE_RATE:.0%} got such a notice "
            "where it was measured."
        )
        if self._n_measured == 1:
            ((name, word),) = self._names
            return (
                f"{printable(name)} is {word} than any of {self._n_known:,} training images, by "
                f"far: its verdict may not hold. {rate}"
            )
        words = ", ".join(f"{n:,} {word}" for word, n in self._words.most_common())
        names = ", ".join(printable(name) for name, _ in self._names)
        more = ", ..." if count > len(self._names) else ""
        verb, whose = ("was", "its verdict") if count == 1 else ("were", "their verdicts")
        return (
            f"{count:,} of {counted(self._n_measured, 'image')} {verb} taken under conditions far "
            f"from those of {self._n_known:,} training images: {words} than any of "
            f"these ({names}{more}): {whose} may not hold. {rate}"
        )
