"""Kill a command at random moments, and compare what it ends with with a quiet run."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from helpers.processes import marked_environment, running_with
from helpers.scripts import CHECKOUT, heed_interrupts
from tests.system.kills.commands import Command

MOST_KILLS = 5  # of one run and those that go on with it
SECONDS_FOR_WORKERS = 5.0
_SECONDS_BETWEEN_LOOKS = 0.02
_SECONDS = 600  # that a run may take

Files = dict[str, bytes]


@dataclass
class Tally:
    """What came of a command's runs.

    Attributes:
        kills: runs that were killed.
        missed: runs that had ended before.
        finished: folders that an unkilled run finished, and which were compared.
        found: what was wrong.
    """

    kills: int = 0
    missed: int = 0
    finished: int = 0
    found: list[str] = field(default_factory=list)


class Attack:
    """Kills one command.

    Args:
        command: the command.
        inputs: the folder of what all commands read.
        seed: of the moments.
    """

    def __init__(self, command: Command, inputs: Path, seed: int) -> None:
        self._command = command
        self._inputs = inputs
        # One name for all of its folders, since files of results have the names of others in them.
        self._folder = inputs.parent / "work"
        self._temporary = inputs.parent / "temporary"
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 closed with this object
        self._rng = np.random.default_rng(seed)
        self.tally = Tally()

    def run(self, kills: int) -> Tally:
        """Kill it so many times."""
        with self._prepared():
            begun = time.monotonic()
            with self._started() as process:
                while self._files() == self._older and process.poll() is None:
                    time.sleep(_SECONDS_BETWEEN_LOOKS)
                self._first = time.monotonic() - begun
                self._wait(process)
            self._last = time.monotonic() - begun
            # What shows its first file at its end is killed before that, too.
            self._first = min(self._first, self._last / 2)
            self._quiet = self._files()
        while self.tally.kills < kills and self.tally.missed < 10 * kills:
            with self._prepared():
                self._round(min(MOST_KILLS, kills - self.tally.kills))
        if self.tally.kills < kills:
            self.tally.found.append("it ends before it can be killed")
        return self.tally

    @contextlib.contextmanager
    def _prepared(self) -> Iterator[None]:
        for folder in (self._folder, self._temporary):
            folder.mkdir()
        self._command.prepare(self._inputs, self._folder)
        self._older = self._files()
        self._mark, self._environment = marked_environment()
        try:
            yield
        finally:
            for folder in (self._folder, self._temporary):
                shutil.rmtree(folder)

    def _round(self, most: int) -> None:
        """Kill a run and some of those that go on with it, then let one end."""
        for _ in range(self._rng.integers(1, most, endpoint=True)):
            if self._is_done():  # nobody gives it again
                break
            moment = self._rng.uniform(self._first, self._last)
            with self._started() as process:
                try:
                    process.wait(moment)
                except subprocess.TimeoutExpired:
                    process.kill()
                status = process.wait()
            if status != -signal.SIGKILL:
                self.tally.missed += 1
                # A machine that is less busy than it was then is faster.
                self._last = max(self._first, 0.9 * self._last)
                break
            self.tally.kills += 1
            self._check_ended()
            self._check_unharmed(moment)
        if not self._is_done():
            with self._started() as process:
                self._wait(process)
        self.tally.finished += 1
        self._check_ended()
        self._compare()

    @contextlib.contextmanager
    def _started(self) -> Iterator[subprocess.Popen[bytes]]:
        environment = {**self._environment, "TMPDIR": str(self._temporary)}
        self._said.seek(0)
        self._said.truncate()
        with subprocess.Popen(
            [sys.executable, CHECKOUT / self._command.script, *self._command.arguments],
            cwd=self._folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._said,
            preexec_fn=heed_interrupts,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        """Let a run end."""
        ends = time.monotonic() + _SECONDS
        asked = False
        while process.poll() is None and time.monotonic() < ends:
            if self._command.rows and not asked and self._waits_for_more():
                process.terminate()
                asked = True
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        if process.poll() not in self._command.statuses:
            said = "\n    ".join(["", *self._messages().splitlines()[-12:]])
            self.tally.found.append(f"what was not killed ended with {process.poll()}:{said}")

    def _waits_for_more(self) -> bool:
        """Whether a run that watches a folder has labelled all that is there."""
        return "watching" in self._messages() and self._command.has_all_rows(self._folder)

    def _messages(self) -> str:
        with open(f"/proc/self/fd/{self._said.fileno()}", errors="backslashreplace") as said:
            return said.read()

    def _is_done(self) -> bool:
        once = self._command.once
        if once is None:
            return False
        return (self._folder / once).read_bytes() == self._quiet[once]

    def _check_unharmed(self, moment: float) -> None:
        """See that what a killed run has left under its final name is older, or whole."""
        files = self._files()
        for name, whole in self._quiet.items():
            found = files.get(name)
            if name.endswith(".journal") or found in (None, whole, self._older.get(name)):
                continue
            if not (name in self._command.grows and whole.startswith(found)):
                self.tally.found.append(f"killed after {moment:.2f} s: {name} is not whole")

    def _compare(self) -> None:
        files = self._files()
        for name in sorted(files.keys() | self._quiet.keys()):
            if name not in files:
                self.tally.found.append(f"{name!r} is missing")
            elif name not in self._quiet:
                self.tally.found.append(f"{name!r} is left over")
            elif files[name] != self._quiet[name]:
                self.tally.found.append(f"{name!r} is not that of a quiet run")
        left = sorted(os.listdir(self._temporary))
        self.tally.found += [f"{name!r} is left in the folder of temporary files" for name in left]

    def _check_ended(self) -> None:
        """See that the processes that a run has started end with it."""
        ends = time.monotonic() + SECONDS_FOR_WORKERS
        while (alive := running_with(self._mark)) and time.monotonic() < ends:
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        self.tally.found += [f"a process still runs: {command}" for command in alive]

    def _files(self) -> Files:
        """All files of the folder, and its folders as empty ones with a / at the end."""
        found: Files = {}
        for folder, folders, names in os.walk(self._folder):
            inside = Path(folder)
            for name in folders:
                found[f"{(inside / name).relative_to(self._folder)}/"] = b""
            for name in names:
                with contextlib.suppress(FileNotFoundError):  # it was renamed meanwhile
                    found[f"{(inside / name).relative_to(self._folder)}"] = (
                        inside / name
                    ).read_bytes()
        return found
