"""Claims about files that are wrong in every way, and about the harness that makes them."""

import re

from helpers.scripts import run_cold
from tests.system.fuzz.targets.canary import WRONGS

# Of each target; of the scripts a tenth, which is one. make fuzz, which .ci/run calls behind the
# tests, has more.
N_CASES = 6


def fuzz(*arguments):
    ended = run_cold("-m", "tests.system.fuzz", *arguments)
    return ended.returncode, ended.stdout.decode() + ended.stderr.decode()


def test_whatever_is_read_is_taken_or_refused_in_a_sentence(tmp_path):
    status, printed = fuzz("--cases", N_CASES, "--findings", tmp_path)
    assert status == 0, printed
    assert re.search(r"^[\d,]+ cases in \d+ s;", printed, re.MULTILINE)


def test_the_harness_finds_what_must_not_happen(tmp_path):
    status, printed = fuzz("--target", "canary", "--cases", len(WRONGS), "--findings", tmp_path)
    assert status == 1
    found = dict(re.findall(r"^\[FOUND\] canary, case (\d+):\n +(.*)$", printed, re.MULTILINE))
    assert sorted(map(int, found)) == list(range(len(WRONGS))), printed
