"""Modules that take seconds to import, for the tests that use them alone."""

from __future__ import annotations

from typing import Any

import pytest


class Lazy:
    """A module that is imported when something of it is used; where it cannot be, that is skipped.

    Args:
        name: of the module.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        # pytest asks whatever a module of tests holds for such names, when it collects them.
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(pytest.importorskip(self._name), name)
