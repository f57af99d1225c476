"""Where the images of a labelling run come from: files, folders, stdin, URLs, an .npz file."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from pyimagesearch.data import images
from pyimagesearch.data.image_sets import Dataset
from pyimagesearch.runtime import remote_files
from pyimagesearch.runtime.console import STDIN

_MOST_NAME_BYTES = 2**16  # no file and no object of a store has a longer name


@dataclass(frozen=True)
class ImageSource:
    """The images of a run.

    Attributes:
        names: files, folders, URLs, or ``STDIN`` for paths on stdin, as the user gave them.
        dataset: of an .npz file; its images have numbers in place of names.
    """

    names: Sequence[str]
    dataset: Dataset | None = None

    @property
    def are_files(self) -> bool:
        """Whether the images are files, which can be read again, also by other processes."""
        return self.dataset is None

    @property
    def name_column(self) -> str:
        """Title of the column of their names."""
        return "image" if self.are_files else "index"

    @property
    def can_be_listed_again(self) -> bool:
        """Whether ``paths`` can be called more than once."""
        return STDIN not in self.names

    @property
    def is_listed_quickly(self) -> bool:
        """Whether it costs little to list some names in advance."""
        return self.can_be_listed_again and not any(map(remote_files.is_url, self.names))

    def paths(self, on_other: Callable[[str], None] | None = None) -> Iterator[str]:
        """The images' names, from the first one; ``on_other`` as of ``images.list_images``."""
        if self.dataset is not None:
            yield from map(str, range(len(self.dataset.images)))
            return
        for name in self.names:
            if name == STDIN:
                for line in _lines(sys.stdin.buffer):
                    if path := line.rstrip(b"\r\n"):
                        yield os.fsdecode(path)
            elif images.is_folder(name):
                yield from images.list_images(name, on_other)
            else:
                yield name

    def read(self, name: str) -> np.ndarray:
        """One image: (height, width, 3) uint8 BGR.

        Raises:
            images.ImageError: it cannot be read.
        """
        if self.dataset is None:
            return images.read_image(name)
        return self.dataset.bgr_image(int(name))


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """The lines of a list; of one that would fill all memory, the beginning."""
    while line := stream.readline(_MOST_NAME_BYTES):
        yield line
        while line and not line.endswith(b"\n"):
            line = stream.readline(_MOST_NAME_BYTES)
