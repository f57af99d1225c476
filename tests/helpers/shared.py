"""What is made once in a run of the tests, whichever of its processes needs it first."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest


class Shared:
    """Folders that all processes of a run read, and none changes.

    Args:
        factory: pytest's.
    """

    def __init__(self, factory: pytest.TempPathFactory) -> None:
        own = factory.getbasetemp()
        # Of pytest-xdist, each worker has a folder in that of the run.
        self._root = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "shared"
        self._root.mkdir(exist_ok=True)

    def folder(self, name: str, make: Callable[[Path], object]) -> Path:
        """The folder of this name, made by whoever asks for it first.

        Args:
            name: of the folder.
            make: puts into the folder that it is given what belongs there.
        """
        folder = self._root / name
        with open(self._root / f"{name}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (folder / ".whole").exists():
                folder.mkdir()
                make(folder)
                (folder / ".whole").touch()
        return folder
