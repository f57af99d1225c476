"""NumPy's .npy format, read strictly: plain numbers, as many as there are bytes for.

NumPy's own reader evaluates the header as Python, allocates what its shape claims, and raises
whatever evaluating a mangled one leads to. Format: numpy.lib.format, "Format specification".
"""

from __future__ import annotations

import math
import re

import numpy as np

_MAGIC = b"\x93NUMPY"
_LENGTH_BYTES = {(1, 0): 2, (2, 0): 4, (3, 0): 4}  # of the header's length, by version
_MAX_HEADER_BYTES = 4096
_MAX_DIMENSIONS = 16
_HEADER = re.compile(
    r"\{'descr': '([<>|=]?[biuf]\d{1,2})', 'fortran_order': (True|False), "
    r"'shape': \(((?:\d{1,18}, ?)*(?:\d{1,18})?)\), \} *\n?"
)


class NpyError(ValueError):
    """Bytes that are not an array of plain numbers; the text says why."""


def parse_npy(data: bytes | bytearray) -> np.ndarray:
    """An array of the .npy format, as a view of its bytes that cannot be written to.

    Args:
        data: the whole content.

    Raises:
        NpyError: it is damaged, truncated, or holds anything but booleans, integers or floats.
    """
    if not data.startswith(_MAGIC):
        raise NpyError("not in NumPy's format")
    size = _LENGTH_BYTES.get(tuple(data[6:8]))
    if size is None:
        raise NpyError("of an unknown version of NumPy's format")
    length = int.from_bytes(data[8 : 8 + size], "little")
    start = 8 + size + length
    if length > _MAX_HEADER_BYTES or start > len(data):
        raise NpyError("its header is too long")
    header = _HEADER.fullmatch(data[8 + size : start].decode("latin-1"))
    if header is None:
        raise NpyError("its header is damaged, or it holds something else than plain numbers")
    descr, fortran, lengths = header.groups()
    try:
        dtype = np.dtype(descr)
    except TypeError as error:
        raise NpyError(f"arrays of {descr} are not read") from error
    shape = tuple(int(text) for text in re.findall(r"\d+", lengths))
    if len(shape) > _MAX_DIMENSIONS:
        raise NpyError(f"it has {len(shape)} dimensions")
    # The header's shape is a claim: compare it with the bytes before making the array.
    if math.prod(shape) * dtype.itemsize != len(data) - start:
        raise NpyError(f"its shape {shape} does not fit its {len(data) - start:,} bytes")
    order = "F" if fortran == "True" else "C"
    array = np.frombuffer(data, dtype, offset=start)
    array.flags.writeable = False
    return array.reshape(shape, order=order)
