"""ONNX graphs of allowed operators: random ones that mostly fit together, and bombs."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from pyimagesearch.backbones.onnx_graph import OPERATORS

_LATEST = 23  # the operators' version
_VERSIONS = (13, 17, 20, _LATEST, _LATEST)
_FLOAT = "tensor(float)"
_TYPES = {  # which are tried in this order
    _FLOAT: np.float32,
    "tensor(int64)": np.int64,
    "tensor(bool)": np.bool_,
    "tensor(int32)": np.int32,
    "tensor(double)": np.float64,
}
_SHAPES = ((1, 3, 1, 1), (3, 3, 3, 3), (8, 3, 3, 3), (1,), (3,), (), (4,), (2, 4), (16, 16), (0,))
_NUMBERS = (0, 1, 2, 3, 8, 64, 65_536, 2**31 - 1, 2**62, -1, -2, -(2**63))
_LISTS = ([1], [1, 1], [2, 2], [3, 3], [0, 1, 2, 3], [0, 2, 3, 1], [1] * 4, [-1], [0] * 8, [])
_SIDES = ("kernel_shape", "strides", "dilations", "output_padding", "output_shape")
_TEXTS = {
    "mode": ("linear", "nearest", "cubic", "constant", "reflect", "edge", "wrap", "DCR", "CRD"),
    "auto_pad": ("SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"),
    "coordinate_transformation_mode": ("asymmetric", "align_corners", "tf_crop_and_resize"),
    "nearest_mode": ("floor", "ceil", "round_prefer_ceil"),
    "equation": ("bchw,bcij->bhwij", "bchw->bwhc", "...hw,...wh->...", "ij,jk->ik", "bchw->", "->"),
    "reduction": ("none", "add", "mul", "max", "min"),
    "approximate": ("tanh", "none"),
}


def random_graph(rng: random.Random) -> bytes:
    """A chain of a few operators on an image of any size, that may or may not fit together."""
    weights: list[TensorProto] = []
    nodes: list[NodeProto] = []
    last = "picture"
    version = rng.choice(_VERSIONS)
    for number in range(rng.choice((1, 1, 2, 3, 6))):
        schema = _schema(rng.choice(_ALLOWED), version)
        if schema is not None:
            nodes += _random_nodes(rng, schema, last, f"y{number}", weights)
            last = f"y{number}"
    return written(nodes, weights, last, version)


_ALLOWED = tuple(sorted(OPERATORS))


def _schema(operator: str, version: int) -> onnx.defs.OpSchema | None:
    try:
        return onnx.defs.get_schema(operator, version)
    except onnx.defs.SchemaError:  # it came later
        return None


def _random_nodes(
    rng: random.Random,
    schema: onnx.defs.OpSchema,
    last: str,
    output: str,
    weights: list[TensorProto],
) -> list[NodeProto]:
    """An operator on ``last`` and constants; ``output`` are floats, which may take another node."""
    formal = [
        one for one in schema.inputs for _ in range(1 + (rng.random() < 0.3 and _is_many(one)))
    ]
    inputs = []
    for place, one in enumerate(formal):
        if one.option == onnx.defs.OpSchema.FormalParameterOption.Optional and rng.random() < 0.4:
            inputs.append("")
        elif _FLOAT in one.types and rng.random() < (0.9 if place == 0 else 0.15):
            inputs.append(last)
        else:
            kind = next((kind for kind in _TYPES if kind in one.types), _FLOAT)
            inputs.append(f"{output}_{place}")
            weights.append(_random_tensor(rng, inputs[-1], _TYPES[kind]))
    attributes = {
        name: _random_attribute(rng, one)
        for name, one in schema.attributes.items()
        if one.required or rng.random() < 0.15
    }
    node = helper.make_node(schema.name, inputs, [f"{output}_raw"])
    for name, value in attributes.items():
        if value is not None:
            kind = schema.attributes[name].type.value
            node.attribute.append(helper.make_attribute(name, value, attr_type=kind))
    cast = helper.make_node("Cast", [f"{output}_raw"], [output], to=TensorProto.FLOAT)
    return [node, cast]


def _is_many(formal: onnx.defs.OpSchema.FormalParameter) -> bool:
    return formal.option == onnx.defs.OpSchema.FormalParameterOption.Variadic


def _random_attribute(rng: random.Random, schema: onnx.defs.OpSchema.Attribute) -> Any:
    """A value of the attribute's type; None where it is left out."""
    kinds = onnx.AttributeProto
    number = rng.choice(_NUMBERS) if rng.random() < 0.3 else rng.choice((0, 1, 2, 3, 4, -1))
    match schema.type.value:
        case kinds.INT:
            return number
        case kinds.FLOAT:
            return rng.choice((0.0, 1.0, -1.0, 0.5, 1e-30, 3e38, float("nan")))
        case kinds.INTS if schema.name in _SIDES and rng.random() < 0.7:
            return rng.choice(([1, 1], [2, 2], [3, 3], [3, 5], [1, number], [number] * 2))
        case kinds.INTS:
            return rng.choice((*_LISTS, [number], [1, number], [number] * 2, [number] * 4))
        case kinds.FLOATS:
            return rng.choice(([], [1.0], [0.5, 2.0], [3e38] * 4))
        case kinds.STRING:
            return rng.choice((*_TEXTS.get(schema.name, ("none",)) * 3, ""))
        case kinds.TENSOR:
            return _random_tensor(rng, "constant", rng.choice((np.float32, np.int64)))
    return None


def _random_tensor(rng: random.Random, name: str, dtype: type[np.generic]) -> TensorProto:
    shape = rng.choice(_SHAPES)
    if dtype in (np.float32, np.float64):
        values = np.random.default_rng(rng.randrange(1000)).standard_normal(shape) * 0.3
        scale = rng.choice((1, 1, 1, 1e38, 0, 1e-40, float("nan")))
        return numpy_helper.from_array(np.asarray(values * scale, dtype), name)
    shape = rng.choice((shape, (1,), (2,), (4,), (8,)))
    edges = rng.random() < 0.3
    numbers = [
        rng.choice(
            (1000, 2**31 - 1, -(2**31), 2**40, -(2**40), 2**62) if edges else (0, 1, 2, 3, -1, 9)
        )
        for _ in range(int(np.prod(shape)))
    ]
    return numpy_helper.from_array(np.array(numbers, np.int64).reshape(shape).astype(dtype), name)


def written(nodes: list[NodeProto], weights: list[TensorProto], output: str, version: int) -> bytes:
    """A graph from an image, (1, 3, h, w), to a map of features.

    Args:
        nodes: its operators.
        weights: by their names.
        output: name of the map.
        version: of the operators.
    """
    graph = helper.make_graph(
        nodes,
        "crafted",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, [1, 3, "h", "w"])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)])
    model.ir_version = 10
    return model.SerializeToString()


def bomb(rng: random.Random) -> bytes:
    """Allowed operators that take more time or memory each time than the last."""
    side = rng.choice((64, 512, 2000))
    matrix = np.full((side, side), 1 / side, np.float32)
    arrays = {
        "matrix": matrix,
        "channels": np.ones((3, 3, 3, 3), np.float32),
        "many": np.array([0, 0, 0, 0, 0, 0, side, side]),
        "no": np.zeros(100_000, np.int64),
        "twice": np.array([1, 1, 2, 2]),
        "scales": np.array([1, 1, 2, 2], np.float32),
        "wide": np.array([1, 3, side, side * 10]),
        "from": np.array(0.0, np.float32),
        "to": np.array(side * 1e6, np.float32),
        "step": np.array(1.0, np.float32),
        "axis": np.array(2),
    }
    make = helper.make_node
    node: Callable[[str, str], Any] = rng.choice(
        (
            lambda a, b: make("Concat", [a, a], [b], axis=rng.choice((1, 2, 3))),
            lambda a, b: make("Pad", [a, "many"], [b]),
            lambda a, b: make("Gather", [a, "no"], [b], axis=2),
            lambda a, b: make("ConvTranspose", [a, "channels"], [b], strides=[9, 9]),
            lambda a, b: make("Conv", [a, "channels"], [b], pads=[side] * 4),
            lambda a, b: make("MatMul", [a, "matrix"], [b]),
            lambda a, b: make("AveragePool", [a], [b], kernel_shape=[51, 51]),
            lambda a, b: make("Tile", [a, "twice"], [b]),
            lambda a, b: make(
                "Resize", [a, "", "scales"], [b], mode=rng.choice(("cubic", "linear"))
            ),
            lambda a, b: make("Expand", ["from" if a == "picture" else a, "wide"], [b]),
            lambda a, b: make("Einsum", [a, "matrix"], [b], equation="...ab,cd->...ad"),
            lambda _, b: make("Range", ["from", "to", "step"], [b]),
            lambda _, b: make("ConstantOfShape", ["wide"], [b]),
            lambda a, b: make("CumSum", [a, "axis"], [b]),
        )
    )
    start = rng.choice(("picture", "matrix", "channels"))  # the others are known when it is opened
    names = [start, *(f"b{number}" for number in range(rng.choice((3, 30, 2000))))]
    nodes = [node(before, after) for before, after in itertools.pairwise(names)]
    nodes.append(make("ReduceMean", [names[-1]], ["mean"], keepdims=0))
    nodes.append(make("Mul", ["picture", "mean"], ["last"]))
    weights = [numpy_helper.from_array(array, name) for name, array in arrays.items()]
    return written(nodes, weights, "last", 17)
