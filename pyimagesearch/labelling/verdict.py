"""What is found about one image."""

from __future__ import annotations

from dataclasses import dataclass

NORMAL = "normal"


ANOMALY = "anomaly"


UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found about one image.

    Attributes:
        image: its path, as the user would open it.
        label: ``NORMAL``, ``ANOMALY`` or ``UNREADABLE``.
        score: higher is more anomalous; None if unreadable.
        p_value: the share of normal images that would look at least this strange; None if
            unreadable.
        reason: why it is unreadable.
    """

    image: str
    label: str
    score: float | None = None
    p_value: float | None = None
    reason: str | None = None
