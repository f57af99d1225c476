"""The tokens of vision transformers become grids that lie where the patches do."""

import numpy as np
import pytest

from helpers import tiny
from pyimagesearch import features
from pyimagesearch.backbones.network import Backbone, make_backbone, open_backbone
from pyimagesearch.backbones.patch_features import BackboneMeans, BackbonePatches
from pyimagesearch.data import images


def backbone(layers=None, **options) -> Backbone:
    return make_backbone(tiny.transformer(**options).SerializeToString(), layers, {})


def picture(height=140, width=210):
    return tiny.part(np.random.default_rng(0), height, width)


@pytest.mark.parametrize(
    ("patch", "leading", "trailing"), [(14, 1, 0), (16, 5, 0), (8, 0, 0), (20, 1, 3), (32, 0, 2)]
)
def test_patches_are_told_from_class_tokens_and_registers(patch, leading, trailing):
    (layer,) = backbone(patch=patch, leading=leading, trailing=trailing).layers
    assert (layer.stride, layer.leading, layer.trailing) == (patch, leading, trailing)
    assert (layer.name, layer.channels, layer.offset) == ("block1", 12, (patch - 1) / 2)


@pytest.mark.parametrize("shape", [(256, 256), (140, 420), (333, 201)])
def test_a_token_lies_where_its_patch_is_in_an_image_of_any_shape(shape):
    extractor = BackbonePatches(backbone())
    height, width = extractor.working_size(*shape)
    assert height % 14 == width % 14 == 0
    plain = np.full((height, width, 3), 128, np.uint8)
    before = extractor.backbone.run(plain)[0]
    assert before.shape == (12, height // 14, width // 14)
    for row, column in ((0, 1), (height // 14 - 1, 3), (5, width // 14 - 1)):
        changed = plain.copy()
        changed[14 * row : 14 * row + 14, 14 * column : 14 * column + 14] = 255
        change = np.abs(extractor.backbone.run(changed)[0] - before).sum(axis=0)
        assert np.unravel_index(change.argmax(), change.shape) == (row, column)
        peak = extractor.back_project(plain, change).argmax()
        found = np.array(np.unravel_index(peak, plain.shape[:2]))
        assert np.abs(found - (14 * row + 6.5, 14 * column + 6.5)).max() <= 14


def test_features_of_patches_and_of_whole_images_are_made_of_them(tmp_path):
    path = tmp_path / "vit.onnx"
    path.write_bytes(tiny.transformer().SerializeToString())
    opened = open_backbone(str(path))
    for extractor in (BackbonePatches(opened), BackboneMeans(opened)):
        found = extractor.extract(picture())
        assert np.isfinite(found).all()
        again = features.from_settings(extractor.settings(), extractor.networks())
        np.testing.assert_array_equal(again.extract(picture()), found)
    tiled = BackbonePatches(opened, side=112, tile=100)
    rows, columns = (n // 14 for n in tiled.working_size(250, 300))
    assert tiled.extract(picture(250, 300)).shape == (rows, columns, tiled.length)


@pytest.mark.parametrize("size", [98, 224])
def test_a_transformer_of_one_size_gets_images_of_that_size(size):
    opened = backbone(size=size, fixed_positions=size)
    assert opened.fixed_size == (size, size)
    found = BackbonePatches(opened).extract(picture())
    assert found.shape[:2] == (size // 14, size // 14)


def test_one_that_only_says_that_it_takes_any_size_is_refused_with_advice():
    with pytest.raises(ValueError, match=r"by its input's shape, such as \(1, 3, 224, 224\)"):
        backbone(fixed_positions=224)


@pytest.mark.parametrize(("patch", "size"), [(16, None), (14, 224)])
def test_tokens_in_another_order_are_refused(patch, size):
    with pytest.raises(ValueError, match="not those of the image's patches, row by row"):
        backbone(patch=patch, size=size, columns_first=True)


def test_tokens_that_are_no_grid_are_refused():
    with pytest.raises(ValueError, match="241 tokens of an image of 192 x 192"):
        backbone(patch=16, leading=97)


@pytest.mark.parametrize(
    ("depth", "chosen"), [(1, [1]), (2, [1, 2]), (3, [2, 3]), (4, [2, 3]), (12, [6, 9])]
)
def test_of_many_layers_those_in_the_middle_are_taken(depth, chosen):
    layers = backbone(size=224, depth=depth).layers
    assert [layer.name for layer in layers] == [f"block{number}" for number in chosen]


def test_layers_can_be_named_but_not_one_that_is_a_single_vector():
    assert [layer.name for layer in backbone(["block3"], depth=3).layers] == ["block3"]
    with pytest.raises(ValueError, match="no output 'pooled'; it has block1"):
        backbone(["pooled"])


def test_settings_that_do_not_fit_the_tokens_are_refused():
    opened = backbone()
    settings = opened.settings()
    layer = settings["layers"][0]
    assert Backbone.from_settings(settings, opened.network) == opened
    for wrong in ({"leading": -1}, {"leading": "1"}, {"trailing": 65}, {"trailing": None}):
        with pytest.raises(ValueError, match="tokens that are no patches"):
            Backbone.from_settings({**settings, "layers": [{**layer, **wrong}]}, opened.network)
    two = [layer, {**layer, "stride": 16}]
    with pytest.raises(ValueError, match=r"patches of \[14, 16\] pixels"):
        Backbone.from_settings({**settings, "layers": two}, opened.network)
    for wrong, sentence in (({"leading": 0}, "tokens are not"), ({"leading": None}, "shape")):
        other = Backbone.from_settings({**settings, "layers": [{**layer, **wrong}]}, opened.network)
        with pytest.raises(images.ImageError, match=sentence):
            BackbonePatches(other).extract(picture())
