"""Claims about the colour histograms."""

import cv2
import numpy as np
import pytest

from helpers import naive
from helpers.scripts import CHECKOUT
from pyimagesearch import features
from pyimagesearch.data import images


@pytest.fixture
def picture(sample_jpeg):
    return images.decode_image(sample_jpeg)


@pytest.mark.parametrize("bins", [(4, 6, 3), (3, 3, 3), (1, 2, 7)])
def test_quantify_image_counts_each_colour_and_scales_to_unit_length(picture, bins):
    hsv = cv2.cvtColor(picture, cv2.COLOR_BGR2HSV)
    tops = (180, 256, 256)
    where = tuple(hsv[:, :, c].ravel().astype(int) * bins[c] // tops[c] for c in range(3))
    counts = np.zeros(bins)
    np.add.at(counts, where, 1)
    expected = (counts / np.linalg.norm(counts)).ravel()
    found = features.quantify_image(hsv, bins)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_quantify_image_has_the_bins_4_6_3_unless_told_otherwise(picture):
    assert features.quantify_image(picture).shape == (4 * 6 * 3,)


def test_load_dataset_quantifies_whole_pictures_in_sorted_order():
    found = features.load_dataset(str(CHECKOUT / "forest"), bins=(3, 3, 3))
    paths = sorted((CHECKOUT / "forest").glob("*.jpg"))
    expected = [
        features.quantify_image(cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2HSV), (3, 3, 3))
        for path in paths
    ]
    np.testing.assert_array_equal(found, expected)


def test_an_extractor_gives_each_colours_share_of_the_picture(picture):
    extractor = features.HistogramFeatures()
    hist = features.quantify_image(cv2.cvtColor(picture, cv2.COLOR_BGR2HSV), (3, 3, 3))
    np.testing.assert_allclose(extractor.extract(picture), hist / hist.sum())


def test_load_dataset_of_an_empty_folder_has_no_rows(tmp_path):
    assert features.load_dataset(str(tmp_path), bins=(3, 3, 3)).shape == (0, 27)


def test_load_dataset_names_the_file_that_it_cannot_read(tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"nothing")
    with pytest.raises(images.ImageError, match=r"broken\.jpg"):
        features.load_dataset(str(tmp_path), bins=(3, 3, 3))


@pytest.mark.parametrize("bins", [(3, 3, 3), (5, 2, 7)])
def test_back_projection_gives_each_pixel_the_value_of_its_bin(picture, bins):
    picture = picture[:40, :60]
    extractor = features.HistogramFeatures(bins=bins)
    values = np.random.default_rng(0).random(extractor.length).astype(np.float32)
    hsv = cv2.cvtColor(picture, cv2.COLOR_BGR2HSV)
    np.testing.assert_array_equal(
        extractor.back_project(picture, values), naive.back_projection(hsv, bins, values)
    )


def test_an_extractor_comes_back_from_its_settings():
    extractor = features.HistogramFeatures(bins=(2, 3, 4), min_side=64)
    assert features.from_settings(extractor.settings()) == extractor


@pytest.mark.parametrize(
    "settings",
    [
        {"features": "unheard-of"},
        {"features": "histogram", "bins": [3, 3]},
        {"features": "histogram", "bins": [3, 3, 1000]},
        {"features": "histogram", "bins": [3, 3, "3"]},
        {"features": "histogram", "min_side": 0},
        {"features": "histogram", "colour": "red"},
        {},
    ],
)
def test_settings_that_make_no_extractor_are_refused(settings):
    with pytest.raises(ValueError, match=r"features|bins|min_side"):
        features.from_settings(settings)
