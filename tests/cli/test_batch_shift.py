"""Claims about notices of shifted batches, with models that scripts have trained."""

import dataclasses
import itertools
import json
import zipfile

import cv2
import numpy as np
import pytest

from helpers import tiny
from helpers.model_files import rewritten
from helpers.scripts import CHECKOUT
from pyimagesearch.cli.labelling_job import measure_every_of
from pyimagesearch.data import image_sets, images
from pyimagesearch.detectors import model_file
from pyimagesearch.labelling import batch_shift, capture_conditions
from pyimagesearch.labelling.capture_conditions import NAMES
from pyimagesearch.labelling.images import Labeller

SHIFTED = "the whole batch looks shifted"


def not_a_number(_, arrays):
    arrays["conditions"] = arrays["conditions"].copy()
    arrays["conditions"][3, 2] = np.nan


def other_names(manifest, _):
    manifest["conditions"]["names"][0] = "temperature"


def lacking_a_column(_, arrays):
    arrays["conditions"] = arrays["conditions"][:, 1:]


def too_many(manifest, arrays):
    arrays["conditions"] = np.zeros((capture_conditions.MOST_IMAGES + 1, len(NAMES)), np.float32)
    manifest["conditions"]["images"] = capture_conditions.MOST_IMAGES + 1


def of_doubles(_, arrays):
    arrays["conditions"] = arrays["conditions"].astype(np.float64)


def of_none(manifest, arrays):
    arrays["conditions"] = arrays["conditions"][:0]
    manifest["conditions"]["images"] = 0


def a_scalar(_, arrays):
    arrays["conditions"] = np.float32(1).reshape(())


def without_the_array(_, arrays):
    del arrays["conditions"]


def without_the_names(manifest, _):
    del manifest["conditions"]


def names_that_are_no_object(manifest, _):
    manifest["conditions"] = ["names"]


@pytest.mark.parametrize(
    "damage",
    [
        *(not_a_number, other_names, lacking_a_column, too_many, of_doubles, of_none, a_scalar),
        *(without_the_array, without_the_names, names_that_are_no_object),
    ],
)
def test_a_model_file_with_other_or_damaged_conditions_is_refused(forest_model, tmp_path, damage):
    path = rewritten(forest_model, tmp_path / "damaged.model", damage)
    with pytest.raises(model_file.ModelFileError, match="conditions"):
        Labeller.open(path)


def test_a_model_file_without_conditions_still_labels(forest_model, tmp_path):
    def drop(manifest, arrays):
        without_the_array(manifest, arrays)
        without_the_names(manifest, arrays)

    labeller = Labeller.open(rewritten(forest_model, tmp_path / "old.model", drop))
    assert labeller.conditions is None
    (verdict,) = labeller.label_batch(["examples/forest_1.jpg"])
    assert verdict.conditions is None
    assert [verdict] == Labeller.open(str(forest_model)).label_batch(["examples/forest_1.jpg"])


def test_models_of_files_say_nothing_about_conditions_of_arrays(forest_model):
    labeller = Labeller.open(str(forest_model))
    grey = {"0": np.zeros((40, 40, 3), np.uint8)}
    (verdict,) = labeller.label_batch(["0"], read=grey.get)
    assert verdict.conditions is None


def test_update_adds_the_conditions_of_the_new_pictures(run, tmp_path):
    model = tmp_path / "parts.model"
    for number, options in (
        (6, ("--method", "memory-bank", "--no-backbone")),
        (4, ("--update", model)),
    ):
        folder = tiny.write_parts(tmp_path / f"parts{number}", number, seed=number)
        trained = run("train_anomaly_detector.py", "-d", folder, "-m", model, *options)
        assert trained.returncode == 0, trained.stderr
    with zipfile.ZipFile(model) as archive:
        said = json.loads(archive.read("manifest.json"))["conditions"]
    assert said["images"] == 10
    assert len(Labeller.open(str(model)).conditions) == 10


def darker(picture):
    return (picture * 0.85).astype(np.uint8)


CHANGES = {
    "darker": darker,
    "brighter": lambda p: (p * 1.2).clip(0, 255).astype(np.uint8),
    "less sharp": lambda p: cv2.GaussianBlur(p, (0, 0), 1),
    "redder": lambda p: (p * (0.9, 1, 1.1)).clip(0, 255).astype(np.uint8),
    "sharper or noisier": lambda p: cv2.addWeighted(p, 2, cv2.GaussianBlur(p, (0, 0), 1), -1, 0),
    "lit more from": lambda p: np.ascontiguousarray(np.rot90(p)),
}


def changed(folder, source, change):
    folder.mkdir()
    for path in images.list_images(str(source)):
        data = cv2.imencode(".png", change(images.read_image(path)))[1].tobytes()
        (folder / path.rpartition("/")[2]).with_suffix(".png").write_bytes(data)
    return folder


@pytest.fixture(scope="module")
def part_colours(run, good_parts, tmp_path_factory):
    """A forest on the colours of rendered parts."""
    model = tmp_path_factory.mktemp("shifts") / "colours.model"
    command = ("train_anomaly_detector.py", "-d", good_parts / "train", "-m", model)
    trained = run(*command, "--method", "forest", "-n", "20")
    assert trained.returncode == 0, trained.stderr
    return model


def notices_of(model, *folders):
    labeller = Labeller.open(str(model))
    batch = batch_shift.Batch(labeller.calibration, labeller.conditions)
    for folder in folders:
        for verdict in labeller.label(images.list_images(str(folder)), 1):
            batch.add(verdict.score, verdict.conditions)
    return batch.notices()


@pytest.mark.parametrize("word", CHANGES)
def test_good_parts_under_other_conditions_raise_the_notice(
    part_colours, good_parts, tmp_path, word
):
    folder = changed(tmp_path / "changed", good_parts / "test" / "good", CHANGES[word])
    assert any(word in notice for notice in notices_of(part_colours, folder))


def test_good_parts_and_a_fifth_of_faulty_ones_raise_none(
    part_colours, good_parts, faulty_parts, tmp_path
):
    assert notices_of(part_colours, good_parts / "test") == []
    faulty = tmp_path / "some"
    faulty.mkdir()
    for path in list(images.list_images(str(faulty_parts / "test")))[::4]:
        (faulty / path.rpartition("/")[2]).symlink_to(path)
    assert len(list(faulty.iterdir())) == 6
    assert notices_of(part_colours, good_parts / "test", faulty) == []


@pytest.mark.parametrize("script", ["test_anomaly_detector.py", "find_anomalies.py"])
def test_the_scripts_warn_of_a_shift_and_label_all_the_same(
    run, part_colours, good_parts, tmp_path, script
):
    good = good_parts / "test" / "good"
    folder = changed(tmp_path / "changed", good, darker)
    ended = run(script, "-m", part_colours, "-d", folder, "--csv", tmp_path / "rows.csv")
    assert ended.returncode == 0
    assert f"[WARNING] {SHIFTED}".encode() in ended.stderr
    assert len((tmp_path / "rows.csv").read_bytes().splitlines()) == 25
    quiet = run(script, "-m", part_colours, "-d", good, "--quiet")
    assert quiet.stderr == b""


def test_pixels_are_compared_as_the_model_takes_them(run, parts_model, good_parts, tmp_path):
    """Files are resized; an archive of the resized pictures has the same conditions."""
    labeller = Labeller.open(str(parts_model))
    paths = list(images.list_images(str(good_parts / "test")))
    pixels = np.stack([labeller.extractor.resize(images.read_image(path)) for path in paths])
    archive = dict(zip(paths, image_sets.Dataset(pixels).bgr_images(), strict=True))
    verdicts = labeller.label_batch(paths, read=archive.get)
    for of_array, of_file in zip(verdicts, labeller.label(paths, 1), strict=True):
        assert np.array_equal(of_array.conditions, of_file.conditions)
    for name, shown in (("same", pixels), ("darker", darker(pixels))):
        with open(tmp_path / f"{name}.npz", "wb") as file:
            image_sets.write_npz(file, image_sets.Dataset(shown))
        ended = run("find_anomalies.py", "-m", parts_model, "-d", tmp_path / f"{name}.npz")
        assert (SHIFTED.encode() in ended.stderr) == (name == "darker")


def test_of_many_images_some_are_measured_whichever_run_does_it(forest_model):
    assert measure_every_of(str(n) for n in range(2_000)) == 1
    assert measure_every_of(map(str, itertools.count())) == 8  # it does not wait for the last one
    whole = Labeller.open(str(forest_model))
    some = dataclasses.replace(whole, measure_every=2)  # of 24, none or all once in eight million
    paths = sorted(map(str, (CHECKOUT / "forest").iterdir()))
    at_once = [verdict.conditions is not None for verdict in some.label_batch(paths)]
    one_by_one = [some.label_batch([path])[0].conditions is not None for path in reversed(paths)]
    assert at_once == one_by_one[::-1]
    assert 0 < sum(at_once) < len(paths)
    assert all(verdict.conditions is not None for verdict in whole.label_batch(paths))


PASS = ("--threshold", "9")  # calls all of them normal


def test_a_night_among_days_is_named_whatever_its_label(run, part_colours, good_parts, tmp_path):
    folder = changed(tmp_path / "parts", good_parts / "test" / "good", lambda part: part)
    some = min(folder.iterdir())
    night = folder / "night.png"
    night.write_bytes(cv2.imencode(".png", images.read_image(str(some)) // 8)[1].tobytes())
    rows = tmp_path / "rows.json"
    ended = run("test_anomaly_detector.py", "-m", part_colours, "-d", folder, "--json", rows, *PASS)
    assert b"[WARNING] 1 of 25 images was taken under conditions far from" in ended.stderr
    assert SHIFTED.encode() not in ended.stderr
    outside = {
        row["image"]: row["outside"]
        for row in map(json.loads, rows.read_text().splitlines())
        if "outside" in row
    }
    assert outside.keys() == {str(night)}
    alone = run("test_anomaly_detector.py", "-m", part_colours, "--image", night, *PASS)
    assert f"[WARNING] {night} is {outside[str(night)]} than any of".encode() in alone.stderr


def test_a_resumed_run_says_the_same_of_single_images(run, part_colours, tmp_path):
    night = tmp_path / "night.png"
    night.write_bytes(cv2.imencode(".png", np.zeros((64, 64, 3), np.uint8))[1].tobytes())
    command = ("test_anomaly_detector.py", "-m", part_colours, "-d", night, *PASS)
    results = ("--json", tmp_path / "rows.json", "--resume")
    first, second = run(*command, *results), run(*command, *results)
    assert b"nothing is left to label" in second.stderr
    assert b"[WARNING]" in first.stderr
    said = [
        [line for line in ended.stderr.splitlines() if b"[WARNING]" in line]
        for ended in (first, second)
    ]
    assert said[0] == said[1]
