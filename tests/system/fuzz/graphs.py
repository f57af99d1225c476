"""Changes to the fields of ONNX graphs, and to how they are written."""

from __future__ import annotations

import random
from collections.abc import Callable

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
