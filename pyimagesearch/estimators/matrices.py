"""Anomalies among the rows of feature matrices, for Python."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted, validate_data

from pyimagesearch.detectors import mahalanobis
from pyimagesearch.detectors.base import WholeImageDetector
from pyimagesearch.detectors.image import isolation_forest, knn
from pyimagesearch.estimators.base import AnomalyDetector, Judged, as_a_library
from pyimagesearch.labelling import thresholds
from pyimagesearch.labelling.thresholds import ThresholdRule
from pyimagesearch.runtime.system import available_cores
from pyimagesearch.training.calibration import fit_calibrated

_LEAST_ROWS = 8  # as of images
_MOST_JOBS, _MOST_TREES = 10_000, 1_000_000
# Standard deviations: what is further away is as anomalous, and can still be squared.
_FURTHEST = np.float32(1e9)


class MatrixDetector(AnomalyDetector):
    """Learns from the rows of a feature matrix, and finds rows that are unlike them.

    Numbers are standardised before they are cast to float32, so that neither units nor a large
    constant matter. Rows are scored by detectors that were fitted without them, and those scores,
    not the detector's own of what it has learned, give the threshold and the p-values.

    A fitted detector is kept by ``pickle`` or ``joblib``, as those of scikit-learn are; model files
    are for images and series.

    Attributes:
        threshold_: the score above which a row is an anomaly.
        calibration_scores_: (n_rows,) float64, scores of the rows of ``fit`` by detectors that had
            not seen them.
        training_scores_: (n_rows,) float64, the scores that ``fit_predict`` judges these rows by.
        n_features_in_, feature_names_in_: as in scikit-learn.
    """

    _detector_class: ClassVar[type[WholeImageDetector]]

    def __init__(
        self,
        *,
        false_alarm_rate: float | None = None,
        contamination: float | None = None,
        seed: int = 42,
        jobs: int | None = 1,
    ) -> None:
        self.false_alarm_rate = false_alarm_rate
        self.contamination = contamination
        self.seed = seed
        self.jobs = jobs

    def fit(self, X: Any, y: object = None) -> Self:  # noqa: ARG002
        """Learn what normal rows are like.

        Args:
            X: (n_rows, n_features) numbers, an array or a DataFrame of pandas; at least 8 rows.
            y: not used; scikit-learn's interface has it.

        Returns:
            This detector.

        Raises:
            ValueError: a parameter out of its range; another shape, too few rows, missing or
                infinite numbers; a false-alarm rate that so few rows cannot promise.
            TypeError: not numbers, or a sparse matrix.

        Example:
            >>> from sklearn.datasets import load_wine
            >>> from pyimagesearch import MahalanobisDetector
            >>> MahalanobisDetector(false_alarm_rate=0.05).fit(load_wine().data)
            MahalanobisDetector(false_alarm_rate=0.05)
        """
        self._check_parameters()
        X = validate_data(self, X, dtype=np.float64, ensure_min_samples=_LEAST_ROWS)
        rule = self._asked_rule()
        asked = {"n_estimators": getattr(self, "n_estimators", None)}
        jobs = available_cores() if self.jobs is None else int(self.jobs)
        with as_a_library():
            if rule is not None and rule.asked_rate is not None:
                thresholds.check_rate(rule.asked_rate, len(X))
            self._scaler = StandardScaler().fit(X)
            fitted = fit_calibrated(
                self._detector_class, self._scaled(X), asked, seed=int(self.seed), jobs=jobs
            )
        self._detector = fitted.detector
        self.calibration_scores_, self.training_scores_ = fitted.calibration, fitted.training
        rule = rule or ThresholdRule()
        self.threshold_ = rule.choose(fitted.calibration, fitted.training).value
        return self

    def fit_predict(self, X: Any, y: object = None) -> np.ndarray:  # noqa: ARG002
        """Learn rows, and say which of them are anomalies.

        Args:
            X: rows, as of ``fit``.
            y: not used; scikit-learn's interface has it.

        Returns:
            (n_rows,) int64: 1 is normal, -1 an anomaly, where ``training_scores_`` are above the
            threshold.

        Raises:
            ValueError, TypeError: as of ``fit``.

        Example:
            >>> from sklearn.datasets import load_wine
            >>> from pyimagesearch import NearestNeighboursDetector
            >>> labels = NearestNeighboursDetector(contamination=0.1).fit_predict(load_wine().data)
            >>> int((labels == -1).sum()), len(labels)
            (18, 178)
        """
        self.fit(X)
        return np.where(self.training_scores_ > self.threshold_, -1, 1)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        self._check_share("contamination", from_zero=False)
        if self.contamination is not None and self.false_alarm_rate is not None:
            raise ValueError("contamination takes the place of false_alarm_rate: give one of them")
        if self.jobs is not None:
            self._check_count("jobs", 1, _MOST_JOBS)

    def _asked_rule(self) -> ThresholdRule | None:
        if self.contamination is not None:
            return ThresholdRule("contamination", float(self.contamination))
        return super()._asked_rule()

    def _scaled(self, X: np.ndarray) -> np.ndarray:
        """(n_rows, n_features) float64 -> standardised, float32."""
        with np.errstate(over="ignore"):
            return np.clip(self._scaler.transform(X), -_FURTHEST, _FURTHEST).astype(np.float32)

    def _judge(self, X: Any) -> Judged:
        check_is_fitted(self)
        scaled = self._scaled(validate_data(self, X, dtype=np.float64, reset=False))
        scores = self._detector.score(scaled)
        p_values = thresholds.p_values(scores, self.calibration_scores_)
        return Judged(scores, p_values, self.threshold_)


class IsolationForestDetector(MatrixDetector):
    """Isolation forest: rows that few random cuts set apart are anomalies.

    As ``ImageAnomalyDetector("forest")`` has it for the colours of images (Liu, Ting and Zhou,
    Isolation Forest, ICDM 2008): trees and scores are scikit-learn's, their number is chosen so
    that labels hardly depend on the seed, and the threshold has a false-alarm rate.

    Args:
        false_alarm_rate: the share of normal rows that may be called anomalies, above 0 and below
            1; None takes 0.01, or the best that so few rows can promise.
        contamination: the share of the rows of ``fit`` that the threshold calls anomalies, above 0
            and below 1, in place of a false-alarm rate.
        seed: of all random choices, from 0.
        jobs: number of processes that calibrate; None takes one for each core. Nothing depends on
            it but the time.
        n_estimators: number of trees, from 1; None takes as many as have 16,000 levels together.

    Attributes:
        threshold_, offset_: the score above which a row is an anomaly, and the negative of it.
        calibration_scores_: (n_rows,) float64, scores of the rows of ``fit`` by detectors that had
            not seen them.
        training_scores_: (n_rows,) float64, the detector's own scores of these rows.
        n_features_in_, feature_names_in_: as in scikit-learn.

    Example:
        >>> import numpy as np
        >>> from pyimagesearch import IsolationForestDetector
        >>> normal = np.random.default_rng(0).normal(size=(200, 4))
        >>> IsolationForestDetector(n_estimators=100).fit(normal).predict([[0] * 4, [6] * 4])
        array([ 1, -1])
    """

    _detector_class = isolation_forest.IsolationForestDetector

    def __init__(
        self,
        *,
        false_alarm_rate: float | None = None,
        contamination: float | None = None,
        seed: int = 42,
        jobs: int | None = 1,
        n_estimators: int | None = None,
    ) -> None:
        super().__init__(
            false_alarm_rate=false_alarm_rate, contamination=contamination, seed=seed, jobs=jobs
        )
        self.n_estimators = n_estimators

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.n_estimators is not None:
            self._check_count("n_estimators", 1, _MOST_TREES)


class NearestNeighboursDetector(MatrixDetector):
    """Nearest neighbours: rows that are far from all known ones are anomalies.

    As ``ImageAnomalyDetector("neighbours")`` has it for whole images: the mean distance to the five
    nearest rows, where directions that vary much count less.

    A row that was learned is its own nearest neighbour. ``fit_predict`` therefore judges each row
    by the others, and ``predict`` is for new rows, as with scikit-learn's ``LocalOutlierFactor``.

    Args:
        false_alarm_rate: the share of normal rows that may be called anomalies, above 0 and below
            1; None takes 0.01, or the best that so few rows can promise.
        contamination: the share of the rows of ``fit`` that the threshold calls anomalies, above 0
            and below 1, in place of a false-alarm rate.
        seed: of the choice of 20,000 rows among more, from 0.
        jobs: number of processes that calibrate; None takes one for each core. Nothing depends on
            it but the time.

    Attributes:
        threshold_, offset_: the score above which a row is an anomaly, and the negative of it.
        calibration_scores_, training_scores_: (n_rows,) float64, scores of the rows of ``fit`` by
            detectors that had not seen them.
        n_features_in_, feature_names_in_: as in scikit-learn.

    Example:
        >>> import numpy as np
        >>> from pyimagesearch import NearestNeighboursDetector
        >>> normal = np.random.default_rng(0).normal(size=(200, 4))
        >>> NearestNeighboursDetector().fit(normal).predict([[0] * 4, [6] * 4])
        array([ 1, -1])
    """

    _detector_class = knn.KnnDetector


class MahalanobisDetector(MatrixDetector):
    """Mahalanobis distance: rows that break the rule by which features vary together are anomalies.

    The distance to the mean, where directions that vary much count less. The covariance is shrunk
    (Ledoit and Wolf, A well-conditioned estimator for large-dimensional covariance matrices, 2004),
    so that there may be fewer rows than features. ``ImageAnomalyDetector("gaussian")`` has such a
    distance at each place of an image.

    Args:
        false_alarm_rate: the share of normal rows that may be called anomalies, above 0 and below
            1; None takes 0.01, or the best that so few rows can promise.
        contamination: the share of the rows of ``fit`` that the threshold calls anomalies, above 0
            and below 1, in place of a false-alarm rate.
        seed: not used, since nothing is drawn; the other detectors have it.
        jobs: number of processes that calibrate; None takes one for each core. Nothing depends on
            it but the time.

    Attributes:
        threshold_, offset_: the score above which a row is an anomaly, and the negative of it.
        calibration_scores_: (n_rows,) float64, scores of the rows of ``fit`` by detectors that had
            not seen them.
        training_scores_: (n_rows,) float64, the detector's own scores of these rows.
        n_features_in_, feature_names_in_: as in scikit-learn.

    Example:
        >>> import numpy as np
        >>> from pyimagesearch import MahalanobisDetector
        >>> first, noise = np.random.default_rng(0).normal(size=(2, 200))
        >>> normal = np.column_stack([first, first + 0.1 * noise])
        >>> MahalanobisDetector().fit(normal).predict([[2, 2], [1, -1]])
        array([ 1, -1])
    """

    _detector_class = mahalanobis.MahalanobisDetector
