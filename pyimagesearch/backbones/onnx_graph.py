"""Networks as ONNX graphs: other people's and autoencoders, checked before onnxruntime runs them.

A graph is a program. Before onnxruntime sees one, its bytes are read as the Protocol Buffers
message that they are (github.com/onnx/onnx, onnx.proto3), and it is refused when it refers to
other files, when it has operators of others than ONNX, or such as loop or make tensors of any
size, which networks for pictures do without.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

MAX_BYTES = 1024**3
_MAX_DEPTH = 8
_EXTERNAL = 1  # TensorProto.DataLocation

# What a message of each kind holds that matters here: field number -> kind of message, or a name.
_FIELDS: dict[str, dict[int, str]] = {
    "model": {7: "graph", 25: "=functions"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {4: "=operator", 5: "attribute", 7: "=domain"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "=external", 14: "=location"},
}
_OPERATORS = frozenset(
    """
    Abs Add AveragePool BatchNormalization Cast Ceil Clip Concat Constant Conv ConvTranspose
    DepthToSpace Div Dropout Elu Erf Exp Flatten Floor Gather Gelu Gemm GlobalAveragePool
    GlobalMaxPool GroupNormalization HardSigmoid HardSwish Identity InstanceNormalization
    LayerNormalization LeakyRelu Log LRN LpNormalization MatMul Max MaxPool Mean Min Mish Mul Neg
    PRelu Pad Pow Reciprocal ReduceL2 ReduceMax ReduceMean ReduceSum Relu Reshape Selu Shape Sigmoid
    Sign Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum Tanh
    Transpose Unsqueeze
    """.split()
)
# What Keras's layers for windows, and for making maps larger, become beside these.
_OF_AUTOENCODERS = _OPERATORS | {"Expand", "LSTM", "Tile"}


def check_graph(data: bytes, operators: frozenset[str] = _OPERATORS) -> None:
    """Refuse what is no ONNX graph, or one that could do more than compute features.

    Args:
        data: the whole content of an ONNX file.
        operators: that it may have.

    Raises:
        ValueError: with a sentence.
    """
    if len(data) > MAX_BYTES:
        raise ValueError(f"an ONNX graph of more than {MAX_BYTES // 1024**2} MB")
    has_graph = False
    for kind, name, value in _walk("model", memoryview(data), 0):
        has_graph |= kind == "graph"
        if name == "external" or (name == "location" and value == _EXTERNAL):
            raise ValueError(
                "its weights lie in another file, which is not read: save them inside the graph"
            )
        if name == "functions":
            raise ValueError("it defines operators of its own")
        if name == "operator" and _text(value) not in operators:
            raise ValueError(
                f"it has the operator {_text(value)!r}, which networks for pictures do without"
            )
        if name == "domain" and _text(value) not in ("", "ai.onnx"):
            raise ValueError(f"it has operators of {_text(value)!r}, which are not ONNX's own")
    if not has_graph:
        raise ValueError("it is no ONNX graph")


def _walk(kind: str, message: memoryview, depth: int) -> Iterator[tuple[str, str, Any]]:
    """Yield (kind, "", None) for each message inside and (kind, name, value) for named fields."""
    if depth > _MAX_DEPTH:
        raise ValueError("its graphs are nested too deeply")
    for number, value in _fields(message):
        inside = _FIELDS[kind].get(number)
        if inside is None:
            continue
        if inside.startswith("="):
            yield kind, inside[1:], value
        elif isinstance(value, memoryview):
            yield inside, "", None
            yield from _walk(inside, value, depth + 1)
        else:
            raise ValueError("it is no ONNX graph (a field has a wrong type)")


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield a message's fields: protobuf.dev/programming-guides/encoding."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        wire = key & 7
        if wire == 0:
            value, place = _varint(message, place)
        else:
            if wire == 2:
                size, place = _varint(message, place)
            elif wire in (1, 5):
                size = 8 if wire == 1 else 4
            else:
                raise ValueError("it is no ONNX graph (an unknown type of field)")
            if size > len(message) - place:
                raise ValueError("it is no ONNX graph, or a truncated one")
            value, place = message[place : place + size], place + size
        yield key >> 3, value


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(message):
            raise ValueError("it is no ONNX graph, or a truncated one")
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("it is no ONNX graph (a number does not end)")


def _text(value: Any) -> str:
    return bytes(value).decode("utf-8", "replace") if isinstance(value, memoryview) else str(value)


class Network:
    """A checked graph with one picture as its input.

    Attributes:
        channels_last: whether its input is (n, height, width, 3), as Keras has it, and not
            (n, 3, height, width).
        fixed_size: (height, width) that the input must have; None where any will do.
        outputs: names of the outputs.
    """

    def __init__(self, data: bytes) -> None:
        """Check the graph and load it.

        Raises:
            ValueError: it is refused, damaged, or its input is no picture.
        """
        check_graph(data)
        self._session = _open_session(data)
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(inputs[0].shape) != 4:
            raise ValueError("its input is not one float picture of shape (n, 3, height, width)")
        self._input = inputs[0].name
        shape = inputs[0].shape
        self.channels_last = shape[3] == 3 and shape[1] != 3
        if not self.channels_last and shape[1] != 3:
            raise ValueError(f"its input of shape {shape} does not have three channels")
        sides = shape[1:3] if self.channels_last else shape[2:4]
        fixed = [side for side in sides if isinstance(side, int)]
        if len(fixed) == 1:
            raise ValueError(f"its input of shape {shape} has only one fixed side")
        self.fixed_size = (fixed[0], fixed[1]) if fixed else None
        self.outputs = [output.name for output in self._session.get_outputs()]

    def run(self, picture: np.ndarray, outputs: Sequence[str]) -> list[np.ndarray]:
        """Compute some of the outputs for one picture.

        Args:
            picture: (height, width, 3) float32.
            outputs: their names.

        Returns:
            (channels, height, width) float32 each.

        Raises:
            ValueError: it cannot compute them for such a picture, or they are no such arrays.
        """
        batch = picture[None] if self.channels_last else picture.transpose(2, 0, 1)[None]
        try:
            found = self._session.run(list(outputs), {self._input: np.ascontiguousarray(batch)})
        except Exception as error:  # onnxruntime's exceptions have no common base of their own
            height, width = picture.shape[:2]
            raise ValueError(
                f"it cannot be run on a picture of {width} x {height}: {_first_line(error)}"
            ) from error
        maps = []
        for name, array in zip(outputs, found, strict=True):
            if array.ndim != 4 or array.dtype != np.float32 or len(array) != 1 or not array.size:
                raise ValueError(f"its output {name!r} of shape {array.shape} is no map of floats")
            maps.append(array[0].transpose(2, 0, 1) if self.channels_last else array[0])
        return maps


def open_autoencoder(
    graph: bytes, shape: tuple[int, ...], gives: tuple[int, ...] | None = None
) -> Callable[[np.ndarray], np.ndarray]:
    """Make a function of an autoencoder's ONNX graph.

    Args:
        graph: one that takes (n, *shape) float32.
        shape: of an item.
        gives: shape of what it gives for an item; None is the same.

    Returns:
        What runs it, on one thread: items are worked on in parallel already.

    Raises:
        ValueError: it is refused or damaged, or takes or gives another shape.
    """
    try:
        check_graph(graph, _OF_AUTOENCODERS)
        session = _open_session(graph)
    except ValueError as error:
        raise ValueError(f"the autoencoder's network cannot be read: {error}") from error
    ends = [session.get_inputs(), session.get_outputs()]
    expected = [[shape], [shape if gives is None else gives]]
    if [[tuple(value.shape[1:]) for value in end] for end in ends] != expected:
        raise ValueError(f"the autoencoder's network is not one of {shape} to {expected[1][0]}")
    name = ends[0][0].name
    return lambda items: session.run(None, {name: items})[0]


def _open_session(data: bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # Pictures are worked on in parallel already; threads that wait by spinning fight BLAS's.
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4
    # Pictures differ in size, and an arena keeps what the largest took; nor is a second copy of the
    # weights needed. Both only cost memory: neither makes a picture quicker.
    options.enable_cpu_mem_arena = False
    options.add_session_config_entry("session.disable_prepacking", "1")
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # see above
        raise ValueError(f"onnxruntime does not accept it: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200]
