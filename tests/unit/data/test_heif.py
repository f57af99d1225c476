"""Images of phones are read as any other, or it is said what they take."""

import io
import struct
import sys

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from pyimagesearch.data import heif, images
from pyimagesearch.data.containers import check_container
from pyimagesearch.data.size_limit import ContainerError, SizeLimit

PICTURE = np.zeros((96, 128, 3), np.uint8)  # RGB
PICTURE[:, 64:] = (200, 30, 30)
PICTURE[48:, :64] = (0, 0, 220)


def heic(image: np.ndarray = PICTURE, mode: str = "RGB", **options: object) -> bytes:
    buffer = io.BytesIO()
    made = pillow_heif.from_bytes(mode, image.shape[1::-1], image.tobytes())
    made.save(buffer, quality=95, **options)
    return buffer.getvalue()


def noise() -> bytes:
    return heic(np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8))


def difference(decoded: np.ndarray, rgb: np.ndarray) -> float:
    return float(np.abs(decoded.astype(int) - rgb[:, :, ::-1]).mean())


def test_its_pixels_are_those_that_were_encoded():
    assert difference(images.decode_image(heic()), PICTURE) < 3
    assert images.decode_image(heic(), 48).shape == (48, 64, 3)


def test_grey_deep_and_transparent_ones_are_treated_as_those_of_other_formats():
    grey = PICTURE[:, :, 0]
    assert difference(images.decode_image(heic(grey, "L")), grey[..., None].repeat(3, 2)) < 3
    deep = PICTURE.astype(np.uint16) * 257
    assert difference(images.decode_image(heic(deep, "RGB;16")), PICTURE) < 3
    clear = np.dstack([PICTURE, np.full((96, 128), 100, np.uint8)])
    on_white = (PICTURE * (100 / 255) + 155).astype(np.uint8)
    assert difference(images.decode_image(heic(clear, "RGBA")), on_white) < 3


def test_it_is_turned_upright_once():
    pillow_heif.register_heif_opener()
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6
    Image.fromarray(PICTURE).save(buffer, "HEIF", exif=exif.tobytes(), quality=95)
    assert difference(images.decode_image(buffer.getvalue()), np.rot90(PICTURE, -1)) < 3


@pytest.mark.parametrize("share", [0.05, 0.5, 0.99])
def test_a_truncated_one_is_an_error_not_a_half_grey_picture(share):
    data = noise()
    part = data[: int(share * len(data))]
    with pytest.raises(images.ImageError):
        images.decode_image(part)


def test_one_whose_end_was_never_written_is_an_error():
    data = noise()
    with pytest.raises(images.ImageError, match="ends in"):
        images.decode_image(data[: len(data) // 2].ljust(len(data), b"\0"))


def test_it_is_refused_by_the_size_that_it_claims():
    data = heic()
    place = data.index(b"ispe") + 8
    with pytest.raises(images.ImageError, match="--max-pixels 125M reads it"):
        images.decode_image(data[:place] + struct.pack(">II", 10_000, 10_000) + data[place + 8 :])
    with pytest.raises(ContainerError, match="128 x 96 takes"):
        check_container(data, SizeLimit(96 * 128))
    check_container(data, SizeLimit(2 * 96 * 128))


def test_one_that_holds_another_size_than_it_claims_is_damaged():
    data = heic()
    place = data.index(b"ispe") + 8
    with pytest.raises(images.ImageError, match="damaged or truncated HEIF"):
        images.decode_image(data[:place] + struct.pack(">II", 8, 8) + data[place + 8 :])


def test_one_whose_only_image_is_of_another_codec_than_it_claims_is_damaged():
    with pytest.raises(images.ImageError, match="damaged or truncated HEIF"):
        images.decode_image(heic().replace(b"hvc1", b"av01"))


def test_it_is_known_by_its_content_and_an_avif_is_none():
    buffer = io.BytesIO()
    Image.fromarray(PICTURE).save(buffer, "AVIF")
    avif = buffer.getvalue()
    data = heic()
    assert heif.is_heif(data)
    assert heif.is_heif(data.replace(b"ftypheic", b"ftypmif1", 1))
    assert not heif.is_heif(avif)
    assert not heif.is_heif(avif.replace(b"ftypavif", b"ftypmif1", 1))
    assert not heif.is_heif(b"")


def test_without_its_package_it_is_no_image_and_says_what_it_takes(tmp_path, monkeypatch):
    (tmp_path / "a.HEIC").write_bytes(heic())
    assert [*images.list_images(str(tmp_path))] == [str(tmp_path / "a.HEIC")]
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # importing it fails
    others = []
    assert [*images.list_images(str(tmp_path), others.append)] == []
    assert others == ["a.HEIC"]
    with pytest.raises(images.ImageError, match="pip install pillow-heif"):
        images.read_image(str(tmp_path / "a.HEIC"))
