"""The process that cases are run in; it says which one it begins, so that it may die of it."""

from __future__ import annotations

import faulthandler
import importlib
import os
import pkgutil
import random
import resource
import shutil
import sys
import traceback
from multiprocessing.connection import Connection
from multiprocessing.util import get_temp_dir
from pathlib import Path
from typing import Any

import psutil

from tests.system.fuzz import strategies
from tests.system.fuzz.case import SHARING, Case, Finding, Target
from tests.system.fuzz.targets import TARGETS

MOST_BYTES = 1_500_000_000
ACCEPTED, REFUSED, FOUND = "accepted", "refused", "found"
BEGUN, DIED = "begun", "died"  # said of a case: the second is a finding that costs the process
NOTES, CASE = "notes.txt", "case"  # a file that nobody is to read, and the folder of a case
LOG = "worker.log"
_ROOMS = ("backbones", "data", "detectors", "labelling", "reports")
_LATE = ("onnxruntime", "pandas")
_DRAWN = 100  # values of each kind, for the cases that share them
# Of the audit hooks' events: what would run code, or reach another machine.
_CODE = (
    *("os.system", "os.exec", "os.posix_spawn", "os.spawn", "subprocess.Popen", "code.__new__"),
    *("socket.connect", "socket.getaddrinfo", "urllib.Request", "webbrowser.open"),
)


def work(parent: Connection, folder: Path, seeds: Path, seed: int) -> None:
    """Run the blocks of cases that a connection asks for, until it is closed.

    Args:
        parent: gets each case's number before it, with the bytes of memory that the process has by
            then, and its outcome after it, and after a block how many bytes the process ever had.
        folder: the process' own; its working directory is a folder inside.
        seeds: of all targets.
        seed: of all cases.
    """
    room = _settle(folder)
    _import_package()
    watch = _Watch(room)
    this = psutil.Process()
    loaded: dict[str, Any] = {}
    drawn: dict[tuple[str, int], dict[str, list[Any]]] = {}
    while True:
        try:
            name, first, count = parent.recv()
        except EOFError:
            return
        target = TARGETS[name]
        if name not in loaded:
            loaded[name] = target.load_seeds(seeds / name)
        sharing = (name, first // SHARING)
        if sharing not in drawn:
            number = random.Random(f"{seed}:{sharing}").getrandbits(64)
            drawn[sharing] = strategies.drawn(target.values, number, _DRAWN)
        for number in range(first, first + count):
            parent.send((BEGUN, number, this.memory_info().rss))
            rng = random.Random(f"{seed}:{name}:{number}")
            case = Case(number, rng, room / CASE, drawn[sharing])
            outcome, what = watch.run(target, loaded[name], case)
            if most_used() > MOST_BYTES:
                parent.send((DIED, f"{most_used() / 1e9:.1f} GB of memory, for a moment"))
                return
            if outcome == FOUND:
                os.rename(room / CASE, folder / f"{FOUND}{number}")
            else:
                _remove(room / CASE)
            parent.send((outcome, what))
        parent.send(most_used())


def _remove(folder: Path) -> None:
    """Remove a folder, also one with folders that nobody may list."""
    for inner, _, _ in os.walk(folder):
        os.chmod(inner, 0o700)
    shutil.rmtree(folder)


def make_seeds(folder: Path, names: list[str]) -> None:
    """Make the files that cases change, in a folder for each target."""
    for name in names:
        (folder / name).mkdir()
        TARGETS[name].make_seeds(folder / name)


def _settle(folder: Path) -> Path:
    """Go to a folder with a file that nobody is to read; what libraries print goes to a log."""
    room = folder / "room"
    room.mkdir()
    log = os.open(folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (0, 1, 2):
        os.dup2(log if stream else os.open(os.devnull, os.O_RDONLY), stream)
    faulthandler.enable()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.chdir(room)
    return room


def _import_package() -> None:
    """Import what is imported when it is needed, too, so that no case pays for another.

    Hypothesis draws what it finds in modules, too: so values are the same whatever ran before.
    """
    import pyimagesearch

    for module in pkgutil.walk_packages(pyimagesearch.__path__, "pyimagesearch."):
        if module.name.split(".")[1] in _ROOMS and not module.name.endswith("keras_zoo"):
            importlib.import_module(module.name)
    for name in _LATE:
        importlib.import_module(name)


class _Watch:
    """Runs cases, and watches what they open, run and leave behind."""

    def __init__(self, room: Path) -> None:
        self._room = room
        self._notes = room / NOTES
        self._notes.write_bytes(b"what nobody is to read, " * 5000)
        self._forget_reading()
        self._seen: list[str] = []
        self._on = False
        sys.addaudithook(self._heard)

    def _heard(self, event: str, details: tuple[Any, ...]) -> None:
        if not self._on:
            return
        # Processes of the package's own send pickles to each other.
        foreign = event == "pickle.find_class" and not (
            details[0].startswith(("pyimagesearch.", "numpy")) or details[1].endswith("Error")
        )
        # And they are started by one of these, which listens in a folder of its own.
        own = event == "socket.connect" and str(details[1]).startswith(get_temp_dir())
        if foreign or (event in _CODE and not own):
            self._seen.append(f"{event} {details!r:.200}")
        elif event == "open" and NOTES in str(details[0]):
            self._seen.append(f"opened {details[0]!r}")

    def _forget_reading(self) -> None:
        # Read from C, no hook hears it; but a file that was changed after it was read last tells.
        os.utime(self._notes, (1, 2))

    def run(self, target: Target, seeds: Any, case: Case) -> tuple[str, str]:
        """Run a case: its outcome, and of a finding what was found."""
        case.folder.mkdir()
        self._seen.clear()
        self._on = True
        try:
            target.attack(seeds, case)
            outcome = (ACCEPTED, "")
        except Finding as error:
            outcome = (FOUND, str(error))
        except target.refusals as error:
            outcome = (
                (REFUSED, "") if str(error) else (FOUND, f"a refusal without a word: {error!r}")
            )
        except BaseException:
            outcome = (FOUND, traceback.format_exc())
        finally:
            self._on = False
        found = self._traces()
        if found:
            outcome = (FOUND, "; ".join(found))
        return outcome

    def _traces(self) -> list[str]:
        found = list(self._seen)
        if os.stat(self._notes).st_atime != 1:
            found.append(f"{NOTES} was read")
            self._forget_reading()
        left = sorted(set(os.listdir(self._room)) - {NOTES, CASE})
        if left:
            found.append(f"left behind: {left}")
            for name in left:
                os.unlink(self._room / name)
        return found


def most_used() -> int:
    """The most bytes that this process ever had, or one of those that it waited for."""
    both = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return max(resource.getrusage(who).ru_maxrss for who in both) * 1024
