"""Claims about the docstrings of what programs import: they and the signatures say the same."""

import inspect

import pytest

from helpers.docstrings import disagreements, sections
from pyimagesearch import datasets, estimators, features

DETECTORS = {name: getattr(estimators, name) for name in estimators.__all__}


def is_ours(member):
    return getattr(inspect.unwrap(member), "__module__", "").startswith("pyimagesearch")


def with_methods(name, kind):
    """A class and its public methods, inherited ones too, by their names."""
    yield name, kind
    for method, member in inspect.getmembers(kind, inspect.isroutine):
        if not method.startswith("_") and is_ours(member):
            yield f"{name}.{method}", member


def public_names():
    """All that programs import, but what takes TensorFlow: see tests/networks."""
    found = dict(DETECTORS)
    found |= {name: getattr(datasets, name) for name in datasets.__all__}
    found |= {
        name: member
        for name, member in vars(features).items()
        if not name.startswith("_") and getattr(member, "__module__", "") == features.__name__
    }
    for name, member in found.items():
        if inspect.isclass(member):
            yield from with_methods(name, member)
        elif callable(member):
            yield name, member


def test_docstrings_name_each_argument_and_no_other_and_what_is_returned_and_raised():
    members = dict(public_names())
    assert {"ImageAnomalyDetector.anomaly_map", "quantify_image", "create_sequences"} <= set(
        members
    )
    wrong = {name: list(disagreements(member)) for name, member in members.items()}
    assert {name: found for name, found in wrong.items() if found} == {}


@pytest.mark.parametrize("name", DETECTORS)
def test_each_detector_and_method_has_an_example_and_says_what_it_raises(name):
    """The examples are run by test_the_examples_of_the_docstrings_run."""
    for of, member in with_methods(name, DETECTORS[name]):
        found = sections(member.__doc__)
        assert any(">>> " in line for line in found.get("Example", [])), of
        assert inspect.isclass(member) or "Raises" in found, of


def test_what_a_docstring_leaves_out_or_makes_up_is_found():
    def scale(rows: list[float], factor: float) -> list[float]:
        """Multiply.

        Args:
            rows: numbers.
            by: what is not there.
        """
        if not rows:
            raise ValueError("no rows")
        return [factor * row for row in rows]

    found = "; ".join(disagreements(scale))
    assert "takes ['rows', 'factor'], and describes ['rows', 'by']" in found
    assert "returns" in found
    assert "raises" in found
