"""The table of options that exclude or need each other."""

from __future__ import annotations

import doctest
import importlib
import re
import string

import pytest

from pyimagesearch.cli import option_rules
from pyimagesearch.cli.option_rules import RULES
from pyimagesearch.runtime.console import EXIT_FAILED, EXIT_USAGE, UserError

# What each script does not start without; a rule's example may replace it.
NEEDED = {
    option_rules.TRAIN: "--dataset photos --model my.model",
    option_rules.LABEL: "--model my.model",
    option_rules.AUTOENCODER: "--dataset photos --model my.model",
    option_rules.FIND: "--dataset photos --model my.model",
    option_rules.VALIDATE: "--model my.model",
}
CASES = [(rule, script) for rule in RULES for script in rule.scripts]


@pytest.mark.parametrize(
    ("rule", "script"), CASES, ids=[f"{script}: {rule.example}" for rule, script in CASES]
)
def test_the_example_of_each_rule_is_refused_with_its_sentence(rule, script, capsys):
    main = importlib.import_module(script.removesuffix(".py")).main
    argv = f"{NEEDED.get(script, '')} {rule.example}".split()
    if rule.status == EXIT_FAILED:
        with pytest.raises(UserError) as refused:
            main(argv)
        message = str(refused.value)
    else:
        with pytest.raises(SystemExit) as ended:
            main(argv)
        assert ended.value.code == EXIT_USAGE
        message = capsys.readouterr().err.rpartition("error: ")[2].strip()
    assert re.fullmatch(pattern_of(rule.sentence), message)


def pattern_of(sentence: str) -> str:
    """A pattern of the messages that a sentence becomes, whatever its fields are filled with."""
    parts = string.Formatter().parse(sentence)
    return "".join(re.escape(text) + (".+" if field else "") for text, field, *_ in parts)


def test_the_examples_in_the_docstring_hold():
    assert doctest.testmod(option_rules).failed == 0
    assert doctest.testmod(option_rules).attempted > 0
