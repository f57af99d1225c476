"""The cost of an image with each executor, and an estimate for a billion images.

  python -m benchmarks.scaling [--write docs/scaling.md]

CPU seconds are those of a command and all processes that it started; the cost of starting is
measured with few images and subtracted.
"""

from __future__ import annotations

import argparse
import math
import pickle
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import psutil

from benchmarks.empty import Empty
from benchmarks.forest import varied_scenes
from benchmarks.measure import CHECKOUT, DATA, machine, measured_parser, run_python, write_into
from pyimagesearch.cli.labelling_job import LabellingJob
from pyimagesearch.data import images
from pyimagesearch.labelling.images import Labeller
from pyimagesearch.labelling.model_reference import ModelReference
from pyimagesearch.labelling.verdict import NORMAL, Verdict
from pyimagesearch.reports.rows import csv_row
from pyimagesearch.runtime import parallel

NETWORK = DATA / "backbones" / "resnet18_trunk.onnx"
BOTTLES = DATA / "mvtec_ad" / "bottle"
N_LISTED, N_EMPTY = 20_000, 100_000
N_TO_START = 128  # a chunk for each worker of the cluster
EXECUTORS = {"threads": None, "processes": None, "cluster": "local[2]"}

# What the plan assumes, and does not measure.
N_PLANNED = 1_000_000_000
CORES = 1_000
CORES_A_MACHINE = 32
HOURS_BETWEEN_LOSSES = 500  # of a machine that may be taken away at any time
DEADLY_SHARE = 1e-6
STORE_BYTES_A_SECOND = 5e9
LARGE_BYTES = 4e6  # of a photo of 16 megapixels
CHUNK = 64


def main() -> None:
    ap = measured_parser(__doc__)
    ap.add_argument("--label", nargs="+", help=argparse.SUPPRESS)
    args = ap.parse_args()
    if args.label:
        label_images(*args.label)
        return
    with tempfile.TemporaryDirectory() as folder:
        text = report(Path(folder))
    print(text)
    if args.write:
        write_into(args.write, "benchmarks.scaling", text)


def label_images(executor: str, model: str, folder: str, n_images: str) -> None:
    """Label a number of images of a folder, which is repeated where it has fewer."""
    n = int(n_images)
    scheduler = EXECUTORS[executor]
    if model == "empty":
        done = parallel.run_task(Empty(), (f"{folder}/{i:09}.jpg" for i in range(n)), 2, scheduler)
    else:
        paths = list(images.list_images(folder))
        paths = [paths[i % len(paths)] for i in range(n)]
        labeller = Labeller.open(model)
        if executor == "threads":
            done = labeller.label(paths, 2)
        else:
            job = LabellingJob(ModelReference.to(labeller, model))
            done = parallel.run_task(job, paths, 2, scheduler)
    if sum(1 for _ in done) != n:
        raise ValueError("images were lost")


@dataclass(frozen=True)
class Cost:
    """CPU seconds of a command, and with its processes; MB of the largest process and of all."""

    root: float
    cpu: float
    largest: float
    memory: float


def cost_of(executor: str, model: object, folder: object, n_images: int) -> Cost:
    """Run ``label_images`` and watch the processes that it starts."""
    command = ["-m", "benchmarks.scaling", "--label", executor, model, folder, n_images]
    process = subprocess.Popen([sys.executable, *map(str, command)], cwd=CHECKOUT)
    cpu: dict[int, float] = {}
    largest = memory = 0.0
    while process.poll() is None:
        sizes = []
        try:
            root = psutil.Process(process.pid)
            for one in (root, *root.children(recursive=True)):
                times = one.cpu_times()
                cpu[one.pid] = times.user + times.system
                sizes.append(one.memory_info().rss / 1024**2)
        except psutil.NoSuchProcess:
            continue
        largest, memory = max(largest, *sizes), max(memory, sum(sizes))
        time.sleep(0.05)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return Cost(cpu[process.pid], sum(cpu.values()), largest, memory)


def report(folder: Path) -> str:
    many, large = varied_scenes(folder / "many", 1_000), folder / "large"
    large.mkdir()
    for number in range(16):
        write_large(large / f"{number}.jpg", number)
    forest = folder / "forest.model"
    run_python("train_anomaly_detector.py", "-d", "forest", "-m", forest, "--method", "forest")
    rows = {
        "forest, 256 px": (forest, many, 5_000),
        "forest, 16 megapixels": (forest, large, 128),
    }
    if NETWORK.is_file():
        patches = folder / "patches.model"
        good = BOTTLES / "train" / "good"
        run_python(
            *("train_anomaly_detector.py", "-d", good, "-m", patches),
            *("--method", "memory-bank", "--backbone", NETWORK),
        )
        rows["memory bank on ResNet-18, 450 px"] = (patches, BOTTLES / "test", 256)

    lines = [f"Measured on {machine()}.", "", *decoding(many, large), ""]
    costs: dict[str, dict[str, float]] = {}
    lines += [
        "| CPU for each image | " + " | ".join(EXECUTORS) + " |",
        "|---|" + "---|" * len(EXECUTORS),
    ]
    peaks: dict[tuple[str, str], Cost] = {}
    for title, (model, photos, n) in rows.items():
        costs[title] = {}
        for executor in EXECUTORS:
            few, whole = (cost_of(executor, model, photos, k) for k in (N_TO_START, N_TO_START + n))
            peaks[title, executor] = whole
            costs[title][executor] = (whole.cpu - few.cpu) / n
        cells = (f"{1000 * cost:.2f} ms" for cost in costs[title].values())
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    lines += ["", "| | " + " | ".join(EXECUTORS) + " |", "|---|" + "---|" * len(EXECUTORS)]
    cells = (f"{cost_of(executor, forest, many, 1).cpu:.2f} s" for executor in EXECUTORS)
    lines.append("| CPU to start and label one image | " + " | ".join(cells) + " |")
    for title in rows:
        cells = (
            f"{peaks[title, p].largest:.0f}, {peaks[title, p].memory:.0f} MB" for p in EXECUTORS
        )
        lines.append(
            f"| {title}: largest process, all processes with shared pages counted twice | "
            + " | ".join(cells)
            + " |"
        )
    empty = [cost_of("cluster", "empty", "s3://bucket/folder", n) for n in (1, N_EMPTY)]
    rate = N_EMPTY / (empty[1].root - empty[0].root)
    listed = listing_rate(folder / "listed")
    row_bytes = csv_bytes(many)
    lines += [
        "",
        "| | |",
        "|---|---|",
        f"| images that a driver and a scheduler hand out and collect, {CHUNK} per chunk, both in "
        f"one process | {rate:,.0f} per second of its CPU |",
        f"| names that one process lists on a local disk | {listed:,.0f} per second |",
        f"| a row of CSV with a path of 60 characters | {row_bytes} bytes |",
        "",
        *plan(costs, rate, listed, row_bytes, mean_bytes(many)),
        "",
    ]
    return "\n".join(lines)


def write_large(path: Path, seed: int) -> None:
    """A photo of 16 megapixels with a camera's noise."""
    scene = images.read_image(str(CHECKOUT / "forest" / "forest_1.jpg"))
    photo = cv2.resize(scene, (4608, 3456), interpolation=cv2.INTER_CUBIC).astype(np.int16)
    rng = np.random.default_rng(seed)
    photo += rng.integers(-12, 13, photo.shape, dtype=np.int16)
    photo = np.clip(photo, 0, 255).astype(np.uint8)
    path.write_bytes(images.encode_picture(photo, ".jpg"))


def decoding(*folders: Path) -> list[str]:
    lines = ["| decode alone | at full size | halved as far as the forest does |", "|---|---|---|"]
    for folder in folders:
        contents = [images.read_bytes(path) for path in list(images.list_images(str(folder)))[:500]]
        cells = []
        for min_side in (None, 128):
            started = time.process_time()
            for content in contents:
                image = images.decode_image(content, min_side)
            cells.append(f"{1000 * (time.process_time() - started) / len(contents):.2f} ms")
        height, width = images.decode_image(contents[0]).shape[:2]
        size = np.mean([len(content) for content in contents]) / 1024
        lines.append(f"| {width} x {height}, {size:,.0f} kB | {' | '.join(cells)} |")
        del image
    return lines


def listing_rate(folder: Path) -> float:
    for subfolder in range(20):
        (folder / f"{subfolder:03}").mkdir(parents=True)
        for number in range(N_LISTED // 20):
            (folder / f"{subfolder:03}" / f"{number:06}.jpg").touch()
    started = time.perf_counter()
    n = sum(1 for _ in images.list_images(str(folder)))
    return n / (time.perf_counter() - started)


def mean_bytes(folder: Path) -> float:
    return float(np.mean([path.stat().st_size for path in folder.iterdir()]))


def csv_bytes(folder: Path) -> int:
    path = next(iter(images.list_images(str(folder))))
    verdict = Verdict(path[-12:].rjust(60, "x"), NORMAL, 0.457295, 0.44)
    return len(csv_row(verdict).encode())


def transferred_bytes() -> float:
    """Bytes through the scheduler for an image: its path, and its verdict."""
    paths = [f"s3://bucket/a-folder/of-a-camera/2026-11-24/{n:015}.jpg" for n in range(CHUNK)]
    found = [Verdict(path, NORMAL, n / 64, 0.44) for n, path in enumerate(paths)]
    return (len(pickle.dumps(paths)) + len(pickle.dumps(found))) / CHUNK


def plan(
    costs: dict[str, dict[str, float]], rate: float, listed: float, row: int, size: float
) -> list[str]:
    """The cost of a billion images, calculated from the measurements."""
    machines = math.ceil(CORES / CORES_A_MACHINE)
    lines = [
        f"{N_PLANNED:,} images of {size / 1024:.0f} kB (of 16 megapixels: "
        f"{LARGE_BYTES / 1e6:.0f} MB) on {CORES:,} cores like these, {machines} machines of "
        f"{CORES_A_MACHINE}:",
        "",
        "| | " + " | ".join(costs) + " |",
        "|---|" + "---|" * len(costs),
    ]
    table: dict[str, list[str]] = {}

    def add(name: str, value: str) -> None:
        table.setdefault(name, []).append(value)

    for title, cost in costs.items():
        each = cost["cluster"]
        bytes_each = LARGE_BYTES if "megapixels" in title else size
        core_hours = N_PLANNED * each / 3600
        limits = {
            "the cores": core_hours / CORES,
            "one driver and scheduler": N_PLANNED / rate / 3600,
            "listing by one process": N_PLANNED / listed / 3600,
            "the storage": N_PLANNED * bytes_each / STORE_BYTES_A_SECOND / 3600,
        }
        slowest = max(limits, key=limits.__getitem__)
        hours = limits[slowest]
        losses = machines * hours / HOURS_BETWEEN_LOSSES
        again = losses * CORES_A_MACHINE * 2 * CHUNK * each
        deadly = N_PLANNED * DEADLY_SHARE
        add("core hours", f"{core_hours:,.0f}")
        add("hours if the cores were always busy", f"{core_hours / CORES:,.1f}")
        add("hours in all, and their limit", f"{hours:,.1f}: {slowest}")
        add("cores that one driver and scheduler keep busy", f"{rate * each:,.0f}")
        add("read from storage", f"{N_PLANNED * bytes_each / 1e12:,.0f} TB")
        add(
            "cores that 5 GB/s of storage keep busy",
            f"{STORE_BYTES_A_SECOND / bytes_each * each:,.0f}",
        )
        add(
            "paths and results through the scheduler",
            f"{N_PLANNED * transferred_bytes() / 1e9:,.0f} GB",
        )
        add("rows of CSV", f"{N_PLANNED * row / 1e9:,.0f} GB")
        add(f"machines lost, one in {HOURS_BETWEEN_LOSSES} hours each", f"{losses:,.1f}")
        add("work done again for them", f"{again:,.0f} core seconds")
        add(
            f"images that kill their worker, {DEADLY_SHARE:g} of all: work done again",
            f"{deadly:,.0f}: {deadly * (CHUNK / 4 * each + 3 * 0.3) / 3600:,.1f} core hours",
        )
    lines += [f"| {name} | " + " | ".join(values) + " |" for name, values in table.items()]
    return lines


if __name__ == "__main__":
    main()
