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
    report_made_defects(scores, threshold=1.0)
    said = capsys.readouterr().err
    assert f"would find {n_found}: {n_found / 30:.0%} (95% interval" in said
    low, high = map(int, re.search(r"interval: (\d+)% to (\d+)%", said).groups())
    assert low <= 100 * n_found / 30 <= high
    assert ("would miss most small defects" in said) == warns


def test_where_nothing_was_made_nothing_is_said(capsys):
    report_made_defects(np.empty(0), threshold=1.0)
    assert capsys.readouterr().err == ""
