"""Learn many series, each by itself, as a worker process does: one file of a series, one model."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pyimagesearch.data.series import SeriesError
from pyimagesearch.data.series_collection import SeriesSource
from pyimagesearch.detectors.model_folder import model_name
from pyimagesearch.labelling.thresholds import RateError
from pyimagesearch.runtime.ordered_queue import DIED
from pyimagesearch.training.series import SeriesRecipe


@dataclass(frozen=True)
class LearnedSeries:
    """What became of a series.

    Attributes:
        name: of the series.
        problem: why it could not be learned, or None.
        columns: what its columns were taken for, as a sentence.
        notes: what was done with its rows, a sentence each.
        threshold: above which a row is an anomaly.
    """

    name: str
    problem: str | None = None
    columns: str = ""
    notes: tuple[str, ...] = ()
    threshold: float = 0.0


@dataclass(frozen=True)
class SeriesTrainingJob:
    """A picklable description of the work: see ``ordered_queue.Task``.

    Attributes:
        folder: to write the model files into.
        recipe: how each series is learned.
        timestamp_column, value_columns: of each series, or None.
    """

    folder: str
    recipe: SeriesRecipe
    timestamp_column: str | None
    value_columns: Sequence[str] | None

    def open(self) -> Callable[[list[SeriesSource]], list[LearnedSeries]]:
        return lambda sources: [self.learn(source) for source in sources]

    def lost(self, source: SeriesSource) -> LearnedSeries:
        return LearnedSeries(source.name, DIED)

    def learn(self, source: SeriesSource) -> LearnedSeries:
        """Learn a series and write its model file; raises ``OSError`` where that is impossible."""
        try:
            series, grid = source.read(self.timestamp_column, self.value_columns)
            _, threshold, model = self.recipe.learn(series, grid)
        except (SeriesError, RateError) as error:
            return LearnedSeries(source.name, str(error))
        except OSError as error:
            return LearnedSeries(source.name, error.strerror or str(error))
        model.save(os.path.join(self.folder, model_name(source.name)))
        notes = (*series.notes, *grid.notes)
        return LearnedSeries(source.name, None, str(series.columns), notes, threshold.value)
