"""Claims about the detectors for Python as they are imported, and about their docstrings."""

import doctest
import importlib
import pkgutil

import pytest

from helpers.scripts import run_cold
from pyimagesearch import estimators


def test_importing_the_package_imports_nothing_heavy():
    code = (
        "import sys, pyimagesearch; assert 'ImageAnomalyDetector' in dir(pyimagesearch);"
        "print({'numpy', 'cv2', 'sklearn', 'pandas', 'onnxruntime'} & set(sys.modules))"
    )
    assert run_cold("-c", code).stdout.decode().strip() == "set()"


def test_a_package_that_is_missing_is_named_with_what_installs_it():
    code = "import sys; sys.modules['sklearn'] = None; from pyimagesearch import {}"
    done = run_cold("-c", code.format("SeriesAnomalyDetector"))
    assert b"ImportError: the package scikit-learn is missing: pip install" in done.stderr


MODULES = [module.name for module in pkgutil.iter_modules(estimators.__path__)]


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_of_the_docstrings_run(module):
    done = doctest.testmod(importlib.import_module(f"pyimagesearch.estimators.{module}"))
    assert done.attempted > 8
    assert done.failed == 0
