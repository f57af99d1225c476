"""Videos, patterns and streams are labelled and learned as folders of their frames are."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import cv2
import pytest

from helpers.videos import write_video
from pyimagesearch.data.synthetic.parts import render_part
from pyimagesearch.data.videos import Every, read_video
from pyimagesearch.detectors.model_file import load_model


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    """Ten parts, each still for three frames."""
    parts = [render_part(3, number, 64) for number in range(1, 11) for _ in range(3)]
    return write_video(tmp_path_factory.mktemp("video") / "parts.avi", parts)


@pytest.fixture(scope="module")
def frames(video: Path, tmp_path_factory) -> Path:
    """A folder with one frame of each part."""
    folder = tmp_path_factory.mktemp("frames")
    for number, frame in enumerate(read_video(str(video), Every(frames=3))):
        cv2.imwrite(str(folder / f"{number:02}.png"), frame.image)
    return folder


def rows_of(ended) -> list[list[str]]:
    return list(csv.reader(io.StringIO(ended.stdout.decode())))[1:]


def test_frames_are_labelled_as_files_of_them_are(run, forest_model, video, frames, tmp_path):
    command = ("test_anomaly_detector.py", "-m", forest_model)
    files = run(*command, "-i", frames)
    pictures, table = tmp_path / "labelled", tmp_path / "labels.csv"
    ended = run(*command, "-i", video, "--every", "3", "-o", pictures, "--csv", table, "--resume")
    assert ended.returncode == files.returncode == 0
    assert [row[1:] for row in rows_of(ended)] == [row[1:] for row in rows_of(files)]
    assert rows_of(ended)[1][0] == f"{video}/00:00:00.300"
    assert len(list(pictures.rglob("*.png"))) == 10
    assert table.read_bytes() == ended.stdout
    again = run(*command, "-i", video, "--every", "3", "-o", pictures, "--csv", table, "--resume")
    assert b"all 10 images are done" in again.stderr


def test_the_anomalies_of_a_video_are_found_with_a_picture_and_a_page(
    run, forest_model, video, tmp_path
):
    picture, page = tmp_path / "found.png", tmp_path / "page.html"
    ended = run(
        *("find_anomalies.py", "-m", forest_model, "-d", video, "--every", "0.6s", "--top", "2"),
        *("-o", picture, "--report", page),
    )
    assert ended.returncode == 0, ended.stderr
    assert len(rows_of(ended)) == 2
    assert cv2.imread(str(picture)) is not None
    assert b"parts.avi/00:00:00.600" in page.read_bytes()


def test_a_pattern_and_a_damaged_video_are_rows_of_one_run(run, forest_model, video, frames):
    damaged = video.with_name("damaged.mp4")
    damaged.write_bytes(b"no video")
    ended = run("test_anomaly_detector.py", "-m", forest_model, "-i", f"{frames}/0[12].*", damaged)
    assert ended.returncode == 3
    names = [row[0] for row in rows_of(ended)]
    assert names == [f"{frames}/01.png", f"{frames}/02.png", str(damaged)]
    assert b"damaged.mp4: not a video that can be read" in ended.stderr


def test_a_model_learns_each_part_of_a_video_once(run, video, frames, tmp_path):
    options = ("--method", "gaussian", "--no-backbone", "--image-size", "32")
    models = {}
    for name, dataset in (("video", video), ("files", f"{frames}/*.png")):
        every = ("--every", "1") if name == "video" else ()
        command = ("train_anomaly_detector.py", "-d", dataset, "-m", tmp_path / name)
        ended = run(*command, *every, *options)
        assert ended.returncode == 0, ended.stderr
        models[name] = load_model(str(tmp_path / name))
        if name == "video":
            assert b"all frames, 30, 20 near-equal to others: counted once" in (ended.stderr)
    assert models["video"].manifest["training"] == models["files"].manifest["training"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["files", "video"]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("-i", "camera:99"), b"camera:99: no such camera"),
        (("-i", "examples", "--every", "2"), b"--every goes with videos"),
        (("-i", "nowhere/*.png"), b"nowhere/*.png: nothing matches"),
        (("-i", "a.avi", "--scheduler", "tcp://127.0.0.1:1"), b"labelled on this machine"),
    ],
)
def test_a_source_that_cannot_be_labelled_is_a_sentence(run, forest_model, options, sentence):
    ended = run("test_anomaly_detector.py", "-m", forest_model, *options)
    assert ended.returncode == 1
    assert sentence in ended.stderr


@pytest.mark.parametrize(
    ("dataset", "sentence"),
    [
        ("none.mp4", b"none.mp4: No such file"),
        ("camera:0", b"a model learns from a video"),
        ("nowhere/*.png", b"nothing matches"),
    ],
)
def test_what_cannot_be_learned_is_a_sentence(run, tmp_path, dataset, sentence):
    ended = run("train_anomaly_detector.py", "-d", dataset, "-m", tmp_path / "x.model")
    assert ended.returncode == 1
    assert sentence in ended.stderr
    assert not list(tmp_path.iterdir())


def test_an_autoencoder_learns_a_video(run, video, tmp_path):
    ended = run(
        *("train_autoencoder.py", "-a", "pca", "-d", video, "--every", "3", "--image-size", "16"),
        *("-m", tmp_path / "x.model", "-v", tmp_path / "v.png", "-p", tmp_path / "p.png"),
    )
    assert ended.returncode == 0, ended.stderr
    assert load_model(str(tmp_path / "x.model")).manifest["training"]["images"] == 10
    assert b"parts.avi: one frame in 3, 10" in ended.stderr
