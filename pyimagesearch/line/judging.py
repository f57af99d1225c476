"""Judges parts as they come, in processes that a part may bring down."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Self
from zlib import crc32

import numpy as np

from pyimagesearch.data import images
from pyimagesearch.labelling.images import Labeller
from pyimagesearch.labelling.model_reference import ModelReference
from pyimagesearch.labelling.verdict import ANOMALY, NORMAL, UNREADABLE, Verdict
from pyimagesearch.reports import drawing
from pyimagesearch.reports.outlines import find_regions
from pyimagesearch.runtime.ordered_queue import DIED
from pyimagesearch.runtime.processes import ProcessPool

PARTS_AT_ONCE = 16
_CRC_VALUES = 2**32


@dataclass(frozen=True)
class Part:
    """What is judged: an image file, its bytes, or a frame of a camera.

    Attributes:
        name: of it, in rows and messages; the path of a file.
        content: the bytes of an image file, or (height, width, 3) uint8 BGR; None reads the file
            of that name.
        wants_overlay: whether a picture of its anomaly map is made, whatever the verdict.
    """

    name: str
    content: bytes | np.ndarray | None = None
    wants_overlay: bool = False


@dataclass(frozen=True)
class Place:
    """A region of an image where its anomaly map exceeds 1, the threshold.

    Attributes:
        x, y, width, height: its box, in pixels of the image at full size.
        share: of the image's area, 0 to 1.
    """

    x: int
    y: int
    width: int
    height: int
    share: float


@dataclass(frozen=True)
class Finding:
    """What a model found about a part.

    Attributes:
        verdict: label, score, p-value or the reason why there is none.
        model: SHA-256 of the model file.
        threshold: the score above which the part is an anomaly.
        places: of an anomaly, the largest first; none of a model that sees no places.
        overlay: a JPEG file, the image with its verdict next to its anomaly map: of anomalies where
            evidence is kept, and of parts that want one.
        evidence: the image file, where it is kept; a frame as PNG.
        seconds: that it took a worker; parts that are judged together share theirs.
        wants_overlay, is_sample: whether the overlay, and the image file, are kept of a normal
            part, too.
    """

    verdict: Verdict
    model: str
    threshold: float
    places: tuple[Place, ...] = ()
    overlay: bytes | None = None
    evidence: bytes | None = None
    seconds: float = 0.0
    wants_overlay: bool = False
    is_sample: bool = False

    def as_normal(self, threshold: float) -> Finding:
        """The same of a part that is normal by another threshold, with what is kept of such."""
        return replace(
            self,
            verdict=replace(self.verdict, label=NORMAL),
            threshold=threshold,
            places=(),
            overlay=self.overlay if self.wants_overlay else None,
            evidence=self.evidence if self.is_sample else None,
        )


@dataclass(frozen=True)
class JudgingJob:
    """What is to be done with each part, and with which model: an ``ordered_queue.Task``.

    Attributes:
        model: which judges.
        evidence_of_normal: the share of normal parts, 0 to 1, whose images are kept, chosen by
            their names; None keeps none, of anomalies neither.
        is_final: whether labels are, so that pictures show them; otherwise they show p-values.
    """

    model: ModelReference
    evidence_of_normal: float | None = None
    is_final: bool = True

    def open(self) -> Judge:
        """Get ready for the work: see ``ModelReference.open``, which says what may be wrong."""
        return Judge(self, self.model.open())

    def lost(self, part: Part) -> Finding:
        """The finding about a part that no worker survived."""
        verdict = Verdict(part.name, UNREADABLE, reason=DIED)
        return Finding(verdict, self.model.sha256, self.model.threshold_of(part.name))


@dataclass(frozen=True)
class Judge:
    """Does the job, with the model loaded."""

    job: JudgingJob
    labeller: Labeller

    def __call__(self, parts: list[Part]) -> list[Finding]:
        started = time.perf_counter()
        contents: dict[str, bytes | np.ndarray] = {}  # read once: a file may go meanwhile

        def read(number: str) -> np.ndarray:
            part = parts[int(number)]
            content = images.read_bytes(part.name) if part.content is None else part.content
            contents[number] = content
            return self.labeller.small_image(content)

        verdicts = self.labeller.label_batch(
            [str(number) for number in range(len(parts))],  # two parts may have the same name
            read=read,
            are_files=not any(isinstance(part.content, np.ndarray) for part in parts),
            names=[part.name for part in parts],
        )
        shared = (time.perf_counter() - started) / len(parts)
        return [
            self._explained(
                part, replace(found, image=part.name), contents.get(found.image), shared
            )
            for part, found in zip(parts, verdicts, strict=True)
        ]

    def _explained(
        self, part: Part, verdict: Verdict, content: bytes | np.ndarray | None, seconds: float
    ) -> Finding:
        """The finding about a part: what is to be seen and kept of it, beside its verdict."""
        labeller = self.labeller.for_image(part.name)
        model = (self.job.model.sha256, labeller.threshold)
        if content is None or not verdict.is_readable:
            return Finding(verdict, *model, seconds=seconds)
        started = time.perf_counter()
        is_anomaly = verdict.label == ANOMALY
        is_sample = self._is_sample(verdict)
        is_kept = is_sample or (is_anomaly and self.job.evidence_of_normal is not None)
        is_drawn = part.wants_overlay or (is_kept and is_anomaly)
        shown = verdict
        if not self.job.is_final:
            shown = replace(verdict, label=f"p {verdict.p_value:.3g}")
        places, overlay = _located(labeller, content, is_anomaly, shown if is_drawn else None)
        return Finding(
            verdict,
            *model,
            places,
            overlay,
            _as_file(content) if is_kept else None,
            seconds + time.perf_counter() - started,
            wants_overlay=part.wants_overlay,
            is_sample=is_sample,
        )

    def _is_sample(self, verdict: Verdict) -> bool:
        share = self.job.evidence_of_normal
        return share is not None and crc32(os.fsencode(verdict.image)) < share * _CRC_VALUES


def _located(
    labeller: Labeller, content: bytes | np.ndarray, is_anomaly: bool, shown: Verdict | None
) -> tuple[tuple[Place, ...], bytes | None]:
    """The regions of an anomaly; and the picture of the anomaly map, with a verdict to show."""
    is_spatial = labeller.extractor.is_spatial
    has_places = is_spatial and is_anomaly
    if not has_places and shown is None:
        return (), None
    image, heat = labeller.heat_map(content)
    places: tuple[Place, ...] = ()
    if has_places:
        places = tuple(Place(*region.box, region.share) for region in find_regions(heat))
    if shown is None:
        return places, None
    drawn = drawing.draw_verdict(image, shown, heat, outlined=is_spatial)
    return places, images.encode_picture(drawn, ".jpg")


def _as_file(content: bytes | np.ndarray) -> bytes:
    if isinstance(content, np.ndarray):
        return images.encode_picture(content, ".png")
    return content


# What a process judges first, so that nobody waits for its model.
_FIRST = Part("", np.zeros((64, 64, 3), np.uint8))


class OverloadError(Exception):
    """So many parts wait that another would wait too long."""


class Judges:
    """Judges parts that come at any time, from any thread; use it as a context.

    Each of its threads has a process of its own, and takes as many of the parts that wait as one
    batch holds. A part that brings its process down costs its own verdict alone.

    Args:
        job: what is done with each part.
        n_processes: that judge at the same time; the verdicts do not depend on it.
        most_waiting: parts that may wait.

    Attributes:
        error: why no process can judge, after the last that tried; None where one could.
    """

    def __init__(self, job: JudgingJob, n_processes: int, most_waiting: int) -> None:
        self._job = job
        self._waiting: deque[tuple[Part, Future[Finding]]] = deque()
        self._most_waiting = most_waiting
        self._changed = threading.Condition()
        self._is_closed = False
        self._jobs_ready: list[JudgingJob | None] = [None] * n_processes
        self.error: Exception | None = None
        self._threads = [
            threading.Thread(target=self._work, args=(number,), daemon=True)
            for number in range(n_processes)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Judge what waits, and end the processes."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    @property
    def n_waiting(self) -> int:
        """Parts that no process has begun."""
        return len(self._waiting)

    @property
    def is_ready(self) -> bool:
        """Whether all processes have loaded the model."""
        return all(job is self._job for job in self._jobs_ready)

    def submit(self, parts: Sequence[Part]) -> list[Future[Finding]]:
        """Have parts judged; all of them or, where too many wait, none.

        Args:
            parts: at most as many as may wait.

        Returns:
            For each, what becomes its finding; cancelled before it was begun, it is not judged.

        Raises:
            OverloadError: too many wait.
            RuntimeError: the context has ended.
        """
        futures: list[Future[Finding]] = [Future() for _ in parts]
        with self._changed:
            if self._is_closed:
                raise RuntimeError("no more parts are judged")
            if len(self._waiting) + len(parts) > self._most_waiting:
                raise OverloadError(f"{len(self._waiting):,} images wait already")
            self._waiting.extend(zip(parts, futures, strict=True))
            self._changed.notify(len(parts))
        return futures

    def change_job(self, job: JudgingJob) -> None:
        """Have parts that nobody has begun judged by another model, or in another way."""
        with self._changed:
            self._job = job
            self._changed.notify_all()

    def _work(self, number: int) -> None:
        """Judge what waits in a process of its own, until the end."""
        with contextlib.ExitStack() as stack:
            pool = None
            while (batch := self._take(self._jobs_ready[number])) is not None:
                if pool is None or self._jobs_ready[number] is not self._job:
                    stack.close()
                    job = self._job
                    pool = stack.enter_context(ProcessPool(job, 1, PARTS_AT_ONCE))
                    self._judge(pool, [(_FIRST, Future())])  # loads the model
                    self._jobs_ready[number] = job
                if batch:
                    self._judge(pool, batch)

    def _take(self, job: JudgingJob | None) -> list[tuple[Part, Future[Finding]]] | None:
        """The parts to judge next, none where there is another job than that; None at the end."""
        with self._changed:
            while True:
                if job is not self._job and not self._is_closed:
                    return []
                # Others, that are idle, get their share.
                share = -(-len(self._waiting) // len(self._threads))
                batch = []
                while self._waiting and len(batch) < min(share, PARTS_AT_ONCE):
                    part, future = self._waiting.popleft()
                    if future.set_running_or_notify_cancel():
                        batch.append((part, future))
                if batch:
                    return batch
                if not self._waiting:
                    if self._is_closed:
                        return None
                    self._changed.wait()

    def _judge(self, pool: ProcessPool[Finding], batch: list[tuple[Part, Future[Finding]]]) -> None:
        """Judge parts, or have whoever waits for them get the error."""
        try:
            findings = list(pool.run([part for part, _ in batch]))
        except Exception as error:  # of the model, such as a file that is no longer there
            self.error = error
            for _, future in batch:
                future.set_exception(error)
            return
        self.error = None
        for (_, future), finding in zip(batch, findings, strict=True):
            future.set_result(finding)
