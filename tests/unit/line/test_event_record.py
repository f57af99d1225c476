"""The record has each verdict that was acknowledged once, and what is still to be said of it."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from helpers.scripts import CHECKOUT
from pyimagesearch.labelling.verdict import ANOMALY, NORMAL, UNREADABLE, Verdict
from pyimagesearch.line import event_record, station
from pyimagesearch.line.event import Event
from pyimagesearch.line.event_record import IMAGE, OVERLAY, EventRecord, Retention
from pyimagesearch.line.judging import Finding, Place
from pyimagesearch.runtime.console import UserError

MODEL = ("ab" * 32, 0.5)
FOUND = Finding(
    Verdict("a\udcff.png", ANOMALY, 0.75, 0.01, outside="darker", extrapolated=True),
    *MODEL,
    (Place(1, 2, 3, 4, 0.25),),
    b"overlay",
    b"image",
)
ALWAYS = (datetime(2000, 1, 1, tzinfo=UTC), datetime(3000, 1, 1, tzinfo=UTC))


def add(record: EventRecord, finding: Finding = FOUND, targets: tuple[str, ...] = ()) -> Event:
    event = Event.of(finding, "camera:0")
    record.add(event, finding, targets)
    return event


def prune(record: EventRecord) -> None:
    while record.prune():
        pass


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "line.db")


def test_what_was_added_is_there_again_with_its_evidence(path):
    unreadable = Finding(Verdict("b.png", UNREADABLE, reason="the file is empty"), *MODEL)
    with EventRecord(path) as record:
        added = [add(record), add(record, unreadable)]
    with EventRecord(path) as record:
        assert list(record.events(*ALWAYS)) == added
        assert record.evidence_of(added[0].id, IMAGE) == b"image"
        assert record.evidence_of(added[0].id, OVERLAY) == b"overlay"
        assert record.evidence_of(added[1].id, IMAGE) is None
        assert record.images_of("camera:0") == {"a\\xff.png", "b.png"}
        assert record.images_of("elsewhere") == set()


def test_a_record_of_an_earlier_version_goes_on_in_this_one_and_in_that(path):
    with EventRecord(path) as record:
        first = add(record)
        for name in ("outside", "extrapolated"):
            record._connection.execute(f"alter table verdicts drop column {name}")
    with EventRecord(path) as record:
        second = add(record)
        first = replace(first, outside=None, extrapolated=False)
        assert list(record.events()) == [first, second]
        assert record.evidence_of(first.id, IMAGE) == b"image"
        copied = "time, source, image, label, score, p_value, threshold, model, ms, regions"
        record._connection.execute(
            f"insert into verdicts (id, {copied}) select 'new', {copied} from verdicts limit 1"
        )
        assert list(record.events())[2:] == [replace(first, id="new")]


def test_events_come_in_order_however_many_there_are_and_only_of_the_time_asked_for(
    path, monkeypatch
):
    monkeypatch.setattr(event_record, "_AT_ONCE", 3)
    with EventRecord(path) as record:
        added = [add(record) for _ in range(7)]
        assert list(record.events(*ALWAYS)) == added
        third, fifth = (datetime.fromisoformat(added[n].time) for n in (2, 4))
        assert list(record.events(third, fifth)) == added[2:4]


def test_messages_come_in_order_until_they_are_acknowledged_to_each_target_its_own(path):
    with EventRecord(path) as record:
        added = [add(record, targets=("one", "two")) for _ in range(3)]
    with EventRecord(path) as record:
        for event in added:
            message = record.next_message("one")
            assert record.next_message("one") == message
            assert json.loads(message.body) == event.fields()
            assert message.id == event.id
            record.acknowledge(message)
        assert record.next_message("one") is None
        assert record.n_unsent("two") == 3


def test_the_oldest_messages_go_where_too_many_wait_and_are_counted(path, monkeypatch):
    monkeypatch.setattr(event_record, "MOST_UNSENT", 2)
    with EventRecord(path) as record:
        events = [Event.of(FOUND, "s") for _ in range(4)]
        lost = [record.add(event, FOUND, ["there"]) for event in events]
        assert lost == [0, 0, 1, 1]
        assert record.next_message("there").id == events[2].id


def test_old_evidence_goes_by_days_and_by_bytes_and_verdicts_stay(path, monkeypatch):
    large = Finding(Verdict("a.png", ANOMALY, 0.75, 0.01), *MODEL, evidence=bytes(1000))
    with EventRecord(path, Retention(n_bytes=2500)) as record:
        added = [add(record, large) for _ in range(5)]
        prune(record)
        kept = [record.evidence_of(event.id, IMAGE) is not None for event in added]
        assert kept == [False, False, False, True, True]
    later = datetime.now(UTC) + timedelta(days=8)
    with EventRecord(path, Retention(days=7)) as record:
        prune(record)
        assert sum(record.evidence_of(event.id, IMAGE) is not None for event in added) == 2
        monkeypatch.setattr(event_record, "datetime", _Clock(later))
        prune(record)
        monkeypatch.undo()
        assert not any(record.evidence_of(event.id, IMAGE) for event in added)
        assert len(list(record.events(*ALWAYS))) == 5


class _Clock:
    def __init__(self, time: datetime) -> None:
        self._time = time

    def now(self, zone: object) -> datetime:  # noqa: ARG002
        return self._time


def test_pruned_space_is_given_back(path):
    large = Finding(Verdict("a.png", NORMAL, 0.1, 0.9), *MODEL, evidence=bytes(1_000_000))
    with EventRecord(path, Retention(n_bytes=2_000_000)) as record:
        for _ in range(10):
            add(record, large)
        prune(record)
    assert os.path.getsize(path) < 3_000_000


def test_a_station_prunes_what_others_have_left_and_what_comes(path, monkeypatch):
    monkeypatch.setattr(station, "SECONDS_BETWEEN_PRUNINGS", 0.01)
    large = Finding(Verdict("a.png", ANOMALY, 0.75, 0.01), *MODEL, evidence=bytes(1000))

    def kept() -> list[bool]:
        return [record.evidence_of(event.id, IMAGE) is not None for event in added]

    with EventRecord(path) as record:
        added = [add(record, large) for _ in range(5)]
    with EventRecord(path, Retention(n_bytes=2500)) as record, station.Station(record) as line:
        wait_until(lambda: sum(kept()) == 2)
        added += [line.take(large, "in") for _ in range(50)]
        wait_until(lambda: sum(kept()) == 2)
        assert kept()[-2:] == [True, True]


def wait_until(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.01)


def test_a_verdict_that_finds_no_space_is_refused_and_the_next_finds_some(path):
    with EventRecord(path) as record:
        first = add(record)
        pages = record._connection.execute("pragma page_count").fetchone()[0]
        record._connection.execute(f"pragma max_page_count = {pages}")
        large = replace(FOUND, evidence=bytes(100_000))
        for _ in range(2):
            with pytest.raises(UserError, match="full"):
                add(record, large)
        record._connection.execute(f"pragma max_page_count = {pages + 1000}")
        second = add(record, large)
        assert list(record.events()) == [first, second]


@pytest.mark.parametrize("content", [b"no database", b"x" * 5000])
def test_a_file_that_is_no_record_is_refused_and_left_as_it_is(path, content):
    Path(path).write_bytes(content)
    with pytest.raises(UserError, match="not a database"):
        EventRecord(path)
    assert Path(path).read_bytes() == content


def test_another_database_or_that_of_a_later_version_is_refused(path):
    other = sqlite3.connect(path)
    other.execute("create table customers (name)")
    other.close()
    with pytest.raises(UserError, match="no record of --events"):
        EventRecord(path)
    os.unlink(path)
    EventRecord(path).__exit__()
    later = sqlite3.connect(path)
    later.execute("pragma user_version = 99")
    later.close()
    with pytest.raises(UserError, match="later version"):
        EventRecord(path)


@pytest.mark.parametrize(
    "change",
    [
        *(
            "score = 'high'",
            "score = null",
            "threshold = 9e999",
            "label = 'fine'",
            "source = x'00'",
        ),
        *("outside = x'00'", "extrapolated = 'yes'"),
        *("time = 'noon'", "regions = '{'", "regions = '[{\"x\": 1}]'", "regions = '[1]'"),
    ],
)
def test_a_verdict_that_this_program_has_not_written_is_a_sentence(path, change):
    with EventRecord(path) as record:
        add(record)
        record._connection.execute(f"update verdicts set {change}")
        with pytest.raises(UserError, match="verdict 1 is not as this program writes them"):
            list(record.events())


@pytest.mark.parametrize("value", ["'low'", "x'00'", "9e999", "-0.5"])
def test_a_p_value_that_is_none_is_a_sentence_and_counts_for_nothing(path, value):
    with EventRecord(path) as record:
        event = add(record)
        assert record.p_values_of(event.model) == {event.p_value: 1}
        record._connection.execute(f"update verdicts set p_value = {value}")
        with pytest.raises(UserError, match="a p-value is not as this program writes them"):
            record.p_values_of(event.model)


def test_a_killed_writer_leaves_each_verdict_that_it_acknowledged_once(path):
    program = f"""
import sys
sys.path[:0] = [{str(CHECKOUT)!r}, {str(CHECKOUT / "tests")!r}]
from tests.unit.line.test_event_record import EventRecord, add
record = EventRecord({path!r})
while True:
    print(add(record, targets=("there",)).id, flush=True)
"""
    acknowledged = []
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as writer:
            acknowledged += [writer.stdout.readline().decode().strip() for _ in range(40)]
            writer.kill()
            rest = writer.stdout.read().decode().split("\n")
            acknowledged += rest[:-1]  # a line that has an end
    with EventRecord(path) as record:
        ids = [event.id for event in record.events(*ALWAYS)]
        assert len(set(ids)) == len(ids)
        assert set(acknowledged) <= set(ids)
        assert record.n_unsent("there") == len(ids)
        assert len(ids) - len(acknowledged) <= 3  # each was killed between the two at most once
