"""Learn from normal images and series, and find anomalies in others."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

__version__ = "0.1.0"

# Nothing is printed where nobody has configured logging; see runtime.console.
logging.getLogger(__name__).addHandler(logging.NullHandler())

# Set before numpy and OpenCV are imported for the first time, when both read their environment.
# Images are worked on in parallel, one per thread: BLAS's own threads would only get in the way,
# and starting them costs as much as importing OpenCV.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# The reason of an unreadable image's verdict replaces OpenCV's messages.
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")

if TYPE_CHECKING:
    from pyimagesearch.estimators import ImageAnomalyDetector as ImageAnomalyDetector
    from pyimagesearch.estimators import IsolationForestDetector as IsolationForestDetector
    from pyimagesearch.estimators import MahalanobisDetector as MahalanobisDetector
    from pyimagesearch.estimators import NearestNeighboursDetector as NearestNeighboursDetector
    from pyimagesearch.estimators import SeriesAnomalyDetector as SeriesAnomalyDetector

# Imported when they are asked for: who imports the package alone waits for nothing.
_ESTIMATORS = (
    "ImageAnomalyDetector",
    "IsolationForestDetector",
    "MahalanobisDetector",
    "NearestNeighboursDetector",
    "SeriesAnomalyDetector",
)


def __getattr__(name: str) -> object:
    if name in _ESTIMATORS:
        try:
            from pyimagesearch import estimators
        except ImportError as error:
            from pyimagesearch.runtime import packages

            raise ImportError(packages.what_is_missing(error) or str(error)) from error
        return getattr(estimators, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_ESTIMATORS})
