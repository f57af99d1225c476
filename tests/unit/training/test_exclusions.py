"""Claims about the files of --exclude."""

import json
import os
from types import SimpleNamespace

import pytest

from helpers.inspections import as_csv, saved
from pyimagesearch.runtime.console import UserError
from pyimagesearch.training.exclusions import ExclusionError, read_exclusions

MODEL = SimpleNamespace(threshold=1.0, scores_digest=lambda: "a model")
VERDICTS = saved(MODEL, [("d/a.jpg", 1.5, "defect"), ("d/b.jpg", 1.2, "fine")])


@pytest.fixture
def written(tmp_path):
    def write(content: bytes | str):
        path = tmp_path / "exclude"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return write


@pytest.mark.parametrize("content", [json.dumps(VERDICTS), as_csv(VERDICTS)])
def test_defects_are_excluded_and_what_is_fine_is_not(written, content):
    found = read_exclusions(written(content))
    assert (found.excluded, found.fine) == (("d/a.jpg",), ("d/b.jpg",))


def test_a_list_has_a_name_on_each_line_whatever_bytes_it_is_made_of(written):
    found = read_exclusions(written(b"\xef\xbb\xbfa b.jpg\r\n\nno \xff utf-8.jpg\na b.jpg\n"))
    assert found.excluded == ("a b.jpg", os.fsdecode(b"no \xff utf-8.jpg"))
    assert found.fine == ()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "names no image"),
        (" \n\n", "names no image"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "neither a report's verdicts nor a list"),
        ("{}", "JSON, but not of a report's verdicts"),
        ("[1, 2", "not valid JSON"),
        ("image,label\na.jpg,anomaly\n", "there is no column"),
    ],
)
def test_files_that_name_nothing_are_refused(written, content, sentence):
    with pytest.raises(ExclusionError, match=sentence):
        read_exclusions(written(content))


def test_names_are_found_from_here_and_from_the_folder(written, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    paths = [f"photos/{name}.jpg" for name in "abcd"]
    listed = ("a.jpg", "photos/b.jpg", str(tmp_path / "photos" / "c.jpg"), "e.jpg", "\0")
    found = read_exclusions(written("\n".join(listed[:-1])))
    assert found.divide(["photos"], paths) == (["photos/d.jpg"], set())
    assert "e.jpg is not in this folder" in caplog.text


def test_a_file_about_another_folder_is_refused(written):
    with pytest.raises(UserError, match="none of the images that it names"):
        read_exclusions(written("x.jpg\ny.jpg")).divide(["photos"], ["photos/a.jpg"])
