"""Claims about pixel AUROC and AUPRO."""

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from helpers import naive_metrics as naive
from helpers.lazy import Lazy
from pyimagesearch import metrics

sklearn_metrics = Lazy("sklearn.metrics")


def pictures(rng, count, size, decimals=9, scale=1.0):
    """Masks of a few blobs, and heat maps that are hotter there."""
    pairs = []
    for _ in range(count):
        mask = np.zeros((size, size), np.uint8)
        for _ in range(int(rng.integers(0, 4))):
            y, x, height, width = rng.integers(0, size - 2, 4)
            mask[y : y + 1 + height // 3, x : x + 1 + width // 3] = 255
        heat = scale * np.round(rng.normal(size=(size, size)) + mask / 255, decimals)
        pairs.append((mask, heat.astype(np.float32)))
    return pairs


def exact_auroc(pairs):
    labels, heat = (np.concatenate([pair[i].ravel() for pair in pairs]) for i in (0, 1))
    return sklearn_metrics.roc_auc_score(labels > 0, heat)


small = st.integers(1, 5).flatmap(
    lambda side: st.tuples(
        arrays.arrays(np.uint8, (side, 4), elements=st.sampled_from([0, 0, 255])),
        arrays.arrays(np.float32, (side, 4), elements=st.integers(-2, 3).map(float)),
    )
)


@settings(max_examples=40)
@given(st.lists(small, min_size=1, max_size=4), st.sampled_from([0.05, 0.3, 1.0]))
def test_pixel_metrics_are_those_of_all_pixels_and_regions(pairs, limit):
    found = metrics.PixelHistogram.from_pairs(pairs)
    labels, heat = (np.concatenate([pair[i].ravel() for pair in pairs]) for i in (0, 1))
    # The few values here are far apart: bins do not mix them.
    assert found.auroc() == pytest.approx(naive.auroc(labels, heat), nan_ok=True)
    assert found.aupro(limit) == pytest.approx(naive.aupro(pairs, limit), nan_ok=True)


@pytest.mark.parametrize("decimals", [0, 1, 9])
def test_pixel_metrics_of_pictures_are_within_their_stated_error(decimals):
    pairs = pictures(np.random.default_rng(decimals), 5, 24, decimals)
    found = metrics.PixelHistogram.from_pairs(pairs)
    assert found.n_regions == sum(len(naive.regions(mask)) for mask, _ in pairs)
    rounding = 1e-9
    assert abs(found.auroc() - exact_auroc(pairs)) <= found.auroc_error() + rounding
    assert abs(found.aupro() - naive.aupro(pairs, 0.3)) <= found.aupro_error() + rounding


def test_heat_that_fills_its_bins_unevenly_is_within_its_stated_error():
    # Both signs and seventy powers of ten: the coarsest bins that there are.
    rng = np.random.default_rng(0)
    pairs = [(mask, 1 + heat / 1000) for mask, heat in pictures(rng, 6, 20)]
    pairs.append((None, np.array([[-3e38, 3e38, -1e-38, 1e-38]], np.float32)))
    found = metrics.PixelHistogram.from_pairs(pairs)
    pairs[-1] = (np.zeros((1, 4)), pairs[-1][1])
    assert found.auroc_error() > 0
    assert found.aupro_error() > 0
    assert abs(found.auroc() - exact_auroc(pairs)) <= found.auroc_error()
    assert abs(found.aupro() - naive.aupro(pairs, 0.3)) <= found.aupro_error()


def test_heat_that_spans_little_is_told_apart_exactly():
    # A thousandth part of the heat decides; the bins of its size alone would not tell it apart.
    rng = np.random.default_rng(1)
    pairs = [(mask, 1000 + heat / 100) for mask, heat in pictures(rng, 5, 24)]
    found = metrics.PixelHistogram.from_pairs(pairs)
    assert found.auroc_error() == found.aupro_error() == 0
    assert found.auroc() == pytest.approx(exact_auroc(pairs), abs=1e-12)
    assert found.aupro() == pytest.approx(naive.aupro(pairs, 0.3))


def test_the_order_of_the_pictures_does_not_matter():
    rng = np.random.default_rng(2)
    pairs = [pair for scale in (1e-3, 1, 1e4) for pair in pictures(rng, 3, 16, 2, scale)]
    found = metrics.PixelHistogram.from_pairs(pairs)
    for _ in range(5):
        rng.shuffle(pairs)
        again = metrics.PixelHistogram.from_pairs(pairs)
        assert again.auroc() == found.auroc()
        assert again.auroc_error() == found.auroc_error() > 0
        assert again.aupro() == pytest.approx(found.aupro())


def test_memory_does_not_grow_with_the_number_of_pictures():
    def peak(count):
        rng = np.random.default_rng(0)
        tracemalloc.start()
        metrics.PixelHistogram.from_pairs(pictures(rng, 1, 300)[0] for _ in range(count))
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    one_picture = 300 * 300 * 4
    assert peak(30) < peak(5) + one_picture


def test_regions_that_touch_at_a_corner_are_one():
    mask = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 0], [0, 1, 0]])
    assert metrics.PixelHistogram.from_pairs([(mask, np.zeros((4, 3)))]).n_regions == 2


def test_small_regions_count_as_much_as_large_ones_in_aupro():
    mask = np.zeros((20, 20))
    mask[:10, :10] = 1
    mask[15, 15] = 1
    only_large, only_small = np.zeros((2, 20, 20))
    only_large[:10, :10] = 1
    only_small[15, 15] = 1
    large, small_ = (
        metrics.PixelHistogram.from_pairs([(mask, h)]) for h in (only_large, only_small)
    )
    assert large.aupro() == pytest.approx(small_.aupro())
    assert large.auroc() > small_.auroc() + 0.4


def test_perfect_heat_gets_1_and_inverted_heat_gets_0():
    mask = np.zeros((10, 10))
    mask[2:5, 3:7] = 1
    perfect, inverted = (metrics.PixelHistogram.from_pairs([(mask, h)]) for h in (mask, -mask))
    assert perfect.auroc() == perfect.aupro() == 1
    assert inverted.auroc() == inverted.aupro() == 0


def test_a_normal_picture_needs_no_mask():
    mask, heat = pictures(np.random.default_rng(4), 1, 20)[0]
    assert mask.any()
    normal = np.random.default_rng(5).random((7, 9))
    without = metrics.PixelHistogram.from_pairs([(mask, heat), (None, normal)])
    empty = metrics.PixelHistogram.from_pairs([(mask, heat), (np.zeros((7, 9)), normal)])
    assert without.aupro() == empty.aupro()
    assert without.auroc() == empty.auroc()


@pytest.mark.parametrize("value", [0, 1])
def test_without_defective_or_without_normal_pixels_pixel_metrics_are_undefined(value):
    found = metrics.PixelHistogram.from_pairs(
        [(np.full((3, 3), value), np.arange(9.0).reshape(3, 3))]
    )
    assert math.isnan(found.auroc())
    assert math.isnan(found.aupro())
    assert math.isnan(metrics.PixelHistogram.from_pairs([]).auroc())


@pytest.mark.parametrize(
    ("mask", "heat", "sentence"),
    [
        (np.zeros((2, 3)), np.zeros((3, 2)), r"image 1: .*not \(2, 3\) and \(3, 2\)"),
        (np.zeros(4), np.zeros(4), "image 1: .*same height and width"),
        (None, np.array([[0.0, np.nan]]), "image 1: .*nan, infinity"),
        (None, np.array([[0.0, 1e300]]), "too large for float32"),
    ],
)
def test_pictures_that_do_not_fit_are_refused_by_number(mask, heat, sentence):
    with pytest.raises(ValueError, match=sentence):
        metrics.PixelHistogram.from_pairs([(None, np.zeros((2, 2))), (mask, heat)])


@pytest.mark.parametrize("limit", [0, -0.1, 1.1, math.nan])
def test_a_limit_that_is_no_rate_is_refused(limit):
    with pytest.raises(ValueError, match="limit of the false-positive rate"):
        metrics.PixelHistogram().aupro(limit)
