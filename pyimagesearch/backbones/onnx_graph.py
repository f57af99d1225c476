"""Networks as ONNX graphs, checked before onnxruntime runs them: backbones and autoencoders.

A graph is a program. onnxruntime gets none as it came, but what ``onnx_message.rebuild_graph``
makes of it: a graph of operators of ONNX that compute, with its weights inside; none that loop or
make tensors of any size, which networks for images do without.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pyimagesearch.backbones.onnx_message import CheckedGraph, rebuild_graph

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

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
# Keras' layers for windows and for upsampling become these operators, too.
_AUTOENCODER_OPERATORS = OPERATORS | {"Expand", "LSTM", "Tile"}


class Network:
    """A checked graph with one image as its input.

    Attributes:
        channels_last: whether its input is (n, height, width, 3), as Keras has it, and not
            (n, 3, height, width).
        fixed_size: (height, width) that the input must have; None where it may have any.
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
            raise ValueError("its input is not one float image of shape (n, 3, height, width)")
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

    def run(self, image: np.ndarray, outputs: Sequence[str]) -> list[np.ndarray]:
        """Compute some of the outputs for one image.

        Args:
            image: (height, width, 3) float32.
            outputs: names of these.

        Returns:
            (channels, height, width) float32 each.

        Raises:
            ValueError: they cannot be computed for the image, or are no such arrays.
        """
        batch = image[None] if self.channels_last else image.transpose(2, 0, 1)[None]
        try:
            found = self._session.run(list(outputs), {self._input: np.ascontiguousarray(batch)})
        except Exception as error:  # onnxruntime's exceptions have no common base of their own
            height, width = image.shape[:2]
            raise ValueError(
                f"it cannot be run on an image of {width} x {height}: {_first_line(error)}"
            ) from error
        maps = []
        for name, array in zip(outputs, found, strict=True):
            if array.ndim != 4 or array.dtype != np.float32 or len(array) != 1 or not array.size:
                raise ValueError(
                    f"its output {name!r} of shape {array.shape} is not a map of floats"
                )
            maps.append(array[0].transpose(2, 0, 1) if self.channels_last else array[0])
        return maps


def open_autoencoder(
    graph: bytes, shape: tuple[int, ...], output_shape: tuple[int, ...] | None = None
) -> Callable[[np.ndarray], np.ndarray]:
    """Load an autoencoder's ONNX graph as a function.

    Args:
        graph: one that takes (n, *shape) float32.
        shape: of an item.
        output_shape: of the output for an item; None for the same.

    Returns:
        items -> outputs, on one thread, since items are already worked on in parallel.

    Raises:
        ValueError: it is refused or damaged, or has another input or output shape.
    """
    try:
        session = _open_session(rebuild_graph(graph, _AUTOENCODER_OPERATORS))
    except ValueError as error:
        raise ValueError(f"the autoencoder's network cannot be read: {error}") from error
    ends = [session.get_inputs(), session.get_outputs()]
    expected = [[shape], [shape if output_shape is None else output_shape]]
    if [[tuple(value.shape[1:]) for value in end] for end in ends] != expected:
        raise ValueError(f"the autoencoder's network is not one of {shape} to {expected[1][0]}")
    name = ends[0][0].name
    return lambda items: session.run(None, {name: items})[0]


def _open_session(graph: CheckedGraph) -> InferenceSession:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # Images are already worked on in parallel; threads that wait by spinning would slow BLAS down.
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4
    # The runtime would otherwise guess the format from a mark inside the bytes.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    # Images differ in size, and an arena would keep the memory of the largest; prepacking keeps a
    # second copy of the weights. Neither makes an image faster.
    options.enable_cpu_mem_arena = False
    options.add_session_config_entry("session.disable_prepacking", "1")
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # see above
        raise ValueError(f"onnxruntime does not accept it: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200]
