"""What the detectors of images, of series and of matrices have in common."""

from __future__ import annotations

import contextlib
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils.validation import check_is_fitted

from pyimagesearch.labelling.thresholds import FALSE_ALARM_RATE, ThresholdRule
from pyimagesearch.runtime import processes
from pyimagesearch.runtime.console import UserError

_LARGEST_SEED = 2**32 - 1


@dataclass(frozen=True)
class Judged:
    """What a detector finds about images or rows.

    Attributes:
        scores: (n,) float64, higher is more anomalous; NaN where something could not be judged.
        p_values: (n,) float64, NaN likewise.
        threshold: the score above which they are anomalies.
    """

    scores: np.ndarray
    p_values: np.ndarray
    threshold: float


class AnomalyDetector(OutlierMixin, BaseEstimator):
    """A detector of anomalies with the interface of scikit-learn's outlier detectors.

    Attributes:
        threshold_: the score above which something is an anomaly.
        offset_: the same for ``score_samples``, as in scikit-learn: ``-threshold_``.
        n_features_in_: as in scikit-learn, where ``X`` is a matrix.
    """

    threshold_: float

    @abstractmethod
    def _judge(self, X: Any) -> Judged:
        """Score what ``X`` holds; what was fitted stays as it is."""

    @property
    def offset_(self) -> float:
        """The threshold for ``score_samples``: ``decision_function`` is its distance from it."""
        return -self.threshold_

    def anomaly_score(self, X: Any) -> np.ndarray:
        """Compute anomaly scores as the scripts print them: higher is more anomalous.

        Args:
            X: images or rows, as of ``fit``.

        Returns:
            (n,) float64, without a unit; NaN for rows that could not be judged.

        Raises:
            ValueError: not usable, or other columns than those of ``fit``; nothing was fitted.
            TypeError: neither images nor numbers.
            FileNotFoundError: there is no such file.

        Example:
            >>> import numpy as np
            >>> from pyimagesearch import SeriesAnomalyDetector
            >>> waves = np.sin(np.arange(300) / 5)
            >>> detector = SeriesAnomalyDetector(method="stream").fit(waves)
            >>> later = np.sin(np.arange(300, 400) / 5)
            >>> later[60] = 9
            >>> int(detector.anomaly_score(later).argmax())
            60
        """
        return self._judged(X).scores

    def score_samples(self, X: Any) -> np.ndarray:
        """Compute scores as scikit-learn has them: lower is more abnormal.

        Args:
            X: images or rows, as of ``fit``.

        Returns:
            (n,) float64, ``-anomaly_score(X)``.

        Raises:
            ValueError, TypeError, FileNotFoundError: as of ``anomaly_score``.

        Example:
            >>> import numpy as np
            >>> from pyimagesearch import SeriesAnomalyDetector
            >>> waves = np.sin(np.arange(300) / 5)
            >>> detector = SeriesAnomalyDetector(method="stream").fit(waves)
            >>> detector.score_samples(waves).shape
            (300,)
        """
        return -self.anomaly_score(X)

    def decision_function(self, X: Any) -> np.ndarray:
        """Compute the distance from the threshold: negative is an anomaly, as in scikit-learn.

        PyOD's function of this name has the other sign: see ``anomaly_score``.

        Args:
            X: images or rows, as of ``fit``.

        Returns:
            (n,) float64, in units of the score.

        Raises:
            ValueError, TypeError, FileNotFoundError: as of ``anomaly_score``.

        Example:
            >>> import numpy as np
            >>> from pyimagesearch import SeriesAnomalyDetector
            >>> waves = np.sin(np.arange(300) / 5)
            >>> detector = SeriesAnomalyDetector(method="stream").fit(waves)
            >>> bool(detector.decision_function([0.0, 50.0])[1] < 0)
            True
        """
        judged = self._judged(X)
        return judged.threshold - judged.scores

    def predict(self, X: Any) -> np.ndarray:
        """Say what is normal and what is an anomaly.

        Args:
            X: images or rows, as of ``fit``.

        Returns:
            (n,) int64: 1 is normal, -1 an anomaly. Rows that could not be judged (their
            ``anomaly_score`` is NaN) are 1.

        Raises:
            ValueError, TypeError, FileNotFoundError: as of ``anomaly_score``.

        Example:
            >>> import numpy as np
            >>> from pyimagesearch import SeriesAnomalyDetector
            >>> waves = np.sin(np.arange(300) / 5)
            >>> detector = SeriesAnomalyDetector(method="stream").fit(waves)
            >>> detector.predict([0.0, 0.1, 50.0])
            array([ 1,  1, -1])
        """
        return np.where(self.decision_function(X) < 0, -1, 1)

    def p_value(self, X: Any) -> np.ndarray:
        """Compute p-values: which share of what is normal scores as high.

        It is a share of images, of blocks of rows of a series, or of rows of a matrix.

        Args:
            X: images or rows, as of ``fit``.

        Returns:
            (n,) float64 in (0, 1]; NaN for rows that could not be judged.

        Raises:
            ValueError, TypeError, FileNotFoundError: as of ``anomaly_score``.

        Example:
            >>> import numpy as np
            >>> from pyimagesearch import SeriesAnomalyDetector
            >>> waves = np.sin(np.arange(300) / 5)
            >>> detector = SeriesAnomalyDetector(method="stream").fit(waves)
            >>> normal, strange = detector.p_value([0.0, 50.0])
            >>> bool(strange < normal <= 1)
            True
        """
        return self._judged(X).p_values

    def _judged(self, X: Any) -> Judged:
        check_is_fitted(self)
        with as_a_library():
            return self._judge(X)

    def _check_parameters(self) -> None:
        """Refuse parameters that nothing can be fitted with.

        Raises:
            ValueError: one is out of its range.
            TypeError: one is of another type.
        """
        self._check_share("false_alarm_rate", from_zero=False)
        self._check_share("contamination")
        self._check_count("seed", 0, _LARGEST_SEED)

    def _check_share(self, name: str, *, from_zero: bool = True) -> None:
        value = getattr(self, name)
        if value is None:
            return
        if isinstance(value, bool) or not isinstance(value, Real):
            raise TypeError(f"{name} must be a number or None, not {value!r}")
        if not (0 < value < 1 or (from_zero and value == 0)):
            lowest = "from 0" if from_zero else "above 0"
            raise ValueError(f"{name} must be {lowest} to below 1, not {value!r}")

    def _check_count(self, name: str, least: int, most: int) -> None:
        value = getattr(self, name)
        if isinstance(value, bool) or not isinstance(value, Integral):
            raise TypeError(f"{name} must be a whole number, not {value!r}")
        if not least <= value <= most:
            raise ValueError(f"{name} must be from {least} to {most:,}, not {value!r}")

    def _asked_rule(self) -> ThresholdRule | None:
        if self.false_alarm_rate is None:
            return None
        return ThresholdRule(FALSE_ALARM_RATE, float(self.false_alarm_rate))


@contextlib.contextmanager
def as_a_library() -> Iterator[None]:
    """Work as a part of somebody's program.

    Where users of the scripts get a sentence, those of Python get a ``ValueError``; and the
    program is not forked.
    """
    try:
        with processes.never_forked():
            yield
    except UserError as error:
        raise ValueError(str(error)) from error
