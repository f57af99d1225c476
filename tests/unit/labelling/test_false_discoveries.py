"""Claims about false-discovery rates: the oracle's verdicts, the promise, and the words."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from pyimagesearch.labelling import thresholds
from pyimagesearch.labelling.false_discoveries import FalseDiscoveries, fewest_discoveries
from pyimagesearch.labelling.thresholds import ThresholdRule

# With many ties, as of rounded scores.
scores = st.lists(st.integers(0, 20).map(float), min_size=1, max_size=60)


@given(scores, scores, st.floats(0.02, 0.98))
def test_anomalies_are_those_of_benjamini_and_hochberg(calibration, batch, rate):
    calibration, batch = np.array(calibration), np.array(batch)
    if rate < thresholds.best_rate(len(calibration)):
        with pytest.raises(thresholds.RateError):
            thresholds.score_for_discovery_rate(calibration, batch, rate)
        return
    limit = thresholds.score_for_discovery_rate(calibration, batch, rate)
    adjusted = false_discovery_control(thresholds.p_values(batch, calibration))
    assert ((batch > limit) == (adjusted <= rate * (1 + 1e-9))).all()


@pytest.mark.parametrize("share", [0.01, 0.05, 0.2])
@pytest.mark.parametrize("rate", [0.05, 0.1])
def test_of_what_is_found_no_more_is_normal_than_was_promised(share, rate):
    rng = np.random.default_rng(0)
    n_anomalies = round(300 * share)
    proportions, n_found = [], 0
    for _ in range(500):
        calibration, batch = rng.normal(size=5_999), rng.normal(size=300)
        batch[:n_anomalies] += 4
        rule = ThresholdRule(thresholds.FALSE_DISCOVERY_RATE, rate)
        found = batch > rule.choose(calibration, batch).value
        proportions.append(found[n_anomalies:].sum() / max(found.sum(), 1))
        n_found += found[:n_anomalies].sum()
    error = np.std(proportions) / np.sqrt(len(proportions))
    assert np.mean(proportions) < rate + 2 * error
    # Nor is it kept by finding nothing.
    assert n_found > 500 * n_anomalies / 3


def test_a_lone_anomaly_takes_as_many_calibration_items_as_the_limit_says():
    batch = np.append(np.zeros(49), 9.0)
    for n, is_found in ((498, False), (499, True)):
        limit = thresholds.score_for_discovery_rate(np.linspace(0, 1, n), batch, 0.1)
        assert (batch > limit).sum() == is_found
        assert (fewest_discoveries(0.1, n, 50) == 1) == is_found
    assert FalseDiscoveries(0.1, 499, 50, 1).limit is None
    assert "at least 2 stand out together; 1 more would" in FalseDiscoveries(0.1, 498, 50, 0).limit


def test_just_enough_items_that_stand_out_together_are_found():
    calibration = np.linspace(0, 1, 99)
    fewest = fewest_discoveries(0.1, 99, 300)
    for n_odd in (fewest - 1, fewest):
        batch = np.append(np.zeros(300 - n_odd), np.full(n_odd, 9.0))
        limit = thresholds.score_for_discovery_rate(calibration, batch, 0.1)
        assert (batch > limit).sum() == (n_odd if n_odd == fewest else 0)


@pytest.mark.parametrize(
    ("n_found", "sentence"),
    [
        (0, "no image stands out enough for a false-discovery rate of 0.1"),
        (3, "of images that are called anomalies so, at most 10% are expected to be normal"),
        (12, "of these 12, about 1 is expected to be normal"),
        (34, "of these 34, about 3 are expected to be normal"),
        (43_210, "of these 43,210, about 4,321 are expected to be normal"),
    ],
)
def test_what_is_expected_is_said_in_words(n_found, sentence):
    assert FalseDiscoveries(0.1, 9_999, 50_000, n_found).expectation == sentence
