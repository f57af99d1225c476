"""Claims about files and folders that are whole or not there, and about what a kill leaves."""

import os

import pytest

from pyimagesearch.runtime import atomic_files, locks


@pytest.fixture(autouse=True)
def _short_patience(monkeypatch):
    monkeypatch.setattr(locks, "SECONDS_FOR_OTHERS", 0.1)


def leave_unfinished(path, content=b"longer than what is written next"):
    """What a killed process leaves of a file."""
    path.with_name(f".{path.name}.unfinished").write_bytes(content)


def fail_while_writing(path):
    with atomic_files.atomic_write(str(path)) as file:
        file.write(b"half")
        raise RuntimeError


def test_what_a_killed_process_left_of_a_file_goes_with_the_next_one(tmp_path):
    leave_unfinished(tmp_path / "a")
    atomic_files.write_bytes(str(tmp_path / "a"), b"new")
    assert os.listdir(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"new"


def test_checking_that_a_file_can_be_written_removes_what_a_killed_process_left(tmp_path):
    leave_unfinished(tmp_path / "a")
    atomic_files.check_writable(str(tmp_path / "a"))
    assert os.listdir(tmp_path) == []


def test_an_error_leaves_the_older_file_alone(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(RuntimeError):
        fail_while_writing(tmp_path / "a")
    assert os.listdir(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


def test_what_a_living_process_writes_is_not_touched(tmp_path):
    path = str(tmp_path / "a")
    with atomic_files.atomic_write(path) as file:
        file.write(b"first")
        with pytest.raises(OSError, match="another process is writing it") as refused:
            atomic_files.write_bytes(path, b"second")
        assert refused.value.filename == path
    assert (tmp_path / "a").read_bytes() == b"first"
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.unix
def test_a_link_in_the_place_of_an_unfinished_file_is_not_followed(tmp_path):
    (tmp_path / "other").write_bytes(b"someone's")
    os.symlink("other", tmp_path / ".a.unfinished")
    with pytest.raises(OSError, match="unfinished"):
        atomic_files.write_bytes(str(tmp_path / "a"), b"new")
    assert (tmp_path / "other").read_bytes() == b"someone's"


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, "new\nline", os.fsdecode(b"no \xff utf")])
def test_every_name_that_a_file_can_have_can_be_written(tmp_path, name):
    atomic_files.write_bytes(str(tmp_path / name), b"new")
    assert os.listdir(tmp_path) == [name]


def test_a_file_that_cannot_be_written_is_named_as_the_user_knows_it(tmp_path):
    for path in (tmp_path / "missing" / "a", tmp_path / ("x" * 256)):
        with pytest.raises(OSError) as refused:  # noqa: PT011 its file name is asserted
            atomic_files.write_bytes(str(path), b"new")
        assert (refused.value.filename, refused.value.filename2) == (str(path), None)
    assert os.listdir(tmp_path) == []


def fill(folder, text):
    with atomic_files.atomic_folder(str(folder), "marker") as filled:
        for name in ("marker", "content"):
            with open(os.path.join(filled, name), "w") as file:
                file.write(text)


def test_what_a_killed_process_left_of_a_folder_goes_with_the_next_one(tmp_path):
    (tmp_path / ".a.unfinished" / "below").mkdir(parents=True)
    (tmp_path / ".a.unfinished" / "below" / "file").touch()
    fill(tmp_path / "a", "new")
    assert os.listdir(tmp_path) == ["a"]
    assert sorted(os.listdir(tmp_path / "a")) == ["content", "marker"]


def test_a_folder_that_was_being_replaced_when_its_process_was_killed_is_back(tmp_path):
    fill(tmp_path / "a", "old")
    os.rename(tmp_path / "a", tmp_path / ".a.replaced")
    with pytest.raises(RuntimeError), atomic_files.atomic_folder(str(tmp_path / "a"), "marker"):
        raise RuntimeError
    assert os.listdir(tmp_path) == ["a"]
    assert (tmp_path / "a" / "content").read_text() == "old"


def test_a_folder_that_a_living_process_fills_is_not_touched(tmp_path):
    with atomic_files.atomic_folder(str(tmp_path / "a"), "marker") as filled:
        with pytest.raises(OSError, match="another process is writing it"):
            fill(tmp_path / "a", "second")
        with open(os.path.join(filled, "marker"), "w") as file:
            file.write("first")
    assert (tmp_path / "a" / "marker").read_text() == "first"
    assert os.listdir(tmp_path) == ["a"]


def test_a_folder_that_a_link_leads_to_is_locked_under_both_names(tmp_path):
    folder, link = tmp_path / "folder", tmp_path / "link"
    folder.mkdir()
    link.symlink_to(folder)
    for one, other in ((link, folder), (folder, link)):
        with (
            atomic_files.locked_folder(str(one)),
            pytest.raises(OSError, match="another process is writing it"),
            atomic_files.locked_folder(str(other)),
        ):
            pass
