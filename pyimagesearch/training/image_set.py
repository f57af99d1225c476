"""Pictures of one size to learn from: a folder of files, an .npz file, or a named dataset."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pyimagesearch.data import image_sets, images
from pyimagesearch.data.image_sets import Dataset
from pyimagesearch.features import PixelFeatures
from pyimagesearch.runtime.console import UserError, info, printable
from pyimagesearch.training.folder_audit import audit_images, report_files

COLOURS = ("auto", "grey", "rgb")


@dataclass(frozen=True)
class ImageSet:
    """Pictures to learn from.

    Attributes:
        source: where they come from, for messages.
        names: of each picture; of a folder's, the paths.
        dataset: the pictures, and what is known of them; a folder's lie on disk.
        digest: SHA-256 of the files, or of the pictures where there are none.
        extractor: how a file becomes such a picture.
        contamination: anomalies among them, as a share of the normal pictures.
    """

    source: str
    names: Sequence[str]
    dataset: Dataset
    digest: str
    extractor: PixelFeatures
    contamination: float

    @property
    def pixels(self) -> np.ndarray:
        """(n, height, width, channels) uint8."""
        return self.dataset.images

    @property
    def anomalous_share(self) -> float:
        """Anomalies as a share of all the pictures."""
        return self.contamination / (1 + self.contamination)


@dataclass(frozen=True)
class ImageSetOptions:
    """What can be chosen about a set of images.

    Attributes:
        contamination: anomalies as a share of the normal images; None takes the usual one.
        valid_label, anomaly_label: of datasets with labels, see ``read_dataset``.
        size, crop, colour, strict: of folders, see ``read_folder``.
    """

    contamination: float | None = None
    valid_label: int = 1
    anomaly_label: int = 3
    size: tuple[int, ...] | None = None
    crop: tuple[int, ...] | None = None
    colour: str = "auto"
    strict: bool = False


def is_folder(source: str) -> bool:
    """Whether a set of images is a folder of files, whose images have no size of their own."""
    return source not in image_sets.NAMES and not os.path.isfile(source)


def read_images(
    source: str, chosen: ImageSetOptions, *, largest_side: int, seed: int, jobs: int
) -> ImageSet:
    """Read a set of images, whatever it lies in: see ``read_dataset`` and ``read_folder``."""
    if is_folder(source):
        return read_folder(
            source,
            largest_side,
            chosen.contamination,
            size=chosen.size,
            crop=chosen.crop,
            colour=chosen.colour,
            strict=chosen.strict,
            jobs=jobs,
        )
    return read_dataset(
        source, chosen.valid_label, chosen.anomaly_label, chosen.contamination, seed
    )


def read_dataset(
    source: str, valid_label: int, anomaly_label: int, contamination: float | None, seed: int
) -> ImageSet:
    """Read pictures that have a size of their own.

    Args:
        source: one of ``image_sets.NAMES``, or an .npz file.
        valid_label, anomaly_label: of datasets with labels, the two classes that are mixed.
        contamination: anomalies as a share of the normal pictures: with labels as many are mixed
            in, ``image_sets.CONTAMINATION`` if it is None; without, as many are presumed, or none.
        seed: of the mixture.

    Raises:
        UserError: it is no usable dataset.
        OSError: it cannot be read.
    """
    try:
        if source in image_sets.NAMES and not os.path.isfile(source):
            dataset = image_sets.load_named(source)
        else:
            dataset = image_sets.read_npz(source)
        if dataset.labels is not None:
            contamination = image_sets.CONTAMINATION if contamination is None else contamination
            pixels, is_anomaly = image_sets.build_unsupervised_dataset(
                dataset.images, dataset.labels, valid_label, anomaly_label, contamination, seed
            )
            dataset = Dataset(pixels, is_anomaly=is_anomaly)
            info(f"{(~is_anomaly).sum()} of the label {valid_label}, {is_anomaly.sum()} others")
    except image_sets.DatasetError as error:
        raise UserError(f"{printable(source)}: {error}") from error
    names = [f"number {i}" for i in range(len(dataset.images))]
    extractor = PixelFeatures(*map(int, dataset.images.shape[1:]))
    return ImageSet(source, names, dataset, dataset.digest, extractor, contamination or 0.0)


def read_folder(
    folder: str,
    largest_side: int,
    contamination: float | None,
    *,
    size: Sequence[int] | None = None,
    crop: Sequence[int] | None = None,
    colour: str = "auto",
    strict: bool = False,
    jobs: int = 1,
) -> ImageSet:
    """Read the pictures below a folder, and tell what was left out.

    Args:
        folder: of files of any size.
        largest_side: of a picture in pixels, where there is no ``size``: it is then the files' own
            size, but at most this.
        contamination: anomalies that are presumed, as a share of the normal pictures; None is 0.
        size: side of a square, or width and height, in pixels.
        crop: as of ``PixelFeatures``.
        colour: one of ``COLOURS``; auto takes rgb where a picture has colour.
        strict: refuse unreadable files.
        jobs: number of processes.

    Raises:
        UserError: there is no such folder, or nothing in it can be used.
    """
    if not os.path.isdir(folder):
        raise UserError(f"{printable(folder)}: no such file or folder")
    paths = list(images.list_images(folder))
    side, has_colour = images.common_size(paths, largest_side)
    size = size or [side]
    width, height = size if len(size) == 2 else (*size, *size)
    grey = colour == "grey" or (colour == "auto" and not has_colour)
    try:
        edges = None if crop is None else tuple(crop)
        extractor = PixelFeatures(height, width, 1 if grey else 3, edges)
    except ValueError as error:
        raise UserError(f"--image-size, --crop: {error}") from error
    audit = audit_images(paths, extractor.resize, extractor.min_side, jobs)
    report_files(audit, folder, strict)
    if audit.paths:
        info(f"{len(audit.paths)} images, taken as {width} x {height}, {'grey' if grey else 'rgb'}")
    return ImageSet(
        folder, audit.paths, Dataset(audit.features), audit.digest, extractor, contamination or 0.0
    )
