"""Reports that ``anomaly inspect`` serves: their pages, verdicts, and what browsers send."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from helpers.reports import write_page
from pyimagesearch.labelling.verdict import ANOMALY, NORMAL, Verdict
from pyimagesearch.reports.served_report import RecordError, ServedReport
from pyimagesearch.runtime.console import UserError
from tests.system.fuzz.case import Case, Finding, Target
from tests.system.fuzz.mutate import mutated

_N_ROWS = 6
_DATA = re.compile(r'(?<=id="data">).*?(?=</script>)', re.DOTALL)


@dataclass(frozen=True)
class Seeds:
    """A report.

    Attributes:
        page: HTML.
        data: what stands in it, as JSON types.
        verdicts: a file of them.
    """

    page: str
    data: dict
    verdicts: bytes


def make_seeds(folder: Path) -> None:
    verdicts = [
        Verdict(f"{n}.png", ANOMALY if n % 2 else NORMAL, n / 10, 0.5) for n in range(_N_ROWS)
    ]
    write_page(f"{folder}/", verdicts)
    records = [{"index": n, "verdict": "defect", "comment": "=1"} for n in range(3)]
    ServedReport(str(folder)).record(records)


def load_seeds(folder: Path) -> Seeds:
    page = (folder / "index.html").read_text()
    data = json.loads(_DATA.search(page)[0])
    return Seeds(page, data, (folder / "verdicts.csv").read_bytes())


def attack(seeds: Seeds, case: Case) -> None:
    page = seeds.page
    if case.chance(0.5):
        data = json.loads(json.dumps(seeds.data))
        _change(data, case)
        page = _DATA.sub(lambda _: json.dumps(data).replace("<", "\\u003c"), page)
    page_bytes = page.encode("utf-8", "surrogatepass")
    case.write("index.html", mutated(case.rng, page_bytes) if case.chance(0.1) else page_bytes)
    if case.chance(0.5):
        changed = mutated(case.rng, seeds.verdicts) if case.chance(0.7) else seeds.verdicts
        case.write("verdicts.csv", changed)
    report = ServedReport(str(case.folder))
    for index in (0, _N_ROWS, -1):
        if report.image(index) is not None:
            raise Finding("an image that is not there is shown")
    record = {"index": 0, "verdict": "fine", "class": case.value("text")}
    if case.chance(0.5):
        record[case.rng.choice([*record, "comment", "date"])] = case.value("json")
    report.record([record] if case.chance(0.9) else case.value("json"))
    again = ServedReport(str(case.folder))
    if again.records() != report.records():
        raise Finding("what was recorded is read as something else")


def _change(data: dict, case: Case) -> None:
    rows = data["blocks"][0]
    place = case.rng.choice([data, data["settings"], data["blocks"], rows, rows[0]])
    keys = list(place) if isinstance(place, dict) else range(len(place))
    place[case.rng.choice(list(keys))] = case.value(case.rng.choice(["json", "number", "text"]))


TARGET = Target(
    "reports",
    (UserError, RecordError),
    make_seeds,
    load_seeds,
    attack,
    values=("json", "number", "text"),
)
