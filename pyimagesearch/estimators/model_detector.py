"""Detectors that a model file keeps: what those of images and of series have in common."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Self

from sklearn.utils.validation import check_is_fitted

from pyimagesearch.detectors import model_file
from pyimagesearch.detectors.model_file import ModelFile
from pyimagesearch.estimators.base import AnomalyDetector, as_a_library
from pyimagesearch.labelling.thresholds import FALSE_ALARM_RATE


class ModelDetector(AnomalyDetector):
    """A detector by one of several methods, whose model files are those of the scripts.

    Attributes:
        model_: the content of the model file that ``save`` writes.
        threshold_: the score above which something is an anomaly.
    """

    _kind = ""  # of the model files
    _methods: Sequence[str] = ()

    @property
    def threshold_(self) -> float:
        """The score above which something is an anomaly."""
        check_is_fitted(self, "model_")
        return self.model_.threshold

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
        if self.method not in self._methods:
            known = ", ".join(map(repr, self._methods))
            raise ValueError(f"method must be one of {known}, not {self.method!r}")
        super()._check_parameters()


def asked_parameters(model: ModelFile, method: str) -> dict[str, Any]:
    """The parameters that a model file says, which may say anything.

    Args:
        model: the file.
        method: by which its detector is fitted.
    """
    found: dict[str, Any] = {"method": method}
    hyperparameters = said(model, "hyperparameters")
    if type(seed := hyperparameters.get("seed")) is int:
        found["seed"] = seed
    if type(share := hyperparameters.get("contamination")) is float:
        found["contamination"] = share
    threshold = said(model, "threshold")
    if threshold.get("rule") == FALSE_ALARM_RATE and type(threshold.get("parameter")) is float:
        found["false_alarm_rate"] = threshold["parameter"]
    return found


def said(model: ModelFile, name: str) -> dict[str, Any]:
    """What the manifest of a model file says of something; nothing where that is no object."""
    found = model.manifest.get(name)
    return found if isinstance(found, dict) else {}
