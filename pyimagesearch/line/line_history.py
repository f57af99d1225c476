"""What a line has done in a stretch of time, hour by hour, and the page that shows it."""

from __future__ import annotations

import base64
from array import array
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np

from pyimagesearch.data import images
from pyimagesearch.labelling import thresholds
from pyimagesearch.labelling.batch_shift import LEAST_IMAGES, Batch
from pyimagesearch.labelling.false_discoveries import expectation
from pyimagesearch.labelling.running_discoveries import CLOSE
from pyimagesearch.labelling.verdict import ANOMALY, NORMAL, UNREADABLE
from pyimagesearch.line.event import Event
from pyimagesearch.line.event_record import OVERLAY, EventRecord
from pyimagesearch.reports.page_template import write_page
from pyimagesearch.runtime.console import counted, printable

MAX_SHOWN = 200  # anomalies with a picture
MAX_LISTED = 1_000  # other images, by their names
_PICTURE_SIDE = 560
_QUANTILES = (0.1, 0.5, 0.9)
_SHOWN_TIME = "%Y-%m-%d %H:%M:%S"


@dataclass
class Hour:
    """The verdicts of an hour.

    Attributes:
        begins: in local time.
        counts: verdicts by label.
        scores: of the readable images, by the model's digest.
        threshold: of the last verdict.
        is_shifted: whether most of its scores are higher than those of the hours before.
    """

    begins: datetime
    counts: Counter[str] = field(default_factory=Counter)
    scores: dict[str, array[float]] = field(default_factory=dict)
    threshold: float = 0.0
    is_shifted: bool = False

    def add(self, event: Event) -> None:
        self.counts[event.label] += 1
        self.threshold = event.threshold
        if event.score is not None:
            self.scores.setdefault(event.model, array("d")).append(event.score)

    @property
    def rate(self) -> float:
        """The share of anomalies among the readable images."""
        return self.counts[ANOMALY] / max(self.counts[ANOMALY] + self.counts[NORMAL], 1)

    def quantiles(self) -> tuple[float, ...] | None:
        """The scores' 10%, 50% and 90% quantiles; None where there are no scores."""
        if not self.scores:
            return None
        values = np.concatenate([np.array(some) for some in self.scores.values()])
        return tuple(map(float, np.quantile(values, _QUANTILES)))


@dataclass
class ModelUse:
    """A model, and what it judged.

    Attributes:
        digest: SHA-256 of its file.
        lowest, highest: of the thresholds that it had.
        first, last: times of its verdicts.
        count: of these.
        p_values: how many of these have each.
        n_extrapolated: of how many it is an estimate.
    """

    digest: str
    lowest: float
    highest: float
    first: str
    last: str
    count: int = 0
    p_values: Counter[float] = field(default_factory=Counter)
    n_extrapolated: int = 0

    def add(self, event: Event) -> None:
        """Add its next verdict."""
        self.lowest = min(self.lowest, event.threshold)
        self.highest = max(self.highest, event.threshold)
        self.last = _shown(event.time)
        self.count += 1
        self.n_extrapolated += event.extrapolated
        if event.p_value is not None:
            self.p_values[event.p_value] += 1


@dataclass(frozen=True)
class Discoveries:
    """What stands out where a stretch of time is judged as a whole.

    Attributes:
        rate: the share of it that may be normal, in the mean.
        limits: of each model of which something does, the highest p-value that does.
        n_found: number of images that do.
        n_extrapolated: number of images whose p-value is an estimate.
    """

    rate: float
    limits: dict[str, float]
    n_found: int
    n_extrapolated: int

    def has(self, event: Event) -> bool:
        """Whether an event's image is among them."""
        return event.p_value is not None and event.p_value <= self.limits.get(event.model, -1.0)

    @property
    def sentence(self) -> str:
        """What is expected of them."""
        said = expectation(self.rate, self.n_found)
        if not self.n_found:
            return f"judged together, {said}"
        stand = counted(self.n_found, "image stands", "images stand")
        said = f"judged together, {stand} out at a false-discovery rate of {self.rate:g}: {said}"
        if not self.n_extrapolated:
            return said
        of_estimates = counted(self.n_extrapolated, "p-value is", "p-values are")
        return f"{said}; {of_estimates} extrapolated, so that this is an estimate, not a promise"


class LineHistory:
    """Collects verdicts in their order; its memory grows with the scores alone."""

    def __init__(self) -> None:
        self.hours: list[Hour] = []
        self.models: dict[str, ModelUse] = {}
        self.counts = Counter({NORMAL: 0, ANOMALY: 0, UNREADABLE: 0})
        self.outside: Counter[str] = Counter()  # by what images are far more of: see ``Verdict``
        self.n_outside_normal = 0  # of them, called normal
        self.anomalies: deque[Event] = deque(maxlen=MAX_SHOWN)
        self.unreadable: deque[Event] = deque(maxlen=MAX_LISTED)

    def add(self, event: Event) -> None:
        """Add the next verdict."""
        begins = _local(event.time).replace(minute=0, second=0, microsecond=0)
        if not self.hours or begins > self.hours[-1].begins:
            self.hours.append(Hour(begins))
        self.hours[-1].add(event)
        self.counts[event.label] += 1
        if event.outside is not None:
            self.outside[event.outside] += 1
            self.n_outside_normal += event.label == NORMAL
        model = self.models.setdefault(
            event.model,
            ModelUse(event.model, event.threshold, event.threshold, _shown(event.time), ""),
        )
        model.add(event)
        if event.label == ANOMALY:
            self.anomalies.append(event)
        elif event.label == UNREADABLE:
            self.unreadable.append(event)

    def discover(self, rate: float) -> Discoveries:
        """Judge all verdicts of each model together, for a false-discovery rate."""
        limits, n_found = {}, 0
        for digest, model in self.models.items():
            values = np.fromiter(model.p_values, float)
            counts = np.fromiter(model.p_values.values(), int)
            exact = values * (1 - CLOSE)  # at most: one that was rounded up is no higher for it
            limit = thresholds.highest_discovered(np.repeat(exact, counts), rate)
            if limit is not None:
                limits[digest] = float(values[exact <= limit].max())
                n_found += int(counts[exact <= limit].sum())
        n_extrapolated = sum(model.n_extrapolated for model in self.models.values())
        return Discoveries(rate, limits, n_found, n_extrapolated)

    def mark_shifts(self) -> None:
        """Mark the hours in which most images look stranger than in those before.

        An hour is compared with all unmarked ones before it, by ``batch_shift`` and its rate.
        """
        known: dict[str, list[array[float]]] = {}
        for hour in self.hours:
            for model, scores in hour.scores.items():
                before = np.concatenate([np.array(some) for some in known.get(model, [[]])])
                if len(before) >= LEAST_IMAGES:
                    batch = Batch(before, None)
                    for score in scores:
                        batch.add(score, None)
                    hour.is_shifted |= bool(batch.shifts())
            if not hour.is_shifted:
                for model, scores in hour.scores.items():
                    known.setdefault(model, []).append(scores)


@dataclass(frozen=True)
class Bar:
    """An hour as the page draws it; heights are shares of the chart's, from its bottom.

    Attributes:
        title: what it says when it is pointed at.
        place: hours from the first one.
        rate: height of the share of anomalies.
        low, middle, high: of the scores' quantiles; None where there are none.
        threshold: of the threshold.
        is_shifted: as of ``Hour``.
    """

    title: str
    place: int
    rate: float
    low: float | None
    middle: float | None
    high: float | None
    threshold: float
    is_shifted: bool


@dataclass(frozen=True)
class Trend:
    """Bars of all hours, and what their charts reach from and to.

    Attributes:
        bars: of the hours with verdicts.
        n_hours: from the first to the last.
        highest_rate: at the top.
        lowest_score, highest_score: at the bottom and the top.
    """

    bars: list[Bar]
    n_hours: int
    highest_rate: float
    lowest_score: float
    highest_score: float

    @classmethod
    def of(cls, hours: list[Hour]) -> Trend:
        """Draw at least one hour."""
        quantiles = [hour.quantiles() for hour in hours]
        ends = [score for found in quantiles if found for score in (found[0], found[-1])]
        ends += [hour.threshold for hour in hours]
        lowest, highest = min(ends), max(ends)
        rate = max(hour.rate for hour in hours) or 1.0

        def height(score: float) -> float:
            return (score - lowest) / (highest - lowest or 1.0)

        bars = []
        for hour, found in zip(hours, quantiles, strict=True):
            low, middle, high = map(height, found) if found else (None, None, None)
            bars.append(
                Bar(
                    _title(hour),
                    _hours_between(hours[0].begins, hour.begins),
                    hour.rate / rate,
                    low,
                    middle,
                    high,
                    height(hour.threshold),
                    hour.is_shifted,
                )
            )
        return cls(bars, bars[-1].place + 1, rate, lowest, highest)


def write_history(
    path: str,
    record: EventRecord,
    since: datetime,
    until: datetime,
    on_event: Callable[[Event], None] = lambda _: None,
    discovery_rate: float | None = None,
) -> tuple[Counter[str], Discoveries | None]:
    """Write the page of a stretch of time.

    Args:
        path: of the HTML file.
        record: of the line.
        since: the first moment.
        until: the first moment after it.
        on_event: is given each event.
        discovery_rate: of false discoveries, at which it is judged as a whole, too; or None.

    Returns:
        The number of verdicts of each label, and what stands out at that rate.

    Raises:
        UserError: the record cannot be read.
        OSError: the page cannot be written.
    """
    history = LineHistory()
    for event in record.events(since, until):
        history.add(event)
        on_event(event)
    history.mark_shifts()
    discoveries = None if discovery_rate is None else history.discover(discovery_rate)
    passed: deque[Event] = deque(maxlen=MAX_LISTED)  # called normal one by one, and stand out
    if discoveries is not None and discoveries.n_found:
        all_events = record.events(since, until)
        passed.extend(one for one in all_events if one.label == NORMAL and discoveries.has(one))
    write_page(
        path,
        "line.html",
        slot=None,
        name=printable(record.path),
        since=since.astimezone().strftime(_SHOWN_TIME),
        until=until.astimezone().strftime(_SHOWN_TIME),
        counts=history.counts,
        n_verdicts=history.counts.total(),
        trend=Trend.of(history.hours) if history.hours else None,
        n_shifted=sum(hour.is_shifted for hour in history.hours),
        outside=history.outside.most_common(),
        n_outside=history.outside.total(),
        n_outside_normal=history.n_outside_normal,
        models=list(history.models.values()),
        discoveries=discoveries,
        anomalies=_cards(record, history.anomalies),
        n_shown=len(history.anomalies),
        max_listed=MAX_LISTED,
        passed=[(_shown(event.time), event) for event in reversed(passed)],
        unreadable=[(_shown(event.time), event) for event in reversed(history.unreadable)],
    )
    return history.counts, discoveries


def _cards(record: EventRecord, events: deque[Event]) -> Iterator[tuple[str, Event, str | None]]:
    """Of each anomaly, the last one first: its time, itself, and its picture as a URL."""
    for event in reversed(events):
        yield _shown(event.time), event, _picture(record.evidence_of(event.id, OVERLAY))


def _picture(overlay: bytes | None) -> str | None:
    if overlay is None:
        return None
    try:
        small = images.shrink(images.decode_image(overlay), _PICTURE_SIDE)
    except images.ImageError:  # somebody has written to the record
        return None
    encoded = base64.b64encode(images.encode_picture(small, ".jpg")).decode()
    return f"data:image/jpeg;base64,{encoded}"


def _title(hour: Hour) -> str:
    counts = hour.counts
    said = f"{hour.begins:%Y-%m-%d %H:%M}: {counts.total():,} images, {hour.rate:.2%} anomalies"
    if counts[UNREADABLE]:
        said += f", {counts[UNREADABLE]:,} unreadable"
    if (found := hour.quantiles()) is not None:
        low, middle, high = found
        said += f"; scores {middle:.4g} ({low:.4g} to {high:.4g})"
    return f"{said}; shifted" if hour.is_shifted else said


def _hours_between(first: datetime, last: datetime) -> int:
    return round((last - first) / timedelta(hours=1))


def _local(time: str) -> datetime:
    return datetime.fromisoformat(time).astimezone()


def _shown(time: str) -> str:
    return _local(time).strftime(_SHOWN_TIME)
