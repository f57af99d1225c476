"""Claims about the folders that generate_data.py fills."""

import json
import os

import cv2
import numpy as np
import pytest

from helpers.defects import SIZE, contents, good_pictures, make, write_backgrounds
from helpers.scripts import run_script
from pyimagesearch.training import noisy_images


@pytest.fixture(scope="module")
def good():
    """Pictures of good parts."""
    return good_pictures()


@pytest.fixture
def backgrounds(tmp_path, good):
    return write_backgrounds(tmp_path / "good", good)


@pytest.fixture
def objects(tmp_path):
    """A red disc on nothing, a green disc on white, and a file that is no picture."""
    folder = tmp_path / "objects"
    folder.mkdir()
    y, x = np.mgrid[:60, :60] - 30
    disc = x * x + y * y < 25**2
    red = np.zeros((60, 60, 4), np.uint8)
    red[disc] = (0, 0, 255, 255)
    cv2.imwrite(str(folder / "red.png"), red)
    green = np.full((60, 60, 3), 255, np.uint8)
    green[disc] = (0, 200, 0)
    cv2.imwrite(str(folder / "green.png"), green)
    (folder / "broken.png").write_bytes(b"no picture")
    return folder


def manifest(folder):
    lines = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    return lines[0], lines[1:]


def test_no_part_is_in_both_folders(tmp_path):
    command = ("generate_data.py", "parts", "-o", tmp_path, "--count", "3", "--test-count", "2")
    assert run_script(*command, "--size", "40").returncode == 0
    train, test = (sorted((tmp_path / name / "good").iterdir()) for name in ("train", "test"))
    assert (len(train), len(test)) == (3, 2)
    assert len({path.read_bytes() for path in [*train, *test]}) == 5
    assert cv2.imread(str(train[0])).shape == (40, 40, 3)


def test_pictures_masks_and_manifest_belong_together(backgrounds, tmp_path):
    done = make(backgrounds, tmp_path / "out", "--n-samples", "2", "--n-objects", "1", "4")
    assert done.returncode == 0, done.stderr
    about, made = manifest(tmp_path / "out")
    assert about["n_objects"] == [1, 4]
    assert len(made) == 4 * 2 * 2
    for line in made:
        picture = cv2.imread(str(tmp_path / "out" / line["image"]))
        mask = cv2.imread(str(tmp_path / "out" / line["mask"]), cv2.IMREAD_UNCHANGED)
        background = cv2.imread(str(backgrounds / line["background"]))
        assert picture.shape == background.shape
        assert mask.shape == picture.shape[:2]
        changed = np.abs(picture.astype(int) - background).max(axis=2) > 30
        assert (mask > 0)[changed].sum() >= 0.5 * changed.sum()
        name = noisy_images.background_of(line["image"]).split("/")[-1]
        assert f"{name}.png" == line["background"]
    pairs = {line["image"].split("/")[1] for line in made}
    assert "several" in pairs


def test_the_same_seed_gives_the_same_files_with_any_number_of_jobs(backgrounds, tmp_path):
    for name, options in (("a", ["--jobs", "1"]), ("b", ["--jobs", "3"]), ("c", ["--seed", "1"])):
        make(backgrounds, tmp_path / name, "--n-samples", "2", *options)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert contents(tmp_path / "a") != contents(tmp_path / "c")


def test_a_rerun_replaces_what_was_there(backgrounds, tmp_path):
    out = tmp_path / "out"
    make(backgrounds, out, "--n-samples", "3")
    make(backgrounds, out, "--n-samples", "1", "--kinds", "hole")
    assert {path.split(os.sep)[1] for path in contents(out) if path.endswith(".png")} == {"hole"}
    assert len(manifest(out)[1]) == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["good", "out"]


def test_a_folder_with_other_files_is_not_replaced(backgrounds, tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.txt").write_text("years of work")
    refused = make(backgrounds, tmp_path / "precious")
    assert refused.returncode == 1
    assert b"not empty" in refused.stderr
    assert (tmp_path / "precious" / "thesis.txt").exists()


def test_objects_are_pasted_without_their_background(backgrounds, objects, tmp_path):
    out = tmp_path / "out"
    done = make(backgrounds, out, "--objects", objects, "--n-samples", "4", "--n-objects", "1")
    assert done.returncode == 3
    assert b"broken.png" in done.stderr
    made = manifest(out)[1]
    assert len(made) == 16
    for line in made:
        (pasted,) = line["defects"]
        assert pasted["kind"] == "object"
        assert 0.19 * SIZE <= pasted["width"] <= 0.71 * SIZE
        mask = cv2.imread(str(out / line["mask"]), cv2.IMREAD_UNCHANGED) > 0
        colour = cv2.imread(str(out / line["image"]))[mask].mean(axis=0)
        channel = 2 if pasted["object"].endswith("red.png") else 1
        assert colour.argmax() == channel
        assert colour[channel] > 1.5 * np.delete(colour, channel).max()
        x, y, width, height = pasted["box"]
        inside = min(x, y) > 0 and x + width < SIZE and y + height < SIZE
        assert not (inside and mask[y, x])  # of a disc in a square, not of the square


def test_backgrounds_of_one_name_get_pictures_of_two(tmp_path, good):
    folder = tmp_path / "good"
    for name in ("a.png", "a.bmp", "below/a.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / name), good[0])
    make(folder, tmp_path / "out", "--n-samples", "1", "--kinds", "hole")
    names = sorted(line["image"] for line in manifest(tmp_path / "out")[1])
    assert names == [
        "test/hole/a.bmp__0001.png",
        "test/hole/a.png__0001.png",
        "test/hole/below/a__0001.png",
    ]


def test_unreadable_backgrounds_are_named_and_left_out(backgrounds, tmp_path):
    (backgrounds / "broken.jpg").write_bytes(b"no picture")
    done = make(backgrounds, tmp_path / "out", "--n-samples", "1")
    assert done.returncode == 3
    assert b"broken.jpg" in done.stderr
    assert len(manifest(tmp_path / "out")[1]) == 4


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--objects", "nowhere"], b"nowhere: no such folder"),
        (["--objects", "docs", "--kinds", "hole"], b"does not go with --objects"),
        (["--objects", "tests"], b"no images in this folder"),
    ],
)
def test_what_cannot_work_is_a_sentence(backgrounds, tmp_path, options, sentence):
    refused = make(backgrounds, tmp_path / "out", *options)
    assert refused.returncode == 1
    assert sentence in refused.stderr
    assert b"Traceback" not in refused.stderr
    assert not (tmp_path / "out").exists()
