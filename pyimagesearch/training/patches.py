"""Train on patches: features of images, in bounded memory -> detector and its calibration."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from pyimagesearch.detectors.base import ImageDetector
from pyimagesearch.detectors.image.anomaly_map import MapScale
from pyimagesearch.detectors.image.patch_detector import PatchDetector
from pyimagesearch.detectors.image.patch_space import PatchPool
from pyimagesearch.runtime.threads import ordered_map
from pyimagesearch.training.calibration import Folds

# Patches that detectors are fitted on, for each one that a memory bank keeps.
_POOL_PER_KEPT = 32
# Patches that a memory bank keeps, times the square root of how many there are. A bottle is covered
# by 2,000 of 200,000; with 800,000 of castings, 5,000 find more than 2,500.
_KEPT_PER_ROOT = 5.5
_MIN_KEPT, _MAX_KEPT = 1_500, 6_000
# What the program itself takes, with a network loaded, and what is done with the features in
# addition to keeping them.
_OVERHEAD_BYTES = 500 * 1024**2
_MIN_BYTES = 64 * 1024**2
_KEPT_SHARE = 0.7


class PatchReservoir:
    """A random sample of the patches of any number of images, in bounded memory.

    A random part of all patches becomes the pool that detectors are fitted on. Images are kept
    whole for calibration while they fit; then a random half of them is dropped, and so on. What is
    kept depends on the bytes of the images and on the seed, not on names or order.

    Args:
        memory: bytes that training may take in all.
        counts: which cells of a grid of some shape may be trained on.
        bank_size: number of patches that a memory bank will keep; None takes ``default_bank_size``.
        seed: of the choices.
    """

    def __init__(
        self,
        memory: int,
        counts: Callable[[tuple[int, int]], np.ndarray] | None = None,
        bank_size: int | None = None,
        seed: int = 42,
    ) -> None:
        self._budget = max(int((memory - _OVERHEAD_BYTES) * _KEPT_SHARE), _MIN_BYTES)
        self._counts = counts
        self._bank_size = bank_size
        self._max_drawn = _POOL_PER_KEPT * (bank_size or _MAX_KEPT)
        self._n_seen: dict[bytes, int] = {}
        self._seed = seed
        self._kept: dict[bytes, np.ndarray] = {}
        self._kept_bytes = 0
        self._share_kept = 1.0
        self._drawn: dict[bytes, tuple[np.ndarray, ...]] = {}
        self._n_drawn = 0
        self._share_drawn = 1.0

    def add(self, digest: bytes, features: np.ndarray, *, for_calibration: bool = True) -> None:
        """Add the patches of an image.

        Args:
            digest: SHA-256 of its bytes; for an altered copy of an image ``copy_digest``.
            features: (rows, columns, n_features) float16.
            for_calibration: whether the image may be kept whole.
        """
        rng = np.random.default_rng([self._seed, *np.frombuffer(digest, np.uint32)])
        if for_calibration:
            self._keep(digest, float(rng.random()), features)
        self._draw(digest, rng, features)

    def _keep(self, digest: bytes, lot: float, features: np.ndarray) -> None:
        self._kept[digest] = features
        self._kept_bytes += features.nbytes
        while self._kept_bytes > self._budget and len(self._kept) > 1:
            self._share_kept /= 2
            lots = {key: self._lot(key) for key in self._kept}
            self._kept = {k: v for k, v in self._kept.items() if lots[k] < self._share_kept}
            self._kept_bytes = sum(array.nbytes for array in self._kept.values())
        if lot >= self._share_kept and digest in self._kept:
            self._kept_bytes -= self._kept.pop(digest).nbytes

    def _lot(self, digest: bytes) -> float:
        return float(
            np.random.default_rng([self._seed, *np.frombuffer(digest, np.uint32)]).random()
        )

    def _draw(self, digest: bytes, rng: np.random.Generator, features: np.ndarray) -> None:
        shape = features.shape[:2]
        lots = rng.random(shape)
        chosen = lots < self._share_drawn
        if self._counts is not None:
            chosen &= self._counts(shape)
        cells = np.argwhere(chosen)
        places = ((cells + 0.5) / shape).astype(np.float32)
        self._drawn[digest] = (lots[chosen], features[chosen], places)
        self._n_seen[digest] = lots.size
        self._n_drawn += len(cells)
        while self._n_drawn > self._max_drawn:
            self._share_drawn /= 2
            self._drawn = {
                key: tuple(column[drawn[0] < self._share_drawn] for column in drawn)
                for key, drawn in self._drawn.items()
            }
            self._n_drawn = sum(len(drawn[0]) for drawn in self._drawn.values())

    @property
    def bank_size(self) -> int:
        """Number of patches that a memory bank should keep."""
        return self._bank_size or default_bank_size(sum(self._n_seen.values()))

    def remove(self, digests: Collection[bytes]) -> None:
        """Forget images and altered copies of them, as if they had never been added.

        Only what others had to give up for them, where memory did not suffice, does not come back.
        """
        self._kept = {key: value for key, value in self._kept.items() if key not in digests}
        self._kept_bytes = sum(array.nbytes for array in self._kept.values())
        rest = [key for key in self._n_seen if _original(key) not in digests]
        self._n_seen = {key: self._n_seen[key] for key in rest}
        self._drawn = {key: self._drawn[key] for key in rest}
        self._n_drawn = sum(len(drawn[0]) for drawn in self._drawn.values())

    def result(self) -> tuple[list[bytes], list[np.ndarray], PatchPool]:
        """Return what was kept.

        Returns:
            The digests of the images that were kept whole, in ascending order; their features; and
            the pool, whose owners are numbers of these images, or -1 for others.
        """
        kept = sorted(self._kept)
        number = {digest: i for i, digest in enumerate(kept)}
        drawn = sorted(self._drawn.items(), key=lambda item: item[0])
        columns = zip(*(columns for _, columns in drawn), strict=True)
        lots, patches, places = (np.concatenate(column) for column in columns)
        owners = np.concatenate(
            [
                np.full(len(lots), number.get(_original(digest), -1), np.int32)
                for digest, (lots, _, _) in drawn
            ]
        )
        n_chosen = _POOL_PER_KEPT * self.bank_size
        chosen = np.sort(np.argsort(lots, kind="stable")[:n_chosen])
        pool = PatchPool(patches[chosen], owners[chosen], places[chosen])
        return kept, [self._kept[digest] for digest in kept], pool


def default_bank_size(n_patches: int) -> int:
    """Number of patches that a memory bank keeps of so many."""
    return int(np.clip(_KEPT_PER_ROOT * n_patches**0.5, _MIN_KEPT, _MAX_KEPT))


def copy_digest(digest: bytes, number: int) -> bytes:
    """The digest of an altered copy of an image, from which that of the original can be found."""
    return digest + number.to_bytes(4, "little")


def _original(digest: bytes) -> bytes:
    return digest[:32]


Scorer = TypeVar("Scorer", bound=ImageDetector)
Bank = TypeVar("Bank", bound=PatchDetector)


@dataclass(frozen=True)
class PatchFit(Generic[Scorer]):
    """A fitted detector of patches and its calibration.

    Attributes:
        detector: fitted on all images.
        calibration: (n,) scores of images by detectors that had not seen them.
        folds: how these were made.
        of_folds: a detector for each fold, which has not seen the images outside of it.
        n_patches: number of patches that ``detector`` was fitted on.
    """

    detector: Scorer
    calibration: np.ndarray
    folds: Folds
    of_folds: list[Scorer]
    n_patches: int


def fit_patches(
    features: Sequence[np.ndarray],
    pool: PatchPool,
    fit: Callable[[PatchPool], Bank],
    scale: MapScale,
    keep_scale: bool,
    jobs: int,
) -> PatchFit[Bank]:
    """Fit a detector and calibrate it out of fold.

    The features are there already, so that a fold costs its fitting and one scoring of its images.
    The scale of the final detector's maps is learned from all maps out of fold, that of a fold's
    detector from those of the other folds.

    Args:
        features: of each image that is there for calibration.
        pool: patches of these and perhaps more images.
        fit: makes a detector.
        scale: its ``ignored`` is that of the detector.
        keep_scale: whether all of it is, so that older scores stay comparable.
        jobs: number of threads; the result does not depend on it.
    """
    folds = Folds.split(len(features))
    owners = np.unique(pool.owners)

    def fit_without(images: np.ndarray) -> tuple[Bank, list[np.ndarray]]:
        """Fit to the patches of all but some images, and map these."""
        detector = fit(pool.from_images(np.setdiff1d(owners, images)))
        return detector, [detector.smoothed(features[i]) for i in images]

    left_out = [*(outside for _, outside in folds.splits), np.empty(0, int)]
    fitted = folds.track(ordered_map(fit_without, left_out, jobs), n_more=1)
    smoothed: dict[int, np.ndarray] = {}
    detectors: list[Bank] = []
    for images, (detector, maps) in zip(left_out, fitted, strict=True):
        smoothed |= zip(images, maps, strict=True)
        detectors.append(detector)
    of_all_images = detectors.pop()
    profiles = {i: scale.profile(smoothed[i]) for i in smoothed}

    def refitted(images: Iterable[int]) -> MapScale:
        if keep_scale:
            return scale
        return scale.refit([smoothed[i] for i in images], [profiles[i] for i in images])

    calibration = np.empty(len(features))
    for number, (inside, outside) in enumerate(folds.splits):
        others = refitted(inside)
        calibration[outside] = [others.score(smoothed[i]) for i in outside]
        detectors[number] = detectors[number].with_scale(others)
    final = of_all_images.with_scale(refitted(range(len(features))))
    return PatchFit(final, calibration, folds, detectors, len(pool.patches))
