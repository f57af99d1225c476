"""The list of a folder of models, and the journal of many series that are judged."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pyimagesearch.cli.resume_journal import JOURNAL
from pyimagesearch.cli.series_job import JudgedFile
from pyimagesearch.cli.series_journal import SeriesJournal
from pyimagesearch.detectors.model_file import ModelFileError
from pyimagesearch.detectors.model_folder import LIST, ListedModel, ModelFolder
from pyimagesearch.labelling.many_series import JudgedSeries
from pyimagesearch.labelling.series import Range
from pyimagesearch.labelling.verdict import NORMAL
from pyimagesearch.reports.many_series_page import write_page_of_many
from pyimagesearch.reports.series_sketch import SMALL, Sketch
from pyimagesearch.runtime.atomic_files import PARTIAL
from pyimagesearch.runtime.console import UserError
from tests.system.fuzz.case import Case, Finding, Target, check_finite
from tests.system.fuzz.targets.journals import changed

_NAMES = [f"pump_{number}" for number in range(8)]
_ROWS = "rows.csv"
_RUN = {"model": "0" * 64, "inputs": [["pumps", "/pumps"]]}


def _judged(name: str) -> JudgedFile:
    if name.endswith("5"):
        return JudgedFile(JudgedSeries(name, "damaged"), f"{name}\n".encode())
    found = Range("a", "b", "a", 3.0, 0.01, (2, 5))
    below = Range("c", "d", "c", 1.0, 0.5, (7, 8), None, NORMAL)
    sketch = Sketch.draw(np.arange(30.0), SMALL).to_json()
    series = JudgedSeries(
        name, None, "columns", ("note",), 2.0, 30, 1, "a", "z", (found,), (below,), sketch
    )
    return JudgedFile(series, f"{name}\n".encode())


def _journal(folder: Path) -> SeriesJournal:
    return SeriesJournal({"csv": str(folder / _ROWS)}, _RUN, _NAMES, resume=True)


class _Ended(Exception):
    """Ends a run as a kill does."""


def make_seeds(folder: Path) -> None:
    """A list of models, and a run that was killed after six series."""
    (folder / "a.model").write_bytes(b"a")
    models = {"pump_1": ListedModel.from_file(str(folder), "a.model")}
    ModelFolder(str(folder), {"method": "stream"}, models).save()
    try:
        with _journal(folder) as journal:
            for name in _NAMES[:6]:
                journal.add(_judged(name))
            raise _Ended
    except _Ended:
        return


def load_seeds(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def attack(seeds: dict[str, bytes], case: Case) -> None:
    if case.chance(0.4):
        case.write("a.model", seeds["a.model"])
        case.write(LIST, changed(seeds[LIST], case))
        for model in ModelFolder.load(str(case.folder)).models.values():
            if "/" in model.file or not model.file.endswith(".model"):
                raise Finding(f"a model file {model.file!r}")
        return
    for name in (_ROWS + PARTIAL, _ROWS + JOURNAL):
        case.write(name, changed(seeds[name], case) if case.chance(0.7) else seeds[name])
    with _journal(case.folder) as journal:
        judged = list(journal.done)
        for name in _NAMES[len(judged) :]:
            journal.add(_judged(name))
            judged.append(_judged(name).series)
    if [one.name for one in judged] != _NAMES:
        raise Finding(f"other series than there are: {judged!r:.300}")
    for one in judged:
        for found in one.ranges:
            check_finite("a range", *one.strangeness(found))
    if case.chance(0.1):
        page = case.folder / "page.html"
        write_page_of_many(str(page), "a", judged, lambda names: [() for _ in names])
        if "<script" in page.read_text():
            raise Finding("a script of others on the page")


TARGET = Target(
    "many-series",
    (UserError, ModelFileError),
    make_seeds,
    load_seeds,
    attack,
    values=("cell", "json", "number", "text"),
)
