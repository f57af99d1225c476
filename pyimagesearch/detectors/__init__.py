"""The detectors, one a file, and the names by which model files call them.

A detector has

- ``Detector.fit(features, ..., seed)``: a fitted detector; heavy libraries are imported inside;
- ``score(features)``: (n_items,) float64, higher is more anomalous, each row on its own;
- ``reconstruct(features)``: one item as it would be if it were normal, or None;
- ``heat(features, relative)``: for one item, how strange each feature (or pixel) is, where 1 is
  the limit of what is normal;
- ``parameters()``, ``arrays()`` and ``networks()``: all that a model file keeps of it, as JSON
  types, arrays and ONNX graphs;
- ``Detector.restore(parameters, arrays, networks)``: the same detector again, or ``ValueError``.
"""

from __future__ import annotations

from pyimagesearch.detectors.autoencoder import AutoencoderDetector
from pyimagesearch.detectors.forest import ForestDetector

DETECTORS = {kind.name: kind for kind in (AutoencoderDetector, ForestDetector)}
