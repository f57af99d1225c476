"""CSV of series, as files and as they come: tables that hypothesis draws, and changed ones."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pyimagesearch.data.followed_lines import WholeFile
from pyimagesearch.data.followed_rows import FollowedRows
from pyimagesearch.data.series import NOT_A_TIME, SeriesError
from pyimagesearch.data.series_columns import NOTHING_LEARNED
from pyimagesearch.data.series_csv import read_series
from pyimagesearch.detectors.model_file import load_model
from pyimagesearch.labelling.series import SeriesLabeller
from pyimagesearch.labelling.stream import Follower
from pyimagesearch.reports import series as reports
from tests.system.fuzz import model_seeds
from tests.system.fuzz.case import Case, Finding, Target, check_finite
from tests.system.fuzz.mutate import mutated

_ENDLESS = 1 / 1000  # of all cases: they take a while
_MOST_FOLLOWED = 2000  # rows


@dataclass(frozen=True)
class Seeds:
    """A whole series, and models of it.

    Attributes:
        table: its rows, of cells.
        windows: a model file.
        stream: another, whose detector changes with each row.
    """

    table: list[list[str]]
    windows: Path
    stream: Path


def make_seeds(folder: Path) -> None:
    model_seeds.make_series_models(folder)


def load_seeds(folder: Path) -> Seeds:
    return Seeds(
        table_of(folder / "series.csv"), folder / "nearest-window.model", folder / "stream.model"
    )


def table_of(path: Path) -> list[list[str]]:
    """The rows of a series."""
    return [line.split(",") for line in path.read_text().splitlines()]


def attack(seeds: Seeds, case: Case) -> None:
    path = case.write("series.csv", crafted(seeds.table, case))
    if case.chance(0.4):
        _follow(seeds, path, case)
        return
    labeller = SeriesLabeller.from_model(load_model(str(seeds.windows)))
    learned = labeller.learned if case.chance(0.5) else NOTHING_LEARNED
    with open(path, "rb") as file:
        series = read_series(file, None, None, learned)
    grid = series.grid()
    if not np.isfinite(grid.values).all():
        raise Finding("values of the grid are not finite")
    scored = labeller.label(series, grid)
    for found in labeller.compared(scored, grid, scored.ranges(labeller.threshold)):
        check_finite("a range", found.score, found.p_value)
        if found.comparison and not found.comparison.difference:
            raise Finding("a range that differs in nothing")
    with open(case.folder / "rows.csv", "wb") as file:
        reports.write_csv(file, scored, labeller.threshold)
    with open(case.folder / "rows.json", "wb") as file:
        reports.write_json(file, scored, labeller.threshold)


def _follow(seeds: Seeds, path: str, case: Case) -> None:
    columns = (None, None) if case.chance(0.7) else ("timestamp", ("value", "other"))
    labeller = SeriesLabeller.from_model(load_model(str(seeds.stream)))
    with open(path, "rb") as file:
        if case.chance(0.5):
            follower = Follower(labeller, labeller.threshold)
            rows = FollowedRows(WholeFile(file), *columns, labeller.learned)
            for row in itertools.islice(rows, _MOST_FOLLOWED):
                found = follower.judge(row)
                if found.score is not None:
                    check_finite("a row", found.score, found.p_value)
            return
        rows = FollowedRows(WholeFile(file), *columns, NOTHING_LEARNED)
        for row in itertools.islice(rows, _MOST_FOLLOWED):
            if row.time is not None and not NOT_A_TIME <= row.time < 2**63:
                raise Finding(f"a time of {row.time}")
            if np.isinf(row.values).any():
                raise Finding("an infinite value")


def crafted(table: list[list[str]], case: Case) -> bytes:
    """A series with changes, or a table that hypothesis drew."""
    rng = case.rng
    if case.chance(_ENDLESS):
        return _endless(case)
    if case.chance(0.3):
        return mutated(rng, case.value("table"))
    rows = [list(row) for row in table[: rng.choice((2, 30, 200, 400))]]
    for _ in range(rng.choice((1, 1, 2, 5, 50))):
        row = rng.choice(rows[: rng.choice((1, len(rows)))])
        match rng.randrange(8):
            case 0 if row:
                del row[rng.randrange(len(row))]
            case 1:
                row.append(case.value("cell"))
            case 2:
                rows.insert(rng.randrange(len(rows)), [case.value("cell")])
            case 3:
                rows[1:] = rng.sample(rows[1:], len(rows) - 1)
            case 4 if row:
                row[0] = case.value("date")
            case 5 if row:  # a whole column
                column = rng.randrange(len(row))
                said = [case.value(rng.choice(("date", "cell", "number"))) for _ in range(3)]
                for other in rows[rng.choice((0, 1)) :]:
                    if column < len(other):
                        other[column] = str(rng.choice(said))
            case _ if row:
                row[rng.randrange(len(row))] = case.value("cell")
    text = rng.choice("\n\n\n\r").join(rng.choice(",,,;").join(row) for row in rows)
    data = text.encode("utf-8", "surrogatepass")
    return mutated(rng, data) if case.chance(0.2) else data


def _endless(case: Case) -> bytes:
    """Very many columns, or lines or cells that do not end."""
    many = 10 ** case.rng.randrange(4, 8)
    kinds = (b"a,", b"1,", b"1\n", b'"', b"x", b"timestamp,", b"\n", b" ", b"9")
    head = case.rng.choice((b"", b"timestamp,value\n", b"timestamp,value\n2026-01-01,1\n"))
    return head + case.rng.choice(kinds) * many


TARGET = Target(
    "series",
    (SeriesError,),
    make_seeds,
    load_seeds,
    attack,
    values=("cell", "date", "number", "table"),
)
