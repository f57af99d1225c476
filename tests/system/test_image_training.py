"""A training on images that is killed."""

import signal
import subprocess
import sys
import time

import numpy as np

from helpers.scripts import CHECKOUT
from pyimagesearch.detectors import model_file


def test_killed_while_training_there_is_no_model_or_a_whole_one(tmp_path):
    model = tmp_path / "killed.model"
    command = [sys.executable, "train_anomaly_detector.py", "-d", "forest", "-m", model]
    command += ["--method", "gaussian", "--image-size", "64"]  # which takes the least time
    started = time.monotonic()
    subprocess.run(command, cwd=CHECKOUT, check=True, capture_output=True)
    whole = time.monotonic() - started
    rng = np.random.default_rng(0)
    for _ in range(6):
        model.unlink(missing_ok=True)
        with subprocess.Popen(command, cwd=CHECKOUT, stderr=subprocess.DEVNULL) as process:
            time.sleep(rng.uniform(0.5, 1.1) * whole)
            process.send_signal(signal.SIGKILL)
        if model.exists():
            model_file.load_model(str(model))
