"""Networks from files are checked before they are run."""

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import tiny
from helpers.lazy import Lazy
from pyimagesearch.backbones import network as backbone_network
from pyimagesearch.backbones.onnx_graph import OPERATORS, Network
from pyimagesearch.backbones.onnx_message import rebuild_graph

onnx, helper, numpy_helper = map(Lazy, ("onnx", "onnx.helper", "onnx.numpy_helper"))


def refused(model):
    with pytest.raises(ValueError, match=r".") as error:
        rebuild_graph(model.SerializeToString(), OPERATORS)
    return str(error.value)


def test_a_plain_network_is_accepted():
    whole = tiny.network().SerializeToString()
    rebuilt = onnx.load_from_string(rebuild_graph(whole, OPERATORS))
    assert rebuilt.graph == onnx.load_from_string(whole).graph


def test_weights_in_another_file_are_not_read(tmp_path, monkeypatch):
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(8 * 3 * 9 * 9 * 4))
    model = tiny.network()
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "secret"
    monkeypatch.chdir(tmp_path)  # where onnxruntime would look for it
    assert "in another file" in refused(model)
    with pytest.raises(ValueError, match="in another file"):
        Network(rebuild_graph(model.SerializeToString(), OPERATORS))


def test_external_weights_hidden_in_an_attribute_are_found():
    model = tiny.network()
    hidden = onnx.TensorProto(
        name="x", data_type=1, dims=[1], data_location=onnx.TensorProto.EXTERNAL
    )
    model.graph.node.append(helper.make_node("Constant", [], ["x"], value=hidden))
    assert "in another file" in refused(model)


@pytest.mark.parametrize(
    "operator", ["Loop", "If", "Scan", "SequenceMap", "RandomUniform", "ImageDecoder", "Loop\0"]
)
def test_operators_that_loop_or_are_random_or_read_other_data_are_refused(operator):
    model = tiny.network()
    model.graph.node.append(helper.make_node(operator, ["picture"], ["x"]))
    assert repr(operator) in refused(model)


def test_a_vision_transformers_tokens_and_positions_are_accepted_at_any_size():
    """As PyTorch exports a token that is expanded, and positions of another grid."""
    weights = {
        "patches": np.full((4, 3, 16, 16), 1 / 768, np.float32),
        "positions": np.ones((1, 4, 14, 14), np.float32),
        "token": np.full((1, 1, 4), 7, np.float32),
        "batch": np.array([1, -1, -1]),
        "minus": np.array(-1),
        "three": np.array([3]),
        "tokens": np.array([1, 4, -1]),
        "two": np.array([2]),
        "four": np.array([4]),
        "one": np.array([1]),
        "end": np.array([10_000]),
    }
    node = helper.make_node
    nodes = [
        node("Conv", ["picture", "patches"], ["cells"], strides=[16, 16]),
        node("Shape", ["cells"], ["shape"]),
        node("Resize", ["positions", "", "", "shape"], ["resized"], mode="cubic"),
        node("Add", ["cells", "resized"], ["placed"]),
        node("Reshape", ["placed", "tokens"], ["flat"]),
        node("Transpose", ["flat"], ["sequence"], perm=[0, 2, 1]),
        node("ConstantOfShape", ["three"], ["ones"], value=numpy_helper.from_array(np.array([1]))),
        node("Equal", ["batch", "minus"], ["is_free"]),
        node("Where", ["is_free", "ones", "batch"], ["wanted"]),
        node("Expand", ["token", "wanted"], ["expanded"]),
        node("Concat", ["expanded", "sequence"], ["all"], axis=1),
        node("Slice", ["all", "one", "end", "one"], ["rest"]),
        node("Transpose", ["rest"], ["back"], perm=[0, 2, 1]),
        node("Reshape", ["back", "shape"], ["map"]),
    ]
    graph = helper.make_graph(
        nodes,
        "transformer",
        [helper.make_tensor_value_info("picture", onnx.TensorProto.FLOAT, [1, 3, "h", "w"])],
        [helper.make_tensor_value_info("map", onnx.TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 8
    network = Network(rebuild_graph(model.SerializeToString(), OPERATORS))
    for height, width in ((224, 224), (96, 160)):
        (found,) = network.run(np.ones((height, width, 3), np.float32), ["map"])
        assert found.shape == (4, height // 16, width // 16)
        assert np.allclose(found, 2, atol=1e-4)


def test_a_graph_inside_an_operator_is_refused():
    model = tiny.network()
    inside = helper.make_graph([helper.make_node("Loop", [], ["y"])], "inside", [], [])
    model.graph.node.append(helper.make_node("Relu", ["picture"], ["x"], body=inside))
    assert "a graph inside an operator (body)" in refused(model)


def test_operators_of_other_domains_and_functions_are_refused():
    model = tiny.network()
    model.graph.node.append(helper.make_node("Relu", ["picture"], ["x"], domain="com.evil"))
    assert "com.evil" in refused(model)
    model = tiny.network()
    model.functions.add().name = "Relu"
    assert "of its own" in refused(model)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04rest", b"\x80\x04pickle", b"text" * 100])
def test_other_files_are_no_networks(data):
    with pytest.raises(ValueError, match=r"it is not an ONNX graph|operator"):
        rebuild_graph(data, OPERATORS)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_damaged_network_is_a_sentence(data):
    whole = bytearray(tiny.network().SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(whole)))
    with_error = None
    try:
        rebuild_graph(bytes(whole[:cut]), OPERATORS)
    except ValueError as error:
        with_error = error
    assert with_error is None or str(with_error)


def test_a_network_that_takes_no_pictures_is_refused():
    model = tiny.network()
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 4
    with pytest.raises(ValueError, match=r"three channels|does not accept"):
        Network(rebuild_graph(model.SerializeToString(), OPERATORS))
    model = tiny.network()
    model.graph.input.append(helper.make_tensor_value_info("more", onnx.TensorProto.FLOAT, [1]))
    with pytest.raises(ValueError, match="not one float image"):
        Network(rebuild_graph(model.SerializeToString(), OPERATORS))


@pytest.mark.parametrize("side", [1, 4096, 2**31 - 1, 2**62])
def test_a_network_of_one_size_that_no_picture_has_is_refused(side):
    graph = rebuild_graph(tiny.network(size=side).SerializeToString(), OPERATORS)
    with pytest.raises(ValueError, match=r"from 8 to 2048 pixels|does not accept"):
        Network(graph)


def test_a_missing_layer_is_named_with_those_that_are_there(tmp_path):
    path = tiny.write_network(tmp_path / "n.onnx")
    with pytest.raises(ValueError, match=r"no output 'layer9'; it has fine, coarse"):
        backbone_network.open_backbone(str(path), ["layer9"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[1]", "not a JSON object"),
        ("{", "not a JSON object"),
        ('{"mean": [1, 2]}', "mean must be three numbers"),
        ('{"std": [0, 1, 1]}', "std must be positive"),
        ('{"colours": "hsv"}', "colours are"),
        ('{"scale": "x"}', "scale must be"),
        ('{"what": 1}', "unexpected"),
        ('{"layers": 3}', "layers must be"),
    ],
)
def test_a_wrong_json_beside_it_is_a_sentence(tmp_path, text, said):
    path = tiny.write_network(tmp_path / "n.onnx")
    path.with_suffix(".json").write_text(text)
    with pytest.raises(ValueError, match=said):
        backbone_network.open_backbone(str(path))


def test_a_pipe_beside_it_is_not_waited_for(tmp_path):
    path = tiny.write_network(tmp_path / "n.onnx")
    os.mkfifo(path.with_suffix(".json"))
    with pytest.raises(OSError, match="not a regular file"):
        backbone_network.open_backbone(str(path))


def test_preprocessing_of_the_json_gives_way_to_options(tmp_path):
    path = tiny.write_network(tmp_path / "n.onnx")
    path.with_suffix(".json").write_text('{"colours": "bgr", "scale": 1, "layers": ["coarse"]}')
    backbone = backbone_network.open_backbone(str(path), None, {"scale": 2.0})
    assert backbone.preprocessing.colours == "bgr"
    assert backbone.preprocessing.scale == 2
    assert [layer.name for layer in backbone.layers] == ["coarse"]


def test_both_orders_of_axes_give_the_same_features():
    first = backbone_network.make_backbone(tiny.network().SerializeToString(), None, {})
    last = backbone_network.make_backbone(
        tiny.network(channels_last=True).SerializeToString(), None, {}
    )
    picture = np.random.default_rng(1).integers(0, 256, (64, 96, 3), np.uint8)
    for a, b in zip(first.run(picture), last.run(picture), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
    assert first.layers == last.layers


def test_layers_know_their_strides_and_where_they_look():
    fine, coarse = backbone_network.make_backbone(
        tiny.network().SerializeToString(), None, {}
    ).layers
    assert (fine.stride, coarse.stride) == (8, 16)
    # The first cell of the first layer sees pixels -1 to 7, in the middle of which is pixel 3.
    assert abs(fine.offset - 3) <= 1
    assert abs(coarse.offset - 3) <= 4


def test_another_network_than_the_models_is_refused():
    backbone = backbone_network.make_backbone(tiny.network().SerializeToString(), None, {})
    other = tiny.network()
    other.producer_name = "another"
    with pytest.raises(ValueError, match="has the digest"):
        backbone_network.Backbone.from_settings(backbone.settings(), other.SerializeToString())


def test_a_network_whose_layers_outgrow_the_image_is_not_run_on_any():
    model = tiny.network()
    amounts = onnx.helper.make_tensor("amounts", 7, (8,), [0, 0, 0, 0, 0, 0, 0, 5000])
    model.graph.initializer.append(amounts)
    model.graph.node.append(helper.make_node("Pad", ["coarse", "amounts"], ["wide"]))
    model.graph.output[1].name = "wide"
    backbone = backbone_network.make_backbone(model.SerializeToString(), ["wide"], {})
    with pytest.raises(ValueError, match=r"'wide' has 5004 x 4 cells for an image of 64 x 64"):
        backbone.run(np.zeros((64, 64, 3), np.uint8))


def test_settings_that_are_made_up_are_refused():
    backbone = backbone_network.make_backbone(tiny.network().SerializeToString(), None, {})
    for change in (
        {"layers": []},
        {"layers": [{"name": "fine"}]},
        {"layers": [{"name": "fine", "channels": 8, "stride": 0, "offset": 0}]},
        {"layers": [{"name": "fine", "channels": 8, "stride": 8, "offset": 1e9}]},
        {"preprocessing": {"mean": "abc"}},
        {"sha256": "0"},
    ):
        with pytest.raises(ValueError, match=r"."):
            backbone_network.Backbone.from_settings(
                {**backbone.settings(), **change}, backbone.network
            )
