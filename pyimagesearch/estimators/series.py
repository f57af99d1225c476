"""Anomalies in series, for Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from pyimagesearch.data.series import KIND, Grid, Series, SeriesError
from pyimagesearch.data.series_arrays import series_from_array
from pyimagesearch.detectors.model_file import ModelFile
from pyimagesearch.estimators.base import Judged, as_a_library
from pyimagesearch.estimators.model_detector import ModelDetector, asked_parameters
from pyimagesearch.labelling import thresholds
from pyimagesearch.labelling.series import ScoredSeries, SeriesLabeller
from pyimagesearch.runtime.console import warn
from pyimagesearch.training.series import METHODS, SeriesRecipe
from pyimagesearch.training.series_update import KnownSeries, UpdatedStream

if TYPE_CHECKING:
    import pandas as pd

_AUTO = "auto"
_NAMES = {"ensemble": "nearest-window"}  # of detectors in model files


class SeriesAnomalyDetector(ModelDetector):
    """Learns how a series normally goes, and finds what is unlike it.

    Wherever rows are asked for, they are (n_rows,) or (n_rows, n_columns) numbers: arrays, or a
    Series or DataFrame of pandas, whose index of times, where it has one, puts the rows in order
    and shows gaps. NaN is a missing number: up to 24 in a row are filled by a straight line, and
    rows in longer gaps are not judged. The series that is learned may hold a few anomalies.

    Args:
        method: "nearest-window" compares windows with those that are known; "stream" scores each
            row from those before it, and goes on from the last row of ``fit``; "auto" is
            "nearest-window".
        false_alarm_rate: the share of normal blocks of rows that may hold an alarm, above 0 and
            below 1; None takes the method's usual threshold.
        contamination: share of the blocks of rows of ``fit`` that may be anomalous, from 0 and
            below 1; None takes 0.1.
        seed: of all random choices, from 0.

    Attributes:
        model_: the content of the model file that ``save`` writes.
        threshold_, offset_: the score above which a row is an anomaly, and the negative of it.
        n_features_in_: number of columns.

    Example:
        >>> import numpy as np
        >>> from pyimagesearch import SeriesAnomalyDetector
        >>> rng = np.random.default_rng(0)
        >>> week = np.sin(np.arange(900) / 8) + 0.05 * rng.standard_normal(900)
        >>> other = np.sin(np.arange(400) / 8) + 0.05 * rng.standard_normal(400)
        >>> other[200:220] = 0
        >>> found = SeriesAnomalyDetector().fit(week).find(other)
        >>> bool(found.start[0] <= 210 <= found.end[0])
        True
    """

    _kind = KIND
    _methods = (_AUTO, *METHODS)
    # The content of the model file; None where it is that of a stream that has gone on since.
    _model: ModelFile | None = None
    _live: UpdatedStream | None = None

    def __init__(
        self,
        method: str = _AUTO,
        *,
        false_alarm_rate: float | None = None,
        contamination: float | None = None,
        seed: int = 42,
    ) -> None:
        self.method = method
        self.false_alarm_rate = false_alarm_rate
        self.contamination = contamination
        self.seed = seed

    def fit(self, X: Any, y: object = None) -> Self:  # noqa: ARG002
        """Learn how a series normally goes, as ``train_anomaly_detector.py`` does.

        Args:
            X: (n_rows,) or (n_rows, n_columns) numbers, see the class.
            y: not used; scikit-learn's interface has it.

        Returns:
            This detector.

        Raises:
            ValueError: a parameter out of its range; another shape, infinite numbers, or a series
                from which nothing can be learned, since it is too short or nothing changes.
            TypeError: not numbers.

        Example:
            >>> import numpy as np
            >>> from pyimagesearch import SeriesAnomalyDetector
            >>> SeriesAnomalyDetector(method="stream").fit(np.sin(np.arange(300) / 5))
            SeriesAnomalyDetector(method='stream')
        """
        with as_a_library():
            self._learn(X)
        return self

    def _learn(self, X: Any) -> tuple[Series, np.ndarray]:
        """Fit; the series, and the (m,) scores of its rows."""
        self._check_parameters()
        series, grid = _read(X)
        method = METHODS[0] if self.method == _AUTO else self.method
        contamination = None if self.contamination is None else float(self.contamination)
        recipe = SeriesRecipe.choose(method, int(self.seed), contamination, self._asked_rule())
        fitted, _, trained = recipe.learn(series, grid)
        self._take_over(trained.as_file(), len(series.names))
        return series, fitted.training

    def fit_predict(self, X: Any, y: object = None) -> np.ndarray:  # noqa: ARG002
        """Learn a series, and say which of its own rows are anomalies.

        No window is compared with one that overlaps it; of "stream", each row has been scored
        before it was learned, and the first rows, from which scores begin, are 1.

        Args:
            X: rows, as of ``fit``.
            y: not used; scikit-learn's interface has it.

        Returns:
            (n_rows,) int64: 1 is normal, -1 an anomaly.

        Raises:
            ValueError, TypeError: as of ``fit``.

        Example:
            >>> import numpy as np
            >>> from pyimagesearch import SeriesAnomalyDetector
            >>> waves = np.sin(np.arange(300) / 5)
            >>> waves[250] = 9
            >>> labels = SeriesAnomalyDetector(method="stream").fit_predict(waves)
            >>> labels[249:252]
            array([ 1, -1,  1])
        """
        with as_a_library():
            series, scores = self._learn(X)
        if self.method != "stream":
            return self.predict(X)
        _, rows, _ = series.in_order()
        labels = np.ones(len(series.values), np.int64)
        labels[rows[len(rows) - len(scores) :]] = np.where(scores > self.threshold_, -1, 1)
        return labels

    def find(self, X: Any) -> pd.DataFrame:
        """Find the stretches that are anomalies, as ``find_anomalies.py`` does, strangest first.

        Args:
            X: rows, as of ``fit``.

        Returns:
            A row for each with the columns start, end and peak: the times of its first, last and
            most anomalous row, or without an index of times their numbers, both ends included;
            score, of the peak; and p_value, the least of its rows.

        Raises:
            ValueError: not usable rows, or other columns than those of ``fit``; nothing was
                fitted.
            TypeError: not numbers.

        Example:
            >>> import numpy as np
            >>> from pyimagesearch import SeriesAnomalyDetector
            >>> waves = np.sin(np.arange(300) / 5)
            >>> detector = SeriesAnomalyDetector(method="stream").fit(waves)
            >>> detector.find([0.0, 0.2, 50.0, 0.6])[["start", "end", "peak"]]
               start  end  peak
            0      2    2     2
        """
        import pandas as pd

        check_is_fitted(self, "model_")
        with as_a_library():
            scored, threshold = self._scored(X)
        found = scored.ranges(threshold)
        rows = {
            name: np.array([int(getattr(one, name)) for one in found], np.int64)
            for name in ("start", "end", "peak")
        }
        has_times = scored.series.times is not None
        return pd.DataFrame(
            {
                **{name: X.index[at] if has_times else at for name, at in rows.items()},
                "score": np.array([one.score for one in found], np.float64),
                "p_value": np.array([one.p_value for one in found], np.float64),
            }
        )

    def update(self, X: Any) -> np.ndarray:
        """Score the next rows of a series, and learn them: for the method "stream".

        As ``train_anomaly_detector.py --update`` does: the model goes on from the last row that it
        has seen, and a threshold of a false-alarm rate is chosen anew. How rows are distributed
        over calls makes no difference to their scores.

        Args:
            X: the rows that follow those of before, one or more, as of ``fit``: of one column
                (n_rows,), and of several (n_rows, n_columns).

        Returns:
            (n_rows,) float64, the anomaly score of each row from those before it; NaN where there
            is no number, and for rows that are not later than those that were seen already.

        Raises:
            ValueError: a model of another method, not usable rows, other columns, or no row that
                is later; nothing was fitted.
            TypeError: not numbers.

        Example:
            >>> import numpy as np
            >>> from pyimagesearch import SeriesAnomalyDetector
            >>> waves = np.sin(np.arange(300) / 5)
            >>> detector = SeriesAnomalyDetector(method="stream").fit(waves)
            >>> [bool(detector.update([x])[0] > detector.threshold_) for x in (0.0, 50.0)]
            [False, True]
        """
        check_is_fitted(self)
        with as_a_library():
            if self._live is None:
                known = KnownSeries.from_model(self.model_, "stream")
            else:
                known = self._live.known()
            series = series_from_array(X, known.labeller.names)
            updated = self._live = self._gone_on(known, series)
            self._model = None
        _, rows, _ = series.in_order()
        if series.times is not None and known.until is not None:
            rows = rows[series.times[rows] > known.until]
        scores = np.full(len(series.values), np.nan)
        scores[rows] = updated.fitted.training[len(updated.fitted.training) - len(rows) :]
        return scores

    def _gone_on(self, known: KnownSeries, series: Series) -> UpdatedStream:
        if len(series.values) == 1:
            return known.go_on(series)
        kept = self.model_
        try:
            return known.go_on(series)
        except BaseException:
            # Ctrl-C, perhaps: rows that were learned before it are forgotten, to be given again.
            self._take_over(kept, self.n_features_in_)
            raise

    @property
    def model_(self) -> ModelFile:
        """The content of the model file that ``save`` writes."""
        if self._model is None and self._live is not None:
            self._model = self._live.model().as_file()
        if self._model is None:
            raise AttributeError("nothing was fitted")
        return self._model

    @property
    def threshold_(self) -> float:
        """The score above which a row is an anomaly."""
        return super().threshold_ if self._live is None else self._live.threshold.value

    def _take_over(self, model: ModelFile, n_columns: int) -> None:
        self._model, self._live = model, None
        self.n_features_in_ = n_columns

    def __getstate__(self) -> dict[str, Any]:
        # What is copied or pickled is the model's content, not a state that goes on.
        state = super().__getstate__()
        return state if self._live is None else state | {"_model": self.model_, "_live": None}

    @classmethod
    def _from_model(cls, model: ModelFile) -> Self:
        labeller = SeriesLabeller.from_model(model)
        name = labeller.detector.name
        parameters = asked_parameters(model, _NAMES.get(name, name))
        if labeller.has_default_rate:
            parameters["false_alarm_rate"] = None
        if parameters.get("contamination") == thresholds.DEFAULT_BLOCK_CONTAMINATION:
            parameters["contamination"] = None
        detector = cls(**parameters)
        detector._take_over(model, len(labeller.names))
        return detector

    def _judge(self, X: Any) -> Judged:
        scored, threshold = self._scored(X)
        scores, p_values = map(scored.by_file_row, (scored.scores, scored.p_values))
        return Judged(scores, p_values, threshold)

    def _scored(self, X: Any) -> tuple[ScoredSeries, float]:
        """The scores of rows, and the threshold for them; ranges of them have row numbers."""
        # Anew each time: a detector that takes rows as they come is changed by them.
        labeller = SeriesLabeller.from_model(self.model_)
        series, grid = _read(X, labeller)
        scored = labeller.label(series, grid)
        known = scored.scores[np.isfinite(scored.scores)]
        if not len(known):
            raise SeriesError("the model finds no finite score for any row")
        return scored.with_row_numbers(), labeller.threshold_for(scored)


def _read(X: Any, labeller: SeriesLabeller | None = None) -> tuple[Series, Grid]:
    series = series_from_array(X, () if labeller is None else labeller.names)
    if labeller is not None:
        labeller.check_columns(series.values.shape[1])
    grid = series.grid()
    for note in (*series.notes, *grid.notes):
        warn(note)
    return series, grid
