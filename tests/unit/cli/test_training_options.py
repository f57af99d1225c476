"""The options of train_anomaly_detector.py, parsed."""

from __future__ import annotations

import dataclasses

import pytest

from pyimagesearch.cli import training_options
from pyimagesearch.cli.training_options import ImageTraining, SeriesTraining
from pyimagesearch.labelling.thresholds import ThresholdRule
from pyimagesearch.training.image_features import BackboneOptions


def parse(*argv: str) -> ImageTraining | SeriesTraining:
    return training_options.parse(None, ["--model", "my.model", *argv])


@pytest.mark.parametrize("name", ["nearest-window", "ensemble"])
def test_the_method_of_series_has_two_names_and_one_value(name):
    assert parse("-d", "a.csv", "--method", name) == parse("-d", "a.csv")
    assert parse("-d", "a.csv").recipe.method == "nearest-window"


def test_the_usual_method_of_images_has_a_network_and_the_forest_has_none():
    usual, forest = parse("-d", "photos"), parse("-d", "photos", "--method", "forest")
    assert usual.recipe.method == "auto"
    assert usual.recipe.features.backbone == BackboneOptions("efficientnet-lite0")
    assert forest.recipe.features.backbone is None
    without = parse("-d", "photos", "--method", "memory-bank", "--no-backbone")
    assert without.recipe.features.backbone is None
    assert parse("-d", "photos", "--update", "my.model").recipe.features.backbone is None


def test_options_cannot_be_changed_once_they_are_parsed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        parse("-d", "photos").recipe.method = "knn"


def test_the_options_of_a_network_are_one_value():
    options = parse("-d", "photos", "--backbone", "a.onnx", "--layers", "b", "c", "--scale", "2")
    backbone = options.recipe.features.backbone
    assert backbone == BackboneOptions("a.onnx", layers=("b", "c"), scale=2.0)


@pytest.mark.parametrize(
    ("argv", "rule"),
    [
        ((), ThresholdRule()),
        (("-t", "0.5"), ThresholdRule("number", 0.5)),
        (("-t", "max"), ThresholdRule("max")),
        (("--quantile", "0.9"), ThresholdRule("quantile", 0.9)),
        (("-t", "quantile", "--quantile", "0.9"), ThresholdRule("quantile", 0.9)),
        (("--method", "forest", "--contamination", "0.2"), ThresholdRule()),
        (("-t", "contamination", "--contamination", "0.2"), ThresholdRule("contamination", 0.2)),
        (("--contamination", "0.2"), ThresholdRule()),
        (("--contamination", "0", "--false-alarm-rate", "0.1"), ThresholdRule(parameter=0.1)),
    ],
)
def test_the_threshold_options_become_one_rule(argv, rule):
    assert parse("-d", "photos", *argv).recipe.rule == rule


def test_a_share_of_anomalies_is_about_the_images_unless_a_threshold_is_chosen_by_it():
    assert parse("-d", "photos").contamination is None
    assert parse("-d", "photos", "--contamination", "0.2").contamination == 0.2
    assert parse("-d", "photos", "--contamination", "0").contamination == 0
    forest = ("-d", "photos", "--method", "forest", "--contamination", "0.2")
    assert parse(*forest).contamination == 0.2
    assert parse(*forest, "--threshold", "contamination").contamination == 0


def test_a_stream_has_a_usual_threshold_of_its_own():
    assert parse("-d", "a.csv", "--method", "stream").recipe.rule == ThresholdRule("number", 1.0)
