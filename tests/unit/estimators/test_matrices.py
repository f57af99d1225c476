"""Claims about the detectors of feature matrices for Python.

Scikit-learn's own checks of estimators are run by the page on Python, see test_readme.
"""

import pickle

import cv2
import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.covariance import LedoitWolf
from sklearn.datasets import load_wine
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer, StandardScaler

from helpers.scripts import run_script
from pyimagesearch import (
    ImageAnomalyDetector,
    IsolationForestDetector,
    MahalanobisDetector,
    NearestNeighboursDetector,
)
from pyimagesearch.data import images
from pyimagesearch.features import HistogramFeatures

WINE = load_wine(as_frame=True).data
FEW_TREES = IsolationForestDetector(n_estimators=25)
DETECTORS = (FEW_TREES, NearestNeighboursDetector(), MahalanobisDetector())
each_detector = pytest.mark.parametrize(
    "detector", DETECTORS, ids=lambda detector: type(detector).__name__
)


def normal_rows(n_rows, seed=0):
    """Rows of four features, two of which vary together."""
    rows = np.random.default_rng(seed).normal(size=(n_rows, 4))
    rows[:, 1] = rows[:, 0] + 0.1 * rows[:, 1]
    return rows


@pytest.mark.parametrize(
    ("method", "options", "detector"),
    [
        ("forest", ("--n-estimators", "25"), FEW_TREES),
        ("neighbours", ("--no-backbone",), NearestNeighboursDetector()),
    ],
)
def test_features_of_images_have_the_scores_that_the_scripts_give_the_images(
    method, options, detector, tmp_path
):
    rng, features = np.random.default_rng(0), []
    (tmp_path / "images").mkdir()
    paths = [str(tmp_path / "images" / f"{number:02}.png") for number in range(40)]
    for path in paths:
        image = rng.integers(0, rng.integers(9, 256, 3), (40, 50, 3)).astype(np.uint8)
        cv2.imwrite(path, image)
        features.append(HistogramFeatures((3, 3, 3)).extract(images.read_image(path)))
    model = tmp_path / "script.model"
    train = ("train_anomaly_detector.py", "-d", tmp_path / "images", "--contamination", "0")
    train = train[:3] if method == "forest" else train
    assert run_script(*train, "--method", method, *options, "-m", model).returncode == 0
    script, detector = ImageAnomalyDetector.load(model), clone(detector).fit(features)
    assert detector.threshold_ == pytest.approx(script.threshold_, rel=1e-5)
    np.testing.assert_allclose(
        detector.anomaly_score(features), script.anomaly_score(paths), rtol=1e-5, atol=1e-5
    )
    np.testing.assert_array_equal(detector.p_value(features), script.p_value(paths))


def test_the_mahalanobis_distance_is_that_of_a_covariance_shrunk_as_scikit_learn_does_it():
    rows = StandardScaler().fit_transform(WINE)
    expected = LedoitWolf(assume_centered=True).fit(rows).mahalanobis(rows) ** 0.5
    np.testing.assert_allclose(
        MahalanobisDetector().fit(WINE).anomaly_score(WINE), expected, rtol=1e-5
    )


@each_detector
def test_as_many_new_normal_rows_are_called_anomalies_as_were_asked_for(detector):
    fitted = clone(detector).set_params(false_alarm_rate=0.1).fit(normal_rows(500))
    new = normal_rows(2000, seed=1)
    is_anomaly = fitted.predict(new) == -1
    assert 0.05 < is_anomaly.mean() < 0.13
    np.testing.assert_array_equal(is_anomaly, fitted.p_value(new) <= 0.1)
    np.testing.assert_array_equal(is_anomaly, fitted.anomaly_score(new) > fitted.threshold_)


@each_detector
def test_a_contamination_is_the_share_of_the_learned_rows_that_are_named(detector):
    fitted = clone(detector).set_params(contamination=0.25)
    labels = fitted.fit_predict(WINE[:160])
    assert np.count_nonzero(labels == -1) == 40
    np.testing.assert_array_equal(labels == -1, fitted.training_scores_ > fitted.threshold_)


@each_detector
def test_a_row_has_one_score_alone_in_a_batch_and_in_a_table(detector):
    fitted = clone(detector).fit(WINE)
    scores = fitted.anomaly_score(WINE)
    alone = [fitted.anomaly_score(WINE[i : i + 1])[0] for i in range(9)]
    np.testing.assert_array_equal(alone, scores[:9])
    unnamed = clone(detector).fit(WINE.to_numpy().tolist())
    np.testing.assert_array_equal(unnamed.anomaly_score(WINE.to_numpy()), scores)


@each_detector
def test_neither_units_nor_a_large_constant_matter(detector):
    rows = normal_rows(100)
    other = rows * [1e-9, 1e12, 1, 1] + [0, 0, 1.7e9, 0]
    expected = clone(detector).fit(rows).anomaly_score(rows)
    found = clone(detector).fit(other).anomaly_score(other)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize("detector", DETECTORS[1:])
def test_a_change_of_what_never_changed_is_an_anomaly(detector):
    """Of the others only: a forest makes no cut where all values are equal."""
    first = np.random.default_rng(0).normal(size=100)
    rows = np.column_stack([first, 2 * first, np.full(100, 7.0)])
    fitted = clone(detector).fit(rows)
    changed = [[0, 0, 7], [0, 0, 9e99], [0, 0, -1e300], [0, 9, 7]]
    assert fitted.predict(changed).tolist() == [1, -1, -1, -1]
    assert np.isfinite(fitted.anomaly_score(changed)).all()


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        (WINE.to_numpy()[:7], ValueError, "minimum of 8"),
        (WINE.to_numpy()[0], ValueError, "Expected 2D array"),
        (WINE.where(WINE.iloc[0, 0] != WINE), ValueError, "contains NaN"),
        (WINE * np.inf, ValueError, "infinity"),
        (csr_array(WINE), TypeError, "Sparse data"),
        (WINE.astype(str) + "x", ValueError, "could not convert string to float"),
        (None, ValueError, "Expected 2D array"),
    ],
)
def test_what_is_no_matrix_is_refused_in_a_sentence(given, error, said):
    with pytest.raises(error, match=said):
        MahalanobisDetector().fit(given)


@pytest.mark.parametrize(
    ("detector", "error", "said"),
    [
        (MahalanobisDetector(false_alarm_rate=0.001), ValueError, "cannot be promised from 178"),
        (MahalanobisDetector(false_alarm_rate=1), ValueError, "false_alarm_rate must be above 0"),
        (MahalanobisDetector(contamination=0), ValueError, "contamination must be above 0"),
        (
            MahalanobisDetector(contamination=0.1, false_alarm_rate=0.1),
            ValueError,
            "give one of them",
        ),
        (MahalanobisDetector(jobs=0), ValueError, "jobs must be from 1"),
        (NearestNeighboursDetector(seed="x"), TypeError, "seed must be a whole number"),
        (IsolationForestDetector(n_estimators=0), ValueError, "n_estimators must be from 1"),
    ],
)
def test_parameters_of_matrices_that_make_no_sense_are_refused(detector, error, said):
    with pytest.raises(error, match=said):
        detector.fit(WINE)


def test_other_columns_than_those_that_were_learned_are_refused():
    fitted = MahalanobisDetector().fit(WINE)
    assert list(fitted.feature_names_in_) == list(WINE.columns)
    with pytest.raises(ValueError, match="feature names should match"):
        fitted.predict(WINE.rename(columns={"alcohol": "spirit"}))
    with pytest.raises(ValueError, match="expecting 13 features"):
        MahalanobisDetector().fit(WINE.to_numpy()).predict(np.zeros((2, 3)))
    with pytest.raises(NotFittedError):
        MahalanobisDetector().predict(WINE)


def test_a_detector_of_matrices_goes_where_those_of_scikit_learn_go():
    fitted = MahalanobisDetector().fit(WINE)
    same = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(same.score_samples(WINE), -fitted.anomaly_score(WINE))
    search = GridSearchCV(
        make_pipeline(QuantileTransformer(n_quantiles=50), MahalanobisDetector()),
        {"mahalanobisdetector__false_alarm_rate": [0.02, 0.3]},
        scoring=lambda pipeline, rows, y=None: (pipeline.predict(rows) == 1).mean(),  # noqa: ARG005
        error_score="raise",
    ).fit(WINE)
    assert search.best_params_ == {"mahalanobisdetector__false_alarm_rate": 0.02}
