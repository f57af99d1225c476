"""The default method, trained by the product itself, with the features of images computed once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from pyimagesearch.backbones.patch_features import BackbonePatches
from pyimagesearch.data import images
from pyimagesearch.runtime.system import available_cores
from pyimagesearch.runtime.threads import ordered_map
from pyimagesearch.training.image_features import DEFAULT_BACKBONE, BackboneOptions, FeatureOptions
from pyimagesearch.training.images import (
    AUTO,
    PatchOptions,
    TrainingFolder,
    train_on_patches,
)

# Whether images that stand apart are left out, though all of them are normal.
DEFAULT_WAYS = ("default", "`--contamination 0`")
# The fewest that promise a rate of 1%: twenty divisions of eight sets take half an hour.
N_LEARNED = 99
MOST_JUDGED = 80
MOST_ANOMALIES = 60

Scores = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class KnownPatches(BackbonePatches):
    """Patch features that are computed once of each image that is ``known``.

    Attributes:
        known: what is extracted from an image, by the SHA-256 of its pixels.
    """

    known: dict[bytes, np.ndarray] = field(default_factory=dict, compare=False)

    @classmethod
    def of_default(cls, normal: Sequence[str]) -> KnownPatches:
        """Those of the default network, at the size that suits some normal images."""
        usual = FeatureOptions(BackboneOptions(DEFAULT_BACKBONE)).extractor(normal, patches=True)
        return cls(usual.backbone, usual.side)

    def extract(self, image: np.ndarray) -> np.ndarray:
        found = self.known.get(_digest(image))
        return super().extract(image) if found is None else found

    def learn(self, paths: Sequence[str]) -> dict[str, np.ndarray]:
        """Extract the features of images, and know them from now on: by path."""

        def extract(path: str) -> tuple[bytes, np.ndarray]:
            image = images.read_image(path, self.min_side)
            return _digest(image), super(KnownPatches, self).extract(image)

        extracted = list(ordered_map(extract, paths, available_cores()))
        self.known.update(extracted)
        return {path: found for path, (_, found) in zip(paths, extracted, strict=True)}


def _digest(image: np.ndarray) -> bytes:
    return hashlib.sha256(repr(image.shape).encode() + image.tobytes()).digest()


def default_scores(
    normal: Sequence[str], anomalies: Sequence[str], seed: int, n_splits: int
) -> Iterator[tuple[Scores, ...]]:
    """Divide normal images anew, learn some as ``train_anomaly_detector.py`` does, judge others.

    Args:
        normal, anomalies: files of a set.
        seed: of the choices.
        n_splits: how often.

    Yields:
        For each of ``DEFAULT_WAYS`` the scores of images in calibration, of normal images that were
        not learned, and of anomalies.
    """
    rng = np.random.default_rng(seed)
    anomalies = rng.permutation(anomalies)[:MOST_ANOMALIES]
    extractor = KnownPatches.of_default(normal)
    known = extractor.learn([*normal, *anomalies])

    def scores(learned: Sequence[str], judged: Sequence[str], share: float | None) -> Scores:
        folder = TrainingFolder("learned", sorted(learned), contamination=share)
        fit = train_on_patches(folder, extractor, AUTO, PatchOptions())
        rows = ([known[path] for path in paths] for paths in (judged, anomalies))
        return fit.calibration, *map(fit.detector.score, rows)

    for _ in range(n_splits):
        order = rng.permutation(normal)
        split = order[:N_LEARNED], order[N_LEARNED:][:MOST_JUDGED]
        by_default = scores(*split, None)
        is_whole = len(by_default[0]) == N_LEARNED
        yield by_default, by_default if is_whole else scores(*split, 0.0)
