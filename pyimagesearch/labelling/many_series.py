"""One of many series, judged: its ranges, and how strange they make it next to the others."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from pyimagesearch.labelling.series import Range
from pyimagesearch.labelling.verdict import ANOMALY

_NUMBERS = ("score", "p_value")


@dataclass(frozen=True)
class JudgedSeries:
    """What became of a series.

    Attributes:
        name: of the series.
        problem: why it could not be judged, or None.
        columns: what its columns were taken for, as a sentence.
        notes: what was done with its rows, a sentence each.
        threshold: above which a row is an anomaly.
        n_judged, n_unjudged: rows of its file.
        first, last: times of its first and its last row, as of ``Range``.
        found: its ranges above the threshold, strangest first.
        others: the strangest below it that are to be shown, likewise.
        sketch: what is enough to draw it small, as of ``series_sketch.Sketch``; or None.
    """

    name: str
    problem: str | None = None
    columns: str = ""
    notes: tuple[str, ...] = ()
    threshold: float = 0.0
    n_judged: int = 0
    n_unjudged: int = 0
    first: str = ""
    last: str = ""
    found: tuple[Range, ...] = ()
    others: tuple[Range, ...] = ()
    sketch: Mapping[str, Any] | None = None

    @property
    def ranges(self) -> tuple[Range, ...]:
        """Those above the threshold, then those below it."""
        return self.found + self.others

    def strangeness(self, one: Range) -> tuple[bool, float, float]:
        """By which a range is sorted among those of all series, the strangest first.

        Those above the thresholds come first. Scores of different models have different units, and
        p-values the same meaning; where these are equal, the score in units of the threshold
        decides.
        """
        unit = self.threshold if self.threshold > 0 else 1.0
        return one.label != ANOMALY, one.p_value, -one.score / unit

    @property
    def rank(self) -> tuple[bool, float, float]:
        """``strangeness`` of its strangest range."""
        return min(map(self.strangeness, self.ranges), default=(True, 1.0, 0.0))

    def to_json(self) -> dict[str, Any]:
        """JSON types, from which ``from_json`` makes it again."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """Check and take over what ``to_json`` gave; raises ``ValueError`` where it is not that."""
        try:
            ranges = {
                name: tuple(_range(one) for one in fields[name]) for name in ("found", "others")
            }
            judged = cls(**{**fields, **ranges, "notes": tuple(fields["notes"])})
            texts = (judged.name, judged.columns, judged.first, judged.last, *judged.notes)
            counts = (judged.n_judged, judged.n_unjudged)
            fits = (
                all(isinstance(text, str) for text in texts)
                and all(isinstance(number, int) and number >= 0 for number in counts)
                and isinstance(judged.problem, str | None)
                and math.isfinite(judged.threshold)
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a judged series ({error})") from error
        if not fits:
            raise ValueError("not a judged series")
        return judged


def _range(fields: Mapping[str, Any]) -> Range:
    own = {name: tuple(v) if isinstance(v, list) else v for name, v in fields.items()}
    one = Range(**own)
    first, last = one.rows
    texts = (one.start, one.end, one.peak, one.label)
    if (
        not all(isinstance(text, str) for text in texts)
        or not all(math.isfinite(getattr(one, name)) for name in _NUMBERS)
        or not (isinstance(first, int) and isinstance(last, int) and 0 <= first <= last)
    ):
        raise TypeError("not a range")
    return one
