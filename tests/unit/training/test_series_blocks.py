"""Claims about what training says of a series in which blocks of rows stand apart."""

import numpy as np
import pandas as pd
import pytest

from pyimagesearch.data.series import Series
from pyimagesearch.training.series import fit_nearest_window, report_blocks_apart

DAY = 48
N_DAYS = 40
ODD = (10, 17, 23, 31, 38)


def daily(odd=()):
    """A series of days, some of which are noise for hours; it begins with 2024."""
    rng = np.random.default_rng(0)
    rows = np.arange(N_DAYS * DAY)
    values = np.sin(rows / DAY * 2 * np.pi) + 0.1 * rng.normal(size=len(rows))
    for day in odd:
        values[day * DAY + 10 : day * DAY + 30] += rng.normal(0, 3, 20)
    times = np.datetime64("2024-01-01", "ns").astype(np.int64) + rows * 30 * 60 * 10**9
    table = pd.DataFrame({"time": times, "value": values})
    return Series(("value",), values[:, None], times, "time", table, [])


@pytest.mark.parametrize("share", [None, 0.2, 0.0])
def test_blocks_that_stand_apart_are_named_and_warned_of_where_so_many_are_not_presumed(
    share, caplog
):
    series = daily(ODD)
    fitted = fit_nearest_window(series.grid(), 42, share)
    with caplog.at_level("INFO"):
        report_blocks_apart(fitted, series)
    if share == 0:
        assert not caplog.records
        return
    (record,) = caplog.records
    assert record.levelname == ("WARNING" if share is None else "INFO")
    named = [str(np.datetime64("2024-01-01") + day) for day in ODD]
    assert all(day in record.message for day in named)
    assert ("--contamination 0.1" in record.message) == (share is None)


def test_of_a_series_without_odd_days_nothing_is_said(caplog):
    series = daily()
    fitted = fit_nearest_window(series.grid(), 42)
    assert len(fitted.block_rows) == len(fitted.calibration)
    with caplog.at_level("INFO"):
        report_blocks_apart(fitted, series)
    assert not caplog.records
