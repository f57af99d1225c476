"""Take series from what Python programs hold: arrays, and Series and DataFrames of pandas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pyimagesearch.data.csv_text import names_without_header
from pyimagesearch.data.series import Series, SeriesError
from pyimagesearch.data.series_cells import listed

_TIME_NAME = "timestamp"  # of an index without a name


def series_from_array(rows: Any, learned: Sequence[str] = ()) -> Series:
    """Take a series from an array, or from a Series or DataFrame of pandas.

    Args:
        rows: (n_rows,) or (n_rows, n_columns) numbers, NaN where one is missing. An index of times
            (``DatetimeIndex`` or ``PeriodIndex``; UTC where no zone is given) makes their times;
            any other index is not looked at.
        learned: names of the columns that a model learned. They are chosen from a DataFrame in
            this order; where they are those of columns without a name, by their place.

    Raises:
        TypeError: not numbers.
        SeriesError: another shape, no rows, infinite numbers, or no such columns.
    """
    import pandas as pd

    if not isinstance(rows, (pd.Series, pd.DataFrame)):
        values = _numbers(np.asarray(rows), "the rows")
        if values.ndim not in (1, 2):
            raise SeriesError(
                f"a series has the shape (rows,) or (rows, columns), and this is {values.shape}"
            )
        values = values[:, None] if values.ndim == 1 else values
        names = tuple(names_without_header(values.shape[1]))
        return _checked(Series(names, values, None, None, pd.DataFrame(), []))
    cells = _columns(rows, learned)
    columns = [_numbers(_cells(column), f"column {name!r}") for name, column in cells.items()]
    values = np.stack(columns, axis=1) if columns else np.empty((len(rows), 0))
    index = rows.index
    if isinstance(index, pd.PeriodIndex):
        index = index.to_timestamp()
    times, time_name, times_only = None, None, pd.DataFrame()
    if isinstance(index, pd.DatetimeIndex):
        time_name = _TIME_NAME if index.name is None else str(index.name)
        utc = index if index.tz is None else index.tz_convert("UTC")
        times = utc.as_unit("ns").asi8
        times_only = pd.DataFrame({time_name: index})
    return _checked(Series(tuple(cells), values, times, time_name, times_only, []))


def _columns(rows: Any, learned: Sequence[str]) -> dict[str, Any]:
    """The columns that a model learned, in its order, of a Series or DataFrame."""
    import pandas as pd

    if isinstance(rows, pd.Series):
        if len(learned) == 1:  # what the only column is called does not matter
            return {learned[0]: rows}
        rows = rows.to_frame(names_without_header(1)[0] if rows.name is None else rows.name)
    table = _chosen(rows.set_axis([str(name) for name in rows.columns], axis=1), learned)
    return {name: table.iloc[:, number] for number, name in enumerate(table)}


def _chosen(table: Any, learned: Sequence[str]) -> Any:
    """The columns of a DataFrame that a model learned, in its order."""
    names = list(table.columns)
    if len(set(names)) < len(names):
        raise SeriesError(f"two of its columns have one name: {listed(sorted(names))}")
    if not learned or set(learned) <= set(names):
        return table[list(learned) or names]
    if list(learned) == names_without_header(len(names)):
        return table
    missing = [name for name in learned if name not in names]
    raise SeriesError(
        f"the model learned the columns {listed(learned)}, and these are {listed(names)}: "
        f"{listed(missing)} missing"
    )


def _cells(column: Any) -> np.ndarray:
    if column.dtype.kind in "iufb":  # also pandas' own types, which know missing values
        return column.to_numpy(np.float64, na_value=np.nan)
    return column.to_numpy()


def _numbers(array: np.ndarray, what: str) -> np.ndarray:
    if array.dtype.kind == "M":
        raise TypeError(f"{what} holds times: set_index() makes them the times of the rows")
    if array.dtype.kind not in "iufb":
        raise TypeError(f"{what} must be numbers, not {array.dtype}")
    return array.astype(np.float64)


def _checked(series: Series) -> Series:
    if not series.values.size:
        raise SeriesError(f"a series of the shape {series.values.shape} has no numbers")
    if np.isinf(series.values).any():
        raise SeriesError("infinite numbers cannot be judged: make them NaN, which is missing")
    return series
