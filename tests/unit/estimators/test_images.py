"""Claims about the detector of images for Python: the scripts' models and scores."""

import json
import os

import cv2
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from helpers.scripts import CHECKOUT, run_cold, run_script
from pyimagesearch import ImageAnomalyDetector, SeriesAnomalyDetector


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


@pytest.mark.parametrize(
    "parameters", [{"contamination": 0.2, "seed": 3}, {"false_alarm_rate": 0.3}, {}]
)
def test_a_loaded_detector_of_images_has_the_parameters_that_it_was_fitted_with(
    pictures, parameters, tmp_path
):
    detector = forest(**parameters).fit(pictures / "normal")
    detector.save(tmp_path / "a.model")
    loaded = ImageAnomalyDetector.load(tmp_path / "a.model")
    assert loaded.get_params() == detector.get_params() | {"jobs": None}


DEFAULT_PROGRAM = """
import pickle, sys
import cv2
import numpy as np
from pyimagesearch import ImageAnomalyDetector

rng = np.random.default_rng(0)
detector = ImageAnomalyDetector(contamination=0, jobs=1)
detector.fit(rng.integers(90, 130, (4, 32, 40, 3), dtype=np.uint8))
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
loaded = detector.load(sys.argv[1] + "/auto.model")
assert loaded.get_params() == detector.get_params() | {"jobs": None}
for other in (pickle.loads(pickle.dumps(detector)), loaded):
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


def share_of_normal(detector, images, y=None):  # noqa: ARG001
    return (detector.predict(images) == 1).mean()


def test_a_detector_of_images_is_one_of_scikit_learn(pictures):
    paths = np.array([str(path) for path in sorted((pictures / "normal").iterdir())] * 2)
    detector = make_pipeline(clone(forest())).fit(paths)
    assert detector.predict(paths).tolist() == [1] * len(paths)
    search = GridSearchCV(
        forest(), {"seed": [1, 2]}, scoring=share_of_normal, cv=2, error_score="raise"
    ).fit(paths)
    assert all(0 < score <= 1 for score in search.cv_results_["mean_test_score"])


def test_a_detector_says_nothing(pictures, capfd):
    forest().fit(pictures / "normal").predict(pictures / "normal")
    assert capfd.readouterr() == ("", "")
