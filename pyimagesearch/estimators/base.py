"""What the detectors of images and of series have in common."""

from __future__ import annotations

import contextlib
import math
import os
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils.validation import check_is_fitted

from pyimagesearch.detectors import model_file
from pyimagesearch.detectors.model_file import ModelFile
from pyimagesearch.labelling.thresholds import FALSE_ALARM_RATE, ThresholdRule
from pyimagesearch.runtime import processes
from pyimagesearch.runtime.console import UserError

_LARGEST_SEED = 2**32 - 1


@dataclass(frozen=True)
class Judged:
    """What a model finds about images or rows.

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
        model_: the content of the model file that ``save`` writes.
        threshold_: the score above which something is an anomaly.
        offset_: the same for ``score_samples``, as in scikit-learn: ``-threshold_``.
        n_features_in_: as in scikit-learn, where ``X`` is a matrix.
    """

    _kind = ""  # of the model files
    _methods: Sequence[str] = ()

    @abstractmethod
    def _judge(self, X: Any) -> Judged:
        """Score what ``X`` holds; the model stays as it is."""

    @property
    def threshold_(self) -> float:
        """The score above which something is an anomaly."""
        check_is_fitted(self, "model_")
        return self.model_.threshold

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
        """Compute p-values: which share of normal images, or blocks of rows, scores as high.

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
        check_is_fitted(self, "model_")
        with as_a_library():
            return self._judge(X)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model file, which the scripts read, too.

        Args:
            path: of the file; one that is there is replaced in one step.

        Raises:
            ValueError: nothing was fitted.
            OSError: it cannot be written.

        Example:
            >>> import os, tempfile
            >>> import numpy as np
            >>> from pyimagesearch import SeriesAnomalyDetector
            >>> waves = np.sin(np.arange(300) / 5)
            >>> detector = SeriesAnomalyDetector(method="stream").fit(waves)
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     path = os.path.join(folder, "waves.model")
            ...     detector.save(path)
            ...     same = SeriesAnomalyDetector.load(path)
            >>> bool((same.anomaly_score(waves) == detector.anomaly_score(waves)).all())
            True
        """
        check_is_fitted(self, "model_")
        self.model_.save(os.fspath(path))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a model file, of ``save`` or of a training script.

        The file may come from anybody: nothing in it is code, and all of it is checked. Where it
        has a network, another process tries that first.

        Args:
            path: of the file.

        Returns:
            A detector that is fitted. Its parameters are those of the file, as far as it says them.

        Raises:
            ValueError: not a usable model file, or one of another kind of data.
            FileNotFoundError: there is no such file.
            OSError: it cannot be read.

        Example:
            See ``save``.

            >>> from pyimagesearch import SeriesAnomalyDetector
            >>> SeriesAnomalyDetector.load("missing.model")
            Traceback (most recent call last):
            FileNotFoundError: [Errno 2] No such file or directory: 'missing.model'
        """
        name = os.fspath(path)
        with as_a_library(), model_file.named(name):
            model = model_file.load_model(name)
            with model_file.usable():
                model.check_kind(cls._kind)
            return cls._from_model(model)

    @classmethod
    @abstractmethod
    def _from_model(cls, model: ModelFile) -> Self:
        """Take over what a model file of the right kind holds; may raise ``ModelFileError``."""

    def _check_parameters(self) -> None:
        """Refuse parameters that nothing can be fitted with.

        Raises:
            ValueError: one is out of its range.
            TypeError: one is of another type.
        """
        if self.method not in self._methods:
            known = ", ".join(map(repr, self._methods))
            raise ValueError(f"method must be one of {known}, not {self.method!r}")
        for name, most in (("false_alarm_rate", 1.0), ("contamination", 1.0)):
            value = getattr(self, name)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, Real):
                raise TypeError(f"{name} must be a number or None, not {value!r}")
            lowest = "above 0" if name == "false_alarm_rate" else "from 0"
            is_low = value <= 0 if name == "false_alarm_rate" else value < 0
            if is_low or not math.isfinite(value) or value >= most:
                raise ValueError(f"{name} must be {lowest} to below 1, not {value!r}")
        self._check_count("seed", 0, _LARGEST_SEED)

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


def asked_parameters(model: ModelFile, method: str) -> dict[str, Any]:
    """The parameters that a model file says, which may say anything.

    Args:
        model: the file.
        method: by which its detector is fitted.
    """
    found: dict[str, Any] = {"method": method}
    hyperparameters, threshold = (model.manifest.get(k) for k in ("hyperparameters", "threshold"))
    if isinstance(hyperparameters, dict) and isinstance(hyperparameters.get("seed"), int):
        found["seed"] = hyperparameters["seed"]
    if isinstance(threshold, dict) and threshold.get("rule") == FALSE_ALARM_RATE:
        rate = threshold.get("parameter")
        found["false_alarm_rate"] = rate if isinstance(rate, float) else None
    return found


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
