"""Claims about the files that hold series, and about those that are made to fill a memory."""

import contextlib
import gzip
import io
import os
import sys
import zipfile

import numpy as np
import pandas as pd
import pyarrow as arrow
import pytest
from pyarrow import parquet

from pyimagesearch.data import csv_text
from pyimagesearch.data.series import SeriesError
from pyimagesearch.data.series_csv import read_series

N_ROWS = 300
TABLE = pd.DataFrame(
    {
        "when": pd.date_range("2024-01-01", periods=N_ROWS, freq="5min"),
        "load": np.round(np.sin(np.arange(N_ROWS) / 9), 3),
        "count": np.arange(N_ROWS) ** 2,
        "note": [f'a, "b" {number % 4}' for number in range(N_ROWS)],
    }
)
CSV = TABLE.to_csv().encode()  # with the index, as most do


def zipped(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name.replace("_csv", ".csv"), data)
    return buffer.getvalue()


def as_parquet(table, **options):
    buffer = io.BytesIO()
    table.to_parquet(buffer, **options)
    return buffer.getvalue()


def as_sheet(table, **options):
    buffer = io.BytesIO()
    table.to_excel(buffer, **options)
    return buffer.getvalue()


def read(data, **options):
    return read_series(io.BytesIO(data), **options)


FILES = {
    "gzip": gzip.compress(CSV),
    "zip": zipped(series_csv=CSV, **{"__MACOSX/._series_csv": b"\0"}),
    "parquet": as_parquet(TABLE),
    "parquet with an index": as_parquet(TABLE.set_index("when")),
    "sheet": as_sheet(TABLE),
    "sheet without an index": as_sheet(TABLE, index=False),
}


@pytest.mark.parametrize("kind", FILES)
def test_every_kind_of_file_gives_the_same_series(kind):
    series, plain = read(FILES[kind]), read(CSV)
    assert (series.time_name, series.names) == ("when", ("load", "count"))
    assert series.values.tolist() == plain.values.tolist()
    assert series.times.tolist() == plain.times.tolist()
    assert series.table["note"].tolist() == TABLE["note"].tolist()
    assert series.notes == []


def test_zones_missing_numbers_and_columns_of_one_name_are_kept():
    table = TABLE.assign(when=TABLE["when"].dt.tz_localize("Europe/Berlin"))
    table.loc[5, "load"] = np.nan
    series = read(as_parquet(table))
    assert np.isnan(series.values[5, 0])
    assert series.times[0] == read(CSV).times[0] - 3600 * 10**9
    twice = TABLE[["when", "load", "load"]]
    assert read(as_sheet(twice, index=False)).names == ("load", "load.1")


def test_numbered_columns_of_parquet_have_their_names():
    table = pd.DataFrame(np.random.default_rng(0).random((N_ROWS, 3)))
    assert read(as_parquet(table.rename(columns=str))).names == ("0", "1", "2")
    assert read(as_sheet(table)).names == ("0", "1", "2")


def test_what_is_not_read_is_said():
    nested = arrow.table({"x": TABLE["load"], "parts": [[1, 2]] * N_ROWS})
    buffer = io.BytesIO()
    parquet.write_table(nested, buffer)
    assert read(buffer.getvalue()).notes == ["1 column of other types: not read"]
    buffer = io.BytesIO()
    with pd.ExcelWriter(buffer) as book:
        TABLE.to_excel(book, sheet_name="first")
        TABLE.to_excel(book, sheet_name="second")
    assert read(buffer.getvalue()).notes == ["the first of 2 sheets is read: 'first'"]


@pytest.mark.parametrize(("kind", "package"), [("parquet", "pyarrow"), ("sheet", "openpyxl")])
def test_a_package_that_is_missing_is_named_with_its_installation(kind, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)  # importing it fails
    with pytest.raises(SeriesError, match=f"a package is missing: pip install {package}"):
        read(FILES[kind])


@pytest.mark.parametrize("kind", FILES)
def test_a_damaged_file_is_refused_with_a_sentence(kind):
    data, rng = FILES[kind], np.random.default_rng(1)
    for cut in rng.integers(4, len(data) - 20, 4):
        with pytest.raises(SeriesError) as refused:
            read(data[:cut])
        assert len(str(refused.value)) < 400
    for place in rng.integers(4, len(data), 30):  # some of these make no difference
        broken = bytearray(data)
        broken[place] ^= 255
        with contextlib.suppress(SeriesError):
            read(bytes(broken))


def test_what_comes_through_a_pipe_is_unpacked_where_it_can_be():
    for kind, refused in (("gzip", False), ("zip", True)):
        readable, writable = os.pipe()
        with open(writable, "wb") as writer:
            writer.write(FILES[kind])
        with open(readable, "rb") as file:
            if refused:
                with pytest.raises(SeriesError, match="cannot come on stdin: name it"):
                    read_series(file)
            else:
                assert len(read_series(file).values) == N_ROWS


FAR = b"value\n" + b"1\n" * 20_000_000


def sheet_of(rows):
    """A workbook of one sheet with this XML between its rows."""
    empty = io.BytesIO(as_sheet(pd.DataFrame()))
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(empty) as source,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made,
    ):
        for member in source.infolist():
            data = source.read(member)
            if "sheet1" in member.filename and "rels" not in member.filename:
                data = b"".join(
                    (
                        b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/',
                        b'main"><sheetData>' + rows + b"</sheetData></worksheet>",
                    )
                )
            made.writestr(member.filename, data)
    return buffer.getvalue()


def of_constants(n_rows, n_columns):
    column = arrow.array(np.zeros(n_rows, np.int8))
    buffer = io.BytesIO()
    parquet.write_table(arrow.table({f"c{n}": column for n in range(n_columns)}), buffer)
    return buffer.getvalue()


def of_long_text():
    text = arrow.DictionaryArray.from_arrays(np.zeros(100_000, np.int8), ["x" * 100_000])
    buffer = io.BytesIO()
    parquet.write_table(arrow.table({"text": text, "x": np.arange(100_000) % 7}), buffer)
    return buffer.getvalue()


WIDE = b'<row r="%d"><c r="A%d"><v>1</v></c><c r="XFD%d"><v>1</v></c></row>'


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: gzip.compress(FAR), "expands to more than 100 times its size"),
        (lambda: gzip.compress(b"1" * 30_000_000), "longer than 4,000,000 bytes"),
        (lambda: zipped(series_csv=FAR), "expands to more than 100 times its size"),
        (lambda: zipped(a_csv=CSV, b_csv=CSV), "this one holds 'a.csv', 'b.csv'"),
        (lambda: zipped(image=CSV), "this one holds 'image'"),
        (lambda: sheet_of(b"<row></row>" * 3_000_000), "expands to more than 100 times its size"),
        (
            lambda: sheet_of(b"".join(WIDE % (n, n, n) for n in range(1, 2_000))),
            "most of its cells are empty",
        ),
        (lambda: of_constants(1_000_001, 100), f"more than {csv_text.MAX_CELLS:,} cells"),
        (lambda: of_constants(1, 17_000), "17,000 columns, and 16,384 are the most"),
        (of_long_text, "expands to more than 100 times its size"),
        (lambda: b"\xd0\xcf\x11\xe0" + bytes(5_000), "an old Excel workbook"),
    ],
    ids=[
        *("gzip", "a line", "zip", "two files", "no CSV", "XML", "far cells", "rows of constants"),
        *("columns", "text that repeats", "an old workbook"),
    ],
)
def test_a_file_made_to_fill_the_memory_is_refused_with_the_limit(make, sentence):
    data = make()
    assert len(data) < 10_000_000
    with pytest.raises(SeriesError, match=sentence):
        read(data)
