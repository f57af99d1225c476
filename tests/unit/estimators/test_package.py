"""Claims about the detectors for Python as they are imported, and about their docstrings."""

import doctest
import importlib

import pytest
from sklearn.base import clone

from helpers.scripts import run_cold
from pyimagesearch import ImageAnomalyDetector, SeriesAnomalyDetector


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


@pytest.mark.parametrize("module", ["base", "images", "matrices", "model_detector", "series"])
def test_the_examples_of_the_docstrings_run(module):
    done = doctest.testmod(importlib.import_module(f"pyimagesearch.estimators.{module}"))
    assert done.attempted > 8
    assert done.failed == 0


@pytest.mark.parametrize("kind", [ImageAnomalyDetector, SeriesAnomalyDetector])
def test_every_public_method_says_what_it_takes_and_has_an_example(kind):
    of_scikit_learn = set(dir(clone(kind()).__class__.__mro__[-2])) | {
        *("get_params", "set_params", "get_metadata_routing", "set_fit_request")
    }
    names = {name for name in dir(kind) if not name.startswith("_")} - of_scikit_learn
    names -= {name for name in names if name.endswith(("_", "_request"))}
    assert {"fit", "predict", "save", "load"} <= names
    for name in names:
        documentation = getattr(kind, name).__doc__
        assert ">>> " in documentation, name
        assert "Raises:" in documentation, name
