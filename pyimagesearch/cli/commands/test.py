"""Label images as normal or anomaly with a trained model.

  python test_anomaly_detector.py --model anomaly_detector.model --image examples/coast_1.jpg
  python test_anomaly_detector.py -m anomaly_detector.model -i examples -o labelled
  python test_anomaly_detector.py -m anomaly_detector.model -d my_photos --report report.html
  find photos -name '*.jpg' | python test_anomaly_detector.py -m anomaly_detector.model -i -
  python test_anomaly_detector.py -m anomaly_detector.model -d photos --csv labels.csv --resume
  python test_anomaly_detector.py -m anomaly_detector.model -i parts.mp4 --every 0.5s -o labelled
  python test_anomaly_detector.py -m anomaly_detector.model --watch arriving --csv labels.csv

Prints a line of CSV for each image: image, label, score, p_value. Exit status: 0 done, 1 failed,
2 wrong usage, 3 done but some images were unreadable, 4 with --fail-on-anomaly: one was found.
"""

import os
from collections.abc import Callable, Sequence

from pyimagesearch.cli.image_source import ImageSource
from pyimagesearch.cli.labelling_loop import (
    LabellingRun,
    batch_rule,
    check_report,
    check_results,
    exit_status,
    open_labeller,
    summary,
)
from pyimagesearch.cli.labelling_options import LabellingOptions, WatchingOptions, parse_labelling
from pyimagesearch.labelling.images import Labeller
from pyimagesearch.labelling.verdict import ANOMALY, UNREADABLE, Verdict
from pyimagesearch.line import sources
from pyimagesearch.reports import drawing
from pyimagesearch.runtime import atomic_files, remote_files, system
from pyimagesearch.runtime.console import (
    EXIT_ANOMALY,
    EXIT_DONE,
    STDIN,
    UserError,
    info,
    printable,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Label images as a command line says; return the exit status."""
    options = parse_labelling(__doc__, argv)
    if isinstance(options, WatchingOptions):
        return _watch(options)
    if options.dataset and not sources.is_there(options.dataset):
        raise UserError(f"{printable(options.dataset)}: no such folder")

    info("loading anomaly detection model...")
    labeller = open_labeller(options.model)
    results = options.results
    picture = _picture_file(options)
    _check_output(results.output, () if picture else options.inputs)
    check_results(results, options.inputs)
    for_long = results.report is not None
    with ImageSource.opened(options.inputs, options.every, for_long=for_long) as source:
        labelling = LabellingRun(
            labeller,
            options.model.path,
            source,
            results,
            ranked=False,
            executor=options.executor,
            rule=batch_rule(options.model),
            backbone=options.model.backbone,
            picture=picture,
            pictures=None if picture else results.output,
        )
        counts = labelling.label(_show(labeller, source) if results.show else None)
    if results.output is not None:
        info(f"pictures written to {printable(results.output)}")
    return exit_status(counts[ANOMALY], counts[UNREADABLE], results.fail_on_anomaly)


def _watch(options: WatchingOptions) -> int:
    from pyimagesearch.cli import line_station, watch_folder  # 10 ms that other runs are spared

    info("loading anomaly detection model...")
    labeller = line_station.open_stream_labeller(options.model)
    _check_output(options.output, (options.source,))
    check_report(options.report, (options.source,))
    counts = watch_folder.watch(options, labeller)
    info(summary(counts))
    return EXIT_ANOMALY if options.fail_on_anomaly and counts[ANOMALY] else EXIT_DONE


def _show(labeller: Labeller, source: ImageSource) -> Callable[[Verdict, bool], None]:
    def show_new(verdict: Verdict, is_new: bool) -> None:
        if is_new and verdict.is_readable:
            drawing.show(drawing.draw_labelled(labeller, verdict, source.read_bytes))

    return show_new


def _check_output(output: str | None, inputs: Sequence[str]) -> None:
    """Refuse a folder for pictures that the workers do not have, or where these replace inputs."""
    if output is None:
        return
    if remote_files.is_url(output):
        raise UserError("--output is a folder that the workers have, not a URL")
    atomic_files.refuse_output_inside_input(output, inputs)
    for folder in filter(os.path.isdir, inputs):
        pictures = os.path.join(output, drawing.relative_name(folder))
        atomic_files.refuse_output_inside_input(pictures, inputs)


def _picture_file(options: LabellingOptions) -> str | None:
    """The file that --output names, where there is one image and it does not name a folder."""
    output = options.results.output
    if output is None or len(options.inputs) != 1 or options.inputs[0] == STDIN:
        return None
    if (
        sources.is_several(options.inputs[0])
        or os.path.isdir(output)
        or output.endswith(tuple(system.SEPARATORS))
    ):
        return None
    try:
        drawing.check_picture_name(output)
    except UserError as error:
        raise UserError(f"{error}; for a folder, add a / at the end") from error
    return output
