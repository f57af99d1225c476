"""The detectors, one a file, and the names by which model files call them.

A detector has

- ``Detector.fit(features, ..., seed)``: a fitted detector; heavy libraries are imported inside;
- ``score(features)``: (n_items,) float64, higher is more anomalous, each row on its own;
- ``parameters()`` and ``arrays()``: all that a model file keeps of it, as JSON types and arrays;
- ``Detector.restore(parameters, arrays)``: the same detector again, or ``ValueError``.
"""

from __future__ import annotations

from pyimagesearch.detectors.forest import ForestDetector

DETECTORS = {ForestDetector.name: ForestDetector}
