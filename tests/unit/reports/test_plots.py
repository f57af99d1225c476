"""Plots of what others have named."""

import warnings

import numpy as np
import pytest

from pyimagesearch.reports import plots


@pytest.mark.parametrize("name", ["$\\frac{$", "a\\$b$^$", "\x1b[2J\n\x00"])
def test_names_of_columns_are_text_and_not_formulas(name):
    window = np.zeros((8, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of characters that a font does not have
        drawn = plots.plot_reconstruction(window, window, [name], np.ones(5), 1.0)
    assert drawn.startswith(b"\x89PNG")
