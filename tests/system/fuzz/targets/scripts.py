"""The scripts, as a user calls them, with files of others: what they print, write and end with."""

from __future__ import annotations

import csv
import json
import math
import subprocess
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from helpers.scripts import run_script
from pyimagesearch.labelling.verdict import ANOMALY, NORMAL
from pyimagesearch.runtime.console import EXIT_ANOMALY, EXIT_DONE, EXIT_FAILED, EXIT_UNREADABLE
from tests.system.fuzz.case import Case, Finding, Target
from tests.system.fuzz.model_changes import changed
from tests.system.fuzz.targets import image_files, model_files, series_files

_N_IMAGES = 14
_LONGEST_LINE = 2000  # of what is said, with the names of files
_ENDS = (EXIT_DONE, EXIT_FAILED, EXIT_UNREADABLE, EXIT_ANOMALY)


class RefusedError(Exception):
    """A script has said that it does not take a file."""


@dataclass(frozen=True)
class Seeds:
    """What is changed.

    Attributes:
        models: model files, and what they label.
        images: whole image files of many kinds.
        table: rows of a series.
    """

    models: model_files.Seeds
    images: list[bytes]
    table: list[list[str]]


def make_seeds(folder: Path) -> None:
    for module in (model_files, image_files):
        inner, made = (place / module.TARGET.name for place in (folder, folder.parent))
        if made.is_dir():  # for the target itself
            inner.symlink_to(made)
        else:
            inner.mkdir()
            module.make_seeds(inner)


def load_seeds(folder: Path) -> Seeds:
    models, images = folder / model_files.TARGET.name, folder / image_files.TARGET.name
    table = series_files.table_of(models / "series.csv")
    return Seeds(model_files.load_seeds(models), image_files.load_seeds(images), table)


def attack(seeds: Seeds, case: Case) -> None:
    folder = case.folder
    match case.rng.randrange(6):
        case 0:
            _write_images(seeds, case)
            _label(case, seeds.models.folder / "forest.model")
        case 1:
            _write_images(seeds, case)
            model = (
                "-m",
                folder / "new.model",
                "--method",
                case.rng.choice(("forest", "auto")),
            )
            _run("train_anomaly_detector.py", "-d", folder / "images", *model)
            _label(case, folder / "new.model")
        case 2:
            path = folder / "series.csv"
            path.write_bytes(series_files.crafted(seeds.table, case))
            options = ("-d", path, "-m", folder / "new.model")
            method = case.rng.choice(("nearest-window", "stream"))
            _run("train_anomaly_detector.py", *options, "--method", method)
            _check_rows(_run("find_anomalies.py", *options, "--json", folder / "rows.json"))
            _check_json(folder / "rows.json")
        case _:
            _use_model(seeds.models, case)


def _use_model(seeds: model_files.Seeds, case: Case) -> None:
    content = case.rng.choice(seeds.models)
    path = case.write("changed.model", changed(case, content, seeds.models))
    if content.manifest.get("kind") != "series":
        _label(case, path, images=seeds.folder)
        return
    results = case.folder / "rows.json"
    if case.chance(0.5):
        _check_rows(_run("find_anomalies.py", "-m", path, "-d", seeds.series, "--json", results))
        _check_json(results)
    else:
        follow = ("-m", path, "-d", "-", "--follow", "--save-state", case.folder / "state.model")
        given = seeds.series.read_bytes()
        _check_rows(_run("find_anomalies.py", *follow, given=given))


def _write_images(seeds: Seeds, case: Case) -> None:
    """A folder of images, of which some are changed."""
    folder = case.folder / "images"
    folder.mkdir()
    for number in range(_N_IMAGES):
        data = case.rng.choice(seeds.images)
        if case.chance(0.2):
            data = image_files.changed(case.rng, seeds.images)
        (folder / f"{number}.png").write_bytes(data + bytes(number))


def _label(case: Case, model: object, images: Path | None = None) -> None:
    """Label a folder, with what is written of it."""
    folder = case.folder
    options: list[object] = ["--json", folder / "rows.json"]
    if case.chance(0.5):
        options += ["--report", case.rng.choice((f"{folder}/page.html", f"{folder}/report/"))]
    script = case.rng.choice(("test_anomaly_detector.py", "find_anomalies.py"))
    if case.chance(0.5):
        output = "row.png" if script == "find_anomalies.py" else "pictures/"
        options += ["--output", f"{folder}/{output}"]
    images = folder / "images" if images is None else images
    _check_rows(_run(script, "-m", model, "-d", images, *options))
    _check_json(folder / "rows.json")


def _run(script: str, *options: object, given: bytes = b"") -> str:
    """Call a script; what it prints to stdout."""
    ended = run_script(script, *options, input=given, cwd=Path.cwd())
    said = ended.stderr.decode()
    if max(map(len, said.splitlines()), default=0) > _LONGEST_LINE:
        raise Finding(f"{_shown(ended)}: a line of {len(said):,} characters\n{said[:1000]}")
    if "Traceback" in said or ended.returncode not in _ENDS:
        raise Finding(f"{_shown(ended)}\n{said}")
    if ended.returncode == EXIT_FAILED:
        if said.count("[ERROR] ") != 1 or not said.splitlines()[-1].startswith("[ERROR] "):
            raise Finding(f"{_shown(ended)}: not one sentence\n{said}")
        raise RefusedError(said)
    return ended.stdout.decode()


def _shown(ended: subprocess.CompletedProcess[bytes]) -> str:
    return f"{' '.join(map(str, ended.args))}: exit status {ended.returncode}"


def _check_rows(printed: str) -> None:
    for row in csv.DictReader(StringIO(printed)):
        if row.get("label") in (NORMAL, ANOMALY, None):
            _check_number(row["score"], row)


def _check_json(path: Path) -> None:
    for line in path.read_text().splitlines():
        row = json.loads(line)
        if isinstance(row, dict) and row.get("label") in (NORMAL, ANOMALY):
            _check_number(row["score"], row)


def _check_number(text: str | float, row: dict) -> None:
    if not math.isfinite(float(text)):
        raise Finding(f"a row without a number: {row}")


TARGET = Target(
    "scripts",
    (RefusedError,),
    make_seeds,
    load_seeds,
    attack,
    share=0.1,
    values=("cell", "date", "json", "number", "table", "text"),
)
