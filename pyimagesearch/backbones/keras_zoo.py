"""Networks of keras.applications as ONNX files, converted once and kept in the user's cache."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from pyimagesearch.runtime.atomic_files import atomic_write
from pyimagesearch.runtime.input_files import open_input

if TYPE_CHECKING:
    from keras import Model

_IMAGENET_BGR = (103.939, 116.779, 123.68)
_MINUS_ONE_TO_ONE = {"colours": "rgb", "scale": 127.5, "mean": [1.0] * 3, "std": [1.0] * 3}
_CAFFE = {"colours": "bgr", "scale": 1.0, "mean": list(_IMAGENET_BGR), "std": [1.0] * 3}
_TORCH: dict[str, object] = {}
_UNCHANGED = {"colours": "rgb", "scale": 1.0, "mean": [0.0] * 3, "std": [1.0] * 3}
# What each family's preprocess_input does; the networks of the last group contain it.
_PREPROCESSING = {
    **dict.fromkeys(("VGG16", "VGG19", "ResNet50", "ResNet101", "ResNet152"), _CAFFE),
    **dict.fromkeys(("DenseNet121", "DenseNet169", "DenseNet201"), _TORCH),
    **dict.fromkeys(
        ("MobileNet", "MobileNetV2", "ResNet50V2", "ResNet101V2", "InceptionV3", "Xception"),
        _MINUS_ONE_TO_ONE,
    ),
    **dict.fromkeys(
        (
            *(f"EfficientNetB{i}" for i in range(8)),
            *(f"EfficientNetV2B{i}" for i in range(4)),
            "MobileNetV3Small",
            "MobileNetV3Large",
        ),
        _UNCHANGED,
    ),
}
NAMES = {name.lower(): name for name in _PREPROCESSING}
_STRIDES = (4, 8, 16, 32)
_PROBE_SIDE = 256


def cached_network(name: str, weights: str | None) -> str:
    """Return the ONNX file of a network, building it if it is not in the cache yet.

    Args:
        name: one of ``NAMES``, as keys.
        weights: an HDF5 file of Keras, with or without the classifier; None lets Keras download
            its own on first use.

    Raises:
        ValueError: the weights do not fit the network.
        OSError: the weights cannot be read or downloaded.
    """
    key = "imagenet" if weights is None else _digest(weights)[:16]
    folder = os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "pyimagesearch"
    )
    path = os.path.join(folder, f"{name}-{key}.onnx")
    if not os.path.exists(path):
        network = _build(NAMES[name], weights)
        os.makedirs(folder, exist_ok=True)
        with atomic_write(os.path.splitext(path)[0] + ".json") as file:
            file.write(json.dumps(_PREPROCESSING[NAMES[name]]).encode())
        with atomic_write(path) as file:
            file.write(network)
    return path


def _digest(path: str) -> str:
    with open_input(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _build(name: str, weights: str | None) -> bytes:
    from pyimagesearch.runtime import (
        keras as keras_runtime,  # starts TensorFlow without its chatter
    )

    keras = keras_runtime.keras
    make = getattr(keras.applications, name)
    shape = (None, None, 3)
    if weights is None:
        try:
            network = make(weights="imagenet", include_top=False, input_shape=shape)
        except Exception as error:  # Keras raises a bare Exception where a download fails
            raise OSError(
                f"Keras could not download the weights of {name} ({error}); without a network, "
                "give a file of weights with --weights, or an ONNX file with --backbone"
            ) from error
    else:
        network = make(weights=None, include_top=False, input_shape=shape)
        network.set_weights(_read_weights(make, weights, len(network.get_weights())))
    last = _last_at_strides(network)
    cut = keras.Model(network.input, [network.get_layer(layer).output for layer in last])
    probe = np.zeros((1, _PROBE_SIDE, _PROBE_SIDE, 3), np.float32)
    return _name_outputs(keras_runtime.to_onnx(cut, probe), last)


def _read_weights(make: Callable[..., Model], path: str, n_wanted: int) -> list[np.ndarray]:
    """Read the weights of a file, without those of its classifier."""
    n_classes = _count_classes(path)
    try:
        if n_classes is None:
            full = make(weights=None, include_top=False)
        else:
            full = make(
                weights=None, include_top=True, classes=n_classes, classifier_activation=None
            )
        full.load_weights(path)
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise ValueError(
            f"the weights of {os.path.basename(path)} do not fit the network: "
            f"{str(error).splitlines()[0]}"
        ) from error
    return full.get_weights()[:n_wanted]


def _count_classes(path: str) -> int | None:
    """The number of classes of the classifier in a file of weights; None without a classifier."""
    import h5py

    found: list[int] = []

    def visit(name: str, item: object) -> None:
        levels = name.lower().split("/")
        is_classifier = any(p.startswith(("dense", "predictions", "logits")) for p in levels)
        if is_classifier and getattr(item, "ndim", 0) == 1:
            found.append(len(item))

    try:
        with h5py.File(path) as file:
            file.visititems(visit)
    except OSError as error:
        if os.path.isfile(path):
            raise ValueError(f"{os.path.basename(path)} is not an HDF5 file of weights") from error
        raise
    return found[-1] if found else None


def _last_at_strides(network: Model) -> list[str]:
    """Names of the last layers of each of the usual strides."""
    inputs = network.input
    last: dict[int, str] = {}
    shapes = type(network)(inputs, [layer.output for layer in network.layers]).compute_output_shape(
        (1, _PROBE_SIDE, _PROBE_SIDE, 3)
    )
    for layer, shape in zip(network.layers, shapes, strict=True):
        if len(shape) == 4 and shape[1] and _PROBE_SIDE % shape[1] == 0:
            last[_PROBE_SIDE // shape[1]] = layer.name
    return [last[stride] for stride in _STRIDES if stride in last]


def _name_outputs(network: bytes, names: list[str]) -> bytes:
    """Name a graph's outputs, which have numbers, after their layers."""
    import onnx

    model = onnx.load_from_string(network)
    renamed = {output.name: name for output, name in zip(model.graph.output, names, strict=True)}
    for node in model.graph.node:
        for names_of in (node.input, node.output):
            for i, value in enumerate(names_of):
                names_of[i] = renamed.get(value, value)
    for output in model.graph.output:
        output.name = renamed[output.name]
    return model.SerializeToString(deterministic=True)
