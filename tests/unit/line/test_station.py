"""A station notices drift odd light, and bounds false discoveries, for the model that judges."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from pyimagesearch.cli.line_options import EventOptions
from pyimagesearch.cli.line_station import make_station, open_record
from pyimagesearch.labelling import thresholds
from pyimagesearch.labelling.capture_conditions import NAMES
from pyimagesearch.labelling.images import Labeller
from pyimagesearch.labelling.verdict import ANOMALY, NORMAL, Verdict
from pyimagesearch.line.event_record import IMAGE, OVERLAY
from pyimagesearch.line.judging import Finding
from pyimagesearch.line.station import Station
from pyimagesearch.runtime.console import UserError

RNG = np.random.default_rng(0)
KNOWN = RNG.normal(size=100), RNG.normal(size=(80, len(NAMES))).astype(np.float32)


def labeller(model: str = "a model", conditions: np.ndarray | None = KNOWN[1]) -> Labeller:
    return Labeller(None, None, KNOWN[0], KNOWN[0], 9.0, sha256=model, conditions=conditions)


@pytest.fixture(scope="module")
def parts() -> list[tuple[float, np.ndarray]]:
    rng = np.random.default_rng(1)
    scores, rows = rng.normal(size=400), rng.normal(size=(400, len(NAMES)))
    rows[300:] += 3
    return list(zip(scores.tolist(), rows.astype(np.float32), strict=True))


def take(
    station: Station, parts: list[tuple[float, np.ndarray]], model: str = "a model"
) -> Iterator[bool]:
    """After each part, whether there is a drift."""
    for score, conditions in parts:
        verdict = Verdict("a.png", NORMAL, score, 0.5, conditions=conditions)
        station.take(Finding(verdict, model, 9.0), "in")
        yield station.figures.has_drifted


def test_drift_is_noticed_at_the_same_part_where_a_run_was_ended_meanwhile(parts, tmp_path, caplog):
    with make_station(EventOptions(), None) as station:
        station.follow(labeller())
        expected = list(take(station, parts)).index(True)
    assert 300 < expected < 350
    assert caplog.text.count("the line has drifted: ") == 1

    options, found = EventOptions(events=str(tmp_path / "line.db")), []
    for run in (parts[:100], parts[100:310], parts[310:]):
        with open_record(options) as record, make_station(options, record) as station:
            station.follow(labeller())
            found += take(station, run)
    assert found.index(True) == expected
    assert caplog.text.count("the line has drifted: ") == 2


def test_a_drift_stays_one_in_later_runs_until_it_is_reset(parts, tmp_path, caplog):
    path = str(tmp_path / "line.db")
    found = []
    for reset in (False, False, True, False):
        options = EventOptions(events=path, reset_drift=reset)
        with open_record(options) as record, make_station(options, record) as station:
            station.follow(labeller())
            found.append(station.figures.has_drifted)
            if not found[:-1]:
                assert any(take(station, parts))
    assert found == [False, True, False, False]
    assert caplog.text.count("had drifted in an earlier run") == 1


def test_another_model_begins_anew_and_ignores_what_the_one_before_still_finds(parts, tmp_path):
    options = EventOptions(events=str(tmp_path / "line.db"))
    with open_record(options) as record, make_station(options, record) as station:
        station.follow(labeller())
        assert any(take(station, parts))
        station.follow(labeller("another", None))
        assert not station.figures.has_drifted
        assert not any(take(station, [(9.0, None)] * 200))
        assert any(take(station, [(9.0, None)] * 200, "another"))


@pytest.mark.parametrize(("label", "n_warnings"), [(NORMAL, 1), (ANOMALY, 0)])
def test_parts_far_from_all_that_is_known_are_said_once_and_counted(
    parts, caplog, label, n_warnings
):
    caplog.set_level(logging.INFO)
    with make_station(EventOptions(), None) as station:
        station.follow(labeller())
        for number, (score, conditions) in enumerate(parts[:300]):
            outside = "darker" if number >= 200 and number % 10 == 0 else None
            verdict = Verdict(
                f"{number}.png", label, score, 0.5, outside=outside, conditions=conditions
            )
            station.take(Finding(verdict, "a model", 9.0), "in")
            said = "3 of 221 images were taken under conditions far from those of 80 training"
            assert caplog.text.count(said) == (n_warnings if number >= 220 else 0)
        assert station.figures.outside_range == 10
    assert caplog.text.count("WARNING") == n_warnings
    assert "10 images were taken far from all training images" in caplog.text


RATE = 0.2


def candidates(n: int) -> list[Finding]:
    """What workers find at the loosest threshold of a false-discovery rate; every fifth is odd."""
    scores = np.random.default_rng(2).normal(size=n)
    scores[::5] += 4
    p_values = thresholds.p_values(scores, KNOWN[0])
    return [
        Finding(
            Verdict(f"{number}.png", ANOMALY if p <= RATE else NORMAL, float(score), float(p)),
            *("a model", 1.0),
            overlay=b"picture" if p <= RATE else None,
            evidence=b"image" if p <= RATE or number % 2 else None,
            is_sample=number % 2 == 1,
        )
        for number, (score, p) in enumerate(zip(scores, p_values, strict=True))
    ]


def labels(station: Station, findings: list[Finding]) -> list[str]:
    return [station.take(station.decide(one), "in").label for one in findings]


def labels_of_one_run(findings: list[Finding]) -> list[str]:
    with make_station(EventOptions(), None, RATE) as station:
        station.follow(labeller())
        return labels(station, findings)


def test_false_discoveries_are_bounded_over_all_parts_on_record_however_often_it_was_killed(
    tmp_path,
):
    findings = candidates(300)
    expected = labels_of_one_run(findings)
    odd = np.array(expected[::5]) == ANOMALY
    # Too few stand out at first; later a part is an anomaly that no lone one would be.
    assert not odd[0]
    assert odd[20:].mean() > 0.9

    options = EventOptions(events=str(tmp_path / "line.db"))
    found = []
    for run in (findings[:7], findings[7:120], findings[120:]):
        with open_record(options) as record:
            station = make_station(options, record, RATE)  # not left: nothing is written at its end
            station.follow(labeller())
            found += labels(station, run)
            events = list(record.events())
            kept = [
                {int(event.image[:-4]) for event in events if record.evidence_of(event.id, kind)}
                for kind in (OVERLAY, IMAGE)
            ]
    assert found == expected
    anomalies = {number for number, label in enumerate(expected) if label == ANOMALY}
    assert kept == [anomalies, anomalies | set(range(1, 300, 2))]


def test_what_models_before_still_find_is_judged_by_what_is_known_of_them():
    findings = candidates(300)
    expected = labels_of_one_run(findings)
    with make_station(EventOptions(), None, RATE) as station:
        station.follow(labeller())
        found = labels(station, findings[:290])
        station.follow(labeller("another"))
        station.follow(labeller("a third"))
        assert found + labels(station, findings[290:]) == expected
        assert station.figures.threshold is None  # of the other, which has judged nothing


def test_a_model_that_comes_back_goes_on_where_it_was():
    findings = candidates(300)
    expected = labels_of_one_run(findings)
    with make_station(EventOptions(), None, RATE) as station:
        station.follow(labeller())
        found = labels(station, findings[:200])
        station.follow(labeller("another"))
        station.follow(labeller())
        assert found + labels(station, findings[200:]) == expected


def test_a_part_that_could_not_be_recorded_and_comes_again_counts_once(tmp_path):
    findings = [replace(one, evidence=bytes(20_000), is_sample=True) for one in candidates(60)]
    expected = labels_of_one_run(findings)
    assert expected.count(ANOMALY) > 5
    options = EventOptions(events=str(tmp_path / "line.db"))
    with open_record(options) as record, make_station(options, record, RATE) as station:
        station.follow(labeller())
        found = labels(station, findings[:30])
        record._connection.execute("pragma max_page_count = 1")
        for _ in range(100):
            with pytest.raises(UserError, match="full"):
                labels(station, findings[31:32])
        record._connection.execute("pragma max_page_count = 1000000")
        assert found + labels(station, findings[30:]) == expected
