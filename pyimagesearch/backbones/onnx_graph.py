"""Networks as ONNX graphs, checked before onnxruntime runs them: backbones and autoencoders.

A graph is a program. onnxruntime gets none as it came, but what ``onnx_message.rebuild_graph``
makes of it: a graph of operators of ONNX that compute, with its weights inside; none that loop. In
worker processes it may take so much time and memory (``runtime.limits``); elsewhere it is run when
a worker has run it before.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from pyimagesearch.backbones.onnx_message import CheckedGraph, rebuild_graph
from pyimagesearch.runtime.limits import NetworkLimits, limited

# What exports of convolutional networks and of vision transformers consist of: of ONNX's operators
# those that compute numbers from numbers, the same each time.
OPERATORS = frozenset(
    """
    Abs Add And Attention AveragePool BatchNormalization Cast CastLike Ceil Clip Concat Constant
    ConstantOfShape Conv ConvTranspose Cos CumSum DepthToSpace Div Dropout Einsum Elu Equal Erf
    Exp Expand Flatten Floor Gather GatherElements GatherND Gelu Gemm GlobalAveragePool
    GlobalMaxPool Greater GreaterOrEqual GroupNormalization HardSigmoid HardSwish Identity
    InstanceNormalization IsNaN LayerNormalization LeakyRelu Less LessOrEqual Log
    LpNormalization LRN MatMul Max MaxPool Mean Min Mish Mod Mul Neg Not Or Pad Pow PRelu Range
    Reciprocal ReduceL2 ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum Relu Reshape Resize
    RMSNormalization RotaryEmbedding Round ScatterElements ScatterND Selu Shape Sigmoid Sign Sin
    Size Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum Swish Tanh Tile
    Transpose Trilu Unsqueeze Where Xor
    """.split()
)
# Keras' layers for windows become this one, too.
_AUTOENCODER_OPERATORS = OPERATORS | {"LSTM"}
_SIDES = (8, 2048)  # that an input of one size may have
_RANKS = (3, 4)  # of an output: tokens, and maps
_NO_MEMORY = ("bad_alloc", "bad allocation", "Failed to allocate memory")  # of its messages


class NetworkError(ValueError):
    """A network cannot be opened or run; the text says why."""


class _Session:
    """A graph that onnxruntime has opened, within the limits of its size.

    Args:
        graph: a checked one.

    Raises:
        NetworkError: it is damaged, or takes too much.
    """

    def __init__(self, graph: CheckedGraph) -> None:
        # It would note what it does in the folder of temporary files, and report it to its makers.
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        import onnxruntime

        self._limits = NetworkLimits.of_network(len(graph))
        options = onnxruntime.SessionOptions()
        # Images are already worked on in parallel; threads that wait by spinning would slow BLAS
        # down.
        options.intra_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 4
        # The runtime would otherwise guess the format from a mark inside the bytes.
        options.add_session_config_entry("session.load_model_format", "ONNX")
        # Images differ in size, and an arena would keep the memory of the largest; prepacking
        # keeps a second copy of the weights. Neither makes an image faster.
        options.enable_cpu_mem_arena = False
        options.add_session_config_entry("session.disable_prepacking", "1")
        with self._errors("onnxruntime does not accept it"), limited(self._limits):
            self._session = onnxruntime.InferenceSession(
                graph, options, providers=["CPUExecutionProvider"]
            )
        self.inputs = self._session.get_inputs()
        self.outputs = self._session.get_outputs()

    def run(self, batch: np.ndarray, outputs: Sequence[str] | None = None) -> list[np.ndarray]:
        """Compute outputs (all, where none are named) for what its only input takes.

        Raises:
            NetworkError: they cannot be computed, or take too much.
        """
        with self._errors("it cannot be run"), limited(self._limits):
            return self._session.run(outputs, {self.inputs[0].name: batch})

    @contextlib.contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # onnxruntime's exceptions have no common base of their own
            if isinstance(error, MemoryError) or any(said in str(error) for said in _NO_MEMORY):
                raise NetworkError(self._limits.too_large()) from error
            text = str(error).strip().splitlines()[0][:200]
            raise NetworkError(f"{what}: {text}") from error


class Network:
    """A checked graph with one image as its input.

    Attributes:
        channels_last: whether its input is (n, height, width, 3), as Keras has it, and not
            (n, 3, height, width).
        fixed_size: (height, width) that the input must have; None where it may have any.
        outputs: names of the outputs, but of those that have one vector for an image.
    """

    def __init__(self, graph: CheckedGraph) -> None:
        """Load a graph.

        Raises:
            ValueError: it is damaged, or its input is not an image.
        """
        self._session = _Session(graph)
        inputs = self._session.inputs
        if len(inputs) != 1 or inputs[0].type != "tensor(float)" or len(inputs[0].shape) != 4:
            raise ValueError("its input is not one float image of shape (n, 3, height, width)")
        shape = inputs[0].shape
        self.channels_last = shape[3] == 3 and shape[1] != 3
        if not self.channels_last and shape[1] != 3:
            raise ValueError(f"its input of shape {shape} does not have three channels")
        sides = shape[1:3] if self.channels_last else shape[2:4]
        fixed = [side for side in sides if isinstance(side, int)]
        if len(fixed) == 1:
            raise ValueError(f"its input of shape {shape} has only one fixed side")
        if fixed and not (_SIDES[0] <= min(fixed) and max(fixed) <= _SIDES[1]):
            raise ValueError(
                f"its input of shape {shape} is not from {_SIDES[0]} to {_SIDES[1]} pixels wide "
                "and high"
            )
        self.fixed_size = (fixed[0], fixed[1]) if fixed else None
        # A rank that is not known is given as none at all.
        outputs = [(output.name, len(output.shape or ())) for output in self._session.outputs]
        self.outputs = [name for name, rank in outputs if rank in (0, *_RANKS)]

    def run(self, image: np.ndarray, outputs: Sequence[str]) -> list[np.ndarray]:
        """Compute some of the outputs for one image.

        Args:
            image: (height, width, 3) float32.
            outputs: names of these.

        Returns:
            (channels, height, width) float32 each, or (tokens, channels) of a transformer.

        Raises:
            ValueError: they cannot be computed for the image, or are no such arrays.
        """
        batch = image[None] if self.channels_last else image.transpose(2, 0, 1)[None]
        try:
            found = self._session.run(np.ascontiguousarray(batch), list(outputs))
        except NetworkError as error:
            height, width = image.shape[:2]
            raise NetworkError(f"on an image of {width} x {height}, {error}") from error
        maps = []
        for name, array in zip(outputs, found, strict=True):
            is_usable = array.ndim in _RANKS and array.dtype == np.float32
            if not is_usable or len(array) != 1 or not array.size:
                raise ValueError(
                    f"its output {name!r} of shape {array.shape} is not a map of floats"
                )
            is_turned = self.channels_last and array.ndim == 4
            maps.append(array[0].transpose(2, 0, 1) if is_turned else array[0])
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
        items -> outputs, on one thread, since items are already worked on in parallel; raises
        ``NetworkError`` where they cannot be computed.

    Raises:
        ValueError: it is refused or damaged, or has another input or output shape.
    """
    try:
        session = _Session(rebuild_graph(graph, _AUTOENCODER_OPERATORS))
    except ValueError as error:
        raise ValueError(f"the autoencoder's network cannot be read: {error}") from error
    ends = [session.inputs, session.outputs]
    expected = [[shape], [shape if output_shape is None else output_shape]]
    if [[tuple(value.shape[1:]) for value in end] for end in ends] != expected:
        raise ValueError(f"the autoencoder's network is not one of {shape} to {expected[1][0]}")
    return lambda items: session.run(items)[0]
