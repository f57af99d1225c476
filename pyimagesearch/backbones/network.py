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
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any

import cv2
import numpy as np

from pyimagesearch.backbones.onnx_graph import OPERATORS, Network
from pyimagesearch.backbones.onnx_message import MAX_BYTES, CheckedGraph, rebuild_graph
from pyimagesearch.runtime.input_files import open_input
from pyimagesearch.runtime.limits import NetworkLimits, limited
from pyimagesearch.runtime.processes import call_in_process

_MAX_JSON_BYTES = 64 * 1024
_MAX_LAYERS = 8
_MAX_CHANNELS = 8192
_MAX_FEATURES = 2**27  # of an image, in all its layers
# Strides of the layers that patches are made of by default: fine enough to show where a defect is,
# coarse enough to include its surroundings. PatchCore's layers 2 and 3 (Roth et al., Towards
# Total Recall in Industrial Anomaly Detection, CVPR 2022, section 4.4.2).
_USUAL_STRIDES = (8, 16)
# Receptive fields are measured by dots at these distances from the middle, in pixels, which cover
# two periods of the coarsest usual stride.
_PROBE_SIDE = 192
_PROBES = range(-16, 16, 4)


@dataclass(frozen=True)
class Preprocessing:
    """A network's preprocessing: ``(pixel / scale - mean) / std`` in its order of colours.

    Attributes:
        colours: ``rgb`` or ``bgr``.
        scale: what 8-bit values are divided by.
        mean, std: one number for each colour, in that order.
    """

    colours: str = "rgb"
    scale: float = 255.0
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    def __post_init__(self) -> None:
        if self.colours not in ("rgb", "bgr"):
            raise ValueError(f"colours are 'rgb' or 'bgr', not {self.colours!r}")
        if not _is_number(self.scale) or self.scale <= 0:
            raise ValueError(f"scale must be a positive number, not {self.scale!r}")
        for name, triple in (("mean", self.mean), ("std", self.std)):
            if len(triple) != 3 or not all(map(_is_number, triple)):
                raise ValueError(f"{name} must be three numbers, not {triple!r}")
        if min(self.std) <= 0:
            raise ValueError(f"std must be positive, not {self.std!r}")

    @classmethod
    def from_settings(cls, settings: dict[str, Any]) -> Preprocessing:
        """Make it from JSON types.

        Raises:
            ValueError: an unknown setting, or one of a wrong type.
        """
        try:
            lists = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
            return cls(**lists)
        except TypeError as error:
            raise ValueError(f"settings of the network's preprocessing: {error}") from error

    def apply(self, image: np.ndarray) -> np.ndarray:
        """(height, width, 3) uint8 BGR -> (height, width, 3) float32."""
        if self.colours == "rgb":
            image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
        std = np.array(self.std) * self.scale
        shift = np.array(self.mean) / self.std
        return image * (1 / std).astype(np.float32) - shift.astype(np.float32)


@dataclass(frozen=True)
class Layer:
    """An output of a network, and the receptive fields of its cells.

    Attributes:
        name: of the output.
        channels: number of features of a cell.
        stride: pixels from one cell to the next.
        offset: pixel in the middle of the first cell's receptive field.
    """

    name: str
    channels: int
    stride: int
    offset: float

    def __post_init__(self) -> None:
        for key, limit in (("channels", _MAX_CHANNELS), ("stride", 1024)):
            value = getattr(self, key)
            if type(value) is not int or not 1 <= value <= limit:
                raise ValueError(f"the {key} of layer {self.name!r} are {value!r}")
        if not _is_number(self.offset) or abs(self.offset) > 4 * self.stride:
            raise ValueError(f"the offset of layer {self.name!r} is {self.offset!r}")


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

    def run(self, image: np.ndarray) -> list[np.ndarray]:
        """Compute the layers for an image.

        Args:
            image: (height, width, 3) uint8 BGR.

        Returns:
            (channels, rows, columns) float32 for each layer.

        Raises:
            ValueError: the network cannot be run on it, or its layers are not as described.
        """
        maps = self._loaded.run(
            self.preprocessing.apply(image), [layer.name for layer in self.layers]
        )
        height, width = image.shape[:2]
        for layer, found in zip(self.layers, maps, strict=True):
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
        if not isinstance(layers, list) or not 1 <= len(layers) <= _MAX_LAYERS:
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


def measure_layers(
    network: bytes, layers: Sequence[str] | None, preprocessing: Preprocessing
) -> tuple[Layer, ...]:
    """Measure the receptive fields of a graph's layers; arguments as of ``make_backbone``.

    Returns:
        The layers, finest first.

    Raises:
        ValueError: as of ``open_backbone``.
    """
    with limited(NetworkLimits.of_network(len(network))):
        return _measured(network, layers, preprocessing)


def _measured(
    network: bytes, layers: Sequence[str] | None, preprocessing: Preprocessing
) -> tuple[Layer, ...]:
    loaded = Network(rebuild_graph(network, OPERATORS))
    if layers is not None:
        if not isinstance(layers, (list, tuple)) or not all(isinstance(n, str) for n in layers):
            raise ValueError(f"layers must be a list of names, not {layers!r}")
        if missing := [name for name in layers if name not in loaded.outputs]:
            raise ValueError(
                f"the network has no output {missing[0]!r}; it has {', '.join(loaded.outputs)}"
            )
    found = _measure(loaded, list(layers or loaded.outputs), preprocessing)
    if layers is None:
        found = usual_layers(found)
    if not 1 <= len(found) <= _MAX_LAYERS:
        raise ValueError(f"choose from 1 to {_MAX_LAYERS} layers, not {len(found)}")
    return tuple(sorted(found, key=lambda layer: layer.stride))


def usual_layers(layers: list[Layer]) -> list[Layer]:
    """Choose layers for patches: the last one of each usual stride; else all but the coarsest."""
    last = {layer.stride: layer for layer in layers}
    usual = [last[stride] for stride in _USUAL_STRIDES if stride in last]
    return usual or sorted(last.values(), key=lambda layer: layer.stride)[:2]


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


def _measure(network: Network, names: list[str], preprocessing: Preprocessing) -> list[Layer]:
    """Measure each layer's stride and offset by which cells respond to dots.

    Paddings differ between networks, and between layers of one: the cells of torchvision's ResNet
    are centred on pixels 0, 8, 16, ..., those of Keras' MobileNet elsewhere.
    """
    height, width = network.fixed_size or (_PROBE_SIDE, _PROBE_SIDE)
    grey = np.full((height, width, 3), 128, np.uint8)
    usual = network.run(preprocessing.apply(grey), names)
    offsets = []
    for step in _PROBES:
        row, column = height // 2 + step, width // 2 + step
        dotted = grey.copy()
        dotted[row - 1 : row + 2, column - 1 : column + 2] = 255
        found = network.run(preprocessing.apply(dotted), names)
        offsets.append(
            [
                _offset_from(before, after, (row, column), (height, width))
                for before, after in zip(usual, found, strict=True)
            ]
        )
    layers = []
    for index, (name, maps) in enumerate(zip(names, usual, strict=True)):
        stride = max(1, round(height / maps.shape[1]))
        offset = float(np.mean([row[index] for row in offsets]))
        # Paddings and strides shift by half pixels at the finest.
        layers.append(Layer(name, len(maps), stride, round(2 * offset) / 2))
    return layers


def _offset_from(
    before: np.ndarray, after: np.ndarray, dot: tuple[int, int], shape: tuple[int, int]
) -> float:
    """The pixel on which cell 0 is centred, estimated from the cells that respond to a dot."""
    with np.errstate(invalid="ignore", over="ignore"):  # of a network that finds no numbers
        energy = np.square(after - before, dtype=np.float64).sum(axis=0)
    total = energy.sum()
    if not total > 0 or not math.isfinite(total):
        return (
            shape[0] / energy.shape[0] - 1
        ) / 2  # no response: assume that the cells tile the image
    offsets = []
    for axis in (0, 1):
        cell = (energy.sum(axis=1 - axis) * np.arange(energy.shape[axis])).sum() / total
        offsets.append(dot[axis] - cell * round(shape[axis] / energy.shape[axis]))
    return float(np.mean(offsets))


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
