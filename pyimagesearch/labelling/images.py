"""The labelling half: a model file and a stream of images -> a stream of verdicts."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any
from zlib import crc32

import numpy as np

from pyimagesearch import features
from pyimagesearch.backbones import cell_grid
from pyimagesearch.backbones.onnx_graph import NetworkError
from pyimagesearch.data import images
from pyimagesearch.detectors import model_file, registry
from pyimagesearch.detectors.base import ImageDetector
from pyimagesearch.labelling import capture_conditions, thresholds
from pyimagesearch.labelling.image_groups import ImageGroups
from pyimagesearch.labelling.known_range import KnownRange
from pyimagesearch.labelling.verdict import ANOMALY, NORMAL, UNREADABLE, Verdict
from pyimagesearch.runtime import processes
from pyimagesearch.runtime.threads import chunked, ordered_map

IMAGES_AT_ONCE = 16


@dataclass(frozen=True)
class Labeller:
    """A trained model, ready to label images.

    Attributes:
        extractor: turns an image into features.
        detector: turns features into scores.
        calibration: (n,) float64 sorted scores of normal images that the detector did not see.
        training: (m,) float64 scores of the images that it was fitted on.
        threshold: the score above which an image is an anomaly.
        scores_digest: of all that scores depend on, see ``model_file.ModelFile``.
        sha256: of the model file, see ``model_file.ModelFile``.
        conditions: (k, len(CONDITIONS)) float32, the capture conditions of training images; or
            None where the model file has none.
        measure_every: capture conditions are measured of one image in so many, chosen by its name.
        groups: of images that have a calibration and a threshold of their own; what is said above
            is of all images, and decides for those of no known group. None where there are none.
        extrapolates: whether p-values below those that can be promised are estimated: see
            ``thresholds.extrapolated_p_values``; not of groups.
    """

    extractor: features.Extractor
    detector: ImageDetector
    calibration: np.ndarray
    training: np.ndarray
    threshold: float
    scores_digest: str = ""
    sha256: str = ""
    conditions: np.ndarray | None = None
    measure_every: int = 1
    groups: ImageGroups | None = None
    extrapolates: bool = False

    @classmethod
    def open(cls, path: str, external_backbone: Callable[[str], bytes] | None = None) -> Labeller:
        """Load a model file of images, to label some in this process.

        Args:
            path: of the model file.
            external_backbone: see ``features.from_settings``.

        Raises:
            model_file.ModelFileError: not a usable model file.
            runtime.limits.NetworkLimitError: its network takes more than it may.
            OSError: the file cannot be read.
        """
        labeller = cls.from_model(model_file.load_model(path), external_backbone)
        labeller.try_networks()
        return labeller

    @classmethod
    def from_model(
        cls,
        model: model_file.ModelFile,
        external_backbone: Callable[[str], bytes] | None = None,
    ) -> Labeller:
        """Take over a model file of images that was read already; its networks are not opened.

        Raises:
            model_file.ModelFileError: not a usable one.
        """
        with model_file.usable():
            return cls._from_model(model, external_backbone)

    @classmethod
    def _from_model(
        cls, model: model_file.ModelFile, external_backbone: Callable[[str], bytes] | None
    ) -> Labeller:
        manifest = model.manifest
        model.check_kind("images")
        extractor = features.from_settings(
            manifest["preprocessing"], registry.feature_networks(model), external_backbone
        )
        detector = registry.restore(model)
        if not isinstance(detector, ImageDetector):
            raise ValueError(f"its detector, {detector.name}, is none of images")
        if detector.n_features != extractor.length:
            raise ValueError(
                f"its detector takes {detector.n_features} features, "
                f"but its preprocessing makes {extractor.length}"
            )
        if not detector.networks():
            detector.check()
        return cls(
            extractor=extractor,
            detector=detector,
            calibration=np.sort(model.scores("calibration_scores")),
            training=model.scores("training_scores"),
            threshold=model.threshold,
            scores_digest=model.scores_digest(),
            sha256=model.sha256,
            conditions=capture_conditions.restore(manifest, model.arrays),
            groups=ImageGroups.restore(model),
        )

    def open_networks(self) -> None:
        """Open its networks and compute with its detector's once, in the process that labels.

        A network may compute for ever, or fill all memory: what has been started by a user has
        this done by another process first, see ``try_networks``.

        Raises:
            model_file.ModelFileError: they do not do what they should.
        """
        with model_file.usable():
            if self.extractor.backbone is not None:
                self.extractor.backbone.open()
            if self.detector.networks():
                self.detector.check()

    def try_networks(self) -> None:
        """Have another process open its networks, where it has some, before this one does.

        Raises:
            model_file.ModelFileError: as of ``open_networks``.
            runtime.limits.NetworkLimitError: they take too much.
        """
        if self.extractor.backbone is not None or self.detector.networks():
            processes.call_in_process(self.open_networks)

    def with_threshold(self, threshold: float) -> Labeller:
        """The same model with another threshold."""
        return replace(self, threshold=threshold)

    def with_rule(self, rule: thresholds.ThresholdRule, scores: np.ndarray) -> tuple[Labeller, str]:
        """The same model with a threshold, or one of each group, that a rule finds.

        Args:
            rule: the rule.
            scores: (m,) that the rules ``quantile``, ``max`` and ``contamination`` look at; groups
                look at their own.

        Returns:
            The model, and a sentence about its threshold.

        Raises:
            thresholds.RateError: a rate was asked for that cannot be promised.
            UserError: by a group.
        """
        groups = None if self.groups is None else self.groups.choose(rule)
        chosen = rule.choose(self.calibration, scores, extrapolate=self.extrapolates)
        found = replace(self, threshold=chosen.value, groups=groups)
        return found, str(chosen if groups is None else groups)

    @property
    def usual(self) -> tuple[np.ndarray, np.ndarray | None]:
        """The scores and capture conditions of normal images that a batch is compared with.

        Where there are groups, a batch may have more of one of them than training had: then an
        image is only compared with its own group, and conditions are not compared.
        """
        if self.groups is None:
            return self.calibration, self.conditions
        return self.groups.ranks(), None

    def compared_score(self, verdict: Verdict) -> float | None:
        """What of a verdict is compared with the scores of ``usual``; None if unreadable."""
        if self.groups is None or verdict.p_value is None:
            return verdict.score
        return -verdict.p_value

    @property
    def group_thresholds(self) -> tuple[float, ...]:
        """The thresholds of its groups, in the order of their names; none where it has none."""
        return () if self.groups is None else self.groups.thresholds

    def for_image(self, name: str) -> Labeller:
        """The model as it judges an image of this name: by the calibration of its group."""
        group = None if self.groups is None else self.groups.group_of(name)
        if group is None:
            return self
        return replace(
            self,
            calibration=group.calibration,
            training=group.training,
            threshold=group.threshold,
            groups=None,
        )

    def label(
        self,
        paths: Iterable[str],
        jobs: int,
        read: Callable[[str], np.ndarray] | None = None,
    ) -> Iterator[Verdict]:
        """Label images as they come, in this process; verdicts keep the order of the paths.

        The scripts label files through ``labelling_job.LabellingJob``, in processes that an image
        may bring down.

        Args:
            paths: image files; taken only as fast as they are labelled.
            jobs: number of threads; the verdicts do not depend on it.
            read: as of ``label_batch``.
        """
        label_batch = functools.partial(self.label_batch, read=read)
        for verdicts in ordered_map(label_batch, chunked(paths, IMAGES_AT_ONCE), jobs):
            yield from verdicts

    def label_batch(
        self,
        paths: list[str],
        observe: Callable[[int, np.ndarray, np.ndarray], None] | None = None,
        read: Callable[[str], np.ndarray] | None = None,
        are_files: bool = False,
        names: Sequence[str] | None = None,
    ) -> list[Verdict]:
        """Label a few images at once.

        Args:
            paths: image files.
            observe: receives the number of each readable image, the image, (height, width, 3)
                uint8 BGR, and its features, as they are found.
            read: returns the image of a path, where paths are not files.
            are_files: whether ``read`` decodes files as this does without it.
            names: of the images, which say their groups, where ``paths`` are only numbers.
        """
        comparable = read is None or are_files or self._pixels is not None
        unreadable: dict[int, Verdict] = {}
        rows: dict[int, np.ndarray] = {}
        conditions: dict[int, np.ndarray] = {}
        for index, path in enumerate(paths):
            try:
                if read is None:
                    image = images.read_image(path, self.extractor.min_side)
                else:
                    image = read(path)
                rows[index] = self.extractor.extract(image)
            except images.ImageError as error:
                unreadable[index] = Verdict(path, UNREADABLE, reason=str(error))
            else:
                if observe is not None:
                    observe(index, image, rows[index])
                if comparable and self._measures(path):
                    conditions[index] = self._conditions(image, rows[index])
        if not rows:
            return list(unreadable.values())
        scores = self._scores(list(rows.values()))
        p_values = self._p_values(scores, [(names or paths)[index] for index in rows])
        judged = {
            index: self._judge(
                paths[index],
                float(score),
                float(p_value),
                conditions.get(index),
                (names or paths)[index],
            )
            for index, score, p_value in zip(rows, scores, p_values, strict=True)
        }
        return [judged.get(index) or unreadable[index] for index in range(len(paths))]

    def _p_values(self, scores: np.ndarray, names: Sequence[str]) -> np.ndarray:
        if self.extrapolates:
            return thresholds.extrapolated_p_values(scores, self.calibration)
        if self.groups is None:
            return thresholds.p_values(scores, self.calibration)
        pairs = zip(scores, names, strict=True)
        return np.array(
            [thresholds.p_values(score, self.for_image(name).calibration) for score, name in pairs]
        )

    def _judge(
        self, path: str, score: float, p_value: float, conditions: np.ndarray | None, name: str
    ) -> Verdict:
        if not math.isfinite(score):
            return Verdict(path, UNREADABLE, reason="the model finds no finite score for it")
        outside = None
        if self._known_range is not None and conditions is not None:
            outside = self._known_range.beyond(conditions)
        return Verdict(
            path,
            self.for_image(name)._label(score),
            score,
            p_value,
            outside=outside,
            extrapolated=self.extrapolates and p_value < self._best_rate,
            conditions=conditions,
        )

    @property
    def _best_rate(self) -> float:
        return thresholds.best_rate(len(self.calibration))

    @functools.cached_property
    def _known_range(self) -> KnownRange | None:
        return None if self.conditions is None else KnownRange(self.conditions)

    def _scores(self, rows: list[np.ndarray]) -> np.ndarray:
        same_shape = all(row.shape == rows[0].shape for row in rows)
        try:
            return self.detector.score(np.stack(rows) if same_shape else rows)
        except NetworkError:  # over one of them, which costs that one alone
            if len(rows) == 1:
                return np.array([np.nan])
            return np.concatenate([self._scores([row]) for row in rows])

    def _measures(self, path: str) -> bool:
        return self.conditions is not None and crc32(os.fsencode(path)) % self.measure_every == 0

    def _conditions(self, image: np.ndarray, found: np.ndarray) -> np.ndarray:
        if self._pixels is not None:
            image = self._pixels.to_image(found)  # at one size, cropped, perhaps grey
        return capture_conditions.measure(image)

    @property
    def _pixels(self) -> features.PixelFeatures | None:
        """The extractor where arrays are as good as files; others decode files in their own way."""
        return self.extractor if isinstance(self.extractor, features.PixelFeatures) else None

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Refuse images whose size and channels are not those that the model learned.

        Photos of any size are files and are resized; an array of another shape is another dataset.

        Args:
            shape: (height, width, channels).

        Raises:
            ValueError: they differ.
        """
        if self._pixels is not None and shape != self._pixels.shape:
            learned = _size(self._pixels.shape)
            raise ValueError(f"its images are {_size(shape)}, and the model learned {learned}")

    def relabel(self, verdict: Verdict) -> Verdict:
        """The verdict of this model's threshold on a score that is already known."""
        return replace(verdict, label=self.for_image(verdict.image)._label(verdict.score))

    def _label(self, score: float) -> str:
        return ANOMALY if score > self.threshold else NORMAL

    def heat_map(self, content: bytes | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Compute an image's anomaly map, where 1 is the threshold: see the detectors' ``heat``.

        Nothing in a normal image exceeds 1, and something in every anomaly does.

        Args:
            content: of an image file, all of it; or (height, width, 3) uint8 BGR.

        Returns:
            The image at full size, (height, width, 3) uint8 BGR, and its heat, (height, width)
            float32.

        Raises:
            images.ImageError: not a readable image.
        """
        image, found = self.decode(content)
        return image, self.heat(image, found)

    def score_map(self, data: bytes) -> tuple[np.ndarray, np.ndarray]:
        """Compute the anomaly score of each pixel of an image, whatever its verdict.

        Args:
            data: the whole content of an image file.

        Returns:
            The image at full size, (height, width, 3) uint8 BGR, and (height, width) float32,
            higher is more anomalous, comparable between images.

        Raises:
            images.ImageError: not a readable image.
        """
        image, found = self.decode(data)
        strange = self.detector.contributions(found)
        return image, self.extractor.back_project(image, strange)

    def decode(self, content: bytes | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The image at full size, and its features; the content as of ``heat_map``."""
        image = content if isinstance(content, np.ndarray) else images.decode_image(content)
        return image, self.extractor.extract(self.small_image(content))

    def small_image(self, content: bytes | np.ndarray) -> np.ndarray:
        """The image as small as its features allow; the content as of ``heat_map``."""
        side = self.extractor.min_side
        if isinstance(content, np.ndarray):
            return images.halve(content, side)
        return images.decode_image(content, side)

    def relative(self, score: Any) -> Any:
        """Take scores to the scale of heat, where 0 is typical and 1 the threshold."""
        typical = float(np.median(self.training))
        return (score - typical) / max(self.threshold - typical, 1e-9)

    def heat(
        self,
        image: np.ndarray,
        found: np.ndarray,
        shape: tuple[int, ...] | None = None,
        values: np.ndarray | None = None,
    ) -> np.ndarray:
        """Compute an image's anomaly map from its features: see ``heat_map``.

        Args:
            image: (height, width, 3) uint8 BGR, the image or a small copy.
            found: its features.
            shape: that the image had when they were taken, where ``image`` is a copy.
            values: the heat of each feature, where it is known already.

        Returns:
            (height, width) float32, of the image's size.
        """
        heat = self.detector.heat(found, self.relative) if values is None else values
        if self.extractor.is_spatial and shape is not None:
            # Where a feature lies depends on the size of the image, and on that alone.
            blank = np.broadcast_to(np.uint8(0), shape)
            projected = self.extractor.back_project(blank, heat)
            projected = cell_grid.resize(projected, image.shape[:2])
        else:
            projected = self.extractor.back_project(image, heat)
        if heat.max() > 1 >= projected.max() > 0:
            # The pixels missed the very top of the heat: an anomaly must show some.
            projected *= np.nextafter(1, 2, dtype=np.float32) / projected.max()
        return projected

    def nearest(self, found: np.ndarray) -> tuple[np.ndarray, tuple[float, float]] | None:
        """Find the training image that an image's strangest patch was compared with.

        Args:
            found: the image's features.

        Returns:
            See ``ImageDetector.explain``; None for models that keep no training images.
        """
        return self.detector.explain(found)


def _size(shape: tuple[int, ...]) -> str:
    height, width, channels = shape
    return f"{width} x {height} with {channels} channel{'s' if channels > 1 else ''}"
