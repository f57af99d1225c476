"""Claims about the scores of items by detectors that have not seen them."""

import logging

import numpy as np
import pytest
from scipy.stats import beta

from helpers.tasks import distances_to, end_own_process, mean_of
from pyimagesearch.labelling.thresholds import ThresholdRule
from pyimagesearch.runtime.console import UserError
from pyimagesearch.training.calibration import Folds, report_threshold

ITEMS = np.random.default_rng(0).normal(size=(40, 3))


def test_scores_are_the_same_on_one_process_and_on_several():
    one, two = (Folds.split(40).scores(ITEMS, mean_of, distances_to, jobs) for jobs in (1, 2))
    assert np.array_equal(one, two)


def test_each_item_is_scored_by_a_detector_that_has_not_seen_it():
    scores = Folds.split(29).scores(ITEMS[:29], mean_of, distances_to, jobs=1)
    others = [np.delete(ITEMS[:29], i, axis=0).mean(axis=0) for i in range(29)]
    assert np.allclose(scores, np.linalg.norm(ITEMS[:29] - others, axis=1))


def test_a_process_that_ends_over_a_fold_is_a_sentence():
    with pytest.raises(UserError, match="a process that calibrates was ended"):
        Folds.split(40).scores(ITEMS, end_own_process, distances_to, jobs=2)


@pytest.mark.parametrize(
    ("n_images", "asked_rate", "mean", "n_above"),
    [(24, None, "1/25 (4.00%)", 0), (24, 0.1, "2/25 (8.00%)", 1), (99, None, None, 0)],
)
def test_of_few_images_the_rate_is_said_on_the_mean_and_for_these_very_ones(
    caplog, n_images, asked_rate, mean, n_above
):
    caplog.set_level(logging.INFO)
    scores = np.random.default_rng(0).random(n_images)
    threshold = ThresholdRule(parameter=asked_rate).choose(scores, scores)
    report_threshold(threshold, scores, asked_rate, 0.9)
    said = caplog.messages[-1]
    bound = f"{beta.ppf(0.9, n_above + 1, n_images - n_above):.2%}"
    if mean is None:
        assert f"at most {bound} of normal images score above it" in said
    else:
        assert said == (
            f"so do at most {mean} of normal images, on the mean over training folders; with these "
            f"very images it may be anything up to {bound}, with 90% confidence"
        )
