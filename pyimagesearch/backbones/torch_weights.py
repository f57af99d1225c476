"""Weights that PyTorch has saved in its older format (before 1.6), read without PyTorch.

Such a file is a few pickles, and then the numbers of each storage. A pickle is a program that calls
what it names; here it can name the three things that weights consist of, and these are functions of
this file that do nothing but hold what they are given (docs.python.org/3/library/pickle.html,
"Restricting Globals"). Format: ``torch/serialization.py``, ``_legacy_save``.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_COUNT_BYTES = 8  # of the number of elements, before each storage's
# What reading a mangled pickle raises, besides its own error.
_OF_ANY_PICKLE = (pickle.UnpicklingError, ValueError, TypeError, AttributeError, LookupError)


class WeightsError(ValueError):
    """A file that does not hold weights as they are read here; the text says why."""


class _Weights(dict[str, "_Tensor"]):
    """Tensors by their names; a pickle gives it attributes, too, which nobody reads."""


@dataclass(frozen=True)
class _Storage:
    """Numbers that tensors are views of: their key in the file, type and count."""

    key: str
    dtype: np.dtype
    n_elements: int


@dataclass(frozen=True)
class _Tensor:
    """A view of a storage, in elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _tensor(storage: _Storage, offset: int, shape: Any, strides: Any, *_: Any) -> _Tensor:
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


_NAMED = {
    ("collections", "OrderedDict"): _Weights,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch", "FloatStorage"): np.dtype("<f4"),
    ("torch", "LongStorage"): np.dtype("<i8"),
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _NAMED:
            raise WeightsError(f"it names {module}.{name}, which weights do without")
        return _NAMED[module, name]

    def persistent_load(self, described: Any) -> _Storage:
        kind, dtype, key, _, n_elements, view = described
        if kind != "storage" or not isinstance(dtype, np.dtype) or view is not None:
            raise WeightsError("it holds something else than storages of numbers")
        return _Storage(key, dtype, n_elements)


def read_torch_weights(data: bytes) -> dict[str, np.ndarray]:
    """Read the weights of a network.

    Args:
        data: the whole content of a file.

    Returns:
        Arrays by the names of the network's parameters, float32 or int64.

    Raises:
        WeightsError: it is none of that format, damaged, or names anything else.
    """
    file = io.BytesIO(data)
    try:
        if _load(file) != _MAGIC_NUMBER or _load(file) != _PROTOCOL:
            _refuse("it is not a file of PyTorch's older format")
        _load(file)  # of the machine that wrote it
        weights, keys = _load(file), _load(file)
        if not isinstance(weights, _Weights) or not isinstance(keys, list):
            _refuse("it holds something else than weights")
        dtypes = {tensor.storage.key: tensor.storage.dtype for tensor in weights.values()}
        storages = {}
        for key in keys:
            n_elements = int.from_bytes(file.read(_COUNT_BYTES), "little")
            start, size = file.tell(), n_elements * dtypes[key].itemsize
            if size > len(data) - start:
                _refuse("it is truncated")
            storages[key] = np.frombuffer(data, dtypes[key], n_elements, start)
            file.seek(size, io.SEEK_CUR)
        return {name: _view(storages[t.storage.key], t) for name, t in weights.items()}
    except WeightsError:
        raise
    except (EOFError, OverflowError, MemoryError, *_OF_ANY_PICKLE) as error:
        raise WeightsError(f"it is damaged ({error or type(error).__name__})") from error


def _load(file: io.BytesIO) -> Any:
    """What the next pickle holds."""
    start = file.tell()
    most = len(file.getbuffer())
    for opcode, argument, _ in pickletools.genops(file):
        # Python keeps a table as long as the largest number, which may be 32 GB for six bytes.
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and argument > most:
            _refuse("it numbers more parts than it has bytes")
    file.seek(start)
    return _Reader(file).load()


def _view(storage: np.ndarray, tensor: _Tensor) -> np.ndarray:
    """A tensor as a view of its storage that cannot be written to."""
    numbers = (tensor.offset, *tensor.shape, *tensor.strides)
    if len(tensor.shape) != len(tensor.strides) or not all(
        isinstance(number, int) and number >= 0 for number in numbers
    ):
        _refuse("a tensor has no shape")
    # NumPy would look beyond the storage without a word.
    last = tensor.offset + sum(
        (length - 1) * stride for length, stride in zip(tensor.shape, tensor.strides, strict=True)
    )
    if not math.prod(tensor.shape) or last >= len(storage):
        _refuse("a tensor reaches beyond its storage")
    return np.lib.stride_tricks.as_strided(
        storage[tensor.offset :],
        tensor.shape,
        [stride * storage.itemsize for stride in tensor.strides],
        writeable=False,
    )


def _refuse(why: str) -> NoReturn:
    raise WeightsError(why)
