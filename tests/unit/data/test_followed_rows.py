"""Claims about rows of CSV that are read one by one, as they come."""

import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyimagesearch.data import followed_rows
from pyimagesearch.data.followed_lines import Mark, WholeFile
from pyimagesearch.data.number_format import NUMBER_FORMATS
from pyimagesearch.data.series import NOT_A_TIME, SeriesError
from pyimagesearch.data.series_cells import finite_numbers, parse_time
from pyimagesearch.data.series_columns import NOTHING_LEARNED, Learned

JANUARY = 1_577_836_800  # the first of January 2020, in seconds since 1970


class Script:
    """A source of what a test says, in this order."""

    name = "script"

    def __init__(self, *items):
        self._items = [*items, b""]

    def read(self):
        return self._items.pop(0)


def rows(source, timestamp_column=None, value_columns=None, learned=NOTHING_LEARNED):
    found = followed_rows.FollowedRows(source, timestamp_column, value_columns, learned)
    return [row and (row.when, row.time, row.values.tolist()) for row in found]


def follow(text, *columns, **learned):
    return rows(WholeFile(io.BytesIO(text.encode())), *columns, **learned)


def test_rows_are_followed_one_by_one_with_the_columns_of_the_model():
    text = "x,when,y\n1,2020-01-01,5\n2,2020-01-02,6\n"
    found = follow(text, learned=Learned("when", ["y"]))
    assert found == [
        ("2020-01-01", JANUARY * 10**9, [5.0]),
        ("2020-01-02", (JANUARY + 86_400) * 10**9, [6.0]),
    ]


def test_a_followed_row_without_number_or_time_says_so():
    (first, second) = follow("time,x\nsoon,abc\n2020-01-01\n")
    assert first[1] == NOT_A_TIME
    assert np.isnan(first[2][0])
    assert np.isnan(second[2][0])


def test_following_takes_a_header():
    with pytest.raises(SeriesError, match="first line should name the columns"):
        follow("1,2\n3,4\n")


def test_while_there_is_no_row_that_is_said():
    nothing = Mark.NOTHING_NOW
    found = rows(Script(nothing, b"a,b\n1,", nothing, b"2\n", nothing))
    assert found == [None, None, ("0", None, [1.0, 2.0]), None]


def test_a_header_that_comes_again_is_no_row():
    assert [row[2] for row in follow("a,b\n1,2\na,b\n3,4\n")] == [[1.0, 2.0], [3.0, 4.0]]


def test_a_file_that_takes_the_place_of_another_may_have_its_columns_in_another_order():
    source = Script(b"a,b\n1,2\n", Mark.NEW_FILE, b"b;c;a\n4;5;3\n", Mark.NEW_FILE, b"8;9;7\n")
    assert [row[2] for row in rows(source)] == [[1.0, 2.0], [3.0, 4.0], [7.0, 8.0]]


def test_rows_without_a_header_have_the_columns_of_what_was_followed_before():
    for text in (b"1,2\n3,4\n", b"b,a\n2,1\n4,3\n"):
        source = WholeFile(io.BytesIO(text))
        found = followed_rows.FollowedRows(source, None, None, NOTHING_LEARNED, b"a,b")
        values = [dict(zip(found.header.split(b","), row.values, strict=True)) for row in found]
        assert values == [{b"a": 1, b"b": 2}, {b"a": 3, b"b": 4}]
    source, learned = WholeFile(io.BytesIO(b"a,c\n1,2\n")), Learned(None, ["a", "b"])
    with pytest.raises(SeriesError, match="'b' missing"):
        list(followed_rows.FollowedRows(source, None, None, learned, b"a,b"))


def test_a_line_that_a_replaced_file_has_not_ended_is_not_judged():
    source = Script(b"a\n1\n2", Mark.NEW_FILE, b"a\n3\n")
    found = list(followed_rows.FollowedRows(source, None, None, NOTHING_LEARNED))
    assert [row.problem is None for row in found] == [True, False, True]
    assert found[1].problem.startswith("cut off")


PLAIN_TIMES = st.from_regex(followed_rows._PLAIN_TIME, fullmatch=True) | st.datetimes().map(str)
ODD_TIMES = st.sampled_from(["1.5", "now", "", "2024-02-30 00:00", "1600-01-01 00:00", "3/4/2024"])
KINDS = st.sampled_from([None, "dates, day first, as UTC", "milliseconds since 1970"])


@given(PLAIN_TIMES | ODD_TIMES, KINDS)
def test_times_read_the_fast_way_are_those_of_a_whole_file(text, learned):
    assert followed_rows._parse_time(text, learned) == parse_time(text, learned)


@given(
    st.floats(width=64).map(repr)
    | st.text("0123456789.,-+eE ", max_size=12)
    | st.sampled_from(["9" * 59 + "e99", "1.234", "1,234", "-12.345.678,9", "20.5", "12,5"]),
    st.booleans(),
    st.sampled_from([None, *NUMBER_FORMATS]),
)
def test_numbers_read_the_fast_way_are_those_of_a_whole_file(text, comma_separates, learned):
    expected = finite_numbers(pd.Series([text], dtype=str), comma_separates, learned)
    found = followed_rows._parse_number(text, comma_separates, learned)
    np.testing.assert_array_equal([found], expected)


def test_a_row_is_written_as_the_model_learned_it():
    text = "time;x\n03.04.2024;1.234\n13.04.2024;12,5\n04/05/2024;1.5\n"
    day_first = Learned("time", ["x"], "dates, day first, as UTC", ["1.234,5"])
    month_first = Learned("time", ["x"], "dates, month first, as UTC", ["1234.5"])
    when = [np.datetime64(time, "ns") for time in ("2024-04-03", "2024-04-13", "2024-05-04")]
    found = follow(text, learned=day_first)
    assert [np.datetime64(row[1], "ns") for row in found] == when
    assert [row[2] for row in found] == [[1234.0], [12.5], [1.5]]
    found = follow(text, learned=month_first)
    assert np.datetime64(found[0][1], "ns") == np.datetime64("2024-03-04")
    assert np.datetime64(found[2][1], "ns") == np.datetime64("2024-04-05")
    assert found[0][2] == [1.234]


def test_times_since_1970_are_in_the_unit_that_was_learned():
    learned = Learned("time", ["x"], "milliseconds since 1970", [None])
    assert follow("time,x\n3600000,1\n", learned=learned)[0][1] == 3_600 * 10**9
    # In another unit they would be no times at all.
    learned = learned._replace(times="seconds since 1970")
    assert follow(f"time,x\n{JANUARY}000,1\n", learned=learned)[0][1] == JANUARY * 10**9


def test_a_date_and_a_time_of_day_are_joined_as_they_were_when_learned():
    learned = Learned("day hour", ["load"])
    text = "hour,day,load\n1:00,2024-03-02,5\n"
    followed = follow(text, learned=learned)
    assert followed == [("2024-03-02 1:00", parse_time("2024-03-02 1:00"), [5.0])]
    with pytest.raises(SeriesError, match="there is no column 'day hour'"):
        follow("day,load\n2024-03-02,5\n", "day hour", ["load"])
