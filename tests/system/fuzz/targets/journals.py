"""Journals of --resume, and the CSV that --watch adds to: left by whatever run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pyimagesearch.cli.resume_journal import JOURNAL, Journal, described
from pyimagesearch.cli.watch_folder import GrowingCsv
from pyimagesearch.labelling.batch_shift import Batch
from pyimagesearch.labelling.capture_conditions import CONDITIONS
from pyimagesearch.labelling.verdict import ANOMALY, NORMAL, UNREADABLE, Verdict
from pyimagesearch.reports.rows import RowWriter
from pyimagesearch.runtime.console import UserError
from tests.system.fuzz.case import Case, Finding, Target, check_finite
from tests.system.fuzz.mutate import mutated

_IMAGES = [f"photos/{number}.jpg" for number in range(12)]


def _verdicts(paths: Iterator[str]) -> Iterator[Verdict]:
    for number, path in enumerate(paths):
        if number % 5 == 4:
            yield Verdict(path, UNREADABLE, reason="damaged")
        else:
            label = ANOMALY if number % 3 else NORMAL
            conditions = np.full(len(CONDITIONS), 0.5, np.float32)
            yield Verdict(path, label, 0.1 * number, 0.5, conditions=conditions)


def _run() -> dict:
    # The folder is the case's own, wherever that is.
    return described("0" * 64, 0.5, [], None) | {"inputs": [["photos", "/photos"]]}


def make_seeds(folder: Path) -> None:
    """A run that was killed after six images, and a watch."""
    results = str(folder / "rows.csv")
    journal = Journal([results], _run, _IMAGES, resume=True)
    with journal:
        for number, _ in enumerate(journal.verdicts(_verdicts)):
            if number == 6:
                break
    with GrowingCsv(str(folder / "watch.csv"), _run()) as table:
        for verdict in _verdicts(iter(_IMAGES)):
            table.write(verdict)


def load_seeds(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def attack(seeds: dict[str, bytes], case: Case) -> None:
    name = case.rng.choice(("rows.csv", "watch.csv"))
    for own in (name, name + JOURNAL):
        if own in seeds:
            case.write(own, changed(seeds[own], case) if case.chance(0.7) else seeds[own])
    path = str(case.folder / name)
    if name == "watch.csv":
        with GrowingCsv(path, _run()) as table:
            if not all(isinstance(known, str) for known in table.names):
                raise Finding("names that are no text")
            for verdict in _verdicts(iter(_IMAGES)):
                table.write(verdict)
        return
    journal = Journal([path], _run, _IMAGES, resume=True)
    batch = Batch(np.linspace(0, 1, 40), None)
    with open(case.folder / "stdout", "wb") as stdout, journal, RowWriter(stdout) as rows:
        images = []
        for verdict in journal.verdicts(_verdicts):
            _check(verdict)
            rows.write(verdict)
            batch.add(verdict.score, verdict.conditions)
            images.append(verdict.image)
    if images != _IMAGES:
        raise Finding(f"other images than there are: {images!r:.300}")


def _check(verdict: Verdict) -> None:
    if verdict.label in (NORMAL, ANOMALY):
        check_finite(verdict.label, verdict.score, verdict.p_value)
    elif verdict.label != UNREADABLE:
        raise Finding(f"the label {verdict.label!r}")


def changed(data: bytes, case: Case) -> bytes:
    rng = case.rng
    if case.chance(0.4):
        return mutated(rng, data)
    lines = data.splitlines(keepends=True)
    for _ in range(rng.choice((1, 1, 2, 4))):
        chosen = rng.randrange(len(lines)) if lines else 0
        match rng.randrange(7):
            case 0 if lines:
                del lines[chosen]
            case 1 if lines:
                lines.insert(rng.randrange(len(lines)), lines[chosen])
            case 2 if lines:
                lines[chosen] = lines[chosen][: rng.randrange(len(lines[chosen]) + 1)]
            case 3:
                lines.insert(chosen, case.value("text").encode("utf-8", "replace") + b"\n")
            case _ if lines:
                lines[chosen] = _changed_line(lines[chosen], case)
    return b"".join(lines)


def _changed_line(line: bytes, case: Case) -> bytes:
    """A value of a line of JSON replaced, or a cell of one of CSV."""
    try:
        found = json.loads(line)
    except ValueError:
        cells = line.decode("utf-8", "replace").rstrip("\n").split(",")
        cells[case.rng.randrange(len(cells))] = case.value("cell")
        return (",".join(cells) + "\n").encode("utf-8", "replace")
    if isinstance(found, dict):
        key = case.rng.choice([*found, case.value("text")])
        inside = found.get(key)
        if isinstance(inside, dict) and inside and case.chance(0.8):
            inside[case.rng.choice(list(inside))] = case.value("json")
        else:
            found[key] = case.value(case.rng.choice(("json", "number", "text")))
    return json.dumps(found).encode() + b"\n"


TARGET = Target(
    "journals",
    (UserError,),
    make_seeds,
    load_seeds,
    attack,
    values=("cell", "json", "number", "text"),
)
