"""Claims about the limits of CSV: of lines, of quotes and of cells, before it is parsed."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyimagesearch.data import csv_text
from pyimagesearch.data.series import SeriesError

AWKWARD = st.text(alphabet='a",;\t\r\n', max_size=40)


class Endless:
    """A file of one byte, over and over; it keeps the most that was asked for at once."""

    def __init__(self):
        self.most, self.n_read = 0, 0

    def read(self, size):
        self.most, self.n_read = max(self.most, size), self.n_read + size
        return b"1" * size


def read_whole(data, size=1 << 16):
    """What ``LimitedText`` gives when it is read by as many bytes at once."""
    text = csv_text.LimitedText(io.BytesIO(data))
    return b"".join(iter(lambda: text.read(size), b""))


def test_what_is_read_is_the_file_however_it_is_cut():
    data = ('x,"quo""ted"\r\n1,"two\nlines"\r2,3\n' * 500).encode()
    for size in (1, 2, 7, 1_000, 100_000):
        assert read_whole(data, size) == data


def test_a_byte_order_mark_and_empty_lines_in_front_are_left_out():
    assert read_whole(b"\xef\xbb\xbf\r\n\nx\n1\n") == b"x\n1\n"


def test_zero_bytes_become_bytes_that_are_no_text():
    head = b"x\n" + b"1\n" * 50_000
    assert read_whole(head + b"1\0002\n") == head + b"1\xff2\n"


def test_an_endless_first_line_is_given_up_at_the_limit():
    endless = Endless()
    with pytest.raises(SeriesError, match="its first line is longer than 4,000,000 bytes"):
        csv_text.LimitedText(endless)
    assert endless.n_read < csv_text.MAX_LINE + 200_000


def test_a_line_of_just_the_limit_is_taken_and_one_more_byte_is_not():
    line = b"1" * csv_text.MAX_LINE
    text = b"x\n" + line + b"\r\n2\n"
    assert read_whole(text) == text
    longer = b"x\n1" + line + b"\n2\n"
    with pytest.raises(SeriesError, match="it has a line longer than"):
        read_whole(longer)


def test_more_cells_than_the_limit_are_not_read_to_their_end(monkeypatch):
    monkeypatch.setattr(csv_text, "MAX_CELLS", 100_000)
    file = io.BytesIO(b"x,y\n" + b"1,2\n" * 500_000)
    text = csv_text.LimitedText(file)
    with pytest.raises(SeriesError, match="it has more than 100,000 cells, which are the most"):
        text.readall()
    assert file.tell() < 400_000


def open_at_end(text, delimiter):
    """Whether a quote is open at the end of CSV, letter by letter."""
    state = "start"
    for letter in text:
        if state == "quoted":
            state = "maybe closed" if letter == '"' else state
        elif state == "maybe closed" and letter == '"':
            state = "quoted"
        elif letter in (delimiter, "\r", "\n"):
            state = "start"
        else:
            state = "quoted" if state == "start" and letter == '"' else "unquoted"
    return state == "quoted"


@given(AWKWARD, st.sampled_from(",;\t"), st.lists(st.integers(1, 9), max_size=9))
def test_quotes_are_followed_through_lines_as_one_would_by_hand(text, delimiter, sizes):
    lines, quotes, passed = text.splitlines(keepends=True), csv_text._Quotes(delimiter), ""
    for size in (*sizes, len(text) + 1):
        some, lines = "".join(lines[:size]), lines[size:]
        passed += some
        n_open, _ = quotes.pass_on(some.encode())
        assert (n_open > 0) == open_at_end(passed, delimiter)


@given(AWKWARD, st.sampled_from(",;\t"))
def test_a_row_is_split_as_the_csv_module_does_or_refused(text, delimiter):
    line = text.replace("\n", "")
    try:
        expected = next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        expected = None
    if open_at_end(line, delimiter):
        expected = None
    if expected is None:
        with pytest.raises(SeriesError):
            csv_text.split_row(line.encode(), delimiter)
    else:
        assert csv_text.split_row(line.encode(), delimiter) == expected
