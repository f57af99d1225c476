"""Networks: crafted graphs, and whole ones whose fields were changed, opened and run."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np

from helpers import tiny
from pyimagesearch.backbones.layers import measure_layers
from pyimagesearch.backbones.network import Backbone, open_backbone
from pyimagesearch.backbones.onnx_graph import open_autoencoder
from pyimagesearch.backbones.patch_features import BackbonePatches
from pyimagesearch.backbones.preprocessing import Preprocessing
from pyimagesearch.data.images import ImageError
from pyimagesearch.runtime.limits import NetworkLimitError
from tests.system.fuzz import graphs, random_graphs
from tests.system.fuzz.case import Case, Finding, Target
from tests.system.fuzz.graph_chains import Chain
from tests.system.fuzz.model_seeds import same

_BOMB = 1 / 300  # of all cases: they take seconds
_SHAPE = (16, 16, 3)  # of what autoencoders take
_OPTIONS = (
    b"{}",
    b'{"colours": "bgr", "scale": 1e-300}',
    b'{"mean": [1e308, 0, 0]}',
    b"[",
    b"\xff",
)


def make_seeds(folder: Path) -> None:
    (folder / "backbone.onnx").write_bytes(tiny.network().SerializeToString())
    last = tiny.network(channels_last=True).SerializeToString()
    (folder / "last.onnx").write_bytes(last)
    (folder / "fixed.onnx").write_bytes(tiny.network(size=64).SerializeToString())
    (folder / "autoencoder.onnx").write_bytes(same(_SHAPE))


def load_seeds(folder: Path) -> dict[str, bytes]:
    return {path.stem: path.read_bytes() for path in sorted(folder.iterdir())}


def attack(seeds: dict[str, bytes], case: Case) -> None:
    rng = case.rng
    name = rng.choice((*seeds, "random", "random", "chain", "chain"))
    if case.chance(_BOMB):
        name, data = "bomb", random_graphs.bomb(rng)
    else:
        data = _whole(name, seeds, rng)
        if name in seeds or case.chance(0.2):
            data = graphs.mutated(rng, data)
    path = case.write("crafted.onnx", data)
    if name == "autoencoder":
        run = open_autoencoder(data, _SHAPE)
        _check(run(np.full((1, *_SHAPE), 0.5, np.float32)))
        return
    if case.chance(0.03):
        text = case.value("text").encode("utf-8", "replace")
        case.write("crafted.json", rng.choice((*_OPTIONS, text)))
        backbone = open_backbone(path)  # in another process, which takes longer
    else:
        usual = Preprocessing()
        backbone = Backbone(data, usual, measure_layers(data, None, usual))
    picture = tiny.part(np.random.default_rng(0), 64, 96)
    extractor = BackbonePatches(backbone, 64)
    if extractor.extract(picture).shape[2] != extractor.length:
        raise Finding("another number of features than there should be")


def _whole(name: str, seeds: dict[str, bytes], rng: random.Random) -> bytes:
    if name == "random":
        return random_graphs.random_graph(rng)
    if name == "chain":
        chain = Chain(rng)
        return random_graphs.written(chain.nodes, chain.weights, chain.last, 17)
    return seeds[name]


def _check(found: np.ndarray) -> None:
    if not isinstance(found, np.ndarray) or not found.size:
        raise Finding(f"a network returns {found!r:.100}")


# What is refused is so in sentences, as ``ValueError``; callers name the file. A worker process
# that gets no more memory ends, and its caller says so.
_REFUSALS = (ValueError, ImageError, NetworkLimitError, MemoryError)
TARGET = Target("graphs", _REFUSALS, make_seeds, load_seeds, attack, ("text",))
