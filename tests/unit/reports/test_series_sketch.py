"""Claims about small plots of series."""

import json

import numpy as np
import pytest

from pyimagesearch.labelling.series import Range
from pyimagesearch.reports.series_sketch import SMALL, Sketch

HEIGHT = SMALL[1]


def test_no_spike_is_lost_and_none_is_added():
    values = np.zeros(100_000)
    values[[777, 60_001]] = 1, -1
    sketch = Sketch.draw(values, SMALL)
    assert sketch.width == SMALL[0]
    at = lambda row: row * SMALL[0] // len(values)  # noqa: E731
    assert sketch.high[at(777)] == 1
    assert sketch.low[at(60_001)] == HEIGHT - 1
    assert sum(np.array(sketch.low) - sketch.high > 1) <= 4  # and the lines that lead back
    assert (sketch.lowest, sketch.highest) == (-1, 1)


def test_the_line_is_one_and_is_interrupted_where_nothing_is_known():
    values = np.sin(np.arange(5000) / 200)
    values[1000:1400] = np.nan
    sketch = Sketch.draw(values, SMALL)
    missing = np.array(sketch.low) < 0
    assert missing.sum() == pytest.approx(400 / 5000 * SMALL[0], abs=2)
    low, high = np.array(sketch.low), np.array(sketch.high)
    both = ~missing[1:] & ~missing[:-1]
    assert (high[1:] <= low[:-1] + 1)[both].all()
    assert (low[1:] + 1 >= high[:-1])[both].all()
    assert sketch.path.count("M") == (~missing).sum()


@pytest.mark.parametrize("values", [[3.0], [3.0, 3.0], [np.nan, 1.0], [np.nan], [1e300, -1e300]])
def test_whatever_the_values_there_is_a_drawing(values):
    sketch = Sketch.draw(np.array(values), SMALL, threshold=2.0)
    assert all(-1 <= end <= HEIGHT for end in (*sketch.low, *sketch.high))
    assert 0 <= sketch.line <= HEIGHT


def test_a_range_is_marked_where_it_is_and_wide_enough_to_be_seen():
    sketch = Sketch.draw(np.arange(2400.0), SMALL)
    one = Range("", "", "", 1.0, 0.1, (1200, 1319))
    assert sketch.mark(one) == (120.0, 12.0)
    x, width = sketch.mark(Range("", "", "", 1.0, 0.1, (2399, 2399)))
    assert width >= 2
    assert x + width <= SMALL[0]


def test_a_sketch_of_a_file_is_checked():
    sketch = Sketch.draw(np.arange(50.0), SMALL)
    fields = json.loads(json.dumps(sketch.to_json()))
    assert Sketch.from_json(fields) == sketch
    for change in (
        {"low": ['"/><script>']},
        {"low": [1]},
        {"high": 3},
        {"height": "1"},
        {"lowest": None},
        {"n_rows": 0},
        {"line": "x"},
        {"more": 1},
    ):
        with pytest.raises(ValueError, match="not a sketch"):
            Sketch.from_json(fields | change)
