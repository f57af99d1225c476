"""PatchCore as it is published, with nothing added: what the benchmarks compare cost with.

  python -m benchmarks.plain_patchcore learn NETWORK FOLDER MODEL [SIZE]
  python -m benchmarks.plain_patchcore label NETWORK MODEL IMAGE...

PatchCore (Roth et al., CVPR 2022): layers 2 and 3 of a network at 256 x 256 pixels, averaged over
3 x 3 cells, a random bank of SIZE patches, the distance to the nearest. The toolkit adds
colours, calibration and a threshold to it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

import cv2
import numpy as np
import onnxruntime

_SIDE = 256
_MEAN, _STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def open_network(path: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def patches(network: onnxruntime.InferenceSession, path: str) -> np.ndarray:
    """(1024, 384) float32 of one image."""
    image = cv2.resize(cv2.imread(path), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    normalised = ((image[:, :, ::-1] / 255 - _MEAN) / _STD).astype(np.float32).transpose(2, 0, 1)
    inputs = {network.get_inputs()[0].name: np.ascontiguousarray(normalised[None])}
    fine, coarse = (averaged(found[0]) for found in network.run(["layer2", "layer3"], inputs))
    larger = cv2.resize(np.eye(coarse.shape[1], dtype=np.float32), (coarse.shape[1], len(fine[0])))
    coarse = larger @ coarse @ larger.T
    return np.concatenate([fine, coarse]).reshape(len(fine) + len(coarse), -1).T


def averaged(values: np.ndarray) -> np.ndarray:
    """(channels, rows, columns): the mean of each cell and its eight neighbours, padded with 0."""
    for axis in (1, 2):
        padding = [(0, 0), (0, 0), (0, 0)]
        padding[axis] = (1, 1)
        padded = np.pad(values, padding)
        ends = [np.take(padded, np.arange(values.shape[axis]) + i, axis) for i in range(3)]
        values = (ends[0] + ends[1] + ends[2]) / np.float32(3)
    return values


def learn(network: str, folder: Iterable[str], size: int) -> np.ndarray:
    opened = open_network(network)
    found = np.concatenate([patches(opened, path) for path in folder])
    return found[np.random.default_rng(0).choice(len(found), size, replace=False)]


def scores(network: str, bank: np.ndarray, paths: Iterable[str]) -> Iterator[float]:
    opened = open_network(network)
    squares = np.einsum("ij,ij->i", bank, bank)
    for path in paths:
        own = patches(opened, path)
        squared = np.einsum("ij,ij->i", own, own)[:, None] - 2 * own @ bank.T + squares
        yield float(np.sqrt(max(squared.min(axis=1).max(), 0)))


def main(command: str, network: str, *arguments: str) -> None:
    if command == "learn":
        from pyimagesearch.data.images import list_images

        folder, model, *size = arguments
        np.save(model, learn(network, list_images(folder), int(*size or [2_000])))
    else:
        for score in scores(network, np.load(arguments[0]), arguments[1:]):
            print(score)


if __name__ == "__main__":
    main(*sys.argv[1:])
