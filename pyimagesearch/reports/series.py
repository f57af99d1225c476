"""The results for a series: ranges, rows with their verdicts, and a plot."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from pyimagesearch.data.series import Series
from pyimagesearch.labelling.series import Range, ScoredSeries
from pyimagesearch.labelling.verdict import ANOMALY, UNREADABLE
from pyimagesearch.reports.plots import (
    MOST_COLUMNS_DRAWN,
    column_label,
    figure_png,
    label_time_axis,
    new_figure,
)
from pyimagesearch.reports.rows import csv_cell, csv_line
from pyimagesearch.runtime.console import counted

if TYPE_CHECKING:  # takes a second to import
    from matplotlib.axes import Axes

_ROW_COLUMNS = ("score", "smoothed_score", "p_value", "label")
COLUMNS_OF_MANY = ("series", "time", *_ROW_COLUMNS)
_ROWS_AT_ONCE = 50_000
# A plot is some 1,000 pixels wide: of more rows, the lowest and the highest value of each pixel are
# drawn, so that no spike is lost.
_MOST_POINTS = 2_000
_RED, _AMBER, _BLUE, _PALE, _GREEN = "#c62828", "#ffb300", "#1565c0", "#90caf9", "#00897b"


def range_columns(has_label: bool = False) -> tuple[str, ...]:
    """The names of ``range_line``'s cells."""
    return ("start", "end", "peak", "score", "p_value", *(["label"] if has_label else []))


def range_line(found: Range, has_label: bool = False) -> str:
    """One line of CSV: start, end, peak, score, p_value, and its label if asked for."""
    times = map(csv_cell, (found.start, found.end, found.peak))
    label = [found.label] if has_label else []
    return csv_line((*times, f"{found.score:.6g}", f"{found.p_value:.6g}", *label))


def write_csv(file: BinaryIO, scored: ScoredSeries, threshold: float) -> None:
    """Write every row of the file in its order: its own columns, then the ``_ROW_COLUMNS``.

    Its own cells, and the names of its columns, stand there as ``rows.csv_cell`` has them.
    """
    table = scored.series.table
    names = (*map(csv_cell, table.columns), *_ROW_COLUMNS)
    file.write(csv_line(names).encode())
    for start, *numbers_of_rows, labels in _row_blocks(scored, threshold):
        own = table.iloc[start : start + len(labels)].to_numpy().tolist()
        for cells, *numbers, label in zip(own, *numbers_of_rows, labels, strict=True):
            shown = ("" if number != number else f"{number:.6g}" for number in numbers)
            file.write(csv_line((*map(csv_cell, cells), *shown, label)).encode())


def write_csv_of_many(file: BinaryIO, scored: ScoredSeries, threshold: float, name: str) -> None:
    """Write every row of one of many series: ``COLUMNS_OF_MANY``, without a header.

    Their files may have different columns, of which one table can have none.

    Args:
        file: open for writing.
        scored: the series.
        threshold: above which a row is an anomaly.
        name: of the series.
    """
    first, written = csv_cell(series_name(name)), scored.series.when_each()
    for start, *numbers_of_rows, labels in _row_blocks(scored, threshold):
        times = map(csv_cell, written[start : start + len(labels)])
        for time, *numbers, label in zip(times, *numbers_of_rows, labels, strict=True):
            shown = ("" if number != number else f"{number:.6g}" for number in numbers)
            file.write(csv_line((first, time, *shown, label)).encode())


def unreadable_csv_of_many(name: str) -> bytes:
    """The only row of a series that could not be judged."""
    cells = (csv_cell(series_name(name)), *[""] * (len(COLUMNS_OF_MANY) - 2), UNREADABLE)
    return csv_line(cells).encode()


def unreadable_json_of_many(name: str, reason: str) -> bytes:
    """The only line of JSON of a series that could not be judged."""
    return (json.dumps({"series": name, "label": UNREADABLE, "reason": reason}) + "\n").encode()


def series_name(name: str) -> str:
    """The name of one of many series as valid UTF-8."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def write_json(
    file: BinaryIO, scored: ScoredSeries, threshold: float, name: str | None = None
) -> None:
    """Write a line of JSON for every row of the file in its order; null where it has no score.

    Args:
        file: open for writing.
        scored: the series.
        threshold: above which a row is an anomaly.
        name: of the series, where there are many.
    """
    of_many = {} if name is None else {"series": name}
    written = scored.series.when_each()
    for start, *numbers_of_rows, labels in _row_blocks(scored, threshold):
        for index, (*numbers, label) in enumerate(zip(*numbers_of_rows, labels, strict=True)):
            fields = {
                **of_many,
                "row": start + index,
                "time": written[start + index],
                "label": str(label),
            }
            for name, number in zip(_ROW_COLUMNS, numbers, strict=False):
                fields[name] = None if np.isnan(number) else float(number)
            file.write((json.dumps(fields) + "\n").encode())


def _row_blocks(
    scored: ScoredSeries, threshold: float
) -> Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """The number of the first row of each block, and its rows' ``_ROW_COLUMNS``."""
    numbers = map(scored.by_file_row, (scored.scores, scored.smoothed, scored.p_values))
    columns = (*numbers, scored.labels(threshold))
    for start in range(0, len(columns[0]), _ROWS_AT_ONCE):
        yield start, *(column[start : start + _ROWS_AT_ONCE] for column in columns)


def plot_series(scored: ScoredSeries, found: list[Range], threshold: float) -> bytes:
    """Plot the series with ranges, and below it the score with the threshold, as PNG.

    Ranges below the threshold are marked apart. Of many columns the first few are drawn, each with
    its own axis.
    """
    names = scored.series.names[:MOST_COLUMNS_DRAWN]
    n_panels = len(names) + 1
    figure, panels = new_figure((11, 1.6 + 1.9 * n_panels), n_panels, sharex=True, squeeze=False)
    panels = panels[:, 0]
    at, axis_name = time_axis(scored.series, scored.row)
    for panel, name, values in zip(panels, names, scored.values.T, strict=False):
        _draw_line(panel, at, values, "#37474f")
        panel.set_ylabel(column_label(name), parse_math=False)
    _draw_known(panels[:-1], at, found)
    if scored.smoothed is not scored.scores:
        _draw_line(panels[-1], at, scored.smoothed, _PALE, "smoothed score")
    _draw_line(panels[-1], at, scored.scores, _BLUE, "score")
    label = f"threshold {threshold:.4g}"
    panels[-1].axhline(threshold, color=_RED, linestyle="--", linewidth=1, label=label)
    panels[-1].set_ylabel(f"score\n({scored.score_unit})" if scored.score_unit else "score")
    label_time_axis(panels[-1], at, axis_name)
    panels[-1].legend(loc="upper left", fontsize="small")
    least_width = (at[-1] - at[0]) / 400  # so that a single row can be seen
    for panel in panels:
        for one in found:
            first, last = (at[i] for i in one.rows)
            start, end = first - least_width / 2, last + least_width / 2
            colour = _RED if one.label == ANOMALY else _AMBER
            panel.axvspan(start, end, color=colour, alpha=0.3, linewidth=0)
        panel.margins(x=0.01)
    more = len(scored.series.names) - len(names)
    n_above = sum(one.label == ANOMALY for one in found)
    n_below = len(found) - n_above
    figure.suptitle(
        f"{counted(n_above, 'range')} above the threshold"
        + (f"; the {n_below} strangest below in yellow" if n_below else "")
        + (f" ({counted(more, 'more column')} not drawn)" if more > 0 else "")
    )
    return figure_png(figure)


def _draw_known(panels: Sequence[Axes], at: np.ndarray, found: list[Range]) -> None:
    """Draw, beneath the ranges, the nearest stretches that the model knows."""
    label = "nearest known stretch"
    for one in found:
        if one.comparison is None:
            continue
        first, known = one.comparison.first, one.comparison.known
        for number, panel in enumerate(panels):
            # Above the line of the values, dotted, so that both can be seen where they agree.
            panel.plot(
                at[first : first + len(known)],
                known[:, number],
                color=_GREEN,
                linewidth=0.8,
                linestyle=":",
                label=None if number else label,
            )
        label = None
    if label is None:
        panels[0].legend(loc="upper left", fontsize="small")


def time_axis(series: Series, row: np.ndarray) -> tuple[np.ndarray, str]:
    """Where on the axis of a plot the rows of a series lie, and what the axis is called.

    Args:
        series: as it stands in its file.
        row: (n,) int, the file's row of each; -1 where it was filled, as in ``Grid.row``.

    Returns:
        (n,) datetime64, or int where rows have no times; and the name.
    """
    if series.times is None:
        return np.arange(len(row)), "row"
    known = np.flatnonzero(row >= 0)
    nanoseconds = np.interp(np.arange(len(row)), known, series.times[row[known]].astype(float))
    # Of centuries, the difference is more nanoseconds than a number of them holds.
    return (nanoseconds / 1000).astype("datetime64[us]"), series.time_name or ""


def _draw_line(
    panel: Axes, at: np.ndarray, values: np.ndarray, colour: str, label: str | None = None
) -> None:
    kept = _outline(values)
    panel.plot(at[kept], values[kept], color=colour, linewidth=0.8, label=label)


def _outline(values: np.ndarray) -> np.ndarray:
    """The rows that are enough to draw a line: the lowest and the highest of each block."""
    size = -(-len(values) // _MOST_POINTS)
    blocks = np.pad(values, (0, -len(values) % size), constant_values=np.nan).reshape(-1, size)
    missing = np.isnan(blocks)
    inside = [
        np.where(missing, np.inf, blocks).argmin(axis=1),
        np.where(missing, -np.inf, blocks).argmax(axis=1),
        missing.argmax(axis=1),  # one missing row interrupts the line
    ]
    rows = np.unique(np.concatenate([np.arange(len(blocks)) * size + where for where in inside]))
    return rows[rows < len(values)]
