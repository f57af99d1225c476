"""Claims about plots: names are text, times are named by day and hour."""

import warnings

import numpy as np
import pytest

from pyimagesearch.reports import plots


@pytest.mark.parametrize("name", ["$\\frac{$", "a\\$b$^$", "\x1b[2J\n\x00"])
def test_names_of_columns_are_text_and_not_formulas(name):
    window, axis = np.zeros((8, 1)), (np.arange(8), name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of characters that a font does not have
        drawn = plots.plot_reconstruction(window, window, axis, [name], np.ones(5), 1.0)
    assert drawn.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("start", "minutes", "shown"),
    [
        ("2024-01-01", 14 * 1440, {"03 Jan", "13 Jan", "2024"}),
        ("2024-01-01", 1440, {"01 Jan", "03:00", "21:00"}),
        ("2024-01-09T09:00", 120, {"09:30", "10:45", "09 Jan 2024"}),
        ("1999-12-31T23:59", 1, {"23:59:10", "00:00"}),
        ("2010-01-01", 10 * 525_600, {"2012", "2018"}),
    ],
)
def test_an_axis_of_times_names_days_and_hours(start, minutes, shown):
    at = np.datetime64(start, "us") + np.linspace(0, minutes * 60e6, 50).astype("timedelta64[us]")
    figure, axes = plots.new_figure()
    axes.plot(at, np.arange(50))
    plots.label_time_axis(axes, at, "timestamp")
    plots.figure_png(figure)
    labels = {label.get_text() for label in axes.get_xticklabels()}
    assert shown <= labels | {axes.xaxis.get_offset_text().get_text()}
    assert axes.get_xlabel() == "timestamp"
