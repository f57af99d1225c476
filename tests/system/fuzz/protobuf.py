"""Protocol Buffers messages as trees, which can be written again wrongly."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
# Which fields of ONNX hold messages, by the kind of message that they are in.
_INSIDE = {
    "model": {7: "graph", 8: "opset", 25: "function"},
    "graph": {1: "node", 5: "tensor", 11: "value", 12: "value", 13: "value"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph"},
    "tensor": {13: "entry"},
    "value": {2: "type"},
    "type": {1: "tensor_type"},
    "tensor_type": {2: "shape"},
    "shape": {1: "dimension"},
}


@dataclass
class Field:
    """A field of a message.

    Attributes:
        number, wire: what its tag says.
        value: a number, bytes, or a message.
        tag_bits: added to the tag.
        longer: bytes by which its tag or its length is longer than it need be.
        length: that is written in place of the true one.
    """

    number: int
    wire: int
    value: int | bytes | Message
    tag_bits: int = 0
    longer: int = 0
    length: int | None = None

    def written(self) -> bytes:
        tag = varint(self.number << 3 | self.wire | self.tag_bits, self.longer)
        if isinstance(self.value, int):
            return tag + varint(self.value, self.longer)
        content = self.value.written() if isinstance(self.value, Message) else self.value
        if self.wire != BYTES:
            return tag + content
        length = len(content) if self.length is None else self.length
        return tag + varint(length, self.longer) + content


@dataclass
class Message:
    """A message.

    Attributes:
        kind: as ``_INSIDE`` calls it.
        fields: in their order.
    """

    kind: str
    fields: list[Field] = field(default_factory=list)

    @classmethod
    def parsed(cls, data: bytes, kind: str = "model") -> Message:
        """Read a message that was written as it should be."""
        found, place = cls(kind), 0
        while place < len(data):
            tag, place = _read_varint(data, place)
            number, wire = tag >> 3, tag & 7
            if wire == VARINT:
                value, place = _read_varint(data, place)
                found.fields.append(Field(number, wire, value))
                continue
            size = {FIXED64: 8, FIXED32: 4}.get(wire)
            if size is None:
                size, place = _read_varint(data, place)
            content: bytes | Message = data[place : place + size]
            inside = _INSIDE.get(kind, {}).get(number)
            if inside is not None:
                content = cls.parsed(content, inside)
            found.fields.append(Field(number, wire, content))
            place += size
        return found

    def written(self) -> bytes:
        return b"".join(one.written() for one in self.fields)

    def all(self) -> list[Message]:
        """This message and all that are inside it."""
        inner = [one.value for one in self.fields if isinstance(one.value, Message)]
        return [self, *(message for value in inner for message in value.all())]

    def of_kind(self, rng: random.Random, kind: str) -> Message | None:
        """One of the messages of a kind, or None."""
        found = [message for message in self.all() if message.kind == kind]
        return rng.choice(found) if found else None

    def put(self, number: int, value: int | bytes | Message) -> None:
        """Set a field that comes once."""
        self.fields = [one for one in self.fields if one.number != number]
        self.add(number, value)

    def add(self, number: int, value: int | bytes | Message) -> None:
        """Add a field at the end."""
        wire = VARINT if isinstance(value, int) else BYTES
        self.fields.append(Field(number, wire, value))


def varint(value: int, longer: int = 0) -> bytes:
    """A number as protobuf writes it, or some bytes longer."""
    value &= 2**64 - 1
    found = bytearray()
    while value >= 0x80 or longer:
        longer -= value < 0x80
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def _read_varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place
