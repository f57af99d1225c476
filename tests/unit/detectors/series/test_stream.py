"""Claims about the stream detector: causal, in constant memory, and going on where it was saved."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import naive_stream as naive
from pyimagesearch.detectors import registry
from pyimagesearch.detectors.model_file import load_model, save_model
from pyimagesearch.detectors.series.stream import (
    DEFAULT_THRESHOLD,
    UNITS,
    StreamDetector,
    default_warm_up,
)
from pyimagesearch.detectors.series.stream_state import (
    LARGEST,
    MOST_EXCESS,
    SURPRISE_SCORES,
    Settings,
    SlidingMinimum,
)
from pyimagesearch.labelling import thresholds

MINUTE = 60 * 10**9
SHORT = Settings(minimum=4, short=2, long=5, slot=3_600)  # so that few rows reach everything


@st.composite
def series(draw, most_rows=120, most_columns=3):
    """Times and values: steps, spikes, ties, gaps of NaN, any start and an uneven rhythm."""
    n_rows, n_columns = draw(st.integers(0, most_rows)), draw(st.integers(1, most_columns))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    rough = rng.normal(size=(n_rows, n_columns)).round(draw(st.integers(0, 3)))
    values = rough.cumsum(axis=0) if draw(st.booleans()) else rough
    values[rng.random(values.shape) < 0.05] *= 100
    values[rng.random(values.shape) < draw(st.sampled_from([0, 0.2]))] = np.nan
    steps = rng.integers(1, draw(st.sampled_from([2, 200])), n_rows) * 10 * MINUTE
    times = draw(st.integers(-(10**18), 10**18)) + steps.cumsum()
    return (times if draw(st.booleans()) else None), values


def part(times, values, rows):
    return (None if times is None else times[rows]), values[rows]


def stream_of(values, **options):
    return StreamDetector(values.shape[1], **{"warm_up": 20, "settings": SHORT, **options})


def daily(n_days: int, seed: int = 0, noise: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    """Times and values (n, 1) of a daily rhythm, every five minutes."""
    minutes = np.arange(288 * n_days) * 5
    wave = np.sin(2 * np.pi * minutes / 1440) + noise * np.random.default_rng(seed).normal(
        size=len(minutes)
    )
    return 1_700_000_000 * 10**9 + minutes * MINUTE, wave[:, None]


@given(series(), st.data())
def test_changing_the_future_never_changes_a_past_score(made, data):
    times, values = made
    cut = data.draw(st.integers(0, len(values)))
    other = values.copy()
    other[cut:] = data.draw(st.sampled_from([np.nan, 1e12, -3.0]))
    other_times = None if times is None else times.copy()
    if times is not None:
        other_times[cut:] += data.draw(st.integers(0, 10**15))
    whole = stream_of(values).update(times, values)
    assert stream_of(values).update(other_times, other)[:cut].tolist() == whole[:cut].tolist()
    past = part(times, values, slice(cut))
    assert stream_of(values).update(*past).tolist() == whole[:cut].tolist()


@given(series(), st.data())
def test_how_rows_are_distributed_over_calls_makes_no_difference(made, data):
    times, values = made
    cuts = sorted(data.draw(st.lists(st.integers(0, len(values)), max_size=6)))
    detector = stream_of(values)
    pieces = [
        detector.update(*part(times, values, slice(start, end)))
        for start, end in zip([0, *cuts], [*cuts, len(values)], strict=True)
    ]
    whole = stream_of(values).update(times, values)
    assert np.concatenate(pieces).tolist() == whole.tolist()


@settings(max_examples=40)
@given(made=series(), data=st.data())
def test_saving_and_loading_in_the_middle_changes_nothing(tmp_path_factory, made, data):
    times, values = made
    cut = data.draw(st.integers(0, len(values)))
    detector = stream_of(values)
    detector.update(*part(times, values, slice(cut)))
    path = str(tmp_path_factory.mktemp("stream") / "series.model")
    save_model(path, {"detector": registry.describe(detector)}, registry.array_members(detector))
    loaded = registry.restore(load_model(path))
    assert_same_state(loaded, detector)
    future = part(times, values, slice(cut, None))
    assert loaded.update(*future).tolist() == detector.update(*future).tolist()
    assert_same_state(loaded, detector)


def assert_same_state(one: StreamDetector, other: StreamDetector) -> None:
    assert one.parameters() == other.parameters()
    ours, theirs = one.arrays(), other.arrays()
    assert {k: (a.dtype, a.shape, a.tobytes()) for k, a in ours.items()} == {
        k: (a.dtype, a.shape, a.tobytes()) for k, a in theirs.items()
    }


def test_saving_a_stream_in_the_middle_of_real_length_changes_nothing(tmp_path):
    times, values = daily(30)
    values[5000:5060] += 0.4
    values[6000] = 9
    detector = StreamDetector.fit(times[:5030], values[:5030])
    path = str(tmp_path / "series.model")
    save_model(path, {"detector": registry.describe(detector)}, registry.array_members(detector))
    loaded = registry.restore(load_model(path))
    found = loaded.update(times[5030:], values[5030:])
    assert found.tolist() == detector.update(times[5030:], values[5030:]).tolist()
    assert found[6000 - 5030] > DEFAULT_THRESHOLD


def test_fitting_is_going_through_the_training_series():
    times, values = daily(5)
    detector = StreamDetector(warm_up=default_warm_up(len(values)))
    detector.update(times, values)
    assert_same_state(StreamDetector.fit(times, values[:, 0]), detector)


@pytest.mark.parametrize("shape", ["noise", "rising", "falling", "waves", "constant"])
def test_the_state_does_not_grow_with_the_series(shape):
    n_rows = 30_000
    rows = np.arange(n_rows)
    values = {
        "noise": np.random.default_rng(0).normal(size=n_rows),
        "rising": rows**1.5,
        "falling": -(rows**1.5),
        "waves": np.sin(rows / 50) * rows,
        "constant": np.ones(n_rows),
    }[shape]
    times = rows * 5 * MINUTE
    detector = StreamDetector(warm_up=100)
    # Times of the day and week, the rows of each minimum and of the rest, and a few numbers.
    most = 8 * (2 * (336 + 48) + 2 * (20 + 12 + 1 + 3 + 48 + 48) + 40)
    for start in range(0, n_rows, 1000):
        part = slice(start, start + 1000)
        detector.update(times[part], values[part])
        assert sum(array.nbytes for array in detector.arrays().values()) <= most
        described = json.dumps(detector.parameters())
        assert len(described) < 200


def test_nothing_drifts_in_a_constant_series():
    detector = StreamDetector(warm_up=0)
    times = np.arange(50_000) * 5 * MINUTE
    assert not detector.update(times, np.full(50_000, 0.1)).any()


def test_large_values_long_ago_leave_no_rounding_errors_in_the_minima():
    values = np.concatenate([np.full(50, 1e16), np.full(200, 0.1), [0.1 + 1e-9]])
    _, found = StreamDetector(warm_up=0).explain(None, values)
    assert not found[51 + 12 :].any()
    assert found[50, 0].tolist() == [MOST_EXCESS, MOST_EXCESS, MOST_EXCESS, 0, 0, 0, 0]


@given(st.lists(st.integers(-5, 5), max_size=60), st.integers(1, 12))
def test_sliding_minima_are_the_least_of_the_last_values(values, length):
    sliding = SlidingMinimum(length)
    found = [sliding.push(row, value) for row, value in enumerate(values)]
    assert found == naive.sliding_minima(values, length)
    assert len(sliding.entries) <= length


@settings(max_examples=60)
@given(series(), st.integers(0, 30), st.integers(1, 15))
def test_scores_equal_those_of_a_look_at_the_whole_past(made, warm_up, rest):
    times, values = made
    seconds = None if times is None else (times // 10**9).tolist()
    found = stream_of(values, warm_up=warm_up, rest=rest).update(times, values)
    expected = naive.scores(seconds, values.T.tolist(), SHORT, warm_up, rest)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@settings(max_examples=30)
@given(series(most_rows=100, most_columns=1))
def test_what_a_score_is_made_of_is_told_with_it(made):
    times, values = made
    values = np.nan_to_num(values)
    detector = stream_of(values, warm_up=0, rest=1)
    scores, found = detector.explain(times, values)
    assert scores.tolist() == stream_of(values, warm_up=0, rest=1).update(times, values).tolist()
    assert found.shape == (len(values), 1, len(SURPRISE_SCORES))
    seconds = None if times is None else (times // 10**9).tolist()
    expected = naive.surprises(seconds, values[:, 0].tolist(), SHORT)
    np.testing.assert_allclose(found[:, 0], np.reshape(expected, (-1, 7)), rtol=1e-12)
    strengths = (found[:, 0] * (1 / np.array(UNITS))).max(axis=1, initial=0)
    assert (scores[scores > 0] == strengths[scores > 0]).all()


@given(series(), st.integers(-40, 40))
def test_the_unit_of_the_values_does_not_matter(made, exponent):
    times, values = made
    scaled = stream_of(values).update(times, values * 2.0**exponent)
    assert scaled.tolist() == stream_of(values).update(times, values).tolist()


def test_a_level_that_is_usual_at_another_time_is_found_by_its_time_alone():
    times, values = daily(28)
    night = slice(288 * 21 + 210, 288 * 21 + 240)  # the trough; 0.9 is reached every noon
    values[night] = 0.9
    with_times = StreamDetector.fit(times[: night.start], values[: night.start])
    without = StreamDetector.fit(None, values[: night.start])
    assert with_times.update(times[night], values[night]).max() > DEFAULT_THRESHOLD
    scores, found = without.explain(None, values[night])
    assert not scores.any()
    assert not found[:, :, 3:].any()


def test_a_row_without_a_time_among_others_has_no_departure_and_all_else():
    times, values = daily(10)
    detector, other = StreamDetector(), StreamDetector()
    times[2000] = np.iinfo(np.int64).min
    values[2000] = 7
    scores, found = detector.explain(times, values)
    assert scores[2000] > DEFAULT_THRESHOLD
    assert not found[2000, :, 3:].any()
    of_dates = other.update(times.view("datetime64[ns]"), values)
    assert of_dates.tolist() == scores.tolist()


def test_after_an_alarm_only_a_stronger_one_is_heard_until_the_rest_is_over():
    values = np.tile([0.0, 1.0], 200)
    # Each goes beyond all before it: by 10%, 5%, 30%, 15% and 2% of the range so far.
    values[[101, 111, 121, 173, 175]] = np.cumprod([1.1, 1.05, 1.3, 1.15, 1.02])
    scores = StreamDetector(warm_up=50, rest=50).update(None, values)
    assert np.flatnonzero(scores).tolist() == [101, 121, 173]
    np.testing.assert_allclose(scores[[101, 121, 173]], [10, 30, 15])


def test_a_held_departure_is_heard_where_none_of_its_rows_is_by_itself():
    times, values = daily(28, noise=0.3)
    values[288 * 20 : 288 * 20 + 100] += 0.7
    scores, found = StreamDetector().explain(times, values)
    event = slice(288 * 20, 288 * 20 + 100)
    assert scores[event].max() > DEFAULT_THRESHOLD
    at = event.start + int(scores[event].argmax())
    assert np.argmax(found[at, 0] / UNITS) in (5, 6)


def test_nothing_scores_while_it_warms_up():
    values = np.random.default_rng(0).normal(size=300) * np.arange(300)
    scores = StreamDetector(warm_up=200).update(None, values)
    assert not scores[:200].any()
    assert scores[200:].any()


@pytest.mark.parametrize("missing", [np.nan, np.inf, -np.inf])
def test_a_row_without_a_number_scores_nothing_and_changes_nothing(missing):
    times, values = daily(4)
    detector = StreamDetector.fit(times[:900], values[:900])
    other = StreamDetector.fit(times[:900], values[:900])
    assert detector.update(times[900:910], np.full(10, missing)).tolist() == [0.0] * 10
    assert_same_state(detector, other)


def test_a_column_without_a_number_leaves_the_row_to_the_others():
    times, values = daily(4)
    both = np.column_stack([values[:, 0], np.full(len(values), np.nan)])
    both[1000, 0] = 5
    values[1000] = 5
    found = StreamDetector(2).update(times, both)
    assert found.tolist() == StreamDetector(1).update(times, values).tolist()
    assert found[1000] > DEFAULT_THRESHOLD


def test_of_several_columns_the_strangest_decides():
    times, values = daily(4)
    three = np.column_stack([values, values[::-1], values * 2])
    three[1000, 1] += 4
    found = StreamDetector(3).update(times, three)
    alone = StreamDetector(1).update(times, three[:, 1])
    assert found[1000] == alone[1000] > DEFAULT_THRESHOLD


def test_the_largest_numbers_there_are_give_finite_scores():
    largest = np.finfo(float).max
    values = np.tile([largest, -largest, 0.0, 5e-324, -5e-324], 40)
    values[150:] = [largest * (-1) ** i for i in range(50)]
    times = np.arange(200) * 3600 * 10**9
    detector = StreamDetector(warm_up=0, settings=SHORT)
    scores, found = detector.explain(times, values)
    assert np.isfinite(scores).all()
    assert ((found >= 0) & (found <= MOST_EXCESS)).all()
    assert (np.abs(detector.arrays()["ranges"]) <= LARGEST).all()


def test_a_threshold_from_the_training_rows_gives_the_rate_that_was_asked_for():
    times, values = daily(60, noise=0.5)
    detector = StreamDetector(warm_up=750)
    training = detector.update(times[:10_000], values[:10_000])[750:]
    per_row = 5 / len(training)
    threshold = thresholds.score_for_rate(training, per_row)
    assert (training > threshold).sum() in (4, 5)
    later = detector.update(times[10_000:], values[10_000:])
    # Twice the standard deviation of a count with this mean.
    assert (later > threshold).sum() <= per_row * len(later) + 2 * np.sqrt(per_row * len(later))


@pytest.mark.parametrize(
    ("times", "values", "message"),
    [
        (None, np.zeros((4, 3)), r"shape \(4, 3\) for 2 columns"),
        (None, np.zeros(4), r"shape \(4, 1\) for 2 columns"),
        (np.arange(3), np.zeros((4, 2)), "timestamps of shape"),
        (np.arange(4.0), np.zeros((4, 2)), "float64 for 4 rows"),
    ],
)
def test_rows_of_another_form_are_refused(times, values, message):
    with pytest.raises(ValueError, match=message):
        StreamDetector(2).update(times, values)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_columns": 0}, "n_columns is 0"),
        ({"warm_up": -1}, "warm_up is -1"),
        ({"warm_up": 1.5}, "warm_up is 1.5"),
        ({"rest": 0}, "rest is 0"),
        ({"rest": 10**9}, "rest is 1000000000"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        StreamDetector(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"minimum": 0}, "minimum is 0"),
        ({"long": True}, "long is True"),
        ({"slot": 7_000}, "does not divide a day"),
        ({"slot": 1}, "slot is 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Settings(**options)


def altered(index, value):
    def change(array):
        array[index] = value
        return array

    return change


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_columns": 3}, "'ranges' is not float64 of"),
        ({"n_columns": 10**9}, "n_columns is 1000000000"),
        ({"n_columns": None}, "n_columns is None"),
        ({"warm_up": "9"}, "warm_up is '9'"),
        ({"rest": None}, "rest is None"),
        ({"n_rows": 400}, "more rows than there were"),
        ({"n_rows": 1000}, "do not end with its last"),
        ({"n_rows": 1.0}, "n_rows is 1.0"),
        ({"settings": None}, "settings are None"),
        ({"settings": {"slot": 1_800}}, "settings are"),
        ({"settings": {"minimum": 12, "short": 3, "long": 48, "slot": 900}}, "'means' is not"),
        ({"settings": {"minimum": 5, "short": 3, "long": 48, "slot": 1800}}, "too many|too far"),
        ({"ranges": None}, "no array 'ranges'"),
        ({"ranges": altered((0, 0, 0), 99)}, "ends before it begins"),
        ({"ranges": lambda a: a.astype(np.float32)}, "array 'ranges' is not"),
        ({"before": altered(0, np.nan)}, "'before' has .* not finite"),
        ({"means": altered((0, 5), np.inf)}, "'means' has .* not finite"),
        ({"means": lambda a: a[:, :-1].copy()}, "'means' is not float64 of"),
        ({"counts": altered((0, 0), 21)}, "'counts' is out of bounds"),
        ({"counts": altered((0, 0), -1)}, "'counts' is out of bounds"),
        ({"records": altered((0, 0), -1)}, "record of the stream is negative"),
        ({"rows": altered(0, -1)}, "'rows' is out of bounds"),
        ({"rows": altered(0, 499)}, "do not end with its last"),
        ({"signs": altered((0, 0), 2)}, "'signs' is out of bounds"),
        ({"signs": altered((0, 0), 0)}, "has a side and no rows"),
        ({"runs": altered((0, 0), 2**40)}, "lasted longer than the series"),
        ({"runs": altered((0, 0), 400)}, "do not end with its last"),
        ({"queue_sizes": altered(0, 2**61)}, "not as many as it says"),
        ({"queue_sizes": lambda a: np.roll(a, 1)}, "last rows|too many"),
        ({"queue_rows": altered(0, -1)}, "'queue_rows' is out of bounds"),
        ({"queue_rows": lambda a: a.reshape(-1, 1)}, "'queue_rows' is not"),
        ({"queue_values": altered(0, np.nan)}, "'queue_values' has .* not finite"),
        ({"queue_values": lambda a: -a}, "not in order|negative|not positive"),
        ({"queue_values": lambda a: a[:-1].copy()}, "'queue_values' is not"),
    ],
)
def test_a_state_that_no_series_leads_to_is_refused_with_its_own_sentence(changes, message):
    times, values = daily(2)
    two = np.column_stack([values, -values])[:500]
    detector = StreamDetector.fit(times[:500], two)
    parameters = detector.parameters()
    arrays = {name: array.copy() for name, array in detector.arrays().items()}
    for name, change in changes.items():
        if name in parameters:
            parameters[name] = change
        elif change is None:
            del arrays[name]
        else:
            arrays[name] = change(arrays[name])
    with pytest.raises(ValueError, match=message):
        StreamDetector.restore(parameters, arrays, {})


@pytest.mark.parametrize(
    ("entries", "n_rows", "message"),
    [
        ([(9, 1.0)], 0, "do not end with its last one"),
        ([], 10, "do not end with its last one"),
        ([(8, 1.0)], 10, "do not end with its last one"),
        ([(4, 1.0), (9, 2.0)], 10, "reach too far back"),
        ([(-1, 1.0), (2, 2.0)], 3, "reach too far back"),
        ([(7, 1.0), (6, 2.0), (9, 3.0)], 10, "not in order"),
        ([(7, 1.0), (9, 1.0)], 10, "not in order"),
    ],
)
def test_entries_that_are_no_sliding_minimum_are_refused(entries, n_rows, message):
    sliding = SlidingMinimum(5)
    sliding.entries.extend(entries)
    with pytest.raises(ValueError, match=message):
        sliding.check(n_rows)


def test_a_stream_with_a_network_is_refused():
    detector = StreamDetector()
    with pytest.raises(ValueError, match="no network"):
        StreamDetector.restore(detector.parameters(), detector.arrays(), {"network": b""})
