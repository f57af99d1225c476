"""Watch a folder, a camera or a stream: judge what comes, and add rows to files that grow."""

from __future__ import annotations

import contextlib
import functools
import math
import os
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pyimagesearch.cli import resume_journal
from pyimagesearch.cli.arrivals import Arrivals
from pyimagesearch.cli.frame_folder import FrameFolder
from pyimagesearch.cli.growing_rows import GrowingCsv, GrowingJson, GrowingRows
from pyimagesearch.cli.labelling_job import ImageGoneError, JobWorker, LabellingJob
from pyimagesearch.cli.labelling_options import WatchingOptions
from pyimagesearch.cli.line_station import discovery_rate, make_station, open_record
from pyimagesearch.detectors import model_file
from pyimagesearch.labelling.images import Labeller
from pyimagesearch.labelling.model_reference import ModelReference
from pyimagesearch.labelling.verdict import Verdict
from pyimagesearch.line import sources
from pyimagesearch.line.event import Event
from pyimagesearch.line.event_record import EventRecord
from pyimagesearch.line.judging import Finding, JudgingJob, Part
from pyimagesearch.reports.rows import TIME, RowWriter, csv_name
from pyimagesearch.runtime import parallel
from pyimagesearch.runtime.console import UserError, counted, info, printable, warn
from pyimagesearch.runtime.interrupts import DeferredInterrupt
from pyimagesearch.runtime.processes import ProcessPool

if TYPE_CHECKING:
    from pyimagesearch.cli.watch_page import WatchPage


@dataclass(frozen=True)
class WatchingJob:
    """What is to be done with each image that arrives: an ``ordered_queue.Task``.

    Attributes:
        judging: says how it is judged.
        pictures: folder to write a labelled picture of it into, or None.
        frames: keeps those of a camera whose pictures are drawn, or None.
    """

    judging: JudgingJob
    pictures: str | None
    frames: FrameFolder | None = None

    @property
    def drawing(self) -> LabellingJob:
        """What is drawn of an image."""
        return LabellingJob(self.judging.model, pictures=self.pictures, frames=self.frames)

    def open(self) -> Callable[[list[Part]], list[Finding]]:
        """Get ready for the work: see ``ModelReference.open``, which says what may be wrong."""
        judge = self.judging.open()
        drawer = JobWorker(self.drawing, judge.labeller)

        def judge_and_draw(parts: list[Part]) -> list[Finding]:
            findings = judge(parts)
            drawer.write_pictures(finding.verdict for finding in findings)
            return findings

        return judge_and_draw

    def lost(self, part: Part) -> Finding:
        """The finding about an image that no worker survived."""
        return self.judging.lost(part)


def watch(options: WatchingOptions, labeller: Labeller) -> Counter[str]:
    """Judge what is there and what comes, until Ctrl-C or SIGTERM.

    Args:
        options: where from and where to.
        labeller: the model, with its threshold.

    Returns:
        The number of images of each label.

    Raises:
        UserError: the rows of a file are of another model, there is no such command, or no camera.
        OSError: there is no such folder, or a result cannot be written.
    """
    live = sources.live_source(options.source, is_watched=True)
    if live is None:
        if options.every is not None:
            raise UserError("--every goes with videos, cameras and streams")
        if sources.is_video(options.source):
            raise UserError(
                f"{printable(sources.masked(options.source))}: a video has an end, and is labelled "
                "by --image"
            )
        if not sources.is_glob(options.source):
            os.scandir(options.source).close()  # a folder that is not there now is a mistake
    name = options.source if live is None else live.name
    model = ModelReference.to(labeller, options.model.path, options.model.backbone)
    run = resume_journal.described(
        *(labeller.sha256, labeller.threshold, [name], options.output),
        *(labeller.group_thresholds, labeller.extrapolates),
    )
    rate = discovery_rate(options.model)
    if rate is not None:
        run["false_discovery_rate"] = rate
    with contextlib.ExitStack() as stack:
        stack.enter_context(model_file.named(options.model.path))
        frames = None
        if live is not None and (options.output or options.report):
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            frames = FrameFolder(folder, for_long=options.report is not None)
        judging = JudgingJob(model, options.events.evidence, is_final=rate is None)
        job = WatchingJob(judging, options.output, frames)
        # Kept from one image to the next, since starting them takes longer than an image.
        workers = stack.enter_context(ProcessPool(job, options.jobs, parallel.CHUNK_SIZE))
        interrupt = stack.enter_context(DeferredInterrupt(signal.SIGINT, signal.SIGTERM))
        page = None
        if options.report is not None:
            from pyimagesearch.cli.watch_page import WatchPage  # 20 ms that only a page costs

            shown = replace(job.drawing, pictures=None)
            page = stack.enter_context(
                WatchPage(options.report, shown, labeller, options.model.path, run, options.classes)
            )
        tables = _open_tables(options, run, page, stack)
        record = stack.enter_context(open_record(options.events))
        station = stack.enter_context(make_station(options.events, record, rate))
        station.follow(labeller)
        known = _labelled(tables, record, name, model, rate is None)
        goes_on = any((*tables, record, options.events.reported, options.output, page))
        more_columns = (TIME,) * options.with_time
        rows = stack.enter_context(
            RowWriter(sys.stdout.buffer, goes_on_without_stdout=goes_on, more_columns=more_columns)
        )
        info(f"watching {printable(name)}; Ctrl-C ends it")
        if live is None:
            found = _arriving(Arrivals(options.source, known), workers, interrupt)
        else:
            every = options.every or sources.DEFAULT_EVERY
            note = functools.partial(station.note_source, name)
            found = _filmed(live.parts(every, interrupt, note), workers, frames)
        for findings in found:
            for finding in findings:
                decided = station.decide(finding)
                verdict = decided.verdict
                event = station.take(decided, name)
                _write_rows(tables, verdict, event.time)
                rows.print(verdict, *[event.time] * options.with_time)
                if not verdict.is_readable:
                    warn(f"{printable(verdict.image)}: {verdict.reason}")
                if page:
                    page.add(verdict)
                elif frames:
                    frames.remove(verdict.image)
            if live is None:
                for table in tables:
                    table.sync()
            if page:
                page.renew()
    if n_lost := station.figures.lost_sources[name]:
        info(f"{printable(name)} was lost {counted(n_lost, 'time')}")
    return station.figures.labels


def _arriving(
    arrivals: Arrivals, workers: ProcessPool[Finding], interrupt: DeferredInterrupt
) -> Iterator[Iterable[Finding]]:
    """What is found in each listing of a folder, until an interrupt is requested."""
    while not interrupt.requested:
        yield _judge_until(interrupt, arrivals, workers)
        interrupt.sleep(arrivals.pause)


def _filmed(
    parts: Iterator[Part], workers: ProcessPool[Finding], frames: FrameFolder | None
) -> Iterator[Iterable[Finding]]:
    """What is found in each frame."""
    with contextlib.closing(parts):
        for part in parts:
            if frames is not None:
                frames.add(part)
            yield list(workers.run([part]))


def _open_tables(
    options: WatchingOptions, run: dict, page: WatchPage | None, stack: contextlib.ExitStack
) -> list[GrowingRows]:
    """Open the files of rows; what the first one holds is shown on the page, too."""
    tables: list[GrowingRows] = []
    for kind, path in ((GrowingCsv, options.csv), (GrowingJson, options.json)):
        if path is not None:
            receive = page.add if page and not tables else None
            table = kind(path, run, with_time=options.with_time, receive=receive)
            tables.append(stack.enter_context(table))
    return tables


def _write_rows(tables: Sequence[GrowingRows], verdict: Verdict, when: str) -> None:
    """Add a row to each file of rows; where there are two, to those that have none of it yet.

    A kill between the two leaves a row in one of them, and the image is labelled again.
    """
    for table in tables:
        if len(tables) == 1 or csv_name(verdict.image) not in table.names:
            table.write(verdict, when)


def _labelled(
    tables: Sequence[GrowingRows],
    record: EventRecord | None,
    source: str,
    model: ModelReference,
    has_one_threshold: bool,
) -> set[str]:
    """The names, as ``rows.csv_name`` has them, of the images that are not labelled again.

    Those on record whose row is missing, since a kill came in between, get it.
    """
    names = tables[0].names if tables else set()
    for table in tables[1:]:
        names = names & table.names
    if record is None:
        return names
    recorded = {csv_name(image) for image in record.images_of(source)}
    if tables and not recorded <= names:
        for event in record.events():
            if event.source == source and _is_of(event, model, has_one_threshold):
                verdict = Verdict(
                    *(event.image, event.label, event.score, event.p_value, event.reason),
                    outside=event.outside,
                    extrapolated=event.extrapolated,
                )
                for table in tables:
                    if csv_name(event.image) not in table.names:
                        table.write(verdict, event.time)
                        table.names.add(csv_name(event.image))
    return names | recorded


def _is_of(event: Event, model: ModelReference, has_one_threshold: bool) -> bool:
    threshold = model.threshold_of(event.image)
    is_close = math.isclose(event.threshold, threshold, rel_tol=1e-5)
    return event.model == model.sha256 and (is_close or not has_one_threshold)


def _judge_until(
    interrupt: DeferredInterrupt, arrivals: Arrivals, workers: ProcessPool[Finding]
) -> Iterator[Finding]:
    """What is found about arrivals, as far as it stands, until an interrupt is requested."""
    parts = [Part(path) for path in arrivals.find()]
    try:
        with contextlib.closing(workers.run(parts)) as findings:
            for finding in findings:
                if interrupt.requested:
                    return
                if arrivals.accept(finding.verdict):
                    yield finding
    except ImageGoneError as error:
        warn(str(error))
