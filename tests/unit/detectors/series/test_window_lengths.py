"""Claims about the rhythm of a series, and the windows that follow from it."""

import numpy as np
import pytest

from pyimagesearch.detectors.series.window_lengths import estimate_period


def rhythm(n_rows, period, noise=0.3, seed=0):
    phase = np.arange(n_rows) / period
    return np.sin(2 * np.pi * phase) + noise * np.random.default_rng(seed).normal(size=n_rows)


@pytest.mark.parametrize("period", [7, 24, 168, 288, 1_000])
def test_the_period_is_found_in_noise(period):
    values = rhythm(12 * period + 200, period)
    assert estimate_period(values) == pytest.approx(period, abs=1 + period // 20)


def test_without_a_maximum_of_the_autocorrelation_there_is_a_usual_period():
    assert estimate_period(np.arange(1_000.0)) == 125
