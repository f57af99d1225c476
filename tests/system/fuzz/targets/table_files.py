"""Series in compressed files, Parquet and Excel sheets, whose bytes are changed."""

from __future__ import annotations

import gzip
import random
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd

from pyimagesearch.data.series import SeriesError
from pyimagesearch.data.series_csv import read_series
from tests.system.fuzz.case import Case, Finding, Target
from tests.system.fuzz.model_changes import changed_archive
from tests.system.fuzz.mutate import mutated

_N_ROWS = 200


def make_seeds(folder: Path) -> None:
    times = pd.date_range("2024-01-01", periods=_N_ROWS, freq="h")
    values = np.round(np.sin(np.arange(_N_ROWS) / 4), 4)
    table = pd.DataFrame({"timestamp": times, "value": values, "site": "north"})
    rows = table.to_csv(index=False).encode()
    (folder / "rows.csv.gz").write_bytes(gzip.compress(rows, mtime=0))
    with zipfile.ZipFile(folder / "rows.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("rows.csv", rows)
    table.to_parquet(folder / "rows.parquet")
    table.to_excel(folder / "rows.xlsx", index=False)


def load_seeds(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def attack(seeds: dict[str, bytes], case: Case) -> None:
    name = case.rng.choice(list(seeds))
    others = [data for other, data in seeds.items() if other != name]
    path = case.write(name, _changed(case.rng, name, seeds[name], others))
    with open(path, "rb") as file:
        series = read_series(file, None, None)
    if not np.isfinite(series.grid().values).all():
        raise Finding("values of the grid are not finite")


def _changed(rng: random.Random, name: str, data: bytes, others: list[bytes]) -> bytes:
    """Change the file's own bytes, or those that are packed in it."""
    if rng.random() < 0.5:
        return mutated(rng, data, others)
    if name.endswith(".gz"):
        return gzip.compress(mutated(rng, gzip.decompress(data)), mtime=0)
    if name.endswith(".parquet"):
        return mutated(rng, data, others)
    return changed_archive(rng, _with_a_member_changed(rng, data) if rng.random() < 0.7 else data)


def _with_a_member_changed(rng: random.Random, data: bytes) -> bytes:
    packed = BytesIO()
    with zipfile.ZipFile(BytesIO(data)) as old, zipfile.ZipFile(packed, "w") as new:
        chosen = rng.choice(old.namelist())
        for name in old.namelist():
            member = old.read(name)
            new.writestr(name, mutated(rng, member) if name == chosen else member)
    return packed.getvalue()


TARGET = Target("tables", (SeriesError,), make_seeds, load_seeds, attack)
