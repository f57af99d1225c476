"""Claims about lines that are followed: through rotations, and in whatever pieces they come."""

import io
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyimagesearch.data.csv_text import MAX_LINE
from pyimagesearch.data.followed_lines import GrowingFile, Mark, Pipe, WholeFile, follow_lines


class Pieces:
    """A source of bytes in pieces."""

    name = "pieces"

    def __init__(self, pieces):
        self._pieces = [*pieces, b""]

    def read(self):
        return self._pieces.pop(0)


@given(
    st.text("ab\r\n ", max_size=60).map(str.encode),
    st.lists(st.integers(1, 9), max_size=9),
)
def test_lines_are_the_same_in_whatever_pieces_they_come(data, sizes):
    expected = [line.rstrip(b"\r") for line in data.split(b"\n")]
    rest, pieces = data, []
    for size in sizes:
        pieces.append(rest[:size])
        rest = rest[size:]
    lines = follow_lines(Pieces([piece for piece in (*pieces, rest) if piece]))
    assert list(lines) == [line for line in expected if line.strip(b" ")]


def test_a_line_of_just_the_limit_is_taken_and_one_more_byte_is_not():
    line = b"1" * MAX_LINE
    text = b"x\n" + line + b"\r\n2\n"
    assert list(follow_lines(WholeFile(io.BytesIO(text)))) == [b"x", line, b"2"]
    longer = b"x\n1" + line + b"\n2\n"
    assert list(follow_lines(WholeFile(io.BytesIO(longer)))) == [b"x", Mark.TOO_LONG, b"2"]


def test_an_endless_line_is_reported_at_the_limit_and_never_kept():
    class Endless:
        name, n_read = "endless", 0

        def read(self):
            self.n_read += 65_536
            return b"1" * 65_536

    endless = Endless()
    assert next(follow_lines(endless)) is Mark.TOO_LONG
    assert endless.n_read < MAX_LINE + 200_000


def test_a_pipe_says_that_there_is_nothing_for_now():
    reading, writing = os.pipe()
    lines = follow_lines(Pipe(reading))
    os.write(writing, b"one\ntw")
    assert next(lines) == b"one"
    assert next(lines) is Mark.NOTHING_NOW
    os.write(writing, b"o\nthree")
    assert next(lines) == b"two"
    os.close(writing)
    assert list(lines) == [b"three"]
    os.close(reading)


class Rows:
    """A file of rows, and what becomes of it each time that there is nothing to read."""

    def __init__(self, path, *steps):
        self.path, self._steps = Path(path), iter(steps)

    def wait(self, seconds):  # noqa: ARG002
        step = next(self._steps, None)
        if step is None:
            raise StopIteration
        step(self.path)

    def lines(self):
        """The lines that are read until the last step is done."""
        found = []
        try:
            with GrowingFile(str(self.path), self.wait) as file:
                for line in follow_lines(file):
                    found.append(line.decode() if isinstance(line, bytes) else line)
        except (StopIteration, RuntimeError):
            pass
        return [line for line in found if line is not Mark.NOTHING_NOW]


def append(text):
    def step(path):
        with open(path, "a") as file:
            file.write(text)

    return step


def rename(path):
    path.rename(f"{path}.1")


def append_to_old(text):
    return lambda path: append(text)(f"{path}.1")


def empty(path):
    os.truncate(path, 0)


NEW = Mark.NEW_FILE


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([append("c\n"), append("d\n")], ["a", "b", "c", "d"]),
        ([append("half"), append(" a line\n")], ["a", "b", "half a line"]),
        ([rename, append("c\n")], ["a", "b", NEW, "c"]),
        ([rename, append_to_old("late\n"), append("c\n")], ["a", "b", "late", NEW, "c"]),
        (
            [rename, append(""), append_to_old("late\n"), append("c\n")],
            ["a", "b", "late", NEW, "c"],
        ),
        ([rename, append("c\n"), append("d\n"), rename, append("e\n")], None),
        ([empty, append("c\n")], ["a", "b", NEW, "c"]),
        ([append("half"), rename, append("c\n")], ["a", "b", Mark.CUT_OFF, NEW, "c"]),
        ([append("half"), empty, append("c\n")], ["a", "b", Mark.CUT_OFF, NEW, "c"]),
        ([os.unlink, append("c\n")], ["a", "b", NEW, "c"]),
    ],
)
def test_no_line_is_lost_or_doubled_by_a_rotation(tmp_path, steps, expected):
    path = tmp_path / "rows.csv"
    path.write_text("a\nb\n")
    idle = lambda path: None  # noqa: E731, ARG005
    found = Rows(path, *steps, idle, idle).lines()
    expected = expected or ["a", "b", NEW, "c", "d", NEW, "e"]
    assert found == [NEW, *expected]


def test_a_file_that_is_not_there_yet_is_waited_for(tmp_path, caplog):
    missing, idle = tmp_path / "rows.csv", lambda path: None  # noqa: ARG005
    with caplog.at_level("INFO", "pyimagesearch"):
        assert Rows(missing, idle, idle, append("a\n"), idle).lines() == [NEW, "a"]
    said = [record.getMessage() for record in caplog.records]
    assert [line.partition("rows.csv")[2] for line in said] == [
        ": there is no such file yet; it is waited for",
        " is there",
    ]


def test_a_folder_is_no_file_that_grows(tmp_path):
    with GrowingFile(str(tmp_path), print) as file, pytest.raises(IsADirectoryError):
        file.read()
