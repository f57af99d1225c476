"""A graph reaches the runtime only as what was read of it, strictly and once."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from helpers import tiny
from pyimagesearch.backbones import onnx_message
from pyimagesearch.backbones.onnx_graph import OPERATORS, Network
from pyimagesearch.backbones.onnx_message import rebuild_graph

FEATURES = ["fine", "coarse"]


def varint(value: int, least_bytes: int = 1) -> bytes:
    """A number as protobuf writes it, or longer than it needs to be."""
    found = bytearray()
    while value >= 0x80 or len(found) + 1 < least_bytes:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def embedded(tag: bytes, content: bytes) -> bytes:
    return tag + varint(len(content)) + content


def graph_with(more: bytes) -> bytes:
    """A whole network, with some bytes more at the end of its graph."""
    model = tiny.network()
    graph = model.graph.SerializeToString() + more
    model.ClearField("graph")
    return model.SerializeToString() + embedded(varint(7 << 3 | 2), graph)


def loop() -> bytes:
    return helper.make_node("Loop", ["picture"], ["x"]).SerializeToString()


def external() -> bytes:
    tensor = TensorProto(name="w3", data_type=1, dims=[1])
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "notes.txt"
    tensor.data_location = TensorProto.EXTERNAL
    return tensor.SerializeToString()


@pytest.mark.parametrize("content", [(1, loop()), (5, external())], ids=["loop", "external"])
@pytest.mark.parametrize("bit", range(32, 64))
def test_a_field_hidden_behind_the_upper_bits_of_a_tag_is_refused(content, bit):
    number, hidden = content
    tag = varint(1 << bit | number << 3 | 2)
    with pytest.raises(ValueError, match="a malformed tag"):
        rebuild_graph(graph_with(embedded(tag, hidden)), OPERATORS)


@pytest.mark.parametrize("least_bytes", range(2, 11))
def test_numbers_that_are_longer_than_they_need_to_be_are_refused(least_bytes):
    tag = varint(1 << 3 | 2, least_bytes)
    with pytest.raises(ValueError, match="shortest form"):
        rebuild_graph(graph_with(embedded(tag, loop())), OPERATORS)
    size = varint(0, least_bytes)
    with pytest.raises(ValueError, match="shortest form"):
        rebuild_graph(graph_with(varint(2 << 3 | 2) + size), OPERATORS)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (varint(0 << 3 | 2) + b"\x00", "a malformed tag"),
        (varint(1 << 3 | 3), "an unknown type of field"),
        (varint(1 << 3 | 4), "an unknown type of field"),
        (varint(1 << 3 | 6), "an unknown type of field"),
        (varint(1 << 3 | 0) + b"\x01", "a wrong type"),
        (varint(99 << 3 | 0) + b"\x01", "an unknown field 99 in its graph"),
        (embedded(varint(2 << 3 | 2), b"again"), "has a field 2 twice"),
        (varint(1 << 3 | 2) + varint(2**40), "truncated"),
        (b"\xff" * 10, "does not end"),
        (b"\xff" * 9 + b"\x02", "shortest form"),
    ],
)
def test_what_two_readers_could_read_in_two_ways_is_refused(more, sentence):
    with pytest.raises(ValueError, match=sentence):
        rebuild_graph(graph_with(more), OPERATORS)


def test_a_second_graph_that_the_runtime_would_merge_with_the_first_is_refused():
    second = helper.make_graph([helper.make_node("Loop", [], ["y"])], "", [], [])
    twice = tiny.network().SerializeToString() + embedded(
        varint(7 << 3 | 2), second.SerializeToString()
    )
    with pytest.raises(ValueError, match="its model has a field 7 twice"):
        rebuild_graph(twice, OPERATORS)


def test_a_file_that_is_also_of_the_runtimes_own_format_is_refused_by_its_mark():
    whole = bytearray(tiny.network().SerializeToString())
    prefix = embedded(varint(2 << 3 | 2), b"xxORTMxx")  # the producer's name, at bytes 4 to 8
    assert prefix[4:8] == b"ORTM"
    left_out = embedded(varint(6 << 3 | 2), b"a note")  # shifts the mark to its place
    for data in (prefix + whole, whole[:2] + left_out + prefix[:2] + b"ORTMxxxx" + whole[2:]):
        with pytest.raises(ValueError, match="onnxruntime's own format"):
            rebuild_graph(bytes(data), OPERATORS)


def test_what_is_written_for_people_does_not_reach_the_runtime():
    model = tiny.network()
    model.doc_string = model.graph.doc_string = "a note"
    model.metadata_props.add().key = "author"
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))  # named, but not used
    rebuilt = rebuild_graph(model.SerializeToString(), OPERATORS)
    assert rebuilt == rebuild_graph(tiny.network().SerializeToString(), OPERATORS)
    for word in (b"a note", b"author", b"ai.onnx.ml"):
        assert word not in rebuilt


def test_a_rebuilt_graph_computes_the_same_whatever_way_its_numbers_are_written():
    packed = tiny.network()
    unpacked = tiny.network()
    for tensor in unpacked.graph.initializer:
        values = numpy_helper.to_array(tensor)
        tensor.ClearField("raw_data")
        tensor.float_data.extend(values.ravel().tolist())
    image = np.random.default_rng(0).random((64, 96, 3), np.float32)
    found = [
        Network(rebuild_graph(model.SerializeToString(), OPERATORS)).run(image, FEATURES)
        for model in (packed, unpacked)
    ]
    for one, other in zip(*found, strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize(
    ("tag", "content"),
    [
        (8, b"\x10\x01" * 2000),  # an operator set with its version again and again
        (7, embedded(b"\x0a", embedded(b"\x2a", b"\x32\0" + b"\x6a\0" * 2000))),  # an attribute
    ],
)
def test_no_part_of_a_file_is_looked_through_without_counting(tag, content, monkeypatch):
    n_read = 0
    fields = onnx_message._fields

    def counted(message):
        nonlocal n_read
        for found in fields(message):
            n_read += 1
            yield found

    monkeypatch.setattr(onnx_message, "_fields", counted)
    with pytest.raises(ValueError, match=r"twice|graph inside an operator"):
        rebuild_graph(embedded(varint(tag << 3 | 2), content), OPERATORS)
    assert n_read < 100


def test_a_file_of_very_many_fields_is_refused_before_it_takes_long(monkeypatch):
    monkeypatch.setattr(onnx_message, "MAX_FIELDS", 1000)
    with pytest.raises(ValueError, match="more than 1,000 fields"):
        rebuild_graph(graph_with(embedded(varint(1 << 3 | 2), b"") * 1000), OPERATORS)


def with_inputs(names):
    weight = numpy_helper.from_array(np.ones(3, np.float32), "weight")
    graph = helper.make_graph(
        [helper.make_node("LayerNormalization", names, ["y"], axis=1)],
        "names",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, "h", "w"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [weight, numpy_helper.from_array(np.ones((3, 1, 1), np.float32), "scale")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    return model.SerializeToString()


def test_inputs_without_a_name_at_the_end_are_left_out_since_the_runtime_crashes_over_them():
    kept = with_inputs(["x", "scale"])
    assert rebuild_graph(with_inputs(["x", "scale", "", ""]), OPERATORS) == kept
    Network(kept)
    between = with_inputs(["x", "", "scale"])
    assert rebuild_graph(between, OPERATORS) == between
