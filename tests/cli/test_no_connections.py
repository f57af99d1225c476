"""Nothing is sent anywhere unless a command says so."""

import os
import shutil
import socket
import subprocess
import sys

import pytest

from helpers import tiny
from helpers.scripts import CHECKOUT

ASK = "import socket; socket.socket().connect(('192.0.2.1', 80))"  # an address for examples
ALONE = ("unshare", "--net", "--map-root-user")
# Of a kernel, how often somebody wanted to send a packet, to a name server or to anybody else.
COUNT = """
n_asked = 0
with open("/proc/net/snmp") as old, open("/proc/net/snmp6") as new:
    titles, values = [line.split() for line in old if line.startswith("Ip:")]
    n_asked += int(dict(zip(titles, values))["OutNoRoutes"])
    n_asked += sum(int(line.split()[1]) for line in new if line.startswith("Ip6OutNoRoutes"))
print("asked", n_asked)
"""


@pytest.fixture
def run_alone(tmp_path):
    """Run commands of Python on a machine of their own, which has no network at all."""
    permitted = shutil.which(ALONE[0]) and subprocess.run([*ALONE, "true"], capture_output=True)
    if not permitted or permitted.returncode:
        pytest.skip("namespaces without a network are not permitted here")

    def run(*commands):
        """Their outputs, and whether anybody asked for a network."""
        code = "import subprocess, sys\n" + "".join(
            f"subprocess.run({[sys.executable, *map(str, command)]!r})\n" for command in commands
        )
        environment = {**os.environ, "HOME": str(tmp_path / "new user")}
        ended = subprocess.run(
            [*ALONE, sys.executable, "-c", code + COUNT],
            cwd=CHECKOUT,
            env=environment,
            capture_output=True,
            timeout=300,
        )
        *printed, last = ended.stdout.decode().splitlines()
        return printed, ended.stderr.decode(), int(last.removeprefix("asked "))

    return run


def test_training_labelling_and_reporting_open_no_connection(
    run, few_forests, tmp_path, monkeypatch
):
    connect = socket.socket.connect

    def connect_here(self, address):
        if self.family != socket.AF_UNIX:
            raise OSError(f"a connection to {address}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect_here)
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *_, **__: connect_here(None, host))
    model, series = tmp_path / "a.model", tmp_path / "s.model"
    for command in (
        ("train_anomaly_detector.py", "-d", few_forests, "-m", model),
        ("test_anomaly_detector.py", "-m", model, "-d", "examples", "--report", f"{tmp_path}/r/"),
        ("train_anomaly_detector.py", "-d", "examples/daily_normal.csv", "-m", series),
        ("find_anomalies.py", "-m", series, "-d", "examples/daily_jump.csv"),
    ):
        ended = run(*command)
        assert ended.returncode == 0, ended.stderr


def test_from_installation_to_a_heat_map_nobody_asks_for_a_network(run_alone, tmp_path):
    """Not even for the network that images are compared with by default."""
    tiny.write_parts(tmp_path / "good", 12)
    tiny.write_parts(tmp_path / "bad", 1, seed=3, scratch=True)
    model, output = tmp_path / "parts.model", tmp_path / "labelled"
    printed, said, n_asked = run_alone(
        ("train_anomaly_detector.py", "-d", tmp_path / "good", "-m", model),
        ("test_anomaly_detector.py", "-m", model, "-i", tmp_path / "bad", "-o", f"{output}/"),
    )
    assert "efficientnet-lite0" in said
    assert ",anomaly," in printed[1]
    assert list(output.rglob("*.jpg")) + list(output.rglob("*.png"))
    assert n_asked == 0


def test_who_asks_for_a_network_is_counted(run_alone):
    _, said, n_asked = run_alone(("-c", ASK))
    assert "Network is unreachable" in said
    assert n_asked > 0
