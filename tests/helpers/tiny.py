"""A tiny network, made by the tests themselves, and pictures of a part to learn from."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from helpers.lazy import Lazy

onnx, helper, numpy_helper = map(Lazy, ("onnx", "onnx.helper", "onnx.numpy_helper"))

# Two layers like those of a pretrained network: names, channels, strides.
CHANNELS = {"fine": 8, "coarse": 12}


def network(channels_last: bool = False, size: object = None) -> onnx.ModelProto:
    """Random convolutions with strides 8 and 16."""
    rng = np.random.default_rng(0)
    weights = [
        numpy_helper.from_array(rng.standard_normal(shape).astype(np.float32) * 0.3, name)
        for name, shape in (("w1", (8, 3, 9, 9)), ("w2", (12, 8, 3, 3)))
    ]
    sides = [size or "h", size or "w"]
    nodes, first = [], "picture"
    if channels_last:
        nodes.append(helper.make_node("Transpose", ["picture"], ["first"], perm=[0, 3, 1, 2]))
        first = "first"
    outputs = ["fine_first", "coarse_first"] if channels_last else list(CHANNELS)
    nodes += [
        helper.make_node("Conv", [first, "w1"], ["c1"], strides=[8, 8], pads=[1, 1, 0, 0]),
        helper.make_node("Relu", ["c1"], [outputs[0]]),
        helper.make_node("Conv", [outputs[0], "w2"], ["c2"], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c2"], [outputs[1]]),
    ]
    if channels_last:
        nodes += [
            helper.make_node("Transpose", [inside], [name], perm=[0, 2, 3, 1])
            for inside, name in zip(outputs, CHANNELS, strict=True)
        ]
    shape = [1, *sides, 3] if channels_last else [1, 3, *sides]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("picture", onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in CHANNELS],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    return model


def transformer(
    patch: int = 14,
    leading: int = 1,
    trailing: int = 0,
    depth: int = 1,
    size: int | None = None,
    fixed_positions: int | None = None,
    columns_first: bool = False,
) -> onnx.ModelProto:
    """A vision transformer's tokens: random patches that also know of the others.

    Args:
        patch: pixels of a patch's side.
        leading, trailing: tokens that are no patches.
        depth: number of outputs, block1, block2 ...; a last one, pooled, is no grid.
        size: side of the images that it says it takes; None for any.
        fixed_positions: side of those that it has positions for; None for any.
        columns_first: whether its patches are in an unusual order.
    """
    rng, n_channels = np.random.default_rng(0), 12
    weights = {
        "patches": rng.standard_normal((n_channels, 3, patch, patch)) / patch,
        "leading": rng.standard_normal((1, leading, n_channels)),
        "trailing": rng.standard_normal((1, trailing, n_channels)),
        "mixing": rng.standard_normal((n_channels, n_channels)) / n_channels**0.5,
    }
    node = helper.make_node
    order = [0, 1, 3, 2] if columns_first else [0, 1, 2, 3]
    nodes = [
        node("Conv", ["picture", "patches"], ["cells"], strides=[patch, patch]),
        node("Transpose", ["cells"], ["ordered"], perm=order),
        node("Reshape", ["ordered", "flat_shape"], ["flat"]),
        node("Transpose", ["flat"], ["sequence"], perm=[0, 2, 1]),
        node("Concat", ["leading", "sequence", "trailing"], ["all"], axis=1),
    ]
    last = "all"
    if fixed_positions is not None:
        n_tokens = (fixed_positions // patch) ** 2 + leading + trailing
        weights["positions"] = rng.standard_normal((1, n_tokens, n_channels))
        nodes.append(node("Add", [last, "positions"], ["placed"]))
        last = "placed"
    for number in range(1, depth + 1):
        block = f"block{number}"
        nodes += [
            node("MatMul", [last, "mixing"], [f"{block}_mixed"]),
            node("Tanh", [f"{block}_mixed"], [f"{block}_own"]),
            node("ReduceMean", [f"{block}_own"], [f"{block}_others"], axes=[1]),
            node("Add", [f"{block}_own", f"{block}_others"], [block]),
        ]
        last = block
    nodes.append(node("ReduceMean", [last], ["pooled"], axes=[1], keepdims=0))
    sides = [size, size] if size else ["h", "w"]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "transformer",
        [value("picture", onnx.TensorProto.FLOAT, [1, 3, *sides])],
        [
            *(value(f"block{n}", onnx.TensorProto.FLOAT, None) for n in range(1, depth + 1)),
            value("pooled", onnx.TensorProto.FLOAT, [1, n_channels]),
        ],
        [
            *(numpy_helper.from_array(a.astype(np.float32), name) for name, a in weights.items()),
            numpy_helper.from_array(np.array([1, n_channels, -1]), "flat_shape"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    return model


def write_network(path: Path, **options: object) -> Path:
    path.write_bytes(network(**options).SerializeToString())
    return path


def part(rng: np.random.Generator, height: int = 150, width: int = 200) -> np.ndarray:
    """A grey disc with a bright ring on a dark table, with the camera's noise."""
    picture = np.full((height, width, 3), 60, np.uint8)
    middle, radius = (width // 2, height // 2), min(height, width) // 3
    cv2.circle(picture, middle, radius, (150, 150, 150), -1, cv2.LINE_AA)
    cv2.circle(picture, middle, radius // 2, (200, 200, 200), max(2, radius // 12), cv2.LINE_AA)
    noisy = picture + rng.normal(0, 3, picture.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def scratched(picture: np.ndarray, at: tuple[int, int], length: int = 12) -> np.ndarray:
    """The picture with a dark red scratch in the middle of which is the pixel ``at`` (y, x)."""
    found = picture.copy()
    y, x = at
    ends = ((x - length // 2, y - length // 2), (x + length // 2, y + length // 2))
    cv2.line(found, *ends, (20, 20, 120), 4, cv2.LINE_AA)
    return found


def write_parts(folder: Path, count: int, seed: int = 0, scratch: bool = False) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for number in range(count):
        picture = part(rng)
        if scratch:
            picture = scratched(picture, (rng.integers(60, 90), rng.integers(80, 120)))
        cv2.imwrite(str(folder / f"{number:03}.png"), picture)
    return folder
