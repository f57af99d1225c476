"""Claims about the nearest-window detector, which compares windows of a series with known ones."""

import contextlib
import json
import tracemalloc

import numpy as np
import pytest

from helpers import naive_nearest_window as naive
from pyimagesearch.detectors.series.nearest_window import CHANGE, NearestWindowDetector
from pyimagesearch.detectors.series.window_bank import Scale


def rhythm(n_rows, n_columns=1, period=24, noise=0.1, seed=0):
    rng = np.random.default_rng(seed)
    phase = np.arange(n_rows)[:, None] / period + rng.random(n_columns)
    scale = rng.uniform(0.5, 20, n_columns)
    return scale * (np.sin(2 * np.pi * phase) + noise * rng.normal(size=(n_rows, n_columns))) + 3


def _scaled(values, detector):
    return (values - detector.offset) / detector.deviation


def restored(detector):
    parameters = json.loads(json.dumps(detector.parameters()))
    return NearestWindowDetector.restore(parameters, detector.arrays(), detector.networks())


@pytest.mark.parametrize(
    ("n_rows", "n_columns", "time_steps"), [(143, 1, 24), (70, 3, 8), (90, 7, 16), (400, 1, 100)]
)
@pytest.mark.parametrize("own_start", [None, 0])
def test_scores_equal_a_comparison_window_by_window(n_rows, n_columns, time_steps, own_start):
    values = rhythm(n_rows, n_columns)
    detector = NearestWindowDetector.fit(values, time_steps=time_steps)
    scored = values if own_start == 0 else rhythm(n_rows - 19, n_columns, seed=1)
    mean, least = detector.mean_and_least(scored, own_start)
    expected = naive.row_scores(detector, scored, own_start)
    np.testing.assert_allclose(np.transpose([mean, least]), expected, rtol=2e-4, atol=2e-4)


def test_a_part_of_the_training_series_is_compared_with_what_it_does_not_overlap():
    values = rhythm(150)
    detector = NearestWindowDetector.fit(values, time_steps=16)
    part = detector.mean_and_least(values[50:110], own_start=50)
    expected = naive.row_scores(detector, values[50:110], 50)
    np.testing.assert_allclose(np.transpose(part), expected, rtol=2e-4, atol=2e-4)


def test_usual_distances_are_those_of_training_windows_to_the_others():
    values = rhythm(160)
    detector = NearestWindowDetector.fit(values, time_steps=8)
    (bank,) = detector.banks  # windows of 8 rows, each of them known and none left out
    assert len(bank.starts) == 153
    known = [window.astype(float) for window in bank.windows[0]]
    for number, window in enumerate(known):
        allowed = [abs(start - bank.starts[number]) >= 8 for start in bank.starts]
        for form, transform in enumerate([lambda w: w, naive.standardised]):
            found, _ = naive.nearest(transform(window), [transform(w) for w in known], allowed)
            assert bank.usual[form, 0, number] == pytest.approx(found, rel=1e-4)


def test_one_column_is_ranked_by_a_power_mean_of_the_lengths_and_half_of_the_surroundings():
    values = rhythm(250)
    detector = NearestWindowDetector.fit(values, time_steps=40)
    means = naive.by_length(detector, values, 0)[:, :, 0]
    rows = [(sum(score**5 for score in lengths) / 3) ** (1 / 5) for lengths in means.T]
    expected = np.array(rows) + np.array(naive.surroundings(rows, 40)) / 2
    np.testing.assert_allclose(detector.score_rows(values, 0)[0], expected, rtol=2e-4)


def test_a_long_series_of_one_column_has_more_known_windows():
    known = [NearestWindowDetector.fit(rhythm(n)).banks[0].starts for n in (20_000, 96_000)]
    assert [len(starts) for starts in known] == pytest.approx([8_000, 12_000], rel=0.05)


def test_the_highest_row_stays_the_highest_with_its_surroundings():
    values = rhythm(600)
    values[300:306] = values.max() * 2
    detector = NearestWindowDetector.fit(values)
    assert (
        detector.score_rows(values, 0)[0].argmax() == detector.mean_and_least(values, 0)[0].argmax()
    )


@pytest.mark.parametrize("n_columns", [1, 5])
def test_training_rows_score_one_on_average(n_columns):
    values = rhythm(2_000, n_columns)
    detector = NearestWindowDetector.fit(values)
    mean, _ = detector.mean_and_least(values, 0)
    of_regression = detector.ridge.scores(_scaled(values, detector), 0)[0] if n_columns > 1 else 0
    assert (mean - of_regression).mean() == pytest.approx(1, abs=0.05)


def broken(kind, values, start=900, end=960):
    """A copy with something that the rhythm of 24 rows has nowhere else."""
    values = values.copy()
    stretch = np.arange(end - start)
    column = values[:, 0]
    if kind == "flat":
        column[start:end] = column.mean()
    elif kind == "faster":
        column[start:end] = column.mean() + column.std() * 1.4 * np.sin(stretch)
    elif kind == "higher":
        column[start:end] += 4 * column.std()
    elif kind == "spike":
        column[(start + end) // 2] += 6 * column.std()
    elif kind == "shifted":
        column[start:end] = column[start + 7 : end + 7]
    return values


@pytest.mark.parametrize("n_columns", [1, 4])
@pytest.mark.parametrize("kind", ["flat", "faster", "higher", "spike", "shifted"])
@pytest.mark.parametrize("own", [True, False])
def test_what_breaks_the_rhythm_scores_highest(kind, n_columns, own):
    values = rhythm(2_000, n_columns)
    odd = broken(kind, rhythm(2_000, n_columns))
    detector = NearestWindowDetector.fit(odd if own else values)
    mean, _ = detector.mean_and_least(odd, 0 if own else None)
    assert 900 - 48 <= mean.argmax() < 960 + 48


def test_the_least_score_is_high_only_where_all_windows_are_strange():
    values = rhythm(2_000)
    odd = broken("higher", values)
    mean, least = NearestWindowDetector.fit(values).mean_and_least(odd)
    assert (least <= mean + 1e-12).all()
    strange = np.flatnonzero(least > least.max() / 2)
    assert strange.min() >= 900 - 24
    assert strange.max() < 960 + 24


@pytest.mark.parametrize("n_columns", [1, 3])
def test_a_part_from_a_multiple_of_the_stride_scores_as_in_the_whole(n_columns):
    values = rhythm(6_000, n_columns, period=100)
    detector = NearestWindowDetector.fit(rhythm(3_000, n_columns, period=100, seed=1))
    whole, whole_rows = (
        detector.score_rows(values)[0],
        np.transpose(detector.mean_and_least(values)),
    )
    start = 4 * detector.stride
    part, part_rows = (
        detector.score_rows(values[start:4_000])[0],
        np.transpose(detector.mean_and_least(values[start:4_000])),
    )
    near, far = detector.time_steps, 3 * detector.time_steps
    np.testing.assert_allclose(
        part_rows[near:-near], whole_rows[start + near : 4_000 - near], rtol=1e-5
    )
    np.testing.assert_allclose(part[far:-far], whole[start + far : 4_000 - far], rtol=1e-5)


def test_the_last_rows_are_held_by_a_window():
    values = rhythm(1_000)
    detector = NearestWindowDetector.fit(values, time_steps=100)
    for n_rows in range(700, 720):
        odd = values[:n_rows].copy()
        odd[-1] += 100
        assert detector.mean_and_least(odd)[1][-1] > 5


def test_the_same_series_gives_the_same_detector_and_another_seed_another():
    values = rhythm(12_000, period=12)
    first, second = NearestWindowDetector.fit(values), NearestWindowDetector.fit(values)
    for name, array in first.arrays().items():
        np.testing.assert_array_equal(array, second.arrays()[name])
    np.testing.assert_array_equal(first.score_rows(values)[0], second.score_rows(values)[0])
    other = NearestWindowDetector.fit(values, seed=1)
    assert not np.array_equal(other.arrays()["starts_0"], first.arrays()["starts_0"])


@pytest.mark.parametrize(("n_rows", "n_columns"), [(300, 1), (12_000, 1), (1_500, 20)])
def test_a_restored_detector_scores_exactly_the_same(n_rows, n_columns):
    values = rhythm(n_rows, n_columns, period=12)
    detector = NearestWindowDetector.fit(values)
    again = restored(detector)
    for own_start in (None, 0):
        for ours, theirs in zip(
            detector.mean_and_least(values, own_start),
            again.mean_and_least(values, own_start),
            strict=True,
        ):
            np.testing.assert_array_equal(ours, theirs)


def test_only_rows_of_known_windows_are_kept():
    detector = NearestWindowDetector.fit(rhythm(60_000, 16, period=8))
    n_known = len(detector.banks[0].starts)
    assert len(detector.rows) < 60_000
    assert len(detector.rows) <= n_known * sum(bank.scale.window for bank in detector.banks)
    restored(detector)


def test_a_column_that_was_constant_is_seen_when_it_changes():
    values = rhythm(1_000, 3)
    values[:, 1] = 7.0
    detector = NearestWindowDetector.fit(values)
    odd = values.copy()
    odd[500:520, 1] += 3 * values.std(axis=0).max()
    assert np.isfinite(detector.score_rows(values)[0]).all()
    assert 490 <= detector.score_rows(odd)[0].argmax() < 530


def test_a_series_that_repeats_itself_exactly_has_finite_scores():
    values = np.tile([0.0, 1.0, 4.0, 2.0, 0.5, 3.0, 1.5, 2.5, 0.2, 3.3], 100)[:, None]
    detector = NearestWindowDetector.fit(values)
    odd = values.copy()
    odd[500] += 0.5
    assert (detector.mean_and_least(values, 0)[0] < 0.1).all()
    assert np.isfinite(detector.score_rows(odd)[0]).all()
    assert abs(int(detector.mean_and_least(odd)[0].argmax()) - 500) < detector.time_steps


def test_numbers_beyond_all_that_was_learned_have_finite_scores():
    values = rhythm(1_000)
    detector = NearestWindowDetector.fit(values)
    odd = values.copy()
    odd[500] = 1e300
    scores = detector.score_rows(odd)[0]
    assert np.isfinite(scores).all()
    assert scores.max() > 1_000


@pytest.mark.parametrize("n_columns", [1, 6])
def test_the_shortest_possible_series_is_scored_and_a_shorter_one_is_told_what_it_takes(n_columns):
    values = rhythm(32, n_columns)
    scores = NearestWindowDetector.fit(values).score_rows(values, 0)[0]
    assert scores.shape == (32,)
    assert np.isfinite(scores).all()
    with pytest.raises(ValueError, match=r"31 rows are too few .* at least 32"):
        NearestWindowDetector.fit(values[:31])


def test_series_of_any_length_are_four_windows_long():
    for n_rows in (*range(32, 140, 3), 1_000):
        detector = NearestWindowDetector.fit(rhythm(n_rows, period=30))
        assert 4 * detector.time_steps <= n_rows, n_rows


def test_asked_windows_that_do_not_suit_are_told_what_it_takes():
    values = rhythm(400)
    with pytest.raises(ValueError, match=r"400 rows are too few .* of 192: .* at least 768"):
        NearestWindowDetector.fit(values, time_steps=192)
    with pytest.raises(ValueError, match="windows of 5 rows are too short"):
        NearestWindowDetector.fit(values, time_steps=5)


def test_of_a_series_that_never_changes_the_rows_that_differ_are_anomalies_and_no_others():
    known = np.full((1_000, 2), 0.1)
    detector = NearestWindowDetector.fit(known)
    assert not detector.score_rows(known, 0)[1].any()
    values = known.copy()
    values[500:520, 1] = 0.1001
    deciding = detector.score_rows(values)[1]
    assert (deciding[500:520] >= CHANGE).all()
    assert not np.delete(deciding, range(500, 520)).any()


def test_any_change_of_a_column_that_never_changed_is_anomalous():
    known = np.column_stack([rhythm(1_000), np.full(1_000, 3.5)])
    values = known.copy()
    values[500:520, 1] = 3.5001  # of the other column's deviation next to nothing
    mean, _ = NearestWindowDetector.fit(known).mean_and_least(values)
    assert (mean[500:520] >= CHANGE).all()
    assert (np.delete(mean, range(500, 520)) < CHANGE / 2).all()


def test_a_model_file_of_older_versions_knows_no_constant_columns():
    detector = NearestWindowDetector.fit(np.column_stack([rhythm(1_000), np.full(1_000, 3.5)]))
    arrays = detector.arrays()
    del arrays["is_constant"]
    older = NearestWindowDetector.restore(detector.parameters(), arrays, {})
    assert not older.is_constant.any()


def test_numbers_whose_squares_are_infinite_are_refused():
    values = rhythm(1_000)
    values[5] = 1e300
    with pytest.raises(ValueError, match="too large"):
        NearestWindowDetector.fit(values)


@pytest.mark.parametrize("shape", [(100, 2), (100, 1, 1), (20, 1), (0, 1)])
def test_values_of_another_shape_are_refused(shape):
    detector = NearestWindowDetector.fit(rhythm(500))
    with pytest.raises(ValueError, match="at least 48 rows of 1 columns"):
        detector.score_rows(np.zeros(shape))[0]


def test_a_scale_is_near_what_was_asked_for_and_the_scale_of_its_own_windows():
    for rows in range(8, 3_000, 7):
        scale = Scale.from_rows(rows)
        assert abs(scale.window - rows) <= rows / 12, rows
        assert Scale.from_rows(scale.window) == scale, rows
        assert scale.window % scale.segment == 0, rows
        assert 6 <= scale.window / scale.segment <= 95, rows


def damaged(arrays, name, change):
    return {**arrays, name: change(arrays[name].copy())}


def assigned(index, value):
    def change(array):
        array[index] = value
        return array

    return change


DAMAGE = [
    ("rows", lambda a: a.astype(np.float64)),
    ("rows", lambda a: a[:-1]),
    ("rows", assigned((3, 0), np.nan)),
    ("offset", lambda a: a[:1]),
    ("offset", assigned(0, np.inf)),
    ("deviation", assigned(1, 0.0)),
    ("deviation", assigned(1, -1.0)),
    ("starts_0", assigned(0, -1)),
    ("starts_0", assigned(-1, 10**6)),
    ("starts_1", assigned(3, 0)),
    ("starts_1", lambda a: a[:0]),
    ("starts_1", lambda a: a[:, None]),
    ("starts_1", lambda a: a.astype(np.int32)),
    ("usual_0", lambda a: a[:1]),
    ("usual_1", assigned((0, 0, 5), -1.0)),
    ("usual_1", assigned((0, 0, 5), np.nan)),
    ("level_1", assigned(0, 0.0)),
    ("level_2", lambda a: a[:2]),
]


@pytest.mark.parametrize(("name", "change"), DAMAGE)
def test_damaged_arrays_are_refused(name, change):
    detector = NearestWindowDetector.fit(rhythm(500, 2))
    with pytest.raises(ValueError, match=f"its detector|its array '{name}'"):
        NearestWindowDetector.restore(
            detector.parameters(), damaged(detector.arrays(), name, change), {}
        )


@pytest.mark.parametrize(("name", "value"), [("n_rows", 2**31 - 1), ("time_steps", 2**29)])
def test_rows_that_are_only_claimed_take_no_memory(name, value):
    detector = NearestWindowDetector.fit(rhythm(500, 2))
    claimed = detector.parameters() | {"n_rows": 2**31 - 1, name: value}
    tracemalloc.start()
    try:
        with contextlib.suppress(ValueError):
            NearestWindowDetector.restore(claimed, detector.arrays(), {})
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 10**7


@pytest.mark.parametrize("name", ["offset", "rows", "starts_0", "usual_2", "level_1"])
def test_missing_arrays_are_refused(name):
    detector = NearestWindowDetector.fit(rhythm(500, 2))
    arrays = {key: array for key, array in detector.arrays().items() if key != name}
    with pytest.raises(ValueError, match=name):
        NearestWindowDetector.restore(detector.parameters(), arrays, {})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("time_steps", 7),
        ("time_steps", 4_000),
        ("time_steps", "48"),
        ("time_steps", None),
        ("n_columns", 3),
        ("n_columns", 0),
        ("n_rows", True),
        ("n_rows", 2**70),
        ("n_rows", 100),
    ],
)
def test_parameters_that_do_not_suit_are_refused(name, value):
    detector = NearestWindowDetector.fit(rhythm(500, 2))
    with pytest.raises(ValueError, match=r"its detector|its array"):
        NearestWindowDetector.restore({**detector.parameters(), name: value}, detector.arrays(), {})


def test_networks_are_refused():
    detector = NearestWindowDetector.fit(rhythm(500))
    with pytest.raises(ValueError, match="no network"):
        NearestWindowDetector.restore(detector.parameters(), detector.arrays(), {"network": b""})


def test_windows_are_compared_in_blocks():
    values = rhythm(40_000, period=8)
    tracemalloc.start()
    NearestWindowDetector.fit(values).score_rows(values, 0)[0]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 200e6  # all windows against all known ones: 40,000 x 8,000 x 4 bytes
