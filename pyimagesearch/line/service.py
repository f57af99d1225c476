"""The work behind a server: a model that may change, processes that judge, a station that records.

Nothing here knows of HTTP.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Self

import numpy as np

from pyimagesearch.labelling.image_groups import ImageGroups
from pyimagesearch.labelling.model_reference import ModelReference
from pyimagesearch.line.event import Event
from pyimagesearch.line.judging import Finding, Judges, JudgingJob, Part
from pyimagesearch.line.station import Station
from pyimagesearch.runtime.console import UserError, info, printable, warn
from pyimagesearch.runtime.input_files import file_state

SOURCE = "http"  # of the events, where no other is said
QUANTILES = (0.5, 0.9, 0.99)
LAST_SCORES = 1000  # of which the quantiles are
_SECONDS_BETWEEN_LOOKS = 1.0


@dataclass(frozen=True)
class ModelState:
    """The model that judges.

    Attributes:
        reference: which one.
        method: of its detector.
        n_training: number of images that it learned.
        n_calibration: number of normal scores that p-values are of.
        groups: of images that it judges by thresholds of their own, or None.
        loaded: when, in seconds since the epoch.
    """

    reference: ModelReference
    method: str
    n_training: int
    n_calibration: int
    groups: ImageGroups | None
    loaded: float

    @classmethod
    def of(cls, reference: ModelReference) -> ModelState:
        """The state of a model that this process has loaded just now."""
        labeller = reference.labeller
        return cls(
            reference,
            labeller.detector.name,
            len(labeller.training),
            len(labeller.calibration),
            labeller.groups,
            time.time(),
        )


class Service:
    """Judges images for a server; use it as a context.

    Args:
        load: reads the model file, and says which model is in it; called again when the file
            changes.
        path: of the model file.
        station: records and reports what is found.
        n_processes: that judge at the same time.
        most_waiting: images that may wait.
        evidence_of_normal, is_final: as of ``JudgingJob``.

    Attributes:
        model: that judges.
        reloads: of the model file, by whether they succeeded.
    """

    def __init__(
        self,
        load: Callable[[], ModelReference],
        path: str,
        station: Station,
        n_processes: int,
        most_waiting: int,
        evidence_of_normal: float | None = None,
        is_final: bool = True,
    ) -> None:
        self._load, self._path = load, path
        self._evidence, self._is_final = evidence_of_normal, is_final
        self.station = station
        self._file = file_state(path)
        self.model = ModelState.of(load())
        self._judges = Judges(self._job, n_processes, most_waiting)
        self._scores: deque[float] = deque(maxlen=LAST_SCORES)
        self._lock = threading.Lock()  # of the scores
        self._ends = threading.Event()
        self._watcher = threading.Thread(target=self._watch_model, daemon=True)
        self._stack = contextlib.ExitStack()
        self.reloads: Counter[bool] = Counter()

    @property
    def _job(self) -> JudgingJob:
        return JudgingJob(self.model.reference, self._evidence, self._is_final)

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.station)
            self.station.follow(self.model.reference.labeller)
            stack.enter_context(self._judges)
            self._stack = stack.pop_all()
        self._watcher.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ends.set()
        self._watcher.join()
        self._stack.__exit__(*error)

    @property
    def n_waiting(self) -> int:
        """Images that no process has begun."""
        return self._judges.n_waiting

    @property
    def is_ready(self) -> bool:
        """Whether all processes have loaded the model, and one could judge."""
        return self._judges.is_ready and self._judges.error is None

    @property
    def threshold(self) -> float:
        """The score above which an image is an anomaly, or the last one was."""
        last = self.station.figures.threshold
        return self.model.reference.threshold if last is None else last

    def submit(self, parts: Sequence[Part]) -> list[Future[Finding]]:
        """Have images judged, all or none: see ``Judges.submit``."""
        return self._judges.submit(parts)

    def record(self, findings: Sequence[Finding], source: str = SOURCE) -> list[Event]:
        """Decide, record and report findings; when this ends, they are on record.

        Args:
            findings: what was found.
            source: where the images came from.

        Raises:
            UserError: they cannot be recorded.
        """
        take, decide = self.station.take, self.station.decide
        events = [take(decide(finding), source) for finding in findings]
        with self._lock:
            self._scores.extend(event.score for event in events if event.score is not None)
        return events

    def score_quantiles(self) -> dict[float, float]:
        """Quantiles of the last scores; none before the first."""
        with self._lock:
            scores = np.array(self._scores)
        if not len(scores):
            return {}
        return dict(zip(QUANTILES, map(float, np.quantile(scores, QUANTILES)), strict=True))

    def _watch_model(self) -> None:
        """Load the model again when its file has changed, and has been the same for a moment."""
        seen = self._file
        while not self._ends.wait(_SECONDS_BETWEEN_LOOKS):
            found = file_state(self._path)
            if found is not None and found == seen and found != self._file:
                self._file = found
                self._reload()
            seen = found

    def _reload(self) -> None:
        name = printable(self._path)
        try:
            reference = self._load()
            if reference == self.model.reference:
                return
            # Before it judges: what it finds is decided by what is known of it.
            self.station.follow(reference.labeller)
        except (UserError, OSError) as error:
            self.reloads[False] += 1
            warn(f"{name} has changed and is not usable ({error}): the model before it goes on")
            return
        self.model = ModelState.of(reference)
        self._judges.change_job(self._job)
        self.reloads[True] += 1
        info(f"{name} has changed: {reference.sha256[:12]} judges from now on")
