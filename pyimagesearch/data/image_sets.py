"""Sets of images: MNIST, scikit-learn's digits and .npz files; mixing in a share of anomalies."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import cv2
import numpy as np

from pyimagesearch.data.npy_format import NpyError, parse_npy
from pyimagesearch.data.size_limit import ContainerError, SizeLimit
from pyimagesearch.data.zip_archive import open_archive
from pyimagesearch.runtime.console import counted
from pyimagesearch.runtime.input_files import open_input

MNIST = "mnist"
DIGITS = "digits"
NAMES = (MNIST, DIGITS)
CONTAMINATION = 0.01  # anomalies as a share of the normal items

MAX_ARRAY_BYTES = 10**9  # of the images of an .npz file, as they are in memory
_MAX_LIST_BYTES = 10**8  # of its labels
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 1  # bit of a member's flags
_MOST_LISTED = 20
_BLOCK = 2**20
_BLOCK_NUMBERS = 2**16


class DatasetError(ValueError):
    """A file or name is no usable dataset; the text says why, without the file's name."""


@dataclass(frozen=True)
class Dataset:
    """Images of one size, and what is known about them.

    Attributes:
        images: (n, height, width, channels) uint8, grey or RGB.
        labels: (n,) integers, the class of each; or None.
        is_anomaly: (n,) bool; or None where that is unknown.
    """

    images: np.ndarray
    labels: np.ndarray | None = None
    is_anomaly: np.ndarray | None = None

    @property
    def digest(self) -> str:
        """SHA-256 of the images, in order."""
        digest = hashlib.sha256()
        for image in self.images:  # all of them are not copied, whatever their order
            digest.update(np.ascontiguousarray(image))
        return digest.hexdigest()

    def bgr_images(self) -> Iterator[np.ndarray]:
        """Go through the images.

        Returns:
            Each as of ``bgr_image``.
        """
        return map(self.bgr_image, range(len(self.images)))

    def bgr_image(self, number: int) -> np.ndarray:
        """Take one image as ``images.decode_image`` gives those of files.

        Args:
            number: of the image, from 0.

        Returns:
            (height, width, 3) uint8 BGR.
        """
        code = cv2.COLOR_GRAY2BGR if self.images.shape[3] == 1 else cv2.COLOR_RGB2BGR
        return cv2.cvtColor(self.images[number], code)


def build_unsupervised_dataset(
    data: np.ndarray,
    labels: np.ndarray,
    validLabel: int = 1,
    anomalyLabel: int = 3,
    contam: float = CONTAMINATION,
    seed: int = 42,
) -> tuple[np.ndarray, np.ndarray]:
    """Mix all items of one class with a few of another, and shuffle them.

    Args:
        data: (n, ...) the items.
        labels: (n,) their classes.
        validLabel, anomalyLabel: the two classes.
        contam: number of anomalies as a share of the number of valid items.
        seed: which anomalies are taken, and the order; the same seed gives the same set.

    Returns:
        The items, (m, ...), and whether each is an anomaly, (m,) bool.

    Raises:
        DatasetError: there are no items of the valid class, or too few of the other.
    """
    rng = np.random.default_rng(seed)
    valid = rng.permutation(np.flatnonzero(labels == validLabel))
    anomalies = rng.permutation(np.flatnonzero(labels == anomalyLabel))
    if len(valid) == 0:
        known = ", ".join(map(str, np.unique(labels)[:20]))
        raise DatasetError(f"no item has the label {validLabel}; the labels are {known}")
    wanted = int(len(valid) * contam)
    if wanted > len(anomalies):
        raise DatasetError(
            f"a contamination of {contam} needs {counted(wanted, 'item')} with the label "
            f"{anomalyLabel}, but there are only {len(anomalies)}"
        )
    chosen = np.concatenate([valid, anomalies[:wanted]])
    order = rng.permutation(len(chosen))
    return data[chosen[order]], (order >= len(valid))


def load_named(name: str) -> Dataset:
    """Load a set by its name.

    Args:
        name: ``MNIST``: the 60,000 training digits, from Keras' cache, into which Keras
            downloads them where they are missing; ``DIGITS``: scikit-learn's 1,797 digits of
            8 x 8 pixels, which are part of it.

    Returns:
        The images and the digit that each shows.

    Raises:
        DatasetError: MNIST is not in the cache and cannot be downloaded.
    """
    if name == DIGITS:
        from sklearn.datasets import load_digits

        digits = load_digits()
        return Dataset(_checked_images(digits.images / 16.0), digits.target)
    folder = os.environ.get("KERAS_HOME") or os.path.join(os.path.expanduser("~"), ".keras")
    cached = os.path.join(folder, "datasets", "mnist.npz")
    if not os.path.isfile(cached):  # importing Keras takes seconds that reading the file does not
        _download_mnist()
    return read_npz(cached)


def _download_mnist() -> None:
    import keras

    try:
        keras.datasets.mnist.load_data()
    except Exception as error:  # Keras raises a bare Exception where it cannot download
        raise DatasetError(
            "MNIST is not in Keras' cache and could not be downloaded; give a copy of mnist.npz "
            f"as --dataset, or use --dataset {DIGITS}, which needs no network ({error})"
        ) from error


def read_npz(path: str) -> Dataset:
    """Read images from a NumPy archive.

    Either in Keras' form (``x_train``, ``y_train``; other arrays are ignored), or ``images``,
    (n, height, width[, 1 or 3]), uint8 or float in [0, 1], with ``labels`` (n,) or ``is_anomaly``
    (n,) where these are known.

    Args:
        path: of the archive.

    Returns:
        The images, and what is known of them.

    Raises:
        DatasetError: not such an archive, damaged, encrypted or too large, or images that are not
            finite or out of range.
        OSError: the file cannot be read.
    """
    with open_input(path) as file:
        if file.read(4) != b"PK\x03\x04":
            raise DatasetError("neither a folder nor a NumPy archive (.npz)")
        with open_archive(file, DatasetError) as archive:
            return _read_archive(archive)


def _read_archive(archive: zipfile.ZipFile) -> Dataset:
    names = {info.filename.removesuffix(".npy") for info in archive.infolist()}
    keras_form = "x_train" in names
    images, labels = ("x_train", "y_train") if keras_form else ("images", "labels")
    if images not in names:
        listed = ", ".join(sorted(names)[:_MOST_LISTED])
        raise DatasetError(f"it has no array {images!r}, only {listed}")
    found = _checked_images(_read_array(archive, images, MAX_ARRAY_BYTES))
    known = {
        name: _checked_list(name, _read_array(archive, name, _MAX_LIST_BYTES), len(found))
        for name in (labels, "is_anomaly")
        if name in names
    }
    is_anomaly = known.get("is_anomaly")
    return Dataset(
        found, known.get(labels), None if is_anomaly is None else is_anomaly.astype(bool)
    )


def _read_array(archive: zipfile.ZipFile, name: str, most: int) -> np.ndarray:
    """An array of the archive; its size is what the archive says before anything is expanded."""
    try:
        info = archive.getinfo(f"{name}.npy")
    except KeyError as error:
        raise DatasetError(f"its {name!r} is not an array of NumPy's") from error
    if info.flag_bits & _ENCRYPTED or info.compress_type not in _COMPRESSIONS:
        raise DatasetError(f"its {name!r} is encrypted, or compressed in a way that is not NumPy's")
    if info.file_size > most:
        raise DatasetError(
            f"its {name!r} has {info.file_size / 1e9:,.1f} GB, more than the "
            f"{most / 1e9:,.1f} GB that are read; a folder of images has no such limit"
        )
    try:
        return parse_npy(_expanded(archive, info))
    except NpyError as error:
        raise DatasetError(f"its {name!r} cannot be read: {error}") from error


def _expanded(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytearray:
    """The content of a member; ``ZipFile.read`` would hold it twice."""
    data = bytearray(info.file_size)
    place = 0
    with archive.open(info) as member:
        while block := member.read(_BLOCK):
            if place + len(block) > len(data):
                raise DatasetError("a member is longer than the archive says")
            data[place : place + len(block)] = block
            place += len(block)
    if place < len(data):
        raise DatasetError("a member is shorter than the archive says")
    return data


def write_npz(file: BinaryIO, dataset: Dataset) -> None:
    """Write ``images`` and, where known, ``is_anomaly``, as ``read_npz`` reads them.

    Args:
        file: to write to.
        dataset: the images.

    Raises:
        OSError: it cannot be written.
    """
    known = {} if dataset.is_anomaly is None else {"is_anomaly": dataset.is_anomaly}
    np.savez_compressed(file, images=dataset.images, **known)


def _checked_images(array: np.ndarray) -> np.ndarray:
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim != 4 or array.shape[3] not in (1, 3) or 0 in array.shape:
        raise DatasetError(
            "its images should have the shape (n, height, width), or with 1 or 3 channels at "
            f"the end, not {array.shape}"
        )
    try:
        SizeLimit.in_force().check(array.shape[2], array.shape[1])
    except ContainerError as error:
        raise DatasetError(f"its images: {error}") from error
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind != "f":
        raise DatasetError(f"its images should be uint8 or float in [0, 1], not {array.dtype}")
    is_bad = np.array([not np.isfinite(image).all() for image in array])
    if is_bad.any():
        raise DatasetError(
            f"{counted(int(is_bad.sum()), 'image')} with NaN or infinity, the first is number "
            f"{is_bad.argmax()}"
        )
    if array.min() < 0 or array.max() > 1:
        raise DatasetError(
            f"its images are floats from {array.min():g} to {array.max():g}, not within [0, 1]"
        )
    pixels = np.empty(array.shape, np.uint8)
    # A block at a time, without a copy even of a single image.
    access = [["readonly"], ["writeonly"]]
    flags = ["external_loop", "buffered"]
    with np.nditer([array, pixels], flags, access, buffersize=_BLOCK_NUMBERS) as blocks:
        for block, rounded in blocks:
            rounded[...] = np.rint(block * 255)
    return pixels


def _checked_list(name: str, array: np.ndarray, length: int) -> np.ndarray:
    if array.shape != (length,) or array.dtype.kind not in "biu":
        raise DatasetError(
            f"its {name!r} should be {length} whole numbers, one per image, not {array.dtype} of "
            f"shape {array.shape}"
        )
    return array
