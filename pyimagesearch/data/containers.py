"""The containers of image files: their own lengths and sizes are checked before they are decoded.

Decoders allocate what a length says before they find that the file is shorter, some fill what is
missing with pixels of their own, and all of them make as many pixels as a header claims. So files
whose chunks, boxes or offsets do not fit are refused here, and those that would take too much.

PNG: W3C PNG (third edition), 5 and 11. WebP: RFC 9649, 2 and 3. TIFF: ``tiff_format``. JPEG 2000:
ISO/IEC 15444-1, annexes A and I. AVIF and HEIF have boxes as JPEG 2000 has them: ISO/IEC
23008-12, 6.5. JPEG: ITU-T T.81, B.1. GIF: GIF89a, 18. BMP and Netpbm: their headers alone.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from pyimagesearch.data import heif
from pyimagesearch.data.size_limit import ContainerError, SizeLimit
from pyimagesearch.data.tiff_format import TIFF_MARKS, check_tiff

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 4, 6: 4}  # that are decoded, by colour type
# What no compression of a PNG's pixels exceeds: deflate adds a few bytes to what it cannot shrink.
_LONGEST_SHARE, _LONGEST_REST = 1.1, 65_536
_ONE_CHUNK = 12  # bytes of a PNG chunk in addition to its content
# Progressive JPEGs have ten scans; each scan may cover all pixels with a few bytes.
_MOST_SCANS = 100
_SCAN = b"\xff\xda"
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = (0xC2, 0xC6, 0xCA, 0xCE)
_JPEG_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_BOXES = (b"jP  ", b"ftyp")  # the first box of JPEG 2000, and of AVIF and HEIF
_CODESTREAM = b"\xff\x4f\xff\x51"
_START_OF_TILE, _START_OF_DATA, _END = 0xFF90, 0xFF93, b"\xff\xd9"
_HEADER_OF_ITEMS = 4  # bytes of version and flags at the start of the box of that name
_SPACE = rb"(?:\s|#[^\r\n]*[\r\n])+"
_NETPBM = re.compile(
    rb"P([1-6])" + _SPACE + rb"(\d{1,10})" + _SPACE + rb"(\d{1,10})(?:" + _SPACE + rb"(\d{1,5}))?"
)
_PAM = re.compile(rb"(WIDTH|HEIGHT|DEPTH|MAXVAL) +(\d{1,10})\s")
# A WebP of one colour ends in zeros, a twentieth of it; one whose end was never written in more.
_MOST_ZEROS = 256
_MOST_ZERO_SHARE = 0.1


def check_container(data: bytes, limit: SizeLimit) -> None:
    """Refuse a file whose lengths do not fit, or whose image would be too large in memory.

    Args:
        data: the whole content of an image file.
        limit: of its image.

    Raises:
        ContainerError: with the reason; also where it is of no format that is known here.
    """
    if data.startswith(_PNG):
        _check_png(data, limit)
    elif data.startswith(_JPEG):
        _check_scans(data)
    elif data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        _check_webp(data, limit)
    elif data[:4] in TIFF_MARKS:
        check_tiff(data, limit)
    elif data[4:8] in _BOXES:
        _check_boxes(data, limit)
    elif data.startswith(_CODESTREAM):
        _check_codestream(data, limit)
    elif data.startswith((b"GIF87a", b"GIF89a")) and len(data) >= 10:
        limit.check(*struct.unpack_from("<HH", data, 6), 4)
    elif data.startswith(b"BM") and len(data) >= 30:
        _check_bmp(data, limit)
    elif data.startswith(b"P7\n"):
        sizes = {name: int(value) for name, value in _PAM.findall(data[:4096])}
        deep = 2 if sizes.get(b"MAXVAL", 0) > 255 else 1
        limit.check(sizes.get(b"WIDTH", 0), sizes.get(b"HEIGHT", 0), deep * sizes.get(b"DEPTH", 1))
    elif found := _NETPBM.match(data):
        kind, width, height, most = (int(value or 0) for value in found.groups())
        limit.check(width, height, 3 * (2 if kind not in (1, 4) and most > 255 else 1))
    else:
        raise ContainerError("not an image, or of a format that is not read")


def _check_png(data: bytes, limit: SizeLimit) -> None:
    place, kind = len(_PNG), b""
    width = height = n_compressed = longest = 0
    while kind != b"IEND":
        if place + _ONE_CHUNK > len(data):
            raise ContainerError("truncated PNG")
        length, kind = struct.unpack_from(">I4s", data, place)
        if length > len(data) - place - _ONE_CHUNK:
            raise ContainerError(
                f"damaged or truncated PNG (a chunk of {length:,} bytes in a file of {len(data):,})"
            )
        if place == len(_PNG):
            if kind != b"IHDR" or length != 13:
                raise ContainerError("damaged PNG (it does not begin with its header)")
            width, height, depth, colour = struct.unpack_from(">IIBB", data, place + 8)
            size = 2 if depth == 16 else 1
            limit.check(width, height, _PNG_CHANNELS.get(colour, 4) * size)
            # Each row has a byte more; an interlaced image has up to twice as many rows.
            longest = _LONGEST_SHARE * height * (width * 4 * size + 2) + _LONGEST_REST
        elif kind == b"tRNS":
            limit.check(width, height, 4 * size)
        elif kind == b"IDAT":
            n_compressed += length
            if n_compressed > longest:
                raise ContainerError("damaged PNG (it has more data than pixels)")
        place += length + _ONE_CHUNK


def _check_scans(data: bytes) -> None:
    """Refuse a progressive JPEG of very many scans; files behind or inside it do not count."""
    if not _is_progressive(data) or data.count(_SCAN) <= _MOST_SCANS:
        return
    place, n_scans = 2, 0
    while found := _JPEG_MARKER.search(data, place):
        marker = found.group()
        if marker == _END:
            return
        n_scans += marker == _SCAN
        if n_scans > _MOST_SCANS:
            raise ContainerError(f"a JPEG of more than {_MOST_SCANS} scans")
        if found.end() + 2 > len(data):
            return
        place = found.end() + struct.unpack_from(">H", data, found.end())[0]


def _is_progressive(data: bytes) -> bool:
    """Whether a JPEG's frame, which comes before its pixels, is one of several passes."""
    place = 2
    while place + 4 <= len(data):
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4], "big")
        if data[place] != 0xFF or marker in _FRAMES or marker == _SCAN[1]:
            return marker in _PROGRESSIVE or data[place] != 0xFF
        place += 1 if marker == 0xFF else 2 + length
    return False


def _check_webp(data: bytes, limit: SizeLimit) -> None:
    end = 8 + struct.unpack_from("<I", data, 4)[0]
    if end > len(data):
        raise ContainerError("truncated WebP")
    place = 12
    while place + 8 <= end:
        kind, length = struct.unpack_from("<4sI", data, place)
        start = place + 8
        if length > end - start:
            raise ContainerError("damaged or truncated WebP (a chunk is longer than the file)")
        if kind in (b"VP8 ", b"VP8L", b"VP8X") and length >= 10:
            limit.check(*_webp_size(kind, data, start), 4)
        if kind in (b"VP8 ", b"VP8L"):
            _check_written(data[start : start + length], "WebP")
        place = start + length + length % 2


def _webp_size(kind: bytes, data: bytes, start: int) -> tuple[int, int]:
    """Width and height, as a chunk says."""
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, start + 6)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, start + 1)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    sides = (data[start + place : start + place + 3] for place in (4, 7))
    return tuple(1 + int.from_bytes(side, "little") for side in sides)


def _check_written(content: bytes, what: str) -> None:
    """Refuse entropy-coded content whose end is nothing but zeros."""
    n_zeros = len(content) - len(content.rstrip(b"\0"))
    if n_zeros > max(_MOST_ZEROS, _MOST_ZERO_SHARE * len(content)):
        raise ContainerError(f"truncated {what} (it ends in {n_zeros:,} zeros)")


def _check_boxes(data: bytes, limit: SizeLimit) -> None:
    for kind, start, end in _boxes(data, 0, len(data)):
        if kind == b"jp2c":
            _check_codestream(data[start:end], limit)
        elif kind == b"meta":
            _check_items(data, start + _HEADER_OF_ITEMS, end, limit)
        elif kind == b"mdat":
            _check_written(data[start:end], "image")


def _check_items(data: bytes, start: int, end: int, limit: SizeLimit) -> None:
    """Check the sizes that an AVIF or a HEIF claims, which lie in boxes inside boxes."""
    for kind, inner, inner_end in _boxes(data, start, end):
        if kind in (b"iprp", b"ipco"):
            _check_items(data, inner, inner_end, limit)
        elif kind == b"ispe" and inner_end - inner >= 12:
            limit.check(*struct.unpack_from(">II", data, inner + 4), heif.BYTES_PER_PIXEL)


def _boxes(data: bytes, place: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield the kind, start and end of each box's content."""
    while place + 8 <= end:
        length, kind = struct.unpack_from(">I4s", data, place)
        header = 8
        if length == 1:
            if place + 16 > end:
                raise ContainerError("truncated image")
            (length,), header = struct.unpack_from(">Q", data, place + 8), 16
        if length == 0:  # to the end of the file
            length = end - place
        if length < header or length > end - place:
            raise ContainerError("damaged or truncated image (a box does not fit into the file)")
        yield kind, place + header, place + length
        place += length


def _check_codestream(data: bytes, limit: SizeLimit) -> None:
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
            limit.check(max(width - left, 0), max(height - top, 0), 2 * channels)
        place += 2 + length
    if not data[place:].startswith(_END) and not data.endswith(_END):
        raise truncated


def _check_bmp(data: bytes, limit: SizeLimit) -> None:
    (header,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if header == 12 else "<ii", data, 18)
    limit.check(abs(width), abs(height), 4)
