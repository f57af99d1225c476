"""Claims about the regression that sees whether the columns of a series go together."""

import numpy as np
import pytest

from pyimagesearch.detectors.series.lagged_ridge import LAGS, LaggedRidge
from pyimagesearch.detectors.series.nearest_window import NearestWindowDetector


def machine(n_rows, seed, stuck=()):
    """A switch that is turned at random moments, and two columns that follow it, soon and late.

    Where ``stuck``, the second of them turns the wrong way: it looks as ever, but for the others.
    """
    rng = np.random.default_rng(seed)
    turns = np.cumsum(rng.integers(15, 60, n_rows // 15))
    switch = np.searchsorted(turns, np.arange(n_rows), side="right") % 2
    soon, late = np.roll(switch, 1), np.roll(switch, 3)
    late[list(stuck)] = 1 - late[list(stuck)]
    return np.column_stack([switch, soon, late]) + 0.02 * rng.standard_normal((n_rows, 3))


def standardised(values):
    return ((values - values.mean(axis=0)) / values.std(axis=0)).astype(np.float32)


def expected_scores(known, scaled, reach, own_start):
    """The same, slowly: rows one at a time, scikit-learn's ridge regression."""
    linear = pytest.importorskip("sklearn.linear_model")

    def terms(values):
        return [np.concatenate([values[i - lag] for lag in LAGS]) for i in range(8, len(values))]

    known, values = (np.clip(some, -5, 5).astype(float) for some in (known, scaled))
    n_fitted = int(0.75 * len(known))
    # The constant, too, is drawn to 0: it is a term like the others.
    ridge = linear.Ridge(alpha=10, fit_intercept=False)

    def with_one(values):
        return np.column_stack([terms(values), np.ones(len(values) - 8)])

    ridge.fit(with_one(known[:n_fitted]), known[8:n_fitted])

    def residuals(values):
        return np.concatenate(
            [np.zeros((8, values.shape[1])), values[8:] - ridge.predict(with_one(values))]
        )

    of_known = residuals(known)
    deviations = of_known[8:n_fitted].std(axis=0), of_known[n_fitted:].std(axis=0)

    def scores(values, start):
        strangest = []
        for i, residual in enumerate(np.abs(residuals(values))):
            fitted = start is not None and start + i < n_fitted
            strange = np.minimum(residual / deviations[0 if fitted else 1], 50)
            strangest.append(np.sort(strange)[-int(np.ceil(0.2 * len(strange))) :].mean())
        return np.array(
            [np.mean(strangest[max(i - reach, 0) : i + reach + 1]) for i in range(len(strangest))]
        )

    own = scores(known, 0)[8:]
    weight = 0.5 * min(1, 1.3 * np.median(own) / np.quantile(own, 0.999)) ** 2
    mean = weight * scores(values, own_start) / (np.quantile(own, 0.99) / 2)
    near = max(reach - 8, 0)
    least = [min(mean[max(i - near, 0) : i + near + 1]) for i in range(len(mean))]
    return mean, least


@pytest.mark.parametrize("own_start", [None, 0])
def test_scores_equal_a_regression_row_by_row(own_start):
    known = standardised(machine(600, seed=0))
    scaled = known if own_start == 0 else standardised(machine(300, seed=1))
    found = LaggedRidge.fit(known, 12).scores(scaled, own_start)
    np.testing.assert_allclose(found, expected_scores(known, scaled, 12, own_start), rtol=1e-6)


def test_columns_that_no_longer_go_together_stand_out_though_each_looks_as_ever():
    detector = NearestWindowDetector.fit(machine(4_000, seed=0))
    stuck = range(2_000, 2_090)
    values = machine(4_000, seed=1, stuck=stuck)
    elsewhere = np.ones(len(values), bool)
    elsewhere[1_850:2_240] = False
    scores, _ = detector.score_rows(values)
    assert np.median(scores[list(stuck)]) > scores[elsewhere].max()


def test_one_column_too_few_rows_or_residuals_that_say_nothing_have_no_regression():
    known = standardised(machine(600, seed=0))
    assert LaggedRidge.fit(known[:, :1], 7) is None
    assert LaggedRidge.fit(known[:40], 7) is None
    assert LaggedRidge.fit(np.zeros((600, 3), np.float32), 7) is None
    assert LaggedRidge.fit(np.zeros((600, 201), np.float32), 7) is None


def test_it_is_the_same_from_a_model_file():
    known = standardised(machine(600, seed=0))
    ridge = LaggedRidge.fit(known, 7)
    again = LaggedRidge.restore(ridge.parameters(), ridge.arrays(), 3)
    np.testing.assert_array_equal(again.scores(known, 0), ridge.scores(known, 0))


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        ("unit", lambda _: 0, "unit is 0"),
        ("reach", lambda _: -1, "reach"),
        ("coefficients", lambda array: array[:-1], "'coefficients' is not"),
        ("deviations", lambda array: array * 0, "not positive"),
        ("deviations", lambda _: None, "no array 'deviations'"),
    ],
)
def test_a_model_file_with_another_regression_is_refused(name, change, sentence):
    ridge = LaggedRidge.fit(standardised(machine(600, seed=0)), 7)
    parameters, arrays = ridge.parameters(), ridge.arrays()
    changed = parameters if name in parameters else arrays
    changed[name] = change(changed[name])
    with pytest.raises(ValueError, match=sentence):
        LaggedRidge.restore(parameters, arrays, 3)
