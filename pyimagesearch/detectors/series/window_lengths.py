"""How long the windows are that a series is cut into: of its rhythm."""

from __future__ import annotations

import math

import numpy as np

from pyimagesearch.detectors.series.window_bank import Scale

LEAST_WINDOW = 8
WINDOWS_IN_SERIES = 4  # so many longest windows, at least, make a series
_PERIODS = 2  # in the longest window
_SHARES = (4, 2, 1)  # the windows' lengths are the longest divided by these
_MOST_VALUES = 800  # of the longest window in all columns: of many columns, few rows are enough
_LEAST_OF_MANY = 20  # rows, however many columns there are
_PERIOD_ROWS = 20_000
_SHORTEST_PERIOD, _LONGEST_PERIOD = 4, 2_000
_USUAL_PERIOD = 125  # where the autocorrelation shows none


def estimate_period(column: np.ndarray) -> int:
    """Find the lag of the highest local maximum of the autocorrelation.

    Noise on a slow rhythm makes maxima at the shortest lags, where all is alike. Only those count
    that rise from the lowest value before them by half as much as any does.

    Args:
        column: (n_rows,) float64; its first 20,000 rows are used.

    Returns:
        The period in rows, at most an eighth of these; 125 where there is no maximum.
    """
    values = column[:_PERIOD_ROWS] - column[:_PERIOD_ROWS].mean()
    spectrum = np.fft.rfft(values, 1 << math.ceil(math.log2(2 * len(values))))
    correlation = np.fft.irfft(np.abs(spectrum) ** 2)
    correlation = correlation[: min(_LONGEST_PERIOD, len(values) // 8) + 2]
    inner = correlation[1:-1]
    peaks = 1 + np.flatnonzero((inner > correlation[:-2]) & (inner > correlation[2:]))
    peaks = peaks[peaks >= _SHORTEST_PERIOD]
    if not len(peaks):
        return _USUAL_PERIOD
    rises = (correlation - np.minimum.accumulate(correlation))[peaks]
    peaks = peaks[rises >= rises.max() / 2]
    return int(peaks[np.argmax(correlation[peaks])])


def scales(window: int) -> list[Scale]:
    """The scales of a detector whose longest windows have about so many rows, shortest first."""
    longest = Scale.from_rows(window).window
    lengths = [max(longest // share, LEAST_WINDOW) for share in _SHARES]
    return [Scale.from_rows(rows) for rows in dict.fromkeys(lengths)]


def checked_time_steps(n_rows: int, time_steps: int | None) -> int:
    """Rows of the longest windows, the least possible ones for None.

    Raises:
        ValueError: windows that are too short, or a series that is too short for them.
    """
    if time_steps is not None and time_steps < LEAST_WINDOW:
        raise ValueError(f"windows of {time_steps} rows are too short: it takes {LEAST_WINDOW}")
    window = LEAST_WINDOW if time_steps is None else Scale.from_rows(time_steps).window
    if n_rows < WINDOWS_IN_SERIES * window:
        raise ValueError(
            f"{n_rows:,} rows are too few for windows of {window:,}: it takes at least "
            f"{WINDOWS_IN_SERIES * window:,}"
        )
    return window


def default_time_steps(values: np.ndarray) -> int:
    """Two periods, or what the number of rows and columns allows."""
    n_rows, n_columns = values.shape
    periods = [estimate_period(column) for column in values.T]
    period = float(np.median(periods)) if periods else _USUAL_PERIOD
    of_columns = max(_MOST_VALUES // max(n_columns, 1), _LEAST_OF_MANY)
    longest = min(of_columns, n_rows // WINDOWS_IN_SERIES)
    # Less a twelfth, because a scale's windows may be that much longer than what was asked for.
    wanted = min(round(_PERIODS * period), longest * 11 // 12)
    return Scale.from_rows(max(wanted, LEAST_WINDOW)).window
