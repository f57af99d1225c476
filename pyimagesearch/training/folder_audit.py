"""Read a training folder: features of each image, and which files cannot or need not be used."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeVar

import numpy as np

from pyimagesearch.data import images
from pyimagesearch.labelling import capture_conditions, thresholds
from pyimagesearch.runtime import parallel
from pyimagesearch.runtime.console import UserError, counted, info, printable, warn
from pyimagesearch.runtime.ordered_queue import DIED
from pyimagesearch.runtime.progress import track

Features = TypeVar("Features")

MIN_IMAGES = 8
MAX_REPORTED = 10
# Features of patches take a megabyte per image, and more with rotated copies.
_CHUNK_SIZE = 4


@dataclass(frozen=True)
class FolderAudit:
    """What was found in a training folder.

    Attributes:
        paths: the images to train on.
        features: (n_images, ...), extracted from each of ``paths``; kept on disk, in a file without
            a name. Empty where they were received by somebody else.
        unreadable: (path, reason) of files that are left out.
        duplicates: (path, path of the image that it equals byte for byte), left out.
        digests: SHA-256 of the bytes of each of ``paths``.
        conditions: the capture conditions of each of ``paths``.
    """

    paths: list[str]
    features: np.ndarray
    unreadable: list[tuple[str, str]]
    duplicates: list[tuple[str, str]]
    digests: list[bytes]
    conditions: list[np.ndarray]

    @property
    def digest(self) -> str:
        """SHA-256 over ``digests``."""
        return hashlib.sha256(b"".join(self.digests)).hexdigest()

    @property
    def capture_conditions(self) -> np.ndarray:
        """What a model file holds of them: see ``capture_conditions.from_files``."""
        return capture_conditions.from_files(self.conditions, self.digests)

    def without(self, left_out: Collection[bytes]) -> FolderAudit:
        """The audit of the folder without the images of some digests."""
        rest = [i for i, digest in enumerate(self.digests) if digest not in left_out]
        return replace(
            self,
            paths=[self.paths[i] for i in rest],
            features=self.features[rest] if len(self.features) else self.features,
            digests=[self.digests[i] for i in rest],
            conditions=[self.conditions[i] for i in rest],
        )


def audit_images(
    paths: Sequence[str],
    extract: Callable[[np.ndarray], Features],
    min_side: int | None,
    jobs: int,
    receive: Callable[[bytes, Features], None] | None = None,
    scheduler: str | None = None,
) -> FolderAudit:
    """Read every image once, and sort out the files that cannot or need not be trained on.

    Args:
        paths: image files.
        extract: (height, width, 3) uint8 BGR -> features: without ``receive``, an array of one
            shape for all images; may raise ``images.ImageError``; picklable.
        min_side: as of ``images.decode_image``.
        jobs: number of processes; the audit does not depend on it.
        receive: called with each image's SHA-256 and features, in order; the audit then keeps none.
        scheduler: a cluster to read the images on, see ``parallel.run_task``.
    """
    path_of: dict[bytes, str] = {}
    conditions: list[np.ndarray] = []
    unreadable: list[tuple[str, str]] = []
    duplicates: list[tuple[str, str]] = []
    features: np.ndarray = np.empty((0, 0), np.float32)
    read = parallel.run_task(_Reading(extract, min_side), paths, jobs, scheduler, _CHUNK_SIZE)
    with tempfile.TemporaryFile() as rows:
        for file in track(read, "reading images", total=len(paths)):
            if isinstance(file, _Unreadable):
                unreadable.append(file)
                continue
            if file.digest in path_of:
                duplicates.append((file.path, path_of[file.digest]))
                continue
            path_of[file.digest] = file.path
            conditions.append(file.conditions)
            if receive is not None:
                receive(file.digest, file.features)
            else:
                rows.write(file.features.tobytes())
                dtype, shape = file.features.dtype, file.features.shape
        if path_of and receive is None:
            rows.flush()
            features = np.memmap(rows, dtype, mode="r", shape=(len(path_of), *shape))
    return FolderAudit(
        paths=list(path_of.values()),
        features=features,
        unreadable=unreadable,
        duplicates=duplicates,
        digests=list(path_of),
        conditions=conditions,
    )


class _Unreadable(NamedTuple):
    path: str
    reason: str


class _ReadImage(NamedTuple):
    path: str
    digest: bytes
    features: Any
    conditions: np.ndarray


@dataclass(frozen=True)
class _Reading:
    """Reads images and extracts their features: an ``ordered_queue.Task``."""

    extract: Callable[[np.ndarray], Any]
    min_side: int | None

    def open(self) -> Callable[[list[str]], list[_ReadImage | _Unreadable]]:
        return lambda paths: [self._read(path) for path in paths]

    def lost(self, path: str) -> _Unreadable:
        return _Unreadable(path, DIED)

    def _read(self, path: str) -> _ReadImage | _Unreadable:
        try:
            data = images.read_bytes(path)
            image = images.decode_image(data, self.min_side)
            features, conditions = self.extract(image), capture_conditions.measure(image)
        except images.ImageError as error:
            return _Unreadable(path, str(error))
        return _ReadImage(path, hashlib.sha256(data).digest(), features, conditions)


def check_trainable(
    features: Sequence[np.ndarray], dataset: str, min_images: int = MIN_IMAGES
) -> None:
    """Refuse features from which no detector can learn what is normal.

    Args:
        features: (n_images, ...), or a list of each image's.
        dataset: where they come from, for messages.
        min_images: number of images that are needed.

    Raises:
        UserError: there are too few images, or all of them are the same.
    """
    n_images, usual_rate = len(features), thresholds.DEFAULT_FALSE_ALARM_RATE
    if n_images < min_images:
        raise UserError(
            f"{printable(dataset)}: {counted(n_images, 'different readable image')} "
            f"{'is' if n_images == 1 else 'are'} too few to learn what is normal: at least "
            f"{min_images} are needed, and {thresholds.items_needed(usual_rate)} for a "
            f"false-alarm rate of {usual_rate:.0%}"
        )
    if all(np.array_equal(row, features[0]) for row in features):
        raise UserError(
            f"{printable(dataset)}: all {n_images} images look the same to these features, so that "
            "nothing can be learned about how normal images differ"
        )


def report_files(audit: FolderAudit, strict: bool) -> None:
    """Report which files of a training folder were left out.

    Args:
        audit: of the folder.
        strict: refuse unreadable files.

    Raises:
        UserError: ``strict``, and some are unreadable.
    """
    for path, reason in audit.unreadable:
        warn(f"{printable(path)}: {reason}; left out")
    if strict and audit.unreadable:
        n_unreadable = counted(len(audit.unreadable), "unreadable image")
        raise UserError(f"{n_unreadable}, and --strict was given")
    for path, same_as in audit.duplicates[:MAX_REPORTED]:
        info(f"{printable(path)} equals {printable(same_as)}; counted once")
    if len(audit.duplicates) > MAX_REPORTED:
        n_more = len(audit.duplicates) - MAX_REPORTED
        info(f"... and {counted(n_more, 'more copy', 'more copies')} of other images")
