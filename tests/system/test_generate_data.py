"""A generation of defects that is killed."""

import signal
import subprocess
import sys
import time

from helpers.defects import contents, good_pictures, make, write_backgrounds
from helpers.scripts import CHECKOUT


def test_a_killed_run_leaves_the_earlier_folder_as_it_was(tmp_path):
    backgrounds = write_backgrounds(tmp_path / "good", good_pictures())
    out = tmp_path / "out"
    make(backgrounds, out, "--n-samples", "1")
    before = contents(out)
    command = ["generate_data.py", "defects", "--backgrounds", str(backgrounds), "-o", str(out)]
    process = subprocess.Popen(
        [sys.executable, *command, "--n-samples", "2000"], cwd=CHECKOUT, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".out.unfinished/test/*/*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert contents(out) == before
    assert make(backgrounds, out, "--n-samples", "2").returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["good", "out"]
