"""Claims about which images of a training folder may be anomalies."""

import os
import re
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from pyimagesearch.labelling import thresholds
from pyimagesearch.labelling.image_groups import GroupRule
from pyimagesearch.labelling.thresholds import ThresholdRule
from pyimagesearch.training import contamination
from pyimagesearch.training.calibration import Folds
from pyimagesearch.training.contamination import (
    Suspicion,
    choose_left_out,
    find_suspects,
    fit_cleaned,
    strangeness,
)
from pyimagesearch.training.image_features import FeatureOptions
from pyimagesearch.training.image_recipe import ImageRecipe
from pyimagesearch.training.images import PatchOptions, TrainingFolder, train_on_whole_images


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
    assert len(find_suspects(scores_of(200, 4), None).indices) == 0  # 2%


@pytest.mark.parametrize("n_anomalous", [10, 20, 40])
def test_a_group_apart_is_found_whole_and_the_strangest_come_first(n_anomalous):
    scores = scores_of(180, n_anomalous)
    found = find_suspects(scores, None)
    assert found.are_apart
    assert set(range(180, len(scores))) <= set(found.indices)
    assert len(found.indices) <= n_anomalous + 3
    assert (np.diff(scores[found.indices]) <= 0).all()


def test_normal_images_that_scatter_upwards_are_warned_of_and_learned(caplog):
    n_warned = n_left_out = 0
    for seed in range(50):
        scores = np.exp(np.random.default_rng(seed).gamma(1.5, 0.3, 100))
        out = choose_left_out([str(i) for i in range(100)], scores, Suspicion(None))
        n_left_out += len(out) > 0
        n_warned += "They are learned" in caplog.text
        caplog.clear()
    assert n_warned > 10
    assert n_left_out <= 1


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
    assert len(choose_left_out(names, scores, Suspicion(**(usual | options)))) == n_left_out


@pytest.mark.parametrize(("least", "n_left_out"), [(28, 12), (29, 0)])
def test_a_group_is_not_left_out_unasked_where_a_camera_would_have_too_few(least, n_left_out):
    names = [f"{i}.jpg" for i in range(100)]
    cameras = np.repeat(["one", "other"], [60, 40])  # and all twelve are of the other
    suspicion = Suspicion(None, groups=cameras, least_in_group=least)
    assert len(choose_left_out(names, scores_of(88, 12), suspicion)) == n_left_out


def test_the_share_that_a_warning_names_leaves_out_all_that_it_names(caplog):
    scores = scores_of(67, 3)
    names = [f"{i}.jpg" for i in range(70)]
    out = choose_left_out(names, scores, Suspicion(None, unasked=False))
    share = float(re.search(r"--contamination (\S+) leaves", caplog.text)[1])
    assert len(out) == 0
    assert set(find_suspects(scores, None).indices) <= set(find_suspects(scores, share).indices)


def test_a_share_that_is_less_than_one_image_is_said_to_be(caplog):
    with caplog.at_level("INFO"):
        assert len(choose_left_out(list("abcdefgh"), scores_of(7, 1), Suspicion(0.1))) == 0
        assert len(contamination.choose_uncalibrated(list("abcdefgh"), scores_of(7, 1), 0.1)) == 0
    assert "of 8 images that is less than one, so all are learned" in caplog.text
    assert "of 8 calibration images that is less than one, so all count" in caplog.text


def test_a_fourth_of_all_images_may_be_another_kind_and_is_kept():
    names = [f"{i}.jpg" for i in range(100)]
    scores = scores_of(75, 25)
    assert len(choose_left_out(names, scores, Suspicion(None, least_kept=3))) == 0


def cleaned_of(scores, share, **suspicion):
    """Cleaned by detectors that score each image the same, whichever they have learned."""

    def fit(left_out):
        rest = np.delete(scores, left_out)
        return SimpleNamespace(calibration=rest, folds=Folds.split(len(rest)))

    names = [f"{i}.jpg" for i in range(len(scores))]
    first = fit(np.empty(0, int))
    found = fit_cleaned(
        first, names, Suspicion(share, **suspicion), fit, lambda _, some: scores[some]
    )
    learned = np.delete(np.arange(len(scores)), found.unlearned)
    np.testing.assert_array_equal(
        found.calibration, scores[np.concatenate([learned, found.counted])]
    )
    return found


def test_of_those_that_a_share_leaves_out_calibration_counts_the_ones_that_may_be_normal():
    scores = scores_of(95, 5)
    found = cleaned_of(scores, 0.1)
    assert set(range(95, 100)) <= set(found.unlearned)
    assert len(found.unlearned) == 10
    assert set(found.counted) == set(found.unlearned) - set(range(95, 100))


def test_a_share_of_images_that_are_all_normal_hardly_changes_their_calibration():
    n_left_out = [
        len(found.unlearned) - len(found.counted)
        for found in (cleaned_of(scores_of(100, 0, seed), 0.1) for seed in range(20))
    ]
    assert np.mean(n_left_out) < 2  # of ten


def test_a_group_that_stands_apart_is_left_out_of_calibration_as_a_whole():
    found = cleaned_of(scores_of(88, 12), None)
    assert set(range(88, 100)) <= set(found.unlearned)
    assert len(found.counted) == 0


def test_a_group_whose_scores_are_all_higher_is_not_suspected_for_that():
    scores = np.concatenate([scores_of(80, 0), 3 * scores_of(20, 0, seed=1)])
    groups = np.repeat(["one", "other"], [80, 20])
    assert set(cleaned_of(scores, 0.2).unlearned) == set(range(80, 100))
    found = cleaned_of(scores, 0.2, groups=groups)
    assert (found.unlearned < 80).any()


@pytest.mark.parametrize(("share", "n_out"), [(0.05, 5), (0.1, 10), (0.0, 0), (None, 0)])
def test_where_all_is_learned_calibration_leaves_out_a_share_or_warns_of_a_group(
    share, n_out, caplog
):
    names = [f"{i}.jpg" for i in range(100)]
    with caplog.at_level("INFO"):
        out = contamination.choose_uncalibrated(names, scores_of(90, 10), share)
    assert len(out) == n_out
    assert all(i >= 90 for i in out)
    assert [r.levelname for r in caplog.records] == {0.0: [], None: ["WARNING"]}.get(
        share, ["INFO"]
    )
    assert all(names[i] in caplog.text for i in out)


def test_the_rate_that_is_told_is_what_calibration_on_all_would_bound(caplog):
    rng = np.random.default_rng(0)
    n_above, n_judged = 0, 0
    for _ in range(200):
        scores = np.sort(rng.random(100))
        threshold = thresholds.score_for_rate(scores[:95], 0.05)  # the highest five are left out
        n_above += (rng.random(100) > threshold).sum()
        n_judged += 100
    with caplog.at_level("INFO"):
        contamination.report_bias([(scores[:95], threshold, 5)])
    told = "if all 5 images that calibration leaves out are normal, at most 8.9% of normal images"
    assert told in caplog.text
    assert "rather than 4.2%" in caplog.text
    assert n_above / n_judged < 0.1
    caplog.clear()
    contamination.report_bias([(scores, threshold, 0)])
    assert not caplog.text


@pytest.mark.parametrize("groups", [None, GroupRule("folder")])
def test_a_rate_is_promised_where_enough_images_count_in_calibration(groups, tmp_path):
    rng = np.random.default_rng(0)
    paths = [str(tmp_path / "here" / f"{i:02}.png") for i in range(24)]
    os.mkdir(tmp_path / "here")
    for path in paths:
        image = rng.normal((60, 120, 60), 20, (24, 24, 3)) + rng.uniform(-20, 20)
        cv2.imwrite(path, image.clip(0, 255).astype(np.uint8))
    features = FeatureOptions(None)
    recipe = ImageRecipe("forest", features, PatchOptions(), ThresholdRule(parameter=0.04), 0, 40)
    told = {"rate": 0.04, "contamination": 0.1, "groups": groups, "root": str(tmp_path)}
    fitted, _ = recipe.learn(TrainingFolder("parts", paths, **told))  # which takes all 24
    assert len(fitted.left_out) == 2
    assert len(fitted.calibration) == 24


@pytest.mark.parametrize(("share", "n_left_out"), [(None, 0), (0.12, 4)])
def test_the_forest_learns_a_group_that_stands_apart_and_warns_unless_a_share_is_told(
    share, n_left_out, tmp_path, caplog
):
    rng = np.random.default_rng(0)
    paths = [str(tmp_path / f"{i:02}.png") for i in range(36)]
    for number, path in enumerate(paths):
        image = rng.normal((60, 120, 60), 6, (24, 24, 3)) + rng.normal(0, 8, 3)
        if number >= 32:
            image[:, :12] = rng.normal((20, 20, 220), 30, (24, 12, 3))
        cv2.imwrite(path, image.clip(0, 255).astype(np.uint8))
    folder = TrainingFolder("parts", paths, contamination=share)
    extractor = FeatureOptions(None).extractor(paths, patches=False)
    with caplog.at_level("INFO"):
        fitted = train_on_whole_images(folder, extractor, "forest", n_estimators=40, seed=0)
    assert len(fitted.left_out) == n_left_out
    assert ("stand apart from the rest" in caplog.text) == (share is None)
