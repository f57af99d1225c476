"""The checkout, and ways to run its scripts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pyimagesearch  # noqa: F401  (sets OpenCV's limits before a test imports OpenCV)

CHECKOUT = Path(__file__).resolve().parents[2]
SCRIPTS = [
    "generate_data.py",
    "train_anomaly_detector.py",
    "test_anomaly_detector.py",
    "train_autoencoder.py",
    "find_anomalies.py",
    "generate_validation_metrics.py",
]


def run_script(*arguments: object, **options: object) -> subprocess.CompletedProcess:
    """Run one of the project's scripts (or ``-c``/``-m`` ...) as a user would."""
    options.setdefault("capture_output", True)
    options.setdefault("timeout", 300)
    options.setdefault("cwd", CHECKOUT)
    return subprocess.run([sys.executable, *map(os.fspath, map(_text, arguments))], **options)


def _text(argument: object) -> str | bytes:
    return argument if isinstance(argument, (str, bytes)) else str(argument)


def heed_interrupts() -> None:
    """For ``Popen``'s ``preexec_fn``: what is started in the background would ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
