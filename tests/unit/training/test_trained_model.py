"""Claims about what training writes into a model file."""

import importlib.metadata

import numpy as np

from pyimagesearch.detectors.image.knn import KnnDetector
from pyimagesearch.labelling.thresholds import Threshold
from pyimagesearch.training.trained_model import Fit, TrainedModel


def test_the_versions_are_those_of_the_libraries_that_are_installed():
    features = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    scores = np.linspace(1, 2, 8)
    fit = Fit(KnnDetector.fit(features), scores, "for a test", scores, {})
    model = TrainedModel(
        fit, {}, Threshold("number", None, 1.5), "digest", libraries=("numpy", "no-such-library")
    )
    noted = model.as_file().manifest["versions"]
    assert set(noted) == {"python", "numpy"}
    assert noted["numpy"] == importlib.metadata.version("numpy")
