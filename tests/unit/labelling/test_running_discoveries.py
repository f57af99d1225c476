"""Claims about false discoveries of a stream: the oracle's verdicts at each moment, the promise."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from pyimagesearch.labelling import thresholds
from pyimagesearch.labelling.running_discoveries import (
    RunningDiscoveries,
    loosest_threshold,
    share_needed,
)

# With many ties, as of rounded scores.
scores = st.lists(st.integers(0, 20).map(float), min_size=1, max_size=60)


def called(
    rate: float, calibration: np.ndarray, stream: np.ndarray, extrapolates: bool = False
) -> np.ndarray:
    """Which items of a stream are called anomalies."""
    running = RunningDiscoveries(rate, calibration, extrapolates=extrapolates)
    find = thresholds.extrapolated_p_values if extrapolates else thresholds.p_values
    p_values = find(stream, calibration)
    pairs = zip(stream, p_values, strict=True)
    return np.array([score > running.add(score, p_value) for score, p_value in pairs])


@given(scores, scores, st.floats(0.02, 0.98))
def test_an_item_is_an_anomaly_where_benjamini_and_hochberg_say_so_of_all_so_far(
    calibration, stream, rate
):
    calibration, stream = np.array(calibration), np.array(stream)
    assume(rate >= thresholds.best_rate(len(calibration)))
    found = called(rate, calibration, stream)
    least = int(rate * (len(calibration) + 1) + 1e-9) + 1
    for n in range(1, len(stream) + 1):
        p_values = thresholds.p_values(stream[:n], calibration)
        p_values = np.append(p_values, np.ones(max(0, least - n)))  # as if so many were normal
        expected = false_discovery_control(p_values)[n - 1] <= rate * (1 + 1e-9)
        assert found[n - 1] == expected
    assert not (found & (stream <= loosest_threshold(rate, calibration))).any()


@pytest.mark.parametrize("share", [0, 0.02, 0.2])
@pytest.mark.parametrize("rate", [0.05, 0.2])
def test_of_what_was_ever_called_an_anomaly_no_more_is_normal_than_was_promised(share, rate):
    rng = np.random.default_rng(0)
    proportions, n_found, n_anomalies = [], 0, 0
    for _ in range(40):
        calibration, stream = rng.normal(size=1_999), rng.normal(size=800)
        is_anomaly = rng.random(800) < share
        stream[is_anomaly] += 4
        found = called(rate, calibration, stream)
        proportions.append((found & ~is_anomaly).sum() / max(found.sum(), 1))
        n_found += (found & is_anomaly).sum()
        n_anomalies += is_anomaly.sum()
    error = np.std(proportions) / np.sqrt(len(proportions))
    assert np.mean(proportions) <= rate + 2 * error
    # Nor is it kept by finding nothing.
    assert n_found >= n_anomalies / 3


def test_a_stream_goes_on_from_how_often_each_p_value_was_there():
    rng = np.random.default_rng(0)
    calibration, stream = rng.normal(size=99), rng.normal(0.5, 1, 400)
    expected = called(0.1, calibration, stream)
    p_values = thresholds.p_values(stream, calibration)
    values, counts = np.unique(np.round(p_values[:250], 6), return_counts=True)
    running = RunningDiscoveries(0.1, calibration, dict(zip(values, counts, strict=True)))
    assert running.n_items == 250
    rest = zip(stream[250:], p_values[250:], strict=True)
    assert [score > running.add(score, p) for score, p in rest] == expected[250:].tolist()


def test_anomalies_must_be_as_frequent_as_the_share_that_is_told():
    calibration = np.linspace(0, 1, 99)
    share = share_needed(0.1, 99)
    for excess, is_found in ((0.9, False), (1.1, True)):
        every = round(1 / (share * excess))
        stream = np.where(np.arange(2_000) % every == 0, 9.0, 0.0)
        assert called(0.1, calibration, stream)[1_000:].any() == is_found


def test_with_estimates_rare_anomalies_far_out_are_found_from_few_calibration_items():
    rng = np.random.default_rng(0)
    calibration, stream = np.exp(rng.normal(size=49) / 4), np.exp(rng.normal(size=2_000) / 4)
    is_anomaly = rng.random(2_000) < 0.02
    stream[is_anomaly] *= 30
    assert not called(0.1, calibration, stream).any()
    found = called(0.1, calibration, stream, extrapolates=True)
    assert found[is_anomaly].mean() > 0.9
    assert (found & ~is_anomaly).sum() <= 0.1 * found.sum()
    # As the rule has it for a batch of all of them, but for the rounding of estimates.
    limit = thresholds.score_for_discovery_rate(calibration, stream, 0.1, extrapolate=True)
    assert (found[1_000:] <= (stream[1_000:] > limit)).all()


def test_where_calibration_scores_have_no_tail_nothing_is_estimated():
    calibration, stream = np.zeros(50), np.array([1.0, 0.0, 2.0, 3.0])
    expected = called(0.1, calibration, stream)
    assert expected.any()
    assert (called(0.1, calibration, stream, extrapolates=True) == expected).all()


@given(scores, scores, st.floats(0.001, 0.98))
def test_estimates_find_in_a_batch_what_benjamini_and_hochberg_find_by_them(
    calibration, batch, rate
):
    calibration, batch = np.array(calibration) + 1, np.array(batch) + 1
    limit = thresholds.score_for_discovery_rate(calibration, batch, rate, extrapolate=True)
    p_values = thresholds.extrapolated_p_values(batch, calibration)
    adjusted = false_discovery_control(p_values)
    assert ((batch > limit) == (adjusted <= rate * (1 + 1e-9))).all()
