"""Find the anomalous ranges of many series, the strangest of all first."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

from pyimagesearch import __version__
from pyimagesearch.cli import option_rules
from pyimagesearch.cli.labelling_loop import exit_status
from pyimagesearch.cli.labelling_options import FindingOptions
from pyimagesearch.cli.many_series_training import (
    report_columns,
    report_series,
    report_thresholds,
)
from pyimagesearch.cli.series_input import open_collection
from pyimagesearch.cli.series_job import SHOWN_WITHOUT_ANOMALIES, JudgedFile, SeriesJob
from pyimagesearch.cli.series_journal import SeriesJournal
from pyimagesearch.data.series_collection import SeriesCollection, has_series_name
from pyimagesearch.detectors.model_file import ModelFile
from pyimagesearch.detectors.model_folder import ModelFolder
from pyimagesearch.labelling.many_series import JudgedSeries
from pyimagesearch.labelling.series import Range
from pyimagesearch.reports.rows import Results, csv_cell, csv_line
from pyimagesearch.reports.series import range_columns, range_line, series_name
from pyimagesearch.runtime import parallel, progress
from pyimagesearch.runtime.atomic_files import is_inside
from pyimagesearch.runtime.console import UserError, counted, info, printable


def find_in_many_series(options: FindingOptions, model: ModelFile | ModelFolder) -> int:
    """Judge each series of a folder or a table, and write all results.

    Args:
        options: of find_anomalies.py.
        model: that judges all of them, or the folder with one for each.

    Returns:
        The exit status.

    Raises:
        UserError: the dataset or the model is not usable, or no series could be judged.
        OSError: a file cannot be read or written.
    """
    started, results = time.monotonic(), options.results
    _check(options)
    collection = open_collection(options.dataset, options.group_by)
    paths = {"csv": results.csv, "json": results.json}
    journal = SeriesJournal(
        {kind: path for kind, path in paths.items() if path is not None},
        _described(options, model),
        collection.names,
        results.resume,
    )
    job = SeriesJob(
        model=model,
        columns=options.columns,
        rule=options.model.rule,
        top=results.top,
        csv=results.csv is not None,
        json=results.json is not None,
        sketches=results.report is not None,
    )
    judged: list[JudgedSeries] = []
    goes_on = any(path is not None for path in (*paths.values(), results.report))
    with journal, Results(sys.stdout.buffer, goes_on_without_stdout=goes_on) as rows:
        judged += journal.done
        left = collection.names[len(judged) :]
        outcomes = _judge(job, collection, left, options.jobs)
        with contextlib.closing(progress.track(outcomes, total=len(left), unit="series")) as new:
            for one in new:
                series = one.series
                report_series(series.name, series.problem, series.notes)
                journal.add(one)
                judged.append(series)
        if all(one.problem is not None for one in judged):
            raise UserError(f"{printable(options.dataset)}: none of its series can be judged")
        if results.report is not None:
            _write_page(options, collection, job, judged)
        _print_ranges(rows, judged, results.top)
    return _summarise(options, judged, time.monotonic() - started)


def _check(options: FindingOptions) -> None:
    """Refuse, before long work, what makes no sense with many series."""
    results = options.results
    for option, is_given in zip(
        option_rules.OF_ONE_SERIES,
        (results.output, results.show, options.following, options.save_state),
        strict=True,
    ):
        if is_given:
            raise UserError(option_rules.NOT_OF_MANY.format(option=option))
    for path in filter(None, (results.csv, results.json)):
        is_read_later = has_series_name(path) and os.path.isdir(options.dataset)
        if is_read_later and is_inside(path, options.dataset):
            raise UserError(
                f"{printable(path)} lies inside {printable(options.dataset)}, where a later run "
                "would take it for a series"
            )


def _described(options: FindingOptions, model: ModelFile | ModelFolder) -> dict[str, Any]:
    """Everything that decides the rows, as JSON types; see ``resume_journal.described``."""
    results, rule = options.results, options.model.rule
    columns = options.columns
    return {
        "model": model.sha256,
        "threshold": None if rule is None else [rule.name, rule.parameter],
        "inputs": [[options.dataset, os.path.abspath(options.dataset)]],
        "output": None,
        "version": __version__,
        "group_by": options.group_by,
        "columns": [columns.timestamp, None if columns.values is None else list(columns.values)],
        "top": results.top,
        "kinds": [results.csv is not None, results.json is not None, results.report is not None],
    }


def _judge(
    job: SeriesJob, collection: SeriesCollection, names: tuple[str, ...], jobs: int
) -> Iterator[JudgedFile]:
    sources = collection.sources(names)
    if isinstance(job.model, ModelFile) and job.model.networks:
        # A network runs in a process of its own, which a worker may not have.
        return (job.judge(source) for source in sources)
    return parallel.run_task(job, sources, jobs, chunk_size=1)


def _write_page(
    options: FindingOptions,
    collection: SeriesCollection,
    job: SeriesJob,
    judged: list[JudgedSeries],
) -> None:
    from pyimagesearch.reports import many_series_page

    def draw(names: tuple[str, ...]) -> Iterator[Any]:
        large = job.drawing()
        return (one.panels for one in _judge(large, collection, names, options.jobs))

    many_series_page.write_page_of_many(options.results.report, options.model.path, judged, draw)
    info(f"report written to {printable(options.results.report)}")


def _ranked(judged: list[JudgedSeries]) -> list[tuple[JudgedSeries, Range]]:
    """All ranges, the strangest first."""
    ranges = [(one, found) for one in judged for found in one.ranges]
    return sorted(ranges, key=lambda pair: pair[0].strangeness(pair[1]))


def _print_ranges(rows: Results, judged: list[JudgedSeries], top: int | None) -> None:
    has_label = top is not None
    rows.print_line(csv_line(("series", *range_columns(has_label))))
    shown = [(one, found) for one, found in _ranked(judged) if has_label or found in one.found]
    for one, found in shown[:top]:
        name = csv_line([csv_cell(series_name(one.name))]).removesuffix("\n")
        rows.print_line(f"{name},{range_line(found, has_label)}")


def _summarise(options: FindingOptions, judged: list[JudgedSeries], seconds: float) -> int:
    """Report what was found in all; the exit status."""
    readable = [one for one in judged if one.problem is None]
    report_columns(options.dataset, (one.columns for one in readable))
    if options.model.rule is not None:
        report_thresholds([one.threshold for one in readable])
    n_ranges = sum(len(one.found) for one in readable)
    if not n_ranges and options.results.top is None:
        for one, found in _ranked(readable)[:SHOWN_WITHOUT_ANOMALIES]:
            info(
                f"below the threshold, but strangest: {printable(one.name)}, "
                f"{printable(found.start)} to {printable(found.end)} "
                f"(score {found.score:.4g}, p-value {found.p_value:.2g})"
            )
    n_unreadable = len(judged) - len(readable)
    n_unjudged = sum(one.n_unjudged for one in readable)
    n_with = sum(bool(one.found) for one in readable)
    info(
        f"{counted(n_ranges, 'range')} in {n_with:,} of {counted(len(judged), 'series', 'series')};"
        f" {n_unreadable:,} not judged, and {counted(n_unjudged, 'row')} of others "
        f"({seconds:.1f} s)"
    )
    return exit_status(n_ranges, n_unreadable + n_unjudged, options.results.fail_on_anomaly)
