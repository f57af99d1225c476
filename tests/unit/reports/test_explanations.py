"""Claims about what a report says of its images and of what to expect."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import naive
from helpers.browsers import browser, opened  # noqa: F401  (a fixture)
from pyimagesearch.data import images
from pyimagesearch.labelling import thresholds
from pyimagesearch.labelling.images import Labeller
from pyimagesearch.reports import explanations, outlines, thumbnails


@given(
    st.integers(1, 40),
    st.integers(0, 30),
    st.floats(-0.1, 1.1, allow_nan=False),
)
def test_expected_false_alarms_are_those_of_the_naive_distribution(n_known, n_items, threshold):
    calibration = np.linspace(0, 1, n_known)
    found = thresholds.false_alarms(threshold, calibration, n_items)
    rate, low, high = naive.false_alarms(threshold, calibration, n_items)
    assert found.rate == pytest.approx(rate)
    assert found.expected == pytest.approx(rate * n_items)
    assert (found.low, found.high) == (low, high)


def test_places_are_named_by_where_their_middles_lie():
    heat = np.zeros((90, 120), np.float32)
    heat[5:15, 100:110] = 2
    heat[80:84, 58:62] = 2
    named = explanations.explain_regions(outlines.find_regions(heat), heat.shape)
    assert named == ("Unusual: upper right (0.9% of the image) and bottom (0.1% of the image).")
    heat[:, :] = 2
    assert "most of the image (100%)" in explanations.explain_regions(
        outlines.find_regions(heat), heat.shape
    )


def test_colours_are_named_by_the_ranges_of_their_bins():
    assert explanations.colour_name(0, (3, 3, 3)) == "dark, greyish, red to green"
    assert explanations.colour_name(17, (3, 3, 3)) == "bright, vivid, green to blue"
    assert explanations.colour_name(3, (4, 1, 1)) == "violet to red"
    assert explanations.colour_name(1, (1, 1, 2)) == "bright, any hue"


def test_the_colours_that_are_named_are_those_with_the_most_heat():
    heat, shares = np.zeros(27), np.full(27, 1 / 27)
    heat[[17, 0]] = 3, 1.2
    usual = np.zeros(27)
    usual[17] = 0.004
    named = explanations.explain_colours(heat, shares, usual, (3, 3, 3))
    assert named == (
        "More than usual: bright, vivid, green to blue (3.7% of the image, usually 0.4%)."
    )


def test_heat_of_a_small_copy_lies_where_that_of_the_picture_does(parts_model, faulty_parts):
    labeller = Labeller.open(str(parts_model)).with_threshold(0)
    for path in list(images.list_images(str(faulty_parts / "test")))[:4]:
        image, heat = labeller.heat_map(images.read_bytes(path))
        found = labeller.extractor.extract(image)
        copy = cv2.resize(image, (20, 20))
        small = labeller.heat(copy, found, image.shape)
        resized = cv2.resize(heat, (20, 20), interpolation=cv2.INTER_AREA)
        assert small == pytest.approx(resized, abs=1e-4)


def test_a_picture_of_heat_shows_something_of_every_anomaly():
    heat = np.full((900, 900), 0.3, np.float32)
    heat[450, 450] = 1.001  # averaged away in a smaller picture
    drawn = thumbnails._tinted(heat)
    assert max(drawn.shape[:2]) == 160
    assert (drawn[:, :, 3] >= 255 * 0.3).any()
    assert (drawn[:, :, 3] > 0).sum() < 10  # what is far below the threshold does not show
