"""Claims about single images that were taken far from all training images."""

import numpy as np
import pytest

from helpers.scripts import CHECKOUT
from pyimagesearch.data import images
from pyimagesearch.labelling.capture_conditions import CONDITIONS, measure
from pyimagesearch.labelling.known_range import FarImages, KnownRange
from pyimagesearch.labelling.verdict import ANOMALY, NORMAL, Verdict

FORESTS = [images.read_image(str(path)) for path in sorted((CHECKOUT / "forest").iterdir())]
LIGHT = np.linspace(1, 0, FORESTS[0].shape[1])[:, None] ** 3


@pytest.fixture(scope="module")
def forests():
    return np.array([measure(image) for image in FORESTS])


@pytest.mark.parametrize(
    ("word", "change"),
    [
        ("darker", lambda image: (image * 0.05).astype(np.uint8)),
        ("redder", lambda image: (image * (0.1, 0.2, 1)).astype(np.uint8)),
        ("lit more from the left", lambda image: (image * LIGHT).astype(np.uint8)),
    ],
)
def test_a_forest_under_quite_another_light_is_outside(forests, word, change):
    known = KnownRange(forests)
    assert known.beyond(measure(change(FORESTS[0]))) == word


def test_each_forest_is_among_the_others(forests):
    found = [
        KnownRange(np.delete(forests, place, axis=0)).beyond(row)
        for place, row in enumerate(forests)
    ]
    assert found == [None] * len(forests)


def test_of_a_few_images_no_range_is_known(forests):
    night = measure(np.zeros_like(FORESTS[0]))
    assert KnownRange(forests[:10]).beyond(night) is not None
    assert KnownRange(forests[:9]).beyond(night) is None


def test_images_that_are_all_alike_forgive_what_is_of_no_account(forests):
    known = KnownRange(np.repeat(forests[:1], 20, axis=0))
    assert known.beyond(forests[0]) is None
    shift = np.array([0.9 * condition.unnoticed for condition in CONDITIONS], np.float32)
    assert known.beyond(forests[0] + shift) is None
    assert known.beyond(forests[0] + 3 * shift) is not None


def far_images(n_images, *outside, label=NORMAL):
    far = FarImages(120)
    for number in range(n_images):
        word = outside[number] if number < len(outside) else None
        row = np.zeros(len(CONDITIONS), np.float32)
        far.add(Verdict(f"{number}.jpg", label, 0.0, 1.0, outside=word, conditions=row))
    return far


def test_a_run_counts_them_and_names_the_first_three():
    notice = far_images(300, *["darker"] * 3, "redder").notice()
    assert notice.startswith(
        "4 of 300 images were taken under conditions far from those of 120 training images: "
        "3 darker, 1 redder than any of these (0.jpg, 1.jpg, 2.jpg, ...): their verdicts may not"
    )


def test_as_many_as_chance_allows_are_no_cause_for_a_warning():
    assert far_images(300).notice() is None
    assert not far_images(300, *["darker"] * 3).pass_too_often
    assert far_images(300, *["darker"] * 4).pass_too_often
    assert far_images(1, "darker").pass_too_often


def test_anomalies_are_looked_at_anyway():
    far = far_images(1, "darker", label=ANOMALY)
    assert not far.pass_too_often
    assert far.notice().startswith("0.jpg is darker than any of 120 training images, by far")
