"""What the tests share: the checkout, the real data, a model, and a way to run the scripts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

import pyimagesearch  # noqa: F401  (sets OpenCV's limits before a test imports OpenCV)

# A busy machine is no failure.
settings.register_profile("project", deadline=None)
settings.load_profile("project")

# As for a user, Python keeps what it compiles: each start of a script saves a tenth of a second.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

CHECKOUT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("ANOMALY_DATA", CHECKOUT.parent / "shared" / "data"))

Run = Callable[..., subprocess.CompletedProcess]


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real data, which is not part of the project."""
    if not DATA.is_dir():
        pytest.skip(f"no real data: set ANOMALY_DATA (looked in {DATA})")
    return DATA


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


@pytest.fixture(scope="session")
def run() -> Run:
    return run_script


@pytest.fixture(scope="session")
def forest_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model trained on the project's own forest."""
    path = tmp_path_factory.mktemp("model") / "forest.model"
    trained = run_script("train_anomaly_detector.py", "-d", "forest", "-m", path)
    assert trained.returncode == 0, trained.stderr.decode()
    return path


@pytest.fixture
def sample_jpeg() -> bytes:
    return (CHECKOUT / "examples" / "forest_1.jpg").read_bytes()


@pytest.fixture(scope="session")
def good_parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rendered good parts, small ones: train/good and test/good."""
    folder = tmp_path_factory.mktemp("parts") / "parts"
    command = ("generate_data.py", "parts", "-o", folder, "--size", "48", "--count", "48")
    made = run_script(*command, "--test-count", "24")
    assert made.returncode == 0, made.stderr.decode()
    return folder


@pytest.fixture(scope="session")
def faulty_parts(good_parts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The good test parts with a defect each, and masks."""
    folder = tmp_path_factory.mktemp("faulty") / "faulty"
    command = ("generate_data.py", "defects", "-b", good_parts / "test" / "good", "-o", folder)
    made = run_script(*command, "--n-samples", "1", "--n-objects", "2")
    assert made.returncode == 0, made.stderr.decode()
    return folder


@pytest.fixture(scope="session")
def parts_model(good_parts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Principal components of the good parts."""
    folder = tmp_path_factory.mktemp("parts_model")
    trained = run_script(
        *("train_autoencoder.py", "-a", "pca", "-d", good_parts / "train" / "good"),
        *("-m", folder / "parts.model", "-v", folder / "v.png", "-p", folder / "p.png"),
    )
    assert trained.returncode == 0, trained.stderr.decode()
    return folder / "parts.model"
