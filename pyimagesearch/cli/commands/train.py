"""Learn what normal photos look like, or how a series normally goes, and write a model file.

  python train_anomaly_detector.py --dataset forest --model anomaly_detector.model
  python train_anomaly_detector.py -d good_parts -m parts.model --backbone resnet18.onnx
  python train_anomaly_detector.py -d good_parts.mp4 -m parts.model --every 2s
  python train_anomaly_detector.py -d forest -m forest.model --method forest
  python train_anomaly_detector.py -d more_parts -m parts.model --update parts.model
  python train_anomaly_detector.py --verdicts verdicts.csv -m parts.model --update parts.model
  python train_anomaly_detector.py --dataset examples/daily.csv --model series.model
  python train_anomaly_detector.py -d examples/daily.csv -m stream.model --method stream
  python train_anomaly_detector.py -d last_week.csv -m stream.model --update stream.model
  python train_anomaly_detector.py -d pumps/ -m pumps.models

The photos below the dataset folder should all be normal; a series (a CSV file) may hold a few
anomalies. A model of photos knows what each patch of them may look like and shows where a photo is
anomalous; --method forest knows their colours alone. The model file holds no code and is read by
test_anomaly_detector.py (images) and find_anomalies.py (images and series).
"""

from collections.abc import Sequence

from pyimagesearch.cli import training_options
from pyimagesearch.cli.overwriting import check_model_replaceable
from pyimagesearch.cli.series_input import open_series
from pyimagesearch.cli.training_frames import training_images
from pyimagesearch.cli.training_options import (
    ImageTraining,
    ManySeriesTraining,
    SeriesTraining,
    SeriesUpdate,
    VerdictUpdate,
)
from pyimagesearch.data.series import SeriesError
from pyimagesearch.labelling.thresholds import FALSE_ALARM_RATE
from pyimagesearch.runtime import atomic_files
from pyimagesearch.runtime.console import EXIT_DONE, UserError, info, printable
from pyimagesearch.training import series as series_training
from pyimagesearch.training.images import TrainingFolder
from pyimagesearch.training.trained_model import TrainedModel


def main(argv: Sequence[str] | None = None) -> int:
    """Train a model as a command line says; return the exit status."""
    options = training_options.parse(__doc__, argv)
    if isinstance(options, ManySeriesTraining):
        from pyimagesearch.cli import many_series_training  # brings in what only series need

        return many_series_training.learn_many_series(options)
    atomic_files.check_writable(options.model)
    if isinstance(options, ImageTraining) and options.audit is not None:
        from pyimagesearch.reports import report_folder  # 20 ms that only a page costs

        report_folder.check(options.audit, option="--audit")
    check_model_replaceable(options.model, options.force)
    info("preparing dataset...")
    if isinstance(options, SeriesUpdate):
        from pyimagesearch.cli import series_updating  # which most trainings do without

        model = series_updating.update_series(options)
    elif isinstance(options, ImageTraining):
        return _train_on_images(options)
    elif isinstance(options, VerdictUpdate):
        return _train_by_verdicts(options)
    else:
        model = _learn_series(options)
    _save(model, options.model)
    return EXIT_DONE


def _save(model: TrainedModel, path: str) -> None:
    model.save(path)
    info(f"model written to {printable(path)}")


def _train_on_images(options: ImageTraining) -> int:
    with training_images(options) as (folder, paths):
        model = _learn_images(options, folder, paths)
        _save(model, options.model)
        if options.audit is not None:
            _write_audit_page(options, model)
    return EXIT_DONE


def _train_by_verdicts(options: VerdictUpdate) -> int:
    from pyimagesearch.cli import verdict_updating  # which most trainings do without

    _save(verdict_updating.update_by_verdicts(options), options.model)
    verdict_updating.report_defects(options)
    return EXIT_DONE


def _learn_images(options: ImageTraining, dataset: str, paths: list[str]) -> TrainedModel:
    fine: set[str] = set()
    if options.exclusions is not None:
        paths, fine = options.exclusions.divide((options.dataset, dataset), paths)
    folder = TrainingFolder(
        options.dataset,
        paths,
        options.strict,
        options.recipe.rule.asked_rate,
        options.executor.jobs,
        options.executor.scheduler,
        options.contamination,
        fine,
        options.groups,
        dataset,
    )
    _, model = options.recipe.learn(folder)
    return model


def _write_audit_page(options: ImageTraining, model: TrainedModel) -> None:
    from pyimagesearch.training import audit_page  # which imports the reports

    backbone = options.recipe.features.backbone
    audit_page.write_audit_page(
        options.audit,
        options.model,
        model.fit,
        options.executor.jobs,
        None if backbone is None else backbone.name,
    )
    info(f"audit written to {printable(options.audit)}")


def _learn_series(options: SeriesTraining) -> TrainedModel:
    columns, recipe = options.columns, options.recipe
    series, grid = open_series(options.dataset, columns.timestamp, columns.values)
    info(f"fitting anomaly detection model on {len(grid.values):,} rows...")
    try:
        fitted, threshold, model = recipe.learn(series, grid)
    except SeriesError as error:
        raise UserError(f"{printable(options.dataset)}: {error}") from error
    if threshold.rule == FALSE_ALARM_RATE:  # others do not depend on what may be anomalous
        series_training.report_blocks_apart(fitted, series)
    series_training.report_threshold(threshold, fitted)
    return model
