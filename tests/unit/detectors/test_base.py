"""Claims about the contract of all detectors, and about the table of them."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from pyimagesearch.detectors import registry
from pyimagesearch.detectors.array_checks import Array, checked_arrays
from pyimagesearch.detectors.base import (
    CausalDetector,
    ImageDetector,
    WholeImageDetector,
    WindowDetector,
)
from pyimagesearch.detectors.image.bank_and_neighbours import BankAndNeighboursDetector
from pyimagesearch.detectors.image.patch_detector import PatchDetector
from pyimagesearch.detectors.image.pixel_detector import PixelDetector
from pyimagesearch.detectors.model_file import ModelFile

LEARNS_FROM = {
    registry.WHOLE_IMAGES: WholeImageDetector,
    registry.PATCHES: (PatchDetector, BankAndNeighboursDetector),
    registry.PIXELS: PixelDetector,
    registry.SERIES: (WindowDetector, CausalDetector),
}


@dataclass(frozen=True)
class DistanceDetector(WholeImageDetector):
    """The smallest detector: the distance to the mean."""

    name = "distance"
    ARRAYS: ClassVar = {
        "mean": Array(np.float64, ("n_features",)),
        "spread": Array(np.float64, ("n_features",), positive=True),
    }

    mean: np.ndarray
    spread: np.ndarray

    @classmethod
    def fit(cls, features, *, seed=42):  # noqa: ARG003
        return cls(features.mean(axis=0), features.std(axis=0))

    @property
    def n_features(self):
        return len(self.mean)

    def score(self, features):
        return np.array([np.abs((row - self.mean) / self.spread).sum() for row in features])


@pytest.fixture
def detector():
    return DistanceDetector.fit(np.random.default_rng(0).normal(size=(20, 4)))


@pytest.mark.parametrize("entry", registry.DETECTORS, ids=lambda entry: entry.name)
def test_a_line_of_the_table_names_a_detector_that_fulfils_its_contract(entry):
    found = entry.load()
    assert found.name == entry.name
    assert issubclass(found, LEARNS_FROM[entry.learns_from])
    assert found.__abstractmethods__ == set()


def test_no_name_stands_in_the_table_twice():
    names = [entry.name for entry in registry.DETECTORS]
    methods = registry.methods(*LEARNS_FROM)
    assert len(set(names)) == len(names)
    assert len(set(methods)) == len(methods)


def test_a_method_gives_its_detector_and_no_other_kind():
    assert registry.detector_class("forest", WholeImageDetector).name == "isolation-forest"
    with pytest.raises(TypeError, match="is no PatchDetector"):
        registry.detector_class("forest", PatchDetector)


def test_a_detector_of_a_later_version_is_refused():
    model = ModelFile({"detector": {"name": "oracle"}}, {})
    with pytest.raises(ValueError, match="'oracle' is not known"):
        registry.restore(model)


def test_what_a_detector_does_not_define_has_a_default(detector):
    item = np.ones(4)
    assert detector.parameters() == {"n_features": 4}
    assert detector.networks() == {}
    assert detector.reconstruct(item) is detector.explain(item) is None
    assert detector.typical_features() is None
    assert DistanceDetector.fit_options(20, {"n_estimators": 5}) == {}
    score = detector.score(item[None])
    np.testing.assert_array_equal(detector.contributions(item), score)
    np.testing.assert_array_equal(detector.heat(item, lambda score: 2 * score), 2 * score)


def test_a_detector_that_lacks_what_all_must_have_cannot_be_made():
    class Incomplete(ImageDetector):
        name = "incomplete"

    with pytest.raises(TypeError, match="abstract"):
        Incomplete()


def test_a_detector_is_restored_from_what_it_gives(detector):
    again = DistanceDetector.restore(detector.parameters(), detector.arrays(), {})
    items = np.random.default_rng(1).normal(size=(5, 4))
    np.testing.assert_array_equal(again.score(items), detector.score(items))


@pytest.mark.parametrize(
    ("parameters", "arrays", "networks", "message"),
    [
        ({}, {}, {}, "n_features is 4, not None"),
        ({"n_features": "4"}, {}, {}, "n_features is 4, not '4'"),
        ({"n_features": 5}, {}, {}, r"'mean' is not float64 of shape \(5\)"),
        ({"n_features": 4}, {"mean": None}, {}, "no array 'mean'"),
        ({"n_features": 4}, {"mean": np.ones(4, np.float32)}, {}, "'mean' is not float64"),
        ({"n_features": 4}, {"mean": np.full(4, np.nan)}, {}, "'mean' has .* not finite"),
        ({"n_features": 4}, {"spread": np.ones(5)}, {}, r"'spread' is not .* shape \(4\)"),
        ({"n_features": 4}, {"spread": np.zeros(4)}, {}, "'spread' has .* not positive"),
        ({"n_features": 4}, {}, {"network": b""}, "no network"),
    ],
)
def test_what_is_no_such_detector_is_refused(detector, parameters, arrays, networks, message):
    with pytest.raises(ValueError, match=message):
        DistanceDetector.restore(parameters, detector.arrays() | arrays, networks)


def test_arrays_that_share_a_length_must_agree_on_it():
    wanted = {"a": Array(np.float32, ("n", 2)), "b": Array(np.float32, ("m", "n"))}
    a, b = np.ones((3, 2), np.float32), np.ones((1, 3), np.float32)
    found = checked_arrays({"a": a, "b": b, "other": a}, wanted)
    assert found["a"] is a
    assert found["b"] is b
    assert list(found) == ["a", "b"]
    with pytest.raises(ValueError, match=r"'b' is not float32 of shape \(m, 3\)"):
        checked_arrays({"a": a, "b": b[:, :2]}, wanted)
    with pytest.raises(ValueError, match=r"'a' is not float32 of shape \(4, 2\)"):
        checked_arrays({"a": a, "b": b}, wanted, {"n": 4})


def test_an_array_that_must_be_square_is():
    wanted = {"a": Array(np.float32, ("n", "n"))}
    assert checked_arrays({"a": np.ones((3, 3), np.float32)}, wanted)
    with pytest.raises(ValueError, match="'a' has two lengths of n"):
        checked_arrays({"a": np.ones((3, 2), np.float32)}, wanted)


def test_only_arrays_that_may_be_empty_are():
    empty = {"a": np.ones((0, 2), np.float32)}
    assert checked_arrays(empty, {"a": Array(np.float32, ("n", 2), least=0)})
    with pytest.raises(ValueError, match=r"'a' is not float32 of shape \(n, 2\)"):
        checked_arrays(empty, {"a": Array(np.float32, ("n", 2))})
