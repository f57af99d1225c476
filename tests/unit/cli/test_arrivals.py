"""Claims about pictures that arrive in a folder."""

import itertools
import os
import shutil
import time

import pytest

from helpers.scripts import CHECKOUT
from pyimagesearch.cli.arrivals import SECONDS_TO_SETTLE, Arrivals
from pyimagesearch.labelling.verdict import UNREADABLE, Verdict

COAST = CHECKOUT / "examples" / "coast_1.jpg"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


def test_a_picture_is_tried_when_it_settles_and_again_when_it_changes(folder, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    arrivals = Arrivals(str(folder), set())
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
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    shutil.copy(COAST, folder)
    arrivals = Arrivals(str(folder), set())
    before = next(clock)
    arrivals.find()
    took = next(clock) - before
    assert arrivals.pause >= 0.5
    # Two of the looks at the clock are our own, and one tells how long a picture has been there.
    assert (took - 3 * seconds) / (took - 3 * seconds + arrivals.pause) <= 0.1


def test_a_picture_that_went_away_gets_no_row_and_a_lost_folder_is_waited_for(folder, caplog):
    caplog.set_level("INFO")
    shutil.copy(COAST, folder / "short_lived.jpg")
    arrivals = Arrivals(str(folder), set())
    arrivals.find()
    time.sleep(SECONDS_TO_SETTLE)
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


def test_a_pattern_finds_what_comes_to_match_it(folder, tmp_path):
    arrivals = Arrivals(f"{tmp_path}/*/[ab]*", set())
    assert arrivals.find() == []
    for name in ("a.jpg", "b.txt", "c.jpg"):
        shutil.copy(COAST, folder / name)
    (folder / "below").mkdir()
    shutil.copy(COAST, folder / "below" / "d.jpg")
    arrivals.find()
    time.sleep(SECONDS_TO_SETTLE)
    assert arrivals.find() == [str(folder / "a.jpg"), str(folder / "below" / "d.jpg")]
