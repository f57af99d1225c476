"""EfficientNet-Lite written down plainly: nothing is folded, convolutions are sums."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

Weights = Mapping[str, np.ndarray]
# Repeats and first stride of each stage up to stride 16: table 1 of the paper.
_STAGES = ((1, 1), (2, 2), (2, 2), (3, 2), (3, 1))


def layers(image: np.ndarray, weights: Weights) -> dict[str, np.ndarray]:
    """(3, height, width) -> the last output of strides 4, 8 and 16 of size 0."""
    found: dict[str, np.ndarray] = {}
    x = relu6(norm(convolve(image, weights["_conv_stem.weight"], 2), weights, "_bn0"))
    stride, number = 2, 0
    for repeats, first_stride in _STAGES:
        for repeat in range(repeats):
            step = first_stride if repeat == 0 else 1
            y = bottleneck(x, weights, f"_blocks.{number}.", step)
            x = y if repeat == 0 else x + y
            number, stride = number + 1, stride * step
        found[f"stride{stride}"] = x
    found.pop("stride2")
    return found


def bottleneck(x: np.ndarray, weights: Weights, block: str, stride: int) -> np.ndarray:
    if f"{block}_expand_conv.weight" in weights:
        x = convolve(x, weights[f"{block}_expand_conv.weight"], 1)
        x = relu6(norm(x, weights, f"{block}_bn0"))
    x = convolve(x, weights[f"{block}_depthwise_conv.weight"], stride)
    x = relu6(norm(x, weights, f"{block}_bn1"))
    return norm(convolve(x, weights[f"{block}_project_conv.weight"], 1), weights, f"{block}_bn2")


def convolve(x: np.ndarray, kernel: np.ndarray, stride: int) -> np.ndarray:
    """As TensorFlow pads: an output for every ``stride`` pixels, more zeros at the end."""
    size = kernel.shape[2]
    out = [-(-side // stride) for side in x.shape[1:]]
    pads = [max((n - 1) * stride + size - s, 0) for n, s in zip(out, x.shape[1:], strict=True)]
    x = np.pad(x, [(0, 0), *((p // 2, p - p // 2) for p in pads)])
    result = np.zeros((len(kernel), *out))
    for i in range(size):
        for j in range(size):
            seen = x[:, i:, j:][:, : stride * out[0] : stride, : stride * out[1] : stride]
            taps = kernel[:, :, i, j]
            if kernel.shape[1] == 1 and len(kernel) == len(x):
                result += taps[:, 0, None, None] * seen
            else:
                result += np.tensordot(taps, seen, 1)
    return result


def norm(x: np.ndarray, weights: Weights, name: str) -> np.ndarray:
    mean, variance, scale, shift = (
        weights[f"{name}.{part}"][:, None, None].astype(float)
        for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / np.sqrt(variance + 1e-3) * scale + shift


def relu6(x: np.ndarray) -> np.ndarray:
    return np.clip(x, 0, 6)
