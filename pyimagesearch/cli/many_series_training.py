"""Train on many series: a folder with a model file for each."""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pyimagesearch import __version__
from pyimagesearch.cli.series_input import open_collection
from pyimagesearch.cli.training_options import ManySeriesTraining
from pyimagesearch.detectors import model_file
from pyimagesearch.detectors.model_folder import LIST, ListedModel, ModelFolder, model_name
from pyimagesearch.runtime import parallel, progress, system
from pyimagesearch.runtime.atomic_files import (
    PARTIAL,
    check_replaceable_folder,
    growing_folder,
    write_bytes,
)
from pyimagesearch.runtime.console import (
    EXIT_DONE,
    EXIT_UNREADABLE,
    UserError,
    counted,
    info,
    printable,
    warn,
)
from pyimagesearch.training.many_series import LearnedSeries, SeriesTrainingJob

_SHOWN_KINDS = 3


def learn_many_series(options: ManySeriesTraining) -> int:
    """Learn each series of a dataset by itself, and write the folder of their models.

    Args:
        options: of train_anomaly_detector.py.

    Returns:
        The exit status.

    Raises:
        UserError: no series can be learned, or the folder is of another training.
        OSError: a file cannot be read or written.
    """
    started, path = time.monotonic(), options.model.rstrip(system.SEPARATORS)
    for folder in (path, path + PARTIAL):
        check_replaceable_folder(folder, LIST)
    info("preparing dataset...")
    series = open_collection(options.dataset, options.group_by)
    training, names = _described(options), series.names
    with _resumable(path, options.resume), growing_folder(path, LIST, options.resume) as folder:
        models = _begin(folder, path, training, names, options.resume)
        job = SeriesTrainingJob(
            folder, options.recipe, options.columns.timestamp, options.columns.values
        )
        left = [name for name in names if name not in models]
        if models:
            info(
                f"{counted(len(models), 'model')} of before: "
                + (f"{len(left):,} left to learn" if left else "nothing is left to learn")
            )
        results = parallel.run_task(job, series.sources(left), options.executor.jobs, chunk_size=1)
        outcomes: list[LearnedSeries] = []
        with contextlib.closing(results):
            for outcome in progress.track(results, total=len(left), unit="series"):
                outcomes.append(outcome)
                report_series(outcome.name, outcome.problem, outcome.notes)
                if outcome.problem is None:
                    name = model_name(outcome.name)
                    models[outcome.name] = ListedModel.from_file(folder, name)
        learned = [outcome for outcome in outcomes if outcome.problem is None]
        n_failed = len(outcomes) - len(learned)
        if not models:
            raise UserError(f"{printable(options.dataset)}: none of its series can be learned")
        if options.strict and n_failed:
            raise UserError(
                f"{counted(n_failed, 'series', 'series')} of {len(outcomes):,} cannot be learned, "
                "which --strict refuses"
            )
        ModelFolder(folder, training, models).save()
    report_columns(options.dataset, (outcome.columns for outcome in learned))
    report_thresholds([outcome.threshold for outcome in learned])
    info(
        f"{counted(len(learned), 'series', 'series')} learned, {n_failed:,} not "
        f"({time.monotonic() - started:.1f} s)"
    )
    info(f"{counted(len(models), 'model')} written to {printable(options.model)}")
    return EXIT_UNREADABLE if n_failed else EXIT_DONE


def report_series(name: str, problem: str | None, notes: Iterable[str]) -> None:
    """Warn of what is wrong with one of many series."""
    for text in notes if problem is None else (problem,):
        warn(f"{printable(name)}: {text}")


def report_columns(dataset: str, descriptions: Iterable[str]) -> None:
    """Say once for all series that are alike what their columns were taken for."""
    kinds = Counter(descriptions)
    for description, n_series in kinds.most_common(_SHOWN_KINDS):
        info(f"{printable(dataset)}: {counted(n_series, 'series', 'series')}: {description}")
    if len(kinds) > _SHOWN_KINDS:
        n_more = len(kinds) - _SHOWN_KINDS
        info(f"{printable(dataset)}: others have columns of {counted(n_more, 'other kind')}")


def report_thresholds(values: Sequence[float]) -> None:
    """Say which scores are anomalies; each series has a threshold of its own."""
    if values:
        info(f"anomalies score above {min(values):.4g} to {max(values):.4g}, by series")


def _described(options: ManySeriesTraining) -> dict[str, Any]:
    """Everything that decides what is learned from a series, as JSON types."""
    recipe, columns = options.recipe, options.columns
    return {
        "method": recipe.method,
        "seed": recipe.seed,
        "contamination": recipe.contamination,
        "threshold": [recipe.rule.name, recipe.rule.parameter],
        "group_by": options.group_by,
        "timestamp_column": columns.timestamp,
        "value_columns": None if columns.values is None else list(columns.values),
        "version": __version__,
    }


def _begin(
    folder: str, path: str, training: dict[str, Any], names: Iterable[str], resume: bool
) -> dict[str, ListedModel]:
    """Note in the partial folder how it is trained; the models that it has, or takes over."""
    source = next((f for f in (folder, path) if os.path.exists(os.path.join(f, LIST))), None)
    if not resume or source is None:
        if resume:
            info(f"{printable(path)} is not there: nothing to resume, starting from the beginning")
        ModelFolder(folder, training, {}).save()
        return {}
    with model_file.named(source):
        before = ModelFolder.load(source)
    if before.training != training:
        differing = [key for key in training if before.training.get(key) != training[key]]
        raise UserError(
            f"{printable(source)}: its models were trained with another "
            f"{', '.join(differing) or 'program'}; without --resume new ones replace them"
        )
    if source == path:  # listed first, so that a kill meanwhile loses none of them
        ModelFolder(folder, training, before.models).save()
    models = {}
    for name, model in before.models.items():
        place = os.path.join(folder, model.file)
        with contextlib.suppress(FileNotFoundError):
            if not os.path.exists(place):
                _take_over(os.path.join(path, model.file), place)
            models[name] = model
    for name in names:
        own = model_name(name)
        if name not in models and os.path.exists(os.path.join(folder, own)):
            models[name] = ListedModel.from_file(folder, own)
    return models


def _take_over(model: str, place: str) -> None:
    """Have a finished file in another folder, too; no file of either is ever written into."""
    try:
        os.link(model, place)
    except FileNotFoundError:
        raise
    except OSError:  # a file system without links
        with open(model, "rb") as file:
            write_bytes(place, file.read())


@contextlib.contextmanager
def _resumable(path: str, resume: bool) -> Iterator[None]:
    """Say what an interrupted run leaves, and what to do with it."""
    partial = path + PARTIAL
    if not resume and os.path.isdir(partial):
        info(
            f"{printable(partial)}: left by an interrupted run, and replaced; --resume would "
            "continue it"
        )
    try:
        yield
    except BaseException:
        if os.path.isdir(partial):
            n_models = sum(name.endswith(".model") for name in os.listdir(partial))
            info(f"{counted(n_models, 'model')} done; --resume goes on from there")
        raise
