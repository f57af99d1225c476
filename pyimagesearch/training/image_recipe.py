"""How a detector of images is fitted, from what was chosen to what goes into the model file."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from pyimagesearch.labelling.image_groups import ImageGroups
from pyimagesearch.labelling.thresholds import DEFAULT_CONFIDENCE, ThresholdRule
from pyimagesearch.runtime.console import info
from pyimagesearch.training import contamination
from pyimagesearch.training.calibration import report_groups, report_outlying, report_threshold
from pyimagesearch.training.image_features import DEFAULT_BACKBONE, BackboneOptions, FeatureOptions
from pyimagesearch.training.images import (
    AUTO,
    FOREST,
    PATCH_METHODS,
    ImageFit,
    PatchOptions,
    TrainingFolder,
    image_model,
    train_on_patches,
    train_on_whole_images,
    update_memory_bank,
)
from pyimagesearch.training.made_defects import report_made_defects
from pyimagesearch.training.trained_model import TrainedModel


def usual_backbone(method: str) -> BackboneOptions | None:
    """The network of methods that are better with one, where none is asked for."""
    return None if method == FOREST else BackboneOptions(DEFAULT_BACKBONE)


@dataclass(frozen=True)
class ImageRecipe:
    """How a detector of images is fitted, and its threshold chosen.

    Attributes:
        method: one of ``images.METHODS``.
        features: that the detector is fitted to.
        patches: of the methods that score patches.
        rule: that chooses the threshold.
        seed: of all random choices.
        n_estimators: number of isolation trees; None takes the usual one.
        update: file of a memory-bank model to add the images to, or None.
        confidence: with which the false-alarm rate of the model is bounded.
    """

    method: str
    features: FeatureOptions
    patches: PatchOptions
    rule: ThresholdRule
    seed: int
    n_estimators: int | None = None
    update: str | None = None
    confidence: float = DEFAULT_CONFIDENCE

    def learn(self, folder: TrainingFolder) -> tuple[ImageFit, TrainedModel]:
        """Fit the detector, choose its threshold, and report what to expect of it.

        Args:
            folder: the images.

        Returns:
            The fit, and what goes into the model file.

        Raises:
            UserError: nothing can be learned.
            OSError: a file cannot be read.
        """
        uses_patches, side = self.method in PATCH_METHODS, None
        if self.update is not None:
            backbone = self.features.backbone
            extractor, learned = update_memory_bank(
                self.update, folder, self.patches, None if backbone is None else backbone.name
            )
        else:
            extractor = self.features.extractor(folder.paths, patches=uses_patches)
            if self.method == AUTO:
                info(
                    "--method auto: a memory bank of patches and neighbours of whole images, at "
                    f"{extractor.side} pixels; choose otherwise by --method, --backbone, "
                    "--image-size"
                )
            if uses_patches:
                side = extractor.side
                learned = train_on_patches(folder, extractor, self.method, self.patches)
            else:
                learned = train_on_whole_images(
                    folder,
                    extractor,
                    self.method,
                    n_estimators=self.n_estimators,
                    seed=self.seed,
                )
        report_outlying(learned.names, learned.calibration[-len(learned.names) :])

        if folder.groups is not None:
            groups = ImageGroups.fit(
                folder.groups,
                folder.group_names(learned.names),
                learned.calibration,
                learned.training,
            )
            rule, groups = groups.same_rate(self.rule), groups.choose(self.rule)
            threshold = rule.choose(learned.calibration, learned.training)
            report_groups(groups, rule, threshold, self.confidence)
            lost = Counter(folder.group_names(learned.uncalibrated))
            contamination.report_bias(
                [(one.calibration, one.threshold, lost[n]) for n, one in groups.members.items()]
            )
            return learned, image_model(extractor, learned, threshold, groups)
        threshold = self.rule.choose(learned.calibration, learned.training)
        report_threshold(threshold, learned.calibration, self.rule.asked_rate, self.confidence)
        contamination.report_bias(
            [(learned.calibration, threshold.value, len(learned.uncalibrated))]
        )
        report_made_defects(learned.of_made_defects, threshold.value, learned.calibration, side)
        return learned, image_model(extractor, learned, threshold)
