"""Claims about the page of what a line did: ``anomaly report``."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
import pytest

from helpers.scripts import run_cold
from pyimagesearch.cli.commands import report
from pyimagesearch.labelling.verdict import ANOMALY, NORMAL, UNREADABLE, Verdict
from pyimagesearch.line.event import Event, text_of_time
from pyimagesearch.line.event_record import EventRecord
from pyimagesearch.line.judging import Finding
from pyimagesearch.line.line_history import LineHistory
from pyimagesearch.runtime import console

OLD, NEW = "ab" * 32, "cd" * 32
START = datetime(2026, 11, 29, 6, tzinfo=UTC)


def finding(label: str = NORMAL, score: float | None = 0.25, **changes: object) -> Finding:
    name = str(changes.pop("name", "a.png"))
    p_value = None if score is None else 0.5
    reason = "the file is empty" if label == UNREADABLE else None
    return replace(Finding(Verdict(name, label, score, p_value, reason), OLD, 0.5), **changes)


def event_at(hours: float, found: Finding) -> Event:
    return replace(Event.of(found, "camera:0"), time=text_of_time(START + timedelta(hours=hours)))


@pytest.fixture
def record(tmp_path: Path) -> EventRecord:
    return EventRecord(str(tmp_path / "line.db"))


@pytest.fixture
def run(tmp_path, capfd):
    def run_report(*arguments: str) -> tuple[int, str]:
        page = ["--events", str(tmp_path / "line.db"), "--output", str(tmp_path / "page.html")]
        status = console.status_of(lambda: report.main([*page, *arguments]))
        return status, capfd.readouterr().err

    return run_report


def test_the_page_has_what_the_stretch_of_time_has_and_names_models_by_their_digests(
    record, run, tmp_path
):
    overlay = cv2.imencode(".jpg", np.full((40, 80, 3), 200, np.uint8))[1].tobytes()
    night = Verdict("night.png", NORMAL, 0.25, 0.01, outside="darker", extrapolated=True)
    added = [
        (0.1, finding(ANOMALY, 0.9, name="before.png")),
        (1.1, finding(ANOMALY, 0.9, name="<script>alert(1)</script>", overlay=overlay)),
        (1.5, replace(finding(model=NEW), verdict=night)),
        (1.6, finding(UNREADABLE, None, name="broken.png", model=NEW)),
        (3.1, finding(ANOMALY, 0.9, name="after.png")),
    ]
    with record:
        for hours, found in added:
            record.add(event_at(hours, found), found)
        events = list(record.events())
    times = ("--since", "2026-11-29T07:00Z", "--until", "2026-11-29T09:00Z")
    status, said = run(*times, "--json", str(tmp_path / "events.json"))
    assert status == 0
    assert "1 normal, 1 anomaly, 1 unreadable; page written to" in said
    page = (tmp_path / "page.html").read_text()
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>" not in page
    assert "before.png" not in page
    assert "after.png" not in page
    assert "1 image, called normal, was taken under conditions far from" in page
    assert page.count("data:image/jpeg;base64,") == 1
    assert f"<code>{OLD}</code>" in page
    assert f"<code>{NEW}</code>" in page
    assert f'<code title="{NEW}">' in page  # of the image that could not be read
    written = (tmp_path / "events.json").read_text().splitlines()
    assert [json.loads(line) for line in written] == [event.fields() for event in events[1:4]]


def test_hours_with_stranger_scores_are_marked_and_those_of_another_model_are_not_compared():
    rng = np.random.default_rng(5)
    history = LineHistory()

    def add(hour: int, middle: float, model: str) -> None:
        for score in rng.normal(middle, 0.05, 60):
            history.add(event_at(hour, finding(score=float(score), model=model)))

    for hour, middle in enumerate([0.2, 0.2, 0.3, 0.3, 0.2]):
        add(hour, middle, OLD)
    for hour, middle in enumerate([0.4, 0.4, 0.3], start=5):
        add(hour, middle, NEW)
    history.mark_shifts()
    marked = [hour.is_shifted for hour in history.hours]
    assert marked == [False, False, True, True, False, False, False, False]


def test_a_time_without_verdicts_makes_a_page_that_says_so(record, run, tmp_path):
    record.__exit__()
    assert run("--since", "8h")[0] == 0
    assert "There are no verdicts of that time." in (tmp_path / "page.html").read_text()


def test_what_cannot_be_meant_is_a_sentence(record, run, tmp_path):
    record.__exit__()
    for arguments in (
        ("--since", "yesterday"),
        ("--since", "1h", "--until", "2h"),
    ):
        with pytest.raises(SystemExit, match="2"):
            run(*arguments)
    missing = run("--since", "1h", "--events", str(tmp_path / "none.db"))
    assert missing[0] == 1
    assert re.search(r"^\[ERROR\] .*none.db: no such file$", missing[1], re.MULTILINE)
    assert "whose name ends with .html" in run("--since", "1h", "--output", "folder/")[1]
    assert (
        "no such file"
        in run_cold(
            "-m", "pyimagesearch", "report", "--events", "none.db", "-o", "a.html", "--since", "1h"
        ).stderr.decode()
    )


def test_a_stretch_of_time_is_judged_as_a_whole_by_each_models_p_values(record, run, tmp_path):
    # Of 34 verdicts at a rate of 0.1, three with p-values of 0.3 / 34, which is written with six
    # digits, stand out and two do not.
    low = 0.3 / 34
    values = {OLD: [low] * 3 + [0.5] * 31, NEW: [low] * 2 + [0.5] * 32}
    for model, p_values in values.items():
        for number, p_value in enumerate(p_values):
            label = ANOMALY if p_value < 0.01 and number else NORMAL  # a line's first is normal
            name, is_estimate = f"{model[:2]}_{number}.png", number < 2
            verdict = Verdict(name, label, 1 - p_value, p_value, extrapolated=is_estimate)
            found = Finding(verdict, model, 0.3 + 0.001 * number)
            record.add(event_at(number / 60, found), found)
    status, said = run("--since", "2026-11-29T05:00+00:00", "--false-discovery-rate", "0.1")
    assert status == 0
    assert "judged together, 3 images stand out at a false-discovery rate of 0.1" in said
    page = (tmp_path / "page.html").read_text()
    marked = re.findall(
        r"<b>(\w+)\.png</b>[^:]*?[^<]*<br>[^<]*<br>[^<]*among what stands out", page
    )
    assert sorted(marked) == ["ab_1", "ab_2"]
    listed = page.partition("Called normal, and among what stands out")[2]
    assert re.findall(r"<td>(\w+)\.png</td>", listed) == ["ab_0"]
    assert "0.3 to 0.333" in page
    for place in (said, page):
        assert "4 p-values are extrapolated, so that this is an estimate, not a promise" in place

    status, said = run("--since", "2026-11-29T05:00+00:00", "--false-discovery-rate", "0.01")
    assert "no image stands out enough for a false-discovery rate of 0.01" in said
