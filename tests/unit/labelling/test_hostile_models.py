"""Model files with digests that fit, and content that does not: a sentence, never a label."""

import csv
import hashlib
import io
import json
import zipfile

import numpy as np
import pytest

from helpers import tiny
from helpers.model_files import rewritten
from pyimagesearch.detectors import model_file
from pyimagesearch.detectors.model_file import ModelFileError
from pyimagesearch.labelling.capture_conditions import CONDITIONS
from pyimagesearch.labelling.images import Labeller


def with_member(path, target, name, content):
    """Write a model file again with other bytes as a member; its digest fits."""
    with zipfile.ZipFile(path) as archive:
        members = {one: archive.read(one) for one in archive.namelist()}
    members[name] = content
    manifest = json.loads(members["manifest.json"])
    manifest["members"][name]["sha256"] = hashlib.sha256(content).hexdigest()
    members["manifest.json"] = json.dumps(manifest).encode()
    with zipfile.ZipFile(target, "w") as archive:
        for one, data in members.items():
            archive.writestr(one, data)
    return str(target)


@pytest.fixture(scope="module")
def bank_model(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bank")
    tiny.write_parts(folder / "parts", 6)
    model = folder / "bank.model"
    trained = run(
        *("train_anomaly_detector.py", "-d", folder / "parts", "-m", model),
        *("--method", "memory-bank", "--no-backbone", "--image-size", "64"),
    )
    assert trained.returncode == 0, trained.stderr
    return model


def times(factor):
    def change(_, arrays):
        for name, array in arrays.items():
            if name.endswith(("directions", "lengths", ".mean")):
                arrays[name] = np.full_like(array, factor)

    return change


@pytest.mark.parametrize("value", [3e38, 1e30])
def test_a_detector_too_large_to_compute_with_is_refused_when_it_is_loaded(
    bank_model, tmp_path, value
):
    path = rewritten(bank_model, tmp_path / "huge.model", times(value))
    with pytest.raises(ModelFileError, match="finds no finite score"):
        Labeller.open(path)


def test_an_image_without_a_finite_score_is_unreadable_with_the_reason(run, tmp_path):
    """A spread so small that only features that are not 0 overflow: the model itself loads."""
    trained = run(
        *("train_anomaly_detector.py", "-d", "forest", "-m", tmp_path / "knn.model"),
        *("--method", "neighbours", "--no-backbone"),
    )
    assert trained.returncode == 0, trained.stderr

    def shrink(_, arrays):
        arrays["detector.mean"] = np.zeros_like(arrays["detector.mean"])
        arrays["detector.spread"] = np.full_like(arrays["detector.spread"], 1e-38)

    path = rewritten(tmp_path / "knn.model", tmp_path / "shrunk.model", shrink)
    ended = run("test_anomaly_detector.py", "-m", path, "-i", "examples/forest_1.jpg")
    assert ended.returncode == 3
    assert ended.stdout.decode().splitlines()[1] == "examples/forest_1.jpg,unreadable,,"
    assert b"the model finds no finite score for it" in ended.stderr


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest, _: manifest.update(preprocessing=1),
        lambda manifest, _: manifest.update(preprocessing=[]),
        lambda manifest, _: manifest.update(detector=3),
        lambda manifest, _: manifest.update(detector={"name": ["memory-bank"]}),
        lambda manifest, _: manifest["preprocessing"].update(side=10**400),
        lambda manifest, _: manifest["preprocessing"].update(side={}),
        lambda manifest, _: manifest.update(threshold=None),
        lambda manifest, _: manifest.update(threshold={"value": 10**400}),
        lambda manifest, _: manifest.update(training=7),
        lambda manifest, _: manifest.update(calibration=7),
        lambda manifest, _: manifest["detector"].update(features=[10**400]),
        lambda manifest, _: manifest["detector"].update(features=[[]]),
    ],
)
@pytest.mark.parametrize("name", ["forest", "bank"])
def test_a_manifest_of_other_types_or_magnitudes_is_one_sentence(
    name, change, forest_model, bank_model, tmp_path, run
):
    model = {"forest": forest_model, "bank": bank_model}[name]
    path = rewritten(model, tmp_path / "changed.model", change)
    ended = run("test_anomaly_detector.py", "-m", path, "-i", "examples/forest_1.jpg", "--quiet")
    said = ended.stderr.decode().splitlines()
    if ended.returncode == 0:  # what was changed is not read for labelling
        (row,) = csv.DictReader(io.StringIO(ended.stdout.decode()))
        assert np.isfinite(float(row["score"]))
    else:
        assert ended.returncode == 1
        assert [line[:8] for line in said] == ["[ERROR] "], said


def test_scores_that_are_no_numbers_are_refused(forest_model, tmp_path):
    def change(_, arrays):
        arrays["training_scores"] = arrays["training_scores"] > 0

    path = rewritten(forest_model, tmp_path / "truths.model", change)
    with pytest.raises(ModelFileError, match="not a list of finite numbers"):
        Labeller.open(path)


@pytest.mark.parametrize("condition", CONDITIONS, ids=lambda condition: condition.name)
def test_any_difference_in_capture_conditions_has_words(condition):
    huge = np.float32(3e38)
    with np.errstate(over="ignore"):
        assert condition.difference(huge, -huge)


HEADERS = ["(" * 200, "-" * 200 + "1", "{" * 200, "'" * 100, "\0" * 100, "[" * 9000, "1" * 3000]


@pytest.mark.parametrize("text", HEADERS)
def test_an_array_with_a_mangled_header_is_one_sentence(text, forest_model, tmp_path):
    header = text.encode()
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    path = with_member(forest_model, tmp_path / "m.model", "detector.feature.npy", content)
    with pytest.raises(ModelFileError, match=r"not a plain array \(its header"):
        model_file.load_model(path)


def test_an_encrypted_member_is_one_sentence(forest_model, tmp_path):
    data = bytearray(forest_model.read_bytes())
    place = -1
    while (place := data.find(b"PK\x03\x04", place + 1)) >= 0:
        data[place + 6] |= 1
    while (place := data.find(b"PK\x01\x02", place + 1)) >= 0:
        data[place + 8] |= 1
    (tmp_path / "e.model").write_bytes(data)
    with pytest.raises(ModelFileError, match=r"damaged or truncated \(.*encrypted"):
        model_file.load_model(str(tmp_path / "e.model"))
