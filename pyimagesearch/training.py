"""The training half: a folder of normal images -> features -> detector -> calibration -> file."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np

from pyimagesearch import images, modelfiles, thresholds
from pyimagesearch.features import HistogramFeatures
from pyimagesearch.parallel import chunked, ordered_map

MIN_IMAGES = 8
# Below this many images, five folds would take too much away from each detector, and the largest
# score, which is then the threshold, would depend on who is left out with whom.
LEAVE_ONE_OUT_BELOW = 30
N_FOLDS = 5
_FILES_AT_ONCE = 16


class TrainingError(ValueError):
    """Images from which nothing can be learned; the text says why."""


@dataclass
class Audit:
    """What was found in a training folder.

    Attributes:
        paths: the images to learn from.
        features: (n_images, n_features) float32, a row for each of ``paths``.
        unreadable: (path, reason) of files that are left out.
        duplicates: (path, path of the image that it equals byte for byte), left out.
        digest: SHA-256 over the digests of the images' bytes, in order.
    """

    paths: list[str] = field(default_factory=list)
    features: np.ndarray = field(default_factory=lambda: np.empty((0, 0), np.float32))
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    duplicates: list[tuple[str, str]] = field(default_factory=list)
    digest: str = ""


def audit_images(paths: Iterable[str], extractor: HistogramFeatures, jobs: int) -> Audit:
    """Read every image once, and sort out the files that cannot or need not be learned from."""

    def examine(chunk: list[str]) -> list[tuple[str, bytes, np.ndarray | str]]:
        return [(path, *_digest_and_features(path, extractor)) for path in chunk]

    audit = Audit()
    first_with: dict[bytes, str] = {}
    rows = []
    for chunk in ordered_map(examine, chunked(paths, _FILES_AT_ONCE), jobs):
        for path, digest, features in chunk:
            if isinstance(features, str):
                audit.unreadable.append((path, features))
            elif digest in first_with:
                audit.duplicates.append((path, first_with[digest]))
            else:
                first_with[digest] = path
                rows.append(features)
    audit.paths = list(first_with.values())
    audit.digest = hashlib.sha256(b"".join(first_with)).hexdigest()
    if rows:
        audit.features = np.stack(rows)
    return audit


def _digest_and_features(path: str, extractor: HistogramFeatures) -> tuple[bytes, np.ndarray | str]:
    try:
        data = images.read_bytes(path)
        image = images.decode_image(data, extractor.min_side)
    except images.ImageError as error:
        return b"", str(error)
    return hashlib.sha256(data).digest(), extractor.extract(image)


def check_trainable(features: np.ndarray) -> None:
    """Refuse features from which no detector can tell normal from strange.

    Raises:
        TrainingError: too few images, or all of them the same.
    """
    if len(features) < MIN_IMAGES:
        raise TrainingError(
            f"{len(features)} different readable images are too few to learn what is normal: "
            f"it takes at least {MIN_IMAGES}, and "
            f"{thresholds.items_needed(thresholds.DEFAULT_FALSE_ALARM_RATE)} for a false-alarm "
            f"rate of {thresholds.DEFAULT_FALSE_ALARM_RATE:.0%}"
        )
    if (features == features[0]).all():
        raise TrainingError(
            f"all {len(features)} images look the same to these features, so that nothing can be "
            "learned about how normal images differ"
        )


@dataclass(frozen=True)
class Folds:
    """Which items each detector of a cross-calibration is fitted on.

    Five folds (Vovk, Cross-conformal predictors, Annals of Mathematics and Artificial
    Intelligence 74, 2015); with fewer than ``LEAVE_ONE_OUT_BELOW`` items each is left out alone.

    Attributes:
        method: for people.
        parts: (indices to fit on, indices to score) of each fold.
    """

    method: str
    parts: list[tuple[np.ndarray, np.ndarray]]

    @classmethod
    def of(cls, n_items: int) -> Folds:
        """Split ``n_items`` items, shuffled always in the same way."""
        from sklearn.model_selection import KFold, LeaveOneOut

        items = np.arange(n_items)
        if n_items < LEAVE_ONE_OUT_BELOW:
            return cls("leave-one-out", list(LeaveOneOut().split(items)))
        splitter = KFold(N_FOLDS, shuffle=True, random_state=0)
        return cls("five-fold cross-conformal", list(splitter.split(items)))

    @property
    def fitted_on(self) -> int:
        """The least number of items that a detector is fitted on."""
        return min(len(inside) for inside, _ in self.parts)

    def scores(
        self,
        features: np.ndarray,
        fit: Callable[[np.ndarray], Any],
        jobs: int,
        progress: Callable[[int, int], None],
    ) -> np.ndarray:
        """Score each item by a detector that was fitted without it.

        Args:
            features: (n_items, n_features).
            fit: makes a detector from some of the rows; must be importable by other processes.
            jobs: number of processes; the scores do not depend on it.
            progress: called with the number of folds done and the number of folds.

        Returns:
            (n_items,) float64.
        """
        from joblib import Parallel, delayed

        scores = np.empty(len(features))
        scored = Parallel(n_jobs=min(jobs, len(self.parts)), return_as="generator")(
            delayed(_fit_and_score)(fit, features[inside], features[outside])
            for inside, outside in self.parts
        )
        for done, ((_, outside), part) in enumerate(zip(self.parts, scored, strict=True), start=1):
            scores[outside] = part
            progress(done, len(self.parts))
        return scores


def _fit_and_score(
    fit: Callable[[np.ndarray], Any], inside: np.ndarray, outside: np.ndarray
) -> np.ndarray:
    return fit(inside).score(outside)


def unlike_the_rest(scores: np.ndarray) -> np.ndarray:
    """Find the items whose scores stand out, strangest first.

    Beyond the upper fence, Q3 + 1.5 (Q3 - Q1): Tukey, Exploratory Data Analysis (1977), 2D.

    Args:
        scores: (n_items,) out-of-fold scores.

    Returns:
        Indices of the items, possibly none.
    """
    lower, upper = np.quantile(scores, [0.25, 0.75])
    outlying = np.flatnonzero(scores > upper + 1.5 * (upper - lower))
    return outlying[np.argsort(-scores[outlying], kind="stable")]


@dataclass(frozen=True)
class TrainedModel:
    """All that goes into a model file.

    Attributes:
        extractor, detector: what turns a picture into a score.
        calibration: (n,) scores of the training images by detectors that had not seen them.
        calibration_method: how these were made.
        training: (n,) scores of the same images by ``detector`` itself.
        typical: (n_features,) the training images' median features.
        threshold: the verdict's rule and value.
        hyperparameters: the options that the detector was fitted with.
        data_digest: ``Audit.digest``.
    """

    extractor: HistogramFeatures
    detector: Any
    calibration: np.ndarray
    calibration_method: str
    training: np.ndarray
    typical: np.ndarray
    threshold: thresholds.Threshold
    hyperparameters: dict[str, Any]
    data_digest: str

    def save(self, path: str) -> None:
        """Write the model file; raises ``OSError`` where that is not possible."""
        manifest = {
            "kind": "images",
            "preprocessing": self.extractor.settings(),
            "detector": {"name": self.detector.name, **self.detector.parameters()},
            "hyperparameters": self.hyperparameters,
            "score": "higher is more anomalous",
            "threshold": self.threshold.describe(),
            "calibration": {"method": self.calibration_method, "images": len(self.calibration)},
            "training": {"images": len(self.training), "sha256": self.data_digest},
            "versions": {
                "python": platform.python_version(),
                **{name: version(name) for name in ("numpy", "scikit-learn")},
            },
        }
        arrays = {f"detector.{name}": array for name, array in self.detector.arrays().items()}
        arrays |= {
            "calibration_scores": self.calibration,
            "training_scores": self.training,
            "typical_features": self.typical,
        }
        modelfiles.save_model(path, manifest, arrays)
