"""Claims about finding and reading image files."""

import io
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from helpers import hostile
from pyimagesearch.data import images


@pytest.fixture
def photo(sample_jpeg):
    return Image.open(io.BytesIO(sample_jpeg)).convert("RGB")


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB"))[:, :, ::-1]


def test_a_jpeg_has_the_same_pixels_as_from_opencv(sample_jpeg):
    expected = cv2.imdecode(np.frombuffer(sample_jpeg, np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(images.decode_image(sample_jpeg), expected)


@pytest.mark.parametrize("share", [0.05, 0.5, 0.99])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"])
def test_a_truncated_file_is_an_error_not_a_half_grey_picture(photo, kind, share):
    data = hostile.encoded(photo, kind)
    with pytest.raises(images.ImageError):
        images.decode_image(data[: int(len(data) * share)])


def test_a_jpeg_with_a_flipped_bit_is_an_error_where_the_stream_breaks(sample_jpeg):
    with pytest.raises(images.ImageError, match="damaged"):
        images.decode_image(hostile.flip_a_bit_that_shows(sample_jpeg))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_upright_by_their_exif_data(photo, kind, orientation):
    photo = photo.crop((0, 0, 96, 64))
    data = hostile.rotated_by_exif(photo, orientation, kind)
    expected = pixels(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    decoded = images.decode_image(data)
    assert decoded.shape == expected.shape
    assert np.abs(decoded.astype(int) - expected).mean() < 2  # two JPEG decoders may round apart


@pytest.mark.parametrize("exif", [b"", b"II*", b"II*\0\x08\0", b"MM\0*\xff\xff\xff\xff", b"\0" * 9])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_mangled_exif_data_turns_nothing(photo, kind, exif):
    data = hostile.encoded(photo, kind, exif=b"Exif\0\0" + exif, quality=100)
    plain = hostile.encoded(photo, kind, quality=100)
    np.testing.assert_array_equal(images.decode_image(data), images.decode_image(plain))


def test_an_orientation_that_is_no_number_turns_nothing(photo):
    exif = Image.Exif()
    exif[0x0112] = 6
    two = exif.tobytes().replace(b"\x12\x01\x03\x00\x01", b"\x12\x01\x03\x00\x02")
    assert images.decode_image(hostile.encoded(photo, "PNG", exif=two)).shape == (
        *photo.size[::-1],
        3,
    )


def test_grey_becomes_three_equal_channels(photo):
    image = images.decode_image(hostile.encoded(photo.convert("L"), "PNG"))
    np.testing.assert_array_equal(image, np.asarray(photo.convert("L"))[:, :, None].repeat(3, 2))


def test_sixteen_bits_keep_their_upper_eight(photo):
    deep = np.asarray(photo.convert("L")).astype(np.uint16) * 256 + 255
    image = images.decode_image(cv2.imencode(".png", deep)[1].tobytes())
    np.testing.assert_array_equal(image[:, :, 0], np.asarray(photo.convert("L")))


@pytest.mark.parametrize("alpha", [0, 100, 255])
def test_transparent_pictures_are_laid_on_white(photo, alpha):
    photo.putalpha(alpha)
    page = Image.new("RGBA", photo.size, "white")
    page.alpha_composite(photo)
    image = images.decode_image(hostile.encoded(photo, "PNG"))
    assert np.abs(image.astype(int) - pixels(page)).max() <= 1


def test_cmyk_becomes_the_colours_it_was_made_from(photo):
    image = images.decode_image(hostile.encoded(photo.convert("CMYK"), "JPEG", quality=95))
    assert np.abs(image.astype(int) - pixels(photo)).mean() < 8


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame_is_taken(photo, kind):
    lossless = {"lossless": True} if kind == "WEBP" else {}
    first = images.decode_image(hostile.encoded(photo, kind, **lossless))
    animated = images.decode_image(hostile.animated(photo, kind, **lossless))
    np.testing.assert_array_equal(animated, first)


def test_float_pixels_are_an_error(photo):
    data = cv2.imencode(".tiff", np.asarray(photo).astype(np.float32))[1].tobytes()
    with pytest.raises(images.ImageError, match="float32"):
        images.decode_image(data)


def test_a_picture_of_900_megapixels_is_refused_before_it_is_decoded():
    with pytest.raises(images.ImageError, match=r"megapixels|MB of memory"):
        images.decode_image(hostile.huge_png(30_000))


def test_a_jpeg_that_claims_to_be_huge_is_refused(sample_jpeg):
    position = sample_jpeg.index(b"\xff\xc0\x00\x11\x08") + 5
    claimed = sample_jpeg[:position] + b"\x75\x30\x75\x30" + sample_jpeg[position + 4 :]
    with pytest.raises(images.ImageError, match=r"megapixels|MB of memory"):
        images.decode_image(claimed)


@pytest.mark.parametrize(
    ("size", "min_side", "expected"),
    [
        ((256, 256), 128, (128, 128)),
        ((255, 300), 128, (255, 300)),
        ((513, 700), 128, (129, 175)),
        ((1024, 2000), 128, (128, 250)),
        ((64, 64), 128, (64, 64)),
        ((256, 256), None, (256, 256)),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_reduction_halves_while_both_sides_keep_min_side(photo, kind, size, min_side, expected):
    data = hostile.encoded(photo.resize(size[::-1]), kind)
    assert images.decode_image(data, min_side).shape == (*expected, 3)


def test_reduction_inside_the_jpeg_decoder_looks_like_area_averaging(photo):
    jpeg = images.decode_image(hostile.encoded(photo, "JPEG", quality=98, subsampling=0), 64)
    png = images.decode_image(hostile.encoded(photo, "PNG"), 64)
    assert np.abs(jpeg.astype(int) - png).mean() < 4


def test_listing_is_sorted_recursive_and_follows_links_once(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "link").symlink_to(tmp_path)
    for name in ("c.JPG", "a.jpg", "b/z.png", "b/a.webp", "._a.jpg", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "dangling.jpg").symlink_to(tmp_path / "nowhere")
    found = [os.path.relpath(path, tmp_path) for path in images.list_images(str(tmp_path))]
    assert found == ["a.jpg", "b/a.webp", "b/z.png", "c.JPG", "dangling.jpg"]


def test_a_pipe_named_like_a_picture_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(images.ImageError):
        images.read_image(str(tmp_path / "pipe.jpg"))


def test_a_link_to_itself_and_a_folder_that_cannot_be_listed_cost_only_themselves(
    tmp_path, sample_jpeg, monkeypatch
):
    (tmp_path / "good.jpg").write_bytes(sample_jpeg)
    os.symlink("x.jpg", tmp_path / "x.jpg")
    os.symlink("loop", tmp_path / "loop")
    # A folder whose path is too long: not even root can list it.
    monkeypatch.chdir(tmp_path)
    for _ in range(22):
        os.mkdir("d" * 200)
        os.chdir("d" * 200)
    (Path() / "lost.jpg").write_bytes(sample_jpeg)
    monkeypatch.chdir(tmp_path)
    deep, good, loop = list(images.list_images(str(tmp_path)))
    assert (good, loop) == (str(tmp_path / "good.jpg"), str(tmp_path / "x.jpg"))
    images.read_image(good)
    with pytest.raises(images.ImageError, match="File name too long"):
        images.read_image(deep)
    with pytest.raises(images.ImageError, match="symbolic links"):
        images.read_image(loop)
