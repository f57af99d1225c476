"""Synthetic series: a daily rhythm with a little noise, and variants with one anomaly.

Every series is a function of its variant and seed, with one value every five minutes and known
anomalous rows. The rhythm: quiet nights, a rise in the morning, a dip at noon.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np

ROWS_PER_DAY = 288
START = datetime(2024, 1, 1)
STEP = timedelta(minutes=5)
_QUIET, _BUSY = 20.0, 60.0
_NOISE = 1.2
_DAY_TO_DAY = 0.02
# The anomaly begins after this share of the series, so that the rows before can be trained on.
_WHEN = 0.7


def daily_rhythm(hours: np.ndarray) -> np.ndarray:
    """The value without noise at each hour of the day: (n,) float in [0, 24) -> (n,) float."""
    awake = _rise(hours - 8) * _rise(19 - hours)
    noon = np.exp(-(((hours - 12.5) / 0.9) ** 2))
    return _QUIET + _BUSY * awake * (1 - 0.25 * noon)


def _rise(hours: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-2.5 * hours))


def make_series(
    variant: str = "normal", days: int = 14, seed: int = 42
) -> tuple[list[datetime], np.ndarray, np.ndarray]:
    """Make a series.

    Args:
        variant: one of ``VARIANTS``.
        days: length of the series.
        seed: of the noise; series of different seeds have the same rhythm.

    Returns:
        The times; (n_rows,) float64, the values; and (n_rows,) bool, which of them are anomalous.

    Raises:
        ValueError: an unknown variant.
    """
    if variant not in VARIANTS:
        raise ValueError(f"unknown variant {variant!r}: choose from {', '.join(VARIANTS)}")
    rng = np.random.default_rng([seed, int.from_bytes(variant.encode(), "big")])
    n_rows = days * ROWS_PER_DAY
    hours = np.arange(n_rows) / ROWS_PER_DAY * 24
    day_size = np.repeat(1 + _DAY_TO_DAY * rng.standard_normal(days), ROWS_PER_DAY)
    clean = _QUIET + (daily_rhythm(hours % 24) - _QUIET) * day_size
    wrong = np.zeros(n_rows, bool)
    noon = (int(_WHEN * days) * 24 + 12) * ROWS_PER_DAY // 24
    values = VARIANTS[variant](clean, wrong, noon, rng) + _NOISE * rng.standard_normal(n_rows)
    if variant == "flat":  # a stuck sensor has no noise
        values[wrong] = values[wrong][0]
    return [START + i * STEP for i in range(n_rows)], values, wrong


_Change = Callable[[np.ndarray, np.ndarray, int, np.random.Generator], np.ndarray]


def _normal(values: np.ndarray, _wrong: np.ndarray, _noon: int, _rng: object) -> np.ndarray:
    return values


def _jump(values: np.ndarray, wrong: np.ndarray, noon: int, _rng: object) -> np.ndarray:
    """Five hours at nearly twice the usual height."""
    rows = slice(noon - 24, noon + 36)
    wrong[rows] = True
    values[rows] += _BUSY
    return values


def _missing(values: np.ndarray, wrong: np.ndarray, noon: int, _rng: object) -> np.ndarray:
    """A day on which nobody comes."""
    rows = slice(noon - 60, noon + 96)
    wrong[rows] = True
    values[rows] = _QUIET
    return values


def _flat(values: np.ndarray, wrong: np.ndarray, noon: int, _rng: object) -> np.ndarray:
    """Six hours at exactly one value in the middle of the day."""
    rows = slice(noon - 36, noon + 36)
    wrong[rows] = True
    return values


def _spikes(
    values: np.ndarray, wrong: np.ndarray, noon: int, rng: np.random.Generator
) -> np.ndarray:
    """Three single rows far off, at night."""
    rows = noon - 144 + rng.choice(72, 3, replace=False)
    wrong[rows] = True
    values[rows] += 0.6 * _BUSY
    return values


def _shift(values: np.ndarray, wrong: np.ndarray, noon: int, _rng: object) -> np.ndarray:
    """From one row on for two days, all is higher by a fifth of the height."""
    rows = slice(noon, noon + 2 * ROWS_PER_DAY)
    wrong[rows] = True
    values[rows] += _BUSY / 5
    return values


def _frequency(values: np.ndarray, wrong: np.ndarray, noon: int, _rng: object) -> np.ndarray:
    """A day that goes through its rhythm three times."""
    rows = slice(noon - 144, noon + 144)
    wrong[rows] = True
    values[rows] = daily_rhythm(np.arange(ROWS_PER_DAY) / ROWS_PER_DAY * 24 * 3 % 24)
    return values


def _drift(values: np.ndarray, wrong: np.ndarray, noon: int, _rng: object) -> np.ndarray:
    """A slow rise over three days, by four fifths of the height in the end."""
    rows = slice(noon, min(noon + 3 * ROWS_PER_DAY, len(values)))
    wrong[rows] = True
    n_rows = rows.stop - rows.start
    values[rows] += 0.8 * _BUSY * np.arange(n_rows) / n_rows
    return values


VARIANTS: dict[str, _Change] = {
    "normal": _normal,
    "jump": _jump,
    "missing": _missing,
    "flat": _flat,
    "spikes": _spikes,
    "shift": _shift,
    "frequency": _frequency,
    "drift": _drift,
}
