"""Claims about a script whose workers, or that itself, are killed."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys

import pytest

from helpers import hostile
from helpers.processes import is_running, marked_environment, running_with, wait_until
from helpers.scripts import CHECKOUT, heed_interrupts, run_cold


def children(pid):
    """Processes that it started, zombies included."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return [int(child) for child in file.read().split()]
    except FileNotFoundError:
        return []


@pytest.fixture
def labelling(forest_model):
    """The script, waiting for more paths than it has been given, with its workers."""
    command = [sys.executable, "test_anomaly_detector.py", "-m", forest_model, "-i", "-", "-j", "2"]
    with subprocess.Popen(
        command,
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=heed_interrupts,
        start_new_session=True,
    ) as process:
        paths = "".join(f"forest/forest_{1 + i % 24}.jpg\n" for i in range(70))
        process.stdin.write(paths.encode())
        process.stdin.flush()
        wait_until(lambda: len(children(process.pid)) == 2)
        yield process
        process.kill()


def test_workers_killed_in_the_middle_of_a_run_lose_nothing(labelling, run, forest_model):
    rest = "".join(f"forest/forest_{1 + i % 24}.jpg\n" for i in range(70, 400)).encode()
    for killed in children(labelling.pid):
        os.kill(killed, signal.SIGKILL)
    for part in (rest[:4000], rest[4000:]):
        labelling.stdin.write(part)
        labelling.stdin.flush()
        wait_until(lambda: children(labelling.pid))
        os.kill(children(labelling.pid)[0], signal.SIGKILL)
    printed, messages = labelling.communicate()
    names = "".join(f"forest/forest_{1 + i % 24}.jpg\n" for i in range(400))
    quiet = run("test_anomaly_detector.py", "-m", forest_model, "-i", "-", input=names.encode())
    assert (labelling.returncode, printed) == (0, quiet.stdout), messages


def test_ctrl_c_ends_the_workers_with_one_line(labelling):
    workers = children(labelling.pid)
    os.killpg(labelling.pid, signal.SIGINT)  # as a terminal does: to all of them
    _, messages = labelling.communicate()
    assert labelling.returncode == 130
    assert messages.splitlines()[-1] == b"[ERROR] interrupted"
    assert b"Traceback" not in messages
    assert not any(map(is_running, workers))


def test_workers_end_with_a_parent_that_is_killed(labelling):
    workers = children(labelling.pid)
    labelling.kill()
    wait_until(lambda: not any(map(is_running, workers)))


def limit_seconds():
    resource.setrlimit(resource.RLIMIT_CPU, (1, 1))


def test_an_image_that_costs_each_worker_its_life_is_unreadable(forest_model, tmp_path):
    """The system ends a process after a second of work, which only one of the images takes."""
    for name in ("forest_1.jpg", "forest_2.jpg", "forest_3.jpg"):
        shutil.copy(CHECKOUT / "forest" / name, tmp_path / name)
    (tmp_path / "forest_2_endless.png").write_bytes(hostile.huge_png(9_000, deep=True))
    ended = run_cold(
        *("test_anomaly_detector.py", "-m", forest_model, "-d", tmp_path),
        *("--json", tmp_path / "rows.json", "--jobs", "1", "--max-pixels", "170M"),
        preexec_fn=limit_seconds,
    )
    assert ended.returncode == 3, ended.stderr
    assert b"forest_2_endless.png: its worker died" in ended.stderr
    found = [json.loads(line) for line in (tmp_path / "rows.json").read_text().splitlines()]
    assert [row["label"] == "unreadable" for row in found] == [False, False, True, False]


FOREST = ("train_anomaly_detector.py", "-d", "forest", "--method=forest", "-n", "500")
COMPONENTS = ("train_autoencoder.py", "-a", "pca", "-d", "digits", "-v", "v.png", "-p", "p.png")


@pytest.mark.parametrize(
    ("command", "after", "sign"),
    [
        (FOREST, b"calibrating", signal.SIGKILL),
        (FOREST, b"calibrating", signal.SIGTERM),
        ((*FOREST[:3], "--method", "memory-bank", "--no-backbone"), b"preparing", signal.SIGKILL),
        (COMPONENTS, b"calibrating", signal.SIGKILL),
    ],
)
def test_all_processes_of_a_training_end_with_one_that_is_killed(command, after, sign, tmp_path):
    mark, environment = marked_environment()
    script, *options = (str(CHECKOUT / word) if word == "forest" else word for word in command)
    with subprocess.Popen(
        [sys.executable, CHECKOUT / script, *options, "-m", "m.model", "--jobs", "2"],
        cwd=tmp_path,
        env={**environment, "TMPDIR": str(tmp_path)},
        stderr=subprocess.PIPE,
    ) as process:
        for line in process.stderr:
            if after in line:
                break
        wait_until(lambda: len(running_with(mark)) >= 3)
        process.send_signal(sign)
    assert process.returncode == -sign
    wait_until(lambda: not running_with(mark))
    assert os.listdir(tmp_path) == []
