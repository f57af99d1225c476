"""Defective versions of good images, read from a folder to learn from."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pyimagesearch.data import image_folder, mvtec
from pyimagesearch.data.synthetic.defect_dataset import SEPARATOR, background_names
from pyimagesearch.features import PixelFeatures
from pyimagesearch.runtime.console import UserError, counted, info, printable
from pyimagesearch.runtime.system import with_slashes
from pyimagesearch.training.folder_audit import audit_images, report_files


@dataclass(frozen=True)
class NoisyImages:
    """Defective versions of good images.

    Attributes:
        pixels: (m, height, width, depth) uint8, on disk.
        by_good: the rows of ``pixels`` that are versions of each good image that has any.
        digest: SHA-256 of the files.
    """

    pixels: np.ndarray
    by_good: dict[int, list[int]]
    digest: str

    def versions(self, row: int) -> list[int]:
        """The rows of one good image's versions; none where it has none."""
        return self.by_good.get(row, [])


def load_noisy(
    folder: str, goods: Sequence[str], below: str, extractor: PixelFeatures, jobs: int
) -> NoisyImages:
    """Read defective images and find the good one of each by its name.

    Args:
        folder: as ``fill_folder`` writes it, or with ``background__number.ext`` right in it.
        goods: files of the good images.
        below: the folder that they lie in.
        extractor: how images are read.
        jobs: number of threads.

    Raises:
        UserError: there are none, or none of the good images.
    """
    root = os.path.join(folder, mvtec.TEST)
    root = root if os.path.isdir(root) else folder
    if not os.path.isdir(root):
        raise UserError(f"{printable(folder)}: no such folder")
    paths = image_folder.list_folder(root)
    audit = audit_images(paths, extractor.resize, extractor.min_side, jobs)
    report_files(audit, strict=False)
    numbers = {name: number for number, name in enumerate(background_names(goods, below))}
    by_good: dict[int, list[int]] = {}
    for row, path in enumerate(audit.paths):
        name = background_of(with_slashes(os.path.relpath(path, root)))
        number = numbers.get(name, numbers.get(name.partition("/")[2]))
        if number is not None:
            by_good.setdefault(number, []).append(row)
    if not by_good:
        raise UserError(
            f"{printable(folder)}: no image in it is a defective version of one in "
            f"{printable(below)}; their names are BACKGROUND{SEPARATOR}NUMBER.png"
        )
    n_defective, n_others = sum(map(len, by_good.values())), len(goods) - len(by_good)
    info(
        f"{counted(n_defective, 'defective image')} of {counted(len(by_good), 'good one')}; for "
        f"{counted(n_others, 'other')} defects are made during training"
    )
    return NoisyImages(audit.features, by_good, audit.digest)


def background_of(path: str) -> str:
    """The name of the background of a defective image: ``hole/a__0001.png`` -> ``hole/a``."""
    return os.path.splitext(path)[0].rpartition(SEPARATOR)[0]
