"""Model files and networks that got more than they should: each is refused in a sentence.

Every claim here did not hold once. Each script is started as a user does it.
"""

import hashlib
import shutil

import cv2
import numpy as np
import pytest

from helpers import attacks, tiny
from helpers.attacks import run_attacked
from helpers.model_files import rewritten
from helpers.scripts import CHECKOUT

PHOTO = CHECKOUT / "examples" / "coast_1.jpg"
BANK = ("train_anomaly_detector.py", "-d", "parts", "-m", "my.model", "--method", "memory-bank")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Parts, the tiny network, and a model of both."""
    folder = tmp_path_factory.mktemp("attacked")
    tiny.write_parts(folder / "parts", 6)
    tiny.write_network(folder / "tiny.onnx")
    ended = run_attacked(
        *BANK, "--image-size", "64", "--backbone", "tiny.onnx", "--quiet", cwd=folder
    )
    assert ended.returncode == 0, ended
    return folder


def error_of(ended):
    """The only message of a script that failed."""
    assert ended.returncode == 1, ended
    (line,) = ended.stderr.splitlines()
    assert line.startswith("[ERROR] ")
    return line


def with_network(folder, target, network):
    """The model with another network, whose digest fits."""

    def change(manifest, _):
        manifest["preprocessing"]["backbone"]["sha256"] = hashlib.sha256(network).hexdigest()

    return rewritten(folder / "my.model", target, change, {"features.backbone": network})


def label(model, cwd):
    return run_attacked("test_anomaly_detector.py", "-m", model, "-i", PHOTO, "--quiet", cwd=cwd)


@pytest.mark.parametrize("script", ["train_anomaly_detector.py", "test_anomaly_detector.py"])
def test_a_network_reads_no_other_file_whatever_its_tags_are_like(folder, tmp_path, script):
    network = attacks.network_that_reads("notes.txt")
    (tmp_path / "notes.txt").write_bytes(b"a secret" * 1000)
    if script.startswith("train"):
        (tmp_path / "reads.onnx").write_bytes(network)
        shutil.copytree(folder / "parts", tmp_path / "parts")
        ended = run_attacked(*BANK, "--backbone", "reads.onnx", "--quiet", cwd=tmp_path)
    else:
        ended = label(with_network(folder, tmp_path / "reads.model", network), tmp_path)
    assert "a malformed tag" in error_of(ended)
    assert ended.stdout == ""


def test_a_file_of_two_formats_is_not_a_network(folder, tmp_path):
    network = attacks.network_of_two_formats()
    ended = label(with_network(folder, tmp_path / "two.model", network), tmp_path)
    assert "a file of onnxruntime's own format" in error_of(ended)


@pytest.mark.parametrize("operator", ["Loop", "NonZero", "RandomNormal"])
def test_a_network_that_is_refused_is_one_sentence(folder, tmp_path, operator):
    network = attacks.network_with(operator)
    ended = label(with_network(folder, tmp_path / "refused.model", network), tmp_path)
    assert f"it has the operator '{operator}'" in error_of(ended)


def test_a_network_that_finds_no_numbers_gives_no_label(folder, tmp_path):
    network = attacks.network_of_infinities()
    ended = label(with_network(folder, tmp_path / "nan.model", network), tmp_path)
    assert (ended.returncode, ended.stdout.splitlines()[1]) == (3, f"{PHOTO},unreadable,,")
    assert ended.stderr == f"[WARNING] {PHOTO}: the model finds no finite score for it\n"


def test_a_detector_of_huge_numbers_gives_no_label(folder, tmp_path):
    trained = (*BANK[:4], "plain.model", *BANK[5:], "--image-size", "64", "--quiet")
    ended = run_attacked(*trained, cwd=folder)
    assert ended.returncode == 0, ended

    def change(_, arrays):
        for name, array in arrays.items():
            if name.endswith(("directions", "lengths", ".mean")):
                arrays[name] = np.full_like(array, 3e38)

    ended = label(rewritten(folder / "plain.model", tmp_path / "huge.model", change), tmp_path)
    assert "its detector finds no finite score" in error_of(ended)


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest, _: manifest.update(preprocessing=1),
        lambda manifest, _: manifest["preprocessing"].update(bins=[10**400, 3, 3]),
        lambda manifest, _: manifest.update(threshold={"value": 10**400}),
        lambda _, arrays: arrays.update(
            {"detector.n_samples": np.full_like(arrays["detector.n_samples"], 2**31 - 1)}
        ),
    ],
    ids=["preprocessing", "bins", "threshold", "counts"],
)
def test_a_model_of_other_types_or_magnitudes_is_one_sentence(change, forest_model, tmp_path):
    path = rewritten(forest_model, tmp_path / "changed.model", change)
    error_of(label(path, tmp_path))


def test_a_model_with_the_flag_of_encryption_is_one_sentence(forest_model, tmp_path):
    shutil.copy(forest_model, tmp_path / "my.model")
    attacks.encrypted(tmp_path / "my.model")
    assert "damaged or truncated" in error_of(label("my.model", tmp_path))


def test_a_mask_that_leaves_almost_nothing_is_one_sentence(folder):
    mask = np.full((150, 200), 255, np.uint8)
    mask[:, 100:101] = 0
    cv2.imwrite(str(folder / "mask.png"), mask)
    command = (*BANK[:4], "masked.model", *BANK[5:], "--image-size", "64", "--mask", "mask.png")
    ended = run_attacked(*command, "--quiet", cwd=folder)
    assert "--mask leaves no place of any image to learn from" in error_of(ended)
