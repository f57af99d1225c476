"""Claims about rows of CSV: cells that a spreadsheet would run, and what ends a line."""

import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyimagesearch.reports.rows import csv_cell, csv_line

CELLS = st.text(alphabet="'=+-@\t\r1.,e a", max_size=6)


def as_it_was(cell):
    """Undo ``csv_cell``, by the rule that the reference gives."""
    return cell[1:] if re.match(r"'+[=+\-@\t\r]", cell) else cell


@given(CELLS)
def test_a_cell_can_be_made_again_from_what_is_written(cell):
    assert as_it_was(csv_cell(cell)) == cell


@given(CELLS)
def test_what_begins_like_a_formula_is_a_number_or_a_dash(cell):
    written = csv_cell(cell)
    if written.startswith(("=", "+", "-", "@", "\t", "\r")) and written != "-":
        assert float(written.replace(",", ".")) == float(cell.replace(",", "."))


@pytest.mark.parametrize(
    "cell", ["-1", "+2.5e-3", "-1,5", "-inf", "-", "", "2024-01-01", "'quoted'"]
)
def test_numbers_times_and_plain_text_stay_as_they_are(cell):
    assert csv_cell(cell) == cell


@given(st.lists(st.text(alphabet='a",\r\n;', max_size=5), min_size=2, max_size=4))
def test_a_line_of_csv_is_read_back_as_it_was_whatever_its_cells_hold(cells):
    line = csv_line(cells)
    assert line.endswith("\n")
    assert list(csv.reader(io.StringIO(line, newline=""))) == [cells]
