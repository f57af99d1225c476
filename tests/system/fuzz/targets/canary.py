"""What must be found: each case does something that must not happen."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

import numpy as np

from tests.system.fuzz.case import Case, Target, check_finite


def _crash(case: Case) -> None:  # noqa: ARG001
    ctypes.string_at(0)


def _raise_another_error(case: Case) -> None:  # noqa: ARG001
    raise KeyError("of a reader")


def _refuse_without_a_word(case: Case) -> None:  # noqa: ARG001
    raise ValueError


def _find_no_number(case: Case) -> None:  # noqa: ARG001
    check_finite("normal", float("nan"))


def _run_code(case: Case) -> None:  # noqa: ARG001
    os.system("true")


def _read_a_file(case: Case) -> None:
    # Not by Python's own ``open``, which is heard in another way.
    libc = ctypes.CDLL(None)
    file = libc.open(os.fsencode(case.folder.parent / "notes.txt"), os.O_RDONLY)
    libc.read(file, ctypes.create_string_buffer(10), 10)
    libc.close(file)


def _leave_a_file(case: Case) -> None:
    (case.folder.parent / "left").touch()


def _take_memory(case: Case) -> None:  # noqa: ARG001
    np.ones(250_000_000)


WRONGS = (
    *(_raise_another_error, _refuse_without_a_word, _find_no_number, _run_code, _read_a_file),
    *(_leave_a_file, _crash, _take_memory),
)


def attack(seeds: object, case: Case) -> None:  # noqa: ARG001
    WRONGS[case.number](case)


def _make_no_seeds(folder: Path) -> None:
    """There are none to change."""


TARGET = Target("canary", (ValueError,), _make_no_seeds, Path, attack)
