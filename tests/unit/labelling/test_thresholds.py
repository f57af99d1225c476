"""Claims about p-values, false-alarm rates and the named rules."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import naive
from pyimagesearch.labelling import thresholds
from pyimagesearch.labelling.thresholds import ThresholdRule

scores = st.lists(st.integers(0, 20).map(float), min_size=1, max_size=60)


@given(scores, scores)
def test_p_values_equal_their_definition(calibration, new):
    found = thresholds.p_values(np.array(new), np.array(calibration))
    assert found.tolist() == pytest.approx([naive.p_value(s, calibration) for s in new])


@given(scores, scores, st.floats(0.02, 0.98))
def test_the_threshold_of_a_rate_separates_exactly_at_that_p_value(calibration, new, rate):
    if rate < thresholds.best_rate(len(calibration)):
        with pytest.raises(thresholds.RateError):
            thresholds.score_for_rate(np.array(calibration), rate)
        return
    limit = thresholds.score_for_rate(np.array(calibration), rate)
    p = thresholds.p_values(np.array(new), np.array(calibration))
    assert ((np.array(new) > limit) == (p <= rate)).all()


@pytest.mark.parametrize("n", [8, 16, 99, 100, 399, 1000])
def test_the_best_possible_rate_is_possible(n):
    calibration = np.random.default_rng(n).random(n)
    limit = thresholds.score_for_rate(calibration, thresholds.best_rate(n))
    assert limit == calibration.max()
    assert thresholds.items_needed(thresholds.best_rate(n)) == n


def test_sixteen_items_cannot_promise_one_per_cent():
    with pytest.raises(thresholds.RateError, match=r"1/17 \(0\.0588\).*83 more"):
        thresholds.score_for_rate(np.arange(16.0), 0.01)


def test_false_alarms_among_exchangeable_items_stay_at_the_asked_rate():
    rng = np.random.default_rng(0)
    rates = []
    for _ in range(2000):
        draw = rng.normal(size=100)
        limit = thresholds.score_for_rate(draw[:99], 0.05)
        rates.append(draw[99] > limit)
    assert abs(np.mean(rates) - 0.05) < 4 * np.sqrt(0.05 * 0.95 / 2000)


def test_one_odd_item_of_few_does_not_decide_alone():
    usual = np.random.default_rng(0).normal(10, 1, 31)
    assert thresholds.default_rate(usual) == 1 / 32
    odd = np.append(usual[:-1], 30.0)
    chosen = ThresholdRule().choose(odd, odd)
    assert (chosen.parameter, chosen.value) == (2 / 32, np.sort(odd)[-2])
    # Asked for, the best possible rate is kept; two odd ones are no longer one; many need no help.
    asked = ThresholdRule("false-alarm-rate", 1 / 32).choose(odd, odd)
    assert asked.value == 30
    assert thresholds.default_rate(np.append(odd[:-2], [30.0, 31.0])) == 1 / 32
    assert thresholds.default_rate(np.append(odd[:15], 30.0)) == 1 / 17
    assert thresholds.default_rate(np.append(np.tile(usual, 4), 30.0)) == 0.01


def test_false_alarms_stay_below_the_default_rate_with_heavy_tails():
    rng = np.random.default_rng(1)
    alarms, rates = [], []
    for _ in range(4000):
        draw = np.exp(2 * rng.normal(size=32))
        chosen = ThresholdRule().choose(draw[:31], draw[:31])
        alarms.append(draw[31] > chosen.value)
        rates.append(chosen.parameter)
    assert set(rates) == {1 / 32, 2 / 32}
    assert np.mean(alarms) < np.mean(rates) + 4 * np.sqrt(2 / 32 / 4000)
    assert np.mean(alarms) > 1 / 32 - 4 * np.sqrt(1 / 32 / 4000)


@pytest.mark.parametrize("contamination", [0.01, 0.1, 0.3])
def test_contamination_labels_as_isolation_forests_predict(contamination):
    from sklearn.ensemble import IsolationForest

    items = np.random.default_rng(0).normal(size=(200, 5))
    forest = IsolationForest(random_state=0, contamination=contamination).fit(items)
    training = -forest.score_samples(items)
    chosen = ThresholdRule("contamination", contamination).choose(training, training)
    new = np.random.default_rng(1).normal(size=(500, 5)) * 1.5
    expected = forest.predict(new) == -1
    assert ((-forest.score_samples(new) > chosen.value) == expected).all()


def test_the_quantile_rule_takes_the_items_that_reach_it():
    training = np.arange(1001.0)
    chosen = ThresholdRule("quantile", 0.999).choose(training, training)
    assert (training > chosen.value).sum() == (training >= np.quantile(training, 0.999)).sum() == 2


def test_the_max_rule_flags_only_what_is_worse_than_all_training_items():
    training = np.array([1.0, 3.0, 2.0])
    assert ThresholdRule("max").choose(training, training).value == 3.0


def test_the_default_rate_becomes_the_best_possible_with_few_items():
    few, many = np.arange(16.0), np.arange(400.0)
    choose = ThresholdRule().choose
    assert choose(few, few).parameter == pytest.approx(1 / 17)
    assert choose(many, many).parameter == 0.01


@pytest.mark.parametrize("rule", ["nan", "inf", "otsu", ""])
def test_a_rule_that_is_neither_a_name_nor_a_number_is_refused(rule):
    with pytest.raises(ValueError, match="no rule"):
        ThresholdRule(rule)


positive = st.lists(st.floats(0.1, 10), min_size=2, max_size=40)
shares = st.sampled_from([0.0, 0.1, 0.4])


@given(positive, positive, st.floats(1e-4, 0.9), shares)
def test_the_threshold_of_a_block_rate_separates_at_that_p_value(calibration, new, rate, share):
    calibration, new = np.array(calibration), np.array(new)
    limit = thresholds.score_for_block_rate(calibration, rate, share)
    new = new[np.abs(new / limit - 1) > 1e-6]  # rounding decides on the threshold itself
    p = thresholds.block_p_values(new, calibration, share)
    assert ((new > limit) == (p <= rate)).all()


@given(positive, positive, shares)
def test_p_values_of_blocks_fall_with_the_score_and_are_never_above_those_of_ranks(
    calibration, new, share
):
    calibration, new = np.array(calibration), np.sort(new)
    found = thresholds.block_p_values(new, calibration, share)
    assert (found <= thresholds.p_values(new, calibration)).all()
    assert (found > 0).all()
    assert (np.diff(found) <= 1e-12).all()


LAWS = {
    "lognormal": lambda rng, size: rng.lognormal(0, 0.2, size),
    "gumbel": lambda rng, size: 5 + rng.gumbel(0, 0.3, size),
    "pareto": lambda rng, size: 1 + rng.pareto(6, size),
}


@pytest.mark.parametrize("n", [7, 14, 30, 200])
@pytest.mark.parametrize("law", LAWS)
def test_the_default_rate_of_blocks_is_about_kept_whatever_the_law(n, law):
    rng, rate = np.random.default_rng(n), thresholds.default_block_rate(n)
    draw = LAWS[law]
    alarms = [
        np.mean(draw(rng, 100) > thresholds.score_for_block_rate(draw(rng, n), rate))
        for _ in range(1_000)
    ]
    assert np.mean(alarms) < 1.5 * rate


@pytest.mark.parametrize("n_anomalies", [1, 2, 3])
def test_anomalous_blocks_of_no_more_than_the_presumed_share_do_not_hide_themselves(n_anomalies):
    rng = np.random.default_rng(0)
    normal, anomalous = LAWS["lognormal"](rng, 30), np.full(n_anomalies, 8.0)
    together = np.concatenate([normal, anomalous])
    for score in (8.0, 1e6):  # however strange they are
        together[30:] = score
        assert thresholds.score_for_block_rate(together, 0.05, 0.1) < 3
    assert thresholds.block_p_values(anomalous, together, 0.1).max() < 0.01


def test_blocks_without_any_score_take_none_for_normal_but_that():
    nothing = np.zeros(7)
    assert thresholds.score_for_block_rate(nothing, 0.01) == 0
    assert thresholds.block_p_values(np.array([0.0, 3.0]), nothing).tolist() == [1, 1 / 8]


def test_a_normal_series_as_long_as_the_learned_one_is_to_have_few_false_alarms():
    assert thresholds.default_block_rate(1_000) * 1_000 == pytest.approx(2)
    assert thresholds.default_block_rate(7) == 0.05


def test_in_the_series_that_was_learned_more_is_named_where_it_has_enough_blocks():
    rate = thresholds.default_block_rate
    assert rate(1_000, is_learned=True) == pytest.approx(3 * rate(1_000))
    assert rate(40, is_learned=True) == pytest.approx(2 * rate(40))
    assert rate(29, is_learned=True) == rate(29)


def test_extrapolation_changes_nothing_that_can_be_promised():
    calibration = np.random.default_rng(0).gamma(9, size=99)
    scores = np.linspace(0, calibration.max(), 50)
    extrapolated = thresholds.extrapolated_p_values(scores, calibration)
    assert (extrapolated == thresholds.p_values(scores, calibration)).all()
    for rate in (0.01, 0.05, 0.5):
        promised = thresholds.score_for_rate(calibration, rate)
        assert thresholds.extrapolated_score(calibration, rate) == promised


def test_extrapolated_thresholds_and_p_values_agree_and_go_on_falling():
    calibration = np.random.default_rng(0).gamma(9, size=30)
    rates = np.array([0.03, 0.01, 0.001, 1e-6])
    limits = np.array([thresholds.extrapolated_score(calibration, rate) for rate in rates])
    assert (np.diff(limits) >= 0).all()
    assert limits[0] >= calibration.max()
    p_values = thresholds.extrapolated_p_values(limits[1:], calibration)
    assert p_values == pytest.approx(rates[1:])
    assert (thresholds.extrapolated_p_values(limits, calibration) <= 1 / 31).all()


def test_a_tail_of_zeros_promises_nothing_and_estimates_nothing():
    nothing = np.zeros(30)
    with pytest.raises(thresholds.RateError, match="cannot be promised"):
        thresholds.extrapolated_score(nothing, 0.01)
    assert thresholds.extrapolated_p_values(np.array([1.0]), nothing) == [1 / 31]
