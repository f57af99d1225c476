"""Train on a folder of images, by each method of train_anomaly_detector.py."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import cv2
import numpy as np

from pyimagesearch.backbones.network import external_network
from pyimagesearch.backbones.patch_features import BackbonePatches, ColourPatches
from pyimagesearch.data import images
from pyimagesearch.detectors import model_file, registry
from pyimagesearch.detectors.base import ImageDetector, WholeImageDetector
from pyimagesearch.detectors.image import memory_bank
from pyimagesearch.detectors.image.anomaly_map import MapScale
from pyimagesearch.detectors.image.bank_and_neighbours import (
    BankAndNeighboursDetector,
    means_of_halves,
)
from pyimagesearch.detectors.image.knn import KnnDetector
from pyimagesearch.detectors.image.memory_bank import MemoryBankDetector
from pyimagesearch.detectors.image.patch_detector import PatchDetector
from pyimagesearch.detectors.image.patch_space import PatchPool
from pyimagesearch.features import Extractor, PatchExtractor
from pyimagesearch.labelling import capture_conditions, thresholds
from pyimagesearch.labelling.image_groups import GroupRule, ImageGroups, check_counts, least_images
from pyimagesearch.labelling.images import Labeller
from pyimagesearch.runtime.console import UserError, counted, info, printable
from pyimagesearch.training import contamination
from pyimagesearch.training.bank_and_neighbours import add_neighbours
from pyimagesearch.training.calibration import CalibratedDetector, fit_calibrated
from pyimagesearch.training.folder_audit import (
    MIN_IMAGES,
    FolderAudit,
    audit_images,
    check_trainable,
    report_files,
)
from pyimagesearch.training.made_defects import score_made_defects
from pyimagesearch.training.patches import PatchFit, PatchReservoir, copy_digest, fit_patches
from pyimagesearch.training.trained_model import Fit, TrainedModel

Features = TypeVar("Features")

AUTO, FOREST = registry.AUTO, "forest"
PATCH_METHODS = registry.methods(registry.PATCHES)
METHODS = registry.methods(registry.PATCHES, registry.WHOLE_IMAGES)
# Detectors that images can be added to.
BANKS = (MemoryBankDetector, BankAndNeighboursDetector)
CORESETS = tuple(memory_bank.CORESETS)
# A patch has a thousand neighbours in its own image, so that fewer images do.
_MIN_IMAGES_FOR_PATCHES = 3
_ROTATIONS = range(45, 360, 45)


@dataclass(frozen=True)
class ImageFit(Fit):
    """A fitted detector of images; where its own scores say nothing, calibration stands for them.

    Attributes:
        names: of the images behind the last of ``calibration``.
        data_digest: SHA-256 of the training images.
        capture_conditions: of the training images, see the module of this name; or None.
        of_made_defects: (k,) scores of defects made on images that the detector had not seen.
        left_out: names of images that were not learned, since they may be anomalies, the strangest
            first; some may be among ``names``, see ``contamination.Cleaned``.
        of_folds: detectors that calibration was done by, where they were kept, and the images that
            each had not seen.
    """

    detector: ImageDetector
    names: list[str]
    data_digest: str
    capture_conditions: np.ndarray | None
    of_made_defects: np.ndarray = field(default_factory=lambda: np.empty(0))
    left_out: list[str] = field(default_factory=list)
    of_folds: list[tuple[ImageDetector, list[str]]] = field(default_factory=list)

    @property
    def uncalibrated(self) -> list[str]:
        """Those of ``left_out`` that do not count in calibration either, the strangest first."""
        counted_ones = set(self.names)
        return [name for name in self.left_out if name not in counted_ones]


@dataclass(frozen=True)
class TrainingFolder:
    """What to train on, and how it is read.

    Attributes:
        name: of the folder, for messages.
        paths: its images.
        strict: refuse unreadable ones.
        rate: a false-alarm rate that was asked for, or None.
        jobs: number of threads and processes.
        scheduler: a cluster to read the images on, see ``parallel.run_task``.
        contamination: as ``share`` of ``contamination.find_suspects``.
        fine: those of ``paths`` that a person has found to be normal.
        groups: says which images have a calibration of their own; None has one for all.
        root: the folder below which the groups' folders are.
    """

    name: str
    paths: Sequence[str]
    strict: bool = False
    rate: float | None = None
    jobs: int = 1
    scheduler: str | None = None
    contamination: float | None = None
    fine: Collection[str] = ()
    groups: GroupRule | None = None
    root: str = ""

    def audit(
        self,
        extract: Callable[[np.ndarray], Features],
        min_side: int | None,
        receive: Callable[[bytes, Features], None] | None = None,
    ) -> FolderAudit:
        """Read the images and report what was left out: see ``audit_images``.

        Raises:
            UserError: ``strict``, and some are unreadable; or a group is too small in any case.
        """
        self._check_groups(self.paths)
        audit = audit_images(self.paths, extract, min_side, self.jobs, receive, self.scheduler)
        report_files(audit, self.strict)
        return audit

    def check(
        self,
        names: Sequence[str],
        features: Sequence[np.ndarray],
        min_images: int,
        *,
        is_all: bool,
    ) -> None:
        """Refuse too few images, and a rate that they cannot promise, before the fitting.

        Args:
            names: of the images.
            features: of each.
            min_images: that are needed in any case.
            is_all: whether none was left out; of those that were, some may count in calibration all
                the same, so that what the others promise is left to the choice of the threshold.

        Raises:
            UserError: with a sentence.
        """
        check_trainable(features, self.name, min_images)
        if not is_all:
            return
        self._check_groups(names)
        if self.rate is not None:
            thresholds.check_rate(self.rate, len(features))

    def _check_groups(self, names: Sequence[str]) -> None:
        if self.groups is not None:
            check_counts(self.groups.by, Counter(self.group_names(names)), self.rate)

    def group_names(self, names: Sequence[str]) -> list[str]:
        """The group of each image; raises ``UserError`` where one is of none, or of two."""
        return [] if self.groups is None else self.groups.of_all(names, self.root)

    def suspicion(
        self, names: Sequence[str], min_images: int, *, unasked: bool = True
    ) -> contamination.Suspicion:
        """Say which images may be left out as anomalies, unasked only a group that stands apart."""
        needed = 0 if self.rate is None else thresholds.items_needed(self.rate)
        return contamination.Suspicion(
            share=self.contamination,
            never=np.array([name in self.fine for name in names]),
            groups=None if self.groups is None else np.array(self.group_names(names)),
            least_kept=max(min_images, needed),
            least_in_group=least_images(self.rate),
            unasked=unasked,
        )


def train_on_whole_images(
    folder: TrainingFolder,
    extractor: Extractor,
    method: str,
    *,
    n_estimators: int | None,
    seed: int,
) -> ImageFit:
    """Fit a detector to one feature vector per image.

    Args:
        folder: the images.
        extractor: makes these vectors.
        method: one of ``METHODS`` but not of ``PATCH_METHODS``.
        n_estimators: of the forest; None takes the usual number.
        seed: of all choices.

    Raises:
        UserError: no detector can be trained on these images.
    """
    kind = registry.detector_class(method, WholeImageDetector)

    audit = folder.audit(extractor.extract, extractor.min_side)
    all_features = np.array(audit.features)

    def fit_without(left_out: np.ndarray) -> CalibratedDetector:
        features = np.delete(all_features, left_out, axis=0)
        folder.check(audit.paths, features, MIN_IMAGES, is_all=not len(left_out))
        info(f"fitting anomaly detection model on {counted(len(features), 'image')}...")
        asked = {"n_estimators": n_estimators}
        return fit_calibrated(kind, features, asked, seed=seed, jobs=folder.jobs)

    cleaned = contamination.fit_cleaned(
        fit_without(np.empty(0, int)),
        audit.paths,
        # The forest learns all unless something is asked for, as that of its tutorial does.
        folder.suspicion(audit.paths, MIN_IMAGES, unasked=method != FOREST),
        fit_without,
        lambda fitted, some: fitted.detector.score(all_features[some]),
    )
    fitted, calibration = cleaned.fitted, cleaned.calibration
    learned = audit.without([audit.digests[i] for i in cleaned.unlearned])
    of_counted = calibration[len(learned.paths) :]
    parameters = fitted.detector.parameters()
    chosen = {name: value for name, value in fitted.options.items() if name not in parameters}
    return ImageFit(
        detector=fitted.detector,
        calibration=calibration,
        calibration_method=fitted.folds.method,
        training=np.concatenate([fitted.training, of_counted]),
        names=learned.paths + [audit.paths[i] for i in cleaned.counted],
        data_digest=learned.digest,
        hyperparameters={
            **chosen,
            "contamination": folder.contamination,
            "left_out": len(cleaned.unlearned),
            "seed": seed,
        },
        capture_conditions=learned.capture_conditions,
        left_out=[audit.paths[i] for i in cleaned.unlearned],
    )


@dataclass(frozen=True)
class PatchOptions:
    """What can be chosen about patches.

    Attributes:
        memory: bytes that training may take.
        bank_size: patches in a memory bank; None takes the usual number.
        coreset: how they are chosen, one of ``CORESETS``.
        rotate: train on copies rotated by multiples of 45 degrees, too.
        thumbnails: keep small copies of the training images as explanations.
        seed: of all choices.
    """

    memory: int = 2 * 1024**3
    bank_size: int | None = None
    coreset: str = "greedy"
    rotate: bool = False
    thumbnails: bool = False
    seed: int = 42


def train_on_patches(
    folder: TrainingFolder,
    extractor: PatchExtractor,
    method: str,
    options: PatchOptions,
    old: MemoryBankDetector | BankAndNeighboursDetector | None = None,
) -> ImageFit:
    """Fit a detector to the patches of images.

    Args:
        folder: the images.
        extractor: makes (rows, columns, n_features) of each.
        method: one of ``PATCH_METHODS``.
        options: what was chosen.
        old: one of ``BANKS`` to add patches to.

    Raises:
        UserError: no detector can be trained on these images.
    """
    weights = [group.weight for group in extractor.feature_groups]
    ignored = None if extractor.ignored is None else extractor.ignored.grid()
    old_bank = old.bank if isinstance(old, BankAndNeighboursDetector) else old
    scale = MapScale.from_weights(weights, ignored) if old_bank is None else old_bank.scale
    with_neighbours = method == AUTO if old is None else old is not old_bank
    wholes: dict[bytes, np.ndarray] = {}
    n_compared = extractor.feature_groups[0].n_features
    reservoir = PatchReservoir(options.memory, scale.counts, options.bank_size, options.seed)

    def receive(digest: bytes, copies: list[np.ndarray]) -> None:
        reservoir.add(digest, copies[0])
        if with_neighbours:
            wholes[digest] = means_of_halves(copies[0], n_compared)
        for number, features in enumerate(copies[1:], start=1):
            reservoir.add(copy_digest(digest, number), features, for_calibration=False)

    angles = _ROTATIONS if options.rotate else ()
    extract = functools.partial(_extract_from_copies, extractor, angles)
    audit = folder.audit(extract, extractor.min_side, receive)
    path_of = dict(zip(audit.digests, audit.paths, strict=True))

    n_all = len(path_of)

    def fit_all(kept: list[bytes], features: list[np.ndarray], pool: PatchPool) -> PatchFit:
        names, is_all = [path_of[digest] for digest in kept], len(path_of) == n_all
        folder.check(names, features, _MIN_IMAGES_FOR_PATCHES, is_all=is_all)
        if not len(pool.patches):
            raise UserError("--mask leaves no place of any image to learn from")
        n_images = counted(len(path_of), "image")
        if len(kept) < len(path_of):
            info(f"calibrating on {len(kept)} of {n_images}, which is what fits into --memory")

        info(f"fitting anomaly detection model on {n_images}...")
        share = min(reservoir.bank_size / len(pool.patches), 0.5)
        fit = _fitter(extractor, method, options, share, old_bank)
        fitted: PatchFit = fit_patches(features, pool, fit, scale, old is not None, folder.jobs)
        if with_neighbours:
            fit_wholes, balance = functools.partial(KnnDetector.fit, seed=options.seed), None
            if isinstance(old, BankAndNeighboursDetector):
                fit_wholes, balance = old.neighbours.extended, old.balance
            fitted = add_neighbours(fitted, wholes, kept, fit_wholes, balance)
        return fitted

    kept, features, pool = reservoir.result()
    first = fit_all(kept, features, pool)
    del pool  # which takes as much memory as that of the next fit
    all_names = [path_of[digest] for digest in kept]

    def fit_without(left_out: np.ndarray) -> PatchFit:
        digests = [kept[i] for i in left_out]
        reservoir.remove(digests)
        for digest in digests:
            del path_of[digest]
            wholes.pop(digest, None)
        return fit_all(*reservoir.result())

    cleaned = contamination.fit_cleaned(
        first,
        all_names,
        # Whoever adds images may well do it because they are unlike those that the model knows.
        folder.suspicion(all_names, _MIN_IMAGES_FOR_PATCHES, unasked=old is None),
        fit_without,
        lambda fitted, some: fitted.detector.score([features[i] for i in some]),
    )
    fitted = cleaned.fitted
    audit = audit.without([kept[i] for i in cleaned.unlearned])
    names = np.delete(all_names, cleaned.unlearned).tolist()
    detector = fitted.detector
    keeps_thumbnails = options.thumbnails or (old is not None and old.thumbnails is not None)
    if keeps_thumbnails and isinstance(detector, BANKS):
        detector = detector.with_thumbnails(map(images.read_image, names))
    made = score_made_defects(
        extractor, names, fitted.folds, fitted.of_folds, options.seed, folder.jobs
    )
    return ImageFit(
        detector=detector,
        calibration=cleaned.calibration,
        calibration_method=fitted.folds.method,
        training=cleaned.calibration,
        names=names + [all_names[i] for i in cleaned.counted],
        data_digest=audit.digest,
        hyperparameters={
            "method": AUTO if with_neighbours else method,
            "contamination": folder.contamination,
            "left_out": len(cleaned.unlearned),
            "patches": fitted.n_patches,
            "augment": "rotation" if options.rotate else None,
            "seed": options.seed,
        },
        capture_conditions=audit.capture_conditions,
        of_made_defects=made,
        left_out=[all_names[i] for i in cleaned.unlearned],
        of_folds=[
            (detector, [names[i] for i in outside])
            for detector, (_, outside) in zip(fitted.of_folds, fitted.folds.splits, strict=True)
        ],
    )


def _extract_from_copies(
    extractor: Extractor, angles: Sequence[int], image: np.ndarray
) -> list[np.ndarray]:
    """The features of an image, and of copies of it that are rotated."""
    copies = (_rotate(image, angle) for angle in angles)
    return [extractor.extract(copy) for copy in (image, *copies)]


def _fitter(
    extractor: PatchExtractor,
    method: str,
    options: PatchOptions,
    share: float,
    old: MemoryBankDetector | None,
) -> Callable[[PatchPool], PatchDetector]:
    if old is not None:
        return functools.partial(old.extended, seed=options.seed)
    kind = MemoryBankDetector if method == AUTO else registry.detector_class(method, PatchDetector)
    known = {"coreset": options.coreset, "share": share}
    own = {name: known[name] for name in kind.FIT_OPTIONS}
    return functools.partial(kind.fit, groups=extractor.feature_groups, seed=options.seed, **own)


def image_model(
    extractor: Extractor,
    fitted: ImageFit,
    threshold: thresholds.Threshold,
    groups: ImageGroups | None = None,
) -> TrainedModel:
    """Put together what goes into the model file of images.

    Args:
        extractor: of the features that the detector was fitted to.
        fitted: the detector.
        threshold: the verdict's rule and value.
        groups: with thresholds of their own, or None.
    """
    return TrainedModel(
        fit=fitted,
        preprocessing=extractor.settings(),
        threshold=threshold,
        data_digest=fitted.data_digest,
        feature_networks=extractor.networks(),
        capture_conditions=fitted.capture_conditions,
        groups=groups,
    )


def update_memory_bank(
    path: str, folder: TrainingFolder, options: PatchOptions, backbone: str | None = None
) -> tuple[PatchExtractor, ImageFit]:
    """Add the images of a folder to a model that is a memory bank.

    Its calibration keeps the scores that it has: patches that are added can only bring normal
    images nearer. The new images are scored out of fold.

    Args:
        path: the model file.
        folder: the new images.
        options: what was chosen; what the model has already is taken from it.
        backbone: the ONNX file, where the model does not contain it.

    Returns:
        The model's extractor, and the fit.

    Raises:
        UserError: the model is not a memory bank, or the images cannot be added.
    """
    external = None if backbone is None else external_network(backbone)
    opener = functools.partial(Labeller.open, external_backbone=external)
    labeller = model_file.open_model(path, opener)
    old, extractor = labeller.detector, labeller.extractor
    if not isinstance(old, BANKS) or not isinstance(extractor, (BackbonePatches, ColourPatches)):
        raise UserError(
            f"{printable(path)}: images cannot be added to a model of {old.name}, only to one of "
            "auto or memory-bank: train it again with all images"
        )
    if labeller.groups is not None:
        raise UserError(
            f"{printable(path)}: images cannot be added to a model that has groups (--group-by): "
            "train it again with all images"
        )
    new = train_on_patches(folder, extractor, old.name, options, old)
    n_old = len(labeller.calibration)
    merged = None
    if labeller.conditions is not None:
        merged = capture_conditions.merged(
            labeller.conditions, len(labeller.training), new.capture_conditions, len(new.training)
        )
    return extractor, replace(
        new,
        calibration=np.concatenate([labeller.calibration, new.calibration]),
        calibration_method=f"{new.calibration_method}, added to {n_old}",
        training=np.concatenate([labeller.training, new.training]),
        capture_conditions=merged,
    )


def _rotate(image: np.ndarray, angle: int) -> np.ndarray:
    """Rotate an image about its centre; what comes in at the corners is mirrored."""
    height, width = image.shape[:2]
    if angle % 90 == 0:
        return np.ascontiguousarray(np.rot90(image, angle // 90))
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1)
    return cv2.warpAffine(
        image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
