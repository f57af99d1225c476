"""Claims about the code's own structure; the layers are declared in pyproject.toml."""

import ast
import re

import pytest

from helpers.scripts import CHECKOUT, SCRIPTS, run_cold, run_script

PACKAGE = CHECKOUT / "pyimagesearch"
SOURCES = sorted(PACKAGE.rglob("*.py"))
SCRIPT_FILES = [CHECKOUT / script for script in SCRIPTS]
# In one sitting nobody reads more.
MOST_LINES = 500


def module_name(path):
    return ".".join(path.relative_to(CHECKOUT).with_suffix("").parts).removesuffix(".__init__")


def public_functions(path):
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node


def undescribed(function):
    """What is wrong with the description of a function, in words; None where nothing is."""
    documentation = ast.get_docstring(function)
    if not documentation:
        return "it has no docstring"
    found = function.args
    arguments = [*found.posonlyargs, *found.args, *found.kwonlyargs]
    arguments += [argument for argument in (found.vararg, found.kwarg) if argument]
    if not all(argument.annotation for argument in arguments):
        return "an argument has no type"
    described = re.search(r"Args:\n(.*?)(\n\S|\Z)", documentation, re.DOTALL)
    names = re.findall(r"^    (\w+(?:, \w+)*):", described[1], re.MULTILINE) if described else []
    named = {name for group in names for name in group.split(", ")}
    unknown = named - {argument.arg for argument in arguments}
    return f"its docstring speaks of {sorted(unknown)}" if unknown else None


def test_docstrings_speak_only_of_arguments_that_exist_and_all_have_types():
    found = {
        f"{module_name(path)}.{function.name}": undescribed(function)
        for path in SOURCES
        if path.name != "__init__.py"
        for function in public_functions(path)
    }
    assert len(found) > 200
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_option_has_help(script):
    printed = run_script(script, "--help").stdout.decode()
    assert "python " + script in printed
    options = printed[printed.index("options:") :]
    for line in re.findall(r"^  (-.*)$", options, re.MULTILINE):
        described = re.split(r"\s{2,}", line)
        following = options[options.index(line) + len(line) :].splitlines()[1:2]
        assert len(described) > 1 or "".join(following).startswith(" " * 20), line


def test_nothing_that_labelling_may_need_imports_what_only_training_needs():
    """Whatever the model: each module of the layers below training is imported."""
    rooms = ("reports", "labelling", "detectors", "features", "backbones", "data", "runtime")
    of_training = {"pyimagesearch.runtime.keras", "pyimagesearch.backbones.keras_zoo"}
    modules = {module_name(path) for path in SOURCES} - of_training
    modules = sorted(
        name for name in modules if name.split(".")[1:2] and name.split(".")[1] in rooms
    )
    assert len(modules) > 50
    heavy = ("tensorflow", "keras", "sklearn", "scipy", "pandas", "matplotlib", "joblib", "onnx")
    code = (
        f"import sys, importlib\nfor name in {modules}: importlib.import_module(name)\n"
        f"print(sorted(set({heavy}) & set(sys.modules)))"
    )
    assert run_cold("-c", code).stdout.decode() == "[]\n"


def test_a_file_is_read_in_one_sitting():
    n_lines = {path.name: len(path.read_text().splitlines()) for path in SOURCES + SCRIPT_FILES}
    assert {name: n for name, n in n_lines.items() if n > MOST_LINES} == {}


def test_a_command_line_is_data_once_it_is_parsed():
    """So that no function can read or change options that are not its own."""
    outside = [path for path in SOURCES + SCRIPT_FILES if PACKAGE / "cli" not in path.parents]
    named = [path.name for path in outside if re.search(r"\bNamespace\b", path.read_text())]
    assert named == []


def test_no_function_changes_what_belongs_to_a_module():
    changing = [
        path.name
        for path in SOURCES + SCRIPT_FILES
        if any(isinstance(node, ast.Global) for node in ast.walk(ast.parse(path.read_text())))
    ]
    assert changing == []


def test_no_sentence_names_a_script_where_a_command_may_have_been_called():
    """Help is worded in ``command_line.in_terms_of``, and lists of rules are not printed."""
    listed = {PACKAGE / "cli/command_line.py", PACKAGE / "cli/option_rules.py"}
    script = re.compile("|".join(map(re.escape, SCRIPTS)))
    named = []
    for path in sorted(set(SOURCES) - listed):
        tree = ast.parse(path.read_text())
        prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        prose |= {
            id(node.value)
            for call in ast.walk(tree)
            if isinstance(call, ast.Call)
            for node in call.keywords
            if node.arg == "help"
        }
        named += [
            f"{module_name(path)}: {node.value}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
            if id(node) not in prose and script.search(node.value)
        ]
    assert named == []
