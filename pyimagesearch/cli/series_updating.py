"""Update a model of a series by later rows, for train_anomaly_detector.py --update."""

from __future__ import annotations

from pyimagesearch.cli.series_input import open_series
from pyimagesearch.cli.training_options import SeriesUpdate
from pyimagesearch.data.series import SeriesError
from pyimagesearch.runtime.console import UserError, printable
from pyimagesearch.training.series import report_threshold
from pyimagesearch.training.series_update import KnownSeries
from pyimagesearch.training.trained_model import TrainedModel


def update_series(options: SeriesUpdate) -> TrainedModel:
    """Open the model and the rows, and learn these.

    Raises:
        UserError: the model or the rows are not usable, or they do not fit together.
        OSError: a file cannot be read.
    """
    known = KnownSeries.open(options.update, options.method)
    columns, dataset = options.columns, options.dataset
    learned = known.labeller.learned
    series, grid = open_series(dataset, columns.timestamp, columns.values, learned)
    try:
        fitted, threshold, model = known.update(
            series,
            grid,
            rule=options.rule,
            seed=options.seed,
            contamination=options.contamination,
        )
    except SeriesError as error:
        raise UserError(f"{printable(dataset)}: {error}") from error
    report_threshold(threshold, fitted)
    return model
