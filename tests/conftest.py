"""What the tests share: the checkout, the real data, a model, and a way to run the scripts."""

from __future__ import annotations

import logging
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from helpers.scripts import CHECKOUT, run_script

# A busy machine is no failure.
settings.register_profile("project", deadline=None)
settings.load_profile("project")

# As for a user, Python keeps what it compiles: each start of a script saves a tenth of a second.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

DATA = Path(os.environ.get("ANOMALY_DATA", CHECKOUT.parent / "shared" / "data"))

Run = Callable[..., subprocess.CompletedProcess]


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """Have a script that a test calls leave no handler to the tests that follow."""
    logger = logging.getLogger("pyimagesearch")
    handlers, level, propagate = list(logger.handlers), logger.level, logger.propagate
    yield
    logger.handlers[:], logger.propagate = handlers, propagate
    logger.setLevel(level)


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real data, which is not part of the project."""
    if not DATA.is_dir():
        pytest.skip(f"no real data: set ANOMALY_DATA (looked in {DATA})")
    return DATA


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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what lies below tests/system, and what needs the real data."""
    system = Path(__file__).parent / "system"
    for item in items:
        if system in item.path.parents or "data" in getattr(item, "fixturenames", ()):
            item.add_marker("system")
