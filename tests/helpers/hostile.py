"""A folder of everything that an image folder should not hold, made on the spot."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

READABLE = "readable"
UNREADABLE = "unreadable"


def make_folder(folder: Path, jpeg: bytes) -> dict[bytes, str]:
    """Write the files; returns what should become of each, by the bytes of its name."""
    folder.mkdir(parents=True, exist_ok=True)
    photo = Image.open(io.BytesIO(jpeg)).convert("RGB")
    grey16 = np.asarray(photo.convert("L")).astype(np.uint16) * 257
    files = {
        "whole.jpg": (jpeg, READABLE),
        "truncated_5.jpg": (jpeg[: len(jpeg) // 20], UNREADABLE),
        "truncated_50.jpg": (jpeg[: len(jpeg) // 2], UNREADABLE),
        "truncated_50.png": (_half(encoded(photo, "PNG")), UNREADABLE),
        "empty.jpg": (b"", UNREADABLE),
        "text.jpg": (b"this is no picture\n", UNREADABLE),
        "flipped.jpg": (flip_a_bit_that_shows(jpeg), UNREADABLE),
        "flipped.png": (_flip_bit(encoded(photo, "PNG"), 20_000), UNREADABLE),
        "grey.jpg": (encoded(photo.convert("L"), "JPEG"), READABLE),
        "grey_16.png": (cv2.imencode(".png", grey16)[1].tobytes(), READABLE),
        "float.tiff": (
            cv2.imencode(".tiff", grey16.astype(np.float32))[1].tobytes(),
            UNREADABLE,
        ),
        "transparent.png": (encoded(_with_alpha(photo, 0), "PNG"), READABLE),
        "cmyk.jpg": (encoded(photo.convert("CMYK"), "JPEG"), READABLE),
        "rotated.jpg": (rotated_by_exif(photo, 6), READABLE),
        "one_pixel.png": (encoded(photo.resize((1, 1)), "PNG"), READABLE),
        "animated.gif": (animated(photo, "GIF"), READABLE),
        "animated.webp": (animated(photo, "WEBP"), READABLE),
        "huge.png": (huge_png(30_000), UNREADABLE),
        "new\nline.jpg": (jpeg, READABLE),
        'quo"te.jpg': (jpeg, READABLE),
        "=cmd|' !A1.jpg": (jpeg, READABLE),
        "ünï→🌲.jpg": (jpeg, READABLE),
        b"no \xff\xfe utf-8.jpg": (jpeg, READABLE),
        "with, comma.jpg": (jpeg, READABLE),
    }
    expected = {}
    for name, (content, fate) in files.items():
        name = os.fsencode(name)
        with open(os.path.join(os.fsencode(folder), name), "wb") as file:
            file.write(content)
        expected[name] = fate
    (folder / "dangling.jpg").symlink_to(folder / "nowhere.jpg")
    expected[b"dangling.jpg"] = UNREADABLE
    (folder / "loop").symlink_to(folder)
    (folder / "._hidden.jpg").write_bytes(b"resource fork")
    (folder / "notes.txt").write_text("no image")
    return expected


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def rotated_by_exif(photo: Image.Image, orientation: int, kind: str = "JPEG") -> bytes:
    exif = photo.getexif()
    exif[0x0112] = orientation
    return encoded(photo, kind, exif=exif)


def animated(photo: Image.Image, kind: str, **options: object) -> bytes:
    frames = [photo.rotate(angle) for angle in (90, 180)]
    return encoded(photo, kind, save_all=True, append_images=frames, **options)


def huge_png(side: int, *, deep: bool = False) -> bytes:
    """A PNG of side x side white pixels, small as a file.

    Args:
        side: in pixels.
        deep: whether with 16 bits a channel and transparency, which takes seconds to decode, or
            with one bit a pixel.
    """
    row = b"\0" + b"\xff" * (8 * side if deep else (side + 7) // 8)
    compressor = zlib.compressobj(1 if deep else 9)
    data = b"".join(compressor.compress(row) for _ in range(side)) + compressor.flush()
    header = struct.pack(">IIBBBBB", side, side, *((16, 6) if deep else (1, 0)), 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def flip_a_bit_that_shows(jpeg: bytes) -> bytes:
    """Flip one bit in the picture data such that OpenCV still makes a picture, a wrong one."""
    original = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).astype(int)
    for position in range(len(jpeg) // 3, len(jpeg)):
        flipped = _flip_bit(jpeg, position)
        image = cv2.imdecode(np.frombuffer(flipped, np.uint8), cv2.IMREAD_COLOR)
        try:
            with Image.open(io.BytesIO(flipped)) as picture:
                picture.load()
        except OSError:
            if image is not None and np.abs(image - original).mean() > 20:
                return flipped
    raise AssertionError("no bit of this file shows")


def _flip_bit(data: bytes, position: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 0x10]) + data[position + 1 :]


def _half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _with_alpha(photo: Image.Image, alpha: int) -> Image.Image:
    photo = photo.copy()
    photo.putalpha(alpha)
    return photo
