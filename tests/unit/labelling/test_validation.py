"""Claims about the choice of a threshold, and about halves and masks."""

import dataclasses
import itertools

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import naive
from pyimagesearch import metrics
from pyimagesearch.data import mvtec
from pyimagesearch.labelling import ground_truth, validation
from pyimagesearch.labelling.ground_truth import Item


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=2, max_size=25).filter(
        lambda items: 0 < sum(anomaly for anomaly, _ in items) < len(items)
    )
)
def test_the_least_overlap_equals_the_slow_search(items):
    truth = np.array([anomaly for anomaly, _ in items])
    scores = np.array([float(score) for _, score in items])
    chosen = validation.choose_threshold("overlap", truth, scores).value
    found = (scores[~truth] > chosen).mean() + (scores[truth] <= chosen).mean()
    assert found == pytest.approx(naive.least_overlap(truth, scores))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4)), max_size=8))
def test_two_thresholds_differ_by_the_images_between_them(items):
    """The chance is that of coins, one for each image: all ways that they can fall are counted."""
    scored = [Item(str(n), anomaly, b"", float(score)) for n, (anomaly, score) in enumerate(items)]
    found = validation.compare(scored, 3.0, 1.0)
    between = [anomaly for anomaly, score in items if 1 < score <= 3]
    assert (found.n_better, found.n_worse) == (between.count(False), between.count(True))
    falls = list(itertools.product((0, 1), repeat=len(between)))
    as_good = sum(sum(fall) >= found.n_better for fall in falls)
    assert found.chance == as_good / len(falls)


@given(st.lists(st.tuples(st.booleans(), st.floats(-5, 5)), min_size=4, max_size=30))
def test_the_f1_threshold_reaches_the_best_f1(items):
    truth = np.array([anomaly for anomaly, _ in items])
    scores = np.array([score for _, score in items])
    if not truth.any():
        return
    chosen = validation.choose_threshold("f1", truth, scores).value
    called = scores > chosen
    f1 = 2 * (called & truth).sum() / (called.sum() + truth.sum())
    assert f1 == pytest.approx(metrics.best_f1(truth, scores)[0])


def test_a_threshold_lies_in_the_middle_of_a_gap():
    truth = np.array([False, False, True, True])
    for rule in ("f1", "overlap"):
        scores = np.array([0.0, 1.0, 3.0, 4.0])
        assert validation.choose_threshold(rule, truth, scores).value == 2.0


def items_of(scores, is_anomaly):
    return [Item(f"{is_anomaly}{i}", is_anomaly, bytes([is_anomaly, i]), s) for i, s in scores]


def test_halves_hold_as_many_of_each_kind_and_nothing_twice():
    items = items_of(enumerate(range(11)), False) + items_of(enumerate(range(8)), True)
    dealt = ground_truth.split_in_half(items, 1)
    assert {item.path for item in dealt} == {item.path for item in items}
    assert len(dealt) == len(items)
    for is_anomaly, expected in ((False, (6, 5)), (True, (4, 4))):
        parts = [item.used_for for item in dealt if item.is_anomaly == is_anomaly]
        found = (parts.count(ground_truth.REPORTING), parts.count(ground_truth.SELECTING))
        assert found == expected
    renamed = [dataclasses.replace(item, path=item.path[::-1]) for item in items[::-1]]
    again = {item.digest: item.used_for for item in ground_truth.split_in_half(renamed, 1)}
    assert again == {item.digest: item.used_for for item in dealt}
    assert again != {item.digest: item.used_for for item in ground_truth.split_in_half(items, 2)}


def test_masks_are_paired_by_name_with_any_ending(tmp_path):
    for name in ("a/1_mask.png", "a/2.bmp", "b/1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / name), np.full((4, 4), 255, np.uint8))
    pictures = ["x/a/1.jpg", "x/a/2.png", "x/c/1.png"]
    paired = mvtec.pair_masks(pictures, "x", str(tmp_path))
    assert paired.by_image == {
        "x/a/1.jpg": str(tmp_path / "a/1_mask.png"),
        "x/a/2.png": str(tmp_path / "a/2.bmp"),
    }
    assert paired.without_image == [str(tmp_path / "b/1.png")]
