"""Claims about files of weights from others: they are numbers, and their own."""

import h5py
import numpy as np
import pytest

from helpers.lazy import Lazy
from pyimagesearch.backbones import keras_zoo

keras_runtime = Lazy("pyimagesearch.runtime.keras")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Where networks are kept, which stays empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield tmp_path / "cache"
    assert not (tmp_path / "cache").exists()


def refuse(weights):
    with pytest.raises(ValueError, match=r"do not fit the network|not an HDF5 file"):
        keras_zoo.cached_network("mobilenet", str(weights))


@pytest.mark.parametrize("name", ["all.h5", "all.keras"])
def test_a_whole_model_with_code_in_it_is_refused_and_not_run(name, tmp_path):
    keras = keras_runtime.keras
    mark = tmp_path / "run"
    code = f"lambda x: (open({str(mark)!r}, 'w').close(), x)[1]"
    layer = keras.layers.Lambda(eval(code), output_shape=(3,))
    keras.Sequential([keras.layers.Input((3,)), layer]).save(tmp_path / name)
    mark.unlink(missing_ok=True)
    refuse(tmp_path / name)
    assert not mark.exists()


def test_weights_that_lie_in_another_file_are_not_read(tmp_path):
    weights = tmp_path / "a.weights.h5"
    network = keras_runtime.keras.applications.MobileNet(weights=None, include_top=False)
    network.save_weights(weights)
    (tmp_path / "private").write_bytes(bytes(10**6))
    with h5py.File(weights, "r+") as file:
        names = []
        file.visititems(lambda name, item: names.append(name) if hasattr(item, "shape") else None)
        shape = file[names[0]].shape
        del file[names[0]]
        elsewhere = [(str(tmp_path / "private"), 0, 4 * int(np.prod(shape)))]
        file.create_dataset(names[0], shape, np.float32, external=elsewhere)
    refuse(weights)
