"""What training writes into a model file."""

from __future__ import annotations

import contextlib
import io
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from pyimagesearch.detectors import model_file, registry
from pyimagesearch.detectors.base import Detector
from pyimagesearch.labelling import capture_conditions, thresholds
from pyimagesearch.labelling.image_groups import ImageGroups


@dataclass(frozen=True)
class Fit:
    """A fitted detector, and what its threshold can be chosen from.

    Attributes:
        detector: the fitted one.
        calibration: (n,) scores of normal items by detectors that had not seen them.
        calibration_method: how these were made.
        training: (m,) scores of the training items by ``detector`` itself.
        hyperparameters: what was chosen, as JSON types.
    """

    detector: Detector
    calibration: np.ndarray
    calibration_method: str
    training: np.ndarray
    hyperparameters: dict[str, Any]


@dataclass(frozen=True)
class TrainedModel:
    """All that goes into a model file.

    Attributes:
        fit: the detector and its calibration.
        preprocessing: how an image or a series becomes what the detector scores, as JSON types.
        threshold: the verdict's rule and value.
        data_digest: SHA-256 of what the detector was fitted on.
        libraries: whose versions are noted, of those that are installed.
        weights: what a later training can start from; not needed for labelling.
        feature_networks: the extractor's, by its own names.
        kind: of the data, ``images`` or ``series``.
        items: what is counted in calibration and in training.
        capture_conditions: (k, len(CONDITIONS)) float32 of training images, or None.
        where: up to where a stream has come, as JSON types for the manifest.
        groups: of images that have thresholds of their own, or None.
    """

    fit: Fit
    preprocessing: dict[str, Any]
    threshold: thresholds.Threshold
    data_digest: str
    libraries: tuple[str, ...] = ("numpy", "scikit-learn")
    weights: Sequence[np.ndarray] = ()
    feature_networks: dict[str, bytes] = field(default_factory=dict)
    kind: str = "images"
    items: tuple[str, str] = ("images", "images")
    capture_conditions: np.ndarray | None = None
    where: dict[str, Any] = field(default_factory=dict)
    groups: ImageGroups | None = None

    def save(self, path: str) -> None:
        """Write the model file; raises ``OSError`` where that is not possible."""
        model_file.save_model(path, *self._content())

    def as_file(self) -> model_file.ModelFile:
        """What ``model_file.load_model`` would read from the file that ``save`` writes."""
        with io.BytesIO() as file:
            model_file.write_model(file, *self._content())
            return model_file.read_model(file)

    def _content(self) -> tuple[dict[str, Any], dict[str, np.ndarray], dict[str, bytes]]:
        """The manifest, arrays and networks of the model file."""
        fit = self.fit
        manifest = {
            "kind": self.kind,
            "preprocessing": self.preprocessing,
            "detector": registry.describe(fit.detector),
            "hyperparameters": fit.hyperparameters,
            "score": "higher is more anomalous",
            "threshold": self.threshold.describe(),
            "calibration": {
                "method": fit.calibration_method,
                self.items[0]: len(fit.calibration),
            },
            "training": {self.items[1]: len(fit.training), "sha256": self.data_digest},
            "versions": {
                "python": platform.python_version(),
                **_versions(self.libraries),
            },
            **self.where,
        }
        arrays = registry.array_members(fit.detector) | {
            "calibration_scores": fit.calibration,
            "training_scores": fit.training,
        }
        arrays |= {f"weights.{i:03}": array for i, array in enumerate(self.weights)}
        if self.capture_conditions is not None:
            manifest |= capture_conditions.described(self.capture_conditions)
            arrays |= capture_conditions.members(self.capture_conditions)
        if self.groups is not None:
            described, members = self.groups.members_of_file()
            manifest |= described
            arrays |= members
        networks = registry.network_members(fit.detector, self.feature_networks)
        return manifest, arrays, networks


def _versions(libraries: Sequence[str]) -> dict[str, str]:
    """The versions of packages; not every method takes all of them."""
    found = {}
    for name in libraries:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
