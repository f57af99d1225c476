"""Measure a model on images whose truth is known, and choose a threshold on them.

  python generate_validation_metrics.py --model my.model --normal good --anomalous defective
  python generate_validation_metrics.py --model my.model --normal good --anomalous faulty/test \\
      --masks faulty/ground_truth --rule f1 --update
  python generate_validation_metrics.py --model my.model --dataset mvtec_ad/bottle --json m.json
  python generate_validation_metrics.py --model my.model --select-on spring --report-on autumn
  python generate_validation_metrics.py --model my.model --verdicts verdicts.json --update
  python generate_validation_metrics.py --model my.model --undo

Thresholds are chosen on one half of the images and reported on the other, or chosen and reported on
two datasets; an image that is in both, whatever its name, is not reported on. A dataset is laid out
as MVTec AD's categories: test/good, test/DEFECT, and masks in ground_truth/DEFECT. Any model of
images will do. --verdicts takes what an inspector recorded on the page of a report: no images are
needed, since the page knows their scores. The threshold stays where they show none that is better.

Prints CSV: metric, threshold rule, value, and its 95% interval. AUROC, average precision and the
metrics of pixels need no threshold: they are of both halves, or of the dataset that is reported on.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence

from pyimagesearch.cli import labelling_loop, validation_options
from pyimagesearch.cli.labelling_job import LabellingJob
from pyimagesearch.cli.labelling_options import ModelOptions
from pyimagesearch.cli.validation_options import (
    Category,
    TwoCategories,
    Undo,
    ValidationOptions,
    VerdictFile,
)
from pyimagesearch.detectors import model_file
from pyimagesearch.labelling import (
    ground_truth,
    inspector_verdicts,
    threshold_update,
    validation,
)
from pyimagesearch.labelling.ground_truth import Folders, Item
from pyimagesearch.labelling.image_groups import refuse_groups
from pyimagesearch.labelling.images import Labeller
from pyimagesearch.labelling.model_reference import ModelReference
from pyimagesearch.labelling.validation import PixelMetrics, Validation
from pyimagesearch.labelling.verdict import Verdict
from pyimagesearch.reports import drawing
from pyimagesearch.reports import validation as validation_report
from pyimagesearch.runtime import atomic_files, packages, parallel
from pyimagesearch.runtime.console import (
    EXIT_DONE,
    EXIT_UNREADABLE,
    info,
    printable,
    warn,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure a model as a command line says; return the exit status."""
    options = validation_options.parse(__doc__, argv)
    if isinstance(options, Undo):
        now, until_now = threshold_update.undo_update(options.model)
        info(
            f"{printable(options.model)}: anomalies score above {now:.4f} again; until now it was "
            f"{until_now:.4f}"
        )
        return EXIT_DONE
    for path in (options.plot, options.csv, options.json, options.scores):
        if path is not None:
            atomic_files.check_writable(path)
    if options.plot is not None:
        drawing.check_picture_name(options.plot, (".png",))
        packages.require("matplotlib")
    if isinstance(options.source, VerdictFile):
        labeller, n_unreadable = None, 0
        items, known = inspector_verdicts.load_verdicts(
            options.source.path, options.model, seed=options.seed, to_choose=options.update
        )
    else:
        info("loading anomaly detection model...")
        labeller = labelling_loop.open_labeller(ModelOptions(options.model))
        refuse_groups(labeller.groups, options.model)
        known = {validation.MODEL_RULE: labeller.threshold}
        items, n_unreadable = _score(labeller, options)

    in_halves = options.in_halves
    found = validation.validate(
        items,
        known,
        in_halves=in_halves,
        rate=options.false_alarm_rate,
        stays=known[validation.MODEL_RULE] if labeller is None else None,
    )
    pixels = None
    ranked = validation.ranked_items(items, in_halves=in_halves)
    if labeller is not None and any(item.mask is not None for item in ranked):
        info("comparing anomaly maps with masks...")
        pixels = validation.pixel_metrics(labeller, ranked, options.executor.jobs)
        ground_truth.report_first(pixels.unusable, "{}; the pixels of its image do not count", warn)
    for line in validation_report.summary(found, options.rule, options.confidence):
        info(line)
    if labeller is None and options.rule in found.thresholds:
        info(validation_report.describe_move(found, options.rule, items))
    sys.stdout.write(validation_report.as_csv(found, pixels))
    _write(options, found, pixels, items)
    if options.update:
        _update(options.model, found, items, options.rule, known[validation.MODEL_RULE])
    return EXIT_UNREADABLE if n_unreadable else EXIT_DONE


def _update(model: str, found: Validation, items: list[Item], rule: str, in_use: float) -> None:
    """Write the threshold of a rule into the model file, unless it is the one in use."""
    threshold = found.thresholds[rule].threshold
    name = printable(model)
    if threshold.value == in_use:
        info(f"{name}: the threshold stays at {in_use:.4f}")
        return
    threshold_update.update_threshold(model, threshold, items)
    info(f"{name}: anomalies score above {threshold.value:.4f} from now on")
    info(f"until now it was {in_use:.4f}: --undo takes that one again")


def _score(labeller: Labeller, options: ValidationOptions) -> tuple[list[Item], int]:
    """The scored images, and how many are unreadable."""
    jobs = options.executor.jobs
    job = LabellingJob(ModelReference.to(labeller, options.model))

    def label(paths: Iterable[str]) -> Iterator[Verdict]:
        with model_file.named(options.model):
            yield from parallel.run_task(job, paths, jobs)

    match options.source:
        case TwoCategories(select_on, report_on):
            selecting, reporting = map(Folders.from_category, (select_on, report_on))
            return ground_truth.score_two_sets(label, selecting, reporting, jobs)
        case Category(folder):
            folders = Folders.from_category(folder)
        case folders:
            pass
    return ground_truth.score_in_halves(label, folders, options.seed, jobs)


def _write(
    options: ValidationOptions, found: Validation, pixels: PixelMetrics | None, items: list[Item]
) -> None:
    """Write the files that were asked for."""
    outputs: dict[str, bytes] = {}
    if options.csv is not None:
        outputs[options.csv] = validation_report.as_csv(found, pixels).encode()
    if options.json is not None:
        outputs[options.json] = validation_report.as_json(found, pixels, options.model).encode()
    if options.scores is not None:
        outputs[options.scores] = validation_report.scores_as_csv(items).encode()
    if options.plot is not None:
        outputs[options.plot] = validation_report.plot(found, items)
    for path, content in outputs.items():
        atomic_files.write_bytes(path, content)
        info(f"{printable(path)} written")
