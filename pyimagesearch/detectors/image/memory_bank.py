"""Memory bank: patches that cover what normal images show; anomalous is what is far from them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np

from pyimagesearch.backbones import cell_grid
from pyimagesearch.detectors.array_checks import Array, checked, checked_arrays
from pyimagesearch.detectors.image.patch_detector import PatchDetector
from pyimagesearch.detectors.image.patch_space import PatchPool, PatchSpace

_DIMENSIONS = 128
_CORESET_DIMENSIONS = 64
_BANK_ROWS_AT_ONCE = 4096
_PRODUCTS_AT_ONCE = 2**24  # which take 64 MB
_CANDIDATES = 16  # one in so many points is a candidate at a time
# How much of what the dimensions leave out of a patch, squared, is added to the squared distance:
# with all of it castings gain what bottles lose, compared with none.
_RESIDUAL = 0.5
THUMBNAIL_SIDE = 96


@dataclass(frozen=True)
class MemoryBank:
    """A coreset of patches (Roth et al., CVPR 2022, section 3.2).

    Attributes:
        space: where distances are taken.
        points: (n_bank, n_dimensions) float16, the coordinates of the patches that are kept.
        owners: (n_bank,) int32, the numbers of the training images that the patches come from;
            -1 for others.
        places: (n_bank, 2) float32, where in them, down and across, from 0 to 1.
    """

    ARRAYS: ClassVar = {
        "points": Array(np.float16, ("n_bank", "n_dimensions")),
        "owners": Array(np.int32, ("n_bank",)),
        "places": Array(np.float32, ("n_bank", 2)),
    }

    space: PatchSpace
    points: np.ndarray
    owners: np.ndarray
    places: np.ndarray
    _extended: np.ndarray = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        points = self.points.astype(np.float32)
        half = np.einsum("ij,ij->i", points, points)[:, None] / 2
        # q.b - |b|^2 / 2 in one product: its maximum is at the nearest b.
        object.__setattr__(self, "_extended", np.concatenate([points, -half], axis=1))

    @classmethod
    def fit(
        cls,
        pool: PatchPool,
        *,
        levels: Sequence[int],
        share: float = 1 / 8,
        coreset: str = "greedy",
        seed: int = 42,
    ) -> MemoryBank:
        """Choose the patches to keep.

        Args:
            pool: patches of normal images.
            levels: ``PatchSpace``'s.
            share: of the pool that is kept.
            coreset: ``greedy`` or ``random``.
            seed: of all choices.
        """
        space = PatchSpace.fit(pool.patches, levels, _DIMENSIONS, seed)
        coordinates, _ = space.project(pool.patches)
        size = max(1, min(round(share * len(coordinates)), len(coordinates)))
        chosen = CORESETS[coreset](coordinates, size, seed)
        points = coordinates[chosen].astype(np.float16)
        return cls(space, points, pool.owners[chosen], pool.places[chosen])

    @property
    def n_features(self) -> int:
        """Length of a patch's feature vector."""
        return self.space.n_features

    def distances(self, patches: np.ndarray) -> np.ndarray:
        """Each patch's distance to the nearest one kept.

        Args:
            patches: (rows, columns, n_features) float16.

        Returns:
            (rows, columns) float32.
        """
        rows, columns, n_features = patches.shape
        coordinates, residual = self.space.project(patches.reshape(-1, n_features))
        squared = nearest_squared(coordinates, self._extended) + np.float32(_RESIDUAL) * residual
        return np.sqrt(squared).reshape(rows, columns)

    def nearest_known(self, patch: np.ndarray) -> int | None:
        """The number of the nearest patch whose image is known, to (n_features,) float16."""
        coordinates, _ = self.space.project(patch[None])
        nearness = self._extended[:, :-1] @ coordinates[0] + self._extended[:, -1]
        nearness[self.owners < 0] = -np.inf
        nearest = int(nearness.argmax())
        return nearest if self.owners[nearest] >= 0 else None

    def extended(self, pool: PatchPool, seed: int) -> MemoryBank:
        """Add patches of more images, those furthest from the bank first.

        Args:
            pool: of the new images.
            seed: of all choices.

        Returns:
            A bank in the same space, up to half as large again. Patches that are as near to the
            bank as its own are to each other are not added.
        """
        coordinates, _ = self.space.project(pool.patches)
        have = self.points.astype(np.float32)
        is_far = nearest_squared(coordinates, self._extended) > self._usual_gap()
        joined = np.concatenate([have, coordinates[is_far]])
        size = min(len(have) + len(have) // 2, len(joined))
        chosen = greedy_coreset(joined, size, seed, n_chosen=len(have))
        return MemoryBank(
            self.space,
            joined[chosen].astype(np.float16),
            np.concatenate([self.owners, pool.owners[is_far]])[chosen],
            np.concatenate([self.places, pool.places[is_far]])[chosen],
        )

    def _usual_gap(self) -> float:
        """The squared distance of a patch of the bank to its nearest other one: the median."""
        extended = self._extended
        products = extended[:, :-1] @ extended[:, :-1].T + extended[:, -1]
        np.fill_diagonal(products, -np.inf)
        return float(np.median(np.maximum(-2 * (extended[:, -1] + products.max(axis=1)), 0)))

    def arrays(self) -> dict[str, np.ndarray]:
        return {name: getattr(self, name) for name in self.ARRAYS} | self.space.arrays()

    @classmethod
    def restore(cls, arrays: dict[str, np.ndarray]) -> MemoryBank:
        """Make the bank again from a model file's arrays.

        Raises:
            ValueError: they are missing or do not fit together.
        """
        space = PatchSpace.restore(arrays)
        lengths = {"n_dimensions": space.n_dimensions}
        bank = cls(space, **checked_arrays(arrays, cls.ARRAYS, lengths))
        if (bank.owners < -1).any() or not ((bank.places >= 0) & (bank.places <= 1)).all():
            raise ValueError("a patch of the memory bank lies outside its image")
        return bank


@dataclass(frozen=True)
class MemoryBankDetector(PatchDetector[MemoryBank]):
    """Distance of a patch to the nearest one of a bank.

    Attributes:
        thumbnails: (n_images, side, side, 3) uint8 BGR of the training images, or None.
    """

    name = "memory-bank"
    MODEL = MemoryBank
    FIT_OPTIONS = ("coreset", "share")

    thumbnails: np.ndarray | None = None

    def extended(self, pool: PatchPool, *, seed: int = 42) -> Self:
        """The detector with patches of more images: see ``MemoryBank.extended``.

        Where thumbnails are kept, those of the new images are to be added next.
        """
        n_known = 0 if self.thumbnails is None else len(self.thumbnails)
        new_owners = np.where((pool.owners < 0) | (n_known == 0), -1, pool.owners + n_known)
        own = np.split(pool.patches, self._edges(), axis=1)
        groups = [
            group.extended(replace(pool, patches=patches, owners=new_owners.astype(np.int32)), seed)
            for group, patches in zip(self.groups, own, strict=True)
        ]
        return replace(self, groups=tuple(groups))

    def with_thumbnails(self, images: Iterable[np.ndarray]) -> Self:
        """Keep small copies of training images, stretched to squares, after those there are.

        Args:
            images: (height, width, 3) uint8 BGR, in the order of the owners' numbers.
        """
        size = (THUMBNAIL_SIDE, THUMBNAIL_SIDE)
        known = [] if self.thumbnails is None else list(self.thumbnails)
        added = [cell_grid.resize(image, size) for image in images]
        return replace(self, thumbnails=np.stack([*known, *added]))

    def explain(self, features: np.ndarray) -> tuple[np.ndarray, tuple[float, float]] | None:
        """Show what the most anomalous place of an image was compared with.

        Args:
            features: (rows, columns, n_features) float16.

        Returns:
            The thumbnail of the training image with the nearest patch, and where that lies in
            it, down and across, from 0 to 1; None where no thumbnails were kept.
        """
        if self.thumbnails is None:
            return None
        place = np.unravel_index(self.anomaly_map(features).argmax(), features.shape[:2])
        first = self.groups[0]
        nearest = first.nearest_known(features[place][: first.n_features])
        if nearest is None:
            return None
        down, across = first.places[nearest]
        return self.thumbnails[first.owners[nearest]], (float(down), float(across))

    def arrays(self) -> dict[str, np.ndarray]:
        arrays = super().arrays()
        return arrays if self.thumbnails is None else arrays | {"thumbnails": self.thumbnails}

    @classmethod
    def restore(
        cls,
        parameters: dict[str, Any],
        arrays: dict[str, np.ndarray],
        networks: dict[str, bytes],
    ) -> Self:
        """Make the detector again from what a model file holds, or raise ``ValueError``."""
        detector = super().restore(parameters, arrays, networks)
        if "thumbnails" not in arrays:
            return detector
        shape = ("n_images", THUMBNAIL_SIDE, THUMBNAIL_SIDE, 3)
        thumbnails = checked(arrays, "thumbnails", np.uint8, shape)
        if (detector.groups[0].owners >= len(thumbnails)).any():
            raise ValueError("a patch of the memory bank is of an image that is not there")
        return replace(detector, thumbnails=thumbnails)


def nearest_squared(points: np.ndarray, bank: np.ndarray) -> np.ndarray:
    """Squared distances to the nearest of many points, in blocks that stay in the cache.

    Args:
        points: (n, n_dimensions) float32.
        bank: (n_bank, n_dimensions + 1) float32, the last column minus half the squared length.

    Returns:
        (n,) float32.
    """
    at_once = _PRODUCTS_AT_ONCE // min(len(bank), _BANK_ROWS_AT_ONCE)
    if len(points) > at_once:  # of an image in tiles
        blocks = np.split(points, range(at_once, len(points), at_once))
        return np.concatenate([nearest_squared(block, bank) for block in blocks])
    ones = np.ones((len(points), 1), np.float32)
    extended = np.concatenate([points, ones], axis=1)
    best = np.full(len(points), -np.inf, np.float32)
    for start in range(0, len(bank), _BANK_ROWS_AT_ONCE):
        products = extended @ bank[start : start + _BANK_ROWS_AT_ONCE].T
        np.maximum(best, products.max(axis=1), out=best)
    return np.maximum(np.einsum("ij,ij->i", points, points) - 2 * best, 0)


def greedy_coreset(points: np.ndarray, size: int, seed: int, n_chosen: int = 0) -> np.ndarray:
    """Choose points one by one, each the furthest from those chosen: within 2 of the best cover.

    Gonzalez, Clustering to minimize the maximum intercluster distance (1985), in a random
    projection (Johnson and Lindenstrauss), as PatchCore does.

    Args:
        points: (n, n_dimensions) float32.
        size: how many to choose, at most n.
        seed: of the projection and of the first point.
        n_chosen: how many of the first points are chosen already.

    Returns:
        (size,) indices in the order of choice.
    """
    rng = np.random.default_rng(seed)
    if points.shape[1] > _CORESET_DIMENSIONS:
        shape = (points.shape[1], _CORESET_DIMENSIONS)
        points = points @ (rng.standard_normal(shape, np.float32) / np.float32(shape[1] ** 0.5))
    squares = np.einsum("ij,ij->i", points, points)
    extended = np.concatenate([points, -squares[:, None] / 2], axis=1)
    chosen = np.empty(size, np.intp)
    first = rng.integers(len(points))
    n_found = max(n_chosen, 1)
    chosen[:n_found] = np.arange(n_chosen) if n_chosen else first
    squared = np.full(len(points), np.inf, np.float32)  # distances to the nearest one chosen
    # Distances only fall. So as long as the furthest of a few candidates is as far as any other
    # point was, it is the furthest of all, and the others can meet what was chosen later, at once.
    n_others = len(points) - max(len(points) // _CANDIDATES, 1)
    n_met = 0
    while n_found < size:
        met = extended[chosen[n_met:n_found]]
        np.minimum(squared, nearest_squared(points, met), out=squared)
        n_met = n_found
        order = np.argpartition(squared, n_others)
        candidates = np.sort(order[n_others:])
        others = squared[order[:n_others]].max(initial=-np.inf)
        near, own, own_squares = points[candidates], squared[candidates], squares[candidates]
        newest = own.argmax()
        while n_found < size and not own[newest] < others:
            chosen[n_found] = candidates[newest]
            n_found += 1
            apart = own_squares + own_squares[newest] - 2 * (near @ near[newest])
            np.minimum(own, apart, out=own)
            newest = own.argmax()
    return chosen


def random_coreset(points: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Choose points at random: (size,) ascending indices."""
    return np.sort(np.random.default_rng(seed).choice(len(points), size, replace=False))


CORESETS = {"greedy": greedy_coreset, "random": random_coreset}
