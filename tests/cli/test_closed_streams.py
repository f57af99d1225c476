"""Standard streams that are closed before a script starts."""

import shlex
import subprocess
import sys

import pytest

from helpers.scripts import CHECKOUT


@pytest.mark.parametrize("closed", [">&-", "<&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_cost_what_they_would_have_carried(forest_model, tmp_path, closed):
    command = shlex.join(
        [
            *(sys.executable, "test_anomaly_detector.py", "-m", str(forest_model)),
            *("-i", "examples/forest_1.jpg", "--csv", str(tmp_path / "t.csv")),
        ]
    )
    ended = subprocess.run(
        ["bash", "-c", f"{command} {closed}"], cwd=CHECKOUT, capture_output=True, text=True
    )
    assert ended.returncode == 0
    assert "Traceback" not in ended.stderr
    table = (tmp_path / "t.csv").read_text()
    assert table.splitlines()[1].startswith("examples/forest_1.jpg,normal,")
    assert ended.stdout == ("" if ">&-" in closed.split() else table)
