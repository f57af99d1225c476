"""HEIF images (.heic, .heif, .hif), as phones take them, where pillow-heif is installed.

ISO/IEC 23008-12. An AVIF is such a file, too, but OpenCV reads it.
"""

from __future__ import annotations

import importlib.util

import numpy as np

from pyimagesearch.data.size_limit import ContainerError, SizeLimit

EXTENSIONS = frozenset((".heic", ".heif", ".hif"))
PACKAGE = "pillow-heif"
INSTALL = f"pip install {PACKAGE}"
# Codes of ISO/IEC 23008-12, 10.2 and B.4: of HEVC, and of any codec.
_BRANDS = frozenset(b"heic heix heim heis hevc hevx hevm hevs".split())
_ANY_CODEC, _AVIF = frozenset((b"mif1", b"msf1")), frozenset((b"avif", b"avis"))
_MOST_BRAND_BYTES = 256
BYTES_PER_PIXEL = 5  # that decoding takes, in planes and as colours


def is_installed() -> bool:
    """Whether HEIF images can be decoded here."""
    return importlib.util.find_spec("pillow_heif") is not None


def is_heif(data: bytes) -> bool:
    """Whether the bytes of a file begin as a HEIF image does that is no AVIF."""
    if data[4:8] != b"ftyp":
        return False
    if data[8:12] in _BRANDS:
        return True
    end = min(int.from_bytes(data[:4], "big"), _MOST_BRAND_BYTES)
    compatible = {data[place : place + 4] for place in range(16, end, 4)}
    return data[8:12] in _ANY_CODEC and not compatible & _AVIF


def check_installed() -> None:
    """Raise ``ContainerError`` where HEIF images cannot be decoded here."""
    try:
        import pillow_heif  # noqa: F401
    except ImportError as error:
        raise ContainerError(f"a HEIF image, for which a package is missing: {INSTALL}") from error


def decode(data: bytes, limit: SizeLimit) -> np.ndarray:
    """Decode the main image of a file, turned as the file says.

    Args:
        data: the whole content of a HEIF file, whose boxes have been checked.
        limit: of its image.

    Returns:
        (height, width) grey, or (height, width, 3 or 4) BGR with opacity where there is any; uint8.

    Raises:
        ContainerError: the image is damaged or too large.
    """
    import pillow_heif

    try:
        image = pillow_heif.open_heif(data, bgr_mode=True)  # its header
        limit.check(*image.size, BYTES_PER_PIXEL)
        return np.array(image)
    except ContainerError:
        raise
    except (ValueError, EOFError, SyntaxError, RuntimeError, OSError, LookupError) as error:
        raise ContainerError("damaged or truncated HEIF, or of a codec that is not read") from error
