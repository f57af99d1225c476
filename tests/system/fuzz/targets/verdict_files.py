"""Verdicts of inspectors, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path

from pyimagesearch.detectors.model_file import load_model
from pyimagesearch.labelling.inspector_verdicts import (
    COLUMNS,
    FORMAT,
    FORMAT_VERSION,
    load_verdicts,
)
from pyimagesearch.labelling.verdict import ANOMALY, NORMAL
from pyimagesearch.runtime.console import UserError
from tests.system.fuzz import model_seeds
from tests.system.fuzz.case import Case, Target, check_finite
from tests.system.fuzz.mutate import mutated

_N_ROWS = 20


@dataclass(frozen=True)
class Seeds:
    """Verdicts on what a model said.

    Attributes:
        model: its file.
        described: the verdicts as a page saves them, as JSON types.
    """

    model: Path
    described: dict


def make_seeds(folder: Path) -> None:
    model_seeds.make_forest(folder)


def load_seeds(folder: Path) -> Seeds:
    path = folder / "forest.model"
    model = load_model(str(path))
    threshold = model.threshold
    scores = [threshold + (number - _N_ROWS / 2) / 100 for number in range(_N_ROWS)]
    rows = [
        {
            "image": f"{number}.png",
            "label": ANOMALY if score > threshold else NORMAL,
            "score": score,
            "p_value": 0.5,
            "verdict": "defect" if number % 3 else "fine",
        }
        for number, score in enumerate(scores)
    ]
    described = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "model": model.scores_digest(),
        "threshold": threshold,
        "counts": {NORMAL: _N_ROWS, ANOMALY: _N_ROWS},
        "verdicts": rows,
    }
    return Seeds(path, described)


def attack(seeds: Seeds, case: Case) -> None:
    described = json.loads(json.dumps(seeds.described))
    for _ in range(case.rng.choice((0, 1, 1, 2, 4))):
        _change(described, case)
    as_csv = case.chance(0.5)
    data = _csv(described) if as_csv else json.dumps(described).encode()
    if case.chance(0.3):
        data = mutated(case.rng, data)
    path = case.write("verdicts.csv" if as_csv else "verdicts.json", data)
    items, thresholds = load_verdicts(path, str(seeds.model), seed=0, to_choose=case.chance(0.5))
    for item in items:
        check_finite("an image", item.score)
    check_finite("a threshold", *thresholds.values())


def _change(described: dict, case: Case) -> None:
    rng = case.rng
    rows = described.get("verdicts")
    place = rng.choice(rows) if isinstance(rows, list) and rows and case.chance(0.6) else described
    if not isinstance(place, dict):
        place = described
    key = rng.choice([*place, case.value("text")])
    match rng.randrange(5):
        case 0:
            place.pop(key, None)
        case 1 | 2:
            place[key] = case.value("number")
        case 3:
            place[key] = case.value("text")
        case _:
            place[key] = case.value("json")


def _csv(described: dict) -> bytes:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(COLUMNS)
    rows = described.get("verdicts")
    for row in rows if isinstance(rows, list) else []:
        whole = {**described, **row} if isinstance(row, dict) else {}
        writer.writerow([str(whole.get(name, ""))[:10_000] for name in COLUMNS])
    return buffer.getvalue().encode("utf-8", "surrogatepass")


TARGET = Target(
    "verdicts",
    (UserError,),
    make_seeds,
    load_seeds,
    attack,
    values=("json", "number", "text"),
)
