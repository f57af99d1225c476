"""Trainings of networks that are killed or interrupted, and their memory."""

import os
import shutil
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

from helpers.scripts import CHECKOUT, heed_interrupts, run_cold, run_script
from pyimagesearch.data import images
from pyimagesearch.detectors import model_file
from pyimagesearch.labelling.images import Labeller

SMALL = ("--filters", "4", "8")


def train_into(folder, dataset, *options, **settings):
    """Train with every output in one folder."""
    return run_script(
        *("train_autoencoder.py", "-d", dataset, "-m", folder / "ae.model"),
        *("--save-dataset", folder / "images.npz", "-v", folder / "vis.png"),
        *("-p", folder / "plot.png", *options),
        **settings,
    )


# So many epochs that a busy machine sends the signal before the last, of a small network.
N_EPOCHS = 7
EPOCHS = ("--epochs", N_EPOCHS, *SMALL)


def begin_and_stop(folder, how):
    """Start a training, and send it a signal after its second epoch."""
    command = [sys.executable, "train_autoencoder.py", "-d", "digits", "-m", folder / "ae.model"]
    command += ["-v", folder / "vis.png", "-p", folder / "plot.png", *map(str, EPOCHS)]
    with subprocess.Popen(
        command, cwd=CHECKOUT, stderr=subprocess.PIPE, preexec_fn=heed_interrupts
    ) as process:
        said = b""
        for line in process.stderr:
            said += line
            if b"[INFO] epoch 2 of " in line:
                time.sleep(0.1)
                process.send_signal(how)
        process.wait()
    return process.returncode, said.decode()


@pytest.fixture(scope="module")
def left(tmp_path_factory):
    """A folder with what a training has left that was killed."""
    folder = tmp_path_factory.mktemp("left")
    status, _ = begin_and_stop(folder, signal.SIGKILL)
    assert status == -signal.SIGKILL
    assert not (folder / "ae.model").exists()
    return folder


def test_killed_and_resumed_it_ends_with_the_same_model(left, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    shutil.copytree(left, killed)
    assert train_into(whole, "digits", *EPOCHS).returncode == 0
    resumed = train_into(killed, "digits", *EPOCHS, "--resume")
    assert resumed.returncode == 0, resumed.stderr.decode()
    assert b"going on after epoch" in resumed.stderr
    assert b"[INFO] epoch 1 of " not in resumed.stderr
    assert (killed / "ae.model").read_bytes() == (whole / "ae.model").read_bytes()
    assert not (killed / "ae.model.training").exists()


def test_ctrl_c_keeps_the_best_epoch_and_says_so(tmp_path):
    status, said = begin_and_stop(tmp_path, signal.SIGINT)
    assert status == 130
    assert "interrupted: keeping epoch" in said
    manifest = model_file.load_model(str(tmp_path / "ae.model")).manifest
    assert 1 <= manifest["hyperparameters"]["best_epoch"] < N_EPOCHS
    Labeller.open(str(tmp_path / "ae.model"))


def test_resume_refuses_the_state_of_another_training(left, tmp_path):
    shutil.copytree(left, tmp_path, dirs_exist_ok=True)
    other = train_into(tmp_path, "digits", "--epochs", "3", "--resume")
    assert other.returncode == 1
    assert b"begun with other options" in other.stderr
    (tmp_path / "ae.model.training").write_bytes(b"PK\x03\x04 not an archive")
    damaged = train_into(tmp_path, "digits", *EPOCHS, "--resume")
    assert damaged.returncode == 1
    assert b"not the state of a training" in damaged.stderr


def test_the_memory_of_training_does_not_grow_with_the_pictures(tmp_path):
    photo = images.read_image(str(CHECKOUT / "forest" / "forest_1.jpg"))
    photos = tmp_path / "photos"
    photos.mkdir()
    rng = np.random.default_rng(0)
    for number in range(1_500):
        y, x = rng.integers(0, 192, 2)
        cv2.imwrite(str(photos / f"{number}.jpg"), photo[y : y + 64, x : x + 64])
    (tmp_path / "few").mkdir()
    for number in range(300):
        shutil.copy(photos / f"{number}.jpg", tmp_path / "few")
    code = (
        "import resource, sys\n"
        "from train_autoencoder import main\n"
        "for dataset in ('few', 'photos'):\n"
        "    print(main(['-d', dataset, *sys.argv[1:]]))\n"
        "    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)\n"
    )
    done = run_cold(
        *("-c", code, "-a", "conv", "-m", "m", "-v", "v.png", "-p", "p.png", "--epochs", "1"),
        *("--image-size", "64", "--colour", "grey", "--filters", "2", "2", "--batch-size", "16"),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
    )
    assert done.returncode == 0, done.stderr.decode()
    first_status, few, second_status, many = map(int, done.stdout.split())
    assert (first_status, second_status) == (0, 0)
    # 1,200 more pictures are 5 MB as bytes and 20 MB as floats, of which several copies are made
    # while components are fitted; TensorFlow keeps something of each training, too.
    assert many - few < 200
