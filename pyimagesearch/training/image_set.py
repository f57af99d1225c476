"""Images of one size to train on: a folder of files, an .npz file, or a named dataset."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pyimagesearch.data import image_folder, image_sets, images, mvtec
from pyimagesearch.data.image_sets import Dataset
from pyimagesearch.features import PixelFeatures
from pyimagesearch.runtime.console import UserError, counted, info, printable
from pyimagesearch.training.folder_audit import audit_images, report_files

COLOURS = ("auto", "grey", "rgb")


@dataclass(frozen=True)
class ImageSet:
    """Images to train on.

    Attributes:
        source: where they come from, for messages.
        names: of each image; of a folder's, the paths.
        dataset: the images, and what is known of them; a folder's are kept on disk.
        digest: SHA-256 of the files, or of the images where there are none.
        extractor: how a file becomes such an image.
        anomalous_share: of them that are anomalies, or may be; None where nothing is known.
    """

    source: str
    names: Sequence[str]
    dataset: Dataset
    digest: str
    extractor: PixelFeatures
    anomalous_share: float | None

    @property
    def pixels(self) -> np.ndarray:
        """(n, height, width, channels) uint8."""
        return self.dataset.images


@dataclass(frozen=True)
class ImageSetOptions:
    """What can be chosen about a set of images.

    Attributes:
        contamination: of datasets with labels, anomalies that are mixed in, as a share of the
            normal images; None takes the usual one. Of others, the share of all images that may be
            anomalies; with None nothing is presumed.
        valid_label, anomaly_label: of datasets with labels: the class that is normal, and the one
            that is mixed in.
        size: of folders, that images are resized to: the side of a square, or width and height, in
            pixels; None takes the usual size of the files.
        crop: of folders, as of ``PixelFeatures``.
        colour: of folders, one of ``COLOURS``.
        strict: of folders: refuse unreadable files.
    """

    contamination: float | None = None
    valid_label: int = 1
    anomaly_label: int = 3
    size: tuple[int, ...] | None = None
    crop: tuple[int, int, int, int] | None = None
    colour: str = "auto"
    strict: bool = False


def is_folder(source: str) -> bool:
    """Whether a set of images is a folder of files, whose images have no size of their own."""
    return source not in image_sets.NAMES and not os.path.isfile(source)


def read_images(
    source: str, options: ImageSetOptions, *, largest_side: int, seed: int, jobs: int
) -> ImageSet:
    """Read a set of images, whatever it lies in: see ``read_dataset`` and ``read_folder``."""
    if is_folder(source):
        return read_folder(source, options, largest_side=largest_side, jobs=jobs)
    return read_dataset(source, options, seed=seed)


def read_dataset(source: str, options: ImageSetOptions, *, seed: int) -> ImageSet:
    """Read images that have a size of their own.

    Args:
        source: one of ``image_sets.NAMES``, or an .npz file.
        options: of a dataset with labels, two classes are mixed: ``valid_label`` is normal, and of
            ``anomaly_label`` there are as many as ``contamination`` says, or
            ``image_sets.CONTAMINATION``. Without labels, that share of all may be anomalies.
        seed: of the mixture.

    Raises:
        UserError: it is no usable dataset.
        OSError: it cannot be read.
    """
    share = options.contamination
    valid_label, anomaly_label = options.valid_label, options.anomaly_label
    try:
        if source in image_sets.NAMES and not os.path.isfile(source):
            dataset = image_sets.load_named(source)
        else:
            dataset = image_sets.read_npz(source)
        if dataset.labels is not None:
            contamination = image_sets.CONTAMINATION if share is None else share
            pixels, is_anomaly = image_sets.build_unsupervised_dataset(
                dataset.images, dataset.labels, valid_label, anomaly_label, contamination, seed
            )
            dataset, share = Dataset(pixels, is_anomaly=is_anomaly), float(is_anomaly.mean())
            info(
                f"{counted(int((~is_anomaly).sum()), 'image')} with label {valid_label}, "
                f"{is_anomaly.sum():,} with label {anomaly_label}"
            )
        extractor = PixelFeatures(*map(int, dataset.images.shape[1:]))
    except ValueError as error:
        raise UserError(f"{printable(source)}: {error}") from error
    names = [f"number {i}" for i in range(len(dataset.images))]
    return ImageSet(source, names, dataset, dataset.digest, extractor, share)


def read_folder(
    folder: str, options: ImageSetOptions, *, largest_side: int, jobs: int = 1
) -> ImageSet:
    """Read the images below a folder, and report what was left out.

    Args:
        folder: of files of any size; of a category as MVTec AD has them, see
            ``mvtec.training_folder``.
        options: without a ``size``, the images are resized to the usual size of the files, but at
            most ``largest_side``; with the colour ``auto``, they are grey if all files are.
        largest_side: in pixels.
        jobs: number of processes.

    Raises:
        UserError: there is no such folder, or nothing in it can be used.
    """
    if not os.path.isdir(folder):
        raise UserError(f"{printable(folder)}: no such file or folder")
    folder = mvtec.training_folder(folder)
    paths = image_folder.list_folder(folder)
    side, has_colour = images.common_size(paths, largest_side)
    size = options.size or (side,)
    width, height = size if len(size) == 2 else (*size, *size)
    is_grey = options.colour == "grey" or (options.colour == "auto" and not has_colour)
    try:
        extractor = PixelFeatures(height, width, 1 if is_grey else 3, options.crop)
    except ValueError as error:
        raise UserError(f"--image-size, --crop: {error}") from error
    audit = audit_images(paths, extractor.resize, extractor.min_side, jobs)
    report_files(audit, options.strict)
    if audit.paths:
        n_images, colour = counted(len(audit.paths), "image"), "grey" if is_grey else "rgb"
        info(f"{n_images}, resized to {width} x {height}, {colour}")
    dataset = Dataset(audit.features)
    return ImageSet(folder, audit.paths, dataset, audit.digest, extractor, options.contamination)
