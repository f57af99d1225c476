"""Series: put their rows on a regular grid, and cut them into windows.

``Series.grid`` states what is done with rows that are out of order, doubled, missing, irregular or
empty, does it, and says so in sentences (``Grid.notes``); no row is dropped silently.
"""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from pyimagesearch.runtime.console import counted

if TYPE_CHECKING:  # half a second that labelling images should not pay
    import pandas as pd

    from pyimagesearch.data.series_columns import Columns

KIND = "series"  # of a model file
TIME_STEPS = 288
# As many missing rows in a row are filled by a straight line; a longer gap ends a stretch.
MOST_FILLED = 24
NOT_A_TIME = np.iinfo(np.int64).min  # pandas' NaT
_OFF_STEP = 0.1  # of the usual step: so far off a multiple of it, a step is irregular
_IRREGULAR = 0.1  # of the steps: with more irregular ones, there is no grid to speak of


class SeriesError(ValueError):
    """A series is not usable; the text says why, without the file's name."""


def create_sequences(values: np.ndarray, time_steps: int = TIME_STEPS) -> np.ndarray:
    """Cut a series into all its windows, as a read-only view that copies nothing.

    Args:
        values: (n_rows, n_columns), or (n_rows,) for one column.
        time_steps: rows of a window.

    Returns:
        (n_rows - time_steps + 1, time_steps, n_columns).

    Raises:
        SeriesError: the series is shorter than a window.
    """
    values = values[:, None] if values.ndim == 1 else values
    if len(values) < time_steps:
        raise SeriesError(f"{len(values)} rows are fewer than a window of {time_steps}")
    return sliding_window_view(values, time_steps, axis=0).swapaxes(1, 2)


def row_scores(
    starts: np.ndarray, scores: np.ndarray, n_rows: int, time_steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Make scores of rows from those of the windows that hold them.

    Where all windows that hold a row are anomalies, the row is one: the least of their scores
    decides. Their mean is better for ranking rows.

    Args:
        starts: (n_windows,) first row of each window, in ascending order, so many that each row
            is held by one.
        scores: (n_windows,) float64.
        n_rows: of the series.
        time_steps: rows of a window.

    Returns:
        (n_rows,) the mean and (n_rows,) the least score of the windows that hold each row.
    """
    row = np.arange(n_rows)
    first = np.searchsorted(starts, row - time_steps, side="right")
    end = np.searchsorted(starts, row, side="right")
    # Sums of few numbers each, so that a row's mean does not depend on how long the series is.
    n_held = end - first
    total, least = np.zeros(n_rows), np.full(n_rows, np.inf)
    block_total, block_least, size = scores.astype(float), scores.astype(float), 1
    at = first.copy()
    while size <= n_held.max():
        # Each row takes the blocks of its count's binary digits, one behind the other.
        takes = (n_held & size) > 0
        total[takes] += block_total[at[takes]]
        least[takes] = np.minimum(least[takes], block_least[at[takes]])
        at[takes] += size
        block_total = block_total[:-size] + block_total[size:]
        block_least = np.minimum(block_least[:-size], block_least[size:])
        size *= 2
    return total / n_held, least


def digest(values: np.ndarray) -> str:
    """SHA-256 of the (n_rows, n_columns) values of a series."""
    return hashlib.sha256(np.ascontiguousarray(values, np.float64)).hexdigest()


@dataclass(frozen=True)
class Grid:
    """A series as detectors take it: finite, in order of time, one row for each step.

    Attributes:
        values: (n_grid, n_columns) float64; what lies behind a long gap follows directly.
        stretches: (start, end) rows of ``values`` between gaps that are too long to be filled.
        row: (n_grid,) int64, the row of the file that each one came from (the first, where
            several have one time); -1 where it was filled.
        position: (n_rows,) int64, the grid's row of each row of the file; -1 where it has none.
        notes: what had to be done, a sentence each.
    """

    values: np.ndarray
    stretches: list[tuple[int, int]]
    row: np.ndarray
    position: np.ndarray
    notes: list[str]


@dataclass(frozen=True)
class Series:
    """A series as it stands in its file.

    Attributes:
        names: of the value columns.
        values: (n_rows, n_columns) float64, in the file's order; NaN where there is no number.
        times: (n_rows,) int64, nanoseconds since 1970 (UTC); or None where rows have no time.
        time_name: of the column with the times, or None.
        table: the file's cells, as text.
        notes: what was found while reading, a sentence each.
        columns: what the file's columns were taken for; None where it comes from no file.
        number_formats: of each value column one of the ``NUMBER_FORMATS``, or None.
    """

    names: tuple[str, ...]
    values: np.ndarray
    times: np.ndarray | None
    time_name: str | None
    table: pd.DataFrame
    notes: list[str]
    columns: Columns | None = None
    number_formats: tuple[str | None, ...] = ()

    def when(self, row: int) -> str:
        """The time of a row as the file writes it, or its number from 0."""
        return str(row) if self.time_name is None else str(self.table[self.time_name].iloc[row])

    def when_each(self) -> list[str]:
        """``when`` of all rows, in less time than of each."""
        if self.time_name is None:
            return list(map(str, range(len(self.values))))
        return list(map(str, self.table[self.time_name].tolist()))

    def in_order(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Sort the rows by time and leave out those without a time or any number; fill nothing.

        Returns:
            (n, n_columns) float64, the values; (n,) the row of each; and (n_rows,) the place of
            each row among them, -1 where it has none.
        """
        rows = np.flatnonzero(self._usable())
        if self.times is not None:
            rows = rows[np.argsort(self.times[rows], kind="stable")]
        position = np.full(len(self.values), -1)
        position[rows] = np.arange(len(rows))
        return self.values[rows], rows, position

    def _usable(self) -> np.ndarray:
        has_value = np.isfinite(self.values).any(axis=1)
        return has_value if self.times is None else has_value & (self.times != NOT_A_TIME)

    def grid(self) -> Grid:
        """Put the rows in order and on a regular grid.

        - Rows are sorted by time; values of equal times are averaged.
        - The usual step is the median. Where a step is k times as long, k - 1 rows are missing.
          Where more than a tenth of the steps are no multiple of it, rows are taken as they
          follow each other.
        - Up to ``MOST_FILLED`` missing rows, or rows without a number, are filled by a straight
          line, column by column; a longer gap ends a stretch, and nothing is made up inside it.

        Raises:
            SeriesError: no row has a time and a number, or all have the same time.
        """
        import pandas as pd

        notes: list[str] = []
        usable = self._usable()
        if not usable.any():
            raise SeriesError("no row has a number that could be judged")
        if n_lost := int((~usable).sum()):
            notes.append(f"{counted(n_lost, 'row')} without a usable number or time: not judged")
        # Rows without a number keep their place.
        if self.times is None:
            rows = place = np.arange(len(usable))
        else:
            rows, place = self._places(np.flatnonzero(self.times != NOT_A_TIME), notes)
        rows, place = rows[usable[rows]], place[usable[rows]]
        place_of_row, first = np.unique(place, return_index=True)
        table = pd.DataFrame(_mean_by_place(self.values[rows], place), index=place_of_row)
        return self._assemble(table, rows[first], rows, place, notes)

    def _places(self, rows: np.ndarray, notes: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """Sort rows by time; give each a place on the grid, equal times the same."""
        times = self.times[rows]
        if n_early := int((times[1:] < times[:-1]).sum()):
            notes.append(f"{counted(n_early, 'row')} earlier than the one before: sorted")
            order = np.argsort(times, kind="stable")
            rows, times = rows[order], times[order]
        # Centuries may be more nanoseconds than a signed number holds.
        steps = np.diff(times.view(np.uint64))
        apart = steps[steps > 0]
        if len(times) > 1 and not len(apart):
            raise SeriesError(f"all {len(times):,} rows have the same time")
        if n_equal := int((steps == 0).sum()):
            notes.append(f"{counted(n_equal, 'row')} with the time of another: averaged with it")
        usual = np.sort(apart)[(len(apart) - 1) // 2] if len(apart) else 1
        taken = np.where(steps > 0, np.maximum(np.rint(steps / usual), 1), 0).astype(np.int64)
        off = np.abs(apart / usual - np.maximum(np.rint(apart / usual), 1)) > _OFF_STEP
        if n_off := int(off.sum()):
            irregular = n_off > _IRREGULAR * len(apart)
            notes.append(
                f"{n_off:,} of {counted(len(apart), 'step')} no multiple of the usual "
                f"{_duration(usual)}: "
                + ("rows are taken as they follow each other" if irregular else "rounded to one")
            )
            if irregular:
                taken = np.minimum(taken, 1)
        # A gap that is too long to be filled is as good as any longer one.
        return rows, np.concatenate([[0], np.cumsum(np.minimum(taken, MOST_FILLED + 2))])

    def _assemble(
        self,
        table: pd.DataFrame,
        first_row: np.ndarray,
        rows: np.ndarray,
        place: np.ndarray,
        notes: list[str],
    ) -> Grid:
        kept, gap_behind = _find_gaps(table)
        if not kept.any():
            raise SeriesError("there is no row near which every column has numbers")
        n_complete = int(table[kept].notna().all(axis=1).sum())
        places = table.index[kept].to_numpy()
        new_stretch = np.diff(np.cumsum(np.append(False, gap_behind))[kept]) > 0
        # Between stretches the grid goes on without a gap.
        at = np.concatenate([[0], np.cumsum(np.where(new_stretch, 1, np.diff(places)))])
        n_grid = int(at[-1]) + 1
        complete = table.interpolate(method="index")[kept].set_axis(at)
        filled = np.array(complete.reindex(range(n_grid)).interpolate(), order="C")
        row = np.full(n_grid, -1)
        row[at] = first_row[kept]
        position = np.full(len(self.values), -1)
        found = np.searchsorted(places, place) % len(places)
        judged = places[found] == place
        position[rows[judged]] = at[found[judged]]

        if n_missing := n_grid - n_complete:
            notes.append(f"{counted(n_missing, 'missing row')}: filled by straight lines")
        if n_gaps := int(new_stretch.sum()):
            notes.append(f"{counted(n_gaps, 'gap')} of more than {MOST_FILLED} rows: not bridged")
        if n_lost := int((~judged).sum()):
            notes.append(f"{counted(n_lost, 'row')} in long gaps of single columns: not judged")
        if (longest := _longest_constant(filled)) > max(MOST_FILLED, n_grid // 10):
            notes.append(f"nothing changes for {longest:,} rows on end")
        edges = [0, *at[1:][new_stretch].tolist(), n_grid]
        return Grid(filled, list(itertools.pairwise(edges)), row, position, notes)


def _mean_by_place(values: np.ndarray, place: np.ndarray) -> np.ndarray:
    """The mean of the finite values of each place, NaN where there are none.

    A mean by pandas differs in the last bit, and with it the digest of the series: a model file
    would no longer know the series that it was fitted on.

    Args:
        values: (n, n_columns).
        place: (n,) in ascending order.

    Returns:
        (n_places, n_columns).
    """
    known = np.isfinite(values)
    starts = np.flatnonzero(np.diff(place, prepend=-1))
    if len(starts) == len(values):
        return np.where(known, values, np.nan)
    count = np.add.reduceat(known.astype(float), starts)
    total = np.add.reduceat(np.where(known, values, 0.0), starts)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _find_gaps(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Find the gaps, in any column, that are too long to be filled.

    Args:
        table: (n, n_columns), NaN where there is no number; its index holds the rows' places on
            the grid.

    Returns:
        (n,) bool, whether a row lies in no such gap; and (n - 1,) bool, whether one lies between
        each row and the next.
    """
    import pandas as pd

    place = pd.DataFrame(np.where(table.isna(), np.nan, table.index.to_numpy()[:, None]))
    before, after = place.ffill().to_numpy(), place.bfill().to_numpy()
    kept = (after - before <= MOST_FILLED + 1).all(axis=1)
    gap_behind = (after[1:] - before[:-1] > MOST_FILLED + 1).any(axis=1)
    return kept, gap_behind


def _longest_constant(values: np.ndarray) -> int:
    changes = np.flatnonzero((np.diff(values, axis=0) != 0).any(axis=1))
    edges = np.concatenate([[-1], changes, [len(values) - 1]])
    return int(np.diff(edges).max())


def _duration(nanoseconds: float) -> str:
    seconds = nanoseconds / 1e9
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        if seconds >= size:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"
