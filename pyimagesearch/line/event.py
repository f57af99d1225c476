"""An event: a verdict with all that is needed to say later what it was about, and by which model.

Its JSON is the same wherever it goes: what a server answers, what is sent to a URL or to a message
bus, and what the record holds.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from pyimagesearch.line.judging import Finding, Place

_DIGITS = 6  # of a score, as in CSV
_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"


@dataclass(frozen=True)
class Event:
    """A verdict, when and by what it was given.

    Attributes:
        id: different for each; a message that is sent twice has the same.
        time: UTC, in ISO 8601 with microseconds, so that text sorts by time.
        source: where the image came from: a folder, a camera, ``http``.
        image: its name; bytes that are no UTF-8 are written as ``\\xNN``.
        label: ``NORMAL``, ``ANOMALY`` or ``UNREADABLE``.
        score, p_value: None if unreadable.
        reason: why it is unreadable, or None.
        threshold: the score above which an image was an anomaly.
        model: SHA-256 of the model file.
        ms: milliseconds that it took to judge.
        places: where it is anomalous.
        outside, extrapolated: as of ``Verdict``.
        file: the image's name as the system has it; not on record.
    """

    id: str
    time: str
    source: str
    image: str
    label: str
    score: float | None
    p_value: float | None
    reason: str | None
    threshold: float
    model: str
    ms: float
    places: tuple[Place, ...] = ()
    outside: str | None = None
    extrapolated: bool = False
    file: str = field(default="", compare=False)

    @classmethod
    def of(cls, finding: Finding, source: str) -> Event:
        """The event of a finding, now.

        Args:
            finding: what was found.
            source: as of the class.
        """
        verdict = finding.verdict
        return cls(
            id=uuid4().hex,
            time=text_of_time(datetime.now(UTC)),
            source=readable(source),
            image=readable(verdict.image),
            label=verdict.label,
            score=verdict.score,
            p_value=verdict.p_value,
            reason=verdict.reason,
            threshold=finding.threshold,
            model=finding.model,
            ms=1000 * finding.seconds,
            places=finding.places,
            outside=verdict.outside,
            extrapolated=verdict.extrapolated,
            file=verdict.image,
        )

    def fields(self) -> dict[str, Any]:
        """What is written of it, as JSON types."""
        return {
            "id": self.id,
            "time": self.time,
            "source": self.source,
            "image": self.image,
            "label": self.label,
            "score": _short(self.score),
            "p_value": _short(self.p_value),
            "reason": self.reason,
            "outside": self.outside,
            "extrapolated": self.extrapolated,
            "threshold": _short(self.threshold),
            "model": self.model,
            "ms": round(self.ms, 2),
            "regions": regions(self.places),
        }

    def as_json(self) -> str:
        """``fields`` as one line of JSON."""
        return json.dumps(self.fields(), allow_nan=False)


def regions(places: tuple[Place, ...]) -> list[dict[str, Any]]:
    """Regions as JSON types: their boxes in pixels, and their shares of the image."""
    return [
        {
            "x": place.x,
            "y": place.y,
            "width": place.width,
            "height": place.height,
            "share": _short(place.share),
        }
        for place in places
    ]


def text_of_time(time: datetime) -> str:
    """A time in UTC as events have it.

    Args:
        time: with a time zone.
    """
    return time.astimezone(UTC).strftime(_TIME)


def _short(number: float | None) -> float | None:
    return None if number is None else float(f"{number:.{_DIGITS}g}")


def readable(name: str) -> str:
    """The name of a file as events have it, which is always text."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
