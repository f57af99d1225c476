"""Files of weights as PyTorch wrote them before 1.6, made without PyTorch."""

from __future__ import annotations

import pickle
import struct
from collections import OrderedDict
from collections.abc import Mapping

import numpy as np

_TYPES = {"f": "FloatStorage", "i": "LongStorage"}


class _Global:
    """Pickled as the name of something in a module."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name


class _Tensor:
    """Pickled as PyTorch pickles a tensor."""

    def __init__(self, key: str, array: np.ndarray, strides: tuple[int, ...] | None) -> None:
        self.key, self.array, self.strides = key, array, strides


class _Writer(pickle._Pickler):
    """Python's own pickler, which lets a name be written of what is not there."""

    def persistent_id(self, item: object) -> object:
        if isinstance(item, np.ndarray):
            raise TypeError("a tensor is wanted")
        return None

    def save(self, item: object, save_persistent_id: bool = True) -> None:
        if isinstance(item, _Global):
            self.write(f"c{item.module}\n{item.name}\n".encode())
        elif isinstance(item, _Tensor):
            self._save_tensor(item)
        else:
            super().save(item, save_persistent_id)

    def _save_tensor(self, tensor: _Tensor) -> None:
        self.save(_Global("torch._utils", "_rebuild_tensor_v2"))
        self.write(pickle.MARK)
        self.write(pickle.MARK)
        kind = _Global("torch", _TYPES[tensor.array.dtype.kind])
        for part in ("storage", kind, tensor.key, "cpu", tensor.array.size, None):
            self.save(part)
        self.write(pickle.TUPLE + pickle.BINPERSID)
        strides = tensor.strides
        if strides is None:
            strides = tuple(step // tensor.array.itemsize for step in tensor.array.strides)
        for part in (0, tensor.array.shape, strides, False, OrderedDict()):
            self.save(part)
        self.write(pickle.TUPLE + pickle.REDUCE)


def torch_file(
    weights: Mapping[str, np.ndarray],
    strides: tuple[int, ...] | None = None,
    *,
    called: tuple[str, str] | None = None,
    argument: object = None,
) -> bytes:
    """The content of such a file.

    Args:
        weights: C-ordered float32 or int64.
        strides: in place of each tensor's own.
        called: a (module, name) that reading the file would call, were it a pickle like others.
        argument: of the call.
    """
    import io

    file = io.BytesIO()
    arrays = {name: np.ascontiguousarray(array) for name, array in weights.items()}
    tensors = OrderedDict((n, _Tensor(n, array, strides)) for n, array in arrays.items())
    for item in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
        pickle.dump(item, file, 2)
    writer = _Writer(file, 2)
    if called is not None:
        file.write(b"\x80\x02" + f"c{called[0]}\n{called[1]}\n".encode())
        file.write(pickle.dumps((argument,), 2)[2:-1] + pickle.REDUCE + pickle.POP)
        writer.proto = 0  # its own header would come twice
        _Writer.dump(writer, tensors)
    else:
        writer.dump(tensors)
    pickle.dump(list(arrays), file, 2)
    for array in arrays.values():
        file.write(struct.pack("<q", array.size) + array.tobytes())
    return file.getvalue()
