"""The layers of a network as grids over an image, which are measured by planting dots in one."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pyimagesearch.backbones.onnx_graph import OPERATORS, Network, NetworkError
from pyimagesearch.backbones.onnx_message import rebuild_graph
from pyimagesearch.backbones.preprocessing import Preprocessing, is_number
from pyimagesearch.backbones.token_grid import MOST_OTHERS, TokenGrid, find_grid
from pyimagesearch.runtime.limits import NetworkLimits, limited

MAX_LAYERS = 8
_MAX_CHANNELS = 8192
# Strides of the layers that patches are made of by default: fine enough to show where a defect is,
# coarse enough to include its surroundings. PatchCore's layers 2 and 3 (Roth et al., Towards
# Total Recall in Industrial Anomaly Detection, CVPR 2022, section 4.4.2).
_USUAL_STRIDES = (8, 16)
# Of a transformer, whose layers have one grid: those in the middle and at three quarters of those
# that it has as outputs; the last ones know less of where a thing is. Tried: docs/methods.md
_USUAL_DEPTHS = (1 / 2, 3 / 4)
# Images that networks of any size are measured with, and oblong ones: patches of transformers
# divide the sides of one of them.
_PROBE_SIZES = (((192, 192), (128, 192)), ((224, 224), (112, 224)), ((240, 240), (160, 240)))
# Receptive fields are measured by dots at these distances from the middle, in pixels, which cover
# two periods of the coarsest usual stride.
_PROBES = range(-16, 16, 4)


@dataclass(frozen=True)
class Layer:
    """An output of a network, and the receptive fields of its cells.

    Attributes:
        name: of the output.
        channels: number of features of a cell.
        stride: pixels from one cell to the next.
        offset: pixel in the middle of the first cell's receptive field.
        leading: of a transformer, the tokens before those of its patches; None where the output is
            a map.
        trailing: and after them.
    """

    name: str
    channels: int
    stride: int
    offset: float
    leading: int | None = None
    trailing: int = 0

    def __post_init__(self) -> None:
        for key, limit in (("channels", _MAX_CHANNELS), ("stride", 1024)):
            value = getattr(self, key)
            if type(value) is not int or not 1 <= value <= limit:
                raise ValueError(f"the {key} of layer {self.name!r} are {value!r}")
        if not is_number(self.offset) or abs(self.offset) > 4 * self.stride:
            raise ValueError(f"the offset of layer {self.name!r} is {self.offset!r}")
        for n in (self.trailing, 0 if self.leading is None else self.leading):
            if type(n) is not int or not 0 <= n <= MOST_OTHERS:
                raise ValueError(f"layer {self.name!r} has {n!r} tokens that are no patches")

    @property
    def tokens(self) -> TokenGrid | None:
        """Which tokens are its cells; None where it is a map."""
        if self.leading is None:
            return None
        return TokenGrid(self.stride, self.leading, self.trailing)


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
    if not (names := list(layers or loaded.outputs)):
        raise ValueError("it has no output that is a map of features, or tokens of patches")
    found = _measure(loaded, names, preprocessing)
    if layers is None:
        found = usual_layers(found)
    if not 1 <= len(found) <= MAX_LAYERS:
        raise ValueError(f"choose from 1 to {MAX_LAYERS} layers, not {len(found)}")
    return tuple(sorted(found, key=lambda layer: layer.stride))


def usual_layers(layers: list[Layer]) -> list[Layer]:
    """Choose layers for patches: the last one of each usual stride; else all but the coarsest.

    Of a transformer up to two, those in its middle and at three quarters of its depth.
    """
    tokens = [layer for layer in layers if layer.tokens is not None]
    if len(tokens) > 2:
        return [tokens[math.ceil(depth * len(tokens)) - 1] for depth in _USUAL_DEPTHS]
    if tokens:
        return tokens
    last = {layer.stride: layer for layer in layers}
    usual = [last[stride] for stride in _USUAL_STRIDES if stride in last]
    return usual or sorted(last.values(), key=lambda layer: layer.stride)[:2]


def _measure(network: Network, names: list[str], preprocessing: Preprocessing) -> list[Layer]:
    """Measure each layer's grid, at the first size of image that the network can be measured at."""

    @functools.cache
    def run_once(shape: tuple[int, ...], pixels: bytes) -> list[np.ndarray]:
        image = np.frombuffer(pixels, np.uint8).reshape(shape)
        return network.run(preprocessing.apply(image), names)

    def run(image: np.ndarray) -> list[np.ndarray]:
        return run_once(image.shape, image.tobytes())

    sizes = _PROBE_SIZES if network.fixed_size is None else ((network.fixed_size, None),)
    failures: list[ValueError] = []
    for size, oblong in sizes:
        try:
            return _measure_at(run, names, size, oblong)
        except ValueError as error:
            failures.append(error)
    # Where it got further than to be run, that says more.
    raise next((error for error in failures if isinstance(error, _TokensError)), failures[0])


class _TokensError(ValueError):
    """A network has tokens, but they are not those of patches at a size that images may have."""


def _measure_at(
    run: Callable[[np.ndarray], list[np.ndarray]],
    names: list[str],
    size: tuple[int, int],
    oblong: tuple[int, int] | None,
) -> list[Layer]:
    grey = np.full((*size, 3), 128, np.uint8)
    usual = run(grey)
    is_map = [found.ndim == 3 for found in usual]
    offsets = _measure_offsets(run, grey, is_map) if any(is_map) else [0.0] * len(names)
    layers = []
    for index, (name, found) in enumerate(zip(names, usual, strict=True)):
        if is_map[index]:
            stride = max(1, round(size[0] / found.shape[1]))
            layers.append(Layer(name, len(found), stride, offsets[index]))
            continue
        try:
            grid = find_grid(lambda image, index=index: run(image)[index], size, oblong)
        except NetworkError as error:
            raise _TokensError(
                f"{error}; a network for images of one size must say so by its input's shape, such "
                "as (1, 3, 224, 224)"
            ) from error
        except ValueError as error:
            raise _TokensError(f"its output {name!r}: {error}") from error
        middle = (grid.patch - 1) / 2
        layers.append(Layer(name, found.shape[1], grid.patch, middle, grid.leading, grid.trailing))
    return layers


def _measure_offsets(
    run: Callable[[np.ndarray], list[np.ndarray]], grey: np.ndarray, is_map: list[bool]
) -> list[float]:
    """Measure the offset of each map by which cells respond to dots; 0 of what is no map.

    Paddings differ between networks, and between layers of one: the cells of torchvision's ResNet
    are centred on pixels 0, 8, 16, ..., those of Keras' MobileNet elsewhere.
    """
    height, width = grey.shape[:2]
    usual = run(grey)
    offsets = []
    for step in _PROBES:
        row, column = height // 2 + step, width // 2 + step
        dotted = grey.copy()
        dotted[row - 1 : row + 2, column - 1 : column + 2] = 255
        offsets.append(
            [
                _offset_from(before, after, (row, column), (height, width)) if measured else 0.0
                for measured, before, after in zip(is_map, usual, run(dotted), strict=True)
            ]
        )
    # Paddings and strides shift by half pixels at the finest.
    return [round(2 * float(np.mean(found))) / 2 for found in zip(*offsets, strict=True)]


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
