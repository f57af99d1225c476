"""How large an image may be, in pixels and in memory, before it is decoded."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pyimagesearch.runtime.limits import DEFAULT_PIXELS, MOST_PIXELS, max_pixels

_BYTES_PER_PIXEL = 4
_MEGA = 1_000_000


class ContainerError(ValueError):
    """A file's own lengths or sizes do not fit; the text says why, without the file's name."""


@dataclass(frozen=True)
class SizeLimit:
    """What an image may have.

    Attributes:
        max_pixels: as many pixels. Decoded, it may take what they take at four bytes each; with 16
            bits a channel fewer are left.
    """

    max_pixels: int = DEFAULT_PIXELS

    @classmethod
    def in_force(cls) -> SizeLimit:
        """The limit of this process: see ``limits.max_pixels``."""
        return cls(max_pixels())

    @property
    def max_bytes(self) -> int:
        """How much memory the image may take when it is decoded."""
        return _BYTES_PER_PIXEL * self.max_pixels

    def check(self, width: int, height: int, bytes_per_pixel: float = _BYTES_PER_PIXEL) -> None:
        """Refuse an image of a size.

        Args:
            width, height: in pixels.
            bytes_per_pixel: that decoding it takes.

        Raises:
            ContainerError: it is too large.
        """
        n_pixels, n_bytes = width * height, width * height * bytes_per_pixel
        if n_bytes > self.max_bytes:
            what = (
                f"takes {n_bytes / _MEGA:,.0f} MB of memory, more than "
                f"{self.max_bytes / _MEGA:,.0f} MB"
            )
        elif n_pixels > self.max_pixels:
            what = f"is more than {self.max_pixels / _MEGA:,.4g} megapixels"
        else:
            return
        needed = math.ceil(max(n_pixels, n_bytes / _BYTES_PER_PIXEL) / _MEGA)
        remedy = f": --max-pixels {needed}M reads it" if needed <= MOST_PIXELS // _MEGA else ""
        raise ContainerError(f"{width} x {height} {what}{remedy}")
