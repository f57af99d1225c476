"""Follow a series: judge its rows one by one, as they come."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from pyimagesearch.cli.labelling_loop import exit_status
from pyimagesearch.cli.labelling_options import FindingOptions, FollowingOptions
from pyimagesearch.data.followed_lines import GrowingFile, Pipe, Source
from pyimagesearch.data.followed_rows import FollowedRow, FollowedRows
from pyimagesearch.data.series import SeriesError
from pyimagesearch.detectors import model_file, registry
from pyimagesearch.labelling.series import SeriesLabeller
from pyimagesearch.labelling.stream import (
    LAST_ROW,
    Follower,
    Gap,
    GapWatch,
    Order,
    RowVerdict,
    shown_time,
)
from pyimagesearch.labelling.verdict import ANOMALY, UNREADABLE
from pyimagesearch.line.alarm_command import AlarmCommand
from pyimagesearch.reports import stream as events
from pyimagesearch.reports.rows import Results, csv_line
from pyimagesearch.runtime.console import STDIN, UserError, counted, info, printable, warn
from pyimagesearch.runtime.interrupts import DeferredInterrupt

_SHOWN_CHARACTERS = 60  # of a time in a message


def follow(
    options: FindingOptions,
    model: model_file.ModelFile,
    labeller: SeriesLabeller,
    threshold: float,
) -> int:
    """Judge rows as they come, and print an alarm as it happens, until the end or Ctrl-C.

    Args:
        options: of find_anomalies.py.
        model, labeller: the model file, and what was restored from it.
        threshold: above which a score is an alarm.

    Returns:
        The exit status.

    Raises:
        UserError: it is no series that the model can judge, or there is no such command.
        OSError: a file cannot be read or written.
    """
    with contextlib.ExitStack() as stack:
        interrupt = stack.enter_context(DeferredInterrupt(signal.SIGINT, signal.SIGTERM))
        source: Source
        if options.dataset == STDIN:
            source = Pipe(sys.stdin.fileno())
        else:
            source = stack.enter_context(GrowingFile(options.dataset, interrupt.sleep))
        run = Following(options, model, labeller, threshold)
        counts = run.judge_all(source, lambda: interrupt.requested)
    return exit_status(counts[ANOMALY], counts[UNREADABLE], options.results.fail_on_anomaly)


class Following:
    """Judges the rows of a source, and reports what happens.

    Args:
        options, model, labeller, threshold: as of ``follow``.
        clock: seconds that pass, also where no row comes.
    """

    def __init__(
        self,
        options: FindingOptions,
        model: model_file.ModelFile,
        labeller: SeriesLabeller,
        threshold: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        chosen = options.following or FollowingOptions()
        self._options, self._chosen = options, chosen
        self._model, self._labeller, self._clock = model, labeller, clock
        order = model_file.open_model(
            options.model.path, lambda _: Order.from_manifest(model.manifest)
        )
        self._follower = Follower(labeller, threshold, order)
        self._gaps: GapWatch | None = None
        if chosen.gap is not None:
            last = "" if order.last is None else shown_time(order.last)
            self._gaps = GapWatch(chosen.gap, clock(), last, order.last)
        self._heartbeat = _Timer(chosen.heartbeat, clock)
        self._saving = _Timer(chosen.save_every, clock)
        self._is_saved = True
        self._files: Results | None = None
        self._json: events.GrowingJson | None = None
        self._command: AlarmCommand | None = None

    def judge_all(self, source: Source, is_over: Callable[[], bool]) -> dict[str, int]:
        """Judge the rows of a source until its end, or until it is over; then save the state.

        Args:
            source: of lines of CSV.
            is_over: asked after each row, and while there is none.

        Returns:
            The number of rows of each label.

        Raises:
            UserError, OSError: as of ``follow``.
        """
        if (seen := self._follower.order.seen) is not None:
            info(f"rows up to {shown_time(seen)} are skipped: the saved state has seen them")
        elif LAST_ROW in self._model.manifest and self._options.dataset != STDIN:
            warn("rows without times: those that the saved state has seen are judged again")
        columns, order = self._options.columns, self._follower.order
        rows = FollowedRows(
            source, columns.timestamp, columns.values, self._labeller.learned, order.header
        )
        try:
            with contextlib.ExitStack() as stack:
                self._open(stack)
                for row in rows:
                    order.header = rows.header
                    if row is not None:
                        self._take(row)
                    self._attend_clocks()
                    if is_over():
                        info("interrupted")
                        break
        except SeriesError as error:
            raise UserError(f"{source.name}: {error}") from error
        finally:
            # Not where Ctrl-C has interrupted a row between two of its columns.
            if not isinstance(sys.exception(), KeyboardInterrupt) and self._options.save_state:
                self._save()
                info(f"state written to {printable(self._options.save_state)}")
        counts = self._follower.counts
        skipped = self._follower.n_skipped
        info(
            f"{counted(counts[ANOMALY], 'alarm')}, "
            f"{counted(counts[UNREADABLE], 'row')} not judged"
            + (f", {counted(skipped, 'row')} skipped" if skipped else "")
        )
        return counts

    def _open(self, stack: contextlib.ExitStack) -> None:
        chosen, json = self._chosen, self._options.results.json
        goes_on = json is not None or chosen.on_anomaly is not None
        self._json = stack.enter_context(events.growing_json(json))
        if chosen.on_anomaly is not None:
            self._command = stack.enter_context(
                AlarmCommand("--on-anomaly", chosen.on_anomaly, "ANOMALY_TIME")
            )
        self._files = stack.enter_context(
            Results(sys.stdout.buffer, goes_on_without_stdout=goes_on)
        )
        self._files.print_line(csv_line(events.alarm_columns(self._gaps is not None)))

    def _take(self, row: FollowedRow) -> None:
        verdict = self._follower.judge(row)
        if verdict is None:
            return
        self._is_saved = False
        if verdict.label == UNREADABLE:
            warn(f"{printable(verdict.time[:_SHOWN_CHARACTERS])}: {verdict.reason}")
        elif self._gaps is not None:
            for gap in self._gaps.take(row.when, row.time, self._clock()):
                self._report_gap(gap)
        if self._json:
            self._json.write(events.row_fields(verdict))
        if verdict.label == ANOMALY:
            self._report_alarm(verdict)

    def _report_alarm(self, verdict: RowVerdict) -> None:
        self._files.print_line(events.alarm_line(verdict, self._gaps is not None))
        if self._command:
            self._command.report(
                verdict.time,
                ANOMALY_EVENT=ANOMALY,
                ANOMALY_START=verdict.time,
                ANOMALY_END=verdict.time,
                ANOMALY_SCORE=f"{verdict.score:.6g}",
                ANOMALY_P_VALUE=f"{verdict.p_value:.6g}",
            )

    def _report_gap(self, gap: Gap) -> None:
        self._files.print_line(events.gap_line(gap))
        if self._json:
            self._json.write(events.gap_fields(gap))
        if self._command:
            self._command.report(
                gap.start if gap.end is None else gap.end,
                ANOMALY_EVENT=events.gap_event(gap),
                ANOMALY_START=gap.start,
                ANOMALY_END=gap.end or "",
                ANOMALY_SECONDS=f"{gap.seconds:.6g}",
            )

    def _attend_clocks(self) -> None:
        """Do what is due, whether a row has come or not."""
        if self._gaps is not None:
            for gap in self._gaps.wait(self._clock()):
                self._report_gap(gap)
        if self._heartbeat.is_due():
            self._beat()
        if self._saving.is_due() and not self._is_saved:
            try:
                self._save()
            except OSError as error:  # such as a disk that is full for a while: alarms go on
                warn(f"the state is not saved: {printable(error.filename or '')}: {error.strerror}")

    def _beat(self) -> None:
        counts, last = self._follower.counts, self._follower.last
        fields: dict[str, Any] = {
            "event": events.HEARTBEAT,
            "rows": sum(counts.values()),
            "alarms": counts[ANOMALY],
            "not_judged": counts[UNREADABLE],
            "last_time": last or None,
        }
        info(
            f"heartbeat: {counted(fields['rows'], 'row')}, {counted(counts[ANOMALY], 'alarm')}, "
            f"{counts[UNREADABLE]:,} not judged"
            + (f", last {printable(last[:_SHOWN_CHARACTERS])}" if last else "")
        )
        if self._json:
            self._json.write(fields)

    def _save(self) -> None:
        save_state(self._options.save_state, self._model, self._labeller, self._follower.order)
        self._is_saved = True


class _Timer:
    """Is due every so often.

    Args:
        seconds: None is never.
        clock: seconds that pass.
    """

    def __init__(self, seconds: float | None, clock: Callable[[], float]) -> None:
        self._seconds, self._clock = seconds, clock
        self._next = clock() + (seconds or 0.0)

    def is_due(self) -> bool:
        if self._seconds is None or (now := self._clock()) < self._next:
            return False
        self._next = now + self._seconds
        return True


def save_state(
    path: str, model: model_file.ModelFile, labeller: SeriesLabeller, order: Order
) -> None:
    """Write the model with its detector as it is now, so that a later run goes on from there.

    Args:
        path: of the file to write.
        model, labeller: the model file, and what was restored from it and has judged rows since.
        order: where these rows left off.
    """
    manifest = {k: v for k, v in model.manifest.items() if k != "members"}
    manifest["detector"] = registry.describe(labeller.detector)
    manifest |= order.described()
    arrays = model.arrays | registry.array_members(labeller.detector)
    model_file.save_model(path, manifest, arrays, model.networks)
