"""A generation of defects that is killed."""

import signal
import subprocess
import sys
import time

import cv2
import pytest

from helpers.scripts import CHECKOUT, run_script
from pyimagesearch.data.synthetic import parts

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


def make(backgrounds, output, *options, **settings):
    return run_script(
        *("generate_data.py", "defects", "--backgrounds", backgrounds, "--output", output),
        *options,
        **settings,
    )


def contents(folder):
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


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
