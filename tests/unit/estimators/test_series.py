"""Claims about the detector of series for Python: the scripts' models and scores."""

import copy
import io
import json
import pickle
import signal

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from helpers.scripts import run_script
from pyimagesearch import SeriesAnomalyDetector
from pyimagesearch.data.synthetic.series import make_series

HOUR = 12  # rows


def frame(variant, days=9):
    times, values, _ = make_series(variant, days=days)
    index = pd.DatetimeIndex(times, name="timestamp")
    return pd.DataFrame({"value": values}, index)


@pytest.fixture(scope="module")
def normal():
    return frame("normal")


@pytest.fixture(scope="module")
def jump():
    return frame("jump")


@pytest.fixture(scope="module")
def fitted(normal):
    return SeriesAnomalyDetector().fit(normal)


@pytest.fixture(scope="module")
def files(normal, jump, tmp_path_factory):
    """Both series as files of CSV, and the scripts' models of the first."""
    folder = tmp_path_factory.mktemp("series")
    for name, series in (("normal", normal), ("jump", jump)):
        series.to_csv(folder / f"{name}.csv")
    for method in ("nearest-window", "stream"):
        train = ("train_anomaly_detector.py", "-d", folder / "normal.csv", "--method", method)
        assert run_script(*train, "-m", folder / f"{method}.model").returncode == 0
    return folder


def share_of_normal_rows(detector, rows, y=None):  # noqa: ARG001
    return (detector.predict(rows) == 1).mean()


def found_by_script(model, dataset, folder):
    """The scores of rows, and the ranges that are printed."""
    rows = folder / "rows.jsonl"
    done = run_script("find_anomalies.py", "-m", model, "-d", dataset, "--json", rows)
    assert done.returncode == 0, done.stderr
    scores = [json.loads(line)["score"] for line in rows.read_text().splitlines()]
    return np.array(scores, float), pd.read_csv(io.BytesIO(done.stdout))


@pytest.mark.parametrize("method", ["nearest-window", "stream"])
def test_a_script_s_model_of_series_gives_the_script_s_scores_and_ranges(
    files, jump, method, tmp_path
):
    model = files / f"{method}.model"
    scores, ranges = found_by_script(model, files / "jump.csv", tmp_path)
    detector = SeriesAnomalyDetector.load(model)
    assert detector.method == method
    np.testing.assert_allclose(detector.anomaly_score(jump), scores, rtol=1e-6, atol=1e-6)
    found = detector.find(jump)
    assert list(found.start) == list(pd.to_datetime(ranges.start))
    assert list(found.end) == list(pd.to_datetime(ranges.end))
    np.testing.assert_allclose(found.score, ranges.score, rtol=1e-5)  # as printed


@pytest.mark.parametrize("method", ["auto", "stream"])
def test_a_model_of_series_that_python_has_written_is_one_of_the_scripts(
    files, normal, jump, method, tmp_path
):
    detector = SeriesAnomalyDetector(method).fit(normal)
    detector.save(tmp_path / "own.model")
    scores, ranges = found_by_script(tmp_path / "own.model", files / "jump.csv", tmp_path)
    np.testing.assert_allclose(detector.anomaly_score(jump), scores, rtol=1e-6, atol=1e-6)
    assert len(detector.find(jump)) == len(ranges)
    script = files / ("stream.model" if method == "stream" else "nearest-window.model")
    assert detector.threshold_ == SeriesAnomalyDetector.load(script).threshold_


def test_the_series_that_was_learned_is_known_again(files, normal, fitted, tmp_path):
    scores, _ = found_by_script(files / "nearest-window.model", files / "normal.csv", tmp_path)
    np.testing.assert_allclose(fitted.anomaly_score(normal), scores, rtol=1e-6, atol=1e-6)
    labels = SeriesAnomalyDetector().fit_predict(normal)
    np.testing.assert_array_equal(labels, fitted.predict(normal))


def test_rows_that_update_a_stream_are_scored_and_learned_as_the_scripts_do(
    files, normal, jump, tmp_path
):
    later = jump.set_index(jump.index + (normal.index[-1] - normal.index[0]) + pd.Timedelta("5min"))
    later.to_csv(tmp_path / "later.csv")
    model, updated = files / "stream.model", tmp_path / "updated.model"
    train = ("train_anomaly_detector.py", "-d", tmp_path / "later.csv", "--update", model)
    assert run_script(*train, "-m", updated).returncode == 0
    detector = SeriesAnomalyDetector.load(model)
    before = detector.anomaly_score(later)
    np.testing.assert_array_equal(detector.anomaly_score(later), before)  # nothing was learned
    parts = [detector.update(later[:5]), detector.update(later[5:6]), detector.update(later[6:])]
    np.testing.assert_array_equal(np.concatenate(parts), before)
    script = SeriesAnomalyDetector.load(updated)
    np.testing.assert_array_equal(detector.anomaly_score(jump), script.anomaly_score(jump))
    with pytest.raises(ValueError, match="no row is later than"):
        detector.update(later)


@pytest.mark.parametrize("rate", [None, 0.05])
def test_a_stream_goes_on_as_if_it_were_written_and_read_after_each_row(
    normal, jump, rate, tmp_path
):
    live = SeriesAnomalyDetector("stream", false_alarm_rate=rate).fit(normal)
    later = jump.set_index(jump.index + (normal.index[-1] - normal.index[0]) + pd.Timedelta("5min"))
    first = 0
    for n_rows in (1, 1, 300, 1, 7, 400, 1):
        rows = later[first : first + n_rows]
        written = pickle.loads(pickle.dumps(live))
        np.testing.assert_array_equal(live.update(rows), written.update(rows))
        assert live.threshold_ == written.threshold_
        with pytest.raises(ValueError, match="no row is later than"):
            live.update(rows)
        first += n_rows
    for name, detector in (("live", live), ("written", written)):
        detector.save(tmp_path / name)
    assert (tmp_path / "live").read_bytes() == (tmp_path / "written").read_bytes()


def test_rows_whose_update_is_interrupted_can_be_given_again():
    def interrupt(*_):
        raise KeyboardInterrupt

    waves = np.sin(np.arange(200_000) / 5)
    detector = SeriesAnomalyDetector("stream").fit(waves[:300])
    detector.update(waves[300:301])
    expected = copy.deepcopy(detector).update(waves[301:900])
    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)  # again, where nobody could raise it on
    with pytest.raises(KeyboardInterrupt):
        detector.update(waves[301:])
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)
    np.testing.assert_array_equal(detector.update(waves[301:900]), expected)


def test_ranges_without_times_are_numbers_of_rows_both_included(fitted, jump):
    by_time, by_row = fitted.find(jump), fitted.find(jump.value.to_numpy())
    for name in ("start", "end", "peak"):
        assert list(jump.index[by_row[name]]) == list(by_time[name])
    labels = fitted.predict(jump)
    assert (labels[[*by_row.start, *by_row.end]] == -1).all()
    assert labels.sum() < len(labels)


def test_all_that_holds_the_same_rows_has_the_same_scores(fitted, jump):
    values = jump.value.to_numpy()
    scores = fitted.anomaly_score(jump)
    shuffled = jump.sample(frac=1, random_state=0)
    others = {
        "numbers": values,
        "a column": values[:, None],
        "a list": values.tolist(),
        "a Series": jump.value.rename("other"),
        "more columns": jump.assign(more=1),
        "a zone": jump.tz_localize("UTC").tz_convert("Asia/Tokyo"),
        "periods": jump.to_period("5min"),
        "pandas' own numbers": jump.astype("Float64"),
    }
    for name, rows in others.items():
        np.testing.assert_allclose(fitted.anomaly_score(rows), scores, err_msg=name)
    in_order = pd.Series(fitted.anomaly_score(shuffled), shuffled.index).sort_index()
    np.testing.assert_allclose(in_order, scores)


def test_missing_numbers_are_filled_and_long_gaps_are_not_judged(fitted, normal):
    values = normal.value.to_numpy().copy()
    values[1000:1005] = np.nan
    values[2000:2100] = np.nan
    scores = fitted.anomaly_score(values)
    assert np.isnan(scores[2000:2100]).all()
    assert np.isfinite(scores[:1000]).all()
    assert (fitted.predict(values)[2000:2100] == 1).all()
    assert np.isnan(fitted.p_value(values)[2000:2100]).all()


def test_scores_threshold_and_labels_fit_together_as_in_scikit_learn(fitted, jump):
    scores = fitted.score_samples(jump)
    np.testing.assert_array_equal(scores, -fitted.anomaly_score(jump))
    np.testing.assert_allclose(fitted.decision_function(jump), scores - fitted.offset_)
    is_low = fitted.decision_function(jump) < 0
    np.testing.assert_array_equal(fitted.predict(jump) == -1, is_low)
    assert fitted.p_value(jump)[is_low].max() <= fitted.p_value(jump)[~is_low].min()
    asked = SeriesAnomalyDetector(false_alarm_rate=0.2).fit(jump)
    assert asked.threshold_ < SeriesAnomalyDetector().fit(jump).threshold_


@pytest.mark.parametrize(
    ("rows", "error", "said"),
    [
        (np.zeros((4, 2, 2)), ValueError, "shape"),
        (np.zeros((0, 1)), ValueError, "no numbers"),
        ([], ValueError, "no numbers"),
        ([1.0, np.inf], ValueError, "infinite"),
        ([np.nan, np.nan], ValueError, "no row has a number"),
        (np.arange(5.0), ValueError, "few|short"),
        (["a", "b"], TypeError, "must be numbers"),
        ("rows.csv", TypeError, "must be numbers"),
        (None, TypeError, "must be numbers"),
        (np.zeros(3, complex), TypeError, "must be numbers"),
        (pd.DataFrame({"day": pd.to_datetime(["2024"]), "x": [1]}), TypeError, "set_index"),
        (pd.DataFrame(np.zeros((3, 2)), columns=["a", "a"]), ValueError, "one name"),
    ],
)
@pytest.mark.parametrize("method", ["auto", "stream"])
def test_rows_that_are_none_are_refused_in_a_sentence(rows, error, said, method):
    with pytest.raises(error, match=said):
        SeriesAnomalyDetector(method).fit(rows)


def test_rows_with_other_columns_than_those_that_were_learned_are_refused(fitted, jump):
    with pytest.raises(ValueError, match="'value' missing"):
        fitted.predict(jump.rename(columns={"value": "other"}))
    with pytest.raises(ValueError, match="2 columns"):
        fitted.predict(np.zeros((900, 2)))
    with pytest.raises(ValueError, match="stretch"):
        fitted.predict(jump[:20])
    with pytest.raises(ValueError, match="stream"):
        fitted.update(jump)


@pytest.mark.parametrize(
    ("parameters", "error", "said"),
    [
        ({"method": "forest"}, ValueError, "method must be one of 'auto'"),
        ({"false_alarm_rate": 0}, ValueError, "false_alarm_rate must be above 0"),
        ({"false_alarm_rate": 1.5}, ValueError, "below 1"),
        ({"false_alarm_rate": "1%"}, TypeError, "must be a number"),
        ({"contamination": -0.1}, ValueError, "contamination must be from 0"),
        ({"contamination": float("nan")}, ValueError, "contamination"),
        ({"seed": None}, TypeError, "seed must be a whole number"),
        ({"seed": -1}, ValueError, "seed must be from 0"),
    ],
)
def test_parameters_that_make_no_sense_are_refused_in_a_sentence(parameters, error, said):
    with pytest.raises(error, match=said):
        SeriesAnomalyDetector(**parameters).fit(np.sin(np.arange(600) / 5))


@pytest.mark.parametrize("method", ["nearest-window", "stream"])
@pytest.mark.parametrize(
    "parameters", [{"contamination": 0.3, "seed": 3}, {"false_alarm_rate": 0.2}, {}]
)
def test_a_loaded_detector_of_series_has_the_parameters_that_it_was_fitted_with(
    method, parameters, tmp_path
):
    detector = SeriesAnomalyDetector(method, **parameters).fit(np.sin(np.arange(600) / 5))
    detector.save(tmp_path / "a.model")
    loaded = SeriesAnomalyDetector.load(tmp_path / "a.model")
    assert loaded.get_params() == detector.get_params()


def test_a_contamination_counts_for_streams_too(jump):
    usual, none = (
        SeriesAnomalyDetector("stream", contamination=share, false_alarm_rate=0.02).fit(jump)
        for share in (None, 0.0)
    )
    assert none.threshold_ != usual.threshold_


def test_files_that_are_no_models_are_refused_in_a_sentence(tmp_path):
    with pytest.raises(FileNotFoundError):
        SeriesAnomalyDetector.load(tmp_path / "none.model")
    path = tmp_path / "pickled.model"
    path.write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(ValueError, match=r"pickled.model: this is a Python pickle"):
        SeriesAnomalyDetector.load(path)
    with pytest.raises(NotFittedError):
        SeriesAnomalyDetector().predict([1.0])


def test_a_detector_of_series_is_one_of_scikit_learn(normal):
    values = normal.to_numpy()
    detector = clone(SeriesAnomalyDetector("stream", false_alarm_rate=0.05).set_params(seed=7))
    assert detector.get_params() == {
        **{"method": "stream", "false_alarm_rate": 0.05, "contamination": None, "seed": 7}
    }
    labels = make_pipeline(StandardScaler(), detector).fit(values).predict(values)
    assert set(labels) <= {1, -1}
    search = GridSearchCV(
        SeriesAnomalyDetector("stream"),
        {"false_alarm_rate": [0.01, 0.2]},
        scoring=share_of_normal_rows,
        cv=TimeSeriesSplit(2),
    ).fit(values)
    assert search.best_params_["false_alarm_rate"] == 0.01


def test_a_detector_can_be_copied_and_pickled_and_says_nothing(fitted, jump, capfd):
    scores = fitted.anomaly_score(jump)
    for other in (copy.deepcopy(fitted), pickle.loads(pickle.dumps(fitted))):
        np.testing.assert_array_equal(other.anomaly_score(jump), scores)
    SeriesAnomalyDetector("stream").fit(jump).find(jump)
    assert capfd.readouterr() == ("", "")
