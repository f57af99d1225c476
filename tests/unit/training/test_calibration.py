"""Claims about the scores of items by detectors that have not seen them."""

import numpy as np
import pytest

from helpers.tasks import distances_to, end_own_process, mean_of
from pyimagesearch.runtime.console import UserError
from pyimagesearch.training.calibration import Folds

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
