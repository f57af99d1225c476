"""TIFF's directory of tags: its offsets and sizes, checked before a decoder believes them.

TIFF 6.0 (1992), section 2; BigTIFF. EXIF data are such a directory, too: EXIF 2.3, 4.5.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pyimagesearch.data.size_limit import ContainerError, SizeLimit

TIFF_MARKS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_SIZES = {
    **dict.fromkeys((1, 2, 6, 7), 1),
    **dict.fromkeys((3, 8), 2),
    **dict.fromkeys((4, 9, 11, 13), 4),
    **dict.fromkeys((5, 10, 12, 16, 17, 18), 8),
}
_WHOLE_NUMBERS = (3, 4, 16)  # types of 2, 4 and 8 bytes
_WIDTH, _HEIGHT, _BITS, _SAMPLES, _ORIENTATION = 256, 257, 258, 277, 274
_STRIPS = ((273, 279), (324, 325))  # offsets and byte counts, of strips and of tiles
_MOST_ENTRIES = 65_535  # also of BigTIFF, which could count further
_SHARED = 4096  # bytes that several tags may have in common
_CHECKED = frozenset((_WIDTH, _HEIGHT, _BITS, _SAMPLES, *_STRIPS[0], *_STRIPS[1]))


@dataclass(frozen=True)
class _Entry:
    """A tag, the type and number of its values, and where they start."""

    tag: int
    kind: int
    count: int
    start: int

    @property
    def size(self) -> int:
        """Bytes of its values."""
        return self.count * _SIZES.get(self.kind, 1)


def check_tiff(data: bytes, limit: SizeLimit) -> None:
    """Check the first image of a TIFF file, the one that is decoded.

    Raises:
        ContainerError: an offset does not fit, or the image is too large.
    """
    damaged = ContainerError("damaged or truncated TIFF (an offset points behind its end)")
    found: dict[int, np.ndarray] = {}
    left = len(data) + _SHARED
    try:
        for entry in _entries(data):
            left -= entry.size
            if entry.size > len(data) - entry.start:
                raise damaged
            if left < 0:  # libtiff would copy the same bytes again and again
                raise ContainerError("damaged TIFF (its tags have more values than it has bytes)")
            if entry.tag not in _CHECKED:
                continue
            # Of two values of one tag, or one of an unusual type, decoders may take another.
            if entry.tag in found or entry.kind not in _WHOLE_NUMBERS:
                raise ContainerError("damaged TIFF (it does not say its size)")
            dtype = np.dtype(f"u{_SIZES[entry.kind]}").newbyteorder(_order(data))
            found[entry.tag] = np.frombuffer(data, dtype, entry.count, entry.start)
    except (struct.error, OverflowError) as error:
        raise damaged from error
    for offsets, counts in _STRIPS:
        if offsets in found and counts in found:
            n_known = min(len(found[offsets]), len(found[counts]))
            ends = found[offsets][:n_known].astype(np.float64) + found[counts][:n_known]
            if (ends > len(data)).any():
                raise damaged
    width, height, samples = (
        int(found[tag][0]) if len(found.get(tag, ())) else usual
        for tag, usual in ((_WIDTH, 0), (_HEIGHT, 0), (_SAMPLES, 1))
    )
    bits = found.get(_BITS, ())
    deepest = int(max(bits[:16], default=1))
    limit.check(width, height, max(samples, len(bits)) * max(1, deepest / 8))


def orientation(data: bytes) -> int:
    """The orientation that EXIF data say, 1 to 8; 1 where they are damaged or say none.

    Args:
        data: as of a TIFF file.
    """
    try:
        for entry in _entries(data) if data[:4] in TIFF_MARKS else ():
            if entry.tag == _ORIENTATION and entry.kind in _WHOLE_NUMBERS and entry.count == 1:
                size = _SIZES[entry.kind]
                order = "little" if _order(data) == "<" else "big"
                return int.from_bytes(data[entry.start : entry.start + size], order)
    except (struct.error, OverflowError):
        return 1  # the pixels are intact; broken metadata is no reason to reject them
    return 1


def _order(data: bytes) -> str:
    return "<" if data.startswith(b"II") else ">"


def _entries(data: bytes) -> Iterator[_Entry]:
    """The entries of the first directory.

    Raises:
        struct.error, OverflowError: it does not fit into the file.
    """
    order = _order(data)
    is_big = data[2:4] in (b"+\0", b"\0+")
    count_type, value_type, header = ("Q", "Q", 8) if is_big else ("H", "I", 4)
    entry_size, inline = (20, 8) if is_big else (12, 4)
    (place,) = struct.unpack_from(order + value_type, data, header)
    (n_entries,) = struct.unpack_from(order + count_type, data, place)
    place += struct.calcsize(count_type)
    if n_entries > _MOST_ENTRIES or place + n_entries * entry_size > len(data):
        raise struct.error("the directory does not fit")
    for at in range(place, place + n_entries * entry_size, entry_size):
        tag, kind = struct.unpack_from(order + "HH", data, at)
        (count,) = struct.unpack_from(order + value_type, data, at + 4)
        entry = _Entry(tag, kind, count, at + entry_size - inline)
        if entry.size > inline:
            (start,) = struct.unpack_from(order + value_type, data, entry.start)
            entry = _Entry(tag, kind, count, start)
        yield entry
