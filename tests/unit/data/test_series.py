"""Claims about series: their grid, their windows, and what is made of windows' scores."""

import itertools
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import naive, naive_series
from pyimagesearch.data import series
from pyimagesearch.data.series import MOST_FILLED, NOT_A_TIME, Series, SeriesError

MINUTE = 60_000_000_000


def made(values, minutes=None):
    """A series of one column; minutes None gives it no times."""
    values = np.array(values, float)
    times = None if minutes is None else np.array([m * MINUTE for m in minutes], np.int64)
    return Series(
        ("value",), values.reshape(len(values), -1), times, None if times is None else "t", None, []
    )


def test_sequences_are_all_windows_in_order_and_copy_nothing():
    values = np.arange(20.0).reshape(10, 2)
    windows = series.create_sequences(values, time_steps=4)
    assert windows.shape == (7, 4, 2)
    assert np.array_equal(windows, np.stack([values[i : i + 4] for i in range(7)]))
    assert np.shares_memory(windows, values)
    assert not windows.flags.writeable


def test_a_sequence_of_one_column_may_come_without_an_axis_for_it():
    assert series.create_sequences(np.arange(300.0)).shape == (13, 288, 1)


def test_a_series_shorter_than_a_window_has_no_sequences():
    with pytest.raises(SeriesError, match="3 rows are fewer than a window of 4"):
        series.create_sequences(np.zeros(3), 4)


@given(
    st.integers(1, 60),
    st.integers(1, 20),
    st.integers(1, 7),
    st.integers(0, 2**31),
)
def test_scores_of_windows_are_carried_over_as_one_would_by_hand(n_rows, time_steps, every, seed):
    time_steps = min(time_steps, n_rows)
    last = n_rows - time_steps
    starts = np.unique(np.append(np.arange(0, last, min(every, time_steps)), last))
    scores = np.random.default_rng(seed).random(len(starts))
    mean, least = series.row_scores(starts, scores, n_rows, time_steps)
    expected = naive.row_scores(starts, scores, n_rows, time_steps)
    np.testing.assert_allclose(mean, [m for m, _ in expected], rtol=1e-12)
    assert least.tolist() == [m for _, m in expected]


def test_a_row_is_above_a_threshold_exactly_when_all_its_windows_are():
    # One strange row: the windows that hold it, and no others, score high.
    starts = np.arange(0, 31)
    scores = np.where((starts <= 20) & (starts + 10 > 20), 5.0, 1.0)
    _, least = series.row_scores(starts, scores, 40, 10)
    assert np.flatnonzero(least > 2).tolist() == [20]


def test_a_regular_series_stays_as_it_is():
    grid = made([1, 2, 3], [0, 5, 10]).grid()
    assert grid.values[:, 0].tolist() == [1, 2, 3]
    assert grid.row.tolist() == grid.position.tolist() == [0, 1, 2]
    assert grid.stretches == [(0, 3)]
    assert grid.notes == []


def test_rows_are_sorted_by_time_and_keep_their_place_in_the_file():
    grid = made([3, 1, 2], [10, 0, 5]).grid()
    assert grid.values[:, 0].tolist() == [1, 2, 3]
    assert grid.row.tolist() == [1, 2, 0]
    assert grid.position.tolist() == [2, 0, 1]
    assert grid.notes == ["1 row earlier than the one before: sorted"]


def test_rows_of_one_time_are_averaged_and_share_a_place():
    grid = made([1, 2, 4, 8], [0, 5, 5, 10]).grid()
    assert grid.values[:, 0].tolist() == [1, 3, 8]
    assert grid.position.tolist() == [0, 1, 1, 2]
    assert grid.notes == ["1 row with the time of another: averaged with it"]


def test_short_gaps_are_filled_by_a_straight_line_and_counted():
    grid = made([1, 2, 5, 6], [0, 5, 20, 25]).grid()
    assert grid.values[:, 0].tolist() == [1, 2, 3, 4, 5, 6]
    assert grid.row.tolist() == [0, 1, -1, -1, 2, 3]
    assert grid.notes == ["2 missing rows: filled by straight lines"]


def test_a_row_without_a_number_is_a_missing_row():
    grid = made([1, np.nan, 3], [0, 5, 10]).grid()
    assert grid.values[:, 0].tolist() == [1, 2, 3]
    assert grid.position.tolist() == [0, -1, 2]
    assert grid.notes[0] == "1 row without a usable number or time: not judged"


def test_a_long_gap_is_not_bridged():
    minutes = [*range(50), *range(50 + MOST_FILLED + 1, 100 + MOST_FILLED + 1)]
    grid = made(range(100), minutes).grid()
    assert grid.stretches == [(0, 50), (50, 100)]
    assert len(grid.values) == 100
    just_short = made(range(100), [m - (m >= 50) for m in minutes]).grid()
    assert just_short.stretches == [(0, 100 + MOST_FILLED)]


def test_a_long_gap_in_one_column_ends_a_stretch_and_its_rows_are_not_judged():
    values = np.ones((100, 2)) * np.arange(100)[:, None]
    values[40:80, 1] = np.nan
    grid = made(values, range(100)).grid()
    assert grid.stretches == [(0, 40), (40, 60)]
    assert (grid.position[40:80] == -1).all()
    assert grid.position[80] == 40
    assert any(note.startswith("40 rows in long gaps of single columns") for note in grid.notes)


def test_steps_that_are_nearly_regular_are_rounded_and_irregular_ones_are_not_filled():
    nearly = made(range(30), [i + (0.3 if i == 7 else 0) for i in range(30)]).grid()
    assert len(nearly.values) == 30
    assert "rounded" in nearly.notes[0]
    rng = np.random.default_rng(1)
    irregular = made(range(200), np.cumsum(rng.exponential(10, 200)).round(3)).grid()
    assert len(irregular.values) == 200
    assert irregular.notes == [
        note for note in irregular.notes if "taken as they follow each other" in note
    ]


def test_an_hour_that_daylight_saving_repeats_is_averaged_and_one_that_it_skips_is_filled():
    autumn = [*range(0, 180, 5), *range(120, 240, 5)]
    assert len(made(range(len(autumn)), autumn).grid().values) == 48
    spring = [*range(0, 120, 5), *range(180, 300, 5)]
    grid = made(range(len(spring)), spring).grid()
    assert len(grid.values) == 60
    assert grid.stretches == [(0, 60)]


def test_without_times_rows_follow_each_other_and_empty_ones_keep_their_place():
    grid = made([1, np.nan, 3, 4]).grid()
    assert grid.values[:, 0].tolist() == [1, 2, 3, 4]
    assert grid.position.tolist() == [0, -1, 2, 3]


def test_centuries_between_rows_are_gaps_and_not_steps_back():
    one = made(range(60), range(60))
    one.times[:30] -= 8 * 10**18
    one.times[30:] += 7 * 10**18
    grid = one.grid()
    assert grid.stretches == [(0, 30), (30, 60)]
    assert grid.notes == ["1 gap of more than 24 rows: not bridged"]


@pytest.mark.parametrize(
    ("values", "minutes", "sentence"),
    [
        ([np.nan] * 5, range(5), "no row has a number"),
        ([1.0] * 5, [3] * 5, "all 5 rows have the same time"),
    ],
)
def test_a_series_that_cannot_be_judged_is_refused(values, minutes, sentence):
    with pytest.raises(SeriesError, match=sentence):
        made(values, minutes).grid()


def test_rows_without_a_readable_time_are_left_out():
    one = made([1, 2, 3, 4], [0, 5, 10, 15])
    one.times[1] = NOT_A_TIME
    assert one.grid().position.tolist() == [0, -1, 2, 3]
    assert one.in_order()[1].tolist() == [0, 2, 3]


def test_a_sensor_that_is_stuck_is_mentioned():
    values = [*range(40), *[7] * 60]
    assert made(values, range(100)).grid().notes == ["nothing changes for 60 rows on end"]


def test_awkward_series_come_out_as_one_would_put_them_on_a_grid_by_hand():
    n_refused, sentences = 0, set()
    for seed in range(600):
        values, times = naive_series.awkward_series(seed)
        expected = naive_series.grid(values, times)
        names = tuple("abc"[: values.shape[1]])
        one = Series(names, values, times, None if times is None else "t", None, [])
        if isinstance(expected, str):
            n_refused += 1
            with pytest.raises(SeriesError, match=f"^{expected}$"):
                one.grid()
            continue
        grid, (wanted, *others) = one.grid(), expected
        np.testing.assert_allclose(grid.values, wanted, rtol=1e-12, atol=1e-12)
        found = [grid.stretches, grid.row.tolist(), grid.position.tolist(), grid.notes]
        assert found == others, seed
        sentences |= {re.sub(r"[\d.,]+", "N", note).split(":")[0] for note in grid.notes}
    # The series do hold what the claim is about.
    assert 20 < n_refused < 200
    assert len(sentences) > 15


@given(st.lists(st.integers(0, 300), min_size=2, max_size=80), st.integers(0, 2**31))
def test_every_row_of_the_file_has_a_place_or_is_counted(minutes, seed):
    rng = np.random.default_rng(seed)
    values = rng.random((len(minutes), 2))
    values[rng.random(values.shape) < 0.2] = np.nan
    try:
        grid = made(values, minutes).grid()
    except SeriesError:
        return
    assert np.isfinite(grid.values).all()
    placed = np.flatnonzero(grid.position >= 0)
    assert grid.stretches[0][0] == 0
    assert grid.stretches[-1][1] == len(grid.values)
    assert all(a[1] == b[0] for a, b in itertools.pairwise(grid.stretches))
    known = grid.row >= 0
    assert (grid.position[grid.row[known]] == np.flatnonzero(known)).all()
    # Rows of a later time are never placed before others.
    order = placed[np.argsort(np.array(minutes)[placed], kind="stable")]
    assert (np.diff(grid.position[order]) >= 0).all()
    if len(placed) < len(minutes):
        assert any("not judged" in note for note in grid.notes)
