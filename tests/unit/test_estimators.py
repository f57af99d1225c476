"""Claims about the detectors for Python: the scripts' models and scores, as scikit-learn has it."""

import copy
import doctest
import importlib
import io
import json
import os
import pickle

import cv2
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from helpers.scripts import CHECKOUT, run_cold, run_script
from pyimagesearch import ImageAnomalyDetector, SeriesAnomalyDetector
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


# --- The package ---------------------------------------------------------------------------------


def test_importing_the_package_imports_nothing_heavy():
    code = (
        "import sys, pyimagesearch; assert 'ImageAnomalyDetector' in dir(pyimagesearch);"
        "print({'numpy', 'cv2', 'sklearn', 'pandas', 'onnxruntime'} & set(sys.modules))"
    )
    assert run_cold("-c", code).stdout.decode().strip() == "set()"


def test_a_package_that_is_missing_is_named_with_what_installs_it():
    code = "import sys; sys.modules['sklearn'] = None; from pyimagesearch import {}"
    done = run_cold("-c", code.format("SeriesAnomalyDetector"))
    assert b"ImportError: the package scikit-learn is missing: pip install" in done.stderr


@pytest.mark.parametrize("module", ["base", "images", "series"])
def test_the_examples_of_the_docstrings_run(module):
    done = doctest.testmod(importlib.import_module(f"pyimagesearch.estimators.{module}"))
    assert done.attempted > 10
    assert done.failed == 0


@pytest.mark.parametrize("kind", [ImageAnomalyDetector, SeriesAnomalyDetector])
def test_every_public_method_says_what_it_takes_and_has_an_example(kind):
    of_scikit_learn = set(dir(clone(kind()).__class__.__mro__[-2])) | {
        *("get_params", "set_params", "get_metadata_routing", "set_fit_request")
    }
    names = {name for name in dir(kind) if not name.startswith("_")} - of_scikit_learn
    names -= {name for name in names if name.endswith(("_", "_request"))}
    assert {"fit", "predict", "save", "load"} <= names
    for name in names:
        documentation = getattr(kind, name).__doc__
        assert ">>> " in documentation, name
        assert "Raises:" in documentation, name


# --- Series: the scripts' models, either way -----------------------------------------------------


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


# --- Series: what rows may be --------------------------------------------------------------------


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


def test_files_that_are_no_models_are_refused_in_a_sentence(tmp_path):
    with pytest.raises(FileNotFoundError):
        SeriesAnomalyDetector.load(tmp_path / "none.model")
    path = tmp_path / "pickled.model"
    path.write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(ValueError, match=r"pickled.model: this is a Python pickle"):
        SeriesAnomalyDetector.load(path)
    with pytest.raises(NotFittedError):
        SeriesAnomalyDetector().predict([1.0])


# --- Images --------------------------------------------------------------------------------------


def forest(**parameters):
    """A forest of few trees, which costs little."""
    return ImageAnomalyDetector(**{"method": "forest", "n_estimators": 40, "jobs": 1} | parameters)


def as_rgb(paths):
    return [cv2.imread(str(path))[:, :, ::-1] for path in paths]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Files of 9 grey pictures, large enough to be halved, and of one with a red square."""
    folder, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    (folder / "normal").mkdir()
    normal = rng.integers(90, 130, (9, 280, 300, 3), dtype=np.uint8)
    for number, picture in enumerate(normal):
        cv2.imwrite(str(folder / "normal" / f"{number}.png"), picture)
    odd = rng.integers(90, 130, (280, 300, 3), dtype=np.uint8)
    odd[100:180, 40:120] = (0, 0, 250)
    cv2.imwrite(str(folder / "odd.png"), odd)
    return folder


@pytest.fixture(scope="module")
def fitted_forest(pictures):
    return forest().fit(pictures / "normal")


def labelled_by_script(model, paths, folder):
    rows = folder / "rows.jsonl"
    done = run_script("test_anomaly_detector.py", "-m", model, "-i", *paths, "--json", rows)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in rows.read_text().splitlines()]
    return [np.array([row[name] for row in found]) for name in ("score", "p_value", "label")]


def test_images_are_learned_and_scored_as_the_scripts_do(pictures, fitted_forest, tmp_path):
    train = ("train_anomaly_detector.py", "-d", pictures / "normal", "--method", "forest")
    script = run_script(*train, "--n-estimators", "40", "-m", tmp_path / "script.model")
    assert script.returncode == 0, script.stderr
    fitted_forest.save(tmp_path / "own.model")
    assert (tmp_path / "own.model").read_bytes() == (tmp_path / "script.model").read_bytes()

    paths = [*sorted((pictures / "normal").iterdir()), pictures / "odd.png"]
    scores, p_values, labels = labelled_by_script(tmp_path / "own.model", paths, tmp_path)
    loaded = ImageAnomalyDetector.load(tmp_path / "script.model")
    for detector in (fitted_forest, loaded):
        for given in (paths, list(map(str, paths)), as_rgb(paths), np.stack(as_rgb(paths))):
            np.testing.assert_allclose(detector.anomaly_score(given), scores, rtol=1e-6)
            np.testing.assert_allclose(detector.p_value(given), p_values, rtol=1e-6)
            np.testing.assert_array_equal(detector.predict(given) == -1, labels == "anomaly")
    assert fitted_forest.predict(pictures / "normal").tolist() == [1] * 9
    assert fitted_forest.predict(pictures / "odd.png").tolist() == [-1]
    assert loaded.get_params() == fitted_forest.get_params() | {"n_estimators": None, "jobs": None}


DEFAULT_PROGRAM = """
import pickle, sys
import cv2
import numpy as np
from pyimagesearch import ImageAnomalyDetector

rng = np.random.default_rng(0)
detector = ImageAnomalyDetector(jobs=1).fit(rng.integers(90, 130, (4, 32, 40, 3), dtype=np.uint8))
odd = rng.integers(90, 130, (32, 40, 3), dtype=np.uint8)
normal = odd.copy()
odd[4:12, 24:34] = (250, 20, 20)
cv2.imwrite(sys.argv[1] + "/odd.png", odd[:, :, ::-1])
detector.save(sys.argv[1] + "/auto.model")
assert detector.predict([normal, odd]).tolist() == [1, -1]
where = detector.anomaly_map(odd)
assert (where.shape, where.dtype) == ((32, 40), np.float32)
assert where.max() > 1 >= detector.anomaly_map(normal).max()
row, column = np.unravel_index(where.argmax(), where.shape)
assert 2 <= row < 14 and 22 <= column < 36
assert (detector.anomaly_map(sys.argv[1] + "/odd.png") == where).all()
(score,) = detector.anomaly_score([odd])
for other in (pickle.loads(pickle.dumps(detector)), detector.load(sys.argv[1] + "/auto.model")):
    assert abs(other.anomaly_score([odd])[0] - score) < 1e-6 * score
print(score)
"""


def test_the_default_method_finds_and_shows_what_is_wrong_where_it_is(tmp_path):
    """In a program of its own: this process is forked by other tests, which its network forbids."""
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
    done = run_cold("-c", DEFAULT_PROGRAM, tmp_path, env=environment)
    assert done.stderr == b""
    (score,), _, _ = labelled_by_script(tmp_path / "auto.model", [tmp_path / "odd.png"], tmp_path)
    assert float(done.stdout) == pytest.approx(score, rel=1e-6)


def test_colours_are_rgb_and_floats_go_from_0_to_1(pictures, fitted_forest):
    (odd,) = as_rgb([pictures / "odd.png"])
    scores = fitted_forest.anomaly_score([odd])
    assert odd[140, 80].tolist() == [250, 0, 0]
    for given in ([odd / 255], [(odd / 255).astype(np.float32)], (odd / 255)[None]):
        np.testing.assert_array_equal(fitted_forest.anomaly_score(given), scores)
    grey = np.full((2, 60, 50), 110, np.uint8)
    of_grey = fitted_forest.anomaly_score(grey)
    np.testing.assert_array_equal(fitted_forest.anomaly_score(grey[..., None]), of_grey)
    np.testing.assert_array_equal(
        fitted_forest.anomaly_score([grey[0], np.stack([grey[1]] * 3, axis=-1)]), of_grey
    )


def test_what_is_odd_among_the_images_that_are_learned_is_named(pictures):
    paths = [*sorted((pictures / "normal").iterdir()), pictures / "odd.png"]
    for given in (paths, as_rgb(paths)):
        labels = forest(contamination=0.1).fit_predict(given)
        assert labels.tolist() == [1] * 9 + [-1]


def test_arrays_are_learned_as_a_list_or_as_one(pictures):
    good = as_rgb(sorted((pictures / "normal").iterdir()))
    np.testing.assert_array_equal(
        forest().fit(good).anomaly_score(good), forest().fit(np.stack(good)).anomaly_score(good)
    )


GOOD = np.zeros((8, 9, 9, 3), np.uint8)


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        (GOOD[0], ValueError, r"give one image as \[image\]"),
        (GOOD[0, :, :, 0], ValueError, r"give one image as \[image\]"),
        (GOOD[:0], ValueError, "no images"),
        ([], ValueError, "no images"),
        (GOOD[:, :, :0], ValueError, "no pixels"),
        ([np.zeros((9, 9, 4), np.uint8)], ValueError, "image 0: an image has the shape"),
        ([GOOD[0], GOOD[0].astype(float) - 0.1], ValueError, "image 1: float images are from 0"),
        (GOOD + 2.0, ValueError, "float images are from 0 to 1"),
        (GOOD * np.nan, ValueError, "no finite numbers"),
        (GOOD.astype(int), TypeError, "uint8, or float from 0 to 1, not int64"),
        (GOOD, ValueError, "too few"),
        ([GOOD[0], "a.png"], TypeError, "give one kind"),
        (7, TypeError, "not of the type int"),
        (None, TypeError, "not of the type NoneType"),
        (["missing.png"] * 9, FileNotFoundError, "missing.png: no such file"),
        ("missing", FileNotFoundError, "missing"),
    ],
)
def test_images_that_are_none_are_refused_in_a_sentence(given, error, said):
    with pytest.raises(error, match=said):
        forest().fit(given)


def test_a_folder_without_images_and_a_file_that_is_none_are_refused(fitted_forest, tmp_path):
    with pytest.raises(ValueError, match="no images in this folder"):
        forest().fit(tmp_path)
    (tmp_path / "broken.png").write_bytes(b"not an image")
    for judge in (fitted_forest.predict, fitted_forest.anomaly_map):
        with pytest.raises(ValueError, match=r"broken.png: not an image"):
            judge(tmp_path / "broken.png")
        with pytest.raises(FileNotFoundError):
            judge(tmp_path / "missing.png")
    SeriesAnomalyDetector("stream").fit(np.sin(np.arange(300) / 5)).save(tmp_path / "s.model")
    with pytest.raises(ValueError, match="not of images"):
        ImageAnomalyDetector.load(tmp_path / "s.model")


@pytest.mark.parametrize(
    ("parameters", "error", "said"),
    [
        ({"method": "stream"}, ValueError, "method must be one of"),
        ({"method": "auto", "n_estimators": 5}, ValueError, "goes with the method 'forest'"),
        ({"contamination": 0.1, "false_alarm_rate": 0.1}, ValueError, "does not go with"),
        ({"false_alarm_rate": 0.001}, ValueError, "cannot be promised"),
        ({"jobs": 0}, ValueError, "jobs must be from 1"),
        ({"jobs": 1.5}, TypeError, "jobs must be a whole number"),
    ],
)
def test_parameters_of_images_that_make_no_sense_are_refused(pictures, parameters, error, said):
    with pytest.raises(error, match=said):
        forest(**parameters).fit(pictures / "normal")


def test_a_program_without_a_guard_trains_in_processes_though_it_has_threads(tmp_path):
    (tmp_path / "program.py").write_text(
        "import threading, numpy as np\n"
        "threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        "from pyimagesearch import ImageAnomalyDetector\n"
        "normal = np.random.default_rng(0).random((8, 32, 32, 3))\n"
        "detector = ImageAnomalyDetector('forest', n_estimators=9, jobs=1).fit(normal)\n"
        "print(len(detector.predict(normal)))\n"
    )
    done = run_cold(tmp_path / "program.py", env=os.environ | {"PYTHONPATH": str(CHECKOUT)})
    assert (done.stdout, done.stderr) == (b"8\n", b"")


# --- scikit-learn --------------------------------------------------------------------------------


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


def test_a_detector_of_images_is_one_of_scikit_learn(pictures):
    paths = np.array([str(path) for path in sorted((pictures / "normal").iterdir())] * 2)
    detector = make_pipeline(clone(forest())).fit(paths)
    assert detector.predict(paths).tolist() == [1] * len(paths)
    search = GridSearchCV(
        forest(), {"seed": [1, 2]}, scoring=share_of_normal_rows, cv=2, error_score="raise"
    ).fit(paths)
    assert all(0 < score <= 1 for score in search.cv_results_["mean_test_score"])


def test_a_detector_can_be_copied_and_pickled_and_says_nothing(fitted, jump, pictures, capfd):
    scores = fitted.anomaly_score(jump)
    for other in (copy.deepcopy(fitted), pickle.loads(pickle.dumps(fitted))):
        np.testing.assert_array_equal(other.anomaly_score(jump), scores)
    SeriesAnomalyDetector("stream").fit(jump).find(jump)
    forest().fit(pictures / "normal").predict(pictures / "normal")
    assert capfd.readouterr() == ("", "")
