"""Messages arrive in order, wait where they cannot, and are not sent again once they have."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from helpers.brokers import MOSQUITTO, Broker, Subscriber
from helpers.receivers import Receiver
from helpers.scripts import CHECKOUT
from pyimagesearch.labelling.images import Labeller
from pyimagesearch.labelling.verdict import ANOMALY, UNREADABLE, Verdict
from pyimagesearch.line import event_record, senders, sinks
from pyimagesearch.line.event_record import REFUSED, EventRecord
from pyimagesearch.line.judging import Finding
from pyimagesearch.line.sinks import MessageSink, open_sink
from pyimagesearch.line.station import DRIFT, Deliveries, Station
from pyimagesearch.runtime.console import UserError

MODEL = ("ab" * 32, 0.5)
OPTION = "--on-anomaly"


def anomaly(name: str = "a.png") -> Finding:
    return Finding(Verdict(name, ANOMALY, 0.75, 0.01), *MODEL, overlay=b"overlay")


def until(condition: Callable[[], bool]) -> None:
    ends = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.01)


@pytest.fixture
def record(tmp_path: Path) -> Iterator[EventRecord]:
    with EventRecord(str(tmp_path / "line.db")) as record:
        yield record


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sinks, "SHORTEST_PAUSE", 0.01)
    monkeypatch.setattr(sinks, "LONGEST_PAUSE", 0.05)


def sink_to(receiver: Receiver, record: EventRecord, **options: bool) -> MessageSink:
    url = f"http://127.0.0.1:{receiver.port}/hook"
    return open_sink(OPTION, url, record, options.get("with_picture", False))


def all_sent(record: EventRecord) -> bool:
    return not record.waiting()


def test_each_anomaly_is_one_message_with_its_event_and_its_id(record):
    with Receiver() as receiver, Station(record, {ANOMALY: sink_to(receiver, record)}) as station:
        events = [station.take(anomaly(f"{n}.png"), "in") for n in range(20)]
        until(lambda: all_sent(record))
    assert receiver.posts == [(event.id, event.fields()) for event in events]
    assert set(receiver.paths) == {"/hook"}


def test_what_cannot_be_delivered_is_tried_until_it_arrives_and_stays_in_order(record, caplog):
    failures = [500, 503, 0, 429, 408, 401, 404, 302, 0]
    with Receiver(statuses=failures) as receiver:
        sink = sink_to(receiver, record)
        with Station(record, {ANOMALY: sink}) as station:
            events = [station.take(anomaly(), "in") for _ in range(5)]
            until(lambda: all_sent(record))
    assert receiver.ids == [event.id for event in events]
    assert station.messages() == {sink.name: (0, Deliveries(arrived=5, failed=9))}
    assert caplog.text.count("status 503; messages wait") == 1


def test_messages_wait_for_a_receiver_that_is_not_there_yet_or_no_more(record):
    receiver = Receiver()
    with receiver:
        pass  # now its port is known
    with Station(record, {ANOMALY: sink_to(receiver, record)}) as station:
        events = [station.take(anomaly(), "in") for _ in range(3)]
        for _ in range(2):
            with receiver:
                until(lambda: all_sent(record))
            events += [station.take(anomaly(), "in") for _ in range(3)]
        with receiver:
            until(lambda: all_sent(record))
    assert receiver.ids == [event.id for event in events]


def test_a_receiver_that_hangs_is_given_up_and_tried_again(record, monkeypatch, caplog):
    monkeypatch.setattr(senders, "SECONDS_TO_ANSWER", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        receiver = Receiver(silent.getsockname()[1])
        sink = sink_to(receiver, record)
        with Station(record, {ANOMALY: sink}) as station:
            event = station.take(anomaly(), "in")
            until(lambda: sink.deliveries.failed >= 2)
            silent.close()
            with receiver:
                until(lambda: all_sent(record))
    assert receiver.ids == [event.id]
    assert "no answer within 0.2 seconds" in caplog.text


def test_an_answer_that_is_lost_makes_a_double_with_the_same_id(record):
    receiver = Receiver(statuses=[-1])
    with receiver, Station(record, {ANOMALY: sink_to(receiver, record)}) as station:
        events = [station.take(anomaly(), "in") for _ in range(2)]
        until(lambda: all_sent(record))
    assert receiver.ids == [events[0].id, events[0].id, events[1].id]


def test_a_message_that_is_refused_is_set_aside_and_the_others_arrive(record, monkeypatch, caplog):
    monkeypatch.setattr(sinks, "MOST_REFUSALS", 3)
    with Receiver(statuses=[204, 422, 422, 422]) as receiver:
        sink = sink_to(receiver, record)
        with Station(record, {ANOMALY: sink}) as station:
            events = [station.take(anomaly(), "in") for _ in range(3)]
            until(lambda: len(receiver.ids) == 2)
    assert receiver.ids == [events[0].id, events[2].id]
    assert record.waiting() == {sink.target + REFUSED: 1}
    assert sink.deliveries.refused == 1
    assert f"message {events[1].id} was refused 3 times and is set aside in" in caplog.text


def test_at_the_end_what_cannot_be_delivered_stays_for_the_next_run(record, caplog):
    receiver = Receiver()
    with receiver:
        pass
    with Station(record, {ANOMALY: sink_to(receiver, record)}) as station:
        event = station.take(anomaly(), "in")
    assert "1 message to http://127.0.0.1" in caplog.text
    with receiver, Station(record, {ANOMALY: sink_to(receiver, record)}):
        until(lambda: all_sent(record))
    assert receiver.ids == [event.id]


def test_no_more_messages_wait_than_may_and_the_oldest_go(record, monkeypatch, caplog):
    monkeypatch.setattr(event_record, "MOST_UNSENT", 2)
    receiver = Receiver()
    with receiver:
        pass
    with Station(record, {ANOMALY: sink_to(receiver, record)}) as station:
        events = [station.take(anomaly(), "in") for _ in range(5)]
        assert station.figures.lost_messages == 3
        assert caplog.text.count("messages wait: from now on, the oldest go") == 1
        with receiver:
            until(lambda: all_sent(record))
    # One that was being tried when it went arrives all the same.
    ids = [event.id for event in events]
    assert receiver.ids in (ids[3:], *([id, *ids[3:]] for id in ids[:3]))


def test_a_message_may_have_the_picture_in_it(record):
    with Receiver() as receiver:
        sink = sink_to(receiver, record, with_picture=True)
        with Station(record, {ANOMALY: sink, UNREADABLE: sink}) as station:
            station.take(anomaly(), "in")
            station.take(Finding(Verdict("b.png", UNREADABLE, reason="empty"), *MODEL), "in")
            until(lambda: all_sent(record))
    pictures = [content["picture"] for _, content in receiver.posts]
    assert pictures == [base64.b64encode(b"overlay").decode(), None]
    assert [content["reason"] for _, content in receiver.posts] == [None, "empty"]


SENDER = """
import sys
sys.path[:0] = sys.argv[3:]
from tests.unit.line.test_sinks import *
with EventRecord(sys.argv[1]) as record:
    with Station(record, {ANOMALY: open_sink(OPTION, sys.argv[2], record, False)}) as station:
        while True:
            print(station.take(anomaly(), "in").id, flush=True)
            time.sleep(0.002)
"""


def test_killed_at_any_moment_every_anomaly_is_delivered_in_order_and_none_twice_but_at_kills(
    tmp_path,
):
    path, chance = str(tmp_path / "line.db"), random.Random(7)
    n_kills, acknowledged = 4, []
    with Receiver(statuses=[500, 0, -1] * 3) as receiver:
        url = f"http://127.0.0.1:{receiver.port}/hook"
        command = (path, url, str(CHECKOUT), str(CHECKOUT / "tests"))
        for _ in range(n_kills):
            with subprocess.Popen(
                [sys.executable, "-c", SENDER, *command], stdout=subprocess.PIPE, text=True
            ) as sender:
                acknowledged += [sender.stdout.readline().strip()]
                time.sleep(chance.uniform(0, 0.3))
                sender.send_signal(signal.SIGKILL)
                acknowledged += sender.stdout.read().split("\n")[:-1]
        with EventRecord(path) as record:
            sink = open_sink(OPTION, url, record, False)
            with Station(record, {ANOMALY: sink}):
                until(lambda: all_sent(record))
            recorded = [event.id for event in record.events()]
    assert set(acknowledged) <= set(recorded)
    assert list(dict.fromkeys(receiver.ids)) == recorded
    # A double is of a kill between an answer and its record, or of an answer that was lost.
    doubles = len(receiver.ids) - len(recorded)
    assert doubles <= n_kills + 3


def test_a_command_gets_the_event_in_its_environment_and_the_file_by_its_own_name(tmp_path):
    name = os.fsdecode(b"no \xff utf.png")
    told = tmp_path / "told"
    script = tmp_path / "tell.sh"
    said = '"$ANOMALY_OUTSIDE" "$ANOMALY_EXTRAPOLATED" "$ANOMALY_ID"'
    script.write_text(f'printf "%s|" "$1" "$ANOMALY_IMAGE" {said} >> {told}\n')
    sink = open_sink(OPTION, f"sh {script} {{}}", None, False)
    with Station(None, {ANOMALY: sink}) as station:
        verdict = Verdict(name, ANOMALY, 0.75, 0.01, outside="darker", extrapolated=True)
        event = station.take(Finding(verdict, *MODEL), "in")
    known = [os.fsencode(name)] * 2 + [b"darker", b"1"]
    assert told.read_bytes() == b"|".join([*known, event.id.encode(), b""])


def test_a_url_without_a_record_is_refused():
    with pytest.raises(UserError, match="wait in a record: add --events FILE"):
        open_sink(OPTION, "https://example.com/hook", None, False)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http:///hook", "names no host"),
        ("http://host:99999/", "not a URL that can be used"),
        ("http://host/#part", "a # cannot be part of the URL"),
        ("http://host/$ANOMALY_NO_SUCH", "there is no \\$ANOMALY_NO_SUCH in the environment"),
        ("http://host/costs$", "is \\$\\$"),
        ("mqtt://broker", "must name a topic"),
        ("mqtt://broker/line/+/3", "must name a topic"),
    ],
)
def test_urls_that_cannot_be_meant_are_refused(record, url, sentence):
    with pytest.raises(UserError, match=f"--on-anomaly.*{sentence}"):
        open_sink(OPTION, url, record, False)


def test_a_password_goes_to_the_receiver_and_nowhere_else(record, monkeypatch, caplog):
    caplog.set_level("INFO")
    monkeypatch.setenv("ANOMALY_TEST_PATH", "secret1")
    monkeypatch.setenv("ANOMALY_TEST_PASSWORD", "secret@2/")
    with Receiver(statuses=[500, 0]) as receiver:
        host = f"127.0.0.1:{receiver.port}"
        url = f"http://me:$ANOMALY_TEST_PASSWORD@{host}/$ANOMALY_TEST_PATH?token=secret3"
        sink = open_sink(OPTION, url, record, False)
        with Station(record, {ANOMALY: sink}) as station:
            station.take(anomaly(), "in")
            until(lambda: all_sent(record))
    with Station(record, {ANOMALY: open_sink(OPTION, url, record, False)}) as station:
        station.take(anomaly(), "in")  # nobody is there
    assert set(receiver.paths) == {"/secret1?token=secret3"}
    assert set(receiver.identities) == {f"Basic {base64.b64encode(b'me:secret@2/').decode()}"}
    assert sink.name == f"http://***@{host}/$ANOMALY_TEST_PATH?***"
    assert "Connection refused; messages wait" in caplog.text
    assert "secret" not in caplog.text + repr(record.waiting())


@pytest.mark.parametrize("n_bytes", [0, 100_000])
def test_an_answer_without_an_end_acknowledges_a_message_all_the_same(record, n_bytes, monkeypatch):
    monkeypatch.setattr(senders, "SECONDS_TO_ANSWER", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection = server.accept()[0]
                    connection.recv(10_000)
                    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + bytes(n_bytes))
                    held.append(connection)

        held: list[socket.socket] = []
        threading.Thread(target=answer, daemon=True).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        sink = open_sink(OPTION, url, record, False)
        with Station(record, {ANOMALY: sink}) as station:
            for _ in range(2):
                station.take(anomaly(), "in")
            until(lambda: all_sent(record))
        for connection in held:
            connection.close()
    assert sink.deliveries == Deliveries(arrived=2)


needs_broker = pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed")


@needs_broker
def test_messages_are_published_in_order_also_after_the_broker_was_away(record, tmp_path):
    broker = Broker(tmp_path, "allow_anonymous true")
    sink = open_sink(OPTION, f"mqtt://127.0.0.1:{broker.port}/line/3", record, False)
    with Station(record, {ANOMALY: sink}) as station:
        events = [station.take(anomaly(), "in") for _ in range(3)]  # nobody is there
        bodies = []
        for _ in range(2):
            with broker, Subscriber(broker.port) as subscriber:
                until(lambda: all_sent(record))
                events += [station.take(anomaly(), "in") for _ in range(3)]
                until(lambda: all_sent(record))
                until(lambda subscriber=subscriber: len(subscriber.bodies) >= 3)
                bodies += subscriber.bodies
    found = [json.loads(body)["id"] for _, body in bodies]
    assert [id for id in found if id in {event.id for event in events}] == found
    assert {topic for topic, _ in bodies} == {"line/3"}
    assert found == sorted(set(found), key=[event.id for event in events].index)


@needs_broker
def test_a_broker_that_wants_a_password_gets_it_and_says_where_it_is_wrong(
    record, tmp_path, monkeypatch, caplog
):
    users = tmp_path / "users"
    users.write_text("me:secret\n")
    users.chmod(0o600)
    subprocess.run(["mosquitto_passwd", "-U", users], check=True)
    monkeypatch.setenv("ANOMALY_TEST_PASSWORD", "secret")
    broker = Broker(tmp_path, "allow_anonymous false", f"password_file {users}")
    with broker, Subscriber(broker.port, "me", "secret") as subscriber:
        wrong = f"mqtt://me:secrets@127.0.0.1:{broker.port}/line"
        with Station(record, {ANOMALY: open_sink(OPTION, wrong, record, False)}) as station:
            event = station.take(anomaly(), "in")
            until(lambda: "the broker says: Not authorized" in caplog.text)
        right = f"mqtt://me:$ANOMALY_TEST_PASSWORD@127.0.0.1:{broker.port}/line"
        with Station(record, {ANOMALY: open_sink(OPTION, right, record, False)}):
            until(lambda: all_sent(record))
        until(lambda: subscriber.bodies)
    assert subscriber.bodies == [("line", event.as_json().encode())]
    assert "secret" not in caplog.text


@pytest.fixture
def authority(tmp_path: Path) -> tuple[Path, Path]:
    """The certificate of this machine, and its key."""
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    kind = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    names = ("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")
    command = ["openssl", *kind, *names, "-keyout", key, "-out", certificate]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


@needs_broker
def test_a_broker_is_believed_to_be_who_it_is_by_its_certificate(
    record, tmp_path, authority, monkeypatch, caplog
):
    files = (f"certfile {authority[0]}", f"keyfile {authority[1]}")
    with Broker(tmp_path, "allow_anonymous true", *files) as broker:
        url = f"mqtts://127.0.0.1:{broker.port}/line"
        with Station(record, {ANOMALY: open_sink(OPTION, url, record, False)}) as station:
            station.take(anomaly(), "in")
            until(lambda: "certificate verify failed" in caplog.text)
        monkeypatch.setenv("SSL_CERT_FILE", str(authority[0]))
        with Station(record, {ANOMALY: open_sink(OPTION, url, record, False)}):
            until(lambda: all_sent(record))


def test_a_receiver_is_believed_to_be_who_it_is_by_its_certificate(
    record, authority, monkeypatch, caplog
):
    with Receiver(certificate=authority) as receiver:
        url = f"https://127.0.0.1:{receiver.port}/hook"
        with Station(record, {ANOMALY: open_sink(OPTION, url, record, False)}) as station:
            event = station.take(anomaly(), "in")
            until(lambda: "certificate verify failed" in caplog.text)
        monkeypatch.setenv("SSL_CERT_FILE", str(authority[0]))
        with Station(record, {ANOMALY: open_sink(OPTION, url, record, False)}):
            until(lambda: all_sent(record))
    assert receiver.ids == [event.id]


@needs_broker
def test_a_broker_that_lets_nobody_publish_there_says_so_and_the_message_waits(
    record, tmp_path, caplog
):
    rights = tmp_path / "rights"
    rights.write_text("topic read #\ntopic write line/3\n")
    with Broker(tmp_path, "allow_anonymous true", f"acl_file {rights}") as broker:
        url = f"mqtt://127.0.0.1:{broker.port}/line/"
        with Station(record, {ANOMALY: open_sink(OPTION, f"{url}4", record, False)}) as station:
            station.take(anomaly(), "in")
            until(lambda: "the broker says: Not authorized" in caplog.text)
        assert record.waiting() == {f"{url}4": 1}


def test_a_broker_that_speaks_an_older_protocol_alone_is_spoken_to_in_it(record):
    """As brokers answer a CONNECT of a level that they do not know (MQTT 3.1.1, 3.1.2.2)."""
    published = []

    def serve(connection: socket.socket) -> None:
        with connection:
            while head := connection.recv(2):
                kind, size = head[0] >> 4, head[1]
                while size & 0x80 and kind == 3:  # the length of a PUBLISH takes two bytes
                    size = (size & 0x7F) + (connection.recv(1)[0] << 7)
                rest = connection.recv(size, socket.MSG_WAITALL) if size else b""
                if kind == 1:
                    level = rest[6]
                    connection.sendall(b"\x20\x02\x00" + (b"\x00" if level == 4 else b"\x01"))
                    if level != 4:
                        return
                elif kind == 3:
                    end = 2 + int.from_bytes(rest[:2], "big")
                    published.append(json.loads(rest[end + 2 :]))
                    connection.sendall(b"\x40\x02" + rest[end : end + 2])

    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    serve(server.accept()[0])

        threading.Thread(target=accept, daemon=True).start()
        url = f"mqtt://127.0.0.1:{server.getsockname()[1]}/line"
        with Station(record, {ANOMALY: open_sink(OPTION, url, record, False)}) as station:
            events = [station.take(anomaly(), "in") for _ in range(3)]
            until(lambda: all_sent(record))
    assert published == [event.fields() for event in events]


def test_a_notice_of_drift_is_a_message_too(record):
    labeller = Labeller(None, None, np.linspace(0, 0.1, 100), np.zeros(0), 0.5, sha256=MODEL[0])
    with Receiver() as receiver:
        sink = sink_to(receiver, record)
        with Station(record, {DRIFT: sink}) as station:
            station.follow(labeller)
            for _ in range(100):
                station.take(anomaly(), "in")
            until(lambda: all_sent(record))
    ((id, content),) = receiver.posts
    assert (content["id"], content["event"]) == (id, DRIFT)
    assert content["notice"].startswith("the line has drifted: ")
