"""Take images from what Python programs hold: names of files and folders, and arrays."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

import cv2
import numpy as np

from pyimagesearch.data import image_folder, images
from pyimagesearch.runtime import remote_files

_SHAPES = "(height, width) or (height, width, 3)"


def list_given(given: Any) -> list[str] | list[np.ndarray]:
    """List images that are given as files or as arrays.

    Args:
        given: the name of a folder or of a file; or several images: names of files, an array
            (n, height, width) or (n, height, width, 3), or arrays of one image each.

    Returns:
        Names of files that exist, or images as of ``to_bgr``, all of them checked.

    Raises:
        ValueError: no images, or an array that is none.
        TypeError: neither names nor arrays, or both.
        FileNotFoundError: there is no such file or folder.
        UserError: a folder without images.
        OSError: it cannot be listed.
    """
    if isinstance(given, (str, os.PathLike)):
        return image_folder.list_folder(os.fspath(given))
    if isinstance(given, np.ndarray) and given.dtype.kind not in "OU":
        _check_several(given.shape)
    elif not isinstance(given, Iterable) or isinstance(given, (bytes, dict)):
        raise TypeError(
            "images are the name of a folder, names of files, or arrays, not of the type "
            f"{type(given).__name__}"
        )
    several = list(given)
    if not several:
        raise ValueError("there are no images: nothing is given")
    n_names = sum(isinstance(one, (str, os.PathLike)) for one in several)
    if n_names not in (0, len(several)):
        raise TypeError("some images are names of files and some are arrays: give one kind")
    if n_names:
        return [check_file(one) for one in several]
    arrays = [np.asarray(one) for one in several]
    for number, array in enumerate(arrays):
        check_image(array, f"image {number}")
    return arrays


def check_file(path: str | os.PathLike[str]) -> str:
    """The name of a file of an image; raises ``FileNotFoundError`` where there is none."""
    name = os.fspath(path)
    if not remote_files.is_url(name) and not os.path.exists(name):
        raise FileNotFoundError(f"{name}: no such file")
    return name


def check_image(array: np.ndarray, name: str) -> None:
    """Refuse an array that is no image.

    Args:
        array: that should be one: see ``to_bgr``.
        name: for the message.

    Raises:
        ValueError: it has another shape, or numbers outside [0, 1], or that are none.
        TypeError: it is of another type.
    """
    if array.dtype != np.uint8 and array.dtype.kind != "f":
        raise TypeError(
            f"{name}: an image is of the type uint8, or float from 0 to 1, not {array.dtype}"
        )
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3)):
        raise ValueError(f"{name}: an image has the shape {_SHAPES}, and this is {array.shape}")
    if not array.size:
        raise ValueError(f"{name}: an image of the shape {array.shape} has no pixels")
    if array.dtype == np.uint8:
        return
    lowest, highest = float(array.min()), float(array.max())  # NaN where one is
    if not np.isfinite([lowest, highest]).all():
        raise ValueError(f"{name}: some of its pixels are no finite numbers")
    if lowest < 0 or highest > 1:
        raise ValueError(
            f"{name}: float images are from 0 to 1, and this one is from {lowest:g} to "
            f"{highest:g}: divide it by its scale, or make it uint8"
        )


def to_bgr(image: np.ndarray) -> np.ndarray:
    """Bring an image of a Python program to the form of those that are read from files.

    Args:
        image: (height, width), (height, width, 1) or (height, width, 3), grey or RGB; uint8, or
            float in [0, 1].

    Returns:
        (height, width, 3) uint8 BGR.
    """
    if image.dtype != np.uint8:
        image = np.rint(image * 255).astype(np.uint8)
    is_grey = image.ndim == 2 or image.shape[2] == 1
    code = cv2.COLOR_GRAY2BGR if is_grey else cv2.COLOR_RGB2BGR
    return cv2.cvtColor(np.ascontiguousarray(image), code)


def write_images(arrays: Sequence[np.ndarray], folder: str) -> list[str]:
    """Write images as PNG files, whose names are their numbers from 0; returns their paths."""
    paths = []
    for number, array in enumerate(arrays):
        paths.append(os.path.join(folder, f"{number:0{len(str(len(arrays)))}}.png"))
        with open(paths[-1], "wb") as file:
            file.write(images.encode_picture(to_bgr(array), ".png"))
    return paths


def _check_several(shape: tuple[int, ...]) -> None:
    is_one = len(shape) == 2 or (len(shape) == 3 and shape[2] == 3)
    if is_one or len(shape) not in (3, 4):
        hint = ": give one image as [image]" if is_one else ""
        raise ValueError(
            "several images have the shape (images, height, width) or (images, height, width, 3), "
            f"and this is {shape}{hint}"
        )
