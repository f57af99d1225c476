"""Find the anomalous ranges of a series as a whole; row by row, ``following`` does."""

from __future__ import annotations

import sys
import time

import numpy as np

from pyimagesearch.cli import following
from pyimagesearch.cli.labelling_loop import exit_status
from pyimagesearch.cli.labelling_options import FindingOptions
from pyimagesearch.cli.overwriting import check_model_replaceable
from pyimagesearch.cli.series_input import open_series
from pyimagesearch.cli.series_job import strangest_others
from pyimagesearch.data import images, series
from pyimagesearch.detectors import model_file
from pyimagesearch.labelling.series import Range, SeriesLabeller
from pyimagesearch.labelling.stream import Order
from pyimagesearch.labelling.verdict import UNREADABLE
from pyimagesearch.reports import drawing
from pyimagesearch.reports import series as series_reports
from pyimagesearch.reports.rows import Results, csv_line
from pyimagesearch.runtime import atomic_files
from pyimagesearch.runtime.console import UserError, counted, info, printable, warn

_MOST_DESCRIBED = 5  # on stderr; the page has more


def find_in_series(options: FindingOptions, model: model_file.ModelFile) -> int:
    """Find the anomalous ranges of a series and write all results.

    Args:
        options: of find_anomalies.py.
        model: the model file.

    Returns:
        The exit status.

    Raises:
        UserError: the model or the series is not usable, or they do not fit together.
        OSError: a file cannot be read or written.
    """
    path, results = options.model.path, options.results
    labeller = model_file.open_model(path, lambda _: SeriesLabeller.from_model(model))
    if (options.following or options.save_state) and labeller.causal is None:
        raise UserError("--follow and --save-state are for models of the method stream")
    if options.save_state:
        atomic_files.check_writable(options.save_state)
        check_model_replaceable(options.save_state, options.force)
    if options.following:
        threshold = _threshold(options, labeller, labeller.training)
        return following.follow(options, model, labeller, threshold)
    started = time.monotonic()
    read, grid = open_series(
        options.dataset,
        options.columns.timestamp,
        options.columns.values,
        labeller.learned,
    )
    try:
        with model_file.named(path):
            scored = labeller.label(read, grid)
    except series.SeriesError as error:
        raise UserError(f"{printable(options.dataset)}: {error}") from error
    known = scored.scores[np.isfinite(scored.scores)]
    if not len(known):
        raise UserError(f"{printable(path)}: the model finds no finite score for any row")
    if scored.n_without_score:
        rows = counted(scored.n_without_score, "row")
        warn(f"{printable(path)}: the model finds no finite score for {rows}: not judged")
    threshold = _threshold(options, labeller, known, scored.is_learned)
    found = scored.ranges(threshold)
    others = strangest_others(scored, threshold, found, results.top)
    others = labeller.compared(scored, grid, others)
    found = labeller.compared(scored, grid, found)
    n_unreadable = int((scored.labels(threshold) == UNREADABLE).sum())

    goes_on = results.output is not None or results.report is not None
    with Results(
        sys.stdout.buffer, results.csv, results.json, goes_on_without_stdout=goes_on
    ) as files:
        if files.csv:
            series_reports.write_csv(files.csv, scored, threshold)
        if files.json:
            series_reports.write_json(files.json, scored, threshold)
        if goes_on or results.show:
            plot = series_reports.plot_series(scored, found + others, threshold)
            _write_plot(plot, options)
        if results.report is not None:
            from pyimagesearch.reports.series_page import write_series_page

            counts = {"rows": len(known), "unreadable": n_unreadable}
            write_series_page(results.report, path, threshold, found + others, counts, plot)
            info(f"report written to {printable(results.report)}")
        has_label = results.top is not None
        files.print_line(csv_line(series_reports.range_columns(has_label)))
        for one in (found + others if has_label else found)[: results.top]:
            files.print_line(series_reports.range_line(one, has_label))
    if options.save_state:
        following.save_state(options.save_state, model, labeller, Order.after(read.times))
        info(f"state written to {printable(options.save_state)}")
    shown = [] if results.top is None and not found else (found + others)[:_MOST_DESCRIBED]
    for one in shown:
        if one.comparison is not None:
            info(f"{_extent(one)}: {printable(one.comparison.difference)}")
    if not found and results.top is None:
        for one in others:
            how = "" if one.comparison is None else f": {printable(one.comparison.difference)}"
            info(
                f"below the threshold, but strangest: {_extent(one)} "
                f"(score {one.score:.4g}, p-value {one.p_value:.2g}){how}"
            )
    info(
        f"{counted(len(found), 'range')} in {counted(len(known), 'row')}, "
        f"{counted(n_unreadable, 'row')} not judged ({time.monotonic() - started:.1f} s)"
    )
    return exit_status(len(found), n_unreadable, results.fail_on_anomaly)


def _extent(one: Range) -> str:
    return f"{printable(one.start)} to {printable(one.end)}"


def _threshold(
    options: FindingOptions, labeller: SeriesLabeller, scores: np.ndarray, is_learned: bool = False
) -> float:
    """The threshold: of the model, or by the rule; the quantile is one of (m,) ``scores``."""
    rule = options.model.rule
    if rule is None and is_learned and (rule := labeller.rule_in_learned):
        info(
            "this is the series that was learned: ranges are named at a false-alarm rate of "
            f"{rule.parameter:.3g}, higher than that of others (--false-alarm-rate)"
        )
    if rule is None:
        return labeller.threshold
    chosen = labeller.choose_threshold(rule, scores)
    info(str(chosen))
    return chosen.value


def _write_plot(plot: bytes, options: FindingOptions) -> None:
    output = options.results.output
    if output is not None:
        with atomic_files.atomic_write(output) as file:
            file.write(plot)
        info(f"plot written to {printable(output)}")
    if options.results.show:
        drawing.show(images.decode_image(plot))
