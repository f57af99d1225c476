"""Files that are made to do what the toolkit promises not to do, and what it costs to meet them."""

from __future__ import annotations

import io
import resource
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from helpers import tiny
from helpers.lazy import Lazy
from helpers.scripts import CHECKOUT

onnx = Lazy("onnx")
_MEMORY = 1_500_000_000  # bytes, with what is reserved; labelling an image takes 60 MB
SECONDS = 60  # that an attack may take on a busy machine


def run_attacked(script: str, *arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a script as a user does, in a folder; no process of it gets more memory than usual."""
    return subprocess.run(
        [sys.executable, str(CHECKOUT / script), *map(str, arguments)],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        preexec_fn=_limit_memory,
    )


def _limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))


def varint(value: int) -> bytes:
    """A number as protobuf writes it."""
    found = bytearray()
    while value >= 0x80:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def embedded(tag: int, content: bytes) -> bytes:
    """A field of bytes."""
    return varint(tag) + varint(len(content)) + content


def network_that_reads(name: str) -> bytes:
    """The tiny network with its first weights in another file, said behind bit 32 of tags."""
    model = tiny.network()
    graph, hidden = model.graph, 1 << 32
    first, *others = graph.initializer
    first.ClearField("raw_data")
    location = embedded(1 << 3 | 2, b"location") + embedded(2 << 3 | 2, name.encode())
    tensor = (
        first.SerializeToString()
        + embedded(hidden | 13 << 3 | 2, location)
        + varint(hidden | 14 << 3)
        + b"\x01"
    )
    kept = [other.SerializeToString() for other in others]
    graph.ClearField("initializer")
    content = graph.SerializeToString() + b"".join(
        embedded(5 << 3 | 2, one) for one in (tensor, *kept)
    )
    model.ClearField("graph")
    return model.SerializeToString() + embedded(7 << 3 | 2, content)


def network_of_two_formats() -> bytes:
    """The tiny network with the mark of onnxruntime's own format at bytes 4 to 8."""
    return embedded(2 << 3 | 2, b"xxORTMxx") + tiny.network().SerializeToString()


def network_with(operator: str) -> bytes:
    """The tiny network with another operator as its last node."""
    model = tiny.network()
    model.graph.node.append(onnx.helper.make_node(operator, ["fine"], ["more"]))
    return model.SerializeToString()


def network_of_infinities() -> bytes:
    """The tiny network with weights near the end of float32."""
    model = tiny.network()
    for tensor in model.graph.initializer:
        weights = np.sign(onnx.numpy_helper.to_array(tensor)) * np.float32(3e38)
        tensor.raw_data = weights.astype(np.float32).tobytes()
    return model.SerializeToString()


def chunk(kind: bytes, content: bytes, length: int | None = None) -> bytes:
    """A chunk of a PNG; ``length`` is what it says, where that differs."""
    said = len(content) if length is None else length
    return struct.pack(">I", said) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(*chunks: bytes, side: int = 8) -> bytes:
    """A PNG of grey pixels, with chunks between its header and its end."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IEND", b"")


def pixels(side: int = 8) -> bytes:
    return chunk(b"IDAT", zlib.compress((b"\0" + bytes(side)) * side))


def jpeg_of_scans(n_scans: int, side: int = 64) -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    noise = np.random.default_rng(0).integers(0, 255, (side, side), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "JPEG", progressive=True)
    jpeg = buffer.getvalue()
    # The last scan refines coefficients; one that covers them all anew is the second.
    starts = [i for i in range(len(jpeg) - 1) if jpeg[i : i + 2] == b"\xff\xda"]
    return jpeg[:-2] + jpeg[starts[-1] : -2] * n_scans + jpeg[-2:]


def tiff_of_shared_values(n_tags: int, n_bytes: int) -> bytes:
    """A whole TIFF of 8 x 8 pixels with private tags whose values are the same bytes."""
    entries = [
        *((256, 4, 1, 8), (257, 4, 1, 8), (258, 4, 1, 8), (259, 4, 1, 1), (262, 4, 1, 1)),
        *((273, 4, 1, 8), (277, 4, 1, 1), (278, 4, 1, 8), (279, 4, 1, 64)),
        *((40_000 + number, 4, n_bytes // 4, 8) for number in range(n_tags)),
    ]
    body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + body + bytes(4 + n_bytes)


def zeroed(data: bytes, share: float) -> bytes:
    """A file whose end was never written."""
    kept = int(share * len(data))
    return data[:kept] + bytes(len(data) - kept)


def webp() -> bytes:
    noise = np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8)
    return cv2.imencode(".webp", noise, [cv2.IMWRITE_WEBP_QUALITY, 80])[1].tobytes()


def npz(path: Path, content: bytes, compression: int = zipfile.ZIP_STORED) -> Path:
    """An archive of one member, ``images.npy``."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("images.npy", content)
    return path


def npy(shape: str, content: bytes = b"") -> bytes:
    """An array of bytes, of the shape that it claims."""
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header) + 1) + header + b"\n" + content


def encrypted(path: Path) -> Path:
    """The flag of encryption set in every header of a zip archive."""
    data = bytearray(path.read_bytes())
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = -1
        while (place := data.find(mark, place + 1)) >= 0:
            data[place + flags] |= 1
    path.write_bytes(data)
    return path
