"""Adds images to a memory bank that an inspector called fine."""

from __future__ import annotations

from dataclasses import replace

from pyimagesearch.detectors import model_file
from pyimagesearch.labelling.thresholds import Threshold
from pyimagesearch.runtime.console import counted, info
from pyimagesearch.training.images import (
    PatchOptions,
    TrainingFolder,
    image_model,
    update_memory_bank,
)
from pyimagesearch.training.trained_model import TrainedModel


def learn_fine_images(
    path: str, folder: TrainingFolder, options: PatchOptions, backbone: str | None = None
) -> TrainedModel:
    """Add images to a model, and keep its threshold and calibration.

    Inspectors mostly see what scores high: were the scores of their fine images taken for those of
    normal images, the threshold would rise above defects. The scores that are there stay valid,
    since patches that are added only bring normal images nearer.

    Args:
        path: the model file.
        folder: the images.
        options, backbone: as of ``update_memory_bank``.

    Raises:
        UserError: as of ``update_memory_bank``.
    """
    extractor, learned = update_memory_bank(path, folder, options, backbone)
    model = model_file.open_model(path, model_file.load_model)
    n_new = len(learned.names)
    with model_file.named(path), model_file.usable():
        described = model.manifest["threshold"]
        threshold = Threshold(described["rule"], described["parameter"], model.threshold)
        learned = replace(
            learned,
            calibration=learned.calibration[:-n_new],
            calibration_method=f"that of the model before {counted(n_new, 'image')} were added",
            training=learned.training[:-n_new],
        )
    info(f"{counted(n_new, 'fine image')} added; {threshold}, as before")
    return image_model(extractor, learned, threshold)
