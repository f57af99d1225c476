"""Networks of allowed operators that take more than they may."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from helpers.lazy import Lazy

onnx, helper, numpy_helper = map(Lazy, ("onnx", "onnx.helper", "onnx.numpy_helper"))

_SIDE, _TIMES = 512, 3_000  # of the matrices that are multiplied, and how often


def endless(shape: Sequence[object], *, when_opened: bool) -> bytes:
    """A chain of products of matrices, which takes half a minute.

    Args:
        shape: of its input ``x``, and of its output ``y``.
        when_opened: whether the runtime multiplies when it simplifies the graph; otherwise each
            time that the network is run.
    """
    matrix = np.full((_SIDE, _SIDE), 1 / _SIDE, np.float32)
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["mean"], keepdims=0),
        helper.make_node("Mul", ["matrix", "one" if when_opened else "mean"], ["m0"]),
        *(helper.make_node("MatMul", [f"m{i}", "matrix"], [f"m{i + 1}"]) for i in range(_TIMES)),
        helper.make_node("ReduceMean", [f"m{_TIMES}"], ["last"], keepdims=0),
        helper.make_node("Mul", ["x", "last"], ["y"]),
    ]
    weights = {"matrix": matrix, "one": np.ones((), np.float32)}
    return _serialized(nodes, weights, shape)


def boundless_when_bright(shape: Sequence[object]) -> bytes:
    """Its input, where that is dark; otherwise more memory than there is, in ones."""
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["most"], keepdims=0),
        helper.make_node("Mul", ["most", "many"], ["number"]),
        helper.make_node("Cast", ["number"], ["count"], to=onnx.TensorProto.INT64),
        helper.make_node("Unsqueeze", ["count", "axis"], ["length"]),
        helper.make_node("ConstantOfShape", ["length"], ["zeros"]),
        helper.make_node("ReduceSum", ["zeros"], ["nothing"], keepdims=0),
        helper.make_node("Add", ["x", "nothing"], ["y"]),
    ]
    weights = {"many": np.array(1e12, np.float32), "axis": np.array([0])}
    return _serialized(nodes, weights, shape)


def doubling(shape: Sequence[object], times: int = 40) -> bytes:
    """Its input, joined with itself again and again, each time that it is run."""
    names = ["x", *(f"c{i}" for i in range(times))]
    nodes = [
        helper.make_node("Concat", [before, before], [after], axis=1)
        for before, after in itertools.pairwise(names)
    ]
    nodes += [
        helper.make_node("ReduceMean", [names[-1]], ["last"], keepdims=0),
        helper.make_node("Mul", ["x", "last"], ["y"]),
    ]
    return _serialized(nodes, {}, shape)


def unchanged(shape: Sequence[object]) -> bytes:
    """Its input."""
    return _serialized([helper.make_node("Identity", ["x"], ["y"])], {}, shape)


def infinite_when_large(shape: Sequence[object]) -> bytes:
    """Its input, where that is below 1e5; otherwise infinity."""
    nodes = [
        helper.make_node("Mul", ["x", "large"], ["larger"]),
        helper.make_node("Mul", ["larger", "small"], ["y"]),
    ]
    weights = {"large": np.array(3e33, np.float32), "small": np.array(1 / 3e33, np.float32)}
    return _serialized(nodes, weights, shape)


def _serialized(
    nodes: list[onnx.NodeProto], weights: dict[str, np.ndarray], shape: Sequence[object]
) -> bytes:
    graph = helper.make_graph(
        nodes,
        "bomb",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    return model.SerializeToString()
