"""A rule on options that exclude or need each other; ``option_rules`` has the table of them."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pyimagesearch.runtime.console import EXIT_USAGE


class Given:
    """What a command line gives, by the names of its options.

    ``"--layers" in given`` tells whether an option has another value than it has by default;
    ``given["--layers"]`` is its value. Facts go by their plain names, as in ``given["is_series"]``.

    Args:
        ap: the parser, which knows the defaults.
        args: what it parsed.
        facts: what else is known.
    """

    def __init__(
        self, ap: argparse.ArgumentParser, args: argparse.Namespace, facts: Mapping[str, Any]
    ) -> None:
        options = {f"--{name.replace('_', '-')}": name for name in vars(args)}
        self._values = {option: getattr(args, name) for option, name in options.items()} | facts
        self._defaults = {option: ap.get_default(name) for option, name in options.items()}

    def __contains__(self, option: str) -> bool:
        value = self._values[option]
        return value is not None and value != self._defaults[option]

    def get(self, option: str) -> Any:
        """An option's value; None where the script has no such option."""
        return self._values.get(option)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]


@dataclass(frozen=True)
class OptionRule:
    """A row of the table.

    Attributes:
        scripts: whose options these are.
        options: that the rule is about: where none of them is given, it is kept; () always looks.
        refused: tells whether they are refused, from all that is given.
        sentence: what the user reads; ``{option}`` stands for the first of ``options`` that is
            given, ``{given[--name]}`` for any option's value.
        example: options of a command line that violates this rule and none before it.
        status: with which the script then ends.
    """

    scripts: tuple[str, ...]
    options: tuple[str, ...]
    refused: Callable[[Given], bool]
    sentence: str
    example: str
    status: int = EXIT_USAGE

    def violation(self, given: Given) -> str | None:
        """The sentence, where the rule is violated."""
        option = next((option for option in self.options if option in given), None)
        if (self.options and option is None) or not self.refused(given):
            return None
        return self.sentence.format(option=option, given=given)
