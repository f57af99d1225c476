"""A station of the line: what is done about each finding, in one place for all that find some."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from operator import attrgetter
from typing import Protocol, Self
from uuid import uuid4

from pyimagesearch.labelling.image_groups import UnknownGroups
from pyimagesearch.labelling.images import Labeller
from pyimagesearch.labelling.known_range import FarImages
from pyimagesearch.labelling.running_discoveries import RunningDiscoveries
from pyimagesearch.labelling.verdict import ANOMALY, UNREADABLE, Verdict
from pyimagesearch.line.drift import ConformalTestMartingale
from pyimagesearch.line.event import Event, text_of_time
from pyimagesearch.line.event_record import MOST_UNSENT, OVERLAY, EventRecord
from pyimagesearch.line.judging import Finding
from pyimagesearch.runtime.console import UserError, counted, info, warn

DRIFT = "drift"
SECONDS_BETWEEN_PRUNINGS = 60.0
OCCASIONS = (ANOMALY, UNREADABLE, DRIFT)  # on which a sink can be told
_PARTS_BETWEEN = 1_000  # after so many, what is known of drift is kept again


@dataclass
class Deliveries:
    """What has become of messages since the start.

    Attributes:
        arrived: messages that were acknowledged.
        failed: tries that were not.
        refused: messages that were set aside.
    """

    arrived: int = 0
    failed: int = 0
    refused: int = 0


class Sink(Protocol):
    """Where it is told that something happened: a command, a URL, a message bus.

    Attributes:
        name: for messages and metrics: without a password.
        target: the name by which messages wait for it in the record; None where none wait.
        deliveries: of messages.
    """

    name: str
    target: str | None
    deliveries: Deliveries

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...

    def report(self, event: Event) -> None:
        """Take note of a verdict that is on record, where there is one; soon, not now."""

    def report_drift(self, notice: str) -> None:
        """Take note that the line has drifted, likewise."""


@dataclass
class Figures:
    """What has happened so far.

    Attributes:
        labels: number of verdicts by label.
        lost_messages: that went because too many waited.
        sources: whether each camera or stream is there, by its name.
        lost_sources: how often each was lost.
        has_drifted: whether the line has drifted.
        outside_range: number of images that were taken far from all training images.
        threshold: of the last part, where a false-discovery rate was asked for.
    """

    labels: Counter[str] = field(default_factory=Counter)
    lost_messages: int = 0
    sources: dict[str, bool] = field(default_factory=dict)
    lost_sources: Counter[str] = field(default_factory=Counter)
    has_drifted: bool = False
    outside_range: int = 0
    threshold: float | None = None


class Station:
    """Does what is to be done about each finding; from any thread, one after the other.

    Use it as a context: it opens its sinks and closes them.

    Args:
        record: of all events, or None.
        sinks: by the occasion, one of ``OCCASIONS``.
        discovery_rate: the share of what is called an anomaly that may be normal; None leaves
            labels as they were found.

    Attributes:
        figures: what has happened so far.
    """

    def __init__(
        self,
        record: EventRecord | None = None,
        sinks: dict[str, Sink] | None = None,
        discovery_rate: float | None = None,
    ) -> None:
        self._record = record
        self._sinks = sinks or {}
        self._discovery_rate = discovery_rate
        # By the model: when that has changed, some findings of those before are still to come, and
        # one that comes back goes on, without a record, too.
        self._discoveries: dict[str, RunningDiscoveries] = {}
        self._followed: str | None = None
        self._drift: ConformalTestMartingale | None = None
        self._compared_score: Callable[[Verdict], float | None] = attrgetter("score")
        self._unknown = UnknownGroups(None)
        self._far, self._far_are_said = FarImages(0), False
        self._lock = threading.Lock()
        self._ends = threading.Event()
        self._stack = contextlib.ExitStack()
        self.figures = Figures()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            for sink in dict.fromkeys(self._sinks.values()):  # one may be told on two occasions
                stack.enter_context(sink)
            if self._record is not None:
                pruning = threading.Thread(target=self._prune, args=(self._record,), daemon=True)
                pruning.start()
                stack.callback(pruning.join)
                stack.callback(self._ends.set)
            stack.callback(self._keep_drift)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.__exit__(*error)
        if n_far := self.figures.outside_range:
            was = "was" if n_far == 1 else "were"
            info(f"{counted(n_far, 'image')} {was} taken far from all training images")

    def _prune(self, record: EventRecord) -> None:
        """Remove what is no longer kept, every so often until the end."""
        while not self._ends.is_set():
            try:
                started = time.monotonic()
                while record.prune() and not self._ends.is_set():
                    # Verdicts that come meanwhile have their turn.
                    self._ends.wait(time.monotonic() - started)
                    started = time.monotonic()
            except UserError as error:
                warn(str(error))
            self._ends.wait(SECONDS_BETWEEN_PRUNINGS)

    def follow(self, labeller: Labeller) -> None:
        """Notice from now on when parts drift from what a model knows.

        What is on record of an earlier run with it goes on.

        Args:
            labeller: the model, whose findings ``take`` gets.

        Raises:
            UserError: the record cannot be read.
        """
        with self._lock:
            if labeller.sha256 == self._followed:
                return
            known = labeller.usual
            kept = None if self._record is None else self._record.state(DRIFT)
            drift = ConformalTestMartingale(*known)
            if kept:
                try:
                    drift = ConformalTestMartingale.restore(kept, *known)
                except ValueError as error:
                    info(f"{error}: it begins anew")
            if drift.has_drifted:
                warn(
                    "the line had drifted in an earlier run, and there is no other notice of it: "
                    "--reset-drift begins anew, once light and camera are as they were"
                )
            self._follow_discoveries(labeller)
            self._followed, self._drift = labeller.sha256, drift
            self._compared_score = labeller.compared_score
            self._unknown = UnknownGroups(labeller.groups)
            n_known = 0 if labeller.conditions is None else len(labeller.conditions)
            self._far, self._far_are_said = FarImages(n_known), False
            self.figures.has_drifted = drift.has_drifted

    def _follow_discoveries(self, labeller: Labeller) -> None:
        if self._discovery_rate is None:
            return
        model = labeller.sha256
        if model not in self._discoveries:
            earlier = {} if self._record is None else self._record.p_values_of(model)
            self._discoveries[model] = RunningDiscoveries(
                self._discovery_rate,
                labeller.calibration,
                earlier,
                extrapolates=labeller.extrapolates,
            )
        self.figures.threshold = None

    def decide(self, finding: Finding) -> Finding:
        """Judge a finding anew where a false-discovery rate was asked for, before ``take`` it is.

        Args:
            finding: whose label says whether it may become an anomaly.
        """
        verdict = finding.verdict
        with self._lock:
            discoveries = self._discoveries.get(finding.model)
            if discoveries is None or verdict.p_value is None or verdict.score is None:
                return finding
            threshold = discoveries.add(verdict.score, verdict.p_value)
            if finding.model == self._followed:
                self.figures.threshold = threshold
        if verdict.score > threshold:
            return replace(finding, threshold=threshold)
        return finding.as_normal(threshold)

    def take(self, finding: Finding, source: str) -> Event:
        """Record a finding and report it; when this ends, it is on record.

        Args:
            finding: what was found, ``decide``d.
            source: as of ``Event``.

        Raises:
            UserError: it cannot be recorded.
        """
        with self._lock:
            event = Event.of(finding, source)
            sink = self._sinks.get(event.label)
            if self._record is not None:
                try:
                    self._count_lost(self._record.add(event, finding, _targets(sink)))
                except UserError:  # whoever sent the part sends it again
                    self._forget(finding)
                    raise
            self.figures.labels[event.label] += 1
            if sink is not None:
                sink.report(event)
            if finding.model == self._followed and self._unknown.add(event.image):
                warn(self._unknown.notices()[0])
            if self._drift is not None and finding.model == self._followed:
                self._watch_drift(self._drift, finding.verdict)
            self.figures.outside_range += event.outside is not None
            if finding.model == self._followed:
                self._watch_range(finding.verdict)
        return event

    def _forget(self, finding: Finding) -> None:
        discoveries, p_value = self._discoveries.get(finding.model), finding.verdict.p_value
        if discoveries is not None and p_value is not None:
            discoveries.forget(p_value)

    def note_source(self, name: str, is_there: bool) -> None:
        """Take note that a camera or a stream is there, or was lost."""
        with self._lock:
            self.figures.sources[name] = is_there
            self.figures.lost_sources[name] += not is_there

    def _count_lost(self, n_messages: int) -> None:
        if n_messages and not self.figures.lost_messages:
            warn(f"more than {MOST_UNSENT:,} messages wait: from now on, the oldest go")
        self.figures.lost_messages += n_messages

    def overlay(self, id: str) -> bytes | None:
        """The picture of an event's anomaly map, where it is on record (still)."""
        return None if self._record is None else self._record.evidence_of(id, OVERLAY)

    def messages(self) -> dict[str, tuple[int, Deliveries]]:
        """How many messages wait, and what has become of others, by the names of sinks of URLs."""
        if self._record is None:
            return {}
        return {
            sink.name: (self._record.n_unsent(sink.target), sink.deliveries)
            for sink in dict.fromkeys(self._sinks.values())
            if sink.target is not None
        }

    def _watch_drift(self, drift: ConformalTestMartingale, verdict: Verdict) -> None:
        score = self._compared_score(verdict)
        if score is None or drift.has_drifted:
            return
        notice = drift.add(score, verdict.conditions)
        if notice is None:
            if drift.n_parts % _PARTS_BETWEEN == 0:
                self._keep_drift()
            return
        self.figures.has_drifted = True
        warn(notice)
        self._keep_drift()
        sink = self._sinks.get(DRIFT)
        if self._record is not None:
            id, now = uuid4().hex, text_of_time(datetime.now(UTC))
            body = json.dumps({"id": id, "time": now, "event": DRIFT, "notice": notice})
            self._count_lost(self._record.add_message(id, body.encode(), _targets(sink)))
        if sink is not None:
            sink.report_drift(notice)

    def _watch_range(self, verdict: Verdict) -> None:
        """Say once that images are taken far from all training images; a drift says more."""
        self._far.add(verdict)
        if self._far.pass_too_often and not (self._far_are_said or self.figures.has_drifted):
            self._far_are_said = True
            warn(f"{self._far.notice()} From now on they are only counted")

    def _keep_drift(self) -> None:
        if self._record is not None and self._drift is not None:
            self._record.keep_state(DRIFT, self._drift.state())


def _targets(sink: Sink | None) -> Sequence[str]:
    return () if sink is None or sink.target is None else (sink.target,)
