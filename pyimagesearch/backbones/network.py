"""Pretrained networks as sources of features: an ONNX graph and its preprocessing.

A ``FILE.json`` next to ``FILE.onnx`` may have any of these settings; the defaults are those of
torchvision's networks::

    {"colours": "rgb", "scale": 255, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225],
     "layers": ["layer2", "layer3"]}
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

from pyimagesearch.backbones.layers import MAX_LAYERS, Layer, measure_layers
from pyimagesearch.backbones.onnx_graph import OPERATORS, Network
from pyimagesearch.backbones.onnx_message import MAX_BYTES, CheckedGraph, rebuild_graph
from pyimagesearch.backbones.preprocessing import Preprocessing
from pyimagesearch.runtime.input_files import open_input
from pyimagesearch.runtime.processes import call_in_process

_MAX_JSON_BYTES = 64 * 1024
_MAX_FEATURES = 2**27  # of an image, in all its layers
_MULTIPLE = 32  # pixels; strides of convolutional networks divide it


@dataclass(frozen=True)
class Backbone:
    """A network, its preprocessing, and the layers to take features from.

    Attributes:
        network: an ONNX graph.
        preprocessing: of its images.
        layers: finest first.
    """

    network: bytes
    preprocessing: Preprocessing
    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        if len(self._patches) > 1:
            raise ValueError(f"the layers have patches of {sorted(self._patches)} pixels")

    def __getstate__(self) -> dict[str, Any]:
        # Another process loads the network again.
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @cached_property
    def sha256(self) -> str:
        """Digest of the graph."""
        return hashlib.sha256(self.network).hexdigest()

    @cached_property
    def _checked(self) -> CheckedGraph:
        return rebuild_graph(self.network, OPERATORS)

    @cached_property
    def _loaded(self) -> Network:
        return Network(self._checked)

    def open(self) -> None:
        """Load the network; it is loaded only once.

        Raises:
            ValueError: it cannot be loaded.
        """
        self._loaded  # noqa: B018

    @property
    def fixed_size(self) -> tuple[int, int] | None:
        """(height, width) that images must have, or None."""
        return self._loaded.fixed_size

    @property
    def multiple(self) -> int:
        """What the sides of an image should be a multiple of, in pixels."""
        return next(iter(self._patches), _MULTIPLE)

    @property
    def _patches(self) -> set[int]:
        return {layer.stride for layer in self.layers if layer.tokens is not None}

    def run(self, image: np.ndarray) -> list[np.ndarray]:
        """Compute the layers for an image.

        Args:
            image: (height, width, 3) uint8 BGR.

        Returns:
            (channels, rows, columns) float32 for each layer.

        Raises:
            ValueError: the network cannot be run on it, or its layers are not as described.
        """
        outputs = self._loaded.run(
            self.preprocessing.apply(image), [layer.name for layer in self.layers]
        )
        height, width = image.shape[:2]
        maps = []
        for layer, output in zip(self.layers, outputs, strict=True):
            if output.ndim != (3 if layer.tokens is None else 2):
                raise ValueError(f"layer {layer.name!r} has the shape {output.shape}")
            found = output if layer.tokens is None else layer.tokens.to_map(output, (height, width))
            channels, rows, columns = found.shape
            if channels != layer.channels:
                raise ValueError(
                    f"layer {layer.name!r} has {channels} channels, not {layer.channels}"
                )
            # What is done with them takes memory in proportion to the image.
            if rows > height or columns > width:
                raise ValueError(
                    f"layer {layer.name!r} has {columns} x {rows} cells for an image of "
                    f"{width} x {height}"
                )
            maps.append(found)
        if sum(found.size for found in maps) > _MAX_FEATURES:
            raise ValueError(f"its layers have more than {_MAX_FEATURES:,} features of one image")
        return maps

    def settings(self) -> dict[str, Any]:
        """What ``from_settings`` needs in addition to the network, as JSON types."""
        return {
            "sha256": self.sha256,
            "preprocessing": asdict(self.preprocessing),
            "layers": [asdict(layer) for layer in self.layers],
        }

    @classmethod
    def from_settings(cls, settings: dict[str, Any], network: bytes) -> Backbone:
        """Restore a backbone from a network and its settings.

        Raises:
            ValueError: the network is refused or has another digest, or the settings are invalid.
        """
        if not isinstance(settings, dict) or set(settings) != {"sha256", "preprocessing", "layers"}:
            raise ValueError("the settings of the network are incomplete")
        layers = settings["layers"]
        if not isinstance(layers, list) or not 1 <= len(layers) <= MAX_LAYERS:
            raise ValueError("the settings of the network have no list of layers")
        try:
            described = tuple(Layer(**layer) for layer in layers)
        except TypeError as error:
            raise ValueError(f"settings of a layer of the network: {error}") from error
        preprocessing = Preprocessing.from_settings(settings["preprocessing"])
        backbone = cls(network, preprocessing, described)
        if backbone.sha256 != settings["sha256"]:
            raise ValueError(
                f"the network has the digest {backbone.sha256[:12]}..., "
                f"but the model was trained with {str(settings['sha256'])[:12]}..."
            )
        backbone._checked  # noqa: B018  (refused here, not in the worker that runs it)
        return backbone


def open_backbone(
    path: str,
    layers: Sequence[str] | None = None,
    preprocessing: dict[str, Any] | None = None,
) -> Backbone:
    """Read an ONNX file and the JSON file next to it.

    Args:
        path: of the ONNX file.
        layers: names of its outputs, which overrule the JSON's; without either, those that
            ``usual_layers`` chooses.
        preprocessing: settings, as JSON types, which overrule the JSON's.

    Raises:
        ValueError: the graph is refused (``rebuild_graph``), has no such layers or no maps
            of features; or the JSON file is invalid.
        NetworkLimitError: the network takes more than it may.
        OSError: a file cannot be read.
    """
    with open_input(path) as file:
        data = file.read(MAX_BYTES + 1)
    described = _read_json(os.path.splitext(path)[0] + ".json")
    names = layers or described.pop("layers", None)
    described.pop("layers", None)
    settings = Preprocessing.from_settings({**described, **(preprocessing or {})})
    found = call_in_process(functools.partial(measure_layers, data, names, settings))
    return Backbone(data, settings, found)


def external_network(path: str) -> Callable[[str], bytes]:
    """A reader of networks, for model files without one: it reads the file, whatever its digest.

    ``Backbone.from_settings`` compares the digest.
    """

    def read(_: str) -> bytes:
        with open_input(path) as file:
            return file.read(MAX_BYTES + 1)

    return read


def make_backbone(
    network: bytes, layers: Sequence[str] | None, preprocessing: dict[str, Any]
) -> Backbone:
    """Measure the receptive fields of a graph's layers, and make a backbone of them.

    Unlike ``open_backbone``, it runs the graph in this process: one of our own making.

    Args:
        network: an ONNX graph.
        layers: names of outputs; None for those that ``usual_layers`` chooses.
        preprocessing: as JSON types.

    Raises:
        ValueError: as of ``open_backbone``.
    """
    settings = Preprocessing.from_settings(preprocessing)
    return Backbone(network, settings, measure_layers(network, layers, settings))


def _read_json(path: str) -> dict[str, Any]:
    try:
        with open_input(path) as file:
            text = file.read(_MAX_JSON_BYTES + 1)
    except FileNotFoundError:
        return {}
    try:
        described = json.loads(text) if len(text) <= _MAX_JSON_BYTES else None
    except (ValueError, RecursionError):
        described = None
    if not isinstance(described, dict):
        raise ValueError(f"{os.path.basename(path)} next to it is not a JSON object")
    return described
