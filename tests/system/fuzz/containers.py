"""Changes to the structure of image files: chunks, boxes, directories and segments.

Lengths and checksums around what is changed are made to fit again, mostly, so that the change
reaches the decoder.
"""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Sequence

from tests.system.fuzz import mutate

Part = tuple[bytes, bytes]  # a kind and a content
_PNG = b"\x89PNG\r\n\x1a\n"
_MOST_INFLATED = 5_000_000
_BOXES_WITH_BOXES = (b"meta", b"iprp", b"ipco", b"jp2h", b"dinf", b"moov", b"trak", b"iinf")
_FULL_BOXES = {b"meta": 4, b"iinf": 6}  # with a version and flags, before the boxes inside


def mutated(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Change a file in its structure; bytewise where it has none that is known here."""
    if data.startswith(_PNG):
        return _mutated_png(rng, data, others)
    if data.startswith(b"RIFF"):
        return _mutated_riff(rng, data, others)
    if data[:2] in (b"II", b"MM"):
        return _mutated_tiff(rng, data)
    if data[4:8] in (b"jP  ", b"ftyp"):
        return _mutated_boxes(rng, data, others)
    if data[:2] in (b"\xff\xd8", b"\xff\x4f"):
        return _mutated_segments(rng, data, others)
    return _mutated_numbers(rng, data)


def join_png(chunks: Sequence[Part]) -> bytes:
    """A PNG of some chunks, with checksums that fit."""
    return _PNG + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def _mutated_png(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    chunks, place = [], len(_PNG)
    while place + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        chunks.append((kind, data[place + 8 : place + 8 + length]))
        place += 12 + length
    if rng.random() < 0.3:
        chunks = [(k, _recompressed(rng, b) if k in (b"IDAT", b"fdAT") else b) for k, b in chunks]
    if rng.random() < 0.2:
        more = rng.choice((b"iCCP", b"zTXt", b"iTXt", b"eXIf", b"acTL", b"fcTL", b"tRNS", b"PLTE"))
        bomb = b"name\0\0" + zlib.compress(bytes(rng.choice((10, 10**4, 3 * 10**6))))
        chunks.insert(rng.randrange(len(chunks) + 1), (more, rng.choice((b"", bytes(26), bomb))))
    joined = join_png(_mutated_parts(rng, chunks, others))
    if rng.random() < 0.1:  # a length of a chunk alone
        at = rng.choice([8, 33, len(joined) - 12])
        joined = joined[:at] + mutate.edge(rng, 4).to_bytes(4, "big") + joined[at + 4 :]
    return joined


def _recompressed(rng: random.Random, body: bytes) -> bytes:
    try:
        pixels = zlib.decompressobj().decompress(body, _MOST_INFLATED)
    except zlib.error:
        return body
    return zlib.compress(mutate.mutated(rng, pixels) * rng.choice((1, 1, 1, 2, 20)))


def _mutated_riff(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    chunks, place = [], 12
    while place + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, place)
        chunks.append((kind, data[place + 8 : place + 8 + length]))
        place += 8 + length + length % 2
    body = b"".join(
        kind + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)
        for kind, content in _mutated_parts(rng, chunks, others)
    )
    size = len(body) + 4 if rng.random() < 0.9 else mutate.edge(rng, 4)
    return b"RIFF" + struct.pack("<I", size) + b"WEBP" + body


def _mutated_boxes(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    boxes, place = [], 0
    while place + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        length = length if 8 <= length <= len(data) - place else len(data) - place
        boxes.append((kind, data[place + 8 : place + length]))
        place += length
    inner = [i for i, (kind, body) in enumerate(boxes) if kind in _BOXES_WITH_BOXES and body]
    if inner and rng.random() < 0.8:
        chosen = rng.choice(inner)
        kind, body = boxes[chosen]
        head = _FULL_BOXES.get(kind, 0)
        boxes[chosen] = (kind, body[:head] + _mutated_boxes(rng, body[head:], others))
    else:
        boxes = _mutated_parts(rng, boxes, others)
    return b"".join(_box(rng, kind, body) for kind, body in boxes)


def _box(rng: random.Random, kind: bytes, body: bytes) -> bytes:
    match rng.randrange(40):
        case 0:
            return struct.pack(">I", mutate.edge(rng, 4)) + kind + body
        case 1:
            return struct.pack(">I4sQ", 1, kind, len(body) + 16) + body
        case 2:
            return struct.pack(">I4sQ", 1, kind, mutate.edge(rng, 8)) + body
        case _:
            return struct.pack(">I", len(body) + 8) + kind + body


def _mutated_segments(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """JPEG, and a codestream of JPEG 2000: segments up to the coded data."""
    segments, place = [], 2
    while place + 4 <= len(data) and data[place] == 0xFF and data[place + 1] not in (0xDA, 0x93):
        length = struct.unpack_from(">H", data, place + 2)[0]
        segments.append((data[place : place + 2], data[place + 4 : place + 2 + length]))
        place += 2 + max(length, 2)
    rest = data[place:]
    if rng.random() < 0.2:
        rest = mutate.mutated(rng, rest, others)
    head = b"".join(
        kind[:2] + struct.pack(">H", min(len(body) + 2, 0xFFFF)) + body[:0xFFFD]
        for kind, body in _mutated_parts(rng, segments, others)
    )
    return data[:2] + head + rest


def _mutated_tiff(rng: random.Random, data: bytes) -> bytes:
    """Change an entry of the first directory: its tag, type, count or value."""
    order = "<" if data.startswith(b"II") else ">"
    is_big = data[2:4] in (b"+\0", b"\0+")
    at, offset, count, entry, word = (8, "Q", "Q", 20, 8) if is_big else (4, "I", "H", 12, 4)
    try:
        (place,) = struct.unpack_from(order + offset, data, at)
        (n_entries,) = struct.unpack_from(order + count, data, place)
    except (struct.error, OverflowError):
        return mutate.mutated(rng, data)
    first = place + struct.calcsize(count)
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        start = first + entry * rng.randrange(max(min(n_entries, 40), 1))
        field, size = rng.choice(((0, 2), (2, 2), (4, word), (4 + word, word), (4 + word, word)))
        value = mutate.edge(rng, size)
        if field == 0:
            value = rng.choice((256, 257, 258, 259, 262, 273, 277, 278, 279, 284, 317, 322, 323))
        elif field == 2:
            value = rng.randrange(20)
        elif rng.random() < 0.5:
            value = rng.choice((0, 1, 2, 3, 8, 16, 32, 64, 7, len(data), len(data) - 1))
        changed[start + field : start + field + size] = value.to_bytes(
            size, "little" if order == "<" else "big"
        )
    return bytes(changed)


def _mutated_numbers(rng: random.Random, data: bytes) -> bytes:
    """Change the words of a text header, or numbers of a binary one."""
    if data[:1] not in (b"P", b"#"):
        place, size = rng.randrange(2, 60), rng.choice((2, 4))
        number = mutate.edge(rng, size).to_bytes(size, "little")
        return data[:place] + number + data[place + size :]
    head, rest = data[:60], data[60:]
    words = head.split(b" ")
    chosen = rng.randrange(len(words))
    said = str(rng.choice((mutate.edge(rng, 8), -1, 10**30, 1e300, 0.5))).encode()
    lines = words[chosen].split(b"\n")
    lines[rng.randrange(len(lines))] = said
    words[chosen] = b"\n".join(lines)
    return b" ".join(words) + rest


def _mutated_parts(
    rng: random.Random, parts: Sequence[Part], others: Sequence[bytes]
) -> list[Part]:
    """Change one part, or leave out, double or move one."""
    found = list(parts)
    if not found:
        return found
    chosen = rng.randrange(len(found))
    kind, body = found[chosen]
    match rng.randrange(9):
        case 0:
            del found[chosen]
        case 1:
            found[chosen:chosen] = [(kind, body)] * rng.choice((1, 1, 1000))
        case 2:
            found.insert(rng.randrange(len(found) + 1), found.pop(chosen))
        case 3:
            found[chosen] = (rng.choice(found)[0], body)
        case 4 | 5 | 6 if body:
            size = rng.choice((1, 2, 4))
            place = rng.randrange(min(len(body), 40))
            order = rng.choice(("big", "little"))
            number = mutate.edge(rng, size).to_bytes(size, order)
            found[chosen] = (kind, body[:place] + number + body[place + size :])
        case 7:
            found[chosen] = (kind, body[: rng.randrange(len(body) + 1)])
        case _:
            found[chosen] = (kind, mutate.mutated(rng, body, others))
    return found
