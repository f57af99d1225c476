"""Claims about the histogram of scores."""

import numpy as np

from helpers.browsers import browser, opened  # noqa: F401  (a fixture)
from pyimagesearch.reports.score_histogram import ScoreHistogram


def test_bars_are_of_one_kind_and_count_every_score():
    rng = np.random.default_rng(0)
    for threshold in (0.0, 0.25, 1.0, 9.0):
        scores = np.concatenate([rng.integers(0, 9, 200) / 8, [threshold] * 3])
        spread = ScoreHistogram.from_scores(scores, threshold)
        assert (
            sum(count for *_, count, above in spread.bars() if above) == (scores > threshold).sum()
        )
        assert spread.counts.sum() == len(scores)
        for low, high, count, _ in spread.bars():
            assert count == ((scores > low) & (scores <= high)).sum()


def test_a_few_scores_far_out_do_not_squeeze_all_others_into_one_bar():
    usual = np.random.default_rng(0).normal(1, 0.1, 300)
    spread = ScoreHistogram.from_scores(np.append(usual, [500.0, 900.0]), 1.4)
    assert spread.n_beyond == 2
    assert (spread.counts > 0).sum() > 8
    assert spread.counts[-2:].sum() == 2
    assert ScoreHistogram.from_scores(usual, 1.4).n_beyond == 0
