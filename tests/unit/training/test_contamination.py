"""Claims about which images of a training folder may be anomalies."""

import numpy as np
import pytest

from pyimagesearch.training.contamination import choose_left_out, find_suspects, strangeness


def scores_of(n_normal, n_anomalous, seed=0):
    """Of normal images, then of anomalies five deviations and more above them."""
    rng = np.random.default_rng(seed)
    logs = [rng.normal(0, 0.1, n_normal), rng.uniform(0.6, 1.2, n_anomalous)]
    return np.exp(np.concatenate(logs))


def test_images_that_vary_as_usual_are_no_group_apart():
    found = [find_suspects(scores_of(n, 0, seed), None) for n in (8, 30, 200) for seed in range(99)]
    assert sum(len(one.indices) > 0 for one in found) <= 3


def test_a_few_strays_are_no_group_apart():
    assert len(find_suspects(scores_of(198, 2), None).indices) == 0
    assert len(find_suspects(scores_of(200, 8), None).indices) == 0  # 4%


@pytest.mark.parametrize("n_anomalous", [10, 20, 40])
def test_a_group_apart_is_found_whole_and_the_strangest_come_first(n_anomalous):
    scores = scores_of(180, n_anomalous)
    found = find_suspects(scores, None)
    assert found.are_apart
    assert set(range(180, len(scores))) <= set(found.indices)
    assert len(found.indices) <= n_anomalous + 3
    assert (np.diff(scores[found.indices]) <= 0).all()


def test_what_is_usual_does_not_depend_on_how_strange_the_anomalies_are():
    scores = scores_of(90, 10)
    stranger = np.where(np.arange(100) < 90, scores, scores**3)
    np.testing.assert_array_equal(strangeness(scores)[:90], strangeness(stranger)[:90])


@pytest.mark.parametrize(("share", "most"), [(0.05, 5), (0.1, 10), (0.9, 50)])
def test_a_share_is_the_most_that_is_suspected_and_nothing_usual_ever_is(share, most):
    scores = scores_of(95, 5)
    found = find_suspects(scores, share)
    assert len(found.indices) == most
    assert set(range(95, 100)) <= set(found.indices)
    assert scores[found.indices].min() > np.median(scores)


def test_scores_that_are_all_the_same_have_no_suspects():
    for share in (None, 0.1):
        assert len(find_suspects(np.ones(50), share).indices) == 0
        assert len(find_suspects(np.zeros(50), share).indices) == 0


@pytest.mark.parametrize(
    ("options", "n_left_out"),
    [
        ({}, 12),
        ({"share": 0.0}, 0),
        ({"share": 0.05}, 5),
        ({"unasked": False}, 0),
        ({"least_kept": 99}, 0),
    ],
)
def test_a_group_is_left_out_unless_that_is_unwanted_or_too_few_would_remain(options, n_left_out):
    scores = scores_of(88, 12)
    usual = {"share": None, "least_kept": 19, "unasked": True}
    names = [f"{i}.jpg" for i in range(100)]
    assert len(choose_left_out(names, scores, **(usual | options))) == n_left_out


def test_a_fourth_of_all_images_may_be_another_kind_and_is_kept():
    names = [f"{i}.jpg" for i in range(100)]
    scores = scores_of(75, 25)
    assert len(choose_left_out(names, scores, None, least_kept=3, unasked=True)) == 0
