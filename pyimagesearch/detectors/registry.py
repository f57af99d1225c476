"""The detectors, one a file, and the names by which model files call them.

A detector has

- ``Detector.fit(features, ..., seed)``: a fitted detector; heavy libraries are imported inside;
- ``score(features)``: (n_items,) float64, higher is more anomalous, each row on its own;
- ``reconstruct(features)``: one item as it would be if it were normal, or None;
- ``heat(features, relative)``: for one item, how strange each feature (pixel, patch) is, where 1
  is the limit of what is normal; ``relative`` takes scores to that scale;
- ``contributions(features)``: the same before it is brought into line with the verdict, comparable
  between items;
- ``parameters()``, ``arrays()`` and ``networks()``: all that a model file keeps of it, as JSON
  types, arrays and ONNX graphs;
- ``Detector.restore(parameters, arrays, networks)``: the same detector again, or ``ValueError``.

One of windows of a series has ``time_steps`` and ``score_rows(values, own_start)`` in place of the
three in the middle; one of a stream (``causal``) has ``update(timestamps, values)``, scores rows as
they come, and changes with each.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from pyimagesearch.detectors.model_file import ModelFile

# Where each is, so that labelling loads one of them alone.
DETECTORS = {
    "autoencoder": "image.autoencoder.AutoencoderDetector",
    "denoising": "image.denoising.DenoisingDetector",
    "ensemble": "series.nearest_window.EnsembleDetector",
    "isolation-forest": "image.isolation_forest.ForestDetector",
    "gaussian": "image.gaussian.GaussianDetector",
    "memory-bank": "image.memory_bank.MemoryBankDetector",
    "neighbours": "image.knn.NeighboursDetector",
    "stream": "series.stream.StreamDetector",
    "subspace": "image.subspace.SubspaceDetector",
    "window-autoencoder": "series.window_autoencoder.WindowAutoencoderDetector",
}
_FEATURES = "features."
_PREFIX = "detector."


def described(detector: Any) -> dict[str, Any]:
    """What a manifest says of a detector."""
    return {"name": detector.name, **detector.parameters()}


def members(detector: Any) -> dict[str, np.ndarray]:
    """A detector's arrays under the names that they have in a model file."""
    return {f"{_PREFIX}{name}": array for name, array in detector.arrays().items()}


def restore(model: ModelFile) -> Any:
    """Make the detector of a model file again.

    Raises:
        KeyError, TypeError, ValueError: what the file holds is no usable detector.
    """
    parameters = dict(model.manifest["detector"])
    name = parameters.pop("name")
    if name not in DETECTORS:
        raise ValueError(f"the detector {name!r} is not known to this version")
    module, _, kind = DETECTORS[name].rpartition(".")
    detector = getattr(importlib.import_module(f"pyimagesearch.detectors.{module}"), kind)
    arrays = {
        key.removeprefix(_PREFIX): array
        for key, array in model.arrays.items()
        if key.startswith(_PREFIX)
    }
    networks = {k: v for k, v in model.networks.items() if not k.startswith(_FEATURES)}
    return detector.restore(parameters, arrays, networks)


def feature_networks(model: ModelFile) -> dict[str, bytes]:
    """The networks of a model file that its features need, by the extractor's own names."""
    return {
        key.removeprefix(_FEATURES): network
        for key, network in model.networks.items()
        if key.startswith(_FEATURES)
    }


def network_members(detector: Any, features: dict[str, bytes]) -> dict[str, bytes]:
    """A detector's and its features' networks under the names that they have in a model file."""
    return detector.networks() | {f"{_FEATURES}{name}": data for name, data in features.items()}
