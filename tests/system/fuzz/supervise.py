"""Hands out cases to processes, and ends those that take too long or too much memory."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import shutil
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import psutil

from tests.system.fuzz import worker
from tests.system.fuzz.worker import ACCEPTED, FOUND, MOST_BYTES, REFUSED

OUTCOMES = (ACCEPTED, REFUSED, FOUND)
MOST_SECONDS = 20  # of the processor, so that a busy machine is no finding
_SECONDS_BLOCKED, _SECONDS_AT_WORK = 60, 2  # after so long, less is no work
_SECONDS_BETWEEN_LOOKS = 0.1
_SECONDS_TO_START = 600
_BYTES_TO_RETIRE = 900_000_000  # what thousands of cases leave behind in a process is not theirs


@dataclass
class Tally:
    """What became of the cases of a target.

    Attributes:
        outcomes: how many there were of each.
        seconds: that they took, of all processes together.
        longest: seconds of the one that took longest.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    longest: float = 0.0


@dataclass(frozen=True)
class Found:
    """A finding.

    Attributes:
        target: its name.
        number: of the case.
        what: happened.
        kept: folder with the files of the case.
    """

    target: str
    number: int
    what: str
    kept: Path

    @property
    def where(self) -> tuple[str, ...]:
        """The same for cases that show the same: the target, the place in the code, the error."""
        lines = self.what.strip().splitlines()
        places = [line.strip() for line in lines if line.startswith("  File")]
        if "most recent call first" in self.what:  # of a crash
            return self.target, *places[:1], lines[0]
        return self.target, *places[-1:], lines[-1].split(":")[0] if places else lines[-1][:60]


@dataclass
class _Process:
    """A process, and the case that it is at."""

    process: multiprocessing.process.BaseProcess
    pipe: Connection
    folder: Path
    target: str = ""
    end: int = 0  # of its block
    number: int | None = None  # None while it starts, or draws values
    since: float = field(default_factory=time.monotonic)
    used: float = 0.0  # seconds of the processor before this case
    held: int = 0  # bytes of memory before this case: cases before it left them
    looked: float = 0.0  # when its limits were checked

    def tree(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.Error):
            own = psutil.Process(self.process.pid)
            return [own, *own.children(recursive=True)]
        return []

    def seconds_used(self) -> float:
        total = 0.0
        for one in self.tree():
            with contextlib.suppress(psutil.Error):
                times = one.cpu_times()
                total += times.user + times.system
                if one.pid == self.process.pid:
                    total += times.children_user + times.children_system
        return total

    def bytes_used(self) -> int:
        total = 0
        for one in self.tree():
            with contextlib.suppress(psutil.Error):
                total += one.memory_info().rss
        return total

    def kill(self) -> None:
        for one in reversed(self.tree()):
            with contextlib.suppress(psutil.Error):
                one.kill()
        self.process.join()
        self.pipe.close()


class Supervisor:
    """Runs cases in processes; use it as a context, which ends them.

    Args:
        folder: for everything that the processes write.
        seed: of all cases.
        jobs: number of processes.
        on_finding: is told of each.
        kept: folder for the files of findings.

    Attributes:
        tallies: by target.
        most_bytes: of memory that a process ever had.
    """

    def __init__(
        self, folder: Path, seed: int, jobs: int, on_finding: Callable[[Found], None], kept: Path
    ) -> None:
        self._folder, self._seed, self._jobs = folder, seed, jobs
        self._on_finding, self._kept = on_finding, kept
        self._context = multiprocessing.get_context("spawn")
        self._numbers = itertools.count()
        self._processes: list[_Process] = []
        self._left: list[tuple[str, int, int]] = []
        self.tallies: dict[str, Tally] = defaultdict(Tally)
        self.most_bytes = 0

    def __enter__(self) -> Supervisor:
        return self

    def __exit__(self, *error: object) -> None:
        for one in self._processes:
            one.kill()

    def make_seeds(self, names: list[str]) -> None:
        """Make the files that cases change, in a process of its own."""
        (self._folder / "seeds").mkdir()
        maker = self._context.Process(
            target=worker.make_seeds, args=(self._folder / "seeds", names)
        )
        maker.start()
        maker.join()
        if maker.exitcode:
            raise RuntimeError("the seeds could not be made")

    def run(self, blocks: Iterator[tuple[str, int, int]]) -> None:
        """Run blocks of cases, each a target, the first number and how many, until they end."""
        for block in blocks:
            self._give(self._free(), *block)
            self._go_on()
        while self._left or any(one.target for one in self._processes):
            self._go_on()
            self._look()

    def _go_on(self) -> None:
        """Hand out what findings have left of their blocks."""
        while self._left:
            self._give(self._free(), *self._left.pop())

    def _free(self) -> _Process:
        while True:
            for one in self._processes:
                if not one.target:
                    return one
            if len(self._processes) < self._jobs:
                self._processes.append(self._started())
            else:
                self._look()

    def _started(self) -> _Process:
        folder = self._folder / f"process{next(self._numbers)}"
        folder.mkdir()
        own, others = self._context.Pipe()
        process = self._context.Process(
            target=worker.work, args=(others, folder, self._folder / "seeds", self._seed)
        )
        process.start()
        others.close()
        return _Process(process, own, folder)

    def _give(self, one: _Process, target: str, first: int, count: int) -> None:
        one.target, one.end = target, first + count
        one.number, one.since = None, time.monotonic()
        one.pipe.send((target, first, count))

    def _look(self) -> None:
        """Take in what processes say, and end those that went beyond a limit."""
        busy = [one for one in self._processes if one.target]
        ready = wait([one.pipe for one in busy], _SECONDS_BETWEEN_LOOKS)
        for one in busy:
            if one.pipe in ready:
                self._listen(one)
            else:
                self._check_limits(one)

    def _listen(self, one: _Process) -> None:
        try:
            while one.target and one.pipe.poll():
                self._take_in(one, one.pipe.recv())
        except (EOFError, ConnectionResetError):
            one.process.join()
            status = one.process.exitcode
            if status == -signal.SIGXCPU and one.number is not None:
                self._count(one, REFUSED)  # at the limit of a network, as any worker
                self._give_up(one)
            else:
                self._end(one, f"the process died: exit code {status}\n{_tail(one)}")

    def _take_in(self, one: _Process, said: Any) -> None:
        if isinstance(said, int):
            self.most_bytes = max(self.most_bytes, said)
            one.target, one.number = "", None
            if one.bytes_used() > _BYTES_TO_RETIRE:
                self._give_up(one)
        elif said[0] == worker.BEGUN:
            one.number, one.held = said[1:]
            one.since, one.used = time.monotonic(), -1.0
        elif said[0] == worker.DIED:
            self._end(one, said[1])
        elif said[0] == FOUND:
            self._report(one, said[1], one.folder / f"{FOUND}{one.number}")
        else:
            self._count(one, said[0])

    def _check_limits(self, one: _Process) -> None:
        if one.number is None:
            if time.monotonic() - one.since > _SECONDS_TO_START:
                raise RuntimeError(f"a process does not start\n{_tail(one)}")
            return
        if time.monotonic() - one.looked < _SECONDS_BETWEEN_LOOKS:
            return
        one.looked = time.monotonic()
        if one.used < 0:  # it has been at this case for a moment
            one.used = one.seconds_used()
        n_bytes, took = one.bytes_used() - one.held, time.monotonic() - one.since
        if n_bytes > MOST_BYTES:
            self._end(one, f"{n_bytes / 1e9:.1f} GB of memory")
        elif took > MOST_SECONDS:
            used = one.seconds_used() - one.used
            if used > MOST_SECONDS or (took > _SECONDS_BLOCKED and used < _SECONDS_AT_WORK):
                self._end(one, f"no end after {took:.0f} s, {used:.0f} s of computing")

    def _count(self, one: _Process, outcome: str) -> None:
        tally = self.tallies[one.target]
        took = time.monotonic() - one.since
        tally.outcomes[outcome] += 1
        tally.seconds += took
        tally.longest = max(tally.longest, took)

    def _end(self, one: _Process, what: str) -> None:
        """Report a finding, and end the process that it comes from."""
        if one.number is None:
            raise RuntimeError(f"a process died between two cases\n{what}")
        self._report(one, what, one.folder / "room" / worker.CASE)
        self._give_up(one)

    def _report(self, one: _Process, what: str, files: Path) -> None:
        self._count(one, FOUND)
        kept = self._kept / f"{one.target}-{self._seed}-{one.number}"
        shutil.rmtree(kept, ignore_errors=True)
        with contextlib.suppress(OSError):  # pipes and the like are not copied
            shutil.copytree(files, kept, symlinks=True)
        self._on_finding(Found(one.target, one.number, what, kept))

    def _give_up(self, one: _Process) -> None:
        """End a process; what is left of its block is for another."""
        if one.target and one.number + 1 < one.end:
            self._left.append((one.target, one.number + 1, one.end - one.number - 1))
        one.target = ""
        self._processes.remove(one)
        one.kill()
        shutil.rmtree(one.folder, ignore_errors=True)


def _tail(one: _Process) -> str:
    """The end of what a process printed, where a crash says where it was."""
    log = one.folder / worker.LOG
    if not log.exists():
        return ""
    with open(log, "rb") as file:
        file.seek(max(os.path.getsize(log) - 5000, 0))
        lines = file.read().decode("utf-8", "replace").splitlines()
    return "\n".join(line for line in lines if not line.startswith("Extension modules"))
