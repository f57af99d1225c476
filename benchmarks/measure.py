"""What all benchmarks share: options, running a command, writing a table into the docs."""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from types import MappingProxyType

from pyimagesearch.runtime.system import available_cores

CHECKOUT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("ANOMALY_DATA", CHECKOUT.parent / "shared" / "data"))


def measured_parser(description: str | None) -> argparse.ArgumentParser:
    """Options of a benchmark: ``--write``, to which it may add its own.

    Args:
        description: the module's docstring, which ``--help`` prints as it is.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", metavar="FILE", help="write the tables into this file")
    return parser


def needs_real_data() -> None:
    """End the process with a sentence where the folder of real data is not there."""
    if not DATA.is_dir():
        sys.exit(f"[ERROR] no real data in {DATA}: set ANOMALY_DATA to their folder")


# A process counts its parent's memory as its own until it becomes another program, so a parent that
# holds little starts it.
_ACCOUNTANT = """
import os, subprocess, sys, time
started = time.monotonic()
process = subprocess.Popen(sys.argv[2:], stdout=int(sys.argv[1]), stderr=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
seconds = time.monotonic() - started
process.returncode = os.waitstatus_to_exitcode(status)
print(process.returncode, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, seconds)
"""


@dataclass(frozen=True)
class Usage:
    """The cost of a finished process: CPU seconds (user and system), peak memory in MB, seconds."""

    cpu: float
    memory: float
    output: str
    seconds: float


def run_python(*arguments: object, python: Path | str = sys.executable) -> Usage:
    """Run Python as its own process, with the operating system's account of its cost.

    Args:
        arguments: of the interpreter.
        python: the interpreter, if not that of this process.

    Raises:
        subprocess.CalledProcessError: it ended with another status than 0.
    """
    command = [str(python), *map(str, arguments)]
    # Python caches compiled modules, as it does for users by default.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryFile() as output:
        accounted = subprocess.run(
            [sys.executable, "-S", "-c", _ACCOUNTANT, str(output.fileno()), *command],
            cwd=CHECKOUT,
            env=environment,
            pass_fds=[output.fileno()],
            capture_output=True,
            text=True,
            check=True,
        )
        status, cpu, memory, seconds = accounted.stdout.split()
        if int(status) != 0:
            raise subprocess.CalledProcessError(int(status), command)
        output.seek(0)
        text = output.read().decode()
    return Usage(float(cpu), float(memory), text, float(seconds))


def in_turn(
    commands: Mapping[str, Sequence[object]],
    rounds: int,
    pythons: Mapping[str, Path | str] = MappingProxyType({}),
) -> dict[str, list[Usage]]:
    """Run each command once to warm up and then ``rounds`` times, in turn: A B C A B C ...

    Args:
        commands: arguments of the interpreter, by name.
        rounds: how often each is measured.
        pythons: interpreters of those commands that have another than this process.
    """
    results: dict[str, list[Usage]] = {name: [] for name in commands}
    for _ in range(1 + rounds):
        for name, command in commands.items():
            usage = run_python(*command, python=pythons.get(name, sys.executable))
            results[name].append(usage)
    return {name: usages[1:] for name, usages in results.items()}


def ratio(results: dict[str, list[float]], one: str, other: str) -> float:
    """The median over the rounds of ``one / other``, in which the machine's drift cancels out."""
    return median(a / b for a, b in zip(results[one], results[other], strict=True))


def machine() -> str:
    """The machine that the figures come from, in one line."""
    return f"{available_cores()} cores, {platform.machine()}, Python {platform.python_version()}"


def write_into(document: str, name: str, table: str) -> None:
    """Replace the text between the marks ``<!-- name -->`` and ``<!-- /name -->`` of a file.

    A table that the file does not have yet is added at the end, with its marks.
    """
    path = CHECKOUT / document
    text = path.read_text()
    pattern = rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)"
    replaced, n_found = re.subn(
        pattern, lambda found: found[1] + table + found[2], text, flags=re.DOTALL
    )
    if n_found == 0 and f"<!-- {name} -->" not in text:
        replaced = f"{text.rstrip()}\n\n<!-- {name} -->\n{table}<!-- /{name} -->\n"
    elif n_found != 1:
        raise ValueError(f"{document} has {n_found} tables {name}")
    path.write_text(replaced)
