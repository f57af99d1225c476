"""What a worker process does with one of many series: reads, judges and describes it."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pyimagesearch.backbones.onnx_graph import NetworkError
from pyimagesearch.cli.arguments import Columns
from pyimagesearch.data.series import SeriesError
from pyimagesearch.data.series_collection import SeriesSource
from pyimagesearch.detectors.model_file import ModelFile, ModelFileError
from pyimagesearch.detectors.model_folder import ModelFolder
from pyimagesearch.labelling.many_series import JudgedSeries
from pyimagesearch.labelling.series import Range, ScoredSeries, SeriesLabeller
from pyimagesearch.labelling.thresholds import RateError, ThresholdRule
from pyimagesearch.labelling.verdict import UNREADABLE
from pyimagesearch.reports import series as series_reports
from pyimagesearch.reports import series_sketch
from pyimagesearch.runtime.limits import NetworkLimitError
from pyimagesearch.runtime.ordered_queue import DIED

SHOWN_WITHOUT_ANOMALIES = 5
_OF_ONE_SERIES = (SeriesError, ModelFileError, RateError, NetworkError, NetworkLimitError)


@dataclass(frozen=True)
class JudgedFile:
    """A judged series with what is written of it.

    Attributes:
        series: the series, without its rows.
        csv, json: all its rows, where they are asked for.
        panels: its large plots, where they are asked for.
    """

    series: JudgedSeries
    csv: bytes = b""
    json: bytes = b""
    panels: tuple[series_sketch.Panel, ...] = ()


@dataclass(frozen=True)
class SeriesJob:
    """A picklable description of the work: see ``ordered_queue.Task``.

    Attributes:
        model: that judges all series, or the folder with one for each.
        columns: of each series.
        rule: chooses the thresholds; None takes those of the models.
        top: so many ranges of each series, whatever their label; or None.
        csv, json: whether rows are written.
        sketches, panels: whether series are drawn small, and large.
    """

    model: ModelFile | ModelFolder
    columns: Columns
    rule: ThresholdRule | None
    top: int | None
    csv: bool = False
    json: bool = False
    sketches: bool = False
    panels: bool = False

    def drawing(self) -> SeriesJob:
        """The same work, but for large plots alone."""
        return replace(self, csv=False, json=False, sketches=False, panels=True)

    def open(self) -> Callable[[list[SeriesSource]], list[JudgedFile]]:
        return lambda sources: [self.judge(source) for source in sources]

    def lost(self, source: SeriesSource) -> JudgedFile:
        return self._unreadable(source.name, DIED)

    def _unreadable(self, name: str, reason: str) -> JudgedFile:
        csv = series_reports.unreadable_csv_of_many(name) if self.csv else b""
        json = series_reports.unreadable_json_of_many(name, reason) if self.json else b""
        return JudgedFile(JudgedSeries(name, reason), csv, json)

    def judge(self, source: SeriesSource) -> JudgedFile:
        """Judge a series by its model; whatever is wrong with either is its problem alone."""
        try:
            return self._judge(source)
        except _OF_ONE_SERIES as error:
            return self._unreadable(source.name, str(error))
        except OSError as error:
            return self._unreadable(source.name, error.strerror or str(error))

    def _judge(self, source: SeriesSource) -> JudgedFile:
        if isinstance(self.model, ModelFolder):
            model = self.model.load_model(source.name)
            if model.networks:  # whose own process a worker may not have
                raise ModelFileError("its model has a network: judge it alone, with its own file")
        else:
            model = self.model
        # Anew for each series: a detector that takes rows as they come is changed by them.
        labeller = SeriesLabeller.from_model(model)
        columns = self.columns
        read, grid = source.read(columns.timestamp, columns.values, labeller.learned)
        scored = labeller.label(read, grid)
        known = scored.scores[np.isfinite(scored.scores)]
        if not len(known):
            raise SeriesError("the model finds no finite score for any row")
        threshold = labeller.threshold
        if self.rule is not None:
            threshold = labeller.choose_threshold(self.rule, known).value
        found = scored.ranges(threshold)
        others = strangest_others(scored, threshold, found, self.top)
        files = []
        for wanted, write in (
            (self.csv, series_reports.write_csv_of_many),
            (self.json, series_reports.write_json),
        ):
            file = io.BytesIO()
            if wanted:
                write(file, scored, threshold, source.name)
            files.append(file.getvalue())
        present = scored.row[scored.row >= 0]
        judged = JudgedSeries(
            name=source.name,
            columns=str(read.columns),
            notes=(*read.notes, *grid.notes),
            threshold=float(threshold),
            n_judged=len(known),
            n_unjudged=int((scored.labels(threshold) == UNREADABLE).sum()),
            first=read.when(int(present[0])),
            last=read.when(int(present[-1])),
            found=tuple(found),
            others=tuple(others),
            sketch=series_sketch.small_sketch(scored).to_json() if self.sketches else None,
        )
        panels = series_sketch.large_panels(scored, threshold) if self.panels else ()
        return JudgedFile(judged, *files, tuple(panels))


def strangest_others(
    scored: ScoredSeries, threshold: float, found: Sequence[Range], top: int | None
) -> list[Range]:
    """Ranges below the threshold that are shown: up to ``--top``, or some where none is above."""
    if top is not None:
        return scored.strangest_below(threshold, max(top - len(found), 0))
    return [] if found else scored.strangest_below(threshold, SHOWN_WITHOUT_ANOMALIES)
