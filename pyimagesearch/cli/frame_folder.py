"""Frames of videos and cameras as files of a folder, so that all processes can read them."""

from __future__ import annotations

import contextlib
import hashlib
import os
from dataclasses import dataclass

import cv2

from pyimagesearch.data import images
from pyimagesearch.line.judging import Part

_FAILURE = ".failure"


@dataclass(frozen=True)
class FrameFolder:
    """Keeps frames by their names while a run needs them.

    Attributes:
        folder: that they lie in, and nothing else.
        for_long: whether they are kept for so long that their size matters more than the time to
            write them.
    """

    folder: str
    for_long: bool = False

    def add(self, part: Part) -> str:
        """Keep a frame without loss; its name."""
        with open(self._path_of(part.name), "wb") as file:
            kind = ".png" if self.for_long else ".bmp"  # of a megapixel 50 ms, and 2
            file.write(cv2.imencode(kind, part.content)[1].tobytes())
        return part.name

    def add_failure(self, name: str, reason: str) -> str:
        """Keep the reason why a video gives no (more) frames, as that of an image; its name."""
        with open(self._path_of(name) + _FAILURE, "w", encoding="utf-8") as file:
            file.write(reason)
        return name

    def remove(self, name: str) -> None:
        """Forget a frame, where it is one."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path_of(name))

    def read_bytes(self, name: str) -> bytes:
        """The bytes of an image file: of a frame, or of the file of that name.

        Raises:
            images.ImageError: as of ``images.read_bytes``, or what was given to ``add_failure``.
        """
        path = self._path_of(name)
        if os.path.exists(path + _FAILURE):
            with open(path + _FAILURE, encoding="utf-8") as file:
                raise images.ImageError(file.read())
        return images.read_bytes(path if os.path.exists(path) else name)

    def _path_of(self, name: str) -> str:
        digest = hashlib.sha256(os.fsencode(name)).hexdigest()
        return os.path.join(self.folder, digest[:32])
