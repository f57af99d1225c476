"""Folders of any size: throughput compared with decoding and scoring alone, memory, resuming.

  python -m benchmarks.folders [--write docs/benchmarks.md] [--rounds 5] [--images 20000]

The peer is a plain loop over the same images, on as many threads: read, extract features, score,
and nothing else. The two take turns; CPU is the median of the rounds, and images per second are
those of the best round, since other work on the machine can only lower them.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

import cv2
import numpy as np

from benchmarks.forest import varied_scenes
from benchmarks.measure import in_turn, machine, measured_parser, ratio, run_python, write_into
from pyimagesearch.data import images
from pyimagesearch.labelling.images import IMAGES_AT_ONCE, Labeller
from pyimagesearch.runtime.system import available_cores
from pyimagesearch.runtime.threads import chunked

SCRIPT = "test_anomaly_detector.py"
N_SCENES = 400
N_FEW = 1_000


def main() -> None:
    ap = measured_parser(__doc__)
    ap.add_argument("--rounds", type=int, default=5)
    ap.add_argument("--images", type=int, default=20_000, metavar="N")
    ap.add_argument("--alone", nargs=2, metavar=("MODEL", "FOLDER"), help=argparse.SUPPRESS)
    args = ap.parse_args()
    if args.alone:
        print(score_alone(*args.alone))
        return
    with tempfile.TemporaryDirectory() as folder:
        table = "\n".join(
            [
                f"Measured on {machine()}, with the forest and images of 256 px.",
                "",
                *folder_table(Path(folder), args.images, args.rounds),
                "",
            ]
        )
    print(table)
    if args.write:
        write_into(args.write, "benchmarks.folders", table)


def folder_table(folder: Path, n_images: int, rounds: int) -> list[str]:
    """The cost of labelling a folder, as rows of a table."""
    model, results = folder / "forest.model", folder / "labels.csv"
    run_python("train_anomaly_detector.py", "-d", "forest", "-m", model, "--method", "forest")
    scenes = varied_scenes(folder / "scenes", N_SCENES)
    few, many = (linked(scenes, folder / str(n), n) for n in (N_FEW, n_images))

    labelling = [SCRIPT, "-m", model, "--csv", results, "-d"]
    runs = in_turn(
        {
            "alone": ["-m", "benchmarks.folders", "--alone", model, many],
            "script": [*labelling, many],
            "page": [*labelling, many, "--report", folder / "report.html"],
            "pages": [*labelling, many, "--report", f"{folder}/report/"],
            # The run that warms up labels all images, and leaves its journal.
            "resumed": [SCRIPT, "-m", model, "-d", many, "--csv", folder / "done.csv", "--resume"],
        },
        rounds,
    )
    few_peak = run_python(*labelling, few).memory
    few_pages_peak = run_python(*labelling, few, "--report", f"{folder}/few/").memory
    rate = {name: n_images / min(u.seconds for u in usages) for name, usages in runs.items()}
    cpu = {name: [1e6 * u.cpu / n_images for u in usages] for name, usages in runs.items()}
    cost = {name: median(values) for name, values in cpu.items()}
    many_peak = median(usage.memory for usage in runs["script"])
    return [
        f"| {n_images:,} images | `{SCRIPT} --csv` | decoding and scoring alone | ratio |",
        "|---|---|---|---|",
        f"| images per second, from the shell | {rate['script']:,.0f} | {rate['alone']:,.0f} "
        f"| {rate['script'] / rate['alone']:.2f} |",
        *(
            f"| the same with `--report {where}` | {rate[name]:,.0f} | "
            f"| {rate[name] / rate['alone']:.2f} |"
            for name, where in (("page", "report.html"), ("pages", "report/"))
        ),
        f"| CPU per image | {cost['script']:.0f} µs | {cost['alone']:.0f} µs "
        f"| {ratio(cpu, 'script', 'alone'):.2f} |",
        f"| `--resume` of a finished run: CPU per image | {cost['resumed']:.0f} µs | | |",
        f"| peak memory for {N_FEW:,} and for {n_images:,} images "
        f"| {few_peak:.0f} MB, {many_peak:.0f} MB | | |",
        "| the same with `--report report/` "
        f"| {few_pages_peak:.0f} MB, {median(u.memory for u in runs['pages']):.0f} MB | | |",
    ]


def linked(scenes: Path, folder: Path, n_images: int) -> Path:
    """A folder of ``n_images`` links to a few hundred images."""
    folder.mkdir()
    files = sorted(scenes.iterdir())
    for number in range(n_images):
        os.link(files[number % len(files)], folder / f"{number:07}.jpg")
    return folder


def score_alone(model: str, folder: str) -> float:
    """The highest score in a folder."""
    labeller = Labeller.open(model)
    cv2.setNumThreads(1)

    def score(paths: list[str]) -> float:
        decoded = (images.read_image(path, labeller.extractor.min_side) for path in paths)
        found = np.stack([labeller.extractor.extract(image) for image in decoded])
        return float(labeller.detector.score(found).max())

    with ThreadPoolExecutor(available_cores()) as pool:
        return max(pool.map(score, chunked(images.list_images(folder), IMAGES_AT_ONCE)))


if __name__ == "__main__":
    main()
