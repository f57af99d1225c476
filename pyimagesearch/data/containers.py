"""The containers of image files: their own lengths are checked before a decoder believes them.

Decoders allocate what a length says before they find that the file is shorter, and some fill what
is missing with pixels of their own. So files whose chunks, boxes or offsets do not fit are refused
here, and those that would take too much memory when they are decoded.

PNG: W3C PNG (third edition), 5. WebP: RFC 9649, 2. TIFF: TIFF 6.0, section 2, and BigTIFF.
JPEG 2000: ISO/IEC 15444-1, annexes A and I. AVIF has boxes as JPEG 2000 has them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np

# What 100 megapixels take at four bytes a pixel; with 16 bits a channel fewer pixels are left.
MAX_DECODED_BYTES = 400_000_000
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}  # by colour type; a palette becomes colours
_BOXES = (b"jP  ", b"ftyp")  # the first box of JPEG 2000, and of AVIF
_CODESTREAM = b"\xff\x4f\xff\x51"
_START_OF_TILE, _START_OF_DATA, _END = 0xFF90, 0xFF93, b"\xff\xd9"
_TIFF_SIZES = {
    **dict.fromkeys((1, 2, 6, 7), 1),
    **dict.fromkeys((3, 8), 2),
    **dict.fromkeys((4, 9, 11, 13), 4),
    **dict.fromkeys((5, 10, 12, 16, 17, 18), 8),
}
_WIDTH, _HEIGHT, _BITS, _SAMPLES = 256, 257, 258, 277
_STRIPS = ((273, 279), (324, 325))  # offsets and byte counts, of strips and of tiles
# A WebP of one colour ends in zeros, a twentieth of it; one whose end was never written in more.
_MOST_ZEROS = 256
_MOST_ZERO_SHARE = 0.1


class ContainerError(ValueError):
    """A file's own lengths do not fit; the text says why, without the file's name."""


def check_container(data: bytes) -> None:
    """Refuse a file whose lengths do not fit, or whose image would be too large in memory.

    Files of other formats than PNG, TIFF, WebP, JPEG 2000 and AVIF pass.

    Args:
        data: the whole content of an image file.

    Raises:
        ContainerError: with the reason.
    """
    if data.startswith(_PNG):
        _check_png(data)
    elif data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        _check_webp(data)
    elif data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        _check_tiff(data)
    elif data[4:8] in _BOXES:
        for kind, start, end in _boxes(data):
            if kind == b"jp2c":
                _check_codestream(data[start:end])
    elif data.startswith(_CODESTREAM):
        _check_codestream(data)


def _check_size(width: int, height: int, bytes_per_pixel: float) -> None:
    size = width * height * bytes_per_pixel
    if size > MAX_DECODED_BYTES:
        raise ContainerError(
            f"{width} x {height} takes {size / 1e6:,.0f} MB of memory, more than "
            f"{MAX_DECODED_BYTES / 1e6:,.0f} MB"
        )


def _check_png(data: bytes) -> None:
    place, kind = len(_PNG), b""
    while kind != b"IEND":
        if place + 12 > len(data):
            raise ContainerError("truncated PNG")
        length, kind = struct.unpack_from(">I4s", data, place)
        if length > len(data) - place - 12:
            raise ContainerError(
                f"damaged or truncated PNG (a chunk of {length:,} bytes in a file of {len(data):,})"
            )
        if place == len(_PNG):
            if kind != b"IHDR" or length != 13:
                raise ContainerError("damaged PNG (it does not begin with its header)")
            width, height, depth, colour = struct.unpack_from(">IIBB", data, place + 8)
            channels = _PNG_CHANNELS.get(colour, 4)
            _check_size(width, height, channels * (2 if depth == 16 else 1))
        place += length + 12


def _check_webp(data: bytes) -> None:
    end = 8 + struct.unpack_from("<I", data, 4)[0]
    if end > len(data):
        raise ContainerError("truncated WebP")
    place = 12
    while place + 8 <= end:
        kind, length = struct.unpack_from("<4sI", data, place)
        start = place + 8
        if length > end - start:
            raise ContainerError("damaged or truncated WebP (a chunk is longer than the file)")
        if kind == b"VP8X" and length >= 10:
            width, height = (
                1 + int.from_bytes(data[start + i : start + i + 3], "little") for i in (4, 7)
            )
            _check_size(width, height, 4)
        if kind in (b"VP8 ", b"VP8L"):
            _check_written(data[start : start + length], "WebP")
        place = start + length + length % 2


def _check_written(content: bytes, what: str) -> None:
    """Refuse entropy-coded content whose end is nothing but zeros."""
    n_zeros = len(content) - len(content.rstrip(b"\0"))
    if n_zeros > max(_MOST_ZEROS, _MOST_ZERO_SHARE * len(content)):
        raise ContainerError(f"truncated {what} (it ends in {n_zeros:,} zeros)")


def _boxes(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield the kind, start and end of each box's content."""
    place = 0
    while place + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        header = 8
        if length == 1:
            if place + 16 > len(data):
                raise ContainerError("truncated image")
            (length,), header = struct.unpack_from(">Q", data, place + 8), 16
        if length == 0:  # to the end of the file
            length = len(data) - place
        if length < header or length > len(data) - place:
            raise ContainerError("damaged or truncated image (a box does not fit into the file)")
        yield kind, place + header, place + length
        place += length


def _check_codestream(data: bytes) -> None:
    """Go from tile to tile of a JPEG 2000 codestream: the last one ends with a mark of its own."""
    if not data.startswith(_CODESTREAM):
        raise ContainerError("damaged JPEG 2000")
    truncated = ContainerError("damaged or truncated JPEG 2000 (its tiles do not reach its end)")
    place = 2
    while place + 4 <= len(data):
        marker, length = struct.unpack_from(">HH", data, place)
        if marker == _START_OF_TILE:
            if place + 12 > len(data):
                raise truncated
            (size,) = struct.unpack_from(">I", data, place + 6)
            if size == 0:  # to the end
                break
            if size < 14 or size > len(data) - place:
                raise truncated
            place += size
            continue
        if marker < 0xFF01 or length < 2:
            raise truncated
        if marker == 0xFF51 and place + 40 <= len(data):
            width, height, left, top = struct.unpack_from(">IIII", data, place + 6)
            (channels,) = struct.unpack_from(">H", data, place + 38)
            _check_size(max(width - left, 0), max(height - top, 0), 2 * channels)
        place += 2 + length
    if not data[place:].startswith(_END) and not data.endswith(_END):
        raise truncated


def _check_tiff(data: bytes) -> None:
    """Check the first image of a TIFF file, the one that is decoded."""
    order = "<" if data.startswith(b"II") else ">"
    is_big = data[2:4] in (b"+\0", b"\0+")
    count_type, value_type, header = ("Q", "Q", 8) if is_big else ("H", "I", 4)
    entry_size, inline = (20, 8) if is_big else (12, 4)
    damaged = ContainerError("damaged or truncated TIFF (an offset points behind its end)")
    try:
        (place,) = struct.unpack_from(order + value_type, data, header)
        (n_entries,) = struct.unpack_from(order + count_type, data, place)
    except (struct.error, OverflowError) as error:
        raise damaged from error
    place += struct.calcsize(count_type)
    if place + n_entries * entry_size > len(data):
        raise damaged
    found: dict[int, np.ndarray] = {}
    for number in range(n_entries):
        at = place + number * entry_size
        tag, kind = struct.unpack_from(order + "HH", data, at)
        (count,) = struct.unpack_from(order + value_type, data, at + 4)
        size = count * _TIFF_SIZES.get(kind, 1)
        start = at + entry_size - inline
        if size > inline:
            (start,) = struct.unpack_from(order + value_type, data, start)
        if size > len(data) - start:
            raise damaged
        if kind in (3, 4, 16):
            dtype = np.dtype(f"u{_TIFF_SIZES[kind]}").newbyteorder(order)
            found[tag] = np.frombuffer(data, dtype, count, start).astype(np.float64)
    for offsets, counts in _STRIPS:
        if offsets in found and counts in found:
            n_known = min(len(found[offsets]), len(found[counts]))
            if (found[offsets][:n_known] + found[counts][:n_known] > len(data)).any():
                raise damaged
    width, height = (
        int(found[tag][0]) if len(found.get(tag, ())) else 0 for tag in (_WIDTH, _HEIGHT)
    )
    bits = found.get(_BITS, np.ones(1))
    samples = found.get(_SAMPLES, np.ones(1))
    channels = max(int(samples[0]) if len(samples) else 1, len(bits))
    deepest = int(bits.max()) if len(bits) else 1
    _check_size(width, height, channels * max(1, deepest / 8))
