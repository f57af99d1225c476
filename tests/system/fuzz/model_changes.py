"""Changes to model files: to what they say, to their arrays and networks, and to the archive."""

from __future__ import annotations

import hashlib
import json
import random
import re
import struct
import zipfile
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any

import numpy as np

from pyimagesearch.detectors.model_file import MANIFEST
from tests.system.fuzz import graphs, mutate
from tests.system.fuzz.case import Case

_EXTREMES = (0.0, -1.0, 1.0, 1e-45, 1e-30, 1e10, 1e30, 3e38, -3e38, 1e308, np.nan, np.inf)
_DTYPES = ("<f2", "<f4", "<f8", ">f4", "<i2", "<i4", "<i8", "<u1", "<u8", "|b1", "<c8", "<U4", "|O")


@dataclass(frozen=True)
class Content:
    """What is in a model file.

    Attributes:
        manifest: JSON types, without what is said of the members.
        members: arrays and networks by their names, as bytes.
    """

    manifest: dict[str, Any]
    members: dict[str, bytes]

    @classmethod
    def read(cls, data: bytes) -> Content:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        manifest = json.loads(members.pop(MANIFEST))
        del manifest["members"]
        return cls(manifest, members)

    def written(self, rng: random.Random) -> bytes:
        """As a model file, with digests that fit; now and then only nearly one."""
        described: Any = {
            name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for name, data in self.members.items()
        }
        text = json.dumps({**self.manifest, "members": described}).encode()
        if rng.random() < 0.05:
            text = _changed_text(rng, text)
        buffer = BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, data in ((MANIFEST, text), *self.members.items()):
                archive.writestr(zipfile.ZipInfo(name), data)
        return buffer.getvalue()


def changed(case: Case, content: Content, others: list[Content]) -> bytes:
    """A model file with some changes."""
    rng = case.rng
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        match rng.randrange(12):
            case 0 | 1 | 2 | 3 | 4:
                content = replace(content, manifest=_changed_manifest(case, content.manifest))
            case 5 | 6 | 7 | 8:
                content = replace(content, members=_changed_arrays(rng, content.members))
            case 9 | 10:
                content = replace(content, members=_changed_members(case, content.members, others))
            case _:
                other = rng.choice(others)
                key = rng.choice(list(other.manifest))
                content = replace(content, manifest={**content.manifest, key: other.manifest[key]})
    data = content.written(rng)
    return changed_archive(rng, data) if rng.random() < 0.1 else data


def _changed_manifest(case: Case, manifest: dict[str, Any]) -> dict[str, Any]:
    """Change a value somewhere in it, leave it out, or add one."""
    rng = case.rng
    copied = json.loads(json.dumps(manifest))
    # What labelling reads, mostly.
    top = rng.choice(("preprocessing", "detector", "detector", "threshold", *copied))
    place: Any = copied
    key: Any = top
    while key in place if isinstance(place, dict) else True:
        inside = place[key]
        if not isinstance(inside, (dict, list)) or not inside or rng.random() < 0.15:
            break
        place = inside
        key = rng.choice(list(inside) if isinstance(inside, dict) else range(len(inside)))
    match rng.randrange(8):
        case 0 if isinstance(place, dict):
            place.pop(key, None)
        case 1 if isinstance(place, dict):
            place[case.value("text")] = case.value("json")
        case 2 if isinstance(place, list):
            place *= rng.choice((0, 2, 1000))
        case 3 | 4:
            place[key] = case.value("number")
        case 5:
            place[key] = mutate.edge(rng, rng.choice((1, 2, 4, 8)))
        case _:
            place[key] = case.value("json")
    return copied


def _changed_text(rng: random.Random, text: bytes) -> bytes:
    """JSON that no library would write."""
    place = text.index(b":", rng.randrange(len(text) // 2)) + 1
    more = rng.choice(
        (b"[" * 50_000, b"{" + b'"a":{' * 5000, b"NaN,", b"-Infinity,", b"9" * 5000, b"1e999999,")
    )
    start = rng.choice((b'{"detector": 1,', b'{"format_version": 1,', b"\xef\xbb\xbf{", b"\xff{"))
    return text[:place] + more + text[place:] if rng.random() < 0.5 else start + text[1:]


def _changed_arrays(rng: random.Random, members: dict[str, bytes]) -> dict[str, bytes]:
    names = [name for name in members if name.endswith(".npy")]
    found = dict(members)
    name = rng.choice(names)
    array = _array(members[name])
    match rng.randrange(8):
        case 0 | 1 | 2:
            array = with_extremes(rng, array)
        case 3:
            array = _reshaped(rng, array)
        case 4:  # all arrays that share a length
            length = rng.choice(array.shape) if array.size and array.ndim else -1
            shorter = rng.choice((0, 1, length // 2, length - 1, length + 1))
            for other in names:
                shared = _array(found[other])
                for axis in (axis for axis, size in enumerate(shared.shape) if size == length):
                    shared = np.take(shared, np.arange(shorter) % length, axis=axis)
                found[other] = npy(shared)
            return found
        case 5:
            array = _retyped(rng, array)
        case 6:
            array = _array(members[rng.choice(names)])
        case _:
            found[name] = changed_header(rng, members[name])
            return found
    found[name] = npy(array)
    return found


def _array(data: bytes) -> np.ndarray:
    """An array of a model file, whatever an earlier change made of it."""
    try:
        return np.load(BytesIO(data))
    except Exception:  # of many kinds
        return np.zeros(3, np.float32)


def with_extremes(rng: random.Random, array: np.ndarray) -> np.ndarray:
    """Some or all numbers replaced by ones to go wrong at."""
    array = np.array(array)
    if not array.size:
        return array
    if array.dtype.kind == "f":
        extreme: Any = rng.choice(_EXTREMES)
    elif array.dtype.kind in "iu":
        limits = np.iinfo(array.dtype)
        extreme = rng.choice((limits.min, limits.max, 0, 1, limits.max - 1, 2**15 % limits.max))
    else:
        extreme = rng.random() < 0.5
    with np.errstate(over="ignore"):
        match rng.randrange(4):
            case 0:
                array[...] = extreme
            case 1 if array.dtype.kind == "f":
                array *= array.dtype.type(extreme)
            case 2:
                array.flat[:: rng.choice((2, 3, 10))] = extreme
            case _:
                array.flat[rng.randrange(array.size)] = extreme
    return array


def _reshaped(rng: random.Random, array: np.ndarray) -> np.ndarray:
    match rng.randrange(7):
        case 0:
            return array.ravel()
        case 1:
            return array[None]
        case 2:
            return np.asfortranarray(array.T)
        case 3:
            return array[:0]
        case 4:
            return array.ravel()[0] if array.size else array
        case 5:
            return array[: rng.randrange(len(array) + 1)] if array.ndim else array
        case _:
            return np.concatenate([array, array]) if array.ndim else array


def _retyped(rng: random.Random, array: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        return array.astype(rng.choice(_DTYPES))


def npy(array: np.ndarray) -> bytes:
    buffer = BytesIO()
    np.lib.format.write_array(buffer, np.asarray(array), allow_pickle=True)
    return buffer.getvalue()


def changed_header(rng: random.Random, data: bytes) -> bytes:
    """An array whose header says something else."""
    length = int.from_bytes(data[8:10], "little")
    header, body = data[10 : 10 + length], data[10 + length :]
    shapes = (b"()", b"(0,)", b"(-1,)", b"(10**9,)", b"(99999999999999, 99999999)", b"(1e3,)", b"5")
    match rng.randrange(6):
        case 0:
            header = re.sub(rb"(?<='shape': )[^)]*\)", rng.choice(shapes), header)
        case 1:
            descr = rng.choice((b"|O", b"<f16", b"<M8[ns]", b"|V8", b"<f99", b"__import__('os')"))
            header = re.sub(rb"(?<='descr': ')[^']*", descr, header)
        case 2:
            filler = rng.choice((b"(", b"-", b"[", b"{", b"\0", b"1", b"9,", b"'"))
            header = filler * rng.choice((10, 1000, 60_000 // len(filler)))
        case 3:
            header = header.replace(b"False", rng.choice((b"True", b"2", b"None", b"(1,)")))
        case 4:
            version = rng.choice((b"\1\0", b"\2\0", b"\3\0", b"\4\0", b"\0\1"))
            return data[:6] + version + data[8:]
        case _:
            return mutate.mutated(rng, data[: 10 + length]) + body
    return data[:8] + struct.pack("<H", len(header)) + header + body


def _changed_members(
    case: Case, members: dict[str, bytes], others: list[Content]
) -> dict[str, bytes]:
    rng = case.rng
    found = dict(members)
    networks = [name for name in members if name.endswith(".onnx")]
    if networks and rng.random() < 0.7:
        name = rng.choice(networks)
        found[name] = graphs.mutated(rng, members[name])
        return found
    name, other = rng.choice(list(members)), rng.choice(others).members
    match rng.randrange(5):
        case 0:
            del found[name]
        case 1:
            taken = rng.choice(list(other))
            found[taken] = other[taken]
        case 2:
            found[case.value("text")[:200]] = members[name]
        case 3:
            found[name] = mutate.mutated(rng, members[name])
        case _:
            found[name] = other[rng.choice(list(other))]
    # Names that Python's zipfile would not write are left to what changes the archive.
    return {
        name: data
        for name, data in found.items()
        if name.isprintable() and name and name < "\ud7ff"
    }


def changed_archive(rng: random.Random, data: bytes) -> bytes:
    """Change a field of one of the archive's own headers, or its end."""
    places = []
    for mark, fields in (
        (b"PK\3\4", ((4, 2), (6, 2), (8, 2), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2))),
        (
            b"PK\1\2",
            (
                *((4, 2), (6, 2), (8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2), (30, 2)),
                *((32, 2), (34, 2), (38, 4), (42, 4)),
            ),
        ),
        (b"PK\5\6", ((4, 2), (6, 2), (8, 2), (10, 2), (12, 4), (16, 4), (20, 2))),
    ):
        at = -1
        while (at := data.find(mark, at + 1)) >= 0:
            places += [(at + offset, size) for offset, size in fields]
    if rng.random() < 0.2 or not places:
        return mutate.mutated(rng, data)
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        place, size = rng.choice(places)
        number = rng.choice((mutate.edge(rng, size), 1 << rng.randrange(8 * size)))
        changed[place : place + size] = number.to_bytes(size, "little")
    return bytes(changed)
