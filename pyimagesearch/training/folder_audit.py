"""The training half: a folder of normal images -> features -> detector -> calibration -> file."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from pyimagesearch.data import images
from pyimagesearch.labelling import capture_conditions, thresholds
from pyimagesearch.runtime import parallel
from pyimagesearch.runtime.console import UserError, info, printable, warn
from pyimagesearch.runtime.ordered_queue import DIED
from pyimagesearch.runtime.progress import track

MIN_IMAGES = 8
SHOWN_AT_MOST = 10
# Features of patches are a megabyte a picture, and more with turned copies.
_FILES_AT_ONCE = 4


@dataclass
class Audit:
    """What was found in a training folder.

    Attributes:
        paths: the images to learn from.
        features: (n_images, ...), what was extracted from each of ``paths``; kept on disk, in a
            file without a name.
        unreadable: (path, reason) of files that are left out.
        duplicates: (path, path of the image that it equals byte for byte), left out.
        digests: SHA-256 of each of ``paths``' bytes.
        digest: SHA-256 over these.
        conditions: as ``capture_conditions.from_files`` chooses them.
    """

    paths: list[str] = field(default_factory=list)
    features: np.ndarray = field(default_factory=lambda: np.empty((0, 0), np.float32))
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    duplicates: list[tuple[str, str]] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)
    digest: str = ""
    conditions: np.ndarray = field(default_factory=lambda: np.empty((0, 0), np.float32))


def audit_images(
    paths: Sequence[str],
    extract: Callable[[np.ndarray], np.ndarray],
    min_side: int | None,
    jobs: int,
    take: Callable[[bytes, np.ndarray], None] | None = None,
    scheduler: str | None = None,
) -> Audit:
    """Read every image once, and sort out the files that cannot or need not be learned from.

    Args:
        paths: image files.
        extract: (height, width, 3) uint8 BGR -> features, of one shape for all pictures, unless
            there is ``take``; may raise ``images.ImageError``; picklable.
        min_side: ``images.decode_image``'s.
        jobs: number of processes; the audit does not depend on it.
        take: is given each image's SHA-256 and features, in order, and the audit keeps none.
        scheduler: a cluster to read the images on, see ``parallel.run_task``.
    """
    audit = Audit()
    first_with: dict[bytes, str] = {}
    measured: list[np.ndarray] = []
    with tempfile.TemporaryFile() as rows:
        examined = parallel.run_task(
            _Examination(extract, min_side), paths, jobs, scheduler, _FILES_AT_ONCE
        )
        for path, digest, features, own_conditions in track(
            examined, "reading images", total=len(paths)
        ):
            if isinstance(features, str):
                audit.unreadable.append((path, features))
            elif digest in first_with:
                audit.duplicates.append((path, first_with[digest]))
            else:
                first_with[digest] = path
                measured.append(own_conditions)
                if take is not None:
                    take(digest, features)
                    continue
                kind, shape = features.dtype, features.shape
                rows.write(features.tobytes())
        if first_with and take is None:
            rows.flush()
            audit.features = np.memmap(rows, kind, mode="r", shape=(len(first_with), *shape))
    audit.paths = list(first_with.values())
    audit.digests = list(first_with)
    audit.conditions = capture_conditions.from_files(measured, audit.digests)
    audit.digest = hashlib.sha256(b"".join(first_with)).hexdigest()
    return audit


_Examined = tuple[str, bytes, np.ndarray | str, np.ndarray | None]


@dataclass(frozen=True)
class _Examination:
    """Digest, features (or why there are none), conditions of images: an ``ordered_queue.Task``."""

    extract: Callable[[np.ndarray], np.ndarray]
    min_side: int | None

    def open(self) -> Callable[[list[str]], list[_Examined]]:
        return lambda paths: [self._examine(path) for path in paths]

    def lost(self, path: str) -> _Examined:
        return path, b"", DIED, None

    def _examine(self, path: str) -> _Examined:
        try:
            data = images.read_bytes(path)
            image = images.decode_image(data, self.min_side)
            digest, features = hashlib.sha256(data).digest(), self.extract(image)
            return path, digest, features, capture_conditions.measure(image)
        except images.ImageError as error:
            return path, b"", str(error), None


def check_trainable(features: Sequence[np.ndarray], dataset: str, least: int = MIN_IMAGES) -> None:
    """Refuse features from which no detector can tell normal from strange.

    Args:
        features: (n_images, ...), or a list of each image's.
        dataset: where they come from.
        least: number of images that it takes.

    Raises:
        options.UserError: too few images, or all of them the same.
    """
    n_images, usual_rate = len(features), thresholds.DEFAULT_FALSE_ALARM_RATE
    if n_images < least:
        raise UserError(
            f"{printable(dataset)}: {n_images} different readable images are too few to "
            f"learn what is normal: it takes at least {least}, and "
            f"{thresholds.items_needed(usual_rate)} for a false-alarm rate of {usual_rate:.0%}"
        )
    if all(np.array_equal(row, features[0]) for row in features):
        raise UserError(
            f"{printable(dataset)}: all {n_images} images look the same to these "
            "features, so that nothing can be learned about how normal images differ"
        )


def report_files(audit: Audit, dataset: str, strict: bool) -> None:
    """Tell what was left out of a training folder.

    Raises:
        options.UserError: there are no images; or ``strict``, and some are unreadable.
    """
    for path, reason in audit.unreadable:
        warn(f"{printable(path)}: {reason}; left out")
    if strict and audit.unreadable:
        raise UserError(f"{len(audit.unreadable)} unreadable images, and --strict was given")
    if not audit.paths and not audit.unreadable:
        raise UserError(f"{printable(dataset)}: no images in this folder")
    for path, same_as in audit.duplicates[:SHOWN_AT_MOST]:
        info(f"{printable(path)} equals {printable(same_as)}; counted once")
    if len(audit.duplicates) > SHOWN_AT_MOST:
        n_more = len(audit.duplicates) - SHOWN_AT_MOST
        info(f"... and {n_more} more images that equal another")
