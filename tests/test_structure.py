"""Claims about the code's own structure."""

import ast
import inspect
import re
import subprocess
import sys

import pytest
from conftest import CHECKOUT

PACKAGE = CHECKOUT / "pyimagesearch"
# From the ground up: a module imports only from floors below its own.
FLOORS = [
    {"__init__", "starting"},
    {"metrics.arguments"},
    {"metrics.rankings", "metrics.ranges", "metrics.hits", "metrics.nab"},
    {"metrics.intervals", "metrics.pixels", "metrics.volumes"},
    {"metrics.confusion"},
    {"metrics.__init__", "arrays", "stores"},
    {"files", "images", "thresholds", "parallel", "networks", "plots", "series"}
    | {"heat", "outlines", "conditions", "scorehistograms", "stopping"},
    {"onnxgraphs", "grids", "kerasbackbones", "ledgers", "shifts"},
    {"backbones", "anomalymaps", "patchspace"},
    {"patches"},
    {"synthetic", "syntheticseries", "reports", "modelfiles", "features", "datasets", "tables"}
    | {"convautoencoder", "seriesautoencoder"},
    {"detectors.surprises", "detectors.windowbank", "layouts", "defects", "parts"},
    {"options", "detectors.maps"}
    | {"detectors.autoencoder", "detectors.ensemble", "detectors.forest", "detectors.stream"}
    | {"detectors.windowautoencoder"},
    {"detectors.denoising", "processes"}
    | {"detectors.gaussian", "detectors.memorybank", "detectors.neighbours", "detectors.subspace"},
    {"detectors.__init__", "trackers", "clusters"},
    {"runs", "progress", "commands", "places"},
    {"reasons", "training", "scoring", "seriesscoring"},
    {"exhibits", "patchtraining", "imagesets"},
    {"work", "pages"},
    {"learning", "journals"},
    {"watching"},
    {"seriesreports", "seriestraining", "noising", "validation"},
    {"denoising", "inspections"},
    {"imageautoencoders"},
]
SCRIPTS = [
    "generate_data.py",
    "train_anomaly_detector.py",
    "test_anomaly_detector.py",
    "train_autoencoder.py",
    "find_anomalies.py",
    "generate_validation_metrics.py",
]


def module_name(path):
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


def imported_modules(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if (
            isinstance(node, ast.ImportFrom)
            and node.module
            and node.module.startswith("pyimagesearch")
        ):
            inside = node.module.removeprefix("pyimagesearch").lstrip(".")
            for alias in node.names:
                name = f"{inside}.{alias.name}".lstrip(".")
                if (PACKAGE / f"{name.replace('.', '/')}.py").exists():
                    yield name
                elif (PACKAGE / f"{inside.replace('.', '/')}.py").exists():
                    yield inside
                else:
                    yield f"{inside}.__init__".lstrip(".")


def test_every_module_imports_only_from_floors_below():
    floor = {name: number for number, names in enumerate(FLOORS) for name in names}
    modules = {module_name(path): path for path in PACKAGE.rglob("*.py")}
    assert set(modules) == set(floor)
    wrong = [
        f"{name} imports {other}"
        for name, path in modules.items()
        for other in imported_modules(path)
        if floor[other] >= floor[name]
    ]
    assert wrong == []


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
