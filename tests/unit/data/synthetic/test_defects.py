"""Claims about made defects, pasted objects, and the folders that are filled with them."""

import cv2
import numpy as np
import pytest

from pyimagesearch.data import images
from pyimagesearch.data.synthetic import defects, parts

SIZE = 96


@pytest.fixture(scope="module")
def good():
    """Pictures of good parts."""
    return [parts.render_part(7, number, SIZE) for number in range(4)]


@pytest.mark.parametrize("kind", defects.KINDS)
def test_every_kind_changes_what_its_mask_marks_and_nothing_far_from_it(good, kind):
    for seed in range(6):
        rng = np.random.default_rng([seed, 1])
        spoiled = defects.add_defects(good[0], rng, kinds=[kind], others=good[1:])
        assert [defect.kind for defect in spoiled.defects] == [kind]
        assert spoiled.image.shape == good[0].shape
        assert set(np.unique(spoiled.mask)) == {0, 255}
        change = np.abs(spoiled.image.astype(int) - good[0]).max(axis=2)
        marked = spoiled.mask > 0
        assert change[marked].mean() > 3
        # Soft edges reach a little beyond the mask.
        far = cv2.dilate(spoiled.mask, np.ones((21, 21))) == 0
        assert change[far].max(initial=0) <= 1


def test_the_list_of_defects_tells_where_they_are(good):
    spoiled = defects.add_defects(good[0], np.random.default_rng(3), kinds=["hole"])
    x, y, width, height = spoiled.defects[0].box
    ys, xs = np.nonzero(spoiled.mask)
    assert (x, y, x + width, y + height) == (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
    assert spoiled.defects[0].area == len(xs)


def test_the_same_state_makes_the_same_defects_and_another_makes_others(good):
    one, same, other = (
        defects.add_defects(good[0], np.random.default_rng(seed), n_defects=3, others=good[1:])
        for seed in (5, 5, 6)
    )
    assert np.array_equal(one.image, same.image)
    assert not np.array_equal(one.image, other.image)


@pytest.mark.parametrize("kind", defects.KINDS)
def test_grey_pictures_stay_grey(good, kind):
    grey = cv2.cvtColor(good[0], cv2.COLOR_BGR2GRAY)[:, :, None]
    rng = np.random.default_rng(1)
    assert defects.add_defects(grey, rng, kinds=[kind], others=good[1:]).image.shape == grey.shape
    three = defects.add_defects(
        np.repeat(grey, 3, axis=2), rng, kinds=[kind], others=good[1:]
    ).image
    assert np.ptp(three, axis=2).max() == 0


def test_the_seam_is_softer_than_a_pixel():
    # The outline of a colour patch on a flat surface: a step of one pixel would give it away.
    flat = np.full((SIZE, SIZE, 3), 128, np.uint8)
    for seed in range(40):
        spoiled = defects.add_defects(flat, np.random.default_rng(seed), kinds=["colour"])
        if spoiled.defects[0].area < 60:  # smaller ones are all edge
            continue
        levels = spoiled.image.astype(int)
        steps = max(np.abs(np.diff(levels, axis=axis)).max() for axis in (0, 1))
        assert steps < 0.8 * np.abs(levels - 128).max()


def test_tiny_pictures_and_surfaces_without_a_part_can_have_defects():
    rng = np.random.default_rng(0)
    texture = rng.integers(0, 255, (40, 64, 3)).astype(np.uint8)
    assert defects.find_part(texture).all()
    assert defects.add_defects(texture, rng).defects
    assert defects.add_defects(
        rng.integers(0, 255, (9, 5, 1)).astype(np.uint8), rng
    ).mask.shape == (9, 5)


def test_the_part_is_told_from_the_background(good):
    part = defects.find_part(good[0])
    assert part[SIZE // 2, SIZE // 5]
    assert not part[:4].any()


def test_an_unknown_kind_is_refused(good):
    with pytest.raises(ValueError, match="unknown kind of defect 'rust'"):
        defects.add_defects(good[0], np.random.default_rng(0), kinds=["rust"])


def test_a_transparent_picture_is_read_with_its_own_colours(tmp_path):
    picture = np.full((5, 6, 4), 200, np.uint8)
    picture[..., 3] = 10
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    pixels, alpha = images.read_cut_out(str(tmp_path / "a.png"))
    assert (pixels == 200).all()
    assert (alpha == 10).all()
