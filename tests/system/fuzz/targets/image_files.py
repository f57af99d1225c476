"""Image files of every kind, whole ones changed bytewise and in their structure."""

from __future__ import annotations

import io
import random
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pillow_heif
from PIL import Image

from pyimagesearch.data import images
from tests.system.fuzz import containers
from tests.system.fuzz.case import Case, Finding, Target
from tests.system.fuzz.mutate import mutated

_HUGE = 1 / 2000  # of all cases: they take seconds
_SIDES = (1, 100, 4000, 9999, 10_000, 10_001, 30_000, 65_535)


def picture(side: int = 40) -> np.ndarray:
    """Something like a photo: (side, side + 8, 3) uint8."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (5, 6, 3), np.uint8)
    smooth = cv2.resize(coarse, (side + 8, side), interpolation=cv2.INTER_CUBIC)
    return cv2.add(smooth, rng.integers(0, 20, smooth.shape, np.uint8))


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def heic(image: np.ndarray) -> bytes:
    """(height, width, 3 or 4) uint8 RGB -> the bytes of a file."""
    height, width, channels = image.shape
    buffer = io.BytesIO()
    mode = {3: "RGB", 4: "RGBA"}[channels]
    pillow_heif.from_bytes(mode, (width, height), image.tobytes()).save(buffer)
    return buffer.getvalue()


def make_seeds(folder: Path) -> None:
    photo = Image.fromarray(picture())
    grey, clear = photo.convert("L"), photo.copy()
    clear.putalpha(grey)
    deep = (np.asarray(grey).astype(np.uint16) * 257)[..., None].repeat(3, axis=2)
    exif = photo.getexif()
    exif[0x0112] = 6
    frames = {"save_all": True, "append_images": [photo.rotate(90), photo.rotate(180)]}
    files = {
        "colour.png": encoded(photo, "PNG", exif=exif),
        "grey.png": encoded(grey, "PNG"),
        "clear.png": encoded(clear, "PNG"),
        "palette.png": encoded(photo.quantize(16), "PNG", transparency=3),
        "bits.png": encoded(photo.convert("1"), "PNG"),
        "moving.png": encoded(photo, "PNG", **frames),
        "rotated.jpg": encoded(photo, "JPEG", exif=exif),
        "progressive.jpg": encoded(photo, "JPEG", progressive=True),
        "grey.jpg": encoded(grey, "JPEG"),
        "cmyk.jpg": encoded(photo.convert("CMYK"), "JPEG"),
        "colour.webp": encoded(photo, "WEBP", exif=exif),
        "lossless.webp": encoded(clear, "WEBP", lossless=True),
        "moving.webp": encoded(photo, "WEBP", **frames),
        "colour.jp2": encoded(photo, "JPEG2000"),
        "tiles.jp2": encoded(photo, "JPEG2000", tile_size=(16, 16), irreversible=True),
        "stream.j2k": encoded(photo, "JPEG2000", no_jp2=True),
        "colour.avif": encoded(clear, "AVIF", exif=exif),
        "colour.heic": heic(picture()),
        "clear.heic": heic(np.asarray(clear)),
        "moving.gif": encoded(photo, "GIF", **frames),
        "colour.bmp": encoded(photo, "BMP"),
        "palette.bmp": encoded(photo.quantize(16), "BMP"),
        "colour.ppm": encoded(photo, "PPM"),
        "grey.pgm": encoded(grey, "PPM"),
        "bits.pbm": encoded(photo.convert("1"), "PPM"),
        "text.pgm": b"P2\n3 2\n255\n1 2 3\n40 50 60\n",
        "deep.png": cv2.imencode(".png", deep)[1].tobytes(),
        "deep.tif": cv2.imencode(".tif", deep)[1].tobytes(),
        "deep.pgm": cv2.imencode(".pgm", deep[:, :, 0])[1].tobytes(),
        "floats.tif": cv2.imencode(".tif", deep.astype(np.float32))[1].tobytes(),
        "floats.hdr": cv2.imencode(".hdr", deep.astype(np.float32))[1].tobytes(),
        "floats.pfm": cv2.imencode(".pfm", deep.astype(np.float32))[1].tobytes(),
        "colour.ras": cv2.imencode(".ras", picture())[1].tobytes(),
        "colour.pam": cv2.imencode(".pam", picture())[1].tobytes(),
    }
    for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        files[f"{compression}.tif"] = encoded(photo, "TIFF", compression=compression, exif=exif)
    files["fax.tif"] = encoded(photo.convert("1"), "TIFF", compression="group4")
    files["big.tif"] = encoded(photo, "TIFF", big_tiff=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)


def load_seeds(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.iterdir())]


def changed(rng: random.Random, seeds: list[bytes]) -> bytes:
    """One of the files, changed."""
    data = rng.choice(seeds)
    for _ in range(rng.choice((1, 1, 2, 3))):
        by = containers.mutated if rng.random() < 0.6 else mutated
        data = by(rng, data, seeds)
    return data


def attack(seeds: list[bytes], case: Case) -> None:
    rng = case.rng
    data = huge_png(rng) if case.chance(_HUGE) else changed(rng, seeds)
    path = case.write("image.png", data)
    if case.chance(0.1):
        image, opacity = images.read_cut_out(path)
        if opacity is not None and opacity.shape != image.shape[:2]:
            raise Finding(f"opacity of shape {opacity.shape}")
    else:
        image = images.read_image(path, rng.choice((None, 16, 128)))
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise Finding(f"an image of {image.dtype} {image.shape}")


def huge_png(rng: random.Random) -> bytes:
    """A PNG with as many pixels as it says, small as a file."""
    width, height = rng.choice(_SIDES), rng.choice(_SIDES)
    colour, channels = rng.choice(((0, 1), (2, 3), (3, 1), (4, 2), (6, 4)))
    depth = rng.choice((1, 8)) if colour in (0, 3) else rng.choice((8, 16))
    n_bytes = (width * channels * depth + 7) // 8 + 1
    compressor = zlib.compressobj(1)
    # As much as is accepted anywhere; what claims more is refused unread.
    rows = min(height, 900_000_000 // n_bytes)
    row = bytes(n_bytes)
    body = b"".join(compressor.compress(row) for _ in range(rows)) + compressor.flush()
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    palette = [(b"PLTE", bytes(range(6)))] if colour == 3 else []
    return containers.join_png([(b"IHDR", header), *palette, (b"IDAT", body), (b"IEND", b"")])


TARGET = Target("images", (images.ImageError,), make_seeds, load_seeds, attack)
