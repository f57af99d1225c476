"""A server of ``anomaly inspect``, for tests."""

import contextlib
import csv
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from helpers.scripts import CHECKOUT


@dataclass
class Inspecting:
    """A running server, its address and the file that it writes."""

    process: subprocess.Popen
    port: int
    file: Path

    def saved(self) -> list[dict[str, str]]:
        with self.file.open(newline="") as file:
            return list(csv.DictReader(file))


@contextlib.contextmanager
def inspecting(folder: Path, *options: str, port: int = 0) -> Iterator[Inspecting]:
    command = [sys.executable, "-m", "pyimagesearch", "inspect", folder, "--port", str(port)]
    process = subprocess.Popen(
        [*command, *options], cwd=CHECKOUT, stderr=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        line = process.stderr.readline().decode()
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", line)
        assert found, line + process.stderr.read().decode()
        yield Inspecting(process, int(found[1]), folder / "verdicts.csv")
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
        process.stdout.close()
