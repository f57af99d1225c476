"""Claims about reading series from CSV."""

import io

import numpy as np
import pytest

from pyimagesearch.data import series_csv
from pyimagesearch.data.series import NOT_A_TIME, SeriesError
from pyimagesearch.data.series_columns import Learned

JANUARY = 1_577_836_800  # the first of January 2020, in seconds since 1970


def read(text, *arguments, **options):
    data = text if isinstance(text, bytes) else text.encode()
    return series_csv.read_series(io.BytesIO(data), *arguments, **options)


def test_columns_of_times_and_of_values_are_found_by_themselves():
    series = read("value,timestamp\n1.5,2020-01-01 00:00:00\n2.5,2020-01-01 00:05:00\n")
    assert (series.names, series.time_name) == (("value",), "timestamp")
    assert series.values.tolist() == [[1.5], [2.5]]
    assert series.times.tolist() == [JANUARY * 10**9, (JANUARY + 300) * 10**9]
    assert series.when(1) == "2020-01-01 00:05:00"
    assert series.notes == []


def test_several_columns_of_values_keep_their_order():
    series = read("time,b,a\n2020-01-01,1,2\n2020-01-02,3,4\n")
    assert series.names == ("b", "a")
    assert series.values.tolist() == [[1, 2], [3, 4]]


def test_a_column_of_dates_by_another_name_is_recognised():
    assert read("moment,x\n2020-01-01T10:00,1\n2020-01-01T11:00,2\n").time_name == "moment"


def test_two_columns_of_times_leave_doubt_and_one_can_be_named():
    text = "timestamp,date,x\n2020-01-01,2020-02-01,1\n2020-01-02,2020-02-02,2\n"
    with pytest.raises(SeriesError, match="'timestamp', 'date' all look like times"):
        read(text)
    series = read(text, "date", ["x"])
    assert series.when(0) == "2020-02-01"


def test_asked_columns_must_be_there():
    with pytest.raises(SeriesError, match="no column 'when'; there are 'a', 'b'"):
        read("a,b\n1,2\n", "when")
    with pytest.raises(SeriesError, match="no column 'c' of values"):
        read("a,b\n1,2\n", None, ["c"])


def test_the_columns_that_a_model_learned_are_taken_where_they_are():
    text = "timestamp,load,heat\n2020-01-01,1,2\n2020-01-02,3,4\n"
    assert read(text, learned=Learned("timestamp", ["heat"])).names == ("heat",)
    assert read(text, learned=Learned("when", ["heat", "load"])).names == ("heat", "load")
    assert read(text, None, ["load"], learned=Learned("timestamp", ["heat"])).names == ("load",)


def test_a_column_of_labels_is_not_judged_and_that_is_said():
    series = read("t,x,label\n1,5,0\n2,6,1\n", "t")
    assert series.names == ("x",)
    assert str(series.columns) == (
        "times from 't' (seconds since 1970), values from 'x'; left out: 'label' (says what is an "
        "anomaly); --timestamp-column and --value-column take others"
    )


def test_without_a_header_all_columns_are_values():
    series = read("1,10\n2,20\n")
    assert series.names == ("column_1", "column_2")
    assert series.values.tolist() == [[1, 10], [2, 20]]
    assert series.when(1) == "1"


@pytest.mark.parametrize("scale", [1, 10**3, 10**6, 10**9])
def test_numbers_count_from_1970_in_the_unit_that_their_size_tells(scale):
    series = read(f"timestamp,x\n{JANUARY * scale},1\n{(JANUARY + 60) * scale},2\n")
    assert (np.diff(series.times) == 60 * 10**9).all()
    assert series.times[0] == JANUARY * 10**9


def test_times_with_offsets_are_compared_in_utc():
    series = read("time,x\n2020-01-01T01:00:00+01:00,1\n2020-01-01T00:05:00Z,2\n")
    assert np.diff(series.times).tolist() == [300 * 10**9]


@pytest.mark.parametrize("separator", [";", "\t", ","])
def test_semicolons_and_tabs_separate_too(separator):
    text = "time,x\n2020-01-01,1.5\n2020-01-02,2.5\n".replace(",", separator)
    assert read(text).values[:, 0].tolist() == [1.5, 2.5]


def test_a_decimal_comma_goes_with_semicolons():
    assert read("time;x\n01.02.2020;1,5\n02.02.2020;2,5\n").values[:, 0].tolist() == [1.5, 2.5]


def test_a_byte_order_mark_is_no_part_of_a_name():
    assert read("time,x\n2020-01-01,1\n".encode("utf-8-sig")).time_name == "time"


def test_cells_that_are_no_numbers_are_counted_and_shown():
    series = read("x\n1\n2\nbroken\n4\n\n6\n", None, ["x"])
    assert np.isnan(series.values[2, 0])
    assert series.notes == ["1 cell of 'x' not a number, first 'broken' in row 3"]


@pytest.mark.parametrize("cell", ["nan", "NaN", "", "NULL", "inf", "-1e300"])
def test_empty_infinite_and_absurd_cells_are_missing(cell):
    series = read(f"time,x\n2020-01-01,1\n2020-01-02,{cell}\n2020-01-03,2\n")
    assert np.isnan(series.values[1, 0])


def test_times_that_cannot_be_read_are_counted_and_shown():
    series = read("time,x\n2020-01-01,1\nyesterday,2\n2020-01-03,3\n")
    assert series.times[1] == NOT_A_TIME
    assert series.notes == ["1 time unreadable, first 'yesterday' in row 2"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "the file is empty"),
        ("time,x\n", "a header and no row"),
        (b"\x89PNG\0\0", "a binary file"),
        ("a,b\nred,green\nblue,red\n", "none of the columns 'a', 'b' holds numbers"),
        ("time,x\n2020-01-01,\n", "none of the columns"),
        ('a,b\n1,"2\n', "not CSV"),
        ("x\n1,2,3\n4\n", "not CSV"),
    ],
)
def test_what_is_no_series_is_refused_with_a_sentence(text, sentence):
    with pytest.raises(SeriesError, match=sentence):
        read(text)


def test_text_in_an_asked_column_is_refused_with_an_example():
    with pytest.raises(SeriesError, match="'b' holds no numbers: 'red' in row 1"):
        read("a,b\n1,red\n2,green\n", None, ["b"])


def test_own_cells_are_kept_as_they_are():
    table = read('time,note,x\n2020-01-01,"a, ""b""",1.50\n').table
    assert table.iloc[0].tolist() == ["2020-01-01", 'a, "b"', "1.50"]


@pytest.mark.parametrize(
    ("cells", "learned", "first", "kind"),
    [
        (["3/4/2024", "13/4/2024"], None, "2024-04-03", "dates, day first"),
        (["13/4/2024", "3/4/2024"], None, "2024-04-13", "dates, day first"),
        (["3/4/2024", "3/14/2024"], "dates, day first", "2024-03-04", "dates, month first"),
        (["3/4/2024", "3/5/2024"], "dates, day first", "2024-04-03", "dates, day first"),
        (["3.4.2024", "4.4.2024"], None, "2024-04-03", "dates, day first"),
        (["3.4.2024", "4.4.2024"], "dates, month first", "2024-03-04", "dates, month first"),
        (["3 April 2024", "4 April 2024"], None, "2024-04-03", "dates"),
    ],
)
def test_dates_show_the_order_of_day_and_month_and_what_was_learned_decides_in_doubt(
    cells, learned, first, kind
):
    text = "time,x\n" + "".join(f"{cell},1\n" for cell in cells)
    series = read(text, learned=Learned("time", ["x"], learned))
    assert series.times[0] == np.datetime64(first, "ns").astype(np.int64)
    assert series.columns.time_kind == f"{kind}, as UTC"
    assert series.notes == []


def test_a_date_of_neither_order_is_none():
    series = read("time,x\n33/44/2024,1\n3/4/2024,1\n5/6/2024,1\n")
    assert series.notes == ["1 time unreadable, first '33/44/2024' in row 1"]


def test_dates_that_could_be_others_are_said():
    series = read("time,x\n3/4/2024,1\n3/5/2024,2\n")
    assert series.times[0] == np.datetime64("2024-03-04", "ns").astype(np.int64)
    assert series.notes == ["'3/4/2024' is read as 2024-03-04, month first"]
