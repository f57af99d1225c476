"""Nothing is sent anywhere unless a command says so."""

import socket


def test_training_labelling_and_reporting_open_no_connection(run, tmp_path, monkeypatch):
    connect = socket.socket.connect

    def connect_here(self, address):
        if self.family != socket.AF_UNIX:
            raise OSError(f"a connection to {address}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect_here)
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, *_, **__: connect_here(None, host))
    model, series = tmp_path / "a.model", tmp_path / "s.model"
    for command in (
        ("train_anomaly_detector.py", "-d", "forest", "-m", model),
        ("test_anomaly_detector.py", "-m", model, "-d", "examples", "--report", f"{tmp_path}/r/"),
        ("train_anomaly_detector.py", "-d", "examples/daily_normal.csv", "-m", series),
        ("find_anomalies.py", "-m", series, "-d", "examples/daily_jump.csv"),
    ):
        ended = run(*command)
        assert ended.returncode == 0, ended.stderr
