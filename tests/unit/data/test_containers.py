"""Files whose own lengths do not fit are refused before a decoder believes them."""

import io
import itertools
import struct
import subprocess
import sys
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from helpers.scripts import CHECKOUT
from pyimagesearch.data import images
from pyimagesearch.data.containers import check_container
from pyimagesearch.data.size_limit import ContainerError, SizeLimit

RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 255, (96, 128, 3), dtype=np.uint8)
LOSSY, LOSSLESS = [cv2.IMWRITE_WEBP_QUALITY, 80], [cv2.IMWRITE_WEBP_QUALITY, 101]


def encoded(extension: str, image: np.ndarray = NOISE, options: list[int] = ()) -> bytes:
    return cv2.imencode(extension, image, list(options))[1].tobytes()


def pillow(kind: str, image: np.ndarray = NOISE, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, content: bytes, length: int | None = None) -> bytes:
    said = len(content) if length is None else length
    return struct.pack(">I", said) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(*chunks: bytes) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def header(width: int, height: int, depth: int = 8, colour: int = 2) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))


def whole_files() -> dict[str, bytes]:
    flat = [
        np.full((side, 2 * side, 3), value, np.uint8) for side in (8, 700) for value in (0, 255)
    ]
    found = {}
    for number, image in enumerate([NOISE, NOISE[:, :, 0], *flat]):
        sixteen = image.astype(np.uint16) * 257
        found |= {
            f"png {number}": encoded(".png", image),
            f"png of 16 bits {number}": encoded(".png", sixteen),
            f"tiff {number}": encoded(".tiff", image),
            f"tiff of 16 bits {number}": encoded(".tiff", sixteen),
            f"tiled tiff {number}": pillow("TIFF", image, compression="tiff_lzw"),
            f"lossy webp {number}": encoded(".webp", image, LOSSY),
            f"lossless webp {number}": encoded(".webp", image, LOSSLESS),
        }
        if min(image.shape[:2]) > 64:
            found[f"jpeg 2000 {number}"] = encoded(".jp2", image)
            found[f"tiled jpeg 2000 {number}"] = pillow("JPEG2000", image, tile_size=(64, 64))
            found[f"codestream {number}"] = pillow("JPEG2000", image, no_jp2=True)
    big = np.full((4000, 8000, 3), 128, np.uint8)  # its WebP ends in 3,078 zeros
    return found | {"large webp": encoded(".webp", big, LOSSY), "bmp": encoded(".bmp")}


def test_whole_files_pass_and_no_truncation_of_them_is_decoded():
    for name, data in whole_files().items():
        check_container(data, SizeLimit())
        images.decode_image(data)
        if name == "large webp":
            continue
        for share in (0.2, 0.5, 0.9, 0.99):
            part = data[: int(share * len(data))]
            with pytest.raises(images.ImageError):
                print(name, share, images.decode_image(part).shape)


@pytest.mark.parametrize("length", [0x7FFFFFFF, 0xFFFFFFFF, 0xFFFFFFF0, 20_000_000])
@pytest.mark.parametrize("kind", [b"IDAT", b"iCCP", b"tEXt", b"zzZz", b"eXIf"])
def test_a_png_chunk_longer_than_the_file_is_refused_at_once(length, kind):
    data = png(header(8, 8), chunk(kind, b"", length))
    with pytest.raises(images.ImageError, match="in a file of"):
        images.decode_image(data)


def test_such_a_chunk_costs_neither_memory_nor_time():
    code = (
        "import resource, sys\n"
        "from pyimagesearch.data import images\n"
        "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = peak()\n"
        "try: images.decode_image(bytes.fromhex(sys.argv[1]))\n"
        "except images.ImageError: print(peak() - before)"
    )
    data = png(header(8, 8), chunk(b"IDAT", b"", 0x7FFFFFFF))
    printed = subprocess.run(
        [sys.executable, "-c", code, data.hex()], cwd=CHECKOUT, capture_output=True, check=True
    ).stdout
    assert int(printed) * 1024 < 50e6


@pytest.mark.parametrize(
    "chunks",
    [
        [header(2**30, 2)],
        [header(10_000, 10_000, depth=16, colour=6)],  # 100 megapixels of 8 bytes
        [header(2**31 - 1, 2**31 - 1)],
    ],
)
def test_a_png_whose_pixels_would_take_too_much_memory_is_refused(chunks):
    with pytest.raises(images.ImageError, match=r"MB of memory, more than 400 MB"):
        images.decode_image(png(*chunks, chunk(b"IDAT", b"x"), chunk(b"IEND", b"")))


def test_a_png_that_does_not_begin_with_its_header_or_has_no_end_is_refused():
    for data in (png(chunk(b"IDAT", b"")), png(header(8, 8), chunk(b"IDAT", b"")), png()):
        with pytest.raises(ContainerError):
            check_container(data, SizeLimit())


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_files_whose_end_was_never_written_are_refused(share):
    for data in (
        encoded(".webp", NOISE, LOSSY),
        encoded(".webp", NOISE, LOSSLESS),
        encoded(".jp2"),
        pillow("JPEG2000", tile_size=(64, 64)),
    ):
        kept = int(share * len(data))
        with pytest.raises(images.ImageError, match="truncated"):
            images.decode_image(data[:kept] + bytes(len(data) - kept))


def test_webp_and_box_lengths_beyond_the_file_are_refused():
    webp = bytearray(encoded(".webp", NOISE, LOSSY))
    webp[16:20] = struct.pack("<I", 2**32 - 2)
    jp2 = bytearray(encoded(".jp2"))
    jp2[12:16] = struct.pack(">I", 2**31)
    for data in (webp, jp2):
        with pytest.raises(images.ImageError, match="damaged or truncated"):
            images.decode_image(bytes(data))


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_tiff_whose_offsets_point_behind_its_end_is_refused(order):
    def tiff(strip: int, count: int, width: int = 8, height: int = 8) -> bytes:
        mark = b"II*\0" if order == "<" else b"MM\0*"
        entries = [(256, width), (257, height), (258, 8), (277, 1), (273, strip), (279, count)]
        body = b"".join(struct.pack(f"{order}HHII", tag, 4, 1, value) for tag, value in entries)
        start = struct.pack(f"{order}I", 8) + struct.pack(f"{order}H", len(entries))
        return mark + start + body + bytes(4 + 64)

    check_container(tiff(86, 64), SizeLimit())
    for strip, count in ((86, 2**31), (2**31, 64), (150, 64)):
        with pytest.raises(ContainerError, match="points behind its end"):
            check_container(tiff(strip, count), SizeLimit())
    with pytest.raises(ContainerError, match="MB of memory"):
        check_container(tiff(86, 64, 2**20, 2**10), SizeLimit())
    first = bytearray(tiff(86, 64))
    first[4:8] = struct.pack(f"{order}I", 2**31)
    with pytest.raises(ContainerError, match="points behind its end"):
        check_container(bytes(first), SizeLimit())


def test_any_bytes_behind_a_mark_are_a_sentence_or_pass():
    marks = (
        b"\x89PNG\r\n\x1a\n",
        b"RIFF\x10\0\0\0WEBP",
        *(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"\0\0\0\x0cjP  ", b"\0\0\0\x0cftyp"),
        b"\xff\x4f\xff\x51",
    )
    n_refused = 0
    for mark, size, seed in itertools.product(marks, (0, 1, 4, 7, 12, 40, 400), range(20)):
        try:
            check_container(mark + np.random.default_rng(seed).bytes(size), SizeLimit())
        except ContainerError:
            n_refused += 1
    assert n_refused > 100


def test_a_png_with_more_data_than_its_pixels_take_is_refused():
    for n_bytes in (100_000, 60_000):
        data = png(header(8, 8), chunk(b"IDAT", RNG.bytes(n_bytes)), chunk(b"IEND", b""))
        if n_bytes == 100_000:
            with pytest.raises(ContainerError, match="more data than pixels"):
                check_container(data, SizeLimit())
        else:
            check_container(data, SizeLimit())


def test_noise_is_not_refused_for_the_size_of_its_data():
    noise = RNG.integers(0, 65_535, (500, 700, 4), dtype=np.uint16)
    data = encoded(".png", noise, [cv2.IMWRITE_PNG_COMPRESSION, 0])
    assert len(data) > noise.nbytes
    images.decode_image(data)


def test_a_jpeg_of_very_many_scans_is_refused_and_one_with_another_file_behind_it_is_not():
    jpeg = pillow("JPEG", progressive=True)
    scan = jpeg[jpeg.rindex(b"\xff\xda") : -2]
    with pytest.raises(images.ImageError, match="more than 100 scans"):
        images.decode_image(jpeg[:-2] + 100 * scan + jpeg[-2:])
    images.decode_image(jpeg + 200 * b"\xff\xda")


@pytest.mark.parametrize(
    "data",
    [
        b"GIF89a" + struct.pack("<HH", 65_535, 65_535),
        b"BM" + bytes(12) + struct.pack("<Iii", 40, 30_000, -30_000) + bytes(8),
        b"BM" + bytes(12) + struct.pack("<IHH", 12, 30_000, 30_000) + bytes(8),
        b"P4 #a comment\n30000 30000\n",
        b"P6\n10000\n10000\n65535\n",
        b"P7\nWIDTH 9999\nHEIGHT 9999\nDEPTH 4\nMAXVAL 65535\nENDHDR\n",
    ],
)
def test_what_a_header_claims_is_refused_before_it_is_decoded(data):
    with pytest.raises(images.ImageError, match="more than 400 MB"):
        images.decode_image(data)


@pytest.mark.parametrize("lossless", [False, True])
def test_a_webp_is_refused_by_the_size_of_its_pixels(lossless):
    data = encoded(".webp", NOISE, LOSSLESS if lossless else LOSSY)
    with pytest.raises(ContainerError, match=r"128 x 96 takes .* MB of memory, more than 0 MB"):
        check_container(data, SizeLimit(96 * 128 - 1))
    check_container(data, SizeLimit(96 * 128))


def test_an_avif_is_refused_by_the_size_that_it_claims():
    data = pillow("AVIF")
    place = data.index(b"ispe") + 8
    with pytest.raises(images.ImageError, match="--max-pixels 125M reads it"):
        images.decode_image(data[:place] + struct.pack(">II", 10_000, 10_000) + data[place + 8 :])


@pytest.mark.parametrize(
    "data", [b"#?RADIANCE\n\n-Y 8 +X 8\n", b"\x59\xa6\x6a\x95" + bytes(60), b"PF\n8 8\n-1\n"]
)
def test_formats_that_no_image_is_expected_in_are_not_decoded(data):
    with pytest.raises(images.ImageError, match="a format that is not read"):
        images.decode_image(data)
