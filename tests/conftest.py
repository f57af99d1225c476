"""What the tests share: the real data, models that they only read, and a way to run the scripts."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from helpers.scripts import CHECKOUT, run_script
from helpers.shared import Shared

pytest_plugins = ["helpers.browsers", "helpers.reports"]  # for their fixtures

# A busy machine is no failure.
settings.register_profile("project", deadline=None)
settings.load_profile("project")

# As for a user, Python keeps what it compiles: each start of a script saves a tenth of a second.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

DATA = Path(os.environ.get("ANOMALY_DATA", CHECKOUT.parent / "shared" / "data"))

TESTS = Path(__file__).parent
# Those with the longest files first.
FOLDERS = ("system", "networks", "cli")

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


def run_well(*command: object, **options: object) -> None:
    """Run a script that must end well."""
    ended = run_script(*command, **options)
    assert ended.returncode == 0, ended.stderr.decode()


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Shared:
    return Shared(tmp_path_factory)


@pytest.fixture
def fresh_copy(tmp_path: Path) -> Path:
    """The checkout's files that git knows, somewhere else."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    copy = tmp_path / "checkout"
    for name in filter(None, listed.split("\0")):
        if (CHECKOUT / name).exists():
            target = copy / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(CHECKOUT / name, target)
    return copy


@pytest.fixture(scope="session")
def forest_model(shared: Shared) -> Path:
    """A model trained on the project's own forest, of fewer trees than by default."""

    def train(folder: Path) -> None:
        run_well(
            *("train_anomaly_detector.py", "-d", "forest", "-m", folder / "forest.model"),
            *("--method", "forest", "--n-estimators", "400"),
        )

    return shared.folder("forest", train) / "forest.model"


@pytest.fixture
def few_forests(tmp_path: Path) -> Path:
    """A folder with eight of the project's forests."""
    folder = tmp_path / "few forests"
    folder.mkdir()
    for number in range(1, 9):
        shutil.copy(CHECKOUT / "forest" / f"forest_{number}.jpg", folder)
    return folder


@pytest.fixture
def sample_jpeg() -> bytes:
    return (CHECKOUT / "examples" / "forest_1.jpg").read_bytes()


@pytest.fixture(scope="session")
def good_parts(shared: Shared) -> Path:
    """Rendered good parts, small ones: train/good and test/good."""

    def render(folder: Path) -> None:
        run_well(
            *("generate_data.py", "parts", "-o", folder / "parts", "--size", "48"),
            *("--count", "48", "--test-count", "24"),
        )

    return shared.folder("good_parts", render) / "parts"


@pytest.fixture(scope="session")
def faulty_parts(good_parts: Path, shared: Shared) -> Path:
    """The good test parts with a defect each, and masks."""

    def spoil(folder: Path) -> None:
        run_well(
            *("generate_data.py", "defects", "-b", good_parts / "test" / "good"),
            *("-o", folder / "faulty", "--n-samples", "1", "--n-objects", "2"),
        )

    return shared.folder("faulty_parts", spoil) / "faulty"


@pytest.fixture(scope="session")
def parts_model(good_parts: Path, shared: Shared) -> Path:
    """Principal components of the good parts."""

    def train(folder: Path) -> None:
        run_well(
            *("train_autoencoder.py", "-a", "pca", "-d", good_parts / "train" / "good"),
            *("-m", folder / "parts.model", "-v", folder / "v.png", "-p", folder / "p.png"),
        )

    return shared.folder("parts_model", train) / "parts.model"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what lies below tests/system, and what needs the real data; begin with what takes long.

    A file of many seconds that begins last would keep one process at work while the others wait.
    """
    items.sort(key=_place)
    is_elsewhere = hasattr(sys.modules.get("sitecustomize"), "MISSING_MODULES")
    for item in items:
        if is_elsewhere and item.get_closest_marker("unix"):
            item.add_marker(pytest.mark.skip("of Unix, which this is not, for the package"))
        if TESTS / "system" in item.path.parents or "data" in getattr(item, "fixturenames", ()):
            item.add_marker("system")


def _place(item: pytest.Item) -> int:
    """The place of a test's folder below ``tests`` in the order in which they are run."""
    places = (n for n, name in enumerate(FOLDERS) if TESTS / name in item.path.parents)
    return next(places, len(FOLDERS))
