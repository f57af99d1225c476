"""Claims about the isolation forest."""

import numpy as np
import pytest

from helpers import naive
from helpers.lazy import Lazy
from pyimagesearch.detectors.image import isolation_forest
from pyimagesearch.detectors.image.isolation_forest import IsolationForestDetector

ensemble = Lazy("sklearn.ensemble")


def random_items(n_items: int, n_features: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    items = rng.gamma(0.3, size=(n_items, n_features))
    items[rng.random(items.shape) < 0.3] = 0.0  # empty bins, as histograms have
    return items.astype(np.float32)


def from_scikit_learn(forest):
    return IsolationForestDetector.from_trees(
        [estimator.tree_ for estimator in forest.estimators_],
        np.zeros(forest.n_features_in_),
        int(forest.max_samples_),
    )


@pytest.mark.parametrize(
    ("n_items", "n_features"), [(2, 3), (16, 27), (300, 27), (1000, 5), (500, 300)]
)
def test_scores_equal_scikit_learns_score_samples_with_the_sign_turned(n_items, n_features):
    items = random_items(n_items, n_features, seed=n_items)
    forest = ensemble.IsolationForest(n_estimators=50, random_state=0).fit(items)
    new = np.concatenate([items, random_items(200, n_features, seed=1)])
    found = from_scikit_learn(forest).score(new)
    np.testing.assert_allclose(found, -forest.score_samples(new), rtol=0, atol=1e-12)


def test_items_exactly_on_a_threshold_go_the_same_way_as_in_scikit_learn():
    items = random_items(200, 4, seed=3)
    forest = ensemble.IsolationForest(n_estimators=20, random_state=0).fit(items)
    detector = from_scikit_learn(forest)
    splits = detector.threshold[detector.feature >= 0].astype(np.float32)
    on = np.repeat(splits[:500, None], 4, axis=1)
    near = np.concatenate([on, np.nextafter(on, np.float32(9)), np.nextafter(on, np.float32(-9))])
    np.testing.assert_allclose(
        detector.score(near), -forest.score_samples(near), rtol=0, atol=1e-12
    )


def test_scores_equal_a_walk_down_every_tree():
    items = random_items(60, 9, seed=0)
    detector = IsolationForestDetector.fit(items, n_estimators=30)
    expected = [naive.forest_score(detector, row) for row in items]
    np.testing.assert_allclose(detector.score(items), expected, rtol=1e-12)


def test_its_own_trees_score_like_those_of_scikit_learns_forest():
    items, new = random_items(100, 27, seed=0), random_items(50, 27, seed=1)
    ours = [
        IsolationForestDetector.fit(items, n_estimators=100, seed=seed).score(new)
        for seed in range(10)
    ]
    theirs = [
        -ensemble.IsolationForest(n_estimators=100, random_state=seed).fit(items).score_samples(new)
        for seed in range(10)
    ]
    difference = np.mean(ours, axis=0) - np.mean(theirs, axis=0)
    standard_error = np.sqrt((np.var(ours, axis=0, ddof=1) + np.var(theirs, axis=0, ddof=1)) / 10)
    # 50 comparisons at once: beyond 4.5 standard errors lies less than one in a thousand.
    assert (np.abs(difference) < 4.5 * standard_error).all()


def test_a_score_does_not_depend_on_the_other_rows_or_their_order():
    items = random_items(100, 27, seed=0)
    detector = IsolationForestDetector.fit(items, n_estimators=300)
    together = detector.score(items)
    alone = [detector.score(row[None])[0] for row in items]
    order = np.random.default_rng(0).permutation(len(items))
    assert together.tolist() == alone
    assert detector.score(items[order]).tolist() == together[order].tolist()


def test_the_same_seed_grows_the_same_forest_and_another_seed_another():
    items = random_items(50, 27, seed=0)
    one, same, other = (
        IsolationForestDetector.fit(items, n_estimators=20, seed=s) for s in (1, 1, 2)
    )
    assert all(np.array_equal(one.arrays()[k], same.arrays()[k]) for k in one.arrays())
    assert not np.array_equal(one.threshold, other.threshold)


def test_a_feature_beyond_what_is_typical_contributes_and_a_missing_one_does_not():
    rng = np.random.default_rng(0)
    items = rng.random((200, 3)).astype(np.float32)
    detector = IsolationForestDetector.fit(items, n_estimators=300)
    typical = np.median(items, axis=0)
    item = np.array([5.0, typical[1], 0.0], np.float32)
    found = detector.contributions(item)
    without_first = np.array([[typical[0], typical[1], 0.0]], np.float32)
    assert found[0] == detector.score(item[None])[0] - detector.score(without_first)[0] > 0
    assert found[1] == found[2] == 0


def broken(detector: IsolationForestDetector, **changes) -> tuple[dict, dict]:
    parameters = detector.parameters()
    arrays = {name: array.copy() for name, array in detector.arrays().items()}
    for name, change in changes.items():
        if name in parameters:
            parameters[name] = change
        elif change is None:
            del arrays[name]
        else:
            arrays[name] = change(arrays[name])
    return parameters, arrays


def with_first(value):
    def change(array):
        array[0] = value
        return array

    return change


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"left": with_first(10**6)}, "points outside its tree"),
        ({"right": with_first(-5)}, "points outside its tree"),
        ({"left": with_first(0)}, "has a cycle"),
        ({"feature": with_first(27)}, "feature beyond the 27"),
        ({"feature": with_first(-2)}, "feature beyond the 27"),
        ({"threshold": with_first(np.nan)}, "'threshold' has numbers that are not finite"),
        ({"n_samples": with_first(0)}, "no samples"),
        ({"typical": lambda a: a[:-1]}, r"'typical' is not float32 of shape \(27\)"),
        ({"typical": with_first(np.inf)}, "'typical' has numbers that are not finite"),
        ({"left": lambda a: a[:-1]}, r"'left' is not int32 of shape \(\d+\)"),
        ({"left": lambda a: a.astype(np.float64)}, r"'left' is not int32 of shape \(\d+\)"),
        ({"tree_start": lambda a: a[:-1]}, "do not cover"),
        ({"tree_start": with_first(1)}, "do not cover"),
        ({"threshold": None}, "no array 'threshold'"),
        ({"max_samples": 0}, "max_samples is 0"),
        ({"n_features": "27"}, "n_features is '27'"),
    ],
)
def test_arrays_that_are_no_forest_are_refused_with_their_own_sentence(changes, message):
    detector = IsolationForestDetector.fit(random_items(50, 27, seed=0), n_estimators=5)
    with pytest.raises(ValueError, match=message):
        IsolationForestDetector.restore(*broken(detector, **changes), {})


def test_a_chain_of_nodes_too_deep_to_unroll_is_refused():
    depth = 60
    order = np.arange(2 * depth + 1)
    inner = order % 2 == 0
    inner[-1] = False
    children = np.where(inner, order + 1, -1).astype(np.int32)
    arrays = {
        "typical": np.zeros(1, np.float32),
        "tree_start": np.array([0, len(order)], np.int64),
        "feature": np.where(inner, 0, -1).astype(np.int16),
        "threshold": np.zeros(len(order)),
        "left": children,
        "right": np.where(inner, order + 2, -1).astype(np.int32),
        "n_samples": np.ones(len(order), np.int32),
    }
    with pytest.raises(ValueError, match="too deep"):
        IsolationForestDetector.restore({"n_features": 1, "max_samples": 100}, arrays, {})


def test_features_of_another_length_are_refused():
    detector = IsolationForestDetector.fit(random_items(50, 27, seed=0), n_estimators=5)
    with pytest.raises(ValueError, match="27 features"):
        detector.score(np.zeros((2, 26), np.float32))


def test_heat_is_everywhere_where_an_anomaly_has_too_much_of_nothing():
    items = 0.5 + random_items(100, 6, seed=0)
    detector = IsolationForestDetector.fit(items, n_estimators=30)
    lacking = np.zeros(6, np.float32)
    score = detector.score(lacking[None])[0]
    assert not detector.contributions(lacking).any()
    assert (detector.heat(lacking, lambda score: 2 * score / score) == 2).all()
    assert not detector.heat(lacking, lambda found: found / (2 * score)).any()


def test_contributions_are_those_of_all_features_one_by_one(monkeypatch):
    items = random_items(100, 12, seed=0)
    detector = IsolationForestDetector.fit(items, n_estimators=30)
    for item in 3 * items[:5]:
        expected = np.zeros(12)
        for place in np.flatnonzero(item > detector.typical):
            usual = item.copy()
            usual[place] = detector.typical[place]
            expected[place] = detector.score(item[None])[0] - detector.score(usual[None])[0]
        for at_once in (1, 40, 10_000):
            monkeypatch.setattr(isolation_forest, "_VALUES_AT_ONCE", at_once)
            found = detector.contributions(item)
            np.testing.assert_array_equal(found, np.maximum(expected, 0))
