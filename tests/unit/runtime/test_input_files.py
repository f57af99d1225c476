"""What a user names as a file is opened without blocking, and only where it ends."""

import os
import subprocess
import sys

import pytest

from helpers.scripts import CHECKOUT
from pyimagesearch.data import images
from pyimagesearch.runtime.input_files import open_input, read_input


def test_a_regular_file_is_read_up_to_its_limit(tmp_path):
    (tmp_path / "f").write_bytes(b"twelve bytes")
    assert read_input(str(tmp_path / "f"), 12) == b"twelve bytes"
    with pytest.raises(OSError, match="more than"):
        read_input(str(tmp_path / "f"), 11)


def test_pipes_devices_and_folders_are_no_files(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileNotFoundError):
        open_input("a\0.jpg")
    with pytest.raises(images.ImageError, match="no such file"):
        images.read_image("a\0.jpg")
    for path in (str(tmp_path / "pipe"), "/dev/zero", "/dev/null", str(tmp_path)):
        with pytest.raises(OSError, match=r"not a regular file|Is a directory") as refused:
            open_input(path)
        assert refused.value.filename == path


@pytest.mark.parametrize(
    "command",
    [
        ["test_anomaly_detector.py", "-m", "pipe", "-i", "examples"],
        ["find_anomalies.py", "-m", "/dev/zero", "-d", "examples"],
        ["train_autoencoder.py", "-d", "pipe", "-m", "x.model"],
        ["train_anomaly_detector.py", "-d", "forest", "-m", "x.model", "--backbone", "pipe"],
        ["train_anomaly_detector.py", "-d", "forest", "-m", "x.model", "--update", "pipe"],
        [
            *("train_anomaly_detector.py", "-d", "forest", "-m", "x.model"),
            *("--backbone", "mobilenet", "--weights", "pipe"),
        ],
        ["generate_validation_metrics.py", "-m", "pipe", "--normal", "forest", "--anomalous", "x"],
    ],
    ids=lambda command: command[0],
)
def test_no_script_waits_for_a_pipe(command, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    words = [str(tmp_path / "pipe") if word == "pipe" else word for word in command]
    words = [str(tmp_path / word) if word == "x.model" else word for word in words]
    ended = subprocess.run(
        [sys.executable, *words], cwd=CHECKOUT, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode in (1, 2), ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.unix
def test_an_image_that_links_to_a_file_of_the_system_that_blocks_is_unreadable(tmp_path):
    for target in ("/proc/kmsg", "/dev/zero", "/dev/tty"):
        os.symlink(target, tmp_path / "x.jpg")
        with pytest.raises(images.ImageError):
            images.read_image(str(tmp_path / "x.jpg"))
        os.unlink(tmp_path / "x.jpg")
