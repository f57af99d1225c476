"""Watch a folder: label the images that arrive, and add their rows to a CSV file."""

from __future__ import annotations

import contextlib
import csv
import math
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Self

from pyimagesearch.cli import resume_journal
from pyimagesearch.cli.labelling_job import ImageGoneError, JobWorker, LabellingJob
from pyimagesearch.cli.labelling_options import WatchingOptions
from pyimagesearch.cli.line_station import make_station, open_record
from pyimagesearch.data import images
from pyimagesearch.data.image_folder import OtherFiles
from pyimagesearch.detectors import model_file
from pyimagesearch.labelling.images import Labeller
from pyimagesearch.labelling.model_reference import ModelReference
from pyimagesearch.labelling.verdict import ANOMALY, NORMAL, UNREADABLE, Verdict
from pyimagesearch.line.event_record import EventRecord
from pyimagesearch.line.judging import Finding, JudgingJob, Part
from pyimagesearch.reports.rows import COLUMNS, RowWriter, csv_line, csv_name, csv_row
from pyimagesearch.runtime import parallel
from pyimagesearch.runtime.atomic_files import check_replaceable_file, open_rows
from pyimagesearch.runtime.console import UserError, info, printable, warn
from pyimagesearch.runtime.interrupts import DeferredInterrupt
from pyimagesearch.runtime.processes import ProcessPool

SECONDS_BETWEEN_LISTINGS = 0.5
# An image that has been the same for so long is labelled;
SECONDS_TO_SETTLE = 1.0
# one that cannot be read is tried again when it has changed, and given up after so long.
SECONDS_TO_GIVE_UP = 10.0
# Listing a large folder takes a while: the pauses keep it to this share of a core.
SHARE_FOR_LISTING = 0.1
_LABELS = (NORMAL, ANOMALY, UNREADABLE)


@dataclass
class _Waiting:
    """An image that may still be written: its state, since when, and whether it was tried."""

    state: tuple[int, ...] | None
    since: float
    tried: bool = False


class Arrivals:
    """Finds images in a folder that are new and no longer being written.

    The folder is listed again and again, which also works on network shares, where the system
    does not report changes. An image is found once: by its name.

    Args:
        folder: to list, with the folders in it.
        known: names, as ``rows.csv_name`` has them, that are not new; grows.
    """

    def __init__(self, folder: str, known: set[str]) -> None:
        self._folder = folder
        self._known = known
        self._waiting: dict[str, _Waiting] = {}
        self._lost = False
        self._reported: set[str] = set()  # kinds of files that are no images
        self.pause = SECONDS_BETWEEN_LISTINGS

    def find(self) -> list[str]:
        """The new images that are to be labelled now, in the order of their names."""
        started = time.monotonic()
        try:
            waiting = {path: self._state_of(path) for path in self._new()}
        except OSError as error:
            if not self._lost:
                reason = error.strerror or error
                warn(f"{printable(self._folder)}: {reason}; it is waited for")
            self._lost = True
            return []
        if self._lost:
            info(f"{printable(self._folder)} is there again")
            self._lost = False
        self._waiting = waiting
        took = time.monotonic() - started
        self.pause = max(SECONDS_BETWEEN_LISTINGS, took * (1 / SHARE_FOR_LISTING - 1))
        ready = []
        for path, one in waiting.items():
            settled = time.monotonic() - one.since
            if settled >= (SECONDS_TO_GIVE_UP if one.tried else SECONDS_TO_SETTLE):
                one.tried = True
                ready.append(path)
        return ready

    def _new(self) -> Iterator[str]:
        others = OtherFiles()
        for path in images.list_images(self._folder, others.add):
            if csv_name(path) not in self._known:
                yield path
        if not self._reported.issuperset(others.left_out):
            others.report(self._folder)
            self._reported.update(others.left_out)

    def _state_of(self, path: str) -> _Waiting:
        try:
            status = os.stat(path)
            state = (status.st_size, status.st_mtime_ns, status.st_ino)
        except OSError:  # a link to nothing, so far
            state = None
        before = self._waiting.get(path)
        if before is not None and before.state == state:
            return before
        return _Waiting(state, time.monotonic())

    def accept(self, verdict: Verdict) -> bool:
        """Whether a verdict stands; if not, the image is tried again, or is no longer there."""
        if verdict.label == UNREADABLE:
            one = self._waiting[verdict.image]
            if time.monotonic() - one.since < SECONDS_TO_GIVE_UP:
                return False
            if not os.path.lexists(verdict.image):
                return False
        self._known.add(csv_name(verdict.image))
        return True


class GrowingCsv:
    """A CSV file of verdicts that every watch of the same model adds to; use it as a context.

    Args:
        path: of the file.
        run: see ``resume_journal.described``.

    Attributes:
        names: of the images that have a row, as ``rows.csv_name`` has them.

    Raises:
        UserError: when the context is entered: its rows are of another model, or it is in use.
        OSError: it cannot be written.
    """

    def __init__(self, path: str, run: dict) -> None:
        self._path = path
        self._run = run | {"watch": True}
        self._stack = contextlib.ExitStack()
        self._synced, self._size_synced = time.monotonic(), 0
        self.names: set[str] = set()

    def __enter__(self) -> Self:
        check_replaceable_file(self._path)
        with contextlib.ExitStack() as stack:
            journal = self._journal = resume_journal.open_journal(self._path)
            stack.callback(journal.close)
            before = resume_journal.read_run(journal.path)
            holds_rows = os.path.exists(self._path) and os.path.getsize(self._path) > 0
            if holds_rows:
                self._check_run(journal.path, before)
            self._file = open_rows(self._path, self._path)
            stack.callback(self._file.close)
            stack.push(self._remove_unless_begun)
            self._file.truncate(self._read() if holds_rows else 0)
            if before != self._run:
                resume_journal.begin(journal, self._run)
            if not self._file.size:
                self._file.write(csv_line(COLUMNS).encode())
            self._stack = stack.pop_all()
        return self

    def _remove_unless_begun(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and not self._file.size:
            self._file.remove()
            self._journal.remove()

    def _check_run(self, journal: str, before: dict | None) -> None:
        if before is None:
            raise UserError(
                f"{printable(self._path)}: no journal next to it says which model its "
                "rows are of, so none are added to it"
            )
        same = ("model", "threshold", "version")
        if any(before.get(name) != self._run[name] for name in same):
            raise UserError(
                f"{printable(self._path)}: its rows are of another model or threshold (as "
                f"{printable(journal)} says): name another file with --csv"
            )

    def _read(self) -> int:
        """Take the names of the rows; the number of bytes up to the end of the last whole one."""
        with open(self._path, "rb") as file:
            lines = _Lines(file)
            rows = csv.reader(lines)
            whole = 0
            try:
                for row in rows:
                    header = whole == 0 and tuple(row) == COLUMNS
                    is_row = len(row) == len(COLUMNS) and row[1] in _LABELS
                    if not lines.ended or not (header or (whole and is_row)):
                        if whole and next(rows, None) is None:
                            break  # it was being written when the watch was killed
                        raise ValueError
                    if not header:
                        self.names.add(row[0])
                    whole = lines.n_bytes
            except (ValueError, csv.Error) as error:
                raise UserError(
                    f"{printable(self._path)}: not rows as --watch writes them, so none are added"
                ) from error
        return whole

    def write(self, verdict: Verdict) -> None:
        """Add a row, at once and whole."""
        self._file.write(csv_row(verdict).encode())
        if time.monotonic() - self._synced > resume_journal.SECONDS_UNSYNCED:
            self.sync()

    def sync(self) -> None:
        """Wait until its rows are on the disk."""
        if self._file.size != self._size_synced:
            self._file.sync()
            self._size_synced, self._synced = self._file.size, time.monotonic()

    def __exit__(self, kind: type[BaseException] | None, *error: Any) -> None:
        with self._stack:
            if kind is None:
                self.sync()


class _Lines:
    """The lines of a file as text, and how many bytes of it they were up to now."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.n_bytes = 0
        self.ended = True

    def __iter__(self) -> Iterator[str]:
        for line in self._file:
            self.n_bytes += len(line)
            self.ended = line.endswith(b"\n")
            yield line.decode()


@dataclass(frozen=True)
class WatchingJob:
    """What is to be done with each image that arrives: an ``ordered_queue.Task``.

    Attributes:
        judging: says how it is judged.
        pictures: folder to write a labelled picture of it into, or None.
    """

    judging: JudgingJob
    pictures: str | None

    def open(self) -> Callable[[list[Part]], list[Finding]]:
        """Get ready for the work: see ``ModelReference.open``, which says what may be wrong."""
        judge = self.judging.open()
        drawing = LabellingJob(self.judging.model, pictures=self.pictures)
        drawer = JobWorker(drawing, judge.labeller)

        def judge_and_draw(parts: list[Part]) -> list[Finding]:
            findings = judge(parts)
            drawer.write_pictures(finding.verdict for finding in findings)
            return findings

        return judge_and_draw

    def lost(self, part: Part) -> Finding:
        """The finding about an image that no worker survived."""
        return self.judging.lost(part)


def watch(options: WatchingOptions, labeller: Labeller) -> Counter[str]:
    """Label the images in a folder and those that arrive there, until Ctrl-C or SIGTERM.

    Args:
        options: where from and where to.
        labeller: the model, with its threshold.

    Returns:
        The number of images of each label.

    Raises:
        UserError: the rows of the CSV file are of another model, or there is no such command.
        OSError: there is no such folder, or a result cannot be written.
    """
    os.scandir(options.folder).close()  # a folder that is not there now is a mistake
    counts: Counter[str] = Counter()
    model = ModelReference.to(labeller, options.model.path, options.model.backbone)
    job = WatchingJob(JudgingJob(model, options.events.evidence), options.output)
    with contextlib.ExitStack() as stack:
        stack.enter_context(model_file.named(options.model.path))
        # Kept from one image to the next, since starting them takes longer than an image.
        workers = stack.enter_context(ProcessPool(job, options.jobs, parallel.CHUNK_SIZE))
        interrupt = stack.enter_context(DeferredInterrupt(signal.SIGINT, signal.SIGTERM))
        table = None
        if options.csv is not None:
            run = resume_journal.described(
                labeller.sha256, labeller.threshold, [options.folder], options.output
            )
            table = stack.enter_context(GrowingCsv(options.csv, run))
        record = stack.enter_context(open_record(options.events))
        station = stack.enter_context(make_station(options.events, record))
        known = _labelled(table, record, options.folder, model)
        goes_on = any((table, record, options.events.reported, options.output))
        rows = stack.enter_context(RowWriter(sys.stdout.buffer, goes_on_without_stdout=goes_on))
        arrivals = Arrivals(options.folder, known)
        info(f"watching {printable(options.folder)}; Ctrl-C ends it")
        while not interrupt.requested:
            for finding in _judge_until(interrupt, arrivals, workers):
                verdict = finding.verdict
                counts[verdict.label] += 1
                station.take(finding, options.folder)
                if table:
                    table.write(verdict)
                rows.print(verdict)
                if not verdict.is_readable:
                    warn(f"{printable(verdict.image)}: {verdict.reason}")
            if table:
                table.sync()
            interrupt.sleep(arrivals.pause)
    return counts


def _labelled(
    table: GrowingCsv | None, record: EventRecord | None, folder: str, model: ModelReference
) -> set[str]:
    """The names, as ``rows.csv_name`` has them, of the images that are not labelled again.

    Those on record whose row is missing, since a kill came in between, get it.
    """
    names = table.names if table else set()
    if record is None:
        return names
    recorded = {csv_name(image) for image in record.images_of(folder)}
    if table and not recorded <= names:
        for event in record.events():
            name = csv_name(event.image)
            is_same = event.model == model.sha256 and math.isclose(
                event.threshold, model.threshold, rel_tol=1e-5
            )
            if is_same and event.source == folder and name not in names:
                table.write(Verdict(event.image, event.label, event.score, event.p_value))
                names.add(name)
    return names | recorded


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
