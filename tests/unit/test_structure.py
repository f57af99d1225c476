"""Claims about the code's own structure."""

import inspect
import re
import subprocess
import sys

import pytest

from helpers.scripts import CHECKOUT, SCRIPTS

PACKAGE = CHECKOUT / "pyimagesearch"


def module_name(path):
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


def public_functions():
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.name == "__init__.py":
            continue
        module = __import__(f"pyimagesearch.{module_name(path)}", fromlist=["_"])
        for name, thing in vars(module).items():
            if name.startswith("_") or getattr(thing, "__module__", None) != module.__name__:
                continue
            if inspect.isfunction(thing):
                yield pytest.param(thing, id=f"{module_name(path)}.{name}")


@pytest.mark.parametrize("function", list(public_functions()))
def test_docstrings_speak_only_of_arguments_that_exist(function):
    documentation = inspect.getdoc(function)
    assert documentation
    parameters = inspect.signature(function).parameters
    assert all(
        parameter.annotation is not inspect.Parameter.empty for parameter in parameters.values()
    )
    described = re.search(r"Args:\n(.*?)(\n\S|\Z)", documentation, re.DOTALL)
    names = re.findall(r"^    (\w+(?:, \w+)*):", described[1], re.MULTILINE) if described else []
    named = {name for group in names for name in group.split(", ")}
    assert named <= set(parameters)


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_option_has_help(script):
    printed = subprocess.run(
        [sys.executable, script, "--help"], cwd=CHECKOUT, capture_output=True, text=True, check=True
    ).stdout
    assert "python " + script in printed
    options = printed[printed.index("options:") :]
    for line in re.findall(r"^  (-.*)$", options, re.MULTILINE):
        described = re.split(r"\s{2,}", line)
        following = options[options.index(line) + len(line) :].splitlines()[1:2]
        assert len(described) > 1 or "".join(following).startswith(" " * 20), line
