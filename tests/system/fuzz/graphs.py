"""ONNX graphs: small ones of random operators, and changes to the fields of any."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from pyimagesearch.backbones.onnx_graph import OPERATORS
from tests.system.fuzz import mutate
from tests.system.fuzz.protobuf import BYTES, FIXED32, FIXED64, VARINT, Field, Message

_FORBIDDEN = ("Loop", "If", "Scan", "SequenceMap", "Resize", "ConstantOfShape", "NonZero", "TopK")
_NAMES = (b"", b"picture", b"x", b"axis", b"perm", b"pads", b"kernel_shape", b"strides", b"value")
_ALLOWED = tuple(sorted(OPERATORS))
_LAST_DATA_TYPE = 24


def mutated(rng: random.Random, data: bytes) -> bytes:
    """Change a graph's fields, or how they are written; bytewise where it is none."""
    if rng.random() < 0.1:
        return mutate.mutated(rng, data)
    try:
        model = Message.parsed(data)
    except IndexError:
        return mutate.mutated(rng, data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        rng.choice(_CHANGES)(rng, model)
    written = model.written()
    if rng.random() < 0.01:
        written = written[:4] + b"ORTM" + written[8:]
    return written


def _any_field(rng: random.Random, model: Message) -> tuple[Message, Field | None]:
    message = rng.choice(model.all())
    return message, rng.choice(message.fields) if message.fields else None


def _change_value(rng: random.Random, model: Message) -> None:
    _, one = _any_field(rng, model)
    if one is None:
        return
    if isinstance(one.value, int):
        near = one.value + rng.choice((-1, 1, 2, 7))
        one.value = rng.choice((mutate.edge(rng, 8), mutate.edge(rng, 1), near))
    elif isinstance(one.value, bytes):
        one.value = rng.choice((mutate.mutated(rng, one.value), rng.choice(_NAMES), b""))


def _change_order(rng: random.Random, model: Message) -> None:
    message, one = _any_field(rng, model)
    if one is None:
        return
    match rng.randrange(4):
        case 0:
            message.fields.remove(one)
        case 1:
            message.fields.insert(rng.randrange(len(message.fields)), one)
        case 2:
            message.fields += [one] * rng.choice((1, 2, 2000))
        case _:
            rng.shuffle(message.fields)


def _write_wrongly(rng: random.Random, model: Message) -> None:
    _, one = _any_field(rng, model)
    if one is None:
        return
    match rng.randrange(5):
        case 0:
            one.tag_bits = 1 << rng.randrange(29, 64)
        case 1:
            one.longer = rng.randrange(1, 10)
        case 2:
            one.wire = rng.randrange(8)
        case 3:
            one.length = mutate.edge(rng, rng.choice((1, 4, 8)))
        case _:
            one.number = rng.choice((0, rng.randrange(1, 30), 19_000, 2**29 - 1))


def _hide(rng: random.Random, model: Message) -> None:
    """Something forbidden, behind what a lenient reader drops."""
    message, content = rng.choice(
        (
            (model.of_kind(rng, "graph"), (1, _node("Loop"))),
            (model.of_kind(rng, "tensor"), (13, _entry(b"location", b"notes.txt"))),
            (model.of_kind(rng, "tensor"), (14, 1)),
            (model.of_kind(rng, "node"), (7, b"com.microsoft")),
            (model.of_kind(rng, "attribute"), (6, Message("graph"))),
        )
    )
    if message is None:
        return
    message.add(*content)
    message.fields[-1].tag_bits = rng.choice((0, 1 << rng.randrange(32, 64)))
    message.fields[-1].longer = rng.choice((0, 0, 1, 5))


def _forbid(rng: random.Random, model: Message) -> None:
    tensor, node = model.of_kind(rng, "tensor"), model.of_kind(rng, "node")
    graph = model.of_kind(rng, "graph")
    match rng.randrange(7):
        case 0 if tensor:
            tensor.put(14, 1)
            name = rng.choice((b"notes.txt", b"/etc/passwd", b"../room/notes.txt", b""))
            tensor.add(13, _entry(b"location", name))
            tensor.add(13, _entry(b"length", str(mutate.edge(rng, 4)).encode()))
        case 1 if node:
            node.put(7, rng.choice((b"com.microsoft", b"ai.onnx.ml", b"ai.onnx\0", b"x")))
        case 2 if node:
            node.put(4, rng.choice(_FORBIDDEN + _ALLOWED).encode())
        case 3 if graph:
            attribute = Message("attribute")
            attribute.add(1, b"body")
            attribute.add(6, graph)
            message = _node("If")
            message.add(5, attribute)
            graph.fields.insert(0, Field(1, BYTES, message.written()))
        case 4:
            model.add(25, _node("Relu"))
        case 5 if node:
            node.put(rng.choice((6, 8, 9, 10)), b"more")
        case _:
            opset = Message("opset")
            opset.add(1, rng.choice((b"", b"com.microsoft", b"ai.onnx.training")))
            opset.add(2, mutate.edge(rng, 8))
            model.add(8, opset)


def _change_shape(rng: random.Random, model: Message) -> None:
    """Other dimensions or types of a tensor or of an input or output."""
    tensor, dimension = model.of_kind(rng, "tensor"), model.of_kind(rng, "dimension")
    if dimension and rng.random() < 0.4:
        dimension.fields = []
        value: int | bytes = rng.choice((mutate.edge(rng, 8), 3, 4, 64, b"h", b""))
        dimension.add(1 if isinstance(value, int) else 2, value)
    elif tensor and rng.random() < 0.5:
        tensor.add(1, mutate.edge(rng, 8))
    elif tensor:
        tensor.put(2, rng.randrange(_LAST_DATA_TYPE))


def _add_unknown(rng: random.Random, model: Message) -> None:
    message = rng.choice(model.all())
    number = rng.choice((rng.randrange(1, 40), 99, 2**29 - 1))
    wire = rng.choice((VARINT, FIXED64, BYTES, FIXED32))
    value: int | bytes = mutate.edge(rng, 8) if wire == VARINT else bytes(8)
    message.fields.append(Field(number, wire, value[:4] if wire == FIXED32 else value))


_CHANGES: tuple[Callable[[random.Random, Message], None], ...] = (
    *(_change_value, _change_value, _change_value, _change_order, _write_wrongly),
    *(_hide, _forbid, _change_shape, _change_shape, _add_unknown),
)


def _node(operator: str) -> Message:
    node = Message("node")
    for number, text in ((1, b"picture"), (2, b"more"), (4, operator.encode())):
        node.add(number, text)
    return node


def _entry(key: bytes, value: bytes) -> Message:
    entry = Message("entry")
    entry.add(1, key)
    entry.add(2, value)
    return entry


def random_graph(rng: random.Random) -> bytes:
    """A chain of a few operators on an image of any size, that may or may not fit together."""
    weights, nodes, last = [], [], "picture"
    for number in range(rng.randrange(1, 7)):
        operator = rng.choice(_ALLOWED)
        inputs = [last]
        for more in range(rng.choice((0, 0, 1, 1, 2, 4))):
            name = f"w{number}_{more}"
            weights.append(_random_tensor(rng, name))
            inputs.append(rng.choice((name, name, last, "")))
        attributes = {
            rng.choice(_ATTRIBUTES): _random_attribute(rng) for _ in range(rng.choice((0, 0, 1, 3)))
        }
        last = f"y{number}"
        nodes.append(helper.make_node(operator, inputs, [last], **attributes))
    return written(nodes, weights, last)


_ATTRIBUTES = (
    *("axis", "axes", "alpha", "auto_pad", "blocksize", "ceil_mode", "dilations", "group"),
    *("kernel_shape", "keepdims", "mode", "num_groups", "pads", "perm", "size", "split", "strides"),
    *("output_shape", "output_padding", "to", "transA", "value", "allowzero", "epsilon"),
)


def _random_attribute(rng: random.Random) -> object:
    number = rng.choice((0, 1, 2, 3, 8, 64, 65_536, 2**31 - 1, 2**62, -1, -2, -(2**63)))
    return rng.choice(
        (
            *(number, [number], [1, 1], [2, 2], [0, 1, 2, 3], [number] * 4, [1, number], [3, 3]),
            *(float(number), "SAME_UPPER", "linear", "constant", "reflect"),
        )
    )


def _random_tensor(rng: random.Random, name: str) -> TensorProto:
    shape = rng.choice(((8, 3, 3, 3), (3, 3, 1, 1), (3,), (1,), (), (4,), (1, 3, 1, 1), (16, 16)))
    if rng.random() < 0.5:
        values = np.random.default_rng(rng.randrange(1000)).standard_normal(shape) * 0.3
        values *= rng.choice((1, 1, 1, 1e38, 0, 1e-40))
        kind = TensorProto.FLOAT
    else:
        values = np.full(shape, rng.choice((0, 1, -1, 2, 8, 1000, 2**31, 2**40)), np.int64)
        kind = TensorProto.INT64
    with np.errstate(over="ignore"):
        return helper.make_tensor(name, kind, shape, values.ravel().tolist())


def written(nodes: list, weights: list[TensorProto], output: str) -> bytes:
    """A graph from an image, (1, 3, h, w), to a map of features."""
    graph = helper.make_graph(
        nodes,
        "crafted",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, [1, 3, "h", "w"])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    return model.SerializeToString()


def bomb(rng: random.Random) -> bytes:
    """Allowed operators that take more time or memory each time than the last."""
    side = rng.choice((64, 512, 2000))
    matrix = np.full((side, side), 1 / side, np.float32).tobytes()
    weights = [
        helper.make_tensor("matrix", TensorProto.FLOAT, (side, side), matrix, raw=True),
        helper.make_tensor("channels", TensorProto.FLOAT, (3, 3, 3, 3), np.ones(81)),
        helper.make_tensor("many", TensorProto.INT64, (8,), [0, 0, 0, 0, 0, 0, side, side]),
        helper.make_tensor("no", TensorProto.INT64, (100_000,), np.zeros(100_000, np.int64)),
    ]
    node: Callable[[str, str], Any] = rng.choice(
        (
            lambda a, b: helper.make_node("Concat", [a, a], [b], axis=rng.choice((1, 2, 3))),
            lambda a, b: helper.make_node("Pad", [a, "many"], [b]),
            lambda a, b: helper.make_node("Gather", [a, "no"], [b], axis=2),
            lambda a, b: helper.make_node("ConvTranspose", [a, "channels"], [b], strides=[9, 9]),
            lambda a, b: helper.make_node("Conv", [a, "channels"], [b], pads=[side] * 4),
            lambda a, b: helper.make_node("MatMul", [a, "matrix"], [b]),
            lambda a, b: helper.make_node("AveragePool", [a], [b], kernel_shape=[51, 51]),
        )
    )
    start = rng.choice(("picture", "matrix", "channels"))  # the others are known when it is opened
    names = [start, *(f"b{number}" for number in range(rng.choice((3, 30, 2000))))]
    nodes = [node(before, after) for before, after in itertools.pairwise(names)]
    nodes.append(helper.make_node("ReduceMean", [names[-1]], ["mean"], keepdims=0))
    nodes.append(helper.make_node("Mul", ["picture", "mean"], ["last"]))
    return written(nodes, weights, "last")
