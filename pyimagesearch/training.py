"""The training half: a folder of normal images -> features -> detector -> calibration -> file."""

from __future__ import annotations

import hashlib
import platform
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np

from pyimagesearch import conditions, detectors, images, modelfiles, options, places, thresholds
from pyimagesearch.ledgers import DIED

MIN_IMAGES = 8
# Below this many images, five folds would take too much away from each detector, and the largest
# score, which is then the threshold, would depend on who is left out with whom.
LEAVE_ONE_OUT_BELOW = 30
N_FOLDS = 5
SHOWN_AT_MOST = 10
# Features of patches are a megabyte a picture, and more with turned copies.
_FILES_AT_ONCE = 4


@dataclass
class Audit:
    """What was found in a training folder.

    Attributes:
        paths: the images to learn from.
        features: (n_images, ...), what was extracted from each of ``paths``; kept on disk, in a
            file without a name.
        unreadable: (path, reason) of files that are left out.
        duplicates: (path, path of the image that it equals byte for byte), left out.
        digests: SHA-256 of each of ``paths``' bytes.
        digest: SHA-256 over these.
        conditions: as ``conditions.of_files`` chooses them.
    """

    paths: list[str] = field(default_factory=list)
    features: np.ndarray = field(default_factory=lambda: np.empty((0, 0), np.float32))
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    duplicates: list[tuple[str, str]] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)
    digest: str = ""
    conditions: np.ndarray = field(default_factory=lambda: np.empty((0, 0), np.float32))


def audit_images(
    paths: Iterable[str],
    extract: Callable[[np.ndarray], np.ndarray],
    min_side: int | None,
    jobs: int,
    take: Callable[[bytes, np.ndarray], None] | None = None,
    scheduler: str | None = None,
) -> Audit:
    """Read every image once, and sort out the files that cannot or need not be learned from.

    Args:
        paths: image files.
        extract: (height, width, 3) uint8 BGR -> features, of one shape for all pictures, unless
            there is ``take``; may raise ``images.ImageError``; picklable.
        min_side: ``images.decode_image``'s.
        jobs: number of processes; the audit does not depend on it.
        take: is given each image's SHA-256 and features, in order, and the audit keeps none.
        scheduler: a cluster to read the images on, see ``places.done``.
    """
    audit = Audit()
    first_with: dict[bytes, str] = {}
    measured: list[np.ndarray] = []
    with tempfile.TemporaryFile() as rows:
        examined = places.done(
            _Examination(extract, min_side), paths, jobs, scheduler, _FILES_AT_ONCE
        )
        for path, digest, features, own_conditions in examined:
            if isinstance(features, str):
                audit.unreadable.append((path, features))
            elif digest in first_with:
                audit.duplicates.append((path, first_with[digest]))
            else:
                first_with[digest] = path
                measured.append(own_conditions)
                if take is not None:
                    take(digest, features)
                    continue
                kind, shape = features.dtype, features.shape
                rows.write(features.tobytes())
        if first_with and take is None:
            rows.flush()
            audit.features = np.memmap(rows, kind, mode="r", shape=(len(first_with), *shape))
    audit.paths = list(first_with.values())
    audit.digests = list(first_with)
    audit.conditions = conditions.of_files(measured, audit.digests)
    audit.digest = hashlib.sha256(b"".join(first_with)).hexdigest()
    return audit


_Examined = tuple[str, bytes, np.ndarray | str, np.ndarray | None]


@dataclass(frozen=True)
class _Examination:
    """Digest, features or why there are none, and conditions of images: a ``ledgers.Task``."""

    extract: Callable[[np.ndarray], np.ndarray]
    min_side: int | None

    def open(self) -> Callable[[list[str]], list[_Examined]]:
        return lambda paths: [self._examine(path) for path in paths]

    def lost(self, path: str) -> _Examined:
        return path, b"", DIED, None

    def _examine(self, path: str) -> _Examined:
        try:
            data = images.read_bytes(path)
            image = images.decode_image(data, self.min_side)
            digest, features = hashlib.sha256(data).digest(), self.extract(image)
            return path, digest, features, conditions.measure(image)
        except images.ImageError as error:
            return path, b"", str(error), None


def check_trainable(features: Sequence[np.ndarray], dataset: str, least: int = MIN_IMAGES) -> None:
    """Refuse features from which no detector can tell normal from strange.

    Args:
        features: (n_images, ...), or a list of each image's.
        dataset: where they come from.
        least: number of images that it takes.

    Raises:
        options.UserError: too few images, or all of them the same.
    """
    n_images, usual_rate = len(features), thresholds.DEFAULT_FALSE_ALARM_RATE
    if n_images < least:
        raise options.UserError(
            f"{options.printable(dataset)}: {n_images} different readable images are too few to "
            f"learn what is normal: it takes at least {least}, and "
            f"{thresholds.items_needed(usual_rate)} for a false-alarm rate of {usual_rate:.0%}"
        )
    if all(np.array_equal(row, features[0]) for row in features):
        raise options.UserError(
            f"{options.printable(dataset)}: all {n_images} images look the same to these "
            "features, so that nothing can be learned about how normal images differ"
        )


@dataclass(frozen=True)
class Folds:
    """Which items each detector of a cross-calibration is fitted on.

    Five folds or more (Vovk, Cross-conformal predictors, Annals of Mathematics and Artificial
    Intelligence 74, 2015); with fewer than ``LEAVE_ONE_OUT_BELOW`` items each is left out alone.

    Attributes:
        method: for people.
        parts: (indices to fit on, indices to score) of each fold.
    """

    method: str
    parts: list[tuple[np.ndarray, np.ndarray]]

    @classmethod
    def of(cls, n_items: int, n_folds: int = N_FOLDS) -> Folds:
        """Split ``n_items`` items, shuffled always in the same way."""
        items = np.arange(n_items)
        if n_items < LEAVE_ONE_OUT_BELOW:
            outside = [items[i : i + 1] for i in items]
            method = "leave-one-out"
        else:
            # As scikit-learn's KFold has it, whose import would cost a second.
            shuffled = np.random.RandomState(0).permutation(n_items)
            outside = [np.sort(part) for part in np.array_split(shuffled, n_folds)]
            method = f"{n_folds}-fold cross-conformal"
        return cls(method, [(np.setdiff1d(items, part), part) for part in outside])

    @property
    def fitted_on(self) -> int:
        """The least number of items that a detector is fitted on."""
        return min(len(inside) for inside, _ in self.parts)

    def scores(
        self,
        items: np.ndarray,
        fit: Callable[[np.ndarray], Any],
        score: Callable[[Any, np.ndarray], np.ndarray],
        jobs: int,
    ) -> np.ndarray:
        """Score each item by a detector that was fitted without it.

        Args:
            items: (n_items, ...).
            fit: makes a detector from some of the items; importable by other processes.
            score: (detector, some of the items) -> their scores; importable, too.
            jobs: number of processes; the scores do not depend on it.

        Returns:
            (n_items,) float64.
        """
        from joblib import Parallel, delayed

        scores = np.empty(len(items))
        scored = Parallel(n_jobs=min(jobs, len(self.parts)), return_as="generator")(
            delayed(_fit_and_score)(fit, score, items[inside], items[outside])
            for inside, outside in self.parts
        )
        for done, ((_, outside), part) in enumerate(zip(self.parts, scored, strict=True), start=1):
            scores[outside] = part
            options.info(f"calibrating: {done} of {len(self.parts)}")
        return scores


def _fit_and_score(
    fit: Callable[[np.ndarray], Any],
    score: Callable[[Any, np.ndarray], np.ndarray],
    inside: np.ndarray,
    outside: np.ndarray,
) -> np.ndarray:
    return score(fit(inside), outside)


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


def report_files(audit: Audit, dataset: str, strict: bool) -> None:
    """Tell what was left out of a training folder.

    Raises:
        options.UserError: there are no images; or ``strict``, and some are unreadable.
    """
    for path, reason in audit.unreadable:
        options.warn(f"{options.printable(path)}: {reason}; left out")
    if strict and audit.unreadable:
        raise options.UserError(
            f"{len(audit.unreadable)} unreadable images, and --strict was given"
        )
    if not audit.paths and not audit.unreadable:
        raise options.UserError(f"{options.printable(dataset)}: no images in this folder")
    for path, same_as in audit.duplicates[:SHOWN_AT_MOST]:
        options.info(f"{options.printable(path)} equals {options.printable(same_as)}; counted once")
    if len(audit.duplicates) > SHOWN_AT_MOST:
        n_more = len(audit.duplicates) - SHOWN_AT_MOST
        options.info(f"... and {n_more} more images that equal another")


def report_strangest(names: Sequence[str], calibration: np.ndarray) -> None:
    """Name the images that stand out among those that calibration scored."""
    for index in unlike_the_rest(calibration)[:SHOWN_AT_MOST]:
        options.info(
            f"looks unlike the rest: {options.printable(names[index])} "
            f"(score {calibration[index]:.4f} when left out, median {np.median(calibration):.4f})"
        )


def report_threshold(
    threshold: thresholds.Threshold, n_calibration: int, asked_rate: float | None
) -> None:
    """Tell the threshold, and why a default rate is larger than usual."""
    best, usual = thresholds.best_rate(n_calibration), thresholds.DEFAULT_FALSE_ALARM_RATE
    if threshold.rule == "false-alarm-rate" and asked_rate is None and best > usual:
        missing = thresholds.items_needed(usual) - n_calibration
        options.info(
            f"{n_calibration} images promise a false-alarm rate of 1/{n_calibration + 1} "
            f"({best:.4f}) at best; {missing} more would promise {usual}"
        )
        if threshold.parameter > best:
            options.info(
                f"the strangest of them stands far apart, and would hide anomalies: it is left "
                f"above the threshold, at a rate of 2/{n_calibration + 1} ({2 * best:.4f})"
            )
    options.info(f"anomalies score above {threshold.value:.4f} ({threshold.rule})")


@dataclass(frozen=True)
class TrainedModel:
    """All that goes into a model file.

    Attributes:
        preprocessing: how an image or a series becomes what the detector scores, as JSON types.
        detector: one of ``detectors.DETECTORS``.
        calibration: (n,) scores of normal items by detectors that had not seen them.
        calibration_method: how these were made.
        training: (m,) scores of the training items by ``detector`` itself.
        threshold: the verdict's rule and value.
        hyperparameters: the options that the detector was fitted with.
        data_digest: SHA-256 of what it was fitted on.
        libraries: whose versions are noted.
        weights: what a later training can start from; not needed for labelling.
        feature_networks: the extractor's, by its own names.
        kind: of the data, ``images`` or ``series``.
        items: what is counted in calibration and in training.
        conditions: (k, len(CONDITIONS)) float32 of training pictures, or None.
    """

    preprocessing: dict[str, Any]
    detector: Any
    calibration: np.ndarray
    calibration_method: str
    training: np.ndarray
    threshold: thresholds.Threshold
    hyperparameters: dict[str, Any]
    data_digest: str
    libraries: tuple[str, ...] = ("numpy", "scikit-learn")
    weights: Sequence[np.ndarray] = ()
    feature_networks: dict[str, bytes] = field(default_factory=dict)
    kind: str = "images"
    items: tuple[str, str] = ("images", "images")
    conditions: np.ndarray | None = None

    def save(self, path: str) -> None:
        """Write the model file; raises ``OSError`` where that is not possible."""
        manifest = {
            "kind": self.kind,
            "preprocessing": self.preprocessing,
            "detector": detectors.described(self.detector),
            "hyperparameters": self.hyperparameters,
            "score": "higher is more anomalous",
            "threshold": self.threshold.describe(),
            "calibration": {
                "method": self.calibration_method,
                self.items[0]: len(self.calibration),
            },
            "training": {self.items[1]: len(self.training), "sha256": self.data_digest},
            "versions": {
                "python": platform.python_version(),
                **{name: version(name) for name in self.libraries},
            },
        }
        arrays = detectors.members(self.detector) | {
            "calibration_scores": self.calibration,
            "training_scores": self.training,
        }
        arrays |= {f"weights.{i:03}": array for i, array in enumerate(self.weights)}
        if self.conditions is not None:
            manifest |= conditions.described(self.conditions)
            arrays |= conditions.members(self.conditions)
        networks = detectors.network_members(self.detector, self.feature_networks)
        modelfiles.save_model(path, manifest, arrays, networks)
