"""The model's own evidence: defects made on training images."""

from __future__ import annotations

import re

import numpy as np
import pytest

from pyimagesearch.runtime import console
from pyimagesearch.training.made_defects import report_made_defects


@pytest.mark.parametrize(("n_found", "warns"), [(30, False), (15, False), (14, True), (0, True)])
def test_how_many_are_found_is_said_with_an_interval_and_few_are_a_warning(capsys, n_found, warns):
    console.configure(quiet=False, log_time=False)
    scores = np.array([2.0] * n_found + [0.5] * (30 - n_found))
    report_made_defects(scores, 1.0, np.linspace(0, 1, 200), side=256)
    said = capsys.readouterr().err
    assert f"would find {n_found}: {n_found / 30:.0%} (95% interval" in said
    low, high = map(int, re.search(r"interval: (\d+)% to (\d+)%", said).groups())
    assert low <= 100 * n_found / 30 <= high
    assert ("would miss most small defects" in said) == warns


def test_where_nothing_was_made_nothing_is_said(capsys):
    report_made_defects(np.empty(0), 1.0, np.linspace(0, 1, 200), side=256)
    assert capsys.readouterr().err == ""


def warning(capsys, scores, threshold, calibration, side=256):
    console.configure(quiet=True, log_time=False)
    report_made_defects(np.array(scores), threshold, np.array(calibration), side)
    return capsys.readouterr().err


def test_the_warning_says_what_a_higher_rate_would_find(capsys):
    calibration = np.linspace(0, 1, 200)
    said = warning(capsys, [0.97] * 3 + [0.92] * 4 + [0.1] * 23, 1.0, calibration)
    assert "--false-alarm-rate, which finds 3 with 0.05, 7 with 0.1, 7 with 0.2" in said
    assert "up to 0.2, which finds no more" in warning(capsys, [0.1] * 30, 1.0, calibration)


def test_the_warning_proposes_only_what_is_left_to_try(capsys):
    many, few = np.linspace(0, 1, 200), np.linspace(0, 1, 20)
    said = warning(capsys, [0.1] * 30, 1.0, many)
    assert "--image-size 384" in said
    assert "more images" not in said
    assert "unlike the rest" not in said
    assert "--image-size" not in warning(capsys, [0.1] * 30, 1.0, many, side=384)
    assert "--image-size" not in warning(capsys, [0.1] * 30, 1.0, many, side=None)
    assert "more images" in warning(capsys, [0.1] * 30, 1.0, few)


def test_strange_training_images_that_keep_the_threshold_high_are_named_as_its_cause(capsys):
    calibration = np.append(np.linspace(0, 1, 197), [3, 4, 5])
    said = warning(capsys, [2.0] * 30, 4.0, calibration)
    assert "look unlike the rest (3 of 200)" in said
    assert "finds 30 with 0.05" in said
    assert "--audit" in said
