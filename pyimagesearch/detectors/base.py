"""The contract: what every detector has, and what those of images and of series have in addition.

A new detector is one file with a subclass, and one line in ``registry``; docs/adding-a-detector.md
shows a whole one. Detectors of patches and of pixels have more in common: see
``image.patch_detector`` and ``image.pixel_detector``.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from pyimagesearch.detectors.array_checks import Array, check_networks, checked_arrays

# Takes scores to the scale of heat, where 0 is typical and 1 the threshold.
Relative = Callable[[Any], Any]


class Detector(ABC):
    """A fitted detector, all of which a model file can keep.

    Attributes:
        name: by which model files call it.
        ARRAYS: what each array that a model file keeps of it must be; they are its attributes.
    """

    name: ClassVar[str]
    ARRAYS: ClassVar[Mapping[str, Array]] = {}

    @abstractmethod
    def parameters(self) -> dict[str, Any]:
        """What the manifest of a model file holds of it, as JSON types."""

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays that a model file keeps."""
        return {name: getattr(self, name) for name in self.ARRAYS}

    def networks(self) -> dict[str, bytes]:
        """The ONNX graphs that a model file keeps."""
        return {}

    @classmethod
    def restore(
        cls,
        parameters: dict[str, Any],
        arrays: dict[str, np.ndarray],
        networks: dict[str, bytes],
    ) -> Self:
        """Make the detector again from what a model file holds, which may be anything.

        This one suits detectors that are made from their ``ARRAYS`` and ``checked_fields``. Where
        shapes name a length as the parameters name a number, it must be that.

        Args:
            parameters, arrays, networks: what the methods of these names gave.

        Raises:
            ValueError: something is missing or does not fit together.
        """
        check_networks(networks)
        fields = cls.checked_fields(parameters)
        lengths = {key: value for key, value in parameters.items() if isinstance(value, int)}
        detector = cls(**fields, **checked_arrays(arrays, cls.ARRAYS, lengths))
        for key, value in detector.parameters().items():
            if parameters.get(key) != value:
                described = parameters.get(key)
                raise ValueError(f"its detector's {key} is {value!r}, not {described!r}")
        return detector

    @abstractmethod
    def check(self) -> None:
        """Compute with it once, as it was made again from what a model file holds.

        Where it has a network, a process does this that may be lost over it.

        Raises:
            ValueError: its arrays are finite, but too large to compute with, or its network does
                not do what it should.
        """

    @classmethod
    def checked_fields(cls, parameters: dict[str, Any]) -> dict[str, Any]:
        """Those of the parameters that it is made from; ``ValueError`` where they are no good."""
        return {}


class ImageDetector(Detector):
    """Scores images from their features, higher is more anomalous."""

    @property
    @abstractmethod
    def n_features(self) -> int:
        """Length of the feature vector of an image, or of each of its patches."""

    @abstractmethod
    def score(self, features: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
        """Compute anomaly scores, each image's on its own.

        Args:
            features: of each image; an array where they have one shape.

        Returns:
            (n_images,) float64.

        Raises:
            ValueError: another number of features than ``n_features``.
        """

    def check(self) -> None:
        with np.errstate(all="ignore"):
            _check_finite(self.score(self._blank()[None]))

    def _blank(self) -> np.ndarray:
        """The features of an image of which all are 0."""
        return np.zeros(self.n_features, np.float32)

    @abstractmethod
    def contributions(self, features: np.ndarray) -> np.ndarray:
        """Find how anomalous each feature, patch or pixel of an image is; images can be compared.

        Args:
            features: of one image.

        Returns:
            One number for each; or (1,) for the whole image.
        """

    @abstractmethod
    def heat(self, features: np.ndarray, relative: Relative) -> np.ndarray:
        """Bring ``contributions`` into line with the verdict: above 1 is beyond what is normal."""

    def reconstruct(self, features: np.ndarray) -> np.ndarray | None:
        """The features of one image as they would be if it were normal; None where unknown."""
        return None

    def explain(self, features: np.ndarray) -> tuple[np.ndarray, tuple[float, float]] | None:
        """Show what the most anomalous place of an image was compared with.

        Returns:
            A thumbnail of a training image, (side, side, 3) uint8 BGR, and the place in it, down
            and across, from 0 to 1; None where no training images are kept.
        """
        return None

    def typical_features(self) -> np.ndarray | None:
        """(n_features,), those of a usual image; None where they are not known."""
        return None

    def parameters(self) -> dict[str, Any]:
        return {"n_features": self.n_features}


class WholeImageDetector(ImageDetector):
    """Judges an image as a whole, from one feature vector.

    Attributes:
        N_FOLDS: of its calibration.
        SCORES_ITS_OWN: whether its scores of the images that it was fitted on mean something; where
            each of them is nearest to itself, they do not.
    """

    N_FOLDS: ClassVar[int] = 5
    SCORES_ITS_OWN: ClassVar[bool] = True

    @classmethod
    @abstractmethod
    def fit(cls, features: np.ndarray, *, seed: int = 42) -> Self:
        """Learn what normal images have.

        Args:
            features: (n_images, n_features) float32, finite.
            seed: of all choices.
        """

    @classmethod
    def fit_options(cls, least_images: int, asked: Mapping[str, Any]) -> dict[str, Any]:
        """What else ``fit`` is given.

        Args:
            least_images: that any detector is fitted on whose scores are to be compared.
            asked: what the user chose, by the names of the options; None where nothing was.
        """
        return {}

    def contributions(self, features: np.ndarray) -> np.ndarray:
        """The image's own score: (1,) float64."""
        return self.score(features[None])

    def heat(self, features: np.ndarray, relative: Relative) -> np.ndarray:
        """The image's own score on the scale of heat: (1,) float64."""
        return np.array([relative(self.score(features[None])[0])])


class SeriesDetector(Detector):
    """Scores the rows of a series, higher is more anomalous.

    Attributes:
        SCORE_UNIT: what its scores are measured in, for the axis of a plot; "" where in nothing.
    """

    SCORE_UNIT: ClassVar[str] = ""

    @property
    @abstractmethod
    def n_columns(self) -> int:
        """Number of columns of the series."""


class WindowDetector(SeriesDetector):
    """Scores the rows of a whole stretch by the windows that hold them."""

    def check(self) -> None:
        with np.errstate(all="ignore"):
            found = self.score_rows(np.zeros((self.time_steps, self.n_columns)))
        _check_finite(*found)

    @property
    @abstractmethod
    def time_steps(self) -> int:
        """Rows of the longest windows: no stretch may be shorter."""

    @abstractmethod
    def score_rows(
        self, values: np.ndarray, own_start: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Compute the scores by which rows are ranked, and those that decide.

        Args:
            values: (n_rows, n_columns) float64, finite, of at least ``time_steps`` rows.
            own_start: where these are rows of the training series, the number of the first; None
                for another series.

        Returns:
            (n_rows,) float64, the mean over the windows that hold a row, and (n_rows,) float64,
            the least of them.

        Raises:
            ValueError: another number of columns, or fewer rows than a window.
        """

    def nearest_known(
        self, values: np.ndarray, first: int, last: int, own_start: int | None = None
    ) -> tuple[int, np.ndarray, np.ndarray] | None:
        """Find the nearest known stretch to some rows, where a detector knows stretches.

        Args:
            values, own_start: as of ``score_rows``.
            first, last: of the rows, both included.

        Returns:
            The first row of a stretch that holds these, (n, n_columns) float64, what is known for
            it, and (n_columns,) float64, the usual deviation of each column; or None.
        """
        return None


class CausalDetector(SeriesDetector):
    """Scores rows as they come, from those before them, and changes with each."""

    def check(self) -> None:
        with np.errstate(all="ignore"):
            _check_finite(copy.deepcopy(self).update(None, np.zeros((1, self.n_columns))))

    @abstractmethod
    def update(self, timestamps: np.ndarray | None, values: np.ndarray) -> np.ndarray:
        """Score the next rows. How rows are distributed over calls makes no difference.

        Args:
            timestamps: (n,) datetime64, or int64 nanoseconds since 1970 (UTC); None where rows
                have no time.
            values: (n, n_columns) float, or (n,) of one column.

        Returns:
            (n,) float64.

        Raises:
            ValueError: another number of columns or of timestamps, or another type of these.
        """


def _check_finite(*scores: np.ndarray) -> None:
    if not all(np.isfinite(some).all() for some in scores):
        raise ValueError("its detector finds no finite score")
