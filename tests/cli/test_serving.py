"""Claims about the server: the script's verdicts over HTTP, and manners towards whoever asks."""

from __future__ import annotations

import base64
import errno
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from helpers.receivers import Receiver
from helpers.scripts import CHECKOUT
from helpers.videos import stream_served
from pyimagesearch.data import images
from pyimagesearch.labelling.images import Labeller
from pyimagesearch.line.event_record import EventRecord

EXAMPLES = sorted(map(str, (CHECKOUT / "examples").glob("*.jpg")))
COAST = Path(CHECKOUT / "examples" / "coast_1.jpg").read_bytes()
HIGHWAY = Path(CHECKOUT / "examples" / "highway_1.jpg").read_bytes()
BOUNDARY = "----7e3f"
SECONDS = 30.0  # for what takes a moment


@dataclass
class Server:
    """A running server.

    Attributes:
        process: it.
        port: on which it listens.
        model: its model file.
        said: before it served.
    """

    process: subprocess.Popen[bytes]
    port: int
    model: Path
    said: str

    def ask(
        self,
        path: str,
        body: bytes | None = None,
        kind: str = "",
        headers: dict[str, str] | None = None,
    ) -> tuple[int, Any]:
        """The status and what was answered, of JSON its content."""
        headers = dict(headers or {}) | ({"Content-Type": kind} if kind else {})
        url = f"http://127.0.0.1:{self.port}{path}"
        request = urllib.request.Request(url, data=body, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:
                return answer.status, _content(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, _content(error.read())

    def label(self, data: bytes) -> tuple[int, Any]:
        return self.ask("/predict", data, "image/jpeg")

    def metric(self, line: str) -> float:
        lines = self.ask("/metrics")[1].splitlines()
        return float(next(one for one in lines if one.startswith(f"{line} ")).split()[-1])

    def wait_until_ready(self) -> None:
        until = time.monotonic() + SECONDS
        while self.ask("/readyz")[0] != 200:
            assert time.monotonic() < until
            time.sleep(0.05)


def _content(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode()


def start(model: Path, *options: str) -> Server:
    command = [sys.executable, "serve_anomaly_detector.py", "-m", str(model), "--port", "0"]
    process = subprocess.Popen(
        [*command, "--jobs", "2", *options], stderr=subprocess.PIPE, cwd=CHECKOUT
    )
    said = b""
    for line in process.stderr:
        said += line
        if b"serving at http://127.0.0.1:" in line:
            port = int(line.split(b"http://127.0.0.1:")[1].split(b";")[0])
            return Server(process, port, model, said.decode())
    raise AssertionError(f"it did not start: {process.wait()}")


def files(*contents: bytes, name: str = "part.jpg") -> bytes:
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n\r\n'
    )
    parts = [head.encode() + content + b"\r\n" for content in contents]
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"


@pytest.fixture(scope="module")
def server(forest_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    model = tmp_path_factory.mktemp("serving") / "it.model"
    shutil.copy(forest_model, model)
    limits = ("--max-bytes", "2MB", "--max-images", "3", "--max-queue", "6", "--max-time", "5s")
    server = start(model, *limits)
    server.wait_until_ready()
    yield server
    server.process.terminate()
    assert server.process.wait(SECONDS) == 0


def test_the_verdicts_are_those_of_the_script(server):
    labeller, outside = Labeller.open(str(server.model)), set()
    for path, expected in zip(EXAMPLES, labeller.label_batch(EXAMPLES), strict=True):
        status, answer = server.label(Path(path).read_bytes())
        assert status == 200
        assert answer["label"] == expected.label
        assert answer["score"] == pytest.approx(expected.score, rel=1e-5)
        assert answer["p_value"] == pytest.approx(expected.p_value, rel=1e-5)
        assert answer["model"] == labeller.sha256
        assert (answer["outside"], answer["extrapolated"]) == (expected.outside, False)
        outside.add(expected.outside)
    assert outside == {None, "bluer"}  # than any forest
    assert server.ask("/model")[1]["sha256"] == labeller.sha256
    described = server.ask("/openapi.json")[1]["components"]["schemas"]["Verdict"]["properties"]
    assert set(described) == {*answer, "overlay"}


def test_several_files_give_a_list_and_heat_a_picture(server):
    body = files(COAST, b"no image", name="C:\\parts\\part.jpg")
    status, (first, second) = server.ask("/predict?heat=1", body, MULTIPART)
    assert status == 200
    assert (first["label"], first["image"]) == ("anomaly", "part.jpg")
    assert images.decode_image(base64.b64decode(first["overlay"])).ndim == 3
    assert (second["label"], second["overlay"]) == ("unreadable", None)
    status, one = server.ask("/predict?heat=1", files(COAST), MULTIPART)
    assert one["overlay"] == first["overlay"]


def test_what_is_refused_is_refused_with_a_status_and_a_sentence(server):
    secret = files(b"abc", name="../../../etc/passwd")
    refused = [
        (413, bytes(3_000_000), "image/png", "a request may have 2,097,152 bytes"),
        (413, files(*[COAST] * 4), MULTIPART, "a request may have 3 images"),
        (415, b"{}", "application/json", "not application/json"),
        (422, b"", "image/png", "the body is empty"),
        (422, b"no image", "image/png", "not an image"),
        (422, secret, MULTIPART, "not an image"),
        (422, files(), MULTIPART, "no file in it"),
        (422, b"--x", "multipart/form-data", "boundary"),
        (422, files(COAST)[:200], MULTIPART, "no file in it"),
    ]
    for status, body, kind, sentence in refused:
        answered, content = server.ask("/predict", body, kind)
        assert (answered, sentence in content["detail"]) == (status, True), content
    for path in ("/../../etc/passwd", "/static-offline-docs/%2e%2e/%2e%2e/etc/passwd", "/x"):
        assert server.ask(path)[0] == 404
    assert server.ask("/predict?heat=perhaps", COAST)[0] == 422
    assert server.label(COAST)[0] == 200


def test_what_breaks_the_protocol_is_refused_and_the_next_request_served(server):
    flood = b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 100_000 + b"\r\n"
    for sent in (flood, b"\x16\x03\x01" + bytes(600) + b"\n", b"GET\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", server.port), SECONDS) as connection:
            try:
                connection.sendall(sent)
                assert connection.recv(100).startswith(b"HTTP/1.1 400")
            except ConnectionError:
                pass  # closed while it was sent
    assert server.label(COAST)[0] == 200


def test_a_body_that_does_not_come_costs_its_own_connection_alone(server):
    ask = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\na"
    slow = [socket.create_connection(("127.0.0.1", server.port), SECONDS) for _ in range(200)]
    for connection in slow:
        connection.sendall(ask)
    assert server.label(COAST)[0] == 200
    assert slow[0].recv(100).startswith(b"HTTP/1.1 408")
    for connection in slow:
        connection.close()


def test_more_than_may_wait_is_refused_and_what_was_taken_is_judged(server):
    body = files(*[COAST] * 3)
    with ThreadPoolExecutor(16) as threads:
        asked = [threads.submit(server.ask, "/predict", body, MULTIPART) for _ in range(48)]
        answers = Counter(one.result()[0] for one in asked)
    assert set(answers) == {200, 429}
    assert server.label(COAST)[0] == 200


def test_a_worker_that_is_killed_costs_no_request(server):
    before = server.label(COAST)[1]["score"]
    for worker in _workers(server):
        worker.kill()
    assert server.label(COAST)[1]["score"] == before


def _workers(server: Server) -> list[psutil.Process]:
    found = psutil.Process(server.process.pid).children(recursive=True)
    return [one for one in found if one.num_threads() and "forkserver" not in one.name()][-1:]


def test_a_changed_model_file_takes_over_and_a_broken_one_does_not(server, forest_model, run):
    labeller = Labeller.open(str(forest_model))
    stop, answers = threading.Event(), []

    def ask() -> None:
        while not stop.is_set():
            answers.append(server.label(COAST))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        options = ("--method", "forest", "--n-estimators", "50", "--seed", "7")
        trained = run("train_anomaly_detector.py", "-d", "forest", "-m", server.model, *options)
        assert trained.returncode == 0
        _wait_for(server, 'anomaly_model_reloads_total{outcome="loaded"}')
        server.wait_until_ready()
    finally:
        stop.set()
        asking.join()
    assert {status for status, _ in answers} == {200}
    new = Labeller.open(str(server.model)).sha256
    assert new != labeller.sha256
    assert server.label(COAST)[1]["model"] == new

    spoiled = server.model.read_bytes()[:-100]
    server.model.write_bytes(spoiled)
    _wait_for(server, 'anomaly_model_reloads_total{outcome="refused"}')
    assert server.label(COAST)[1]["model"] == new


def _wait_for(server: Server, line: str) -> None:
    until = time.monotonic() + SECONDS
    while server.metric(line) < 1:
        assert time.monotonic() < until
        time.sleep(0.1)


def test_the_numbers_for_prometheus_are_those_of_the_requests(server):
    before = server.metric('anomaly_verdicts_total{label="anomaly"}')
    far_before = server.metric("anomaly_outside_range_total")
    server.label(COAST)
    assert server.metric('anomaly_verdicts_total{label="anomaly"}') == before + 1
    assert server.metric("anomaly_outside_range_total") == far_before + 1
    assert server.metric("anomaly_queue") == 0
    assert server.metric('anomaly_stage_seconds_count{stage="judge"}') > before
    assert server.metric('anomaly_score{quantile="0.5"}') > 0


def test_a_token_is_asked_for_but_where_it_is_about_health(forest_model, monkeypatch):
    monkeypatch.setenv("ANOMALY_TOKEN", "s3cret")
    server = start(forest_model)
    for path, body in (("/model", None), ("/metrics", None), ("/predict", COAST)):
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            status, answer = server.ask(path, body, "image/jpeg", headers)
            assert (status, "token" in answer["detail"]) == (401, True)
    assert server.ask("/model", headers={"Authorization": "Bearer s3cret"})[0] == 200
    assert server.ask("/healthz")[0] == 200
    server.process.terminate()
    assert server.process.wait(SECONDS) == 0


def test_what_is_under_way_is_answered_when_the_server_is_ended(forest_model):
    server = start(forest_model, "--false-discovery-rate", "0.3")
    server.wait_until_ready()
    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(server.ask, "/predict", files(*[COAST] * 8), MULTIPART)]
        while server.metric('anomaly_stage_seconds_count{stage="receive"}') < 1:
            time.sleep(0.01)
        server.process.send_signal(signal.SIGTERM)
        assert [one.result()[0] for one in asked] == [200]
    said = server.process.stderr.read().decode()
    assert server.process.wait(SECONDS) == 0
    # At this rate the first coast might be a forest that looks strange.
    assert said.splitlines()[-1] == "[INFO] 1 normal, 7 anomalies, 0 unreadable"


def test_an_anomaly_is_a_message_of_whose_event_the_server_has_the_picture(forest_model, tmp_path):
    with Receiver() as receiver:
        url = f"http://127.0.0.1:{receiver.port}/hook"
        rate = ("--extrapolate", "--false-alarm-rate", "0.03")  # 24 images promise 0.04
        record = ("--events", str(tmp_path / "line.db"))
        server = start(forest_model, *record, "--on-anomaly", url, *rate)
        try:
            server.wait_until_ready()
            answer = server.label(HIGHWAY)[1]
            arrived = f'anomaly_messages_total{{outcome="arrived",target="{url}"}}'
            until = time.monotonic() + SECONDS
            while server.metric(arrived) < 1:
                assert time.monotonic() < until
                time.sleep(0.05)
            assert receiver.posts == [(answer["id"], answer)]
            assert (answer["extrapolated"], answer["p_value"] < 0.03) == (True, True)
            assert server.ask("/model")[1]["extrapolates"]
            assert "[WARNING] p-values and false-alarm rates below 1/25, the best" in server.said
            overlay = f"http://127.0.0.1:{server.port}/events/{answer['id']}/overlay"
            with urllib.request.urlopen(overlay, timeout=SECONDS) as picture:
                height, width, _ = images.decode_image(picture.read()).shape
            assert width == 2 * height
            assert server.ask("/events/none/overlay")[0] == 404
        finally:
            server.process.terminate()
        assert server.process.wait(SECONDS) == 0


def test_what_keeps_it_from_serving_is_one_sentence(forest_model, run, tmp_path):
    spoiled = tmp_path / "spoiled.pem"
    spoiled.write_text("no certificate")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        cases = [
            (("--port", port), f"127.0.0.1:{port}: {os.strerror(errno.EADDRINUSE)}"),
            (("--host", "nowhere.invalid"), "nowhere.invalid:0: Name or service not known"),
            (("--certificate", tmp_path / "x"), f"{tmp_path}/x: No such file or directory"),
            (
                ("--certificate", spoiled),
                f"{spoiled}: no certificate with its private key, in PEM",
            ),
            (
                ("--on-anomaly", "http://127.0.0.1:9/"),
                "--on-anomaly http://127.0.0.1:9/: messages to a URL wait in a record: add "
                "--events FILE",
            ),
        ]
        for options, sentence in cases:
            ended = run("serve_anomaly_detector.py", "-m", forest_model, "--port", 0, *options)
            assert ended.returncode == 1
            assert ended.stderr.decode().splitlines()[-1] == f"[ERROR] {sentence}"


def test_the_frames_of_a_stream_are_judged_next_to_requests_and_its_loss_is_a_metric(
    forest_model, tmp_path
):
    events = tmp_path / "line.db"
    with stream_served([images.decode_image(COAST)], per_connection=30) as url:
        name = f"{url}?key=***"
        watched = ("--watch", f"{url}?key=secret", "--every", "5", "--events", str(events))
        server = start(forest_model, *watched)
        try:
            until = time.monotonic() + SECONDS
            lost = f'anomaly_lost_sources_total{{source="{name}"}} '
            while f"{lost}1" not in (said := server.ask("/metrics")[1]):
                assert time.monotonic() < until
                time.sleep(0.1)
            assert server.label(COAST)[1]["label"] == "anomaly"
            assert f'anomaly_source_up{{source="{name}"}}' in said
            assert "secret" not in said
        finally:
            server.process.terminate()
        assert server.process.wait(SECONDS) == 0
        assert f"{name}: it ended".encode() in server.process.stderr.read()
    with EventRecord(str(events)) as record:
        assert all(image.startswith(f"{name}/20") for image in record.images_of(name))
        assert record.images_of(name)
        assert len(record.images_of("http")) == 1


def test_a_server_watches_no_folder(run, forest_model):
    ended = run("serve_anomaly_detector.py", "-m", forest_model, "--watch", "examples")
    assert ended.returncode == 1
    assert b"examples: a server watches cameras and streams alone" in ended.stderr


def test_the_commands_on_the_page_of_the_line_do_what_it_says(forest_model):
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    page = (CHECKOUT / "docs" / "line.md").read_text()
    section = page.partition("## A server")[2].partition("\n## ")[0]
    serving, asking = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)[:2]
    (shown,) = re.findall(r"```json\n(.*?)```", section, re.DOTALL)
    assert serving == (
        "python serve_anomaly_detector.py --model anomaly_detector.model --port 8000\n"
    )
    server = start(forest_model)
    one, several = (
        json.loads(subprocess.check_output(["sh", "-c", f"curl --silent {rest}"], cwd=CHECKOUT))
        for rest in (
            line.removeprefix("curl ").replace(":8000/", f":{server.port}/")
            for line in asking.splitlines()
        )
    )
    assert list(one) == list(json.loads(shown))
    assert [answer["label"] for answer in (one, *several)] == ["anomaly", "anomaly", "normal"]
    assert all(answer["overlay"] for answer in several)
    server.process.terminate()
    assert server.process.wait(SECONDS) == 0
