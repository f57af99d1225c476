"""Patches lie where they say, and are compared exactly."""

from dataclasses import replace

import numpy as np
import pytest

from helpers import naive_patches, tiny
from pyimagesearch import features
from pyimagesearch.backbones import cell_grid, patch_features
from pyimagesearch.backbones.network import make_backbone
from pyimagesearch.data import images
from pyimagesearch.detectors.image import memory_bank
from pyimagesearch.detectors.image.anomaly_map import MapScale, smooth
from pyimagesearch.detectors.image.gaussian import GaussianDetector
from pyimagesearch.detectors.image.knn import KnnDetector
from pyimagesearch.detectors.image.memory_bank import (
    MemoryBankDetector,
    greedy_coreset,
    nearest_squared,
)
from pyimagesearch.detectors.image.subspace import SubspaceDetector
from pyimagesearch.training import patches as patch_training

BACKBONE = make_backbone(tiny.network().SerializeToString(), None, {})
EXTRACTORS = [patch_features.ColourPatches(), patch_features.BackbonePatches(BACKBONE)]
DETECTORS = [MemoryBankDetector, SubspaceDetector, GaussianDetector]


def kept(extractor, pictures):
    reservoir = patch_training.PatchReservoir(2**31)
    for number, picture in enumerate(pictures):
        reservoir.add(bytes([number]) * 32, extractor.extract(picture))
    return reservoir.result()


@pytest.mark.parametrize("shape", [(450, 450), (512, 384), (97, 640), (37, 61), (3000, 4096)])
def test_pictures_are_looked_at_in_their_own_aspect_ratio(shape):
    height, width = cell_grid.working_size(*shape, 256, 32)
    assert height % 32 == 0
    assert width % 32 == 0
    assert 0.7 < height * width / 256**2 < 1.4
    assert abs(np.log((height / width) / (shape[0] / shape[1]))) < 0.3


def test_extreme_aspect_ratios_are_stretched():
    height, width = cell_grid.working_size(10, 5000, 256, 32)
    assert height >= 64
    assert height * width < 2 * 256**2


def test_neighbourhoods_are_averaged_and_aligned_as_a_slow_version_does_it():
    found = np.random.default_rng(0).standard_normal((5, 7, 4)).astype(np.float32)
    down = cell_grid.pooling_matrix(7, 13, 0.5, 0.25)
    across = cell_grid.pooling_matrix(4, 8, 0.5, -0.25)
    fast = np.matmul(np.matmul(down, found), across.T)
    slow = naive_patches.pool_and_interpolate(found, (13, 8), 0.5, (0.25, -0.25))
    np.testing.assert_allclose(fast, slow, atol=1e-5)


def test_the_nearest_patch_is_that_of_a_slow_search(monkeypatch):
    rng = np.random.default_rng(1)
    points = rng.standard_normal((200, 17)).astype(np.float32)
    bank = rng.standard_normal((9001, 17)).astype(np.float32)
    half = (bank**2).sum(axis=1, keepdims=True) / 2
    slow = naive_patches.nearest_squared(points, bank)
    for at_once in (2**27, 2**18):  # products, of all points and of 64
        monkeypatch.setattr(memory_bank, "_PRODUCTS_AT_ONCE", at_once)
        fast = nearest_squared(points, np.concatenate([bank, -half], axis=1))
        np.testing.assert_allclose(fast, slow, rtol=1e-3)


@pytest.mark.parametrize(("n_points", "size"), [(1, 1), (20, 20), (300, 40), (500, 60)])
def test_the_coreset_is_that_of_a_slow_greedy_choice(n_points, size):
    points = np.random.default_rng(2).standard_normal((n_points, 8)).astype(np.float32)
    points[: n_points // 2] /= 20  # most of them close together
    chosen = greedy_coreset(points, size, seed=3)
    assert len(set(chosen)) == size
    assert list(chosen) == naive_patches.greedy(points, int(chosen[0]), size)


def test_a_coreset_is_chosen_from_points_that_are_alike_or_no_numbers():
    points = np.zeros((100, 8), np.float32)
    assert len(greedy_coreset(points, 50, seed=3)) == 50
    points[3] = np.nan
    assert len(greedy_coreset(points, 50, seed=3)) == 50


def test_a_coreset_goes_on_from_what_is_chosen_already():
    points = np.random.default_rng(2).standard_normal((300, 8)).astype(np.float32)
    chosen = greedy_coreset(points, 40, seed=3, n_chosen=10)
    assert list(chosen[:10]) == list(range(10))
    assert list(chosen) == naive_patches.greedy_from(points, list(range(10)), 40)


@pytest.mark.parametrize("extractor", EXTRACTORS, ids=lambda e: e.name)
@pytest.mark.parametrize("shape", [(256, 256), (201, 333), (512, 171), (90, 121), (611, 803)])
def test_a_planted_dot_is_found_where_it_was_planted(extractor, shape):
    rng = np.random.default_rng(3)
    plain = [rng.normal(128, 2, (*shape, 3)).clip(0, 255).astype(np.uint8) for _ in range(6)]
    _, _, pool = kept(extractor, plain)
    detector = MemoryBankDetector.fit(pool, groups=extractor.feature_groups)
    cell = 8 * shape[0] / extractor.working_size(*shape)[0]
    for at in ((0.3, 0.7), (0.62, 0.41), (0.5, 0.5)):
        y, x = int(at[0] * shape[0]), int(at[1] * shape[1])
        radius = max(1, round(cell / 3))
        dotted = plain[0].copy()
        dotted[y - radius : y + radius + 1, x - radius : x + radius + 1] = (0, 0, 255)
        heat = extractor.back_project(dotted, detector.anomaly_map(extractor.extract(dotted)))
        assert heat.shape == shape
        top = np.argwhere(heat >= heat.min() + 0.7 * (heat.max() - heat.min()))
        centre = top.mean(axis=0)
        assert np.abs(centre - (y, x)).max() <= 0.75 * cell + 1


@pytest.mark.parametrize("kind", [patch_features.ColourPatches, patch_features.BackbonePatches])
def test_tiles_give_what_the_whole_picture_gives(kind):
    own = (BACKBONE,) if kind is patch_features.BackbonePatches else ()
    picture = np.random.default_rng(4).integers(0, 256, (384, 640, 3), np.uint8)
    whole_side = round((384 * 640) ** 0.5)
    whole = kind(*own, side=whole_side).extract(picture)
    tiled = kind(*own, side=128, tile=128).extract(picture)
    assert whole.shape == tiled.shape == (48, 80, whole.shape[2])
    np.testing.assert_allclose(tiled.astype(float), whole.astype(float), atol=0.05, rtol=0.01)


def test_a_network_of_fixed_size_gets_pictures_of_that_size():
    backbone = make_backbone(tiny.network(size=96).SerializeToString(), None, {})
    extractor = patch_features.BackbonePatches(backbone)
    assert extractor.extract(tiny.part(np.random.default_rng(0))).shape[:2] == (12, 12)
    with pytest.raises(ValueError, match="cannot be used with tiles"):
        patch_features.BackbonePatches(backbone, tile=96)


@pytest.mark.parametrize("extractor", EXTRACTORS, ids=lambda e: e.name)
@pytest.mark.parametrize("kind", DETECTORS, ids=lambda k: k.name)
def test_a_detector_is_the_same_after_saving(extractor, kind):
    pictures = [tiny.part(np.random.default_rng(i)) for i in range(5)]
    _, found, pool = kept(extractor, pictures)
    detector = kind.fit(pool, groups=extractor.feature_groups)
    detector = detector.with_scale(detector.scale.refit([detector.smoothed(f) for f in found]))
    again = kind.restore(detector.parameters(), detector.arrays(), {})
    scores = detector.score(found)
    np.testing.assert_array_equal(again.score(found), scores)
    np.testing.assert_array_equal([again.score([f])[0] for f in found], scores)
    scratched = extractor.extract(tiny.scratched(pictures[0], (75, 100)))
    assert detector.score([scratched])[0] > scores.max()


@pytest.mark.parametrize("kind", DETECTORS, ids=lambda k: k.name)
def test_arrays_that_do_not_fit_are_refused(kind):
    extractor = EXTRACTORS[1]
    _, _, pool = kept(extractor, [tiny.part(np.random.default_rng(i)) for i in range(3)])
    detector = kind.fit(pool, groups=extractor.feature_groups)
    arrays, parameters = detector.arrays(), detector.parameters()
    for name, array in arrays.items():
        spoiled = [{k: v for k, v in arrays.items() if k != name}]
        if name == "score_weights":  # which older model files lack
            spoiled.clear()
        spoiled.append({**arrays, name: array.astype(np.float64)})
        spoiled.append({**arrays, name: array[:-1]})
        if array.dtype.kind == "f" and array.size:
            spoiled.append({**arrays, name: np.full_like(array, np.nan)})
        for wrong in spoiled:
            if name.endswith("levels") and len(array) == 0:
                continue
            with pytest.raises(ValueError, match=r"."):
                kind.restore(parameters, wrong, {})
    for wrong in ([], [1], "x", [20, 36.5], None):
        with pytest.raises(ValueError, match=r"."):
            kind.restore({"features": wrong}, arrays, {})


def test_strange_borders_are_taken_out_and_quiet_ones_are_not_blown_up():
    rng = np.random.default_rng(5)
    maps = [rng.uniform(0.9, 1.1, (1, 32, 32)).astype(np.float32) for _ in range(20)]
    for values in maps:
        values[:, :2] *= 3
        values[:, :, -4:] *= 0.1
    smoothed = [smooth(values) for values in maps]
    scale = MapScale.from_weights([1.0]).refit(smoothed)
    levels = np.mean([scale.apply(values) for values in smoothed], axis=0)
    assert levels[0].mean() < 1.5 * levels[16, 8:16].mean()
    assert levels[16, -1] < 0.3 * levels[16, 16]


def test_a_tint_that_no_training_picture_has_is_strange_within_reason():
    rng = np.random.default_rng(11)
    grey = [np.repeat(tiny.part(rng)[:, :, :1], 3, axis=2) for _ in range(8)]
    extractor = EXTRACTORS[0]
    _, found, pool = kept(extractor, grey)
    detector = MemoryBankDetector.fit(pool, groups=extractor.feature_groups)
    detector = detector.with_scale(detector.scale.refit([detector.smoothed(f) for f in found]))
    tinted = grey[0].copy()
    tinted[:, :, 0] -= 2
    score = detector.score([extractor.extract(tinted)])[0]
    assert 1 < score < 100


def test_ignored_regions_are_never_strange():
    mask = np.zeros((4, 4), np.uint8)
    mask[:, 2:] = 1
    scale = MapScale.from_weights([1.0], mask)
    values = np.ones((1, 10, 10), np.float32)
    assert (scale.apply(values)[:, 5:] == 0).all()
    assert (scale.apply(values)[:, :5] > 0).all()


def test_memory_is_bounded_however_many_pictures_there_are():
    reservoir = patch_training.PatchReservoir(memory=1, bank_size=100)  # the least there is: 64 MB
    rng = np.random.default_rng(6)
    one = rng.standard_normal((64, 64, 200)).astype(np.float16)
    for number in range(400):  # 650 MB in all
        reservoir.add(rng.bytes(32), one + np.float16(number))
        assert sum(array.nbytes for array in reservoir._kept.values()) <= 64 * 1024**2
        assert sum(len(drawn[0]) for drawn in reservoir._drawn.values()) <= 3200
    digests, kept_whole, pool = reservoir.result()
    assert 8 <= len(kept_whole) <= 41
    assert 1600 <= len(pool.patches) <= 3200
    assert (pool.owners == -1).any()
    assert pool.owners.max() < len(digests)


def test_what_is_kept_does_not_depend_on_the_order():
    rng = np.random.default_rng(7)
    items = [
        (rng.bytes(32), rng.standard_normal((32, 32, 300)).astype(np.float16)) for _ in range(200)
    ]
    results = []
    for order in (items, items[::-1]):
        reservoir = patch_training.PatchReservoir(memory=1, bank_size=50)
        for digest, found in order:
            reservoir.add(digest, found)
        results.append(reservoir.result())
    assert results[0][0] == results[1][0]
    np.testing.assert_array_equal(results[0][2].patches, results[1][2].patches)
    np.testing.assert_array_equal(results[0][2].owners, results[1][2].owners)


def test_what_is_removed_leaves_no_trace():
    rng = np.random.default_rng(7)
    items = [
        (rng.bytes(32), rng.standard_normal((32, 32, 30)).astype(np.float16)) for _ in range(40)
    ]
    results = []
    for n_added in (40, 30):
        reservoir = patch_training.PatchReservoir(memory=2**31)
        for digest, found in items[:n_added]:
            reservoir.add(digest, found)
            copy = patch_training.copy_digest(digest, 1)
            reservoir.add(copy, found[::-1], for_calibration=False)
        reservoir.remove({digest for digest, _ in items[30:n_added]})
        results.append((reservoir.bank_size, *reservoir.result()))
    assert results[0][:2] == results[1][:2]
    np.testing.assert_array_equal(results[0][3].patches, results[1][3].patches)
    np.testing.assert_array_equal(results[0][3].owners, results[1][3].owners)


@pytest.mark.parametrize("n_features", [6, 80])
def test_neighbours_are_those_of_a_slow_search(n_features):
    rng = np.random.default_rng(8)
    scales = rng.exponential(size=(n_features, n_features))
    known, asked = (rng.standard_normal((n, n_features)) @ scales for n in (50, 9))
    detector = KnnDetector.fit(known.astype(np.float32))
    slow = [naive_patches.mean_of_nearest(known, row, 5) for row in asked]
    np.testing.assert_allclose(detector.score(asked.astype(np.float32)), slow, rtol=1e-4)


def test_the_nearest_normal_place_is_shown():
    extractor = EXTRACTORS[1]
    pictures = [tiny.part(np.random.default_rng(i)) for i in range(4)]
    _, found, pool = kept(extractor, pictures)
    detector = MemoryBankDetector.fit(pool, groups=extractor.feature_groups).with_thumbnails(
        pictures
    )
    assert MemoryBankDetector.fit(pool, groups=extractor.feature_groups).explain(found[0]) is None
    thumbnail, (down, across) = detector.explain(found[0])
    assert thumbnail.shape == (96, 96, 3)
    assert 0 <= down <= 1
    assert 0 <= across <= 1


def test_nothing_of_an_ignored_region_reaches_the_features():
    mask = np.zeros((5, 7), bool)
    mask[1:3, 2:6] = True
    ignored = patch_features.IgnoredRegions.from_grid(mask)
    np.testing.assert_array_equal(ignored.grid(), mask)
    rng = np.random.default_rng(10)
    first = rng.integers(0, 256, (320, 448, 3), np.uint8)
    second = first.copy()
    second[64:192, 128:384] = rng.integers(0, 256, (128, 256, 3), np.uint8)
    for extractor in (
        patch_features.ColourPatches(side=378, ignored=ignored),
        patch_features.BackbonePatches(BACKBONE, side=378, ignored=ignored),
    ):
        np.testing.assert_array_equal(extractor.extract(first), extractor.extract(second))
        again = features.from_settings(extractor.settings(), extractor.networks())
        assert again == extractor


@pytest.mark.parametrize("extractor", EXTRACTORS, ids=lambda e: e.name)
def test_an_extractor_is_made_again_from_its_settings(extractor):
    again = features.from_settings(extractor.settings(), extractor.networks())
    assert again == extractor


def test_a_model_without_its_network_asks_for_it():
    extractor = patch_features.BackbonePatches(BACKBONE, embedded=False)
    assert extractor.networks() == {}
    with pytest.raises(ValueError, match="--backbone"):
        features.from_settings(extractor.settings())
    again = features.from_settings(extractor.settings(), None, lambda _: BACKBONE.network)
    assert again == extractor


@pytest.mark.parametrize("extractor", EXTRACTORS, ids=lambda extractor: extractor.name)
def test_a_picture_is_enlarged_no_more_than_its_own_pixels_and_a_limit_allow(
    extractor, monkeypatch
):
    with pytest.raises(ValueError, match="a tile of 8 pixels is enlarged to 2048"):
        replace(extractor, side=2048, tile=8)
    tiled = replace(extractor, side=128, tile=32)
    monkeypatch.setattr(patch_features, "_MAX_PIXELS", 300_000)
    monkeypatch.setattr(patch_features, "max_pixels", lambda: 6 * 300_000)
    assert tiled.extract(np.zeros((128, 128, 3), np.uint8)).shape[:2] == (64, 64)
    with pytest.raises(images.ImageError, match="computed at 640 x 512 pixels, more than 0 mega"):
        tiled.extract(np.zeros((128, 160, 3), np.uint8))


def test_more_patches_at_once_than_windows_have_are_not_compared(monkeypatch):
    monkeypatch.setattr(patch_features, "_MAX_CELLS_AT_ONCE", 1000)
    extractor = patch_features.BackbonePatches(BACKBONE, side=256)
    with pytest.raises(images.ImageError, match="32 x 32 patches at once are too many"):
        extractor.extract(np.zeros((256, 256, 3), np.uint8))
