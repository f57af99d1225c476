"""Claims about numbers with decimal commas and groups of three digits."""

import io

import pytest

from pyimagesearch.data.series_columns import Learned
from pyimagesearch.data.series_csv import read_series


def read(separator, cells, learned=None):
    rows = "\n".join(f"2024-01-{day:02}{separator}{cell}" for day, cell in enumerate(cells, 1))
    file = io.BytesIO(f"time{separator}x\n{rows}\n".encode())
    return read_series(file, learned=Learned("time", ["x"], None, [learned]))


def values(separator, *cells, learned=None):
    series = read(separator, cells, learned)
    return series.values[:, 0].tolist(), series.notes


@pytest.mark.parametrize(
    ("separator", "cells", "expected"),
    [
        (",", ['"1,234.5"', '"12,345,678.25"', "7", "0.5"], [1234.5, 12_345_678.25, 7, 0.5]),
        (",", ['"1,5"', '"-0,25"', "3"], [1.5, -0.25, 3]),
        (",", ['"1.234,5"', "1.234", '"2,5"'], [1234.5, 1234, 2.5]),
        (";", ["1.234,5", "1.234", "12.345.678,25", "7"], [1234.5, 1234, 12_345_678.25, 7]),
        (";", ["1,5", ",25", "-3,125", "1e3"], [1.5, 0.25, -3.125, 1000]),
        (";", ["1,234.5", "12,000"], [1234.5, 12_000]),
        (";", ["1 234,5", "12\u00a0000", "12\u202f000,25", "5"], [1234.5, 12_000, 12_000.25, 5]),
        (",", ["1'234.5", "12 000", "-1\u2019000"], [1234.5, 12_000, -1000]),
        ("\t", ["1,234", "0,5"], [1.234, 0.5]),
        (",", ['"0,123"', '"1,234"'], [0.123, 1.234]),
    ],
    ids=lambda given: given if isinstance(given, str) else None,
)
def test_a_column_shows_which_sign_is_decimal_and_which_groups(separator, cells, expected):
    assert values(separator, *cells) == (expected, [])
    (learned,) = read(separator, cells).number_formats
    assert values(separator, *cells, learned=learned) == (expected, [])


@pytest.mark.parametrize(("separator", "read_as"), [(",", 1234), (";", 1.234)])
def test_what_could_be_either_is_said(separator, read_as):
    cells = ['"1,234"', '"2,345"']
    found, notes = values(separator, *cells)
    assert found[0] == read_as
    assert notes == [f"'x': '1,234' is read as {read_as}"]


@pytest.mark.parametrize(
    ("cells", "learned"),
    [
        (["7", "12"], None),
        (["7", "12.5"], "1234.5"),
        (["7", "1.0"], "1234.5"),
        (["1,234.5"], "1234.5"),
        (["1,5", "7"], "1.234,5"),
        (["1.234,5", "7"], "1.234,5"),
        (["1,5", "7.5"], "1234,5"),
    ],
)
def test_how_a_column_writes_its_numbers_is_kept(cells, learned):
    assert read(";", cells).number_formats == (learned,)


@pytest.mark.parametrize(
    ("cells", "learned", "expected"),
    [
        (["1,234", "7"], "1234.5", [1234, 7]),
        (["1,234", "7"], "1.234,5", [1.234, 7]),
        (["1.234", "7"], "1.234,5", [1234, 7]),
        (["1.234", "7"], "1234,5", [1.234, 7]),
        # What the column shows by itself counts more.
        (["1,23", "7"], "1234.5", [1.23, 7]),
        (["1.234", "7.5"], "1.234,5", [1.234, 7.5]),
        (["1,234.5", "1.234"], "1.234,5", [1234.5, 1.234]),
    ],
)
def test_what_a_model_learned_decides_in_doubt_and_nothing_else(cells, learned, expected):
    assert values(";", *cells, learned=learned) == (expected, [])


def test_what_only_resembles_a_number_is_none():
    found, notes = values(",", "1", "2", '"1,23,4"', "12 34", "1 2 3", "1_000", "3", "4", "5")
    assert [number == number for number in found] == [True] * 2 + [False] * 4 + [True] * 3
    assert notes == ["4 cells of 'x' not a number, first '1,23,4' in row 3"]
