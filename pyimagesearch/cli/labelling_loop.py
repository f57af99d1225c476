"""One labelling run: a journal, a report, rows and notices around a stream of verdicts."""

from __future__ import annotations

import contextlib
import hashlib
import heapq
import itertools
import json
import sys
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from pyimagesearch.cli import resume_journal
from pyimagesearch.cli.arguments import Executor, opener
from pyimagesearch.cli.image_source import ImageSource
from pyimagesearch.cli.labelling_job import LabellingJob, measure_every_of
from pyimagesearch.cli.labelling_options import ModelOptions, ResultOptions
from pyimagesearch.data.image_folder import OtherFiles
from pyimagesearch.detectors import model_file
from pyimagesearch.detectors.model_file import ModelFile, load_model, open_model
from pyimagesearch.labelling import thresholds
from pyimagesearch.labelling.batch_shift import Batch
from pyimagesearch.labelling.false_discoveries import FalseDiscoveries
from pyimagesearch.labelling.image_groups import UnknownGroups
from pyimagesearch.labelling.images import Labeller
from pyimagesearch.labelling.known_range import FarImages
from pyimagesearch.labelling.model_reference import ModelReference
from pyimagesearch.labelling.thresholds import ThresholdRule
from pyimagesearch.labelling.verdict import ANOMALY, NORMAL, UNREADABLE, Verdict
from pyimagesearch.reports import drawing
from pyimagesearch.reports.rows import RowWriter
from pyimagesearch.runtime import parallel, progress
from pyimagesearch.runtime.console import (
    EXIT_ANOMALY,
    EXIT_DONE,
    EXIT_UNREADABLE,
    UserError,
    counted,
    info,
    printable,
    warn,
)

if TYPE_CHECKING:
    from pyimagesearch.reports.html_page import ImagePage
    from pyimagesearch.reports.thumbnails import ThumbnailMaker


OF_GROUPS = (
    "{option} chooses one threshold for all images of a run, and this model has one for each of "
    "its groups: choose them by --false-alarm-rate"
)


@dataclass(frozen=True)
class LabellingRun:
    """What is labelled, and what comes of it.

    Attributes:
        labeller: the model, with its threshold.
        model: its file, as the user calls it.
        source: the images.
        results: what is written.
        ranked: print the strangest images, strangest first, when all are labelled: the anomalies,
            or with ``results.top`` so many images. Otherwise rows are printed as they come.
        rule: chooses the threshold by the scores of these very images, when all are labelled; None
            keeps the labeller's.
        executor: where the work is done.
        backbone: the ONNX file of a model that does not contain its network, or None.
        pictures: folder to write a labelled picture of each image into, or None.
        picture: the file to write the labelled picture of the only image into, or None.
    """

    labeller: Labeller
    model: str
    source: ImageSource
    results: ResultOptions
    ranked: bool
    executor: Executor
    rule: ThresholdRule | None = None
    backbone: str | None = None
    pictures: str | None = None
    picture: str | None = None

    def label(
        self,
        on_verdict: Callable[[Verdict, bool], None] | None = None,
        on_ranked: Callable[[Labeller, list[Verdict]], None] | None = None,
    ) -> Counter[str]:
        """Label all images and write all results, or nothing of them.

        Args:
            on_verdict: receives each verdict, and whether it is new in this run.
            on_ranked: receives the labeller and the ranked verdicts, before any is printed.

        Returns:
            The number of images of each label.

        Raises:
            UserError: there are no images, or a result cannot be written.
            OSError: a file cannot be read or written.
        """
        self._check_frames()
        started = time.monotonic()
        counts: Counter[str] = Counter()
        labeller = self.labeller
        batch, unknown = Batch(*labeller.usual), UnknownGroups(labeller.groups)
        far = FarImages(0 if labeller.conditions is None else len(labeller.conditions))
        ranking = _Ranking(self.results.top, self.ranked)
        others = OtherFiles()
        journal = self._journal(others)
        page = self._page(journal)
        goes_on = self.results.output is not None or self.results.report is not None
        with (
            journal,
            page or contextlib.nullcontext(),
            RowWriter(
                sys.stdout.buffer,
                self.results.csv,
                self.results.json,
                goes_on_without_stdout=goes_on,
                name_column=self.source.name_column,
                in_sight=self.source.have_names,
            ) as rows,
            contextlib.closing(self._verdicts(journal, page)) as verdicts,
            self._until_judged() as kept,
        ):
            if self.rule is not None:
                labeller = self._judge_last(self.rule, verdicts, rows, kept)
                self._draw_pictures(labeller, kept)
                rows.begin_again()
                verdicts = (labeller.relabel(v) if v.is_readable else v for v in _kept(kept))
            for verdict in verdicts:
                counts[verdict.label] += 1
                is_new = counts.total() > journal.n_resumed
                batch.add(labeller.compared_score(verdict), verdict.conditions)
                unknown.add(verdict.image)
                far.add(verdict)
                ranking.add(verdict)
                if page:
                    page.add(verdict)
                rows.write(verdict, to_stdout=is_new and not ranking.decides)
                if is_new and not verdict.is_readable:
                    warn(f"{printable(verdict.image)}: {verdict.reason}")
                if on_verdict:
                    on_verdict(verdict, is_new)
                if self.source.frames and not self._shows_frames_later:
                    self.source.frames.remove(verdict.image)
            if not counts:
                names = ", ".join(map(printable, self.source.shown_names))
                raise UserError(f"no images in {names}{others.instead}")
            discoveries = self._discoveries(counts)
            ranked = ranking.strangest_first()
            if on_ranked:
                on_ranked(labeller, ranked)
            notices = batch.notices() + unknown.notices()
            # Where the whole batch has shifted, that says more than its images one by one.
            of_far = None if batch.conditions_have_shifted else far.notice()
            if of_far is not None and far.pass_too_often:
                notices, of_far = [*notices, of_far], None
            if page:
                make, run = self._thumbnail_maker(labeller), self._digest(labeller)
                said = [*extrapolation_notices(labeller), *notices]
                page.write_for(self.model, labeller, said, make, run, discoveries)
            for verdict in ranked:
                rows.print(verdict)
        others.report()
        for notice in notices:
            warn(notice)
        if of_far is not None:
            info(of_far)
        info(f"{summary(counts)} ({time.monotonic() - started:.1f} s)")
        if discoveries is not None:
            info(discoveries.expectation)
            if discoveries.limit is not None:
                warn(discoveries.limit)
        if self.results.report is not None:
            info(f"report written to {printable(self.results.report)}")
        return counts

    def _check_frames(self) -> None:
        """Refuse what cannot be done with frames."""
        if self.source.frames and self.executor.scheduler is not None:
            raise UserError("frames are labelled on this machine: leave out --scheduler")
        if self.rule is not None and self.labeller.groups is not None:
            raise UserError(OF_GROUPS.format(option=f"--{self.rule.name}"))
        if self.source.is_live and self.results.resume:
            raise UserError("--resume goes on with files; a camera has other frames each time")
        if self.source.is_live and self._false_discovery_rate is not None:
            raise UserError(
                "--false-discovery-rate decides when all images are there; a camera has no last "
                "one: with --watch it decides over all so far"
            )

    def _journal(self, others: OtherFiles) -> resume_journal.Journal:
        """The journal of files; images that are labelled in one go have none."""
        results = (self.results.csv, self.results.json) if self.source.have_names else ()
        return resume_journal.Journal(
            results,
            lambda: self._described(self.labeller),
            self.source.paths(others.add),
            self.results.resume,
            self.results.resume_by_name,
        )

    def _described(self, labeller: Labeller) -> dict[str, Any]:
        output = self.pictures or self.picture
        return resume_journal.described(
            *(labeller.sha256, labeller.threshold, self.source.shown_names, output),
            *(labeller.group_thresholds, labeller.extrapolates),
        )

    def _digest(self, labeller: Labeller) -> str:
        """Of the run, by which its thumbnails are found again: they depend on the threshold."""
        described = json.dumps(self._described(labeller), sort_keys=True)
        return hashlib.sha256(described.encode()).hexdigest()

    @property
    def _makes_thumbnails_early(self) -> bool:
        return self.source.are_files and self.rule is None

    @property
    def _shows_frames_later(self) -> bool:
        """Whether frames are needed when all of them are labelled."""
        return self.results.report is not None or (
            self.ranked and (self.results.output is not None or self.results.show)
        )

    @property
    def _false_discovery_rate(self) -> float | None:
        of_discoveries = self.rule is not None and self.rule.name == thresholds.FALSE_DISCOVERY_RATE
        return self.rule.parameter if of_discoveries else None

    def _discoveries(self, counts: Counter[str]) -> FalseDiscoveries | None:
        rate, n_found = self._false_discovery_rate, counts[ANOMALY]
        n_items = counts[NORMAL] + n_found
        if rate is None or not n_items:
            return None
        n_calibration, extrapolates = len(self.labeller.calibration), self.labeller.extrapolates
        return FalseDiscoveries(rate, n_calibration, n_items, n_found, extrapolates)

    def _page(self, journal: resume_journal.Journal) -> ImagePage | None:
        if self.results.report is None:
            return None
        from pyimagesearch.reports import html_page

        return html_page.ImagePage(
            self.results.report,
            run=self._digest(self.labeller) if self._makes_thumbnails_early else None,
            resumable=lambda: journal.holds_rows,
            linked=self.source.are_files,
            classes=self.results.classes,
        )

    def _verdicts(
        self, journal: resume_journal.Journal, page: ImagePage | None
    ) -> Iterator[Verdict]:
        folder = page.thumbnails if page and self._makes_thumbnails_early else None
        job = self._job(
            self.labeller,
            thumbnails=folder,
            measure_every=self._measure_every(),
            draws=self.rule is None,
        )

        def label(paths: Iterator[str]) -> Iterator[Verdict]:
            executor = self.executor
            if self.source.is_live:  # a frame at a time, so that none waits for those after it
                yield from parallel.run_task(job, paths, jobs=1, chunk_size=1)
                return
            if folder is not None:  # in the groups of an uninterrupted run, which share a file
                rest = list(itertools.islice(paths, -journal.n_resumed % parallel.CHUNK_SIZE))
                if rest:
                    yield from parallel.run_task(job, rest, executor.jobs, executor.scheduler)
            yield from parallel.run_task(job, paths, executor.jobs, executor.scheduler)

        verdicts = journal.verdicts(label)
        countable = self.source.paths if self.source.can_be_listed_again else None
        rows_on_stdout = not self.ranked and self.results.top is None
        with contextlib.closing(verdicts), model_file.named(self.model):
            yield from progress.track(verdicts, total=countable, rows_on_stdout=rows_on_stdout)

    def _measure_every(self) -> int:
        return measure_every_of(self.source.paths()) if self.source.is_listed_quickly else 1

    def _job(self, labeller: Labeller, draws: bool = True, **what: object) -> LabellingJob:
        return LabellingJob(
            ModelReference.to(labeller, self.model, self.backbone),
            pictures=self.pictures if draws else None,
            picture=self.picture if draws else None,
            dataset=self.source.dataset,
            frames=self.source.frames,
            **what,
        )

    def _thumbnail_maker(self, labeller: Labeller) -> ThumbnailMaker:
        return self._job(labeller).thumbnail_maker(self.executor.jobs)

    def _until_judged(self) -> contextlib.AbstractContextManager[BinaryIO | None]:
        """A temporary file for verdicts, where they wait for the last one; otherwise nothing."""
        if self.rule is None:
            return contextlib.nullcontext()
        import tempfile  # 5 ms that other runs are spared

        return tempfile.TemporaryFile()

    def _judge_last(
        self, rule: ThresholdRule, verdicts: Iterable[Verdict], rows: RowWriter, kept: BinaryIO
    ) -> Labeller:
        """Keep the verdicts in a file until all are there; the model with the threshold for them.

        Files of rows have their scores meanwhile, and no label.
        """
        scores = array("d")
        for verdict in verdicts:
            kept.write(resume_journal.written_row(verdict))
            rows.write_undecided(verdict)
            if verdict.is_readable:
                scores.append(verdict.score)
        return with_rule(self.labeller, rule, np.array(scores)) if scores else self.labeller

    def _draw_pictures(self, labeller: Labeller, kept: BinaryIO) -> None:
        """Write the labelled pictures, which show the threshold, once that is known."""
        if self.pictures is None and self.picture is None:
            return
        executor = self.executor
        paths = (verdict.image for verdict in _kept(kept) if verdict.is_readable)
        drawn = parallel.run_task(self._job(labeller), paths, executor.jobs, executor.scheduler)
        for _ in drawn:
            pass


def _kept(file: BinaryIO) -> Iterator[Verdict]:
    """The verdicts that ``LabellingRun._judge_last`` keeps."""
    file.seek(0)
    return map(resume_journal.parse_row, file)


@dataclass
class _Ranking:
    """The strangest images of a run, in bounded memory where their number is given.

    Attributes:
        top: at most so many, whatever their label; None keeps all anomalies.
        ranked: whether anything is kept where ``top`` is None.
    """

    top: int | None
    ranked: bool
    _heap: list[tuple[float, int, Verdict]] = field(default_factory=list)
    _n_added: int = 0

    @property
    def decides(self) -> bool:
        """Whether the ranking decides what is printed."""
        return self.ranked or self.top is not None

    def add(self, verdict: Verdict) -> None:
        """Add the next verdict; of equal scores, the images that came first rank higher."""
        self._n_added += 1
        if verdict.score is None or not self.decides:
            return
        entry = (verdict.score, -self._n_added, verdict)
        if self.top is None:
            if verdict.label == ANOMALY:
                self._heap.append(entry)
        elif len(self._heap) < self.top:
            heapq.heappush(self._heap, entry)
        else:
            heapq.heappushpop(self._heap, entry)

    def strangest_first(self) -> list[Verdict]:
        return [verdict for _, _, verdict in sorted(self._heap, reverse=True)]


def check_results(results: ResultOptions, inputs: Sequence[str]) -> None:
    """Find out, before long work, whether results could be shown and reported.

    Args:
        results: what is asked for.
        inputs: files and folders that a report must not lie in.

    Raises:
        UserError: they could not.
        OSError: the report could not be written.
    """
    if results.show:
        drawing.check_display()
    check_report(results.report, inputs)


def check_report(path: str | None, inputs: Sequence[str]) -> None:
    """Find out, before long work, whether a report can be written; None is none.

    Raises:
        UserError, OSError: as of ``report_folder.check``.
    """
    if path is not None:
        from pyimagesearch.reports import report_folder  # 20 ms that only a page costs

        report_folder.check(path, inputs)


def batch_rule(options: ModelOptions) -> ThresholdRule | None:
    """The rule that sees all images of a run before it judges the first, if that was asked for."""
    rule = options.rule
    return rule if rule is not None and rule.name == thresholds.FALSE_DISCOVERY_RATE else None


def open_labeller(options: ModelOptions, model: ModelFile | None = None) -> Labeller:
    """The model that labels images, with the threshold that was asked for.

    Args:
        options: which model.
        model: it, where it has been read already.

    Returns:
        The model; where a ``batch_rule`` was asked for, which it could keep, with its own
        threshold.

    Raises:
        UserError: it is not a usable model of images, or cannot promise the rate.
        OSError: it cannot be read.
    """
    model = model or open_model(options.path, load_model)
    take_over = opener(Labeller.from_model, options.backbone)
    labeller = open_model(options.path, lambda _: take_over(model))
    if options.extrapolates:
        if labeller.groups is not None:
            raise UserError(
                "--extrapolate does not go with a model that has a threshold for each group"
            )
        labeller = replace(labeller, extrapolates=True)
        for notice in extrapolation_notices(labeller):
            warn(notice)
    if options.rule is None:
        return labeller
    if rule := batch_rule(options):
        if not options.extrapolates:
            n_calibration = len(labeller.calibration)
            thresholds.check_rate(rule.parameter, n_calibration, "false-discovery rate")
        return labeller
    return with_rule(labeller, options.rule, labeller.training)


def extrapolation_notices(labeller: Labeller) -> list[str]:
    """What is said where a model estimates p-values that it cannot promise; otherwise nothing."""
    if not labeller.extrapolates:
        return []
    n_calibration = len(labeller.calibration)
    return [
        f"p-values and false-alarm rates below 1/{n_calibration + 1:,}, the best that "
        f"{counted(n_calibration, 'calibration image')} can promise, are extrapolated from the "
        "tail of their scores: estimates, not promises"
    ]


def with_rule(labeller: Labeller, rule: ThresholdRule, scores: np.ndarray) -> Labeller:
    """The model with another threshold, and a message that names it.

    Args:
        labeller: the model.
        rule: chooses the threshold.
        scores: (m,) that the rules ``quantile``, ``max`` and ``contamination`` look at.

    Raises:
        thresholds.RateError: a rate was asked for that cannot be promised.
    """
    chosen, sentence = labeller.with_rule(rule, scores)
    info(sentence)
    return chosen


def summary(counts: Counter[str]) -> str:
    """Such as "3 normal, 1 anomaly, 0 unreadable"."""
    anomalies = counted(counts[ANOMALY], "anomaly", "anomalies")
    return f"{counts[NORMAL]:,} normal, {anomalies}, {counts[UNREADABLE]:,} unreadable"


def exit_status(n_anomalies: int, n_unreadable: int, fail_on_anomaly: bool) -> int:
    """The exit status of a labelling script: see its docstring."""
    if fail_on_anomaly and n_anomalies:
        return EXIT_ANOMALY
    return EXIT_UNREADABLE if n_unreadable else EXIT_DONE
