"""What is somebody's own is not replaced: files that are no models, images that are labelled."""

import os
import shutil

import pytest

from helpers.scripts import CHECKOUT

TRAIN = ("train_anomaly_detector.py", "--method", "forest", "-n", "20", "-d", "forest", "-m")
PCA = ("train_autoencoder.py", "-a", "pca", "-d", "forest", "-m")


@pytest.mark.parametrize("command", [TRAIN, PCA], ids=["forest", "pca"])
def test_a_model_replaces_no_other_file_unless_that_is_asked_for(run, tmp_path, command):
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear all,")
    drawn = ("-v", tmp_path / "v.png", "-p", tmp_path / "p.png") if command is PCA else ()
    refused = run(*command, letter, *drawn)
    assert refused.returncode == 1
    sentence = f"{letter}: this file is not a model, and not replaced by one; --force replaces it"
    assert sentence in refused.stderr.decode()
    assert letter.read_text() == "Dear all,"
    assert run(*command, letter, *drawn, "--force").returncode == 0
    assert letter.read_bytes().startswith(b"PK")


def test_a_model_replaces_an_earlier_one_even_a_damaged_one(run, tmp_path):
    assert run(*TRAIN, tmp_path / "my.model").returncode == 0
    whole = (tmp_path / "my.model").read_bytes()
    for kept in (len(whole), len(whole) // 2, 0):
        (tmp_path / "my.model").write_bytes(whole[:kept])
        assert run(*TRAIN, tmp_path / "my.model").returncode == 0
        assert (tmp_path / "my.model").read_bytes() == whole


def test_a_state_replaces_no_other_file(run, tmp_path):
    data = ("-d", "examples/daily_normal.csv")
    trained = run(
        "train_anomaly_detector.py", *data, "-m", tmp_path / "s.model", "--method", "stream"
    )
    assert trained.returncode == 0, trained.stderr
    (tmp_path / "rows.csv").write_text("t,v\n")
    command = ("find_anomalies.py", "-m", tmp_path / "s.model", *data, "--save-state")
    ended = run(*command, tmp_path / "rows.csv")
    assert (ended.returncode, (tmp_path / "rows.csv").read_text()) == (1, "t,v\n")
    assert b"--force replaces it" in ended.stderr
    assert run(*command, tmp_path / "s.model").returncode == 0


@pytest.mark.parametrize(
    ("where", "inputs", "sentence"),
    [
        ("photos", ["a.jpg"], b"a.jpg: its picture would replace the image itself"),
        ("photos", ["a.jpg", "b.jpg"], b"a.jpg: its picture would replace the image itself"),
        ("photos", ["-"], b"a.jpg: its picture would replace the image itself"),
        (".", ["photos"], b"the output folder ./photos lies inside photos"),
    ],
)
def test_labelled_pictures_do_not_replace_the_images(
    run, forest_model, tmp_path, where, inputs, sentence
):
    (tmp_path / "photos").mkdir()
    for name in ("a.jpg", "b.jpg"):
        shutil.copy(CHECKOUT / "examples" / "coast_1.jpg", tmp_path / "photos" / name)
    before = (tmp_path / "photos" / "a.jpg").read_bytes()
    ended = run(
        *("test_anomaly_detector.py", "-m", forest_model, "-i", *inputs, "-o", "."),
        cwd=tmp_path / where,
        input=b"a.jpg\n",
    )
    assert (ended.returncode, sentence in ended.stderr) == (1, True), ended.stderr
    assert (tmp_path / "photos" / "a.jpg").read_bytes() == before


def test_defects_do_not_replace_the_images_that_they_are_added_to(run, tmp_path):
    parts, faulty = tmp_path / "parts", tmp_path / "faulty"
    made = run("generate_data.py", "parts", "-o", parts, "--size", "48", "--count", "2")
    assert made.returncode == 0, made.stderr
    command = ("generate_data.py", "defects", "-o", faulty)
    assert run(*command, "-b", parts / "train" / "good").returncode == 0
    before = sorted(os.listdir(faulty / "test"))
    ended = run(*command, "-b", faulty / "test" / before[0])
    assert ended.returncode == 1
    assert b"lies inside the output folder" in ended.stderr
    assert sorted(os.listdir(faulty / "test")) == before
