"""Claims about how a stretch of a series is said to differ from what is known."""

import numpy as np
import pytest

from pyimagesearch.detectors.series.nearest_window import NearestWindowDetector
from pyimagesearch.labelling.series_differences import compare

PERIOD, NAMES = 24, ("load", "heat", "flow")


def days(n_days, seed=0, n_columns=3):
    rng = np.random.default_rng(seed)
    phase = np.arange(n_days * PERIOD)[:, None] / PERIOD + np.arange(n_columns) / 5
    scale = np.array([1.0, 50.0, 0.01])[:n_columns]
    return scale * (np.sin(2 * np.pi * phase) + 0.05 * rng.standard_normal(phase.shape))


@pytest.fixture(scope="module")
def detector():
    return NearestWindowDetector.fit(days(60))


def compared(detector, values, first, last, own_start=None):
    return compare(detector, values, (first, last), own_start, NAMES, str)


@pytest.mark.parametrize(("change", "word"), [(80, "higher"), (-80, "lower")])
def test_the_column_that_changed_is_named_with_how_and_when(detector, change, word):
    values = days(20, seed=1)
    values[250:260, 1] += change
    found = compared(detector, values, 240, 270)
    expected = f"'heat' {word} than the nearest known stretch, most from 250 to 259"
    assert found.difference == expected


def test_known_rows_are_as_the_range_would_be_without_its_anomaly(detector):
    values = days(20, seed=1)
    normal = values.copy()
    values[250:260, 1] += 80
    found = compared(detector, values, 245, 265)
    rows = slice(found.first, found.first + len(found.known))
    assert rows.start <= 245
    assert rows.stop > 265
    deviation = normal.std(axis=0)
    assert (np.abs(found.known - normal[rows]) < 0.4 * deviation).all()


def test_all_columns_that_differ_much_are_named_up_to_three(detector):
    values = days(20, seed=1)
    values[250:260] -= [2.0, 100.0, 0.02]
    parts = compared(detector, values, 250, 259).difference.split("; ")
    assert sorted(part.split(" lower")[0] for part in parts) == ["'flow'", "'heat'", "'load'"]


def test_a_range_longer_than_a_window_is_compared_to_its_end(detector):
    values = days(40, seed=1)
    values[100:500, 0] = 0
    found = compared(detector, values, 100, 499)
    assert found.first <= 100
    assert found.first + len(found.known) > 499
    assert "'load' partly higher and partly lower than" in found.difference


def test_what_was_learned_is_not_compared_with_itself(detector):
    known = days(60)
    found = compared(detector, known, 700, 710, own_start=0)
    rows = slice(found.first, found.first + len(found.known))
    assert (np.abs(found.known - known[rows]).max(axis=0) > 0).all()


def test_what_hardly_differs_is_not_called_higher_or_lower(detector):
    found = compared(detector, days(20, seed=1), 250, 259)
    assert found.difference.startswith("no column is far from its nearest known stretch")
    one = NearestWindowDetector.fit(days(60, n_columns=1))
    alone = compare(one, days(20, 1, n_columns=1), (250, 259), None, ["load"], str)
    assert alone.difference == "at no row far from the nearest known stretch"


def test_a_column_that_was_constant_differs_from_its_only_value():
    known, values = days(60, n_columns=2), days(20, 1, n_columns=2)
    known[:, 1] = values[:, 1] = 7.0
    values[250:260, 1] = 9.0
    detector = NearestWindowDetector.fit(known)
    found = compare(detector, values, (250, 259), None, NAMES[:2], str)
    assert found.difference.startswith("'heat' higher than the nearest known stretch")
    np.testing.assert_allclose(found.known[:, 1], 7.0)
