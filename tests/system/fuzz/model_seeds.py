"""A small model file of each kind, whose networks are made by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper

from helpers import tiny
from pyimagesearch.backbones.network import Backbone, make_backbone
from pyimagesearch.backbones.patch_features import BackboneMeans, BackbonePatches, ColourPatches
from pyimagesearch.data import series as series_data
from pyimagesearch.data.series_csv import read_series
from pyimagesearch.detectors.base import ImageDetector
from pyimagesearch.detectors.image.autoencoder import AutoencoderDetector
from pyimagesearch.detectors.image.denoising import DenoisingDetector
from pyimagesearch.detectors.image.gaussian import GaussianDetector
from pyimagesearch.detectors.image.isolation_forest import IsolationForestDetector
from pyimagesearch.detectors.image.knn import KnnDetector
from pyimagesearch.detectors.image.memory_bank import MemoryBankDetector
from pyimagesearch.detectors.image.patch_detector import PatchDetector
from pyimagesearch.detectors.image.patch_space import PatchPool
from pyimagesearch.detectors.image.subspace import SubspaceDetector
from pyimagesearch.detectors.series.window_autoencoder import Scaling, WindowAutoencoderDetector
from pyimagesearch.features import Extractor, HistogramFeatures, PixelFeatures
from pyimagesearch.labelling import capture_conditions
from pyimagesearch.labelling.image_groups import GroupRule, ImageGroups
from pyimagesearch.labelling.thresholds import Threshold
from pyimagesearch.training import series as series_training
from pyimagesearch.training.trained_model import Fit, TrainedModel

_SIDE = 16  # of what autoencoders take
_WINDOW = 24  # rows
_N_IMAGES = 12


def series_csv(n_rows: int = 400) -> bytes:
    """A daily rhythm of two columns, every half hour."""
    rng = np.random.default_rng(0)
    when = np.datetime64("2026-01-01") + np.arange(n_rows) * np.timedelta64(30, "m")
    rhythm = np.sin(np.arange(n_rows) / 48 * 2 * np.pi)
    values = np.stack([rhythm, -rhythm], axis=1) + rng.normal(0, 0.1, (n_rows, 2))
    rows = (f"{time},{a:.3f},{b:.3f}" for time, (a, b) in zip(when, values, strict=True))
    return "\n".join(["timestamp,value,other", *rows]).encode()


def make_image_models(folder: Path) -> None:
    """Write a model file for each kind of detector of images."""
    make_forest(folder)
    images = _images()
    backbone = make_backbone(tiny.network().SerializeToString(), None, {})
    colours, network = ColourPatches(64), BackbonePatches(backbone, 64)
    _write_whole(folder, images, backbone)
    for detector, extractor, name in (
        (MemoryBankDetector, colours, "bank"),
        (SubspaceDetector, colours, "subspace"),
        (GaussianDetector, colours, "gaussian"),
        (MemoryBankDetector, network, "network-bank"),
        (GaussianDetector, network, "network-gaussian"),
    ):
        _write_patches(folder / f"{name}.model", detector, extractor, images)
    _write_pixels(folder, images)


def make_forest(folder: Path) -> None:
    """Write ``forest.model``, which takes the least time of all."""
    images, extractor = _images(), HistogramFeatures()
    histograms = np.stack([extractor.extract(image) for image in images])
    forest = IsolationForestDetector.fit(
        histograms, seed=0, **IsolationForestDetector.fit_options(8, {"n_estimators": 5})
    )
    _save(folder / "forest.model", forest, extractor, forest.score(histograms), images)


def _images() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [tiny.part(rng, 64, 80) for _ in range(_N_IMAGES)]


def make_series_models(folder: Path) -> None:
    """Write a model file for each kind of detector of series, and the series itself."""
    (folder / "series.csv").write_bytes(series_csv())
    with open(folder / "series.csv", "rb") as file:
        series = read_series(file)
    grid = series.grid()
    scaling = Scaling.fit(grid.values)
    autoencoder = WindowAutoencoderDetector(_WINDOW, scaling, same((_WINDOW, 2)))
    scores, _ = autoencoder.score_rows(grid.values)
    for name, fit in (
        ("nearest-window", series_training.fit_nearest_window(grid, 0)),
        ("stream", series_training.fit_stream(series, 0)),
        ("window-autoencoder", Fit(autoencoder, scores, "for a test", scores, {})),
    ):
        preprocessing = {"timestamp_column": "timestamp", "value_columns": list(series.names)}
        threshold = Threshold("number", None, float(np.median(fit.training)))
        TrainedModel(
            fit,
            preprocessing,
            threshold,
            series_data.digest(grid.values),
            libraries=("numpy",),
            kind="series",
            items=("blocks", "scores"),
        ).save(str(folder / f"{name}.model"))


def same(shape: tuple[int, ...], more: int = 0) -> bytes:
    """An ONNX graph that gives back (n, *shape), with more channels at the end, likewise.

    It has the operators of Keras' exports.
    """
    n_channels = shape[-1]
    whole = ["n", *shape]
    weights = np.zeros((n_channels, n_channels + more), np.float32)
    weights[:, :n_channels] = np.eye(n_channels)
    weights[0, n_channels:] = 0.5
    nodes = [
        helper.make_node("MatMul", ["x", "weights"], ["product"]),
        helper.make_node("Relu", ["product"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "same",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, whole)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [*whole[:-1], n_channels + more])],
        [helper.make_tensor("weights", TensorProto.FLOAT, weights.shape, weights.ravel())],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    return model.SerializeToString()


def _write_whole(folder: Path, images: list[np.ndarray], backbone: Backbone) -> None:
    extractors = (HistogramFeatures(), BackboneMeans(backbone, 64))
    histograms, halves = (np.stack([e.extract(i) for i in images]) for e in extractors)
    for name, extractor, rows in zip(
        ("neighbours", "network-neighbours"), extractors, (histograms, halves), strict=True
    ):
        neighbours = KnnDetector.fit(rows, seed=0)
        scores = neighbours.score(rows)
        _save(folder / f"{name}.model", neighbours, extractor, scores, images)
        if extractor is extractors[0]:
            names = [str(number % 3) for number in range(len(scores))]
            groups = ImageGroups.fit(GroupRule(r"([0-9])[.]png"), names, scores, scores)
            groups = groups.with_thresholds([float(np.median(scores))] * 3)
            _save(folder / "groups.model", neighbours, extractor, scores, images, groups)


def _write_patches(
    path: Path,
    kind: type[PatchDetector],
    extractor: ColourPatches | BackbonePatches,
    images: list[np.ndarray],
) -> None:
    features = [extractor.extract(image) for image in images]
    patches = np.concatenate([f.reshape(-1, f.shape[2]) for f in features])
    owners = np.repeat(np.arange(len(images), dtype=np.int32), len(patches) // len(images))
    places = np.random.default_rng(0).random((len(patches), 2), np.float32)
    pool = PatchPool(patches, owners, places)
    detector = kind.fit(pool, groups=extractor.feature_groups, seed=0)
    if isinstance(detector, MemoryBankDetector):
        detector = detector.with_thumbnails(images)
    _save(path, detector, extractor, detector.score(features), images)


def _write_pixels(folder: Path, images: list[np.ndarray]) -> None:
    extractor = PixelFeatures(_SIDE, _SIDE, 3)
    pixels = np.stack([extractor.resize(image) for image in images])
    plain, more = same(extractor.shape), same(extractor.shape, more=1)
    for name, detector in (
        ("components", AutoencoderDetector.fit(pixels, latent_dim=4)),
        ("autoencoder", AutoencoderDetector.fit(pixels, latent_dim=4, network=plain)),
        ("denoising", DenoisingDetector.fit(pixels, more, pixels[:4])),
    ):
        _save(folder / f"{name}.model", detector, extractor, detector.score_pixels(pixels), images)


def _save(
    path: Path,
    detector: ImageDetector,
    extractor: Extractor,
    scores: np.ndarray,
    images: list[np.ndarray],
    groups: ImageGroups | None = None,
) -> None:
    TrainedModel(
        Fit(detector, scores, "for a test", scores, {}),
        extractor.settings(),
        Threshold("number", None, float(np.median(scores))),
        "0" * 64,
        libraries=("numpy",),
        feature_networks=extractor.networks(),
        capture_conditions=capture_conditions.from_images(iter(images), len(images)),
        groups=groups,
    ).save(str(path))
