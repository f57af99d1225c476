"""Claims about where many series come from."""

import io

import numpy as np
import pytest

from pyimagesearch.data import series_collection
from pyimagesearch.data.series import SeriesError
from pyimagesearch.runtime.console import UserError


def grouped(text, column="pump"):
    notes = []
    return series_collection.read_groups(io.BytesIO(text.encode()), column, notes), notes


def test_groups_keep_their_rows_in_order_and_come_as_the_table_has_them():
    table = "pump,t,value\n" + "".join(f"{'bca'[i % 3]},{i},{i}.5\n" for i in range(30))
    groups, notes = grouped(table)
    assert groups.names == ("b", "c", "a")
    assert notes == []
    (source,) = groups.sources(["c"])
    assert list(source.table.columns) == ["t", "value"]
    series, _ = source.read(None, ["value"])
    assert series.values[:, 0].tolist() == [i + 0.5 for i in range(30) if i % 3 == 1]


def test_numbers_of_groups_are_read_as_those_of_the_table():
    table = "pump;value\n" + "".join(f"a;{i * i},5\n" for i in range(12))
    (source,) = grouped(table)[0].sources(["a"])
    series, _ = source.read(None, None)
    assert np.array_equal(series.values[:, 0], np.arange(12) ** 2 + 0.5)


def test_rows_without_a_group_are_counted_and_left_out():
    groups, notes = grouped("pump,value\na,1\n,2\na,3\n,4\n")
    assert groups.names == ("a",)
    assert notes == ["2 rows without anything in 'pump': left out"]
    with pytest.raises(SeriesError, match="its column 'pump' is empty"):
        grouped("pump,value\n,1\n,2\n")
    with pytest.raises(SeriesError, match="there is no column 'hall'"):
        grouped("pump,value\na,1\n", "hall")


def test_series_are_called_as_their_files_without_the_ending(tmp_path):
    for name in ("b.csv", "a.csv.gz", "hall/a.parquet", ".hidden.csv", "x.y.tsv", "notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    assert series_collection.list_series(str(tmp_path)).names == ("a", "b", "hall/a", "x.y")
    (tmp_path / "b.zip").write_bytes(b"")
    with pytest.raises(UserError, match=r"would both be the series b: rename one"):
        series_collection.list_series(str(tmp_path))


def test_files_of_text_are_series_where_nothing_else_is(tmp_path):
    with pytest.raises(UserError, match="no series in this folder"):
        series_collection.list_series(str(tmp_path))
    (tmp_path / "a.txt").write_bytes(b"")
    assert series_collection.list_series(str(tmp_path)).names == ("a",)
