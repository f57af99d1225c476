"""Claims about a watched folder: pictures that arrive, and the table of their rows."""

import itertools
import os
import shutil
import time

import pytest

from helpers.scripts import CHECKOUT
from pyimagesearch.cli import resume_journal, watch_folder
from pyimagesearch.labelling.verdict import NORMAL, UNREADABLE, Verdict
from pyimagesearch.reports.rows import COLUMNS, csv_line, csv_name
from pyimagesearch.runtime.console import UserError

COAST = CHECKOUT / "examples" / "coast_1.jpg"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def test_a_picture_is_tried_when_it_settles_and_again_when_it_changes(folder, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(watch_folder.time, "monotonic", lambda: now[0])
    arrivals = watch_folder.Arrivals(str(folder), set())
    picture = str(folder / "p.jpg")
    unreadable = Verdict(picture, UNREADABLE, reason="truncated")

    def write(content):
        with open(picture, "wb") as file:
            file.write(content)

    def looks(*times):
        found = []
        for now[0] in times:
            found += [now[0] for _ in arrivals.find()]
        return found

    write(b"x")
    assert looks(0, 0.5, 1) == [1]
    assert not arrivals.accept(unreadable)
    assert looks(1.5, 2, 3) == []
    write(b"xx")
    assert looks(3.5, 4, 4.5) == [4.5]
    assert not arrivals.accept(unreadable)
    assert looks(13, 13.5) == [13.5]
    assert arrivals.accept(unreadable)
    write(b"xxx")
    assert looks(14, 20, 40) == []


@pytest.mark.parametrize("seconds", [0.001, 1])
def test_looking_takes_at_most_a_tenth_of_the_time(folder, monkeypatch, seconds):
    """However slowly the folder can be listed: here each look at the clock takes a while."""
    clock = itertools.count(0, seconds)
    monkeypatch.setattr(watch_folder.time, "monotonic", lambda: next(clock))
    shutil.copy(COAST, folder)
    arrivals = watch_folder.Arrivals(str(folder), set())
    before = next(clock)
    arrivals.find()
    took = next(clock) - before
    assert arrivals.pause >= 0.5
    # Two of the looks at the clock are our own, and one tells how long a picture has been there.
    assert (took - 3 * seconds) / (took - 3 * seconds + arrivals.pause) <= 0.1


def test_a_picture_that_went_away_gets_no_row_and_a_lost_folder_is_waited_for(folder, caplog):
    caplog.set_level("INFO")
    shutil.copy(COAST, folder / "short_lived.jpg")
    arrivals = watch_folder.Arrivals(str(folder), set())
    arrivals.find()
    time.sleep(watch_folder.SECONDS_TO_SETTLE)
    (path,) = arrivals.find()
    os.unlink(path)
    assert not arrivals.accept(Verdict(path, UNREADABLE, reason="no such file"))
    os.rename(folder, f"{folder}_away")
    assert [arrivals.find(), arrivals.find()] == [[], []]
    os.rename(f"{folder}_away", folder)
    assert arrivals.find() == []
    said = caplog.text
    assert said.count("No such file or directory; it is waited for") == 1
    assert said.count("is there again") == 1


# --- the table ----------------------------------------------------------------------------------


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "t.csv"
    run = {"model": "m", "threshold": 0.5, "version": "1"}

    def add(*names, **changes):
        with watch_folder.GrowingCsv(str(path), run | changes) as table:
            before = set(table.names)
            for name in names:
                table.write(Verdict(name, NORMAL, 0.1, 0.5))
        return before

    return path, add


def test_cut_anywhere_the_table_goes_on_after_its_last_whole_row(table):
    path, add = table
    names = ["a.jpg", 'quo"te,\nand line.jpg', os.fsdecode(b"no \xff utf.jpg"), "=formula.jpg"]
    add(*names)
    whole = path.read_bytes()
    written = [csv_name(name) for name in names]
    header = len(csv_line(COLUMNS))
    for size in range(header, len(whole) + 1):
        path.write_bytes(whole[:size])
        before = add()
        assert before == set(written[: len(before)])
        assert whole.startswith(path.read_bytes())
        assert size - len(path.read_bytes()) <= max(map(len, written)) + 30
        add(*names[len(before) :])
        assert path.read_bytes() == whole


def test_a_table_of_another_model_or_of_something_else_is_refused(table):
    path, add = table
    add("a.jpg")
    before = path.read_bytes()
    for change in ({"model": "n"}, {"threshold": 0.6}):
        with pytest.raises(UserError, match="its rows are of another model or threshold"):
            add("b.jpg", **change)
    assert path.read_bytes() == before
    edited = before + b"a note\n" + before
    path.write_bytes(edited)
    with pytest.raises(UserError, match="not rows as --watch writes them"):
        add("b.jpg")
    assert path.read_bytes() == edited
    os.unlink(f"{path}{resume_journal.JOURNAL}")
    with pytest.raises(UserError, match="no journal next to it says which model"):
        add("b.jpg")
    assert path.read_bytes() == edited
