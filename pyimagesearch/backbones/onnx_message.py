"""ONNX graphs read strictly, once, and written again from an allow-list of fields.

An ONNX file is a Protocol Buffers message (github.com/onnx/onnx, onnx.proto3; the encoding:
protobuf.dev/programming-guides/encoding). Two readers of the same bytes may disagree: the runtime's
drops the upper bits of a tag, merges repeated messages, and guesses other formats. So what is
checked here is not what the runtime would make of the bytes: it never gets them. It gets those
fields that are known here, in the one canonical encoding.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NewType

CheckedGraph = NewType("CheckedGraph", bytes)

MAX_BYTES = 1024**3
# A ResNet-18 has 3,000 fields. Each takes a microsecond or two to read.
MAX_FIELDS = 500_000
_MAX_DEPTH = 8
_FEW = 16  # more fields than an operator set or an attribute has
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_SIZES = {_FIXED64: 8, _FIXED32: 4}

_IN_ANOTHER_FILE = "its weights lie in another file, which is not read: save them inside the graph"
_OWN_OPERATORS = "it defines operators of its own"
_NO_SUBGRAPHS = "it has a graph inside an operator ({}), as loops have"
_NOT_DENSE = "it has sparse tensors, which networks for images do without"


@dataclass(frozen=True)
class _Field:
    """What a field of a message may be.

    Attributes:
        wire: its wire type; a repeated number may also be packed.
        message: the kind of message that it holds, or None.
        repeated: whether it may come more than once.
        dropped: whether it is left out: what is written for people, not for the runtime.
        refused: a sentence where the field is not allowed at all.
    """

    wire: int = _BYTES
    message: str | None = None
    repeated: bool = False
    dropped: bool = False
    refused: str | None = None


_NUMBER, _FLOAT, _TEXT = _Field(_VARINT), _Field(_FIXED32), _Field()
_NUMBERS, _FLOATS = _Field(_VARINT, repeated=True), _Field(_FIXED32, repeated=True)
_DOUBLES, _TEXTS = _Field(_FIXED64, repeated=True), _Field(repeated=True)
_DROPPED, _DROPPED_NUMBER = _Field(repeated=True, dropped=True), _Field(_VARINT, dropped=True)


def _one(message: str) -> _Field:
    return _Field(message=message)


def _many(message: str) -> _Field:
    return _Field(message=message, repeated=True)


def _refused(sentence: str, wire: int = _BYTES) -> _Field:
    return _Field(wire, refused=sentence, repeated=True)


# Field numbers of onnx.proto3. Fields that are not named are refused.
_MESSAGES: dict[str, dict[int, _Field]] = {
    "model": {
        1: _NUMBER,  # ir_version
        2: _TEXT,  # producer_name
        3: _TEXT,  # producer_version
        4: _DROPPED,  # domain
        5: _DROPPED_NUMBER,  # model_version
        6: _DROPPED,  # doc_string
        7: _one("graph"),
        8: _many("opset"),
        14: _DROPPED,  # metadata_props
        20: _DROPPED,  # training_info
        25: _refused(_OWN_OPERATORS),  # functions
        26: _DROPPED,  # configuration
    },
    "opset": {1: _TEXT, 2: _NUMBER},
    "graph": {
        1: _many("node"),
        2: _TEXT,  # name
        5: _many("tensor"),  # initializer
        10: _DROPPED,  # doc_string
        11: _many("value"),  # input
        12: _many("value"),  # output
        13: _many("value"),  # value_info
        14: _DROPPED,  # quantization_annotation
        15: _refused(_NOT_DENSE),  # sparse_initializer
        16: _DROPPED,  # metadata_props
    },
    "node": {
        1: _TEXTS,  # input
        2: _TEXTS,  # output
        3: _TEXT,  # name
        4: _TEXT,  # op_type
        5: _many("attribute"),
        6: _DROPPED,  # doc_string
        7: _TEXT,  # domain
        8: _refused(_OWN_OPERATORS),  # overload
        9: _DROPPED,  # metadata_props
        10: _DROPPED,  # device_configurations
    },
    "attribute": {
        1: _TEXT,  # name
        2: _FLOAT,
        3: _NUMBER,
        4: _TEXT,
        5: _one("tensor"),
        6: _refused(_NO_SUBGRAPHS),
        7: _FLOATS,
        8: _NUMBERS,
        9: _TEXTS,
        10: _many("tensor"),
        11: _refused(_NO_SUBGRAPHS),
        13: _DROPPED,  # doc_string
        20: _NUMBER,  # type
        21: _refused(_OWN_OPERATORS),  # ref_attr_name
        22: _refused(_NOT_DENSE),
        23: _refused(_NOT_DENSE),
    },
    "tensor": {
        1: _NUMBERS,  # dims
        2: _NUMBER,  # data_type
        4: _FLOATS,
        5: _NUMBERS,
        7: _NUMBERS,
        8: _TEXT,  # name
        9: _TEXT,  # raw_data
        10: _DOUBLES,
        11: _NUMBERS,
        12: _DROPPED,  # doc_string
        13: _refused(_IN_ANOTHER_FILE),  # external_data
        14: _NUMBER,  # data_location
        16: _DROPPED,  # metadata_props
    },
    "value": {1: _TEXT, 2: _one("type"), 3: _DROPPED, 4: _DROPPED},
    "type": {1: _one("tensor_type"), 6: _DROPPED},
    "tensor_type": {1: _NUMBER, 2: _one("shape")},
    "shape": {1: _many("dimension")},
    "dimension": {1: _NUMBER, 2: _TEXT, 3: _DROPPED},
}
_INPUT, _OPERATOR, _DOMAIN, _LOCATION = ("node", 1), ("node", 4), ("node", 7), ("tensor", 14)
_CHECKED = frozenset((_OPERATOR, _DOMAIN, _LOCATION))
_ONNX_DOMAINS = ("", "ai.onnx")
_OWN_FORMAT = b"ORTM"  # at bytes 4 to 8 of a flatbuffer of onnxruntime


def rebuild_graph(data: bytes, operators: frozenset[str]) -> CheckedGraph:
    """Check an ONNX graph and write it again, with nothing but what is known here.

    Args:
        data: the whole content of an ONNX file.
        operators: that it may have.

    Returns:
        An ONNX file that computes the same.

    Raises:
        ValueError: with a sentence: it is not an ONNX graph, or one that could do more than
            compute: refer to other files, loop, have operators of others than ONNX.
    """
    if len(data) > MAX_BYTES:
        raise ValueError(f"an ONNX graph of more than {MAX_BYTES // 1024**2} MB")
    rebuilding = _Rebuilding(operators)
    parts = rebuilding.message("model", memoryview(data), 0)
    if not rebuilding.has_graph:
        raise ValueError("it is not an ONNX graph")
    rebuilt = data if parts is None else b"".join(parts)
    if _OWN_FORMAT in (data[4:8], rebuilt[4:8]):
        raise ValueError("it is a file of onnxruntime's own format, not an ONNX graph")
    return CheckedGraph(rebuilt)


@dataclass
class _Rebuilding:
    """Goes through a message and the messages inside it.

    Attributes:
        operators: that the graph may have.
        has_graph: whether there was a graph.
        n_fields: that were read so far.
    """

    operators: frozenset[str]
    has_graph: bool = field(default=False, init=False)
    n_fields: int = field(default=0, init=False)

    def message(self, kind: str, data: memoryview, depth: int) -> list[bytes | memoryview] | None:
        """The parts of a message rebuilt, in order; None where it stays as it is.

        What stays needs no writing: its numbers are in their shortest form, so that there is no
        other encoding of it.
        """
        if depth > _MAX_DEPTH:
            raise ValueError("its graphs are nested too deeply")
        known, seen = _MESSAGES[kind], set()
        parts: list[bytes | memoryview] = []
        kept_from, inputs_end = 0, None
        for number, wire, value, start, end in _fields(data):
            self.n_fields += 1
            if self.n_fields > MAX_FIELDS:
                raise ValueError(f"it has more than {MAX_FIELDS:,} fields")
            expected = known.get(number)
            if expected is None:
                raise ValueError(
                    f"it is not an ONNX graph: an unknown field {number} in its {kind}"
                )
            is_packed = wire == _BYTES and expected.repeated and expected.wire != _BYTES
            if wire != expected.wire and not is_packed:
                raise ValueError("it is not an ONNX graph (a field has a wrong type)")
            if not expected.repeated:
                if number in seen:
                    raise ValueError(
                        f"it is not an ONNX graph: its {kind} has a field {number} twice"
                    )
                seen.add(number)
            if expected.refused is not None:
                raise ValueError(expected.refused.format(self._name_of(kind, data)))
            rebuilt = self._rebuilt(kind, number, expected, value, depth)
            if (kind, number) == _INPUT and not value:
                inputs_end = _end_of_inputs(data) if inputs_end is None else inputs_end
                if start >= inputs_end:
                    rebuilt = []  # the same as no input, but the runtime would look for one
            if rebuilt is None:
                continue
            parts.append(data[kept_from:start])
            if rebuilt:
                size = sum(map(len, rebuilt))
                parts += [_varint_bytes(number << 3 | _BYTES), _varint_bytes(size), *rebuilt]
            kept_from = end
        return [*parts, data[kept_from:]] if parts else None

    def _rebuilt(
        self, kind: str, number: int, expected: _Field, value: int | memoryview, depth: int
    ) -> list[bytes | memoryview] | None:
        """The parts of a field's content; none where it is left out, None where it stays."""
        if expected.dropped:
            return []
        if expected.message is None:
            if (kind, number) in _CHECKED:
                self._check(kind, number, value)
            return None
        if expected.message == "opset" and _first_text(value) not in _ONNX_DOMAINS:
            return []  # exporters name what they do not use; operators of it are refused
        self.has_graph |= expected.message == "graph"
        return self.message(expected.message, value, depth + 1)

    def _check(self, kind: str, number: int, value: int | memoryview) -> None:
        if (kind, number) == _OPERATOR and _text(value) not in self.operators:
            raise ValueError(
                f"it has the operator {_text(value)!r}, which networks for images do without"
            )
        if (kind, number) == _DOMAIN and _text(value) not in _ONNX_DOMAINS:
            raise ValueError(f"it has operators of {_text(value)!r}, which are not ONNX's own")
        if (kind, number) == _LOCATION and value != 0:
            raise ValueError(_IN_ANOTHER_FILE)

    @staticmethod
    def _name_of(kind: str, data: memoryview) -> str:
        """The name of an attribute, for a sentence."""
        return _first_text(data) if kind == "attribute" else ""


def _end_of_inputs(node: memoryview) -> int:
    """Where the last input ends that has a name."""
    fields = itertools.islice(_fields(node), MAX_FIELDS)  # one with more is refused in any case
    ends = (end for number, _, value, _, end in fields if number == 1 and value)
    return max(ends, default=0)


def _first_text(message: memoryview) -> str:
    """Field 1 of a message, if it is one of its first: those that follow are not counted here."""
    first = itertools.islice(_fields(message), _FEW)
    return next((_text(value) for number, _, value, *_ in first if number == 1), "")


def _fields(message: memoryview) -> Iterator[tuple[int, int, int | memoryview, int, int]]:
    """Yield each field's number, wire type and value, and where it starts and ends."""
    place, length = 0, len(message)
    while place < length:
        start = place
        tag = message[place]
        # Nearly all tags and lengths have one byte: they are not worth a call.
        if tag < 0x80:
            place += 1
        else:
            tag, place = _varint(message, place)
        number, wire = tag >> 3, tag & 7
        if tag >= 2**32 or not number:
            raise ValueError("it is not an ONNX graph (a malformed tag)")
        if wire == _VARINT:
            value, place = _varint(message, place)
            yield number, wire, value, start, place
            continue
        if wire == _BYTES:
            if place < length and message[place] < 0x80:
                size, place = message[place], place + 1
            else:
                size, place = _varint(message, place)
        elif wire in _SIZES:
            size = _SIZES[wire]
        else:
            raise ValueError("it is not an ONNX graph (an unknown type of field)")
        if size > length - place:
            raise ValueError("it is not an ONNX graph, or a truncated one")
        end = place + size
        yield number, wire, message[place:end], start, end
        place = end


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """A whole number of at most 64 bits, in its shortest form, and the place behind it."""
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(message):
            raise ValueError("it is not an ONNX graph, or a truncated one")
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if (shift and not byte) or value >= 2**64:
                raise ValueError(
                    "it is not an ONNX graph (a number that is not in its shortest form)"
                )
            return value, place
    raise ValueError("it is not an ONNX graph (a number does not end)")


def _varint_bytes(value: int) -> bytes:
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def _text(value: int | memoryview) -> str:
    return bytes(value).decode("utf-8", "replace") if isinstance(value, memoryview) else str(value)
