"""Anomalies in images, for Python."""

from __future__ import annotations

import contextlib
import functools
import os
import tempfile
from collections.abc import Iterator
from typing import Any, Self

import cv2
import numpy as np
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import ThreadpoolController  # comes with scikit-learn

from pyimagesearch.data import image_arrays, image_folder, images, mvtec
from pyimagesearch.detectors import registry
from pyimagesearch.detectors.image.isolation_forest import (
    IsolationForestDetector,
    default_estimators,
)
from pyimagesearch.detectors.model_file import ModelFile, ModelFileError
from pyimagesearch.estimators.base import Judged, as_a_library
from pyimagesearch.estimators.model_detector import ModelDetector, asked_parameters, said
from pyimagesearch.labelling import thresholds
from pyimagesearch.labelling.images import Labeller
from pyimagesearch.labelling.thresholds import ThresholdRule
from pyimagesearch.runtime.console import printable
from pyimagesearch.runtime.system import available_cores
from pyimagesearch.training.image_features import FeatureOptions
from pyimagesearch.training.image_recipe import ImageRecipe, usual_backbone
from pyimagesearch.training.images import (
    AUTO,
    FOREST,
    METHODS,
    ImageFit,
    PatchOptions,
    TrainingFolder,
)
from pyimagesearch.training.trained_model import TrainedModel

_MOST_JOBS, _MOST_TREES = 10_000, 1_000_000
_SEVERAL = "the images"  # for messages, in place of a folder


class ImageAnomalyDetector(ModelDetector):
    """Learns what normal images look like, and finds what is unlike them, and where.

    Wherever images are asked for, they are the name of a folder (or of one file); names of files;
    an array (n, height, width) of grey or (n, height, width, 3) of RGB images; or arrays of one
    image each, which may differ in size. Arrays are uint8, or float from 0 to 1. Scores of files
    are those of the scripts; arrays have the scores of PNG files with these pixels.

    Args:
        method: "auto" adds "memory-bank", the distance of each patch to known ones, and
            "neighbours", that of the whole image to known ones; "subspace" and "gaussian" judge
            patches, too; "forest" judges colours alone, and needs no network.
        false_alarm_rate: the share of normal images that may be called anomalies, above 0 and below
            1; None takes 0.01, or the best that so few images can promise.
        contamination: up to this share of the images of ``fit``, from 0 and below 1, may be
            anomalies: the strangest are not learned, and of these only those that may well be
            normal count for the threshold. None leaves out only those that are a group apart. Of
            "forest" it is the share that the threshold calls anomalies, as scikit-learn's, in
            place of a false-alarm rate.
        seed: of all random choices, from 0.
        n_estimators: number of trees of "forest", from 1; None takes the usual one.
        jobs: number of processes that train and of threads that label; None takes one for each
            core. Nothing depends on it but the time.

    Attributes:
        model_: the content of the model file that ``save`` writes.
        threshold_, offset_: the score above which an image is an anomaly, and the negative of it.
        left_out_: the images of ``fit`` that were not learned, since they may be anomalies:
            numbers from 0 of arrays, or names of files. Not there after ``load``.

    Example:
        >>> import numpy as np
        >>> from pyimagesearch import ImageAnomalyDetector
        >>> rng = np.random.default_rng(0)
        >>> grey = rng.integers(90, 120, (12, 32, 32, 3), dtype=np.uint8)
        >>> red = grey[:1] + np.array([120, 0, 0], np.uint8)
        >>> detector = ImageAnomalyDetector("forest", n_estimators=50, jobs=1).fit(grey)
        >>> detector.predict(np.concatenate([grey[:2], red]))
        array([ 1,  1, -1])
    """

    _kind = "images"
    _methods = METHODS

    def __init__(
        self,
        method: str = AUTO,
        *,
        false_alarm_rate: float | None = None,
        contamination: float | None = None,
        seed: int = 42,
        n_estimators: int | None = None,
        jobs: int | None = None,
    ) -> None:
        self.method = method
        self.false_alarm_rate = false_alarm_rate
        self.contamination = contamination
        self.seed = seed
        self.n_estimators = n_estimators
        self.jobs = jobs

    def fit(self, X: Any, y: object = None) -> Self:  # noqa: ARG002
        """Learn what normal images look like, as ``train_anomaly_detector.py`` does.

        Files that are no readable images are left out, and so are copies. Of a folder that is laid
        out as MVTec AD's, its good training images are learned.

        Args:
            X: normal images, see the class; at least 3, or 8 of "forest" and "neighbours".
            y: not used; scikit-learn's interface has it.

        Returns:
            This detector.

        Raises:
            ValueError: a parameter out of its range; no images or too few, arrays of another shape,
                numbers outside [0, 1] or that are none; a false-alarm rate that so few images
                cannot promise.
            TypeError: neither names nor arrays, or arrays of another type.
            FileNotFoundError: there is no such file or folder.

        Example:
            >>> import numpy as np
            >>> from pyimagesearch import ImageAnomalyDetector
            >>> normal = np.random.default_rng(0).random((8, 32, 32, 3))
            >>> ImageAnomalyDetector("forest", n_estimators=50, jobs=1).fit(normal)
            ImageAnomalyDetector(jobs=1, method='forest', n_estimators=50)
        """
        with as_a_library(), _one_thread_an_image():
            self._fit(X)
        return self

    def fit_predict(self, X: Any, y: object = None) -> np.ndarray:  # noqa: ARG002
        """Learn images, and say which of them are anomalies.

        An image is one if its score is above the threshold, or was so by a detector that had not
        learned it, as of the calibration.

        Args:
            X: images, as of ``fit``.
            y: not used; scikit-learn's interface has it.

        Returns:
            (n_images,) int64: 1 is normal, -1 an anomaly. Of a folder, its images in their order.

        Raises:
            ValueError, TypeError, FileNotFoundError: as of ``fit``; a file is no readable image.

        Example:
            >>> import numpy as np
            >>> from pyimagesearch import ImageAnomalyDetector
            >>> images = np.random.default_rng(0).integers(90, 120, (12, 32, 32, 3), dtype=np.uint8)
            >>> images[7, :, :, 0] += 120
            >>> detector = ImageAnomalyDetector("forest", n_estimators=50, contamination=0.1)
            >>> int(detector.fit_predict(images)[7])
            -1
        """
        with as_a_library(), _one_thread_an_image():
            given = image_arrays.list_given(X)
            outlying = self._fit(X if isinstance(X, (str, os.PathLike)) else given)
            names = given if isinstance(given[0], str) else range(len(given))
            return np.where([name in outlying for name in names], -1, self.predict(given))

    def _fit(self, X: Any) -> set[str] | set[int]:
        """Fit; the images whose scores by detectors that had not learned them are too high."""
        self._check_parameters()
        for name, most in (("jobs", _MOST_JOBS), ("n_estimators", _MOST_TREES)):
            if getattr(self, name) is not None:
                self._check_count(name, 1, most)
        if self.n_estimators is not None and self.method != FOREST:
            raise ValueError("n_estimators goes with the method 'forest'")
        folder_name, paths = _SEVERAL, None
        if isinstance(X, (str, os.PathLike)):
            folder_name = os.fspath(X)
            paths = image_folder.list_folder(mvtec.training_folder(folder_name))
        elif isinstance((given := image_arrays.list_given(X))[0], str):
            paths = given
        if paths is not None:
            learned, trained = self._learn(folder_name, paths)
            names = {path: path for path in paths}
        else:
            with tempfile.TemporaryDirectory() as folder:
                paths = image_arrays.write_images(given, folder)
                learned, trained = self._learn(folder_name, paths)
            names = {path: number for number, path in enumerate(paths)}
        self._take_over(trained.as_file())
        self.left_out_ = sorted(names[path] for path in learned.left_out)
        scores = learned.calibration[-len(learned.names) :]
        is_high = scores > self.threshold_
        return {names[path] for path, high in zip(learned.names, is_high, strict=True) if high}

    def _learn(self, name: str, paths: list[str]) -> tuple[ImageFit, TrainedModel]:
        rule, contamination = self._asked_rule(), self.contamination
        if self.method == FOREST and contamination is not None:
            if rule is not None or contamination == 0:
                raise ValueError(
                    "of the method 'forest', contamination is the share above the threshold: it is "
                    "above 0, and does not go with false_alarm_rate"
                )
            rule, contamination = ThresholdRule("contamination", float(contamination)), 0.0
        rule = rule or ThresholdRule()
        recipe = ImageRecipe(
            method=self.method,
            features=FeatureOptions(usual_backbone(self.method)),
            patches=PatchOptions(seed=int(self.seed)),
            rule=rule,
            seed=int(self.seed),
            n_estimators=None if self.n_estimators is None else int(self.n_estimators),
        )
        folder = TrainingFolder(
            name,
            paths,
            rate=rule.asked_rate,
            jobs=self._n_jobs,
            contamination=None if contamination is None else float(contamination),
        )
        return recipe.learn(folder)

    def anomaly_map(self, image: Any) -> np.ndarray:
        """Show where an image is anomalous, as the scripts' heat maps do.

        Args:
            image: the name of a file; or (height, width) grey or (height, width, 3) RGB, uint8 or
                float from 0 to 1.

        Returns:
            (height, width) float32, of the image's size: 1 is the threshold, above which something
            of every anomaly lies and nothing of a normal image; 0 is usual. Of "neighbours"
            all of it has one value, and of "forest" each colour has one.

        Raises:
            ValueError: not an image; nothing was fitted.
            TypeError: neither a name nor an array, or one of another type.
            FileNotFoundError: there is no such file.

        Example:
            >>> import numpy as np
            >>> from pyimagesearch import ImageAnomalyDetector
            >>> normal = np.random.default_rng(0).random((8, 32, 48, 3))
            >>> detector = ImageAnomalyDetector("forest", n_estimators=50, jobs=1).fit(normal)
            >>> detector.anomaly_map(normal[0]).shape
            (32, 48)
        """
        check_is_fitted(self, "model_")
        with as_a_library(), _one_thread_an_image():
            labeller = self._labeller_of_model()
            if isinstance(image, (str, os.PathLike)):
                path = image_arrays.check_file(image)
                try:
                    return labeller.heat_map(images.read_bytes(path))[1]
                except images.ImageError as error:
                    raise ValueError(f"{printable(path)}: {error}") from error
            array = np.asarray(image)
            image_arrays.check_image(array, "the image")
            return labeller.heat_map(image_arrays.to_bgr(array))[1]

    @property
    def _n_jobs(self) -> int:
        return available_cores() if self.jobs is None else int(self.jobs)

    def _take_over(self, model: ModelFile, labeller: Labeller | None = None) -> None:
        self.model_ = model
        self._labeller = labeller

    def _labeller_of_model(self) -> Labeller:
        if self._labeller is None:
            self._labeller = Labeller.from_model(self.model_)
        return self._labeller

    def __getstate__(self) -> dict[str, Any]:
        # What is made from the model once more is not copied or pickled with it.
        state = super().__getstate__()
        return state | {"_labeller": None} if "_labeller" in state else state

    @classmethod
    def _from_model(cls, model: ModelFile) -> Self:
        labeller = Labeller.from_model(model)
        if labeller.groups is not None:
            raise ModelFileError(
                "it has a threshold for each of its groups (--group-by), which the scripts judge by"
            )
        labeller.try_networks()
        name = labeller.detector.name
        parameters = asked_parameters(model, registry.method_of(name) or name)
        if parameters.get("false_alarm_rate") == thresholds.default_rate(labeller.calibration):
            parameters["false_alarm_rate"] = None
        if isinstance(labeller.detector, IsolationForestDetector):
            parameters |= _asked_of_forest(model, labeller.detector)
        detector = cls(**parameters)
        detector._take_over(model, labeller)
        return detector

    def _judge(self, X: Any) -> Judged:
        labeller = self._labeller_of_model()
        given = image_arrays.list_given(X)
        names, read = given, None
        if not isinstance(given[0], str):
            names = [f"image {number}" for number in range(len(given))]
            arrays = dict(zip(names, given, strict=True))

            def read(name: str) -> np.ndarray:
                return labeller.small_image(image_arrays.to_bgr(arrays[name]))

        with _one_thread_an_image():
            verdicts = list(labeller.label(names, self._n_jobs, read))
        for verdict in verdicts:
            if not verdict.is_readable:
                raise ValueError(f"{printable(verdict.image)}: {verdict.reason}")
        scores, p_values = (
            np.array([getattr(verdict, name) for verdict in verdicts], np.float64)
            for name in ("score", "p_value")
        )
        return Judged(scores, p_values, labeller.threshold)


def _asked_of_forest(model: ModelFile, detector: IsolationForestDetector) -> dict[str, Any]:
    """What a model file says of a forest's own parameters; None of those by default."""
    n_estimators = len(detector.tree_start) - 1
    is_usual = n_estimators == default_estimators(detector.max_samples)
    threshold = said(model, "threshold")
    share = threshold.get("parameter") if threshold.get("rule") == "contamination" else None
    return {
        "n_estimators": None if is_usual else n_estimators,
        "contamination": share if type(share) is float else None,
    }


@contextlib.contextmanager
def _one_thread_an_image() -> Iterator[None]:
    """Have images worked on by one thread each; afterwards, libraries have theirs as before.

    The package asks for it in the environment, too, but that is late where numpy was imported
    first: BLAS's threads then wait for each other, at several times the CPU time.
    """
    n_threads = cv2.getNumThreads()
    try:
        with _libraries().limit(limits=1, user_api="blas"):
            yield
    finally:
        cv2.setNumThreads(n_threads)


@functools.cache
def _libraries() -> ThreadpoolController:
    """The libraries with threads of their own; to look for them takes milliseconds."""
    return ThreadpoolController()
