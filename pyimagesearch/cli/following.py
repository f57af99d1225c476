"""Follow a series: judge its rows one by one, as they come."""

from __future__ import annotations

import sys

from pyimagesearch.cli.labelling_loop import exit_status
from pyimagesearch.cli.labelling_options import FindingOptions
from pyimagesearch.data import series
from pyimagesearch.detectors import model_file, registry
from pyimagesearch.labelling.series import SeriesLabeller
from pyimagesearch.reports import series as series_reports
from pyimagesearch.reports.rows import Results, csv_line
from pyimagesearch.runtime.console import UserError, counted, info, printable, warn

_SHOWN_CHARACTERS = 60  # of a time in a message


def follow(
    options: FindingOptions,
    model: model_file.ModelFile,
    labeller: SeriesLabeller,
    threshold: float,
) -> int:
    """Judge the rows of stdin as they come, and print an alarm as it happens.

    Args:
        options: of find_anomalies.py.
        model, labeller: the model file, and what was restored from it.
        threshold: above which a score is an alarm.

    Returns:
        The exit status.

    Raises:
        UserError: stdin is no series that the model can judge.
        OSError: a file cannot be read or written.
    """
    n_alarms = n_unreadable = 0
    try:
        with Results(sys.stdout.buffer) as files:
            files.print_line(csv_line(series_reports.range_columns()))
            for one in labeller.follow(
                sys.stdin.buffer, options.columns.timestamp, options.columns.values
            ):
                if one.score is None:
                    n_unreadable += 1
                    warn(f"{printable(one.start[:_SHOWN_CHARACTERS])}: {one.problem}")
                elif one.score > threshold:
                    n_alarms += 1
                    files.print_line(series_reports.range_line(one))
    except series.SeriesError as error:
        raise UserError(f"stdin: {error}") from error
    except KeyboardInterrupt:
        info("interrupted")
    finally:
        if options.save_state:
            save_state(options.save_state, model, labeller)
    info(f"{counted(n_alarms, 'alarm')}, {counted(n_unreadable, 'row')} not judged")
    return exit_status(n_alarms, n_unreadable, options.results.fail_on_anomaly)


def save_state(path: str, model: model_file.ModelFile, labeller: SeriesLabeller) -> None:
    """Write the model with its detector as it is now, so that a later run goes on from there."""
    manifest = {k: v for k, v in model.manifest.items() if k != "members"}
    manifest["detector"] = registry.describe(labeller.detector)
    arrays = model.arrays | registry.array_members(labeller.detector)
    model_file.save_model(path, manifest, arrays, model.networks)
    info(f"state written to {printable(path)}")
