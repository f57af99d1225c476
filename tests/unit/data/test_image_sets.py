"""Claims about sets of pictures."""

import io
import os
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from pyimagesearch.data import image_sets
from pyimagesearch.data.image_sets import DatasetError, build_unsupervised_dataset


@pytest.fixture(scope="module")
def digits():
    return image_sets.load_named(image_sets.DIGITS)


def test_one_class_is_whole_and_the_other_is_the_asked_share_of_it(digits):
    images, is_anomaly = build_unsupervised_dataset(
        digits.images, digits.labels, validLabel=1, anomalyLabel=3, contam=0.05
    )
    n_ones = int((digits.labels == 1).sum())
    assert (~is_anomaly).sum() == n_ones
    assert is_anomaly.sum() == int(n_ones * 0.05) > 0
    ones = {image.tobytes() for image in digits.images[digits.labels == 1]}
    threes = {image.tobytes() for image in digits.images[digits.labels == 3]}
    assert {image.tobytes() for image in images[~is_anomaly]} == ones
    assert {image.tobytes() for image in images[is_anomaly]} <= threes


def test_the_same_seed_builds_the_same_set_and_the_callers_own_randomness_plays_no_part(digits):
    built = []
    for seed, state in ((1, 0), (1, 99), (2, 0)):
        np.random.seed(state)
        built.append(build_unsupervised_dataset(digits.images, digits.labels, seed=seed))
    assert np.array_equal(built[0][0], built[1][0])
    assert np.array_equal(built[0][1], built[1][1])
    assert not np.array_equal(built[0][0], built[2][0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"validLabel": 77}, "no item has the label 77; the labels are 0, 1, 2"),
        ({"contam": 5.0}, "needs 910 items with the label 3, but there are only 183"),
    ],
)
def test_a_mixture_that_cannot_be_made_is_refused(digits, options, message):
    with pytest.raises(DatasetError, match=message):
        build_unsupervised_dataset(digits.images, digits.labels, **options)


@pytest.mark.parametrize("known", [None, np.array([True, False, True])])
def test_what_was_written_is_read(tmp_path, known):
    pictures = np.random.default_rng(0).integers(0, 256, (3, 5, 7, 3), np.uint8)
    with open(tmp_path / "x.npz", "wb") as file:
        image_sets.write_npz(file, image_sets.Dataset(pictures, is_anomaly=known))
    again = image_sets.read_npz(str(tmp_path / "x.npz"))
    np.testing.assert_array_equal(again.images, pictures)
    assert (again.is_anomaly is None) == (known is None)
    np.testing.assert_array_equal(again.is_anomaly, known)


def test_keras_own_form_floats_and_grey_pictures_without_channels_are_read(tmp_path):
    pictures = np.random.default_rng(0).random((4, 6, 6))
    np.savez(tmp_path / "k.npz", x_train=pictures, y_train=np.arange(4), x_test=0, y_test=0)
    found = image_sets.read_npz(str(tmp_path / "k.npz"))
    assert found.images.shape == (4, 6, 6, 1)
    assert np.abs(found.images[..., 0] / 255 - pictures).max() <= 0.5 / 255 + 1e-12
    np.testing.assert_array_equal(found.labels, np.arange(4))


def with_nan():
    pictures = np.zeros((4, 6, 6))
    pictures[2, 1, 1] = np.nan
    return pictures


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"images": with_nan()}, "1 image with NaN or infinity, the first is number 2"),
        ({"images": np.full((2, 6, 6), 255.0)}, "floats from 255 to 255, not within"),
        ({"images": np.zeros((2, 6, 6), int)}, "uint8 or float in .*, not int64"),
        ({"images": np.zeros((6, 6), np.uint8)}, r"should have the shape .* not \(6, 6\)"),
        ({"images": np.zeros((2, 6, 6, 4), np.uint8)}, r"not \(2, 6, 6, 4\)"),
        ({"images": np.zeros((0, 6, 6), np.uint8)}, r"not \(0, 6, 6, 1\)"),
        ({"pictures": np.zeros((2, 6, 6), np.uint8)}, "no array 'images', only pictures"),
        (
            {"images": np.zeros((2, 6, 6), np.uint8), "labels": np.arange(3)},
            "'labels' should be 2 whole numbers",
        ),
        ({"images": np.array([{}], dtype=object)}, "header is damaged, or it holds something else"),
    ],
)
def test_an_archive_that_is_no_dataset_is_refused_with_its_own_sentence(tmp_path, members, message):
    np.savez(tmp_path / "bad.npz", **members)
    with pytest.raises(DatasetError, match=message):
        image_sets.read_npz(str(tmp_path / "bad.npz"))


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "neither a folder nor"), (b"a,b\n1,2\n", "neither a folder nor")],
)
def test_other_files_are_refused(tmp_path, content, message):
    (tmp_path / "other").write_bytes(content)
    with pytest.raises(DatasetError, match=message):
        image_sets.read_npz(str(tmp_path / "other"))


def test_a_truncated_archive_is_refused(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, images=np.zeros((50, 6, 6), np.uint8))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DatasetError, match="damaged"):
        image_sets.read_npz(str(path))


def test_mnist_is_read_from_keras_cache_without_importing_keras(data, tmp_path, monkeypatch):
    import sys

    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "mnist.npz").symlink_to(data / "mnist.npz")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setitem(sys.modules, "keras", None)  # importing it would fail
    mnist = image_sets.load_named(image_sets.MNIST)
    assert mnist.images.shape == (60_000, 28, 28, 1)
    assert np.bincount(mnist.labels)[1] == 6742


def archive(path, members, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return str(path)


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


IMAGES = npy(np.zeros((9, 8, 8), np.uint8))


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_archives_that_numpy_would_not_write_are_refused(compression, tmp_path):
    path = archive(tmp_path / "a.npz", {"images.npy": IMAGES}, compression)
    with pytest.raises(image_sets.DatasetError, match="encrypted, or compressed"):
        image_sets.read_npz(path)


def test_an_encrypted_archive_is_refused(tmp_path):
    path = Path(archive(tmp_path / "a.npz", {"images.npy": IMAGES}, zipfile.ZIP_STORED))
    data = bytearray(path.read_bytes())
    data[6] |= 1  # of the member's own header
    data[data.index(b"PK\x01\x02") + 8] |= 1  # of the directory
    path.write_bytes(data)
    with pytest.raises(image_sets.DatasetError, match="encrypted"):
        image_sets.read_npz(str(path))


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        ({"images.npy": IMAGES.replace(b"(9, 8, 8)", b"(9, 8, 9)")}, "does not fit"),
        ({"images.npy": IMAGES.replace(b"(9,", b"(10**15,")}, "header is damaged"),
        ({"images.npy": IMAGES.replace(b"{'descr'", b"(((((((((")}, "header is damaged"),
        ({"images.npy": b"plain text"}, "not in NumPy's format"),
        ({"images": b"plain text"}, "not an array"),
        ({"images.txt": b"plain text"}, "no array 'images'"),
        ({"images.npy": npy(np.array([{}], object))}, "header is damaged"),
    ],
)
def test_arrays_whose_headers_lie_are_refused(members, sentence, tmp_path):
    with pytest.raises(image_sets.DatasetError, match=sentence):
        image_sets.read_npz(archive(tmp_path / "a.npz", members))


def test_an_archive_that_would_expand_beyond_the_limit_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(image_sets, "MAX_ARRAY_BYTES", 10_000_000)
    path = archive(tmp_path / "a.npz", {"images.npy": npy(np.zeros((20_000, 32, 32), np.uint8))})
    assert os.path.getsize(path) < 100_000
    with pytest.raises(image_sets.DatasetError, match=r"more than the 0\.0 GB that are read"):
        image_sets.read_npz(path)


def test_an_image_too_large_to_be_decoded_is_too_large_in_an_archive(tmp_path):
    side = 10_001
    path = archive(tmp_path / "a.npz", {"images.npy": npy(np.zeros((1, side, side), np.uint8))})
    with pytest.raises(image_sets.DatasetError, match=r"10001 x 10001 .*--max-pixels"):
        image_sets.read_npz(path)


@pytest.mark.parametrize(("claimed", "said"), [(10, "longer"), (900, "shorter")])
def test_a_member_of_another_length_than_the_archive_says_is_refused(claimed, said, tmp_path):
    path = Path(archive(tmp_path / "a.npz", {"images.npy": IMAGES}))
    data = bytearray(path.read_bytes())
    place = data.index(b"PK\x01\x02") + 24
    data[place : place + 4] = claimed.to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(image_sets.DatasetError, match=f"{said} than the archive says|damaged"):
        image_sets.read_npz(str(path))


def test_images_in_either_order_of_numpys_have_the_same_digest(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (5, 8, 9, 3), np.uint8)
    digests = {
        image_sets.read_npz(archive(tmp_path / "a.npz", {"images.npy": npy(ordered)})).digest
        for ordered in (images, np.asfortranarray(images))
    }
    assert len(digests) == 1


@pytest.mark.parametrize("order", ["C", "F"])
def test_an_image_of_floats_becomes_whole_numbers_without_a_copy_of_it(order, tmp_path):
    images = np.asarray(np.random.default_rng(0).random((1, 1000, 1000, 3)), order=order)
    path = archive(tmp_path / "a.npz", {"images.npy": npy(images)})
    tracemalloc.start()
    try:
        found = image_sets.read_npz(path).images
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert np.array_equal(found, np.rint(images * 255))
    assert most < 1.5 * images.nbytes
