"""Claims about outlined defects and the pictures that show them."""

import numpy as np

from pyimagesearch.reports.outlines import COLOUR, draw_regions, find_regions


def test_regions_have_the_boxes_and_areas_of_what_is_hot():
    heat = np.zeros((40, 60))
    heat[5:15, 10:30] = 2
    heat[20:30, 40:45] = 1.5
    large, small = find_regions(heat)
    assert large.box == (10, 5, 20, 10)
    assert large.share == 200 / 2400
    assert small.box == (40, 20, 5, 10)


def test_nothing_is_outlined_where_nothing_exceeds_1():
    assert find_regions(np.ones((9, 9))) == []


def test_holes_do_not_count_and_specks_only_where_there_is_nothing_else():
    heat = np.zeros((100, 100))
    heat[99, 99] = 2
    assert [region.share for region in find_regions(heat)] == [1e-4]
    heat[10:30, 10:30] = 2
    heat[15:25, 15:25] = 0
    assert [region.share for region in find_regions(heat)] == [300 / 10_000]


def test_outlines_are_drawn_around_the_defect_and_not_over_it():
    picture, heat = np.zeros((128, 128, 3), np.uint8), np.zeros((128, 128))
    heat[40:80, 40:80] = 2
    draw_regions(picture, find_regions(heat), 0.5)
    drawn = (picture == COLOUR).all(axis=2)
    assert drawn[39:81, 39].any()
    assert not drawn[45:75, 45:75].any()
