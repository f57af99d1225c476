"""Networks as ONNX graphs: other people's and autoencoders, checked before onnxruntime runs them.

A graph is a program. onnxruntime gets none as it came, but what ``onnx_message.rebuild_graph``
makes of it: a graph of operators of ONNX that compute, with its weights inside; none that loop or
make tensors of any size, which networks for images do without.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pyimagesearch.backbones.onnx_message import CheckedGraph, rebuild_graph

OPERATORS = frozenset(
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
_OF_AUTOENCODERS = OPERATORS | {"Expand", "LSTM", "Tile"}


class Network:
    """A checked graph with one picture as its input.

    Attributes:
        channels_last: whether its input is (n, height, width, 3), as Keras has it, and not
            (n, 3, height, width).
        fixed_size: (height, width) that the input must have; None where any will do.
        outputs: names of the outputs.
    """

    def __init__(self, graph: CheckedGraph) -> None:
        """Load a graph.

        Raises:
            ValueError: it is damaged, or its input is not an image.
        """
        self._session = _open_session(graph)
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
        session = _open_session(rebuild_graph(graph, _OF_AUTOENCODERS))
    except ValueError as error:
        raise ValueError(f"the autoencoder's network cannot be read: {error}") from error
    ends = [session.get_inputs(), session.get_outputs()]
    expected = [[shape], [shape if gives is None else gives]]
    if [[tuple(value.shape[1:]) for value in end] for end in ends] != expected:
        raise ValueError(f"the autoencoder's network is not one of {shape} to {expected[1][0]}")
    name = ends[0][0].name
    return lambda items: session.run(None, {name: items})[0]


def _open_session(graph: CheckedGraph) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # Pictures are worked on in parallel already; threads that wait by spinning fight BLAS's.
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4
    # The runtime would guess the format by a mark inside the bytes.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    # Pictures differ in size, and an arena keeps what the largest took; nor is a second copy of the
    # weights needed. Both only cost memory: neither makes a picture quicker.
    options.enable_cpu_mem_arena = False
    options.add_session_config_entry("session.disable_prepacking", "1")
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # see above
        raise ValueError(f"onnxruntime does not accept it: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200]
