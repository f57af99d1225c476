"""Claims about rankings, counts of verdicts, and their intervals."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import naive_metrics as naive
from helpers.lazy import Lazy
from pyimagesearch import metrics

sklearn_metrics = Lazy("sklearn.metrics")
scipy_stats = Lazy("scipy.stats")

Z = NormalDist().inv_cdf(0.975)
# Few distinct scores, so that most draws have ties between anomalies and normal items.
items = st.lists(st.tuples(st.booleans(), st.integers(-3, 6).map(float)), min_size=1, max_size=40)


def columns(rows):
    labels, scores = zip(*rows, strict=True)
    return np.array(labels), np.array(scores)


@given(items)
def test_auroc_is_the_share_of_pairs_in_order(rows):
    labels, scores = columns(rows)
    expected = pytest.approx(naive.auroc(labels, scores), nan_ok=True)
    assert metrics.auroc(labels, scores) == expected


@given(items)
def test_average_precision_is_the_sum_over_the_distinct_scores(rows):
    labels, scores = columns(rows)
    expected = pytest.approx(naive.average_precision(labels, scores), nan_ok=True)
    assert metrics.average_precision(labels, scores) == expected


@given(items.filter(lambda rows: any(label for label, _ in rows)))
def test_the_best_f1_is_reached_above_its_threshold(rows):
    labels, scores = columns(rows)
    f1, threshold = metrics.best_f1(labels, scores)
    assert f1 == pytest.approx(naive.best_f1(labels, scores))
    counts = metrics.confusion(labels, scores > threshold)
    assert f1 == pytest.approx(2 * counts.true_positives / (counts.n_called + counts.n_anomalies))


@pytest.mark.parametrize("decimals", [1, 2, 9])
def test_rankings_agree_with_scikit_learn(decimals):
    rng = np.random.default_rng(decimals)
    labels = rng.random(3000) < 0.07
    scores = np.round(rng.normal(size=3000) + labels, decimals)
    assert metrics.auroc(labels, scores) == pytest.approx(
        sklearn_metrics.roc_auc_score(labels, scores)
    )
    ours = metrics.average_precision(labels, scores)
    assert ours == pytest.approx(sklearn_metrics.average_precision_score(labels, scores))
    f1, threshold = metrics.best_f1(labels, scores)
    verdicts = scores > threshold
    assert f1 == pytest.approx(
        sklearn_metrics.precision_recall_fscore_support(labels, verdicts)[2][1]
    )


def test_labels_may_be_numbers_and_any_but_0_is_an_anomaly():
    assert metrics.auroc([0, 255, 0.0, 2], [1, 3, 2, 4]) == 1.0


def test_scores_of_the_largest_floats_are_ranked():
    top = np.finfo(float).max
    labels, scores = [0, 0, 1], [-top, 0.0, top]
    assert metrics.auroc(labels, scores) == metrics.average_precision(labels, scores) == 1.0
    _, threshold = metrics.best_f1(labels, scores)
    assert (np.array(scores) > threshold).tolist() == [False, False, True]


@pytest.mark.parametrize("labels", [[], [0, 0, 0]])
def test_without_an_anomaly_a_ranking_is_undefined_and_no_threshold_is_best(labels):
    scores = [1.0, 2.0, 3.0][: len(labels)]
    assert math.isnan(metrics.auroc(labels, scores))
    assert math.isnan(metrics.average_precision(labels, scores))
    with pytest.raises(ValueError, match="no label is an anomaly"):
        metrics.best_f1(labels, scores)


def test_without_a_normal_item_auroc_is_undefined_and_precision_is_1():
    assert math.isnan(metrics.auroc([1, 1], [1.0, 2.0]))
    assert metrics.average_precision([1, 1], [1.0, 2.0]) == 1.0


@pytest.mark.parametrize("rank", [metrics.auroc, metrics.average_precision, metrics.best_f1])
@pytest.mark.parametrize(
    ("labels", "scores", "sentence"),
    [
        ([0, 1, 1], [1.0, 2.0], "3 labels and 2 scores"),
        ([0, 1], [1.0, np.nan], "scores must be finite: number 1 is nan"),
        ([0, 1], [np.inf, 2.0], "scores must be finite: number 0 is inf"),
        ([[0, 1]], [1.0, 2.0], "one dimension, not 2"),
        ([0.0, np.nan], [1.0, 2.0], "labels must be finite"),
        (["good", "bad"], [1.0, 2.0], "numbers or booleans"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_with_a_sentence(rank, labels, scores, sentence):
    with pytest.raises(ValueError, match=sentence):
        rank(labels, scores)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=30))
def test_rates_are_shares_of_the_counts(rows):
    labels, called = [a for a, _ in rows], [b for _, b in rows]
    counts = metrics.confusion(labels, called)

    def share(part, whole):
        expected = sum(part(*row) for row in rows), sum(whole(*row) for row in rows)
        return pytest.approx(expected[0] / expected[1] if expected[1] else math.nan, nan_ok=True)

    assert counts.n_items == len(rows)
    assert counts.accuracy.value == share(lambda a, b: a == b, lambda a, b: True)  # noqa: ARG005
    assert counts.precision.value == share(lambda a, b: a and b, lambda a, b: b)  # noqa: ARG005
    assert counts.recall.value == share(lambda a, b: a and b, lambda a, b: a)  # noqa: ARG005
    rejected = share(lambda a, b: b and not a, lambda a, b: not a)  # noqa: ARG005
    assert counts.false_reject_rate.value == rejected
    escaped = share(lambda a, b: a and not b, lambda a, b: a)  # noqa: ARG005
    assert counts.escape_rate.value == escaped


def test_verdicts_that_are_not_as_many_as_the_labels_are_refused():
    with pytest.raises(ValueError, match="2 labels and 1 verdicts"):
        metrics.confusion([0, 1], [1])


@pytest.mark.parametrize(("successes", "trials"), [(0, 20), (1, 20), (7, 63), (453, 453), (1, 2)])
def test_the_interval_of_a_rate_holds_the_rates_that_the_counts_do_not_contradict(
    successes, trials
):
    found = metrics.wilson_interval(successes, trials)
    expected = naive.wilson_interval(successes, trials, Z)
    assert found.value == successes / trials
    assert (found.low, found.high) == pytest.approx(expected, abs=2e-5)


def test_no_escape_among_twenty_leaves_up_to_16_per_cent_possible():
    assert round(metrics.wilson_interval(0, 20).high, 2) == 0.16


@pytest.mark.parametrize("trials", [10, 20, 60])
def test_intervals_of_rates_hold_the_true_rate_as_often_as_they_say(trials):
    rates = np.linspace(0.005, 0.995, 199)
    covered = np.zeros(len(rates))
    for successes in range(trials + 1):
        chance = math.comb(trials, successes) * rates**successes
        chance *= (1 - rates) ** (trials - successes)
        found = metrics.wilson_interval(successes, trials)
        covered += chance * ((found.low <= rates) & (rates <= found.high))
    assert covered.mean() == pytest.approx(0.95, abs=0.01)


@pytest.mark.parametrize("counts", [(0, 1), (0, 24), (9, 1_000), (3, 4), (500, 100_000)])
@pytest.mark.parametrize("level", [0.5, 0.95])
def test_the_bound_of_a_rate_is_the_quantile_of_a_beta_distribution(counts, level):
    successes, trials = counts
    expected = scipy_stats.beta.ppf(level, successes + 1, trials - successes)
    assert metrics.upper_bound(*counts, level) == pytest.approx(expected, rel=1e-9)
    assert metrics.upper_bound(trials, trials, level) == 1.0


def test_of_calibration_sets_as_many_keep_the_bound_as_it_says():
    # Of uniform scores the share above a threshold is known.
    thresholds = np.sort(np.random.default_rng(0).random((4000, 99)))[:, -5]
    kept = (1 - thresholds) <= metrics.upper_bound(4, 99, 0.9)
    assert kept.mean() == pytest.approx(0.9, abs=4 * np.sqrt(0.09 / 4000))


def test_of_nothing_nothing_is_known():
    found = metrics.wilson_interval(0, 0)
    assert math.isnan(found.value)
    assert (found.low, found.high) == (0.0, 1.0)
    assert math.isnan(metrics.auroc_interval([0, 0], [1.0, 2.0]).value)


@pytest.mark.parametrize("counts", [(-1, 5), (6, 5)])
def test_counts_that_are_no_rate_are_refused(counts):
    with pytest.raises(ValueError, match="is not a rate"):
        metrics.wilson_interval(*counts)
    with pytest.raises(ValueError, match="no bound"):
        metrics.upper_bound(*counts)


@pytest.mark.parametrize("level", [0.0, 1.0, 95])
def test_a_confidence_level_lies_between_0_and_1(level):
    with pytest.raises(ValueError, match="confidence level"):
        metrics.wilson_interval(1, 2, level)


@given(items.filter(lambda rows: len({label for label, _ in rows}) == 2))
def test_the_interval_of_auroc_holds_the_areas_that_the_scores_do_not_contradict(rows):
    labels, scores = columns(rows)
    found = metrics.auroc_interval(labels, scores)
    assert found.value == metrics.auroc(labels, scores)
    expected = naive.auroc_interval(found.value, labels.sum(), (~labels).sum(), Z)
    assert (found.low, found.high) == pytest.approx(expected, abs=2e-5)
    assert found.low <= found.value <= found.high


def test_a_perfect_auroc_of_few_items_is_not_certain():
    few = metrics.auroc_interval([0] * 5 + [1] * 5, range(10))
    many = metrics.auroc_interval([0] * 500 + [1] * 500, range(1000))
    assert few.value == few.high == many.high == 1.0
    assert few.low < many.low < 1.0


@pytest.mark.parametrize("true_area", [0.8, 0.95, 0.99])
def test_intervals_of_auroc_hold_the_true_one_at_least_as_often_as_they_say(true_area):
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [20, 60])
    apart = NormalDist().inv_cdf(true_area) * math.sqrt(2)
    n_draws, held = 1000, 0
    for _ in range(n_draws):
        found = metrics.auroc_interval(labels, rng.normal(size=80) + apart * labels)
        held += found.low <= true_area <= found.high
    assert held / n_draws > 0.95 - 3 * math.sqrt(0.95 * 0.05 / n_draws)
