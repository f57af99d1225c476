"""The toolkit for Python: detectors with the interface of scikit-learn's outlier detectors."""

from __future__ import annotations

from pyimagesearch.estimators.images import ImageAnomalyDetector
from pyimagesearch.estimators.matrices import (
    IsolationForestDetector,
    MahalanobisDetector,
    NearestNeighboursDetector,
)
from pyimagesearch.estimators.series import SeriesAnomalyDetector

__all__ = [
    "ImageAnomalyDetector",
    "IsolationForestDetector",
    "MahalanobisDetector",
    "NearestNeighboursDetector",
    "SeriesAnomalyDetector",
]
