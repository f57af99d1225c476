"""Claims about the metrics of series."""

import csv
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.nab_score import NAB_PROFILES, nab_curve, nab_file, nab_score, nab_threshold
from benchmarks.ucr_hits import ucr_hit
from benchmarks.vus import vus_pr
from helpers import naive_metrics as naive
from helpers.lazy import Lazy
from pyimagesearch import metrics

sklearn_metrics = Lazy("sklearn.metrics")

rows_with_labels = st.lists(
    st.tuples(st.booleans(), st.integers(0, 5).map(float)), min_size=1, max_size=40
)


def columns(rows):
    first, second = zip(*rows, strict=True)
    return np.array(first), np.array(second)


@given(rows_with_labels, st.integers(0, 12), st.sampled_from([1, 2, 7, 250]))
def test_vus_pr_is_the_mean_area_over_the_buffers(rows, max_buffer, n_thresholds):
    labels, scores = columns(rows)
    found = vus_pr(labels, scores, max_buffer, n_thresholds)
    expected = naive.vus_pr(labels.tolist(), scores.tolist(), max_buffer, n_thresholds)
    assert found == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("seed", range(4))
def test_vus_pr_of_longer_series_is_the_mean_area_over_the_buffers(seed):
    rng = np.random.default_rng(seed)
    labels = np.zeros(400, bool)
    for start in rng.integers(0, 390, 2 + 3 * seed):
        labels[start : start + rng.integers(1, 30)] = True
    scores = np.round(rng.random(400) + 0.4 * labels, 1 + seed)
    expected = naive.vus_pr(labels.tolist(), scores.tolist(), 30, 250)
    assert vus_pr(labels, scores, 30) == pytest.approx(expected)


def test_without_a_buffer_and_with_a_threshold_for_each_row_vus_pr_is_average_precision():
    labels = np.zeros(100, bool)
    labels[40:60] = True
    scores = np.random.default_rng(0).random(100)
    # One anomaly, met by every threshold that recalls anything.
    expected = metrics.average_precision(labels, scores)
    assert vus_pr(labels, scores, 0, n_thresholds=100) == pytest.approx(expected)


def test_vus_pr_is_undefined_without_an_anomaly():
    assert math.isnan(vus_pr([0, 0], [1.0, 2.0], 3))


@pytest.mark.parametrize("settings", [(-1, 250), (3, 0)])
def test_vus_pr_needs_a_buffer_and_thresholds(settings):
    with pytest.raises(ValueError, match="at least 0 and 1"):
        vus_pr([0, 1], [1.0, 2.0], *settings)


@given(st.integers(0, 999), st.integers(300, 600), st.integers(1, 250), st.integers(0, 300))
def test_a_ucr_hit_is_the_highest_score_near_the_anomaly(peak, first, length, train_end):
    scores = np.zeros(1000)
    scores[peak] = 1
    found = ucr_hit(scores, first, first + length - 1, train_end)
    assert found == naive.ucr_hit(scores, first, first + length - 1, train_end)


def test_a_peak_100_rows_off_a_short_anomaly_is_a_hit_and_101_rows_off_is_none():
    for off, hit in ((-101, False), (-100, True), (100, True), (101, False)):
        scores = np.zeros(1000)
        scores[500 + off] = 1
        assert ucr_hit(scores, 500, 500, 100) is hit


@pytest.mark.parametrize("rows", [(50, 60, 51), (60, 50, 0), (90, 100, 0)])
def test_an_anomaly_outside_the_test_part_is_refused(rows):
    with pytest.raises(ValueError, match="does not lie in the test part"):
        ucr_hit(np.zeros(100), *rows)


@given(st.lists(st.booleans(), max_size=30))
def test_ranges_are_the_runs_of_labels(labels):
    expected = [[rows[0], rows[-1]] for rows in naive.runs(labels)]
    assert metrics.label_ranges(labels).tolist() == expected


@given(
    st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40),
    st.sampled_from(["flat", "front", "middle", "back"]),
    st.booleans(),
    st.sampled_from([0.0, 0.3, 1.0]),
)
def test_range_precision_and_recall_are_the_papers_equations(rows, bias, reciprocal, alpha):
    labels, called = (column.tolist() for column in columns(rows))
    found = metrics.range_recall(
        labels, called, existence_weight=alpha, bias=bias, reciprocal=reciprocal
    )
    expected = naive.range_recall(labels, called, alpha, bias, reciprocal)
    assert found == pytest.approx(expected, nan_ok=True)
    found = metrics.range_precision(labels, called, bias=bias, reciprocal=reciprocal)
    expected = naive.range_precision(labels, called, bias, reciprocal)
    assert found == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("bias", "share"), [("flat", 2 / 4), ("front", 7 / 10), ("middle", 3 / 6), ("back", 3 / 10)]
)
def test_early_rows_count_more_with_front_bias(bias, share):
    # Four anomalous rows, of which the first two are found; worked out by hand from figure 2.
    found = metrics.range_recall([1, 1, 1, 1, 0], [1, 1, 0, 0, 0], bias=bias)
    assert found == pytest.approx(share)


@pytest.mark.parametrize(
    ("bias", "share"), [("flat", 1 / 5), ("front", 3 / 15), ("middle", 3 / 9), ("back", 3 / 15)]
)
def test_the_middle_row_counts_most_with_middle_bias(bias, share):
    found = metrics.range_recall([1, 1, 1, 1, 1], [0, 0, 1, 0, 0], bias=bias)
    assert found == pytest.approx(share)


def test_an_anomaly_found_in_two_pieces_counts_half_of_its_share():
    labels, called = [1, 1, 1, 1, 1, 1, 0], [1, 1, 0, 0, 1, 1, 0]
    assert metrics.range_recall(labels, called) == pytest.approx(1 / 2 * 4 / 6)
    assert metrics.range_recall(labels, called, reciprocal=False) == pytest.approx(4 / 6)
    found = metrics.range_recall(labels, called, existence_weight=0.5)
    assert found == pytest.approx(0.5 * 1 + 0.5 * 1 / 2 * 4 / 6)


def test_a_call_that_spans_two_anomalies_counts_half_of_its_share():
    labels, called = [1, 1, 0, 0, 0, 0, 0, 0, 1, 1], [1] * 10
    assert metrics.range_precision(labels, called) == pytest.approx(1 / 2 * 4 / 10)
    assert metrics.range_recall(labels, called) == 1.0


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30))
def test_ranges_of_one_row_give_the_usual_precision_and_recall(rows):
    # The paper's claim that its model subsumes the classical one.
    apart = np.zeros((2 * len(rows), 2), bool)
    apart[::2] = rows
    labels, called = apart.T
    if labels.any():
        assert metrics.range_recall(labels, called) == pytest.approx(
            sklearn_metrics.recall_score(labels, called)
        )
    if called.any():
        found = metrics.range_precision(labels, called)
        assert found == pytest.approx(sklearn_metrics.precision_score(labels, called))


def test_range_precision_of_no_call_and_range_recall_of_no_anomaly_are_undefined():
    assert math.isnan(metrics.range_precision([0, 1], [0, 0]))
    assert math.isnan(metrics.range_recall([0, 0], [0, 1]))
    assert metrics.range_recall([0, 1], [0, 0]) == metrics.range_precision([0, 0], [0, 1]) == 0


def test_settings_of_range_metrics_that_do_not_exist_are_refused():
    with pytest.raises(ValueError, match="not one of flat, front"):
        metrics.range_precision([0, 1], [0, 1], bias="left")
    with pytest.raises(ValueError, match="existence"):
        metrics.range_recall([0, 1], [0, 1], existence_weight=2)
    with pytest.raises(ValueError, match="differ in length"):
        metrics.range_recall([0, 1], [0, 1, 1])


def random_files(rng, n_files):
    """Files with windows, as the oracle takes them, and scores with many ties."""
    files, scores = {}, {}
    for number in range(n_files):
        n_rows = int(rng.integers(20, 120))
        edges = np.sort(rng.choice(n_rows, 2 * int(rng.integers(0, 4)), replace=False)).tolist()
        files[str(number)] = n_rows, list(zip(edges[::2], edges[1::2], strict=True))
        scores[str(number)] = np.round(rng.random(n_rows), 1)
    return files, scores


def prepared(files):
    return {name: nab_file(*file) for name, file in files.items()}


@pytest.mark.parametrize("profile", list(NAB_PROFILES))
@pytest.mark.parametrize("seed", range(8))
def test_the_nab_score_of_every_threshold_is_what_its_alarms_are_worth(profile, seed):
    files, scores = random_files(np.random.default_rng(seed), 1 + seed)
    weights = NAB_PROFILES[profile]
    weights = weights.hit, weights.miss, weights.false_alarm
    thresholds, values = nab_curve(prepared(files), scores, profile)
    assert len(thresholds) > 5
    for threshold, value in zip(thresholds, values, strict=True):
        expected = naive.nab_score(files, scores, weights, threshold)
        assert value == pytest.approx(expected, nan_ok=True)
    for threshold in (-1.0, 0.35, 0.4, 2.0, math.inf):
        found = nab_score(prepared(files), scores, profile, threshold)
        expected = naive.nab_score(files, scores, weights, threshold)
        assert found == pytest.approx(expected, nan_ok=True)


def test_a_nab_threshold_is_the_best_where_it_was_found_and_can_be_used_elsewhere():
    rng = np.random.default_rng(3)
    (files, scores), (others, other_scores) = random_files(rng, 6), random_files(rng, 6)
    threshold = nab_threshold(prepared(files), scores)
    best = nab_score(prepared(files), scores)
    assert nab_score(prepared(files), scores, threshold=threshold) == best
    transferred = nab_score(prepared(others), other_scores, threshold=threshold)
    assert transferred == pytest.approx(
        naive.nab_score(others, other_scores, (1, 1, 0.11), threshold)
    )
    assert transferred <= nab_score(prepared(others), other_scores)


def test_an_alarm_at_the_start_of_each_window_and_nowhere_else_gets_100():
    file = nab_file(200, [(60, 80), (150, 150)])
    scores = np.zeros(200)
    scores[[10, 60, 150]] = 1  # row 10 lies in probation
    assert nab_score({"a": file}, {"a": scores}, threshold=0.5) == pytest.approx(100)


def test_no_alarm_gets_0_and_is_the_best_of_a_detector_that_sees_nothing():
    file = nab_file(200, [(60, 62)])
    constant = {"a": np.ones(200)}
    for profile in NAB_PROFILES:
        assert nab_score({"a": file}, constant, profile) == 0
        assert nab_threshold({"a": file}, constant, profile) == math.inf


def test_nab_is_undefined_without_a_window_behind_probation():
    files = {"a": nab_file(100, [(2, 9)]), "b": nab_file(10, [])}
    scores = {"a": np.arange(100.0), "b": np.arange(10.0)}
    assert math.isnan(nab_score(files, scores))
    with pytest.raises(ValueError, match="without a label window"):
        nab_threshold(files, scores)


@pytest.mark.parametrize(
    "windows", [[(5, 3)], [(5, 10)], [(-1, 3)], [(4, 6), (6, 7)], [(6, 7), (1, 2)]]
)
def test_label_windows_that_are_not_in_order_are_refused(windows):
    with pytest.raises(ValueError, match="must follow each other within 10 rows"):
        nab_file(10, windows)


def test_nab_arguments_that_do_not_fit_are_refused():
    files = {"a": nab_file(10, [(5, 6)])}
    with pytest.raises(ValueError, match="only one has 'b'"):
        nab_score(files, {"a": np.zeros(10), "b": np.zeros(10)})
    with pytest.raises(ValueError, match="a: 9 scores for 10 rows"):
        nab_score(files, {"a": np.zeros(9)})
    with pytest.raises(ValueError, match="scores of a must be finite: number 3 is nan"):
        nab_score(files, {"a": [0, 0, 0, np.nan, 0, 0, 0, 0, 0, 0]})
    with pytest.raises(ValueError, match="not one of standard"):
        nab_score(files, {"a": np.zeros(10)}, "fast")
    with pytest.raises(ValueError, match="not nan"):
        nab_score(files, {"a": np.zeros(10)}, threshold=math.nan)


@pytest.fixture(scope="session")
def nab_files(data):
    """The benchmark's own files, prepared."""
    limits = json.loads((data / "nab" / "labels" / "combined_windows.json").read_text())
    files = {}
    for name, windows in limits.items():
        with open(data / "nab" / "data" / name, newline="") as file:
            times = [row["timestamp"] for row in csv.DictReader(file)]
        rows = [tuple(times.index(time.split(".")[0]) for time in window) for window in windows]
        files[name] = nab_file(len(times), rows)
    return files


@pytest.mark.parametrize("detector", ["numenta", "knncad", "contextOSE"])
def test_published_nab_scores_are_reproduced(data, nab_files, detector):
    with np.load(data / "nab" / "results.npz") as archive:
        scores = {
            key.removeprefix(f"{detector}/"): archive[key]
            for key in archive.files
            if key.startswith(f"{detector}/")
        }
    recomputed = (data / "nab" / "published_scores_recomputed.txt").read_text().splitlines()
    (line,) = (line for line in recomputed if line.split()[0] == detector)
    published = json.loads((data / "nab" / "final_results.json").read_text())[detector]
    for field, profile in zip(line.split()[1:], NAB_PROFILES, strict=True):
        expected, threshold = map(float, field.split("=")[1].split("@"))
        best = nab_score(nab_files, scores, profile)
        assert best == pytest.approx(expected, abs=0.005)
        # NAB calls what reaches a threshold an alarm, and its thresholds are told to six digits.
        reached = nab_threshold(nab_files, scores, profile)
        assert reached == pytest.approx(threshold, rel=1e-5)
        # NAB's own search for a threshold may end at one that is not the best.
        assert best > published[profile] - 0.005
        if (detector, profile) != ("numenta", "reward_low_FP_rate"):
            assert best == pytest.approx(published[profile], abs=0.005)
