"""A station tells of each anomaly and records each verdict once, whatever is killed meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.brokers import MOSQUITTO
from tests.system.station.run import TARGETS, Station


@pytest.mark.parametrize("target", TARGETS)
def test_a_station_whose_parts_are_killed_loses_and_doubles_nothing(target: str, tmp_path: Path):
    if target == "mqtt" and MOSQUITTO is None:
        pytest.skip("mosquitto is not installed")
    found = Station(tmp_path, n_parts=40, n_defects=6, target=target, seed=0).run(n_kills=1)
    assert found.faults == []
    assert found.n_messages >= found.n_anomalies >= 5
