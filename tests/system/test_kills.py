"""Claims about scripts that are killed at random moments, and about the harness that does it."""

import pytest

from tests.system.kills.attack import Attack
from tests.system.kills.commands import COMMANDS, Command, make_inputs

N_KILLS = 1  # make kill: 30 of each
CHEAP = ("csv", "report", "watch", "find", "train", "validation", "defects")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kills") / "inputs"
    make_inputs(folder)
    return folder


@pytest.mark.parametrize("name", CHEAP)
def test_killed_and_run_again_it_leaves_what_a_quiet_run_does(name, inputs):
    tally = Attack(COMMANDS[name], inputs, seed=1).run(N_KILLS)
    assert tally.kills == N_KILLS
    assert tally.finished
    assert not tally.found


def test_the_harness_finds_what_a_killed_run_leaves(tmp_path):
    (tmp_path / "inputs").mkdir()
    script = tmp_path / "careless.py"
    script.write_text(
        "import os, time\n"
        "open(f'{os.getpid()}.tmp', 'w').close()\n"
        "with open('result', 'w') as file:\n"
        "    for number in range(200):\n"
        "        print(number, file=file, flush=True)\n"
        "        time.sleep(0.005)\n"
        "os.unlink(f'{os.getpid()}.tmp')\n"
    )
    found = Attack(Command(str(script), ()), tmp_path / "inputs", seed=0).run(2).found
    assert any("result is not whole" in what for what in found)
    assert any(".tmp' is left over" in what for what in found)
