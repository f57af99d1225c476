"""Claims about systems that are not Unix, which are only imitated: see ``other_system``."""

import ast
import os
import shutil

from helpers.other_system import sitecustomize as other_system
from helpers.scripts import CHECKOUT, run_cold

FOLDER = CHECKOUT / "tests" / "helpers" / "other_system"
PACKAGE = CHECKOUT / "pyimagesearch"
ONLY_PLACE = PACKAGE / "runtime" / "system.py"
# Everything but what takes TensorFlow, which takes seconds.
IMPORT_ALL = """
import importlib, pkgutil, sys
import pyimagesearch
sys.modules["keras"] = None
missing = set()
for module in pkgutil.walk_packages(pyimagesearch.__path__, "pyimagesearch."):
    if module.name == "pyimagesearch.__main__":
        continue
    try:
        importlib.import_module(module.name)
    except ModuleNotFoundError as error:
        missing.add(error.name)
from pyimagesearch.runtime import system
print(system.START_METHOD, system.fcntl, system.resource, sorted(missing))
"""
LOSE_WORKERS = """
from helpers.tasks import Shout
from pyimagesearch.runtime import parallel
print(list(parallel.run_task(Shout(("b",)), ["a", "b", "c"], jobs=2, chunk_size=1)))
"""
COMPUTE_FOR_EVER = """
from pyimagesearch.runtime import processes
from pyimagesearch.runtime.limits import NetworkLimitError
from helpers.tasks import compute_for_ever
try:
    processes.call_in_process(compute_for_ever)
except NetworkLimitError as error:
    print(error)
"""
LOCK_TWICE = """
from pyimagesearch.runtime.atomic_files import RowFile, atomic_write
first, second = RowFile("rows"), RowFile("rows")
print(first.lock(), second.lock())
second.close()
first.remove()
with atomic_write("whole") as file:
    file.write(b"row\\n")
"""


def run_elsewhere(*arguments, **options):
    """Run Python on a system that is not Unix, as far as the package is concerned."""
    paths = os.pathsep.join(map(str, (FOLDER, CHECKOUT, CHECKOUT / "tests")))
    ended = run_cold(*arguments, env={**os.environ, "PYTHONPATH": paths}, **options)
    assert ended.returncode in (0, 4), ended.stderr.decode()
    return ended.stdout.decode()


def names_of_unix(path):
    """What a module has that not every system has: imported modules, parts of os and signal."""
    missing = {"os": other_system.OF_OS.split(), "signal": other_system.OF_SIGNAL.split()}
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (one.name for one in node.names if one.name in missing.get(node.module, ()))
        elif isinstance(node, ast.Attribute) and node.attr in missing.get(name_of(node.value), ()):
            yield node.attr


def name_of(node):
    return node.id if isinstance(node, ast.Name) else None


def test_what_only_some_systems_have_is_asked_for_in_one_module():
    everything = other_system.OF_OS + other_system.OF_SIGNAL
    hidden = {*other_system.MISSING_MODULES, "msvcrt", "ctypes", "select", *everything.split()}
    found = {path: hidden & set(names_of_unix(path)) for path in PACKAGE.rglob("*.py")}
    assert {"fcntl", "resource", "pthread_sigmask", "killpg"} <= found.pop(ONLY_PLACE)
    assert {str(path): names for path, names in found.items() if names} == {}


def test_every_module_can_be_imported_elsewhere():
    assert run_elsewhere("-c", IMPORT_ALL) == "spawn None None ['keras']\n"


def test_models_and_rows_are_the_same_elsewhere(run, few_forests, tmp_path):
    shutil.copy(CHECKOUT / "examples" / "daily_jump.csv", tmp_path / "s.csv")
    few_forests.rename(tmp_path / "f")
    commands = [
        "train_anomaly_detector.py -d ../f -m f.model --method forest -n 50 -j 2",
        "test_anomaly_detector.py -m f.model -d ../f -j 2 --csv f.csv -o pictures/",
        "train_anomaly_detector.py -d ../s.csv -m s.model --method stream",
        "find_anomalies.py -m s.model -d ../s.csv --csv s.csv",
    ]
    found = {}
    for where, runs in (("here", run), ("elsewhere", run_elsewhere)):
        (tmp_path / where).mkdir()
        for script, *options in map(str.split, commands):
            runs(CHECKOUT / script, *options, cwd=tmp_path / where)
        found[where] = files_below(tmp_path / where)
    assert {"f.model", "f.csv", "s.model", "s.csv"} < set(found["here"])
    assert found["elsewhere"] == found["here"]


def files_below(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_lost_worker_costs_one_item_elsewhere():
    assert run_elsewhere("-c", LOSE_WORKERS) == "['A', 'lost b', 'C']\n"


def test_time_is_limited_elsewhere():
    assert run_elsewhere("-c", COMPUTE_FOR_EVER).startswith("its network takes more than 5 s")


def test_an_open_file_is_locked_and_removed_elsewhere(tmp_path):
    assert run_elsewhere("-c", LOCK_TWICE, cwd=tmp_path) == "True False\n"
    assert files_below(tmp_path) == {"whole": b"row\n"}
