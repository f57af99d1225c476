"""Adds to a model what an inspector called fine, and says what becomes of the defects."""

from __future__ import annotations

import os

from pyimagesearch.cli.labelling_job import LabellingJob
from pyimagesearch.cli.labelling_loop import open_labeller
from pyimagesearch.cli.labelling_options import ModelOptions
from pyimagesearch.cli.training_options import VerdictUpdate
from pyimagesearch.detectors import model_file
from pyimagesearch.labelling.ground_truth import report_first
from pyimagesearch.labelling.inspector_verdicts import (
    Inspection,
    InspectionError,
    read_inspection,
)
from pyimagesearch.labelling.model_reference import ModelReference
from pyimagesearch.labelling.verdict import ANOMALY, UNREADABLE
from pyimagesearch.runtime import parallel
from pyimagesearch.runtime.console import UserError, counted, info, printable, warn
from pyimagesearch.training.images import TrainingFolder
from pyimagesearch.training.trained_model import TrainedModel
from pyimagesearch.training.verdict_update import learn_fine_images


def update_by_verdicts(options: VerdictUpdate) -> TrainedModel:
    """Learn the images that an inspector called fine.

    Raises:
        UserError: there are none, or they cannot be added to this model.
        OSError: a file cannot be read.
    """
    found = _read(options.verdicts)
    model = model_file.open_model(options.update, model_file.load_model)
    if found.model != model.scores_digest():
        warn(
            f"{printable(options.verdicts)}: these verdicts are of a report of another model than "
            f"{printable(options.update)}"
        )
    fine = [item.path for item in found.items if not item.is_anomaly]
    there = [path for path in fine if os.path.isfile(path)]
    if not there:
        reason = "none of the images that it calls fine is there, seen from this folder"
        raise UserError(
            f"{printable(options.verdicts)}: {reason if fine else 'it calls no image fine'}"
        )
    missing = [(path, "") for path in fine if not os.path.isfile(path)]
    report_first(missing, "is not there{}", warn)
    executor = options.executor
    folder = TrainingFolder(
        options.verdicts, there, options.strict, None, executor.jobs, executor.scheduler, fine=there
    )
    return learn_fine_images(options.update, folder, options.patches, options.backbone)


def report_defects(options: VerdictUpdate) -> None:
    """Say how many of the defects that were anomalies are some for the new model, too."""
    found = _read(options.verdicts)
    defects = [item for item in found.items if item.is_anomaly and os.path.isfile(item.path)]
    before = {item.path for item in defects if item.score > found.threshold}
    if not before:
        return
    labeller = open_labeller(ModelOptions(options.model, options.backbone))
    job = LabellingJob(ModelReference.to(labeller, options.model, options.backbone))
    verdicts = parallel.run_task(job, sorted(before), options.executor.jobs)
    with model_file.named(options.model):
        after = [verdict for verdict in verdicts if verdict.label != UNREADABLE]
    escaped = [verdict.image for verdict in after if verdict.label != ANOMALY]
    n_left = len(after) - len(escaped)
    info(f"of {counted(len(after), 'defect')} that it found, it finds {n_left:,} now")
    report_first([(path, "") for path in escaped], "a defect, and no anomaly any more{}", warn)


def _read(path: str) -> Inspection:
    try:
        return read_inspection(path)
    except InspectionError as error:
        raise UserError(f"{printable(path)}: {printable(str(error))}") from error
