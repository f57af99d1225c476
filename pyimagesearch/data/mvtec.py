"""Folders of good and defective images with masks, in the layout of a category of MVTec AD.

``train/good``, ``test/good``, ``test/<defect>``, and ``ground_truth/<defect>`` with a mask for each
defective image: of the same name, or with ``_mask`` at its end.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from pyimagesearch.data import images
from pyimagesearch.runtime.console import UserError, info, printable, warn

GOOD = "good"
TRAIN_GOOD = os.path.join("train", GOOD)
TEST = "test"
TEST_GOOD = os.path.join(TEST, GOOD)
MASKS = "ground_truth"
MASK_SUFFIX = "_mask"
# Relative difference of the aspect ratios up to which a mask of another size fits an image.
_SAME_SHAPE = 0.02


class LayoutError(ValueError):
    """A folder does not hold what it should; the text says what."""


@dataclass(frozen=True)
class Masks:
    """Which mask belongs to which image.

    Attributes:
        by_image: path of the mask of each image that has one.
        without_image: masks that belong to none.
    """

    by_image: dict[str, str]
    without_image: list[str]


def training_folder(folder: str) -> str:
    """The folder to learn from: of a category its good training images alone, and a line says so.

    Args:
        folder: as the user named it, or a URL. One whose only category lies in a folder below is
            taken as that category; any other than a category's is returned as it is.

    Raises:
        UserError: it holds several categories.
    """
    categories = [folder] if _parts(folder) else _categories_in(folder)
    if not categories:
        return folder
    if len(categories) > 1:
        names = ", ".join(printable(os.path.basename(one)) for one in categories)
        raise UserError(
            f"{printable(folder)} holds {len(categories)} categories, laid out as MVTec AD's: "
            f"{names}; a model learns one of them: name its folder, such as "
            f"{printable(categories[0])}"
        )
    (category,) = categories
    good = os.path.join(category, TRAIN_GOOD)
    info(
        f"{printable(category)} is laid out as MVTec AD's "
        f"({TRAIN_GOOD}, {', '.join(_parts(category))}): "
        f"learning {printable(good)} alone; to learn another folder in it, name that one"
    )
    return good


def _parts(folder: str) -> list[str]:
    """What a category's folder has beside its good training images; nothing of any other folder."""
    others = [name for name in (TEST, MASKS) if images.is_folder(os.path.join(folder, name))]
    return others if images.is_folder(os.path.join(folder, TRAIN_GOOD)) else []


def _categories_in(folder: str) -> list[str]:
    """The categories right below a folder of this machine."""
    if not os.path.isdir(folder):
        return []
    paths = (os.path.join(folder, name) for name in sorted(os.listdir(folder), key=os.fsencode))
    return [path for path in paths if _parts(path)]


def find_category(folder: str) -> tuple[str, list[str], str | None]:
    """Find the folders of a category that a validation needs.

    Args:
        folder: of the category.

    Returns:
        The folder of good test images, those of defective ones, and that of masks, if any.

    Raises:
        LayoutError: the folder of good ones, or all of defective ones, are missing.
    """
    good, test = os.path.join(folder, TEST_GOOD), os.path.join(folder, TEST)
    if not os.path.isdir(good):
        raise LayoutError(f"there is no {TEST_GOOD} in it")
    defects = []
    for name in sorted(os.listdir(test), key=os.fsencode):
        path = os.path.join(test, name)
        if name == GOOD or name.startswith(".") or not os.path.isdir(path):
            continue
        if reason := images.why_not_listed(path):
            warn(f"{printable(path)}: {reason}; left out")
        else:
            defects.append(path)
    if not defects:
        raise LayoutError(f"there is no folder of defective images next to {TEST_GOOD}")
    masks = os.path.join(folder, MASKS)
    return good, defects, masks if os.path.isdir(masks) else None


def pair_masks(paths: Iterable[str], below: str, folder: str) -> Masks:
    """Find the mask of each image by its name, never by its position in a list.

    Args:
        paths: of the images.
        below: a folder that they lie in; a mask has the relative path of its image below it.
        folder: of the masks.

    Raises:
        LayoutError: two masks for one image.
        OSError: the folder cannot be listed.
    """
    found: dict[str, str] = {}
    for path in images.list_images(folder):
        key = os.path.splitext(os.path.relpath(path, folder))[0].removesuffix(MASK_SUFFIX)
        if key in found:
            raise LayoutError(f"{found[key]} and {path} are masks of the same image")
        found[key] = path
    by_image = {}
    for path in paths:
        key = os.path.splitext(os.path.relpath(path, below))[0]
        if key in found:
            by_image[path] = found[key]
    used = set(by_image.values())
    return Masks(by_image, [mask for mask in found.values() if mask not in used])


def read_mask(path: str, shape: tuple[int, int]) -> np.ndarray:
    """Read a mask and resize it to its image.

    Grey values above half of the mask's own maximum mark defects, so that masks of 0 and 1 are
    read like those of 0 and 255.

    Args:
        path: of the mask.
        shape: (height, width) of the image.

    Returns:
        (height, width) bool.

    Raises:
        images.ImageError: not a readable image.
        LayoutError: its aspect ratio is not the image's, or nothing is marked in it.
    """
    levels = images.read_image(path).max(axis=2)
    if not levels.any():
        raise LayoutError("nothing is marked in it")
    marked = levels > int(levels.max()) // 2
    if marked.shape != shape:
        ratio = (marked.shape[1] / marked.shape[0]) / (shape[1] / shape[0])
        if abs(ratio - 1) > _SAME_SHAPE:
            sizes = (f"{width} x {height}" for height, width in (marked.shape, shape))
            raise LayoutError("it is {}, and its image {}".format(*sizes))
        size = shape[::-1]
        resized = cv2.resize(marked.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
        marked = resized > 0
    return marked
