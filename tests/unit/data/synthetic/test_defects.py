"""Claims about made defects, pasted objects, and the folders that are filled with them."""

import json
import os
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

from helpers.scripts import CHECKOUT, run_script
from pyimagesearch.data import images
from pyimagesearch.data.synthetic import defects, parts
from pyimagesearch.training import noisy_images

SIZE = 96


@pytest.fixture(scope="module")
def good():
    """Pictures of good parts."""
    return [parts.render_part(7, number, SIZE) for number in range(4)]


@pytest.fixture
def backgrounds(tmp_path, good):
    folder = tmp_path / "good"
    folder.mkdir()
    for number, picture in enumerate(good):
        cv2.imwrite(str(folder / f"part_{number}.png"), picture)
    return folder


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


def make(backgrounds, output, *options, **settings):
    return run_script(
        *("generate_data.py", "defects", "--backgrounds", backgrounds, "--output", output),
        *options,
        **settings,
    )


def contents(folder):
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def manifest(folder):
    lines = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    return lines[0], lines[1:]


# --- defects ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", defects.KINDS)
def test_every_kind_changes_what_its_mask_marks_and_nothing_far_from_it(good, kind):
    for seed in range(6):
        rng = np.random.default_rng([seed, 1])
        spoiled = defects.add_defects(good[0], rng, kinds=[kind], others=good[1:])
        assert [defect.kind for defect in spoiled.defects] == [kind]
        assert spoiled.image.shape == good[0].shape
        assert set(np.unique(spoiled.mask)) == {0, 255}
        change = np.abs(spoiled.image.astype(int) - good[0]).max(axis=2)
        marked = spoiled.mask > 0
        assert change[marked].mean() > 3
        # Soft edges reach a little beyond the mask.
        far = cv2.dilate(spoiled.mask, np.ones((21, 21))) == 0
        assert change[far].max(initial=0) <= 1


def test_the_list_of_defects_tells_where_they_are(good):
    spoiled = defects.add_defects(good[0], np.random.default_rng(3), kinds=["hole"])
    x, y, width, height = spoiled.defects[0].box
    ys, xs = np.nonzero(spoiled.mask)
    assert (x, y, x + width, y + height) == (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
    assert spoiled.defects[0].area == len(xs)


def test_the_same_state_makes_the_same_defects_and_another_makes_others(good):
    one, same, other = (
        defects.add_defects(good[0], np.random.default_rng(seed), n_defects=3, others=good[1:])
        for seed in (5, 5, 6)
    )
    assert np.array_equal(one.image, same.image)
    assert not np.array_equal(one.image, other.image)


@pytest.mark.parametrize("kind", defects.KINDS)
def test_grey_pictures_stay_grey(good, kind):
    grey = cv2.cvtColor(good[0], cv2.COLOR_BGR2GRAY)[:, :, None]
    rng = np.random.default_rng(1)
    assert defects.add_defects(grey, rng, kinds=[kind], others=good[1:]).image.shape == grey.shape
    three = defects.add_defects(
        np.repeat(grey, 3, axis=2), rng, kinds=[kind], others=good[1:]
    ).image
    assert np.ptp(three, axis=2).max() == 0


def test_the_seam_is_softer_than_a_pixel():
    # The outline of a colour patch on a flat surface: a step of one pixel would give it away.
    flat = np.full((SIZE, SIZE, 3), 128, np.uint8)
    for seed in range(40):
        spoiled = defects.add_defects(flat, np.random.default_rng(seed), kinds=["colour"])
        if spoiled.defects[0].area < 60:  # smaller ones are all edge
            continue
        levels = spoiled.image.astype(int)
        steps = max(np.abs(np.diff(levels, axis=axis)).max() for axis in (0, 1))
        assert steps < 0.8 * np.abs(levels - 128).max()


def test_tiny_pictures_and_surfaces_without_a_part_can_have_defects():
    rng = np.random.default_rng(0)
    texture = rng.integers(0, 255, (40, 64, 3)).astype(np.uint8)
    assert defects.find_part(texture).all()
    assert defects.add_defects(texture, rng).defects
    assert defects.add_defects(
        rng.integers(0, 255, (9, 5, 1)).astype(np.uint8), rng
    ).mask.shape == (9, 5)


def test_the_part_is_told_from_the_background(good):
    part = defects.find_part(good[0])
    assert part[SIZE // 2, SIZE // 5]
    assert not part[:4].any()


def test_an_unknown_kind_is_refused(good):
    with pytest.raises(ValueError, match="unknown kind of defect 'rust'"):
        defects.add_defects(good[0], np.random.default_rng(0), kinds=["rust"])


# --- folders ------------------------------------------------------------------------------------


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


def test_a_killed_run_leaves_the_earlier_folder_as_it_was(backgrounds, tmp_path):
    out = tmp_path / "out"
    make(backgrounds, out, "--n-samples", "1")
    before = contents(out)
    command = ["generate_data.py", "defects", "--backgrounds", str(backgrounds), "-o", str(out)]
    process = subprocess.Popen(
        [sys.executable, *command, "--n-samples", "2000"], cwd=CHECKOUT, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".out.partial/test/*/*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert contents(out) == before
    assert make(backgrounds, out, "--n-samples", "2").returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["good", "out"]


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


def test_a_transparent_picture_is_read_with_its_own_colours(tmp_path):
    picture = np.full((5, 6, 4), 200, np.uint8)
    picture[..., 3] = 10
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    pixels, alpha = images.read_cut_out(str(tmp_path / "a.png"))
    assert (pixels == 200).all()
    assert (alpha == 10).all()
