"""Claims about the stream detector on the Numenta Anomaly Benchmark, which needs the real data."""

import numpy as np
import pytest

from benchmarks import nab
from benchmarks.nab_score import nab_score
from pyimagesearch.detectors.series.stream import DEFAULT_THRESHOLD, UNITS, StreamDetector


@pytest.fixture(scope="module")
def recordings(data):
    return nab.load(data / "nab")


def test_one_threshold_for_all_series_beats_the_detectors_published_with_them(data, recordings):
    files = {name: recording.worth for name, recording in recordings.items()}
    scores, _ = nab.run(recordings)
    assert nab_score(files, scores) >= 74
    at_default = nab_score(files, scores, threshold=DEFAULT_THRESHOLD)
    published = nab.published(data / "nab", recordings)
    best_of_each = [nab_score(files, outputs) for outputs in published.values()]
    assert len(best_of_each) == 3
    assert at_default > max(best_of_each)


def test_the_benchmark_rests_as_the_detector_does(recordings):
    recording = recordings["realTweets/Twitter_volume_AAPL.csv"]
    detector = StreamDetector(warm_up=recording.warm_up)
    scores, found = detector.explain(recording.times, recording.values)
    strength = (found[:, 0] * (1 / np.array(UNITS))).max(axis=1)
    assert (scores > 0).sum() > 5
    assert nab.rested(strength, recording.warm_up, 0.2).tolist() == scores.tolist()
