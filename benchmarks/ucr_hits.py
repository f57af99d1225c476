"""Whether the highest score of a series lies at its one anomaly."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from pyimagesearch.metrics.arguments import as_scores

LEAST_MARGIN = 100  # rows


def ucr_hit(scores: ArrayLike, first: int, last: int, train_end: int) -> bool:
    """Find whether the highest score of the test part lies at the one anomaly of a series.

    At means inside, or outside by at most its length or 100 rows, whichever is more. Wu and Keogh,
    Current Time Series Anomaly Detection Benchmarks are Flawed and are Creating the Illusion of
    Progress, TKDE 35 (2023), for the UCR archive.

    Args:
        scores: (n_rows,) of the whole series; of equal highest ones the first counts.
        first, last: the rows of the anomaly, both included.
        train_end: number of rows of the training part; their scores are ignored.

    Raises:
        ValueError: a score is not finite, or the rows are not in order.
    """
    values = as_scores(scores)
    if not 0 <= train_end <= first <= last < len(values):
        raise ValueError(
            f"an anomaly from row {first} to {last} does not lie in the test part, "
            f"which is rows {train_end} to {len(values) - 1}"
        )
    peak = train_end + int(np.argmax(values[train_end:]))
    margin = max(LEAST_MARGIN, last - first + 1)
    return first - margin <= peak <= last + margin
