"""The table of all detectors: how model files and ``--method`` call each, and where it is.

A new detector is one more line: docs/adding-a-detector.md.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from pyimagesearch.detectors.array_checks import below_prefix
from pyimagesearch.detectors.base import Detector
from pyimagesearch.detectors.model_file import ModelFile

Kind = TypeVar("Kind", bound=Detector)

# What detectors learn from: one feature vector an image, one a patch, all pixels, rows of a series.
WHOLE_IMAGES, PATCHES, PIXELS, SERIES = "whole images", "patches", "pixels", "series"


@dataclass(frozen=True)
class Entry:
    """A line of the table.

    Attributes:
        name: by which model files call it.
        where: its module and class, below this package. They are imported when they are needed:
            labelling loads one detector alone.
        learns_from: one of the four above.
        method: by which train_anomaly_detector.py calls it; None where ``training`` has a function
            of its own for it.
    """

    name: str
    where: str
    learns_from: str
    method: str | None = None

    def load(self) -> type[Detector]:
        """Import the class."""
        module, _, name = self.where.rpartition(".")
        return getattr(importlib.import_module(f"pyimagesearch.detectors.{module}"), name)


AUTO = "auto"  # what --method is where nobody says
# In each group the methods stand as --help lists them.
DETECTORS = (
    Entry(
        "isolation-forest", "image.isolation_forest.IsolationForestDetector", WHOLE_IMAGES, "forest"
    ),
    Entry(
        "memory-bank-and-neighbours",
        "image.bank_and_neighbours.BankAndNeighboursDetector",
        PATCHES,
        AUTO,
    ),
    Entry("memory-bank", "image.memory_bank.MemoryBankDetector", PATCHES, "memory-bank"),
    Entry("subspace", "image.subspace.SubspaceDetector", PATCHES, "subspace"),
    Entry("gaussian", "image.gaussian.GaussianDetector", PATCHES, "gaussian"),
    Entry("neighbours", "image.knn.KnnDetector", WHOLE_IMAGES, "neighbours"),
    Entry("autoencoder", "image.autoencoder.AutoencoderDetector", PIXELS),
    Entry("denoising", "image.denoising.DenoisingDetector", PIXELS),
    Entry("ensemble", "series.nearest_window.NearestWindowDetector", SERIES),
    Entry("stream", "series.stream.StreamDetector", SERIES),
    Entry("window-autoencoder", "series.window_autoencoder.WindowAutoencoderDetector", SERIES),
)
_FEATURES = "features."
_PREFIX = "detector."


def methods(*learn_from: str) -> tuple[str, ...]:
    """What ``--method`` may be for detectors that learn from any of these."""
    return tuple(
        e.method for e in DETECTORS if e.method is not None and e.learns_from in learn_from
    )


def method_of(name: str) -> str | None:
    """What ``--method`` is for the detector that model files call so; None where there is none."""
    return next((entry.method for entry in DETECTORS if entry.name == name), None)


def detector_class(method: str, kind: type[Kind]) -> type[Kind]:
    """The detector that ``--method`` calls so.

    Args:
        method: one of ``methods``.
        kind: the contract that it must fulfil.
    """
    found = next(entry for entry in DETECTORS if entry.method == method).load()
    if not issubclass(found, kind):
        raise TypeError(f"{found.__name__} is no {kind.__name__}")
    return found


def describe(detector: Detector) -> dict[str, Any]:
    """What the manifest of a model file holds of a detector."""
    return {"name": detector.name, **detector.parameters()}


def array_members(detector: Detector) -> dict[str, np.ndarray]:
    """A detector's arrays under the names that they have in a model file."""
    return {f"{_PREFIX}{name}": array for name, array in detector.arrays().items()}


def network_members(detector: Detector, features: dict[str, bytes]) -> dict[str, bytes]:
    """A detector's and its features' networks under the names that they have in a model file."""
    return detector.networks() | {f"{_FEATURES}{name}": data for name, data in features.items()}


def restore(model: ModelFile) -> Detector:
    """Make the detector of a model file again.

    Raises:
        KeyError, TypeError, ValueError: what the file holds is no usable detector.
    """
    parameters = dict(model.manifest["detector"])
    name = parameters.pop("name")
    entry = next((entry for entry in DETECTORS if entry.name == name), None)
    if entry is None:
        raise ValueError(f"the detector {name!r} is not known to this version")
    arrays = below_prefix(model.arrays, _PREFIX)
    networks = {k: v for k, v in model.networks.items() if not k.startswith(_FEATURES)}
    return entry.load().restore(parameters, arrays, networks)


def feature_networks(model: ModelFile) -> dict[str, bytes]:
    """The networks of a model file that its features need, by the extractor's own names."""
    return {
        key.removeprefix(_FEATURES): network
        for key, network in model.networks.items()
        if key.startswith(_FEATURES)
    }
