"""Real parts whose light differs between training and test: the notice, and what helps.

  python -m benchmarks.lights [--write docs/benchmarks.md]

Each set is learned and labelled by the scripts with their defaults. Its good test images, taken
under another light than the training images, are then dealt into two halves in the order of their
names: one is added by --update, the other labelled again.
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.measure import CHECKOUT, DATA, machine, measured_parser, needs_real_data, write_into

SETS = ("sdu_fibre/layup", "mvtec_3d_rgb/tire")
TRAIN, TEST = "train_anomaly_detector.py", "test_anomaly_detector.py"


def run(*arguments: object) -> str:
    """Run a script; returns what it says on stderr."""
    command = [sys.executable, *map(str, arguments)]
    ended = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True)
    return ended.stderr


def linked(paths: list[Path], folder: Path) -> Path:
    folder.mkdir()
    for path in paths:
        os.symlink(path, folder / path.name)
    return folder


def labelled(model: Path, folder: Path) -> tuple[str, str]:
    """How many images are anomalies, such as ``15 of 18``, and the notice of a shift, or "none"."""
    rows = model.with_suffix(".csv")
    said = run(TEST, "--model", model, "--dataset", folder, "--csv", rows)
    with rows.open(newline="") as file:
        labels = [row["label"] for row in csv.DictReader(file)]
    _, found, notice = said.partition("the whole batch looks shifted: ")
    return f"{labels.count('anomaly')} of {len(labels)}", notice.split(".")[0] if found else "none"


def measure(name: str, folder: Path) -> list[str]:
    """Rows of one set's table."""
    good = sorted((DATA / name / "test" / "good").iterdir())
    bad = [
        path
        for kind in sorted((DATA / name / "test").iterdir())
        if kind.name != "good"
        for path in sorted(kind.iterdir())
    ]
    all_good = linked(good, folder / "good")
    learned, others = linked(good[1::2], folder / "learned"), linked(good[::2], folder / "others")
    defects = folder / "defects"
    defects.mkdir()
    for number, path in enumerate(bad):
        os.symlink(path, defects / f"{number}{path.suffix}")
    old, new = folder / "old.model", folder / "new.model"
    run(TRAIN, "--dataset", DATA / name, "--model", old)
    run(TRAIN, "--dataset", learned, "--update", old, "--model", new)
    false_alarms, notice = labelled(old, all_good)
    return [
        f"| {name}: good images called anomalies | {false_alarms} |",
        f"| the notice | {notice} |",
        f"| of the half not learned, before and after `--update` with the other "
        f"| {labelled(old, others)[0]}, {labelled(new, others)[0]} |",
        f"| defective ones found, before and after "
        f"| {labelled(old, defects)[0]}, {labelled(new, defects)[0]} |",
    ]


def main() -> None:
    ap = measured_parser(__doc__)
    args = ap.parse_args()
    needs_real_data()
    lines = [f"Measured on {machine()}.", "", "| | |", "|---|---|"]
    for name in SETS:
        with tempfile.TemporaryDirectory() as folder:
            lines += measure(name, Path(folder))
    table = "\n".join(lines) + "\n"
    print(table)
    if args.write:
        write_into(args.write, "benchmarks.lights", table)


if __name__ == "__main__":
    main()
