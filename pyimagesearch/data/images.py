"""Find image files and decode them to BGR images, or say why that is not possible.

Each kind of file is treated alike in training and in labelling:

=================  ==============================================================
truncated, damaged  ``ImageError``, never a half-grey image
grey                three equal channels
16 bits a channel   the upper 8 bits
float pixels        ``ImageError``
transparency        composed on white, as a page shows it
CMYK                converted to RGB by the decoder (no colour profile)
EXIF rotation       turned upright
animation           its first frame
over 100 megapixel  ``ImageError``, before anything is decoded; ``limits.max_pixels``
over 400 MB decoded ``ImageError``, likewise (100 megapixels at 4 bytes each)
lengths that do     ``ImageError``, likewise: PNG, TIFF, WebP, JPEG 2000, AVIF and HEIF
not fit the file
HEIF (phones)       as any other, by ``heif``; ``ImageError`` where its package is missing
of other formats    ``ImageError``, whatever the file's name, and whatever OpenCV reads
=================  ==============================================================
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import cv2
import numpy as np
import simplejpeg

from pyimagesearch.data import heif, tiff_format
from pyimagesearch.data.containers import check_container
from pyimagesearch.data.file_listing import walk_files
from pyimagesearch.data.size_limit import ContainerError, SizeLimit
from pyimagesearch.runtime import remote_files
from pyimagesearch.runtime.input_files import read_input
from pyimagesearch.runtime.limits import limited_decoding

MAX_FILE_BYTES = 1024**3
EXTENSIONS = frozenset(
    ".jpg .jpeg .jpe .jfif .png .bmp .dib .webp .gif .jp2 .avif "
    ".tif .tiff .ppm .pgm .pbm .pnm".split()
)
JPEG_QUALITY = 90
PICTURE_EXTENSIONS = (".jpg", ".jpeg", ".png")  # that are written
_EXIF = b"Exif\0\0"  # before EXIF data, in most formats
_MOST_EXIF_BYTES = 65_536
_PIXELS_AT_ONCE = 1_000_000
# EXIF orientation -> (flip left-right first, quarter turns counter-clockwise), EXIF 2.3, 4.6.4
_UPRIGHT = {
    2: (True, 0),
    3: (False, 2),
    4: (True, 2),
    5: (True, 1),
    6: (False, 3),
    7: (True, 3),
    8: (False, 1),
}


class ImageError(ValueError):
    """A file is not a complete, readable image; the text says why, without the file's name."""


def list_images(path: str, on_other: Callable[[str], None] | None = None) -> Iterator[str]:
    """Yield the image files below a folder in a stable order, or the path itself if it is a file.

    Folders are walked as ``file_listing.walk_files`` does: broken links are yielded, since whoever
    made them expects an image, and so are folders inside it that cannot be listed. Files without
    ``has_image_name`` are skipped.

    Args:
        path: a folder or a file, as the user typed it; or a URL.
        on_other: called with the name of each file that is skipped and is not hidden.

    Raises:
        FileNotFoundError, NotADirectoryError, PermissionError: ``path`` cannot be listed.
        remote_files.RemoteFileError: a URL cannot be listed.
    """
    if remote_files.is_url(path):
        yield from _walk_remote(path, on_other) if remote_files.is_folder(path) else (path,)
    elif os.path.isfile(path):
        yield path
    else:
        yield from walk_files(path, has_image_name, on_other)


def _walk_remote(folder: str, on_other: Callable[[str], None] | None) -> Iterator[str]:
    for name, url, is_folder in sorted(
        remote_files.list_folder(folder), key=lambda entry: os.fsencode(entry[0])
    ):
        if name.startswith("."):
            continue
        if is_folder:
            yield from _walk_remote(url, on_other)
        elif has_image_name(name):
            yield url
        elif on_other is not None:
            on_other(name)


def is_folder(path: str) -> bool:
    """Whether a path or URL names a folder."""
    return remote_files.is_folder(path) if remote_files.is_url(path) else os.path.isdir(path)


def has_image_name(path: str) -> bool:
    """Whether a file's name has the extension of an image that can be read here."""
    extension = os.path.splitext(path)[1].lower()
    return extension in EXTENSIONS or (extension in heif.EXTENSIONS and heif.is_installed())


def read_bytes(path: str) -> bytes:
    """Return a file's bytes.

    Args:
        path: of a file, or a URL.

    Raises:
        ImageError: the file is missing, empty, not a regular file or cannot be read.
    """
    try:
        if remote_files.is_url(path):
            data = remote_files.read(path, MAX_FILE_BYTES)
        elif os.path.isdir(path):
            raise ImageError(why_not_listed(path) or "not a regular file")
        else:
            data = read_input(path, MAX_FILE_BYTES)
    except FileNotFoundError as error:
        raise ImageError("no such file") from error
    except OSError as error:
        raise ImageError(error.strerror or str(error)) from error
    if not data:
        raise ImageError("the file is empty")
    return data


def why_not_listed(path: str) -> str | None:
    """The reason why a folder cannot be listed; None where it can."""
    try:
        os.scandir(path).close()
    except OSError as error:
        return error.strerror or str(error)
    return None


def decode_image(data: bytes, min_side: int | None = None) -> np.ndarray:
    """Decode the bytes of a file to an upright image.

    Args:
        data: the whole content of an image file.
        min_side: halve the image (up to three times) while both sides keep at least this many
            pixels; None keeps it as it is. JPEGs are reduced inside the decoder (their DCT is
            evaluated at the smaller scale), other formats by area averaging.

    Returns:
        (height, width, 3) uint8, BGR.

    Raises:
        ImageError: not an image, damaged, truncated, of an unsupported pixel type or too large.
    """
    image = (
        _decode_jpeg(data, min_side)
        if data.startswith(b"\xff\xd8\xff")
        else _decode_other(data, min_side)
    )
    return _upright(image, _orientation(data))


def read_image(path: str, min_side: int | None = None) -> np.ndarray:
    """Read and decode one file: ``decode_image(read_bytes(path), min_side)``."""
    return decode_image(read_bytes(path), min_side)


def read_cut_out(path: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Read an image of an object with its transparency.

    Returns:
        (height, width, 3) uint8 BGR, not composed on white, and (height, width) uint8 opacity; or
        the image as ``read_image`` returns it, and None where it has no transparency.

    Raises:
        ImageError: as ``read_image``.
    """
    data = read_bytes(path)
    if data.startswith(b"\xff\xd8\xff"):
        return decode_image(data), None
    image = _decode_unchanged(data)
    if image.ndim != 3 or image.shape[2] != 4 or image.dtype not in (np.uint8, np.uint16):
        return decode_image(data), None
    image = _upright(_to_eight_bits(image), _orientation(data))
    return np.ascontiguousarray(image[:, :, :3]), np.ascontiguousarray(image[:, :, 3])


def shrink(image: np.ndarray, max_side: int) -> np.ndarray:
    """Shrink an image, unless its longer side has at most ``max_side`` pixels."""
    height, width = image.shape[:2]
    scale = max_side / max(height, width)
    if scale >= 1:
        return image
    size = (max(1, round(scale * width)), max(1, round(scale * height)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def common_size(paths: list[str], max_side: int = 64, n_sampled: int = 100) -> tuple[int, bool]:
    """Find from a sample of images what size suits all of them, and whether any has colour.

    Returns:
        The side of a square: the median of the shorter sides, but at most ``max_side``. And whether
        an image is not grey.
    """
    sides, has_colour = [], False
    for path in paths[:: max(1, len(paths) // n_sampled)]:
        try:
            image = read_image(path)
        except ImageError:
            continue
        sides.append(min(image.shape[:2]))
        has_colour |= bool((image != image[:, :, :1]).any())
    return (min(int(np.median(sides)), max_side) if sides else max_side), has_colour


def median_pixels(paths: list[str], n_sampled: int = 9) -> float:
    """The median number of pixels of a sample of images; 0 where none can be read."""
    areas = []
    for path in paths[:: max(1, len(paths) // n_sampled)]:
        try:
            height, width = read_image(path).shape[:2]
        except ImageError:
            continue
        areas.append(height * width)
    return float(np.median(areas)) if areas else 0.0


def halve(image: np.ndarray, min_side: int | None) -> np.ndarray:
    """Do with an image what ``decode_image`` does with that of a file which is no JPEG.

    Args:
        image: (height, width, 3) uint8.
        min_side: as of ``decode_image``.
    """
    height, width = image.shape[:2]
    k = _reduction(height, width, min_side)
    if k == 1:
        return image
    return cv2.resize(image, (-(-width // k), -(-height // k)), interpolation=cv2.INTER_AREA)


def _reduction(height: int, width: int, min_side: int | None) -> int:
    if min_side is None:
        return 1
    return next((k for k in (8, 4, 2) if min(height, width) // k >= min_side), 1)


def _decode_jpeg(data: bytes, min_side: int | None) -> np.ndarray:
    # cv2 pads a damaged JPEG with grey and only prints a line; this decoder makes libjpeg's
    # warnings errors. Its pixels equal cv2's (both are libjpeg-turbo).
    limit = SizeLimit.in_force()
    try:
        check_container(data, limit)
        height, width, _, _ = simplejpeg.decode_jpeg_header(data)
        limit.check(width, height)
        k = _reduction(height, width, min_side)
        return simplejpeg.decode_jpeg(
            data, "BGR", min_height=-(-height // k), min_width=-(-width // k)
        )
    except ContainerError as error:
        raise ImageError(str(error)) from error
    except ValueError as error:
        raise ImageError(f"damaged or truncated JPEG ({error})") from error


def _decode_other(data: bytes, min_side: int | None) -> np.ndarray:
    return halve(_to_bgr(_decode_unchanged(data)), min_side)


def _decode_unchanged(data: bytes) -> np.ndarray:
    limit = SizeLimit.in_force()
    try:
        check_container(data, limit)
        if is_heif := heif.is_heif(data):
            heif.check_installed()  # importing it takes memory of its own
        with limited_decoding():
            if is_heif:
                return heif.decode(data, limit)
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        if image is not None:
            limit.check(image.shape[1], image.shape[0])
    except ContainerError as error:
        raise ImageError(str(error)) from error
    except (cv2.error, MemoryError) as error:
        raise ImageError("damaged image, or one that takes too much memory") from error
    if image is None:
        raise ImageError("not an image, or a damaged or truncated one")
    return image


def _to_eight_bits(image: np.ndarray) -> np.ndarray:
    return (image >> 8).astype(np.uint8) if image.dtype == np.uint16 else image


def _to_bgr(image: np.ndarray) -> np.ndarray:
    """Any image that was decoded as (height, width, 3) uint8 BGR."""
    if image.dtype not in (np.uint8, np.uint16):
        raise ImageError(f"pixels of type {image.dtype} are not supported")
    channels = 1 if image.ndim == 2 else image.shape[2]
    if channels not in (1, 3, 4):
        raise ImageError(f"{channels} channels are not supported")
    if channels == 3 and image.dtype == np.uint8:
        return image
    found = np.empty((*image.shape[:2], 3), np.uint8)
    # Row by row, what is computed on the way takes less memory than the image.
    n_rows = max(1, _PIXELS_AT_ONCE // image.shape[1])
    for start in range(0, len(image), n_rows):
        rows = _to_eight_bits(image[start : start + n_rows])
        if channels == 1:
            rows = cv2.cvtColor(rows, cv2.COLOR_GRAY2BGR)
        found[start : start + n_rows] = _on_white(rows) if channels == 4 else rows
    return found


def _on_white(image: np.ndarray) -> np.ndarray:
    """(height, width, 4) uint8 BGR with opacity -> (height, width, 3), composed on white."""
    opacity = image[:, :, 3:]
    if opacity.min() == 255:
        return image[:, :, :3]
    alpha = opacity.astype(np.uint16)
    over_white = image[:, :, :3] * alpha
    over_white += 255 * (255 - alpha) + 128
    # Divided by 255 and rounded, without a division: Blinn, Jim: Three Wrongs Make a Right (1995).
    over_white += over_white >> 8
    over_white >>= 8
    return over_white.astype(np.uint8)


def _orientation(data: bytes) -> int:
    """The EXIF orientation, 1 to 8; 1 where there is none (TIFF: cv2 has applied its own)."""
    return tiff_format.orientation(_exif(data))


def _exif(data: bytes) -> bytes:
    """The EXIF data of a file, which begin as a TIFF file does; nothing where it has none."""
    if data.startswith(b"\xff\xd8"):
        # Among the first segments (EXIF 2.3, 4.5.4), so that the pixels need not be searched.
        place = data.find(_EXIF, 0, 4096)
        return data[place + len(_EXIF) : place + _MOST_EXIF_BYTES] if place >= 0 else b""
    if data.startswith(b"\x89PNG"):
        mark = b"eXIf"
    elif data[8:12] == b"WEBP":
        mark = b"EXIF"
    elif data[8:12] == b"avif":
        mark = _EXIF
    else:
        return b""
    place = data.find(mark)
    if place < 0:
        return b""
    start = place + len(mark) + (4 if mark == b"EXIF" else 0)  # there, its length follows
    return data[start : start + _MOST_EXIF_BYTES].removeprefix(_EXIF)


def _upright(image: np.ndarray, orientation: int) -> np.ndarray:
    if orientation not in _UPRIGHT:
        return image
    flip, turns = _UPRIGHT[orientation]
    if flip:
        image = image[:, ::-1]
    return np.ascontiguousarray(np.rot90(image, turns))


def encode_picture(picture: np.ndarray, extension: str) -> bytes:
    """Encode a BGR picture; the file is left to the caller, since cv2 crashes on some names.

    Raises:
        ValueError: ``extension`` is not one of ``PICTURE_EXTENSIONS``.
    """
    if extension.lower() not in PICTURE_EXTENSIONS:
        raise ValueError(f"pictures are written as {', '.join(PICTURE_EXTENSIONS)}")
    quality = [] if extension.lower() == ".png" else [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    return cv2.imencode(extension, picture, quality)[1].tobytes()
