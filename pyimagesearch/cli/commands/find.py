"""Go through a dataset with a trained model and bring out the anomalies, strangest first.

  python find_anomalies.py --model autoencoder.model --dataset images.npz
  python find_anomalies.py -m autoencoder.model -d images.npz --quantile 0.999 -o anomalies.png
  python find_anomalies.py -m anomaly_detector.model -d my_photos --csv scores.csv
  python find_anomalies.py -m anomaly_detector.model -d parts.mp4 --every 10 -o anomalies.png
  python find_anomalies.py -m series.model -d examples/daily_jump.csv -o plot.png
  python find_anomalies.py -m series.model -d examples/daily_jump.csv --report report.html
  python find_anomalies.py -m pumps.models -d pumps/ --report report/
  python find_anomalies.py -m stream.model -d rows.csv --follow --on-anomaly 'sh alarm.sh {}'

Prints a line of CSV for each anomaly: image (or its index in an .npz), label, score, p_value; of
a series a line for each range of rows: start, end, peak, score, p_value; of many series with the
name of the series in front. --csv and --json write every item or row, in the dataset's order. Where
the dataset says which items are anomalies, precision, recall and average precision are reported.
Exit status as of test_anomaly_detector.py.
"""

import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from pyimagesearch import metrics
from pyimagesearch.cli import series_input
from pyimagesearch.cli.arguments import Executor
from pyimagesearch.cli.image_source import ImageSource
from pyimagesearch.cli.labelling_loop import (
    LabellingRun,
    batch_rule,
    check_results,
    exit_status,
    open_labeller,
)
from pyimagesearch.cli.labelling_options import MOST_IN_PICTURE, FindingOptions, parse_finding
from pyimagesearch.data import image_sets, images, series
from pyimagesearch.detectors.model_file import ModelFile, load_model, open_model
from pyimagesearch.detectors.model_folder import ModelFolder
from pyimagesearch.labelling.images import Labeller
from pyimagesearch.labelling.thresholds import FALSE_DISCOVERY_RATE
from pyimagesearch.labelling.verdict import ANOMALY, UNREADABLE, Verdict
from pyimagesearch.line import sources
from pyimagesearch.reports import drawing, mosaics
from pyimagesearch.runtime import atomic_files
from pyimagesearch.runtime.console import UserError, counted, info, printable


def main(argv: Sequence[str] | None = None) -> int:
    """Find anomalies as a command line says; return the exit status."""
    options = parse_finding(__doc__, argv)
    results = options.results
    if results.output is not None:
        drawing.check_picture_name(results.output)
        atomic_files.check_writable(results.output)
    check_results(results, [options.dataset])
    info("loading anomaly detection model...")
    if os.path.isdir(options.model.path):
        _refuse_options_of_images(options)
        return _find_in_many(options, open_model(options.model.path, ModelFolder.load))
    model = open_model(options.model.path, load_model)
    if model.manifest.get("kind") == series.KIND:
        _refuse_options_of_images(options)
        from pyimagesearch.cli import series_run  # brings in what only series need

        if options.group_by is not None or os.path.isdir(options.dataset):
            return _find_in_many(options, model)
        _refuse_resume(options)
        return series_run.find_in_series(options, model)
    return _find_in_images(options, model)


def _find_in_many(options: FindingOptions, model: ModelFile | ModelFolder) -> int:
    from pyimagesearch.cli import many_series_run  # brings in what only series need

    if options.group_by is None and not os.path.isdir(options.dataset):
        raise UserError(
            f"{printable(options.dataset)}: it is no folder; the models of many series judge a "
            "folder of them, or one table with --group-by. One series is judged by its own file "
            f"in {printable(options.model.path)}"
        )
    return many_series_run.find_in_many_series(options, model)


def _refuse_options_of_images(options: FindingOptions) -> None:
    if options.results.classes:
        raise UserError("--classes is for images: nobody judges the ranges of a series on its page")
    if options.every is not None:
        raise UserError("--every goes with videos, cameras and streams")
    if options.model.rule is not None and options.model.rule.name == FALSE_DISCOVERY_RATE:
        raise UserError(
            "--false-discovery-rate is for images: rows of a series depend on each other, so that "
            "what it promises does not hold for them"
        )
    if options.model.extrapolates:
        raise UserError(
            "--extrapolate is for images: small p-values of a series are estimated by the tail "
            "without it"
        )
    if options.results.resume_by_name:
        raise UserError("--resume-by name is for images; many series are known by their names")


def _refuse_resume(options: FindingOptions) -> None:
    """Refuse --resume for a dataset that is labelled whole or not at all."""
    if options.results.resume:
        raise UserError(
            f"{printable(options.dataset)}: --resume is for folders of images and many series; "
            "this is done in one go"
        )


def _find_in_images(options: FindingOptions, model: ModelFile) -> int:
    name, dataset = printable(options.model.path), options.dataset
    of_series = options.group_by or options.following or options.save_state
    if series_input.is_series(dataset) or of_series:
        raise UserError(f"{name}: it is a model of images, not of series")
    if not sources.is_there(dataset):
        raise UserError(f"{printable(dataset)}: no such file or folder")
    is_image = images.has_image_name(dataset) or sources.is_video(dataset)
    is_npz = os.path.isfile(dataset) and not is_image
    if is_npz:
        _refuse_resume(options)
    rule = options.model.rule
    # The quantile is one of this dataset's own scores, which are known when all are labelled.
    of_own_scores = rule is not None and rule.name == "quantile"
    chosen = replace(options.model, rule=None) if of_own_scores else options.model
    labeller = open_labeller(chosen, model)
    verdicts: list[Verdict] = []

    def keep(verdict: Verdict, is_new: bool) -> None:  # noqa: ARG001
        verdicts.append(verdict)

    def draw(labeller: Labeller, ranked: list[Verdict]) -> None:
        if options.results.output is not None or options.results.show:
            _draw_anomalies(labeller, ranked, source, options)

    npz = _read_npz(dataset, labeller) if is_npz else None
    results = options.results
    for_long = results.report is not None or results.output is not None or results.show
    with ImageSource.opened((dataset,), options.every, npz, for_long) as source:
        labelling = LabellingRun(
            labeller,
            options.model.path,
            source,
            options.results,
            ranked=True,
            executor=Executor(options.jobs),
            rule=rule if of_own_scores else batch_rule(options.model),
            backbone=options.model.backbone,
        )
        truth = None if npz is None else npz.is_anomaly
        counts = labelling.label(keep if truth is not None else None, draw)
    if truth is not None:
        _report_truth(verdicts, truth)
    return exit_status(counts[ANOMALY], counts[UNREADABLE], options.results.fail_on_anomaly)


def _read_npz(path: str, labeller: Labeller) -> image_sets.Dataset:
    try:
        dataset = image_sets.read_npz(path)
        labeller.check_shape(dataset.images.shape[1:])
    except ValueError as error:
        raise UserError(f"{printable(path)}: {error}") from error
    return dataset


def _draw_anomalies(
    labeller: Labeller, ranked: list[Verdict], source: ImageSource, options: FindingOptions
) -> None:
    if not ranked:
        info("there is no anomaly to show: no picture is made")
        return

    def rows() -> Iterator[tuple[Verdict, dict[str, np.ndarray]]]:
        for verdict in itertools.islice(ranked, MOST_IN_PICTURE):
            try:
                yield (
                    verdict,
                    drawing.panels(labeller.for_image(verdict.image), source.read(verdict.image)),
                )
            except images.ImageError as error:  # it was readable when it was labelled
                raise UserError(f"{printable(verdict.image)}: {error}") from error

    shown = counted(min(len(ranked), MOST_IN_PICTURE), "image")
    limit = f"the threshold is {labeller.threshold:.4g}"
    if labeller.groups is not None:
        limit = "each group has a threshold of its own"
    title = f"The highest scores: {shown}; {limit}"
    picture, output = mosaics.draw_rows(rows(), title), options.results.output
    if output is not None:
        with atomic_files.atomic_write(output) as file:
            file.write(images.encode_picture(picture, os.path.splitext(output)[1]))
        info(f"picture of {shown} written to {printable(output)}")
    if options.results.show:
        drawing.show(picture)


def _report_truth(verdicts: Sequence[Verdict], truth: np.ndarray) -> None:
    """Say how good the verdicts are, where the dataset says which items are anomalies."""
    found = metrics.confusion(truth, [verdict.label == ANOMALY for verdict in verdicts])
    if not found.n_anomalies:
        info("the dataset says that none of its items is an anomaly")
        return
    precision = f"{found.precision.value:.3f}" if found.n_called else "undefined"
    average = metrics.average_precision(truth, [verdict.score for verdict in verdicts])
    info(
        f"of {counted(found.n_anomalies, 'true anomaly', 'true anomalies')} "
        f"{found.true_positives} found: precision {precision}, "
        f"recall {found.recall.value:.3f}, average precision {average:.3f}"
    )
