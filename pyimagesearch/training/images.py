"""From a folder to a calibrated detector, by each method that train_anomaly_detector.py knows."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np

from pyimagesearch.backbones.network import external_network
from pyimagesearch.data import images
from pyimagesearch.detectors import model_file, registry
from pyimagesearch.detectors.base import ImageDetector, WholeImageDetector
from pyimagesearch.detectors.image import memory_bank
from pyimagesearch.detectors.image.anomaly_map import MapScale
from pyimagesearch.detectors.image.memory_bank import MemoryBankDetector
from pyimagesearch.detectors.image.patch_detector import PatchDetector
from pyimagesearch.detectors.image.patch_space import PatchPool
from pyimagesearch.features import Extractor, PatchExtractor
from pyimagesearch.labelling import capture_conditions, thresholds
from pyimagesearch.labelling.images import Labeller
from pyimagesearch.runtime.console import UserError, info, printable
from pyimagesearch.training.calibration import Folds
from pyimagesearch.training.folder_audit import (
    MIN_IMAGES,
    audit_images,
    check_trainable,
    report_files,
)
from pyimagesearch.training.patches import PatchKeeper, copy_digest, fit_patches
from pyimagesearch.training.trained_model import TrainedModel

PATCH_METHODS = registry.methods(registry.PATCHES)
METHODS = registry.methods(registry.WHOLE_IMAGES, registry.PATCHES)
CORESETS = tuple(memory_bank.CORESETS)
# A patch has a thousand neighbours in its own picture, so that fewer pictures do.
_LEAST_FOR_PATCHES = 3
_ROTATIONS = range(45, 360, 45)
# Beyond this share of the variance of all patches, the means of whole pictures differ as those of
# different scenes do: photos of forests .10 to .15, of castings, cookies and bottles .01.
_SCENES = 0.09


@dataclass(frozen=True)
class Learned:
    """A detector and what it was learned from.

    Attributes:
        detector: of images.
        calibration: (n,) scores of pictures by detectors that had not seen them.
        calibration_method: how these were made.
        training: (m,) scores of the training pictures by the detector itself, where these say
            something; for patches, which are nearest to themselves, the same as ``calibration``.
        names: of the pictures behind ``calibration``.
        data_digest: SHA-256 of the training pictures.
        hyperparameters: what was chosen, as JSON types.
        conditions: under which the images were taken, see ``capture_conditions``; or None.
    """

    detector: ImageDetector
    calibration: np.ndarray
    calibration_method: str
    training: np.ndarray
    names: list[str]
    data_digest: str
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    conditions: np.ndarray | None = None


@dataclass(frozen=True)
class Source:
    """Where to learn from.

    Attributes:
        dataset: a folder, for messages.
        paths: its pictures.
        strict: refuse unreadable ones.
        rate: a false-alarm rate that was asked for, or None.
        jobs: number of threads and processes.
        scheduler: a cluster to read the pictures on, see ``parallel.run_task``.
    """

    dataset: str
    paths: Sequence[str]
    strict: bool = False
    rate: float | None = None
    jobs: int = 1
    scheduler: str | None = None

    def check(self, features: Sequence[np.ndarray], least: int) -> None:
        """Refuse too few pictures, and a rate that they cannot promise, before the fitting.

        Raises:
            options.UserError: with a sentence.
        """
        check_trainable(features, self.dataset, least)
        if self.rate is not None:
            thresholds.check_rate(self.rate, len(features))


def learn_pictures(
    source: Source, extractor: Extractor, method: str, *, n_estimators: int | None, seed: int
) -> Learned:
    """Learn from one feature vector a picture.

    Args:
        source: the pictures.
        extractor: makes these vectors.
        method: one of ``METHODS`` but not of ``PATCH_METHODS``.
        n_estimators: of the forest; None takes the usual number.
        seed: of all choices.

    Raises:
        options.UserError: the pictures cannot be learned from.
    """
    audit = audit_images(
        source.paths,
        extractor.extract,
        extractor.min_side,
        source.jobs,
        scheduler=source.scheduler,
    )
    report_files(audit, source.dataset, source.strict)
    features = np.array(audit.features)
    source.check(features, MIN_IMAGES)

    info(f"fitting anomaly detection model on {len(features)} images...")
    kind = registry.detector_class(method, WholeImageDetector)
    folds = Folds.of(len(features), kind.N_FOLDS)
    options = kind.fit_options(folds.fitted_on, {"n_estimators": n_estimators})
    fit = functools.partial(kind.fit, seed=seed, **options)
    detector = fit(features)
    calibration = folds.scores(features, fit, kind.score, source.jobs)
    parameters = detector.parameters()
    chosen = {name: value for name, value in options.items() if name not in parameters}
    return Learned(
        detector=detector,
        calibration=calibration,
        calibration_method=folds.method,
        training=detector.score(features) if kind.SCORES_ITS_OWN else calibration,
        names=audit.paths,
        data_digest=audit.digest,
        hyperparameters={**chosen, "seed": seed},
        conditions=audit.capture_conditions,
    )


@dataclass(frozen=True)
class PatchOptions:
    """What can be chosen about patches.

    Attributes:
        memory: bytes that training may take.
        bank_size: patches in a memory bank; None takes the usual number.
        coreset: how they are chosen: ``greedy`` or ``random``.
        rotate: whether copies turned by multiples of 45 degrees are learned from, too.
        thumbnails: whether small copies of the training pictures are kept as explanations.
        seed: of all choices.
    """

    memory: int
    bank_size: int | None = None
    coreset: str = "greedy"
    rotate: bool = False
    thumbnails: bool = False
    seed: int = 42


def learn_patches(
    source: Source,
    extractor: PatchExtractor,
    method: str,
    chosen: PatchOptions,
    old: MemoryBankDetector | None = None,
) -> Learned:
    """Learn from the patches of pictures.

    Args:
        source: the pictures.
        extractor: makes (rows, columns, n_features) of each.
        method: one of ``PATCH_METHODS``.
        chosen: the options.
        old: a memory bank to add patches to.

    Raises:
        options.UserError: the pictures cannot be learned from.
    """
    weights = [group.weight for group in extractor.feature_groups]
    ignored = None if extractor.ignored is None else extractor.ignored.grid()
    scale = MapScale.from_weights(weights, ignored) if old is None else old.scale
    keeper = PatchKeeper(chosen.memory, scale.counts, chosen.bank_size, chosen.seed)

    def receive(digest: bytes, found: list[np.ndarray]) -> None:
        keeper.take(digest, found[0])
        for number, features in enumerate(found[1:], start=1):
            keeper.take(copy_digest(digest, number), features, whole=False)

    audit = audit_images(
        source.paths,
        functools.partial(_of_copies, extractor, _ROTATIONS if chosen.rotate else ()),
        extractor.min_side,
        source.jobs,
        receive=receive,
        scheduler=source.scheduler,
    )
    report_files(audit, source.dataset, source.strict)
    kept, features, pool = keeper.result()
    source.check(features, _LEAST_FOR_PATCHES)
    if len(kept) < len(audit.paths):
        info(
            f"calibrating on {len(kept)} of {len(audit.paths)} images, which is what fits into "
            "--memory"
        )
    _hint_at_scenes(features)

    info(f"fitting anomaly detection model on {len(audit.paths)} images...")
    fitted = fit_patches(
        features,
        pool,
        _fitter(extractor, method, chosen, min(keeper.bank_size / len(pool.patches), 0.5), old),
        scale,
        old is not None,
        source.jobs,
    )
    path_of = dict(zip(audit.digests, audit.paths, strict=True))
    names = [path_of[digest] for digest in kept]
    detector = fitted.detector
    keeps_thumbnails = chosen.thumbnails or (old is not None and old.thumbnails is not None)
    if keeps_thumbnails and isinstance(detector, MemoryBankDetector):
        detector = detector.with_thumbnails(map(images.read_image, names))
    return Learned(
        detector=detector,
        calibration=fitted.calibration,
        calibration_method=fitted.method,
        training=fitted.calibration,
        names=names,
        data_digest=audit.digest,
        hyperparameters={
            "patches": len(pool.patches),
            "augment": "rotation" if chosen.rotate else None,
            "seed": chosen.seed,
        },
        conditions=audit.capture_conditions,
    )


def _of_copies(extractor: Extractor, angles: Sequence[int], image: np.ndarray) -> list[np.ndarray]:
    """The features of a picture, and of copies of it that are turned."""
    copies = (_turned(image, angle) for angle in angles)
    return [extractor.extract(picture) for picture in (image, *copies)]


def _fitter(
    extractor: PatchExtractor,
    method: str,
    chosen: PatchOptions,
    share: float,
    old: MemoryBankDetector | None,
) -> Callable[[PatchPool], PatchDetector]:
    if old is not None:
        return functools.partial(old.extended, seed=chosen.seed)
    kind = registry.detector_class(method, PatchDetector)
    options = {"coreset": chosen.coreset, "share": share}
    own = {name: options[name] for name in kind.FIT_OPTIONS}
    return functools.partial(kind.fit, groups=extractor.feature_groups, seed=chosen.seed, **own)


def _hint_at_scenes(features: Sequence[np.ndarray]) -> None:
    some = [np.asarray(f, np.float32).reshape(-1, f.shape[2]) for f in features[:16]]
    between = np.var([f.mean(axis=0) for f in some], axis=0).sum()
    if between > _SCENES * np.concatenate(some).var(axis=0).sum():
        info(
            "these images differ as whole scenes do; for scenes, --method neighbours with a "
            "--backbone finds more"
        )


def image_model(
    extractor: Extractor, learned: Learned, threshold: thresholds.Threshold
) -> TrainedModel:
    """Put together what goes into the model file of images.

    Args:
        extractor: of the features that were learned from.
        learned: from them.
        threshold: the verdict's rule and value.
    """
    return TrainedModel(
        preprocessing=extractor.settings(),
        detector=learned.detector,
        calibration=learned.calibration,
        calibration_method=learned.calibration_method,
        training=learned.training,
        threshold=threshold,
        hyperparameters=learned.hyperparameters,
        data_digest=learned.data_digest,
        feature_networks=extractor.networks(),
        conditions=learned.conditions,
    )


def update(
    path: str, source: Source, chosen: PatchOptions, backbone: str | None = None
) -> tuple[PatchExtractor, Learned]:
    """Add the pictures of a folder to a model of patches.

    Its calibration keeps the scores that it has: patches that are added can only bring normal
    pictures nearer. The new pictures are scored out of fold.

    Args:
        path: the model file.
        source: the new pictures.
        chosen: options; what the model has already is taken from it.
        backbone: the ONNX file, where the model does not contain it.

    Returns:
        The model's extractor, and what was learned.

    Raises:
        options.UserError: the model is none of a memory bank, or the pictures cannot be learned
            from.
    """
    external = None if backbone is None else external_network(backbone)
    opener = functools.partial(Labeller.open, external_backbone=external)
    labeller = model_file.open_model(path, opener)
    old = labeller.detector
    if not isinstance(old, MemoryBankDetector):
        raise UserError(
            f"{printable(path)}: a model of {old.name} cannot be added to, only one of a "
            "memory bank: train it again with all images"
        )
    new = learn_patches(source, labeller.extractor, old.name, chosen, old)
    calibration = np.concatenate([labeller.calibration, new.calibration])
    taken = None
    if labeller.conditions is not None:
        sizes = (len(labeller.training), len(new.training))
        taken = capture_conditions.merged(labeller.conditions, sizes[0], new.conditions, sizes[1])
    return labeller.extractor, replace(
        new,
        calibration=calibration,
        calibration_method=f"{new.calibration_method}, added to {len(labeller.calibration)}",
        training=np.concatenate([labeller.training, new.training]),
        conditions=taken,
    )


def _turned(image: np.ndarray, angle: int) -> np.ndarray:
    """Turn a picture about its middle; what comes in at the corners is mirrored."""
    height, width = image.shape[:2]
    if angle % 90 == 0:
        return np.ascontiguousarray(np.rot90(image, angle // 90))
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1)
    return cv2.warpAffine(
        image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
