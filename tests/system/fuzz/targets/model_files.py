"""Model files of every kind, changed with digests that fit; what loads, labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from helpers import tiny
from pyimagesearch.backbones.onnx_graph import NetworkError
from pyimagesearch.data.followed_lines import WholeFile
from pyimagesearch.data.followed_rows import FollowedRows
from pyimagesearch.data.series import SeriesError
from pyimagesearch.data.series_csv import read_series
from pyimagesearch.detectors import model_file, registry
from pyimagesearch.detectors.model_file import ModelFileError
from pyimagesearch.labelling.batch_shift import Batch
from pyimagesearch.labelling.images import Labeller
from pyimagesearch.labelling.series import Range, SeriesLabeller
from pyimagesearch.labelling.stream import Follower, Order
from pyimagesearch.labelling.thresholds import RateError, ThresholdRule
from pyimagesearch.labelling.verdict import ANOMALY, UNREADABLE, Verdict
from pyimagesearch.reports import drawing
from pyimagesearch.runtime.limits import NetworkLimitError
from tests.system.fuzz import model_seeds
from tests.system.fuzz.case import Case, Finding, Target, check_finite
from tests.system.fuzz.model_changes import Content, changed

_NEAR = 1e-3
_PICTURES = ((64, 80), (33, 90), (1, 1))  # heights and widths


@dataclass(frozen=True)
class Seeds:
    """Whole model files, and what they label.

    Attributes:
        models: of them.
        folder: with the images.
        series: CSV.
    """

    models: list[Content]
    folder: Path
    series: Path


def make_seeds(folder: Path) -> None:
    model_seeds.make_image_models(folder)
    model_seeds.make_series_models(folder)
    rng = np.random.default_rng(1)
    for number, size in enumerate(_PICTURES):
        cv2.imwrite(str(folder / f"{number}.png"), tiny.part(rng, *size))


def load_seeds(folder: Path) -> Seeds:
    models = [Content.read(path.read_bytes()) for path in sorted(folder.glob("*.model"))]
    return Seeds(models, folder, folder / "series.csv")


def attack(seeds: Seeds, case: Case) -> None:
    content = case.rng.choice(seeds.models)
    path = case.write("changed.model", changed(case, content, seeds.models))
    model = model_file.load_model(path)
    if model.manifest.get("kind") == "series":
        _label_series(SeriesLabeller.from_model(model), model, seeds, case)
    else:
        labeller = Labeller.from_model(model)
        labeller.open_networks()
        _label_images(labeller, seeds, case)


def _label_images(labeller: Labeller, seeds: Seeds, case: Case) -> None:
    paths = [str(seeds.folder / f"{number}.png") for number in range(len(_PICTURES))]
    verdicts = labeller.label_batch(paths)
    batch = Batch(labeller.calibration, labeller.conditions)
    for verdict in verdicts:
        if verdict.label == UNREADABLE:
            if not verdict.reason:
                raise Finding("unreadable without a reason")
            continue
        check_finite(verdict.label, verdict.score, verdict.p_value)
        for _ in range(10):
            batch.add(verdict.score, verdict.conditions)
        if case.chance(0.3):
            _show(labeller, verdict)
    batch.notices()
    _choose(labeller.calibration, labeller.training, None, case)
    if labeller.groups is not None:
        check_finite("ranks of groups", *labeller.groups.ranks())


def _show(labeller: Labeller, verdict: Verdict) -> None:
    """What pictures and pages show of an image."""
    labeller = labeller.for_image(verdict.image)
    drawing.draw_labelled(labeller, verdict)
    data = Path(verdict.image).read_bytes()
    image, features = labeller.decode(data)
    heat = labeller.heat(image, features)
    if heat.shape != image.shape[:2]:
        raise Finding(f"a heat map of {heat.shape}")
    # What lies at the threshold is left to rounding.
    if abs(labeller.relative(verdict.score) - 1) > _NEAR and np.isfinite(heat).all():
        is_usual = np.median(labeller.training) < labeller.threshold
        if is_usual and (heat.max() > 1) != (verdict.label == ANOMALY):
            raise Finding(f"heat up to {heat.max()}: {verdict.label}")
    labeller.score_map(data)
    labeller.nearest(features)


def _choose(
    calibration: np.ndarray, training: np.ndarray, contamination: float | None, case: Case
) -> None:
    rule = ThresholdRule(*case.rng.choice((("max", None), ("quantile", 0.9), ())))
    try:
        chosen = rule.choose(calibration, training, block_contamination=contamination)
    except RateError:
        return
    check_finite("a threshold", chosen.value)


def _label_series(
    labeller: SeriesLabeller, model: model_file.ModelFile, seeds: Seeds, case: Case
) -> None:
    with open(seeds.series, "rb") as file:
        if labeller.causal is not None and case.chance(0.5):
            follower = Follower(labeller, labeller.threshold, Order.from_manifest(model.manifest))
            for row in FollowedRows(WholeFile(file), None, None, labeller.learned):
                found = follower.judge(row)
                if found is not None and found.score is not None:
                    check_finite("a row", found.score, found.p_value)
            _save_again(labeller, model, case)
            return
        series = read_series(file, None, None, labeller.learned)
    scored = labeller.label(series, series.grid())
    for score in scored.scores[~np.isnan(scored.scores)]:
        check_finite("a row", score)
    if len(scored.labels(labeller.threshold)) != len(series.values):
        raise Finding("not as many labels as rows")
    strangest = scored.strangest_below(labeller.threshold, 5)
    for found in (*scored.ranges(labeller.threshold), *strangest):
        _check_range(found)
    _choose(labeller.calibration, labeller.training, labeller.contamination, case)


def _check_range(found: Range) -> None:
    if found.score is not None:
        check_finite("a range", found.score, found.p_value)


def _save_again(labeller: SeriesLabeller, model: model_file.ModelFile, case: Case) -> None:
    """What --save-state does: its model must be one again."""
    manifest = {key: value for key, value in model.manifest.items() if key != "members"}
    manifest["detector"] = registry.describe(labeller.detector)
    arrays = model.arrays | registry.array_members(labeller.detector)
    path = str(case.folder / "again.model")
    model_file.save_model(path, manifest, arrays, model.networks)
    try:
        SeriesLabeller.from_model(model_file.load_model(path))
    except ModelFileError as error:
        raise Finding(f"its own state is refused: {error}") from error


TARGET = Target(
    "models",
    (ModelFileError, NetworkError, NetworkLimitError, SeriesError),
    make_seeds,
    load_seeds,
    attack,
    values=("json", "number", "text"),
)
