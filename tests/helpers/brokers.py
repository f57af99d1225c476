"""A broker of MQTT, which may be killed, and a subscriber to all that it is told."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Self

MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")


class Broker:
    """Mosquitto on a port of its own; a context that may be entered again."""

    def __init__(self, folder: Path, *lines: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._configuration = folder / "mosquitto.conf"
        self._configuration.write_text(
            "\n".join([f"listener {self.port} 127.0.0.1", f"user {getpass.getuser()}", *lines, ""])
        )

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [MOSQUITTO, "-c", self._configuration], stderr=subprocess.DEVNULL
        )
        ends = time.monotonic() + 30
        while not self._listens():
            assert time.monotonic() < ends
            time.sleep(0.01)
        return self

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
        except ConnectionRefusedError:
            return False
        return True

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()


class Subscriber:
    """Takes note of all messages of a broker, which holds them while it is away; a context."""

    def __init__(self, port: int, user: str | None = None, password: str | None = None) -> None:
        self._at = (port, user, password)
        self.bodies: list[tuple[str, bytes]] = []

    def __enter__(self) -> Self:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        port, user, password = self._at
        is_there = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2, "subscriber", clean_session=False)
        if user is not None:
            self._client.username_pw_set(user, password)
        self._client.on_message = lambda _c, _u, m: self.bodies.append((m.topic, m.payload))
        self._client.on_subscribe = lambda *_: is_there.set()
        self._client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert is_there.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()
