"""The forest compared with the tutorial's scripts: cold start, images per second, memory, accuracy.

  python -m benchmarks.forest [--write docs/benchmarks.md] [--rounds 5]
  python -m benchmarks.forest --seeds 50      (accuracy over many seeds; takes long)

Ratios are medians over rounds in which the peers take turns.
"""

from __future__ import annotations

import argparse
import csv
import io
import itertools
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from statistics import median

import cv2
import numpy as np
import simplejpeg

from benchmarks.measure import (
    CHECKOUT,
    DATA,
    in_turn,
    machine,
    measured_parser,
    ratio,
    run_python,
    write_into,
)
from pyimagesearch.data import images
from pyimagesearch.labelling.images import Labeller
from pyimagesearch.runtime.system import available_cores
from pyimagesearch.runtime.threads import chunked, ordered_map

TUTORIAL = "benchmarks/tutorial.py"
N_FOLDER = 5_000
N_MEMORY = (1_000, 20_000)


def main() -> None:
    ap = measured_parser(__doc__)
    ap.add_argument("--rounds", type=int, default=5)
    ap.add_argument("--seeds", type=int, default=0, metavar="N")
    ap.add_argument("--time", nargs=3, metavar=("WHAT", "MODEL", "FOLDER"), help=argparse.SUPPRESS)
    args = ap.parse_args()
    if args.time:
        print(*time_folder(*args.time))
        return
    with tempfile.TemporaryDirectory() as folder:
        if args.seeds:
            print(seeds_table(Path(folder), args.seeds))
            return
        table = "\n".join(
            [
                f"Measured on {machine()}.",
                "",
                *speed_table(Path(folder), args.rounds),
                "",
                *accuracy_table(Path(folder)),
                "",
            ]
        )
    print(table)
    if args.write:
        write_into(args.write, "benchmarks.forest", table)


def speed_table(folder: Path, rounds: int) -> list[str]:
    ours, theirs = folder / "ours.model", folder / "tutorial.model"
    run_python("train_anomaly_detector.py", "-d", "forest", "-m", ours, "--method", "forest")
    run_python(TUTORIAL, "train", "forest", theirs)
    image = "examples/coast_1.jpg"
    cold = in_turn(
        {
            "ours": ["test_anomaly_detector.py", "-m", ours, "-i", image],
            "tutorial": [TUTORIAL, "test", theirs, image],
        },
        rounds,
    )
    cpu = {name: [usage.cpu for usage in usages] for name, usages in cold.items()}
    memory = {name: median(u.memory for u in usages) for name, usages in cold.items()}
    lines = [
        "| | this toolkit | the tutorial's scripts | ratio |",
        "|---|---|---|---|",
        f"| label one image from the shell: CPU | {median(cpu['ours']):.2f} s "
        f"| {median(cpu['tutorial']):.2f} s | {ratio(cpu, 'ours', 'tutorial'):.2f} |",
        f"| the same: peak memory | {memory['ours']:.0f} MB | {memory['tutorial']:.0f} MB "
        f"| {memory['ours'] / memory['tutorial']:.2f} |",
    ]
    folders = {f"{N_FOLDER:,} rendered scenes, 256 px": varied_scenes(folder / "many", N_FOLDER)}
    if DATA.is_dir():
        folders["787 photos, 150 px (intel_scenes)"] = DATA / "intel_scenes"
    for title, photos in folders.items():
        rates, limit, gain = throughput(ours, theirs, photos, rounds)
        lines.append(
            f"| images per second, {title} | {rates['ours']:,.0f} | {rates['tutorial']:,.0f} "
            f"| {gain:.1f} |"
        )
        lines.append(
            f"| the limit: only decoding, all cores | {rates['decode']:,.0f} | | {limit:.1f} |"
        )
    peaks = []
    for n_images in N_MEMORY:
        photos = varied_scenes(folder / str(n_images), n_images)
        peaks.append(run_python("test_anomaly_detector.py", "-m", ours, "-d", photos).memory)
    lines.append(
        f"| peak memory for {N_MEMORY[0]:,} and for {N_MEMORY[1]:,} images "
        f"| {peaks[0]:.0f} MB, {peaks[1]:.0f} MB | | |"
    )
    return lines


def varied_scenes(folder: Path, n_images: int) -> Path:
    """Crop, mirror and brighten the rendered scenes, at random, into a new folder."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    scenes = [
        cv2.resize(images.read_image(path), (288, 288))
        for source in ("forest", "examples")
        for path in images.list_images(str(CHECKOUT / source))
    ]
    for number, scene in zip(range(n_images), itertools.cycle(scenes)):
        y, x = rng.integers(0, 33, 2)
        image = scene[y : y + 256, x : x + 256][:, :: rng.choice([-1, 1])]
        image = cv2.convertScaleAbs(image, alpha=rng.uniform(0.8, 1.2))
        (folder / f"{number:05}.jpg").write_bytes(images.encode_picture(image, ".jpg"))
    return folder


def throughput(
    ours: Path, theirs: Path, photos: Path, rounds: int
) -> tuple[dict[str, float], float, float]:
    """Images per second of each, and median ratios of decoding and of ours to the tutorial's."""
    timing = ["-m", "benchmarks.forest", "--time"]
    runs = in_turn(
        {
            "ours": [*timing, "ours", ours, photos],
            "tutorial": [TUTORIAL, "folder", theirs, photos],
            "decode": [*timing, "decode", ours, photos],
        },
        rounds,
    )
    rates = {}
    for name, usages in runs.items():
        rates[name] = [float(n) / float(s) for s, n in (u.output.split() for u in usages)]
    return (
        {name: median(values) for name, values in rates.items()},
        ratio(rates, "decode", "tutorial"),
        ratio(rates, "ours", "tutorial"),
    )


def time_folder(what: str, model: str, folder: str) -> tuple[float, int]:
    """Seconds and number of images for labelling a folder, or for only decoding it."""
    jobs = available_cores()
    if what == "ours":
        labeller = Labeller.open(model)
        started = time.perf_counter()
        n_images = sum(1 for _ in labeller.label(images.list_images(folder), jobs))
        return time.perf_counter() - started, n_images

    def decode(paths: list[str]) -> int:
        for path in paths:
            simplejpeg.decode_jpeg(images.read_bytes(path), "BGR")
        return len(paths)

    started = time.perf_counter()
    n_images = sum(ordered_map(decode, chunked(images.list_images(folder), 16), jobs))
    return time.perf_counter() - started, n_images


def labels_of(model: Path, *inputs: Path) -> Counter[str]:
    printed = run_python("test_anomaly_detector.py", "-m", model, "-i", *inputs).output
    return Counter(row["label"] for row in csv.DictReader(io.StringIO(printed, newline="")))


def accuracy_table(folder: Path) -> list[str]:
    model = folder / "accuracy.model"
    lines = ["| trained on | labelled | called anomalies |", "|---|---|---|"]

    def train(dataset: Path | str, *options: object) -> None:
        run_python(
            *("train_anomaly_detector.py", "-d", dataset, "-m", model, "--method", "forest"),
            *options,
        )

    def add(trained_on: str, title: str, *inputs: Path) -> None:
        counts = labels_of(model, *inputs)
        n = counts.total()
        lines.append(
            f"| {trained_on} | {title} | {counts['anomaly']} of {n} ({counts['anomaly'] / n:.1%}) |"
        )

    train("forest")
    for kind in ("forest", "coast", "highway"):
        photos = folder / f"new-{kind}"
        run_python(
            *("generate_data.py", "scenes", "-o", photos, "--kinds", kind),
            *("--count", 50, "--seed", 1000),
        )
        add("`forest/`, 24 rendered forests", f"50 new rendered {kind} images", photos)
    if not DATA.is_dir():
        print(f"[INFO] no real data in {DATA}", file=sys.stderr)
        return lines
    train(DATA / "scenes" / "forest")
    for photo in sorted((DATA / "scenes" / "examples").iterdir()):
        add("the tutorial's 16 forest photos", photo.stem.split("_")[0], photo)
    train(DATA / "intel_scenes" / "train" / "forest", "--false-alarm-rate", 0.05)
    for kind in ("forest", "buildings", "sea"):
        add(
            "400 forest photos (intel_scenes), rate 0.05",
            f"other photos: {kind}",
            DATA / "intel_scenes" / "valid" / kind,
        )
    return lines


def seeds_table(folder: Path, n_seeds: int) -> str:
    """How often each example photo is called an anomaly, over seeds."""
    model, calls = folder / "seed.model", Counter()
    for seed in range(n_seeds):
        run_python(
            *("train_anomaly_detector.py", "-d", DATA / "scenes" / "forest"),
            *("-m", model, "--seed", seed, "--method", "forest"),
        )
        for photo in sorted((DATA / "scenes" / "examples").iterdir()):
            calls[photo.stem] += labels_of(model, photo)["anomaly"]
    return "\n".join(f"{name}: anomaly with {n} of {n_seeds} seeds" for name, n in calls.items())


if __name__ == "__main__":
    main()
