"""Claims about judged series of many."""

import json
from dataclasses import replace

import pytest

from pyimagesearch.labelling.many_series import JudgedSeries
from pyimagesearch.labelling.series import Range
from pyimagesearch.labelling.verdict import NORMAL

FOUND = Range("a", "b", "a", 3.0, 0.01, (2, 5))
BELOW = replace(FOUND, score=1.0, p_value=0.5, label=NORMAL)


def test_series_are_compared_by_p_values_and_then_by_the_score_over_the_threshold():
    one = JudgedSeries("x", threshold=2.0, found=(FOUND,), others=(BELOW,))
    stranger = replace(one, found=(replace(FOUND, p_value=0.001, score=2.1),))
    of_smaller_unit = replace(one, threshold=0.5)
    nothing = replace(one, found=(), others=())
    ranked = sorted([nothing, one, of_smaller_unit, stranger], key=lambda series: series.rank)
    assert ranked == [stranger, of_smaller_unit, one, nothing]


def test_what_a_journal_says_is_checked():
    judged = JudgedSeries("x", None, "columns", ("note",), 2.0, 9, 1, "a", "z", (FOUND,), (BELOW,))
    fields = json.loads(json.dumps(judged.to_json()))
    assert JudgedSeries.from_json(fields) == judged
    for change in (
        {"name": 3},
        {"problem": 3},
        {"notes": [3]},
        {"notes": 3},
        {"threshold": "2"},
        {"n_judged": -1},
        {"found": [3]},
        {"found": [fields["found"][0] | {"score": None}]},
        {"found": [fields["found"][0] | {"rows": [5, 2]}]},
        {"found": [fields["found"][0] | {"unknown": 1}]},
        {"others": None},
        {"unknown": 1},
    ):
        with pytest.raises(ValueError, match="not a judged series"):
            JudgedSeries.from_json(fields | change)
