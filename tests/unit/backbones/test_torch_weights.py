"""Weights are read from a pickle that can call nothing."""

import numpy as np
import pytest

from helpers.torch_files import torch_file
from pyimagesearch.backbones.torch_weights import WeightsError, read_torch_weights

WEIGHTS = {
    "conv.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2),
    "norm.num_batches_tracked": np.array([7]),
}


def test_weights_are_what_was_saved():
    found = read_torch_weights(torch_file(WEIGHTS))
    assert list(found) == list(WEIGHTS)
    for name, array in WEIGHTS.items():
        assert found[name].dtype == array.dtype
        assert np.array_equal(found[name], array)


def test_a_tensor_may_lie_in_another_order_than_its_axes():
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    (found,) = read_torch_weights(torch_file({"w": array}, strides=(1, 2))).values()
    assert np.array_equal(found, array.ravel().reshape(3, 2).T)


@pytest.mark.parametrize("called", [("os", "system"), ("builtins", "eval"), ("torch", "load")])
def test_nothing_that_a_file_names_is_called(called, tmp_path):
    seen = tmp_path / "seen"
    argument = f"touch {seen}" if called[0] == "os" else f"open({str(seen)!r}, 'w')"
    data = torch_file(WEIGHTS, called=called, argument=argument)
    with pytest.raises(WeightsError, match=r"it names .*\.(system|eval|load), which weights do"):
        read_torch_weights(data)
    assert not seen.exists()


@pytest.mark.parametrize("strides", [(12, 4, 2, 2), (2**62, 1, 1, 1), (-1, 1, 1, 1), (1, 1)])
def test_a_tensor_that_reaches_beyond_its_storage_is_refused(strides):
    one = {"conv.weight": WEIGHTS["conv.weight"]}
    with pytest.raises(WeightsError, match=r"beyond its storage|has no shape"):
        read_torch_weights(torch_file(one, strides))


def test_a_file_that_is_cut_off_anywhere_is_refused():
    whole = torch_file(WEIGHTS)
    for length in range(len(whole)):
        with pytest.raises(WeightsError):
            read_torch_weights(whole[:length])


def test_a_file_with_other_bytes_anywhere_gives_numbers_or_is_refused():
    whole = torch_file(WEIGHTS)
    rng = np.random.default_rng(0)
    n_refused = 0
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= int(rng.integers(1, 256))
        try:
            found = read_torch_weights(bytes(changed))
        except WeightsError:
            n_refused += 1
        else:
            assert all(array.dtype.kind in "fi" for array in found.values())
    assert n_refused > len(whole) / 4


@pytest.mark.parametrize("opcode", [b"r\xff\xff\xff\x7f", b"p2147483647\n"])
def test_a_part_with_a_huge_number_costs_no_memory(opcode):
    """Python would make room for as many parts as that, which takes many seconds, too."""
    whole = torch_file(WEIGHTS)
    place = whole.index(b"OrderedDict\n") + len(b"OrderedDict\n")
    with pytest.raises(WeightsError, match="it numbers more parts than it has bytes"):
        read_torch_weights(whole[:place] + opcode + whole[place:])
