"""Where the images of a labelling run come from: files, folders, stdin, URLs, videos, an .npz."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from pyimagesearch.cli.frame_folder import FrameFolder
from pyimagesearch.data import images
from pyimagesearch.data.image_sets import Dataset
from pyimagesearch.data.videos import Every, VideoError
from pyimagesearch.line import sources
from pyimagesearch.runtime import remote_files
from pyimagesearch.runtime.console import STDIN, UserError

_MOST_NAME_BYTES = 2**16  # no file and no object of a store has a longer name


@dataclass(frozen=True)
class ImageSource:
    """The images of a run.

    Attributes:
        names: files, folders, patterns, videos, cameras, URLs, or ``STDIN`` for paths on stdin.
        dataset: of an .npz file; its images have numbers in place of names.
        frames: keeps those of videos and cameras, where ``names`` has some; see ``opened``.
        every: which of their frames are taken.
        is_live: whether there is a camera or a stream, which is only ended by an interrupt.
    """

    names: Sequence[str]
    dataset: Dataset | None = None
    frames: FrameFolder | None = None
    every: Every = sources.DEFAULT_EVERY
    is_live: bool = False

    @classmethod
    @contextlib.contextmanager
    def opened(
        cls,
        names: Sequence[str],
        every: Every | None = None,
        dataset: Dataset | None = None,
        for_long: bool = False,
    ) -> Iterator[ImageSource]:
        """The source of names; frames are kept as long as the context lasts.

        Args:
            names: as of the class.
            every: which frames are taken; None has the usual ones.
            dataset: as of the class.
            for_long: as of ``FrameFolder``.

        Raises:
            UserError: a camera has no number, or there are no frames to choose from.
            OSError: nothing matches a pattern.
        """
        given = [one for name in names for one in _matching(name)]
        is_live = any(sources.live_source(name) for name in given)
        if not (is_live or any(map(sources.is_video, given))):
            if every is not None:
                raise UserError("--every goes with videos, cameras and streams")
            yield cls(names, dataset)
            return
        with tempfile.TemporaryDirectory() as folder:
            every = every or sources.DEFAULT_EVERY
            yield cls(names, None, FrameFolder(folder, for_long), every, is_live)

    @property
    def are_files(self) -> bool:
        """Whether the images are files, which can be read again at any time."""
        return self.dataset is None and self.frames is None

    @property
    def have_names(self) -> bool:
        """Whether the images have names, by which a later run knows them again."""
        return self.dataset is None

    @property
    def name_column(self) -> str:
        """Title of the column of their names."""
        return "image" if self.have_names else "index"

    @property
    def shown_names(self) -> list[str]:
        """The names without secrets."""
        return [sources.masked(name) for name in self.names]

    @property
    def can_be_listed_again(self) -> bool:
        """Whether ``paths`` can be called more than once, at little cost."""
        return STDIN not in self.names and self.frames is None

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
            elif self.frames is None and images.is_folder(name):
                yield from images.list_images(name, on_other)
            else:
                for one in _matching(name):
                    yield from self._paths_of(one, on_other)

    def _paths_of(self, name: str, on_other: Callable[[str], None] | None) -> Iterator[str]:
        try:
            for part in sources.open_source(name, self.every, on_other=on_other):
                yield part.name if part.content is None else self.frames.add(part)
        except VideoError as error:
            yield self.frames.add_failure(name, str(error))

    def read_bytes(self, name: str) -> bytes:
        """The bytes of the file of an image that has a name.

        Raises:
            images.ImageError: it cannot be read.
        """
        return images.read_bytes(name) if self.frames is None else self.frames.read_bytes(name)

    def read(self, name: str) -> np.ndarray:
        """One image: (height, width, 3) uint8 BGR.

        Raises:
            images.ImageError: it cannot be read.
        """
        if self.dataset is None:
            return images.decode_image(self.read_bytes(name))
        return self.dataset.bgr_image(int(name))


def _matching(name: str) -> list[str]:
    return sources.expanded(name) if sources.is_glob(name) else [name]


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """The lines of a list; of one that would fill all memory, the beginning."""
    while line := stream.readline(_MOST_NAME_BYTES):
        yield line
        while line and not line.endswith(b"\n"):
            line = stream.readline(_MOST_NAME_BYTES)
