"""The score of the Numenta Anomaly Benchmark: early alarms in label windows, few outside.

Lavin and Ahmad, Evaluating Real-time Anomaly Detection Algorithms - the Numenta Anomaly Benchmark,
ICMLA 2015, section II; where the paper and the benchmark's own program differ, this follows the
program, which the published scores come from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pyimagesearch.metrics.arguments import as_scores


@dataclass(frozen=True)
class Profile:
    """The weights of hits, misses and false alarms.

    Attributes:
        hit: gained with an alarm at the very start of a window.
        miss: lost with a window without an alarm.
        false_alarm: lost with an alarm far from any window.
    """

    hit: float
    miss: float
    false_alarm: float


NAB_PROFILES = {
    "standard": Profile(1.0, 1.0, 0.11),
    "reward_low_FP_rate": Profile(1.0, 1.0, 0.22),
    "reward_low_FN_rate": Profile(1.0, 2.0, 0.11),
}
_PROBATION_SHARE = 0.15
_PROBATION_LIMIT = 750  # rows
_NO_WINDOW = -1


@dataclass(frozen=True)
class NabFile:
    """What an alarm is worth at each row of one file.

    Attributes:
        window: (n_rows,) int64, the number of the label window that holds the row, or -1.
        value: (n_rows,) float64, -1 to 1: positive in windows, falling from their start; negative
            outside, least so right after a window.
        probation: number of rows at the start that do not count.
    """

    window: np.ndarray
    value: np.ndarray
    probation: int


def nab_file(n_rows: int, windows: Sequence[tuple[int, int]]) -> NabFile:
    """Compute the value of an alarm at each row of one file.

    Args:
        n_rows: of the file.
        windows: first and last row of each label window, both included, in ascending order.

    Raises:
        ValueError: windows that overlap, are not in order, or lie outside the file.
    """
    bounds = [-1, *(row for window in windows for row in window), n_rows]
    starts, ends = bounds[1:-1:2], bounds[2:-1:2]
    in_order = all(end < start for end, start in zip(bounds[::2], bounds[1::2], strict=True))
    if not in_order or any(start > end for start, end in zip(starts, ends, strict=True)):
        raise ValueError(f"label windows must follow each other within {n_rows} rows: {windows}")
    window = np.full(n_rows, _NO_WINDOW)
    value = np.full(n_rows, -1.0)
    for number, (first, last) in enumerate(windows):
        width = last - first + 1
        inside = np.arange(first, last + 1)
        window[inside] = number
        value[inside] = _sigmoid((inside - last - 1) / width) / _sigmoid(np.array(-1.0))
        after = np.arange(last + 1, bounds[2 * number + 3])
        # The program divides by the width less one, and not at all where a window is one row.
        value[after] = _sigmoid((after - last) / max(width - 1, 1))
    return NabFile(window, value, min(int(_PROBATION_SHARE * n_rows), _PROBATION_LIMIT))


def nab_curve(
    files: Mapping[str, NabFile], scores: Mapping[str, ArrayLike], profile: str = "standard"
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the NAB score of a set of files at every threshold that makes a difference.

    Windows that lie wholly in probation do not count.

    Args:
        files: by name, from ``nab_file``.
        scores: by the same names, (n_rows,) each; higher is more anomalous.
        profile: one of ``NAB_PROFILES``.

    Returns:
        thresholds: (n,) float64, descending from infinity; scores above them are alarms.
        nab: (n,) float64, where 0 is for the detector that never gives an alarm and 100 for the
            perfect one; nan where no window counts.

    Raises:
        ValueError: an unknown profile, names or lengths that differ, or a score that is not finite.
    """
    if profile not in NAB_PROFILES:
        raise ValueError(f"NAB profile {profile!r} is not one of {', '.join(NAB_PROFILES)}")
    weights = NAB_PROFILES[profile]
    score, value, window = _counting_rows(files, scores)
    order = np.argsort(-score, kind="stable")
    score, value, window = score[order], value[order], window[order]
    gain = value * weights.false_alarm
    inside = np.flatnonzero(window != _NO_WINDOW)
    inside = inside[np.argsort(window[inside], kind="stable")]
    _, starts = np.unique(window[inside], return_index=True)
    for rows in np.split(inside, starts[1:]):
        # Of the alarms in a window only the best counts: what each adds to those before.
        best = np.maximum.accumulate(value[rows] * weights.hit)
        gain[rows] = np.diff(best, prepend=-weights.miss)
    last = np.flatnonzero(np.append(score[1:] != score[:-1], len(score) > 0))
    thresholds = np.concatenate([[np.inf], np.nextafter(score[last], -np.inf)])
    total = np.concatenate([[0.0], np.cumsum(gain)[last]])
    perfect = (weights.hit + weights.miss) * len(starts)
    return thresholds, 100 * total / perfect if perfect else np.full(len(total), np.nan)


def nab_threshold(
    files: Mapping[str, NabFile], scores: Mapping[str, ArrayLike], profile: str = "standard"
) -> float:
    """Find the one threshold that gives a set of files the best NAB score.

    Found on one set of files, it can be used for the score of another (``nab_score``), unlike NAB's
    own scores, whose threshold is the best for the very files that are scored.

    Args:
        files: by name, from ``nab_file``.
        scores: by the same names, (n_rows,) each.
        profile: one of ``NAB_PROFILES``.

    Returns:
        The threshold above which scores are alarms; of equally good ones the highest; infinity
        where no alarm at all is best.

    Raises:
        ValueError: no window counts, and as of ``nab_curve``.
    """
    thresholds, values = nab_curve(files, scores, profile)
    if np.isnan(values[0]):
        raise ValueError("without a label window after probation no NAB threshold is best")
    return float(thresholds[np.argmax(values)])


def nab_score(
    files: Mapping[str, NabFile],
    scores: Mapping[str, ArrayLike],
    profile: str = "standard",
    threshold: float | None = None,
) -> float:
    """Compute the NAB score of a set of files.

    Args:
        files: by name, from ``nab_file``.
        scores: by the same names, (n_rows,) each; higher is more anomalous.
        profile: one of ``NAB_PROFILES``.
        threshold: scores above it are alarms; None uses the best for these files, as NAB does.

    Returns:
        At most 100; 0 is for the detector that never gives an alarm; nan where no window counts.

    Raises:
        ValueError: a threshold that is nan, and as of ``nab_curve``.
    """
    thresholds, values = nab_curve(files, scores, profile)
    if threshold is None:
        return float(values.max())
    if np.isnan(threshold):
        raise ValueError("a NAB threshold must be a number, not nan")
    return float(values[np.searchsorted(-thresholds, -threshold, "right") - 1])


def _counting_rows(
    files: Mapping[str, NabFile], scores: Mapping[str, ArrayLike]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Score, value and window of the rows after probation; windows are numbered over all files."""
    if files.keys() != scores.keys():
        odd = sorted(files.keys() ^ scores.keys())
        raise ValueError(f"files and scores must have the same names; only one has {odd[0]!r}")
    columns: list[list[np.ndarray]] = [[np.zeros(0)], [np.zeros(0)], [np.zeros(0, np.int64)]]
    n_windows = 0
    for name, file in files.items():
        values = as_scores(scores[name], f"scores of {name}")
        if len(values) != len(file.window):
            raise ValueError(f"{name}: {len(values)} scores for {len(file.window)} rows")
        window = file.window[file.probation :]
        numbered = np.where(window == _NO_WINDOW, _NO_WINDOW, window + n_windows)
        for column, added in zip(
            columns, (values[file.probation :], file.value[file.probation :], numbered), strict=True
        ):
            column.append(added)
        n_windows += int(file.window.max(initial=_NO_WINDOW)) + 1
    score, value, window = map(np.concatenate, columns)
    return score, value, window


def _sigmoid(position: np.ndarray) -> np.ndarray:
    """Equation 1: 0 at the end of a window, where its length is the unit; -1 from 3 on."""
    return np.where(position >= 3, -1.0, 2 / (1 + np.exp(5 * np.minimum(position, 3.0))) - 1)
