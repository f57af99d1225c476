"""A folder is taken as it is, and nothing of it is left out in silence."""

import logging
import sys

import pytest

from pyimagesearch.data import image_folder, mvtec
from pyimagesearch.runtime.console import UserError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # importing it fails
    (tmp_path / "inside").mkdir()

    def fill(**numbers):
        for ending, number in numbers.items():
            for i in range(number):
                (tmp_path / ("inside" if i % 2 else "") / f"{i}.{ending}").write_bytes(b"x")
        return str(tmp_path)

    return fill


def test_what_cannot_be_read_is_counted_by_kind(folder, caplog):
    holding = folder(jpg=20, heic=3, cr2=1, CR2=1, psd=1, txt=5, pdf=2)
    assert len(image_folder.list_folder(holding)) == 20
    assert caplog.messages == [
        f"{holding}: left out, not images that can be read: "
        "3 .heic (pip install pillow-heif), 2 .cr2, 1 .psd"
    ]


def test_of_the_company_of_images_nothing_is_said(folder, tmp_path, caplog):
    for name in ("Thumbs.db", ".DS_Store", "._a.cr2", "a.jpg.part", "forest.model"):
        (tmp_path / name).write_bytes(b"x")
    assert len(image_folder.list_folder(folder(jpg=1, json=1, csv=1, xml=1))) == 1
    assert caplog.messages == []


def test_a_folder_without_images_is_an_error_that_names_what_it_holds(folder, tmp_path):
    with pytest.raises(UserError, match=r"no images in this folder$"):
        image_folder.list_folder(folder())
    with pytest.raises(UserError, match=r"no images in this folder, only 5 \.txt, 2 \.pdf$"):
        image_folder.list_folder(folder(txt=5, pdf=2))
    (tmp_path / "2026.\x1b[31m").write_bytes(b"x")
    (tmp_path / "scan").write_bytes(b"x")
    with pytest.raises(UserError, match=r"only 5 \.txt, 2 \.pdf, 2 without an ending$"):
        image_folder.list_folder(str(tmp_path))


def test_many_kinds_do_not_fill_the_line(folder):
    with pytest.raises(UserError, match=r"1 \.k15, 12 of other kinds$"):
        image_folder.list_folder(folder(**{f"k{i}": 1 for i in range(20)}))


def test_of_a_folder_laid_out_as_mvtecs_the_good_training_images_are_learned(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    category = tmp_path / "bottle"
    for name in ("train/good", "test/good", "test/broken", "ground_truth/broken"):
        (category / name).mkdir(parents=True)
    assert mvtec.training_folder(str(category)) == str(category / "train/good")
    (said,) = caplog.messages
    assert f"learning {category}/train/good alone" in said
    for name in ("train", "train/good", "test", "nowhere"):
        assert mvtec.training_folder(str(category / name)) == str(category / name)
    assert caplog.messages == [said]


def test_of_a_folder_with_one_category_that_one_is_learned_and_several_are_refused(tmp_path):
    for name in ("bottle/train/good", "bottle/test/good", "readme"):
        (tmp_path / name).mkdir(parents=True)
    assert mvtec.training_folder(str(tmp_path)) == str(tmp_path / "bottle/train/good")
    for name in ("cable/train/good", "cable/ground_truth/bent"):
        (tmp_path / name).mkdir(parents=True)
    with pytest.raises(UserError, match=r"holds 2 categories.*: bottle, cable; .*/bottle$"):
        mvtec.training_folder(str(tmp_path))


def test_a_folder_of_training_images_alone_is_taken_whole(tmp_path):
    (tmp_path / "train" / "good").mkdir(parents=True)
    assert mvtec.training_folder(str(tmp_path)) == str(tmp_path)
