"""The page of many series: a small plot of each, the strangest first, and large ones of those."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pyimagesearch.labelling.many_series import JudgedSeries
from pyimagesearch.labelling.series import Range
from pyimagesearch.reports.page_template import write_page
from pyimagesearch.reports.report_folder import INDEX, is_folder
from pyimagesearch.reports.series_sketch import Panel, Sketch, marks
from pyimagesearch.runtime import atomic_files, system
from pyimagesearch.runtime.console import printable

MAX_LISTED = 2_000  # series with a small plot
MAX_LARGE = 50  # and with large ones
MAX_RANGES = 20  # of a series
MAX_UNREADABLE = 1_000


@dataclass(frozen=True)
class _Line:
    """A plot as the template draws it."""

    title: str
    sketch: Sketch
    marks: list[tuple[float, float, bool]]


@dataclass(frozen=True)
class _Card:
    """A series as the template shows it."""

    name: str
    series: JudgedSeries
    small: _Line | None
    large: list[_Line]
    ranges: Sequence[Range]


def write_page_of_many(
    path: str,
    model: str,
    judged: Sequence[JudgedSeries],
    draw: Callable[[tuple[str, ...]], Iterable[Sequence[Panel]]],
) -> None:
    """Write the page of many series.

    Args:
        path: a file, or a folder; ``report_folder.check``ed.
        model: file or folder, as the user named it.
        judged: all of them, with their sketches.
        draw: makes the large plots of some series, by their names.

    Raises:
        OSError: it cannot be written.
    """
    readable = sorted((one for one in judged if one.problem is None), key=lambda one: one.rank)
    listed = readable[:MAX_LISTED]
    panels = draw(tuple(one.name for one in listed[:MAX_LARGE]))
    large = [*panels, *([()] * max(len(listed) - MAX_LARGE, 0))]
    unreadable = [one for one in judged if one.problem is not None]
    counts = {
        "series": len(readable),
        "anomalous": sum(bool(one.found) for one in readable),
        "ranges": sum(len(one.found) for one in readable),
        "unreadable": len(unreadable),
    }
    created = atomic_files.make_folders(path) if is_folder(path) else []
    try:
        write_page(
            os.path.join(path, INDEX) if is_folder(path) else path,
            "many_series.html",
            model=printable(os.path.basename(model.rstrip(system.SEPARATORS))),
            counts=counts,
            cards=(_card(one, own) for one, own in zip(listed, large, strict=True)),
            n_large=min(len(listed), MAX_LARGE),
            n_listed=len(listed),
            max_ranges=MAX_RANGES,
            unreadable=[
                (printable(one.name), printable(one.problem)) for one in unreadable[:MAX_UNREADABLE]
            ],
            slot=None,
        )
    except BaseException:
        atomic_files.remove_empty(created)
        raise


def _card(one: JudgedSeries, panels: Sequence[Panel]) -> _Card:
    def line(title: str, sketch: Sketch) -> _Line:
        return _Line(title, sketch, marks(sketch, one.ranges))

    small = None if one.sketch is None else line("", Sketch.from_json(one.sketch))
    large = [line(panel.title, panel.sketch) for panel in panels]
    return _Card(printable(one.name), one, small, large, one.ranges[:MAX_RANGES])
