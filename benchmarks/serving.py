"""The server under load on loopback, next to labelling the same images from a folder.

  python -m benchmarks.serving [--write docs/benchmarks.md] [--seconds 20]

The client is wrk (https://github.com/wg/wrk), which Debian packages. The folder's images per second
are those between two runs of different length, so that starting does not count; the server is asked
by as many connections as keep its processes busy, then by one, which is half of two cores, and then
by far more than may wait. Model and images are the default network on rendered parts.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from benchmarks.measure import CHECKOUT, machine, measured_parser, run_python, write_into
from pyimagesearch.runtime.system import available_cores

N_PARTS = 64
FEW, MANY = 4, 12  # times the parts
OVERLOAD = 400  # connections
# Sends the images in turn, and prints what came back as JSON.
_SCRIPT = """
local images, turn, statuses = {}, 0, {}
for path in io.lines(os.getenv("IMAGES")) do
  local file = io.open(path, "rb")
  images[#images + 1] = file:read("*a")
  file:close()
end
local threads = {}
function setup(thread) table.insert(threads, thread) end
function init() good, busy, other = 0, 0, 0 end
function request()
  turn = turn % #images + 1
  return wrk.format("POST", "/predict", {["Content-Type"] = "image/png"}, images[turn])
end
function response(status)
  if status == 200 then good = good + 1
  elseif status == 429 or status == 503 then busy = busy + 1
  else other = other + 1 end
end
function done(summary, latency)
  local good, busy, other = 0, 0, 0
  for _, thread in ipairs(threads) do
    good = good + thread:get("good")
    busy = busy + thread:get("busy")
    other = other + thread:get("other")
  end
  local errors = summary.errors
  print(string.format(
    '{"good": %d, "busy": %d, "other": %d, "seconds": %f, "median": %f, "p99": %f}',
    good, busy, other + errors.connect + errors.read + errors.write + errors.timeout,
    summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
"""


def main() -> None:
    ap = measured_parser(__doc__)
    ap.add_argument("--seconds", type=float, default=20.0, help="of each load")
    args = ap.parse_args()
    if shutil.which("wrk") is None:
        ap.exit(1, "wrk is missing: apt-get install wrk\n")
    with tempfile.TemporaryDirectory() as folder:
        table = measure(Path(folder), args.seconds)
    print(table)
    if args.write:
        write_into(args.write, "benchmarks.serving", table)


def measure(folder: Path, seconds: float) -> str:
    """The table, from parts and a model made in a folder."""
    parts, model = folder / "parts", folder / "parts.model"
    run_python("generate_data.py", "parts", "-o", parts, "--test-count", N_PARTS)
    run_python("train_anomaly_detector.py", "-d", parts / "train" / "good", "-m", model)
    images = sorted((parts / "test" / "good").iterdir())
    of_folder = folder_throughput(folder, images, model)
    listed = folder / "images.txt"
    listed.write_text("".join(f"{path}\n" for path in images))
    script = folder / "load.lua"
    script.write_text(_SCRIPT)
    with served(model) as (port, process):
        load(script, listed, port, 2 * available_cores(), 3)  # to warm up
        full = load(script, listed, port, 4 * available_cores(), seconds)
        half = load(script, listed, port, 1, seconds)
        before = memory(process)
        over = load(script, listed, port, OVERLOAD, seconds)
        after = memory(process)
        emptied = seconds_until_empty(port)
        recovered = load(script, listed, port, 1, 3)
    throughput = full["good"] / full["seconds"]
    rows = [
        f"Measured on {machine()}, with the default network and rendered parts.",
        "",
        "| | images/s | median ms | p99 ms | 429 or 503 | other |",
        "|---|---|---|---|---|---|",
        f"| `test_anomaly_detector.py` on a folder | {of_folder:.1f} | | | | |",
    ]
    for name, found in (
        (f"the server, {4 * available_cores()} connections", full),
        ("one connection", half),
        (f"{OVERLOAD} connections", over),
        ("one connection, after that", recovered),
    ):
        rate = found["good"] / found["seconds"]
        rows.append(
            f"| {name} | {rate:.1f} | {found['median']:.0f} | {found['p99']:.0f} | "
            f"{found['busy']:,.0f} | {found['other']:,.0f} |"
        )
    rows += [
        "",
        f"The server reaches {throughput / of_folder:.2f} of the folder's images per second; with "
        f"one connection its p99 is {half['p99'] / half['median']:.1f} times its median. Under the "
        f"overload its processes went from {before:.0f} to {after:.0f} MB; what waited at its end "
        f"was judged within {emptied:.0f} s.",
        "",
    ]
    return "\n".join(rows)


def folder_throughput(folder: Path, images: list[Path], model: Path) -> float:
    """Images per second of the script, starting left out."""
    took = {}
    for times in (FEW, MANY):
        copies = folder / f"copies{times}"
        copies.mkdir()
        for number in range(times):
            for path in images:
                (copies / f"{number}-{path.name}").symlink_to(path)
        usage = run_python("test_anomaly_detector.py", "-m", model, "-d", copies)
        took[times] = usage.seconds
    return (MANY - FEW) * len(images) / (took[MANY] - took[FEW])


@contextmanager
def served(model: Path) -> Iterator[tuple[int, psutil.Process]]:
    """A server, by its port and process, that is ready."""
    command = [sys.executable, "serve_anomaly_detector.py", "-m", str(model), "--port", "0"]
    with subprocess.Popen(command, cwd=CHECKOUT, stderr=subprocess.PIPE, text=True) as process:
        try:
            port = next(
                int(found[1])
                for found in (re.search(r"127\.0\.0\.1:(\d+);", line) for line in process.stderr)
                if found
            )
            while not _is_ready(port):
                time.sleep(0.1)
            yield port, psutil.Process(process.pid)
        finally:
            process.terminate()


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz"):
            return True
    except OSError:
        return False


def seconds_until_empty(port: int) -> float:
    """How long it takes until nothing waits."""
    started = time.monotonic()
    while True:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as page:
            if "\nanomaly_queue 0.0\n" in page.read().decode():
                return time.monotonic() - started
        time.sleep(0.1)


def load(script: Path, listed: Path, port: int, connections: int, seconds: float) -> dict:
    """What wrk found: counts of responses, seconds, milliseconds."""
    options = ("-t1", f"-c{connections}", f"-d{seconds:.0f}s", "--timeout", "60s")
    ended = subprocess.run(
        ["wrk", *options, "-s", str(script), f"http://127.0.0.1:{port}"],
        env={"IMAGES": str(listed)},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(ended.stdout.splitlines()[-1])


def memory(process: psutil.Process) -> float:
    """MB of a process and its workers; pages that they share count once."""
    every = [process, *process.children(recursive=True)]
    return sum(one.memory_full_info().pss for one in every) / 1e6


if __name__ == "__main__":
    main()
