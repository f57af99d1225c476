"""What a model finds about one image."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

NORMAL = "normal"
ANOMALY = "anomaly"
UNREADABLE = "unreadable"
LABELS = (NORMAL, ANOMALY, UNREADABLE)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a model found about one image; it travels as it is from the worker to the row.

    Attributes:
        image: its path, as the user would open it.
        label: ``NORMAL``, ``ANOMALY`` or ``UNREADABLE``.
        score: higher is more anomalous; None if unreadable.
        p_value: the share of normal images that would look at least this strange; None if
            unreadable.
        reason: why it is unreadable.
        outside: what it is far more of than any training image, such as "darker"; None of most, and
            where that is not known: see ``known_range``.
        extrapolated: whether the p-value is below what the calibration scores can promise, and an
            estimate by their tail.
        conditions: (len(CONDITIONS),) float32, the capture conditions; None if unreadable, not
            measured, or where the model does not know those of its training images. They say
            something of the batch, not of the image, and do not count in comparisons.
    """

    image: str
    label: str
    score: float | None = None
    p_value: float | None = None
    reason: str | None = None
    outside: str | None = None
    extrapolated: bool = False
    conditions: np.ndarray | None = field(default=None, compare=False, repr=False)

    @property
    def is_readable(self) -> bool:
        """Whether the image could be judged."""
        return self.label != UNREADABLE
