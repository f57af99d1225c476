"""What is killed: commands, the files that they find, and how one knows that they are done."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from helpers.scripts import CHECKOUT, run_cold
from pyimagesearch.data import images

N_TINY = 400
ODD_NAMES = {7: "new\nline", 8: 'quo"te,', 9: "=formula", 10: os.fsdecode(b"no \xff utf")}
OLDER = b"an older file\n"


@dataclass(frozen=True)
class Command:
    """A command that is killed, and then given again.

    Args:
        script: its name.
        arguments: that name its files relative to the folder that it is run in.
        older: files of an earlier command that it replaces, by name.
        given: files of ``make_inputs`` that it changes, by the name that a copy has in its folder.
        grows: files that may be seen while they grow, by whole rows; others are whole or older.
        once: the file that it changes, and must not change again, once it is done.
        rows: the number of rows, and the file of CSV that has as many when it is done; it then
            has to be asked to end, once it says that it watches.
        statuses: with which it ends well.
    """

    script: str
    arguments: tuple[str, ...]
    older: tuple[str, ...] = ()
    given: tuple[tuple[str, str], ...] = ()
    grows: tuple[str, ...] = ()
    once: str | None = None
    rows: tuple[int, str] | None = None
    statuses: tuple[int, ...] = (0,)

    def prepare(self, inputs: Path, folder: Path) -> None:
        """Fill an empty folder with what it finds."""
        for name in self.older:
            (folder / name).write_bytes(OLDER)
        for source, name in self.given:
            copy = shutil.copytree if (inputs / source).is_dir() else shutil.copy
            copy(inputs / source, folder / name)

    def has_all_rows(self, folder: Path) -> bool:
        """Whether it waits for more rows than there are to come."""
        n_rows, name = self.rows
        path = folder / name
        if not path.exists():
            return False
        with open(path, newline="", errors="surrogateescape") as file:
            return sum(1 for _ in csv.reader(file)) > n_rows


# All but the names of the script's inputs, which lie next to the folder.
_LABEL = ("-m", "../inputs/forest.model", "-d", "../inputs/tiny", "--jobs", "2")
_SERIES = ("-m", "../inputs/stream.model", "-d", "../inputs/jump.csv")
_MANY = ("-m", "../inputs/stream.model", "-d", "../inputs/pumps", "--jobs", "2")
_PLOTS = ("--output", "p.png", "--report", "r.html")
_VALIDATE = ("-m", "m.model", "--normal", "../inputs/whole", "--anomalous", "../inputs/coast")
_RULE = ("--threshold", "quantile", "--quantile", "0.9")
_FILES = ("--csv", "v.csv", "--json", "v.json", "--scores", "s.csv", "--plot", "v.png")
_SMALL = ("--size", "48", "--count", "60", "--test-count", "30")
_CHEAP = ("--no-backbone", "--image-size", "64")
_LEAST = ("--method", "gaussian", *_CHEAP)  # which takes the least time
_NETWORK = ("-d", "digits", "-v", "vis.png", "-p", "plot.png", "-m", "m.model", "--resume")

COMMANDS = {
    "csv": Command(
        "test_anomaly_detector.py",
        (*_LABEL, "--csv", "t.csv", "--json", "t.json", "--output", "labelled", "--resume"),
        older=("t.csv", "t.json"),
        statuses=(3,),
    ),
    "report": Command(
        "test_anomaly_detector.py",
        (*_LABEL, "--csv", "t.csv", "--report", "r/", "--resume"),
        statuses=(3,),
    ),
    "watch": Command(
        "test_anomaly_detector.py",
        ("-m", "../inputs/forest.model", "--watch", "../inputs/whole", "--csv", "t.csv"),
        grows=("t.csv",),
        rows=(N_TINY, "t.csv"),
    ),
    "find": Command(
        "find_anomalies.py",
        (*_LABEL, *_RULE, "--csv", "t.csv", "--report", "r/", "--resume"),
        older=("t.csv",),
        statuses=(3,),
    ),
    "series": Command(
        "find_anomalies.py",
        (*_SERIES, *_PLOTS, "--csv", "t.csv", "--save-state", "state.model"),
        older=("t.csv", "p.png"),
    ),
    "many-series": Command(
        "find_anomalies.py",
        (*_MANY, "--csv", "t.csv", "--json", "t.json", "--report", "r/", "--resume"),
        older=("t.csv",),
    ),
    "many-models": Command(
        "train_anomaly_detector.py",
        ("-d", "../inputs/pumps", "-m", "new.models", "--resume", "--jobs", "2"),
        statuses=(3,),
    ),
    "more-models": Command(
        "train_anomaly_detector.py",
        ("-d", "../inputs/pumps", "-m", "some.models", "--resume", "--jobs", "2"),
        given=(("some.models", "some.models"),),
        statuses=(3,),
    ),
    "train": Command(
        "train_anomaly_detector.py",
        ("-d", "../inputs/few", "-m", "m.model", *_LEAST, "--jobs", "2"),
    ),
    "forest": Command(
        "train_anomaly_detector.py",
        ("-d", "../inputs/few", "-m", "m.model", "--method", "forest", "--jobs", "2"),
        given=(("forest.model", "m.model"),),
    ),
    "update": Command(
        "train_anomaly_detector.py",
        ("-d", "../inputs/few", "-m", "m.model", "--update", "m.model", "--jobs", "2"),
        given=(("bank.model", "m.model"),),
        once="m.model",
    ),
    "network": Command(
        "train_autoencoder.py",
        (*_NETWORK, "--epochs", "4", "--filters", "4", "8", "--save-dataset", "set.npz"),
        older=("vis.png", "plot.png"),
    ),
    "components": Command("train_autoencoder.py", (*_NETWORK[:-1], "-a", "pca", "--jobs", "2")),
    "validation": Command(
        "generate_validation_metrics.py",
        (*_VALIDATE, *_FILES, "--update", "--jobs", "2"),
        older=("v.csv",),
        given=(("forest.model", "m.model"),),
        once="m.model",
    ),
    "data": Command(
        "generate_data.py",
        ("parts", "--output", "parts", *_SMALL),
        given=(("parts", "parts"),),
    ),
    "defects": Command(
        "generate_data.py",
        ("defects", "--backgrounds", "../inputs/few", "--output", "faulty"),
        given=(("faulty", "faulty"),),
    ),
}


def make_inputs(folder: Path) -> None:
    """Make what all commands read: pictures of few pixels, and models.

    Raises:
        AssertionError: a command fails.
    """
    folder.mkdir()
    scenes = sorted((CHECKOUT / "forest").glob("*.jpg"))[:5]
    write_tiny(folder / "tiny", N_TINY, scenes, broken=37)
    write_tiny(folder / "whole", N_TINY, scenes)
    write_tiny(folder / "few", 24, scenes)
    write_tiny(folder / "coast", 40, sorted((CHECKOUT / "examples").glob("coast*.jpg")))
    shutil.copy(CHECKOUT / "examples" / "daily_jump.csv", folder / "jump.csv")
    series = CHECKOUT / "examples" / "daily_normal.csv"
    write_series(folder / "pumps", series, 30)
    write_series(folder / "some", series, 10)
    train = "train_anomaly_detector.py"
    for script, *arguments in (
        (train, "-d", "few", "-m", "forest.model", "--method", "forest", "-n", "100"),
        (train, "-d", "few", "-m", "bank.model", "--method", "memory-bank", *_CHEAP),
        (train, "-d", series, "-m", "stream.model", "--method", "stream"),
        (train, "-d", "some", "-m", "some.models"),
        ("generate_data.py", "parts", "-o", "parts", *_SMALL[:2], "--count", "2"),
        ("generate_data.py", "defects", "-b", "few", "-o", "faulty", "--n-samples", "1"),
    ):
        ended = run_cold(CHECKOUT / script, *arguments, cwd=folder)
        assert ended.returncode in (0, 3), ended.stderr.decode()


def write_series(folder: Path, source: Path, count: int) -> None:
    """Write parts of a series as files of their own, with odd names, and one that is too short."""
    folder.mkdir()
    header, *rows = source.read_text().splitlines()
    for number in range(count):
        name = f"{number:02}{ODD_NAMES.get(number, '')}"
        own = rows[20 * number : 20 * number + (5 if number == 5 else 1200)]
        (folder / f"{name}.csv").write_text("\n".join((header, *own)) + "\n")


def write_tiny(folder: Path, count: int, scenes: Sequence[Path], broken: int | None = None) -> None:
    """Write pictures of few pixels, some with odd names, and of so many one broken."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    photos = [images.read_image(str(path)) for path in scenes]
    for number in range(count):
        y, x = rng.integers(0, 200, 2)
        part = photos[number % len(photos)][y : y + 40, x : x + 40]
        content = images.encode_picture(part, ".jpg")
        is_broken = broken is not None and number % broken == 0
        name = f"{number:03}{ODD_NAMES.get(number % 50, '')}.jpg"
        (folder / name).write_bytes(content[:200] if is_broken else content)
