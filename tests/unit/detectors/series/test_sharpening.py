"""A score as high as the mean over windows, and as narrow as the least of them."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pyimagesearch.detectors.series.sharpening import sharpened, sliding_maximum

scores = arrays.arrays(float, st.integers(1, 60), elements=st.floats(0, 100))


@given(scores, st.integers(0, 80))
def test_the_sliding_maximum_is_that_of_the_rows_within_reach(values, reach):
    expected = [values[max(i - reach, 0) : i + reach + 1].max() for i in range(len(values))]
    assert sliding_maximum(values, reach).tolist() == expected


@given(scores, st.data(), st.floats(0, 10), st.integers(1, 20))
def test_it_lies_between_the_least_and_the_mean(mean, data, usual, reach):
    share = data.draw(arrays.arrays(float, len(mean), elements=st.floats(0, 1)))
    least = share * mean
    found = sharpened(mean, least, usual, reach)
    assert (found >= least).all()
    assert (found <= mean).all()


def test_an_event_is_as_high_as_the_mean_and_as_narrow_as_the_least():
    rng = np.random.default_rng(0)
    least = 0.8 + 0.01 * rng.random(300)
    mean = 1 + 0.01 * rng.random(300)
    least[140:150] = 10.0
    mean[120:170] = np.concatenate([np.linspace(1, 20, 25), np.linspace(20, 1, 25)])
    found = sharpened(mean, least, 0.8, reach=40)
    np.testing.assert_allclose(found[140:150], mean[140:150])
    assert np.delete(found, np.arange(140, 150)).max() < 1.5
