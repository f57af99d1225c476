"""Runs a station and compares what came of it with what the script says of the same parts."""

from __future__ import annotations

import contextlib
import csv
import json
import random
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import psutil

from helpers.brokers import Broker, Subscriber
from helpers.receivers import Receiver
from helpers.scripts import CHECKOUT, run_script
from pyimagesearch.labelling.verdict import ANOMALY
from pyimagesearch.line.event_record import EventRecord

TARGETS = ("mqtt", "http")
N_GOOD, SIDE = 24, 64
SECONDS = 60.0
ALWAYS = (datetime(2000, 1, 1, tzinfo=UTC), datetime(3000, 1, 1, tzinfo=UTC))


@dataclass
class Found:
    """What a run has found.

    Attributes:
        n_parts: that were sent.
        n_anomalies: that the script names.
        n_messages: that came, with those that came again.
        n_kills: of the server.
        seconds: that it took.
        faults: what was not as promised.
    """

    n_parts: int
    n_anomalies: int
    n_messages: int = 0
    n_kills: int = 0
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)


class Inbox:
    """What a target was told: a broker, or a receiver of posts; killed and started again.

    Args:
        folder: for its files.
        target: one of ``TARGETS``.
    """

    def __init__(self, folder: Path, target: str) -> None:
        self._target = target
        if target == "mqtt":
            lines = ("allow_anonymous true", "persistence true", f"persistence_location {folder}/")
            self._broker = Broker(folder, *lines, "autosave_interval 1", "autosave_on_changes true")
            self.url = f"mqtt://127.0.0.1:{self._broker.port}/parts"
        else:
            self._receiver = Receiver()
            with self._receiver:  # takes a port
                pass
            self.url = f"http://127.0.0.1:{self._receiver.port}/parts"
        self.messages: list[dict] = []
        self._stack = contextlib.ExitStack()

    def open(self) -> None:
        self._stack = contextlib.ExitStack()
        if self._target == "mqtt":
            self._stack.enter_context(self._broker)
            self._subscriber = self._stack.enter_context(Subscriber(self._broker.port))
        else:
            self._stack.enter_context(self._receiver)

    def close(self) -> None:
        """Kill it; what it was told is kept."""
        self._stack.close()
        if self._target == "mqtt":
            self.messages += [json.loads(body) for _, body in self._subscriber.bodies]
        else:
            self.messages += [content for _, content in self._receiver.posts]
            self._receiver.posts.clear()


class Server:
    """A server on a port of its own, that may be killed and started again."""

    def __init__(self, model: Path, *options: object) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._command = [
            *(sys.executable, "serve_anomaly_detector.py", "-m", str(model)),
            *("--port", str(self.port), "--jobs", "2", *map(str, options)),
        ]
        self._log = model.parent / "server.log"

    def start(self) -> None:
        with open(self._log, "ab") as log:
            self.process = subprocess.Popen(self._command, cwd=CHECKOUT, stderr=log)

    def kill(self) -> None:
        """As a power cut does: the server and its workers at once."""
        every = [psutil.Process(self.process.pid)]
        every += every[0].children(recursive=True)
        for one in every:
            with contextlib.suppress(psutil.Error):
                one.kill()
        self.process.wait()

    def end(self) -> int:
        self.process.terminate()
        return self.process.wait(SECONDS)

    def label(self, name: str, data: bytes) -> dict:
        """The answer to an image, which is sent until there is one."""
        url = f"http://127.0.0.1:{self.port}/predict?name={name}"
        ends = time.monotonic() + SECONDS
        while True:
            request = urllib.request.Request(url, data, {"Content-Type": "image/png"})
            try:
                with urllib.request.urlopen(request, timeout=SECONDS) as answer:
                    return json.load(answer)
            except urllib.error.HTTPError as error:
                if error.code not in (429, 503) or time.monotonic() > ends:
                    raise
            except OSError:
                if time.monotonic() > ends:
                    raise
            time.sleep(0.02)


class Station:
    """Parts with some defects among them, a model of good ones, a server, and who is told.

    Args:
        folder: for all files.
        n_parts: that are sent.
        n_defects: of them.
        target: that is told of anomalies, one of ``TARGETS``.
        seed: of the parts' order and of the moments.
    """

    def __init__(self, folder: Path, n_parts: int, n_defects: int, target: str, seed: int) -> None:
        self._folder, self._random = folder, random.Random(seed)
        self._model = make_model(folder)
        self._parts = self._make_parts(n_parts, n_defects)
        self._inbox = Inbox(folder, target)
        self._record = folder / "line.db"
        self._server = Server(
            self._model, "--events", self._record, "--on-anomaly", self._inbox.url
        )

    def _make_parts(self, n_parts: int, n_defects: int) -> dict[str, bytes]:
        """The files by their names, in the order in which they are sent."""
        good = sorted((self._folder / "parts" / "test" / "good").iterdir())
        bad = sorted((self._folder / "faulty" / "test").glob("*/*.png"))
        spoiled = set(self._random.sample(range(n_parts), n_defects))
        (self._folder / "sent").mkdir()
        parts = {}
        for number in range(n_parts):
            path = self._random.choice(bad if number in spoiled else good)
            name = f"part_{number:05}.png"
            shutil.copy(path, self._folder / "sent" / name)
            parts[name] = path.read_bytes()
        return parts

    def anomalies_of_the_script(self) -> list[str]:
        ended = run_script(
            "test_anomaly_detector.py", "-m", self._model, "-d", self._folder / "sent"
        )
        rows = csv.DictReader(StringIO(ended.stdout.decode()))
        return [Path(row["image"]).name for row in rows if row["label"] == ANOMALY]

    def run(self, n_kills: int) -> Found:
        """Send all parts, killing the server so many times, and the target a fourth as often."""
        expected = self.anomalies_of_the_script()
        found = Found(len(self._parts), len(expected), n_kills=n_kills)
        started = time.monotonic()
        self._inbox.open()
        self._server.start()
        killing = threading.Thread(target=self._kill, args=(n_kills, len(self._parts)))
        self._n_sent, self._ends = 0, threading.Event()
        killing.start()
        answers = []
        for name, data in self._parts.items():
            answers.append(self._server.label(name, data))
            self._n_sent += 1
        self._ends.set()
        killing.join()
        self._wait_until_told()
        assert self._server.end() == 0
        self._inbox.close()
        found.seconds = time.monotonic() - started
        found.n_messages = len(self._inbox.messages)
        found.faults += self._faults(expected, answers)
        return found

    def _kill(self, n_kills: int, n_parts: int) -> None:
        """Kill the server, and between every fourth kill and the next the target for a moment."""
        moments = sorted(self._random.uniform(0.02, 0.98) * n_parts for _ in range(n_kills))
        away = sorted(self._random.uniform(0.1, 0.9) * n_parts for _ in range(5))
        while (moments or away) and not self._ends.is_set():
            if moments and self._n_sent >= moments[0]:
                moments.pop(0)
                time.sleep(self._random.uniform(0, 0.05))
                self._server.kill()
                self._server.start()
            if away and self._n_sent >= away[0]:
                away.pop(0)
                self._inbox.close()
                time.sleep(self._random.uniform(0.1, 1))
                self._inbox.open()
            time.sleep(0.002)

    def _wait_until_told(self) -> None:
        """Wait until no message waits, also for a server that was killed last of all."""
        ends = time.monotonic() + SECONDS
        while time.monotonic() < ends:
            time.sleep(0.1)
            with contextlib.suppress(OSError):
                url = f"http://127.0.0.1:{self._server.port}/metrics"
                with urllib.request.urlopen(url) as page:
                    lines = page.read().decode().splitlines()
                waiting = [line for line in lines if line.startswith("anomaly_unsent_messages{")]
                if all(line.endswith(" 0.0") for line in waiting):
                    time.sleep(0.5)  # for the broker to hand it on
                    return

    def _faults(self, expected: list[str], answers: list[dict]) -> Iterator[str]:
        with EventRecord(str(self._record)) as record:
            events = list(record.events(*ALWAYS))
        recorded = Counter(event.id for event in events)
        for answer in answers:
            if recorded[answer["id"]] != 1:
                yield f"{answer['image']}: {recorded[answer['id']]} times on record"
        # Where a kill came between the record and the answer, a part was sent and recorded again.
        told, seen = [], set()
        for message in self._inbox.messages:
            if message["id"] not in seen:
                told.append(message["image"])
            seen.add(message["id"])
        on_record = [event.image for event in events if event.label == ANOMALY]
        if told != on_record:
            yield f"told of {told}, on record {on_record}"
        if list(dict.fromkeys(told)) != expected:
            missing, more = set(expected) - set(told), set(told) - set(expected)
            yield f"the script names others: missing {sorted(missing)}, more {sorted(more)}"


def make_model(folder: Path) -> Path:
    """Parts, defects on some of them, and a model of good ones, in a folder."""
    parts, model = folder / "parts", folder / "it.model"
    for command in (
        ("generate_data.py", "parts", "-o", parts, "--size", SIDE, "--test-count", N_GOOD),
        ("generate_data.py", "defects", "-b", parts / "test" / "good", "-o", folder / "faulty"),
        (
            *("train_anomaly_detector.py", "-d", parts / "train" / "good", "-m", model),
            *("--method", "memory-bank", "--no-backbone"),
        ),
    ):
        ended = run_script(*command)
        assert ended.returncode == 0, ended.stderr.decode()
    return model


def soak(folder: Path, minutes: float) -> str:
    """Send parts for a while; how the memory of the server went, in words."""
    model = make_model(folder)
    server = Server(model, "--events", folder / "line.db", "--keep-bytes", "1MB")
    server.start()
    paths = sorted((folder / "parts" / "test" / "good").iterdir())
    paths += sorted((folder / "faulty" / "test").glob("*/*.png"))
    images = [path.read_bytes() for path in paths]
    started, sent, samples = time.monotonic(), 0, []
    while (passed := (time.monotonic() - started) / 60) < minutes:
        server.label(f"part_{sent}.png", images[sent % len(images)])
        sent += 1
        if len(samples) <= passed * 2:  # every half minute
            samples.append(_memory(server))
            print(f"{passed:.1f} min, {sent:,} parts: {samples[-1]:.1f} MB", flush=True)
    server.end()
    tenth = max(1, len(samples) // 10)
    first, last = samples[tenth : 3 * tenth], samples[-2 * tenth :]
    growth = (sum(last) / len(last)) / (sum(first) / len(first)) - 1
    return f"{sent:,} parts in {minutes:g} min; memory grew by {growth:.2%} after the first tenth"


def _memory(server: Server) -> float:
    """MB that the server and its workers have for themselves.

    Pages that they share with other programs count for less the more of these run.
    """
    own = psutil.Process(server.process.pid)
    every = [own, *own.children(recursive=True)]
    return sum(one.memory_full_info().uss for one in every) / 1e6
