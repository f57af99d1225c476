"""Claims about labelled images: what the anomaly map, the label and the mosaics look like."""

import cv2
import numpy as np
import pytest

from pyimagesearch.labelling.verdict import ANOMALY, NORMAL, Verdict
from pyimagesearch.reports import captions, drawing, heat_colours, mosaics
from pyimagesearch.reports.heat_colours import overlay_heat

GREYS = (0, 60, 128, 255)


def plain(colour, shape=(256, 256)):
    return np.full((*shape, 3), colour, np.uint8)


def ramp(highest, side=256):
    """Heat from 0 on the left to the highest on the right."""
    return np.tile(np.linspace(0, highest, side, dtype=np.float32), (side, 1))


def luminance(colours):
    """Relative luminance of BGR (WCAG 2.1, 1.4.3)."""
    linear = np.asarray(colours, np.float64) / 255
    linear = np.where(linear <= 0.04045, linear / 12.92, ((linear + 0.055) / 1.055) ** 2.4)
    return linear @ (0.0722, 0.7152, 0.2126)


@pytest.mark.parametrize("outlined", [False, True])
def test_only_what_exceeds_the_threshold_is_drawn(outlined):
    image = np.random.default_rng(0).integers(0, 256, (256, 256, 3)).astype(np.uint8)
    for highest in (1.05, 3, 20):
        heat = ramp(highest)
        changed = (overlay_heat(image, heat, outlined) != image).any(axis=2)
        assert not changed[heat <= 1].any()
        assert changed[heat > 1].mean() > 0.95
    assert np.array_equal(overlay_heat(image, np.ones((256, 256)), outlined), image)


@pytest.mark.parametrize("grey", GREYS)
def test_more_heat_looks_different_at_any_range_of_it(grey):
    heats = np.array([[1.05, 1.5, 2, 3, 6, 20, 1000]])
    image = np.full((*heats.shape, 3), grey, np.uint8)
    lab = cv2.cvtColor(overlay_heat(image, heats), cv2.COLOR_BGR2LAB).astype(float)[0]
    assert (np.linalg.norm(np.diff(lab, axis=0), axis=1) > 5).all()


def test_the_colour_scale_never_saturates_and_keeps_its_order():
    heat = np.geomspace(0.1, 1e6, 500)
    shades = heat_colours.shade(heat)
    assert (shades[heat <= 1] == 0).all()
    assert (np.diff(shades[heat > 1]) > 0).all()
    assert shades.max() < 1


def test_heat_that_is_no_number_is_not_drawn_and_endless_heat_is():
    heat = np.array([[np.nan, -np.inf, np.inf]], np.float32)
    assert (heat_colours.tint(heat)[0, :, 3] > 0).tolist() == [False, False, True]
    changed = overlay_heat(plain(90, (1, 3)), heat) != 90
    assert changed.any(axis=2).tolist() == [[False, False, True]]


def test_a_defect_shows_through_the_anomaly_map():
    image = plain(120)
    cv2.line(image, (0, 128), (255, 128), (200, 200, 200), 3)
    drawn = overlay_heat(image, np.full((256, 256), 50.0))
    assert drawn[128].mean() - drawn[60].mean() > 20


def test_the_edge_of_what_is_hot_lies_inside_it_but_not_along_the_border():
    heat = np.zeros((100, 100))
    heat[20:60, 0:50] = 3
    drawn = overlay_heat(plain(100, (100, 100)), heat, True)
    white = (drawn == 255).all(axis=2)
    assert white[20, 1:49].all()
    assert white[21:59, 49].all()
    assert not white[25:55, 0].any()


def test_a_page_and_a_labelled_image_use_the_same_colours():
    heat = ramp(4)
    tints = heat_colours.tint(heat).astype(float)
    opacity = tints[..., 3:] / 255
    laid = 90 * (1 - opacity) + tints[..., :3] * opacity
    assert np.abs(laid - overlay_heat(plain(90), heat)).max() <= 1
    colours, marks = heat_colours.legend()
    assert marks[0] == (0, "1")
    last = tuple(int(colours[-1][i : i + 2], 16) for i in (5, 3, 1))
    assert last == tuple(heat_colours.tint(np.array([1e9]))[0, :3].tolist())


@pytest.mark.parametrize("label", [NORMAL, ANOMALY])
@pytest.mark.parametrize("colour", [(0, 160, 0), (255, 255, 255), (0, 0, 0), (30, 30, 200)])
@pytest.mark.parametrize("side", [128, 256, 700])
def test_a_label_can_be_read_on_any_image(label, colour, side):
    image = plain(colour, (side, side))
    drawn = drawing.draw_verdict(image, Verdict("x", label, 2.0, 0.1), np.zeros((side, side)))
    changed = (drawn[:, :side] != image).any(axis=2)
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    box = drawn[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    light = np.sort(luminance(box).ravel())
    ink, ground = light[-len(light) // 50], light[len(light) // 10]
    assert (ink + 0.05) / (ground + 0.05) > 4.5  # WCAG 2.1, AA


def test_a_label_does_not_hide_the_defect():
    image, heat = plain(128), np.zeros((256, 256))
    heat[:60, :120] = 2
    verdict = Verdict("x", ANOMALY, 2.0, 0.1)
    drawn = drawing.draw_verdict(image, verdict, heat, outlined=True)[:, :256]
    box = np.abs(drawn.astype(int) - drawing.LABEL_COLOURS[ANOMALY]).max(axis=2) == 0
    assert box.any()
    assert not box[heat > 1].any()


@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (28, 28), (1, 900), (900, 1), (40, 640)])
@pytest.mark.parametrize("outlined", [False, True])
def test_images_of_any_shape_are_drawn(shape, outlined):
    heat = np.full(shape, 1.5)
    nearest = (np.zeros((96, 96, 3), np.uint8), (0.9, 0.1))
    drawn = drawing.draw_verdict(
        plain(90, shape), Verdict("x", ANOMALY, 2.0, 0.1), heat, plain(80, shape), outlined, nearest
    )
    is_wide = shape[1] >= 2 * shape[0]
    assert drawn.shape[0] % (4 if is_wide else 1) == drawn.shape[1] % (1 if is_wide else 4) == 0
    assert drawn.shape[:2] >= shape
    assert max(drawn.shape[:2]) <= 4 * max(1024, *shape)


def test_the_nearest_normal_place_is_named_and_marked():
    drawn = drawing.draw_nearest(plain(128, (96, 96)), (0.75, 0.25), (300, 400))
    changed = (drawn != 128).any(axis=2)
    assert changed[:40].any()  # the caption
    assert changed[200:250, 75:125].any()
    assert not changed[100:180].any()


@pytest.mark.parametrize("name", ["\udc80\udcff.jpg", "Größe ж 漢.png", "", "a\nb", "x" * 500])
def test_any_name_can_be_written(name):
    picture = plain(255, (60, 300))
    captions.write(picture, name, (10, 10), 14)
    shorter = captions.fitting(name, 14, 100)
    assert name.endswith(shorter.removeprefix("\u2026"))
    assert not shorter or captions.text_size(shorter, 14)[0] <= 100


def panels_in(drawn):
    """(width, height) of all large parts of grey 100."""
    grey = (drawn == 100).all(axis=2).astype(np.uint8)
    _, _, places, _ = cv2.connectedComponentsWithStats(grey)
    return [tuple(one[2:4]) for one in places[1:].tolist() if one[4] > 1000]


@pytest.mark.parametrize("n_images", [1, 2, 7, 25])
@pytest.mark.parametrize("n_panels", [2, 4])
@pytest.mark.parametrize("shape", [(8, 8), (150, 150), (640, 256), (256, 640), (1200, 1600)])
def test_a_mosaic_fits_a_screen(n_images, n_panels, shape):
    panels = {f"panel {n}": plain(100, shape) for n in range(n_panels)}
    rows = [(Verdict(f"{n}.jpg", ANOMALY, 12.3, 0.1), panels) for n in range(n_images)]
    drawn = mosaics.draw_rows(rows, "The highest scores")
    assert drawn.shape[0] <= 1080
    assert drawn.shape[1] <= 1920
    # Every panel is there, at one size.
    found = panels_in(drawn)
    assert len(found) == n_images * n_panels
    assert len(set(found)) == 1


def test_a_mosaic_of_images_of_many_shapes_shows_all_of_them():
    shapes = [(100, 100), (60, 200), (200, 60)]
    rows = [(Verdict("x", NORMAL, 1.0, 0.1), {"image": plain(100, shape)}) for shape in shapes]
    drawn = mosaics.draw_rows(rows, "Title")
    ratios = [height / width for width, height in panels_in(drawn)]
    assert sorted(ratios) == pytest.approx([0.3, 1, 10 / 3], rel=0.05)


def test_reconstructions_stand_next_to_their_images_the_lowest_scores_above():
    originals = np.linspace(0.1, 0.9, 4)[:, None, None, None] * np.ones((1, 8, 8, 1))
    drawn = mosaics.draw_reconstructions(originals / 2, originals, np.arange(4.0), "Title")
    values = (np.concatenate([originals[:, 0, 0, 0], originals[:, 0, 0, 0] / 2]) * 255).astype(int)
    places = [np.argwhere((drawn == value).all(axis=2)).mean(axis=0) for value in values]
    (low, low2, high, high2), reconstructed = places[:4], places[4:]
    assert low[0] == pytest.approx(low2[0], abs=2)
    assert low[0] < high[0] == pytest.approx(high2[0], abs=2)
    assert all(r[1] > o[1] for o, r in zip(places[:4], reconstructed, strict=True))


def test_predictions_are_stacked_as_the_tutorial_stacks_them():
    decoded, originals = np.full((12, 4, 5, 1), 0.25), np.full((12, 4, 5, 1), 0.5)
    picture = drawing.visualize_predictions(decoded, originals)
    assert picture.shape == (40, 10, 1)
    assert (picture[:, :5] == 127).all()
    assert (picture[:, 5:] == 63).all()
