"""--max-pixels: what it reads, in every process that reads images."""

import io
import struct

import pytest
from PIL import Image

from helpers import hostile

SIDE = 400


@pytest.fixture
def large(tmp_path):
    folder = tmp_path / "large"
    folder.mkdir()
    (folder / "a.png").write_bytes(hostile.huge_png(SIDE))
    return folder


def label_of(ended):
    return ended.stdout.decode().splitlines()[1].split(",")[1]


@pytest.mark.parametrize("more", [(), ("--scheduler", "local[1]")], ids=["processes", "cluster"])
def test_workers_read_what_the_option_allows(run, forest_model, large, more):
    command = ("test_anomaly_detector.py", "-m", forest_model, "-d", large, *more)
    refused = run(*command, "--max-pixels", "40k")
    assert (refused.returncode, label_of(refused)) == (3, "unreadable")
    assert b"400 x 400 is more than 0.04 megapixels: --max-pixels 1M reads it" in refused.stderr
    read = run(*command, "--max-pixels", f"{SIDE**2}")
    assert (read.returncode, label_of(read)) == (0, "normal")


def test_training_reads_what_the_option_allows(run, tmp_path, large):
    ended = run(
        *("train_anomaly_detector.py", "-d", large, "-m", tmp_path / "m"),
        *("--strict", "--max-pixels", "40k"),
    )
    assert ended.returncode == 1
    assert b"more than 0.04 megapixels: --max-pixels 1M reads it" in ended.stderr


@pytest.mark.parametrize("text", ["0", "2G", "many", "1001M", "-5"])
def test_what_is_not_a_number_of_pixels_is_wrong_usage(run, forest_model, text):
    ended = run("test_anomaly_detector.py", "-m", forest_model, "-i", "x", f"--max-pixels={text}")
    assert ended.returncode == 2
    assert b"is not a number of pixels such as 200M, at most 1000M" in ended.stderr


@pytest.mark.unix
def test_an_avif_that_holds_more_than_it_claims_is_not_decoded(run, forest_model, tmp_path):
    buffer = io.BytesIO()
    Image.new("L", (4500, 4500)).save(buffer, "AVIF", quality=1, speed=10)
    data = buffer.getvalue()
    place = data.index(b"ispe") + 8
    (tmp_path / "a.avif").write_bytes(data[:place] + struct.pack(">II", 8, 8) + data[place + 8 :])
    command = ("test_anomaly_detector.py", "-m", forest_model, "-i", tmp_path / "a.avif")
    assert label_of(run(*command, "--max-pixels", "1M")) == "unreadable"
    assert label_of(run(*command)) == "normal"
