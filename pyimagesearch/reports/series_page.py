"""The page of a series: a plot of it, and a table of its anomalous ranges."""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence

from pyimagesearch.labelling.series import Range
from pyimagesearch.labelling.verdict import ANOMALY
from pyimagesearch.reports.html_page import MAX_LISTED
from pyimagesearch.reports.page_template import write_page
from pyimagesearch.reports.report_folder import INDEX, is_folder
from pyimagesearch.runtime import atomic_files
from pyimagesearch.runtime.console import printable


def write_series_page(
    path: str,
    model: str,
    threshold: float,
    ranges: Sequence[Range],
    counts: dict[str, int],
    plot: bytes,
) -> None:
    """Write the page of a series.

    Args:
        path: a file, or a folder; ``report_folder.check``ed.
        model: file, as the user named it.
        threshold: above which a row is an anomaly.
        ranges: the highest score first; also those below the threshold that are to be shown.
        counts: of ``rows`` that were judged and of ``unreadable`` ones.
        plot: PNG of the series with its ranges.
    """
    created = atomic_files.make_folders(path) if is_folder(path) else []
    try:
        write_page(
            os.path.join(path, INDEX) if is_folder(path) else path,
            "series.html",
            model=printable(os.path.basename(model)),
            threshold=threshold,
            ranges=ranges[:MAX_LISTED],
            n_ranges=sum(one.label == ANOMALY for one in ranges),
            counts=counts,
            plot=f"data:image/png;base64,{base64.b64encode(plot).decode()}",
            slot=None,
        )
    except BaseException:
        atomic_files.remove_empty(created)
        raise
