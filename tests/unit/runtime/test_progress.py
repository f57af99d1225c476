"""Progress bars: where there are any, what they say, and that messages do not tear them."""

import re
import subprocess
import sys
import time

import pytest

from helpers.scripts import CHECKOUT
from helpers.terminals import stderr_on_terminal
from pyimagesearch.runtime import console, progress
from pyimagesearch.runtime.console import info, warn
from pyimagesearch.runtime.progress import track


@pytest.fixture
def script(monkeypatch):
    """A script that shows its messages, and whose work takes long enough for a bar."""
    monkeypatch.setattr(progress, "SECONDS_WITHOUT", 0.05)
    console.configure(quiet=False, log_time=False)


def slowly(n_results, *messages):
    """Results, with messages between the last of them."""
    for number in range(n_results):
        time.sleep(0.02)
        if n_results - number <= len(messages):
            warn(messages[number - n_results])
        yield number


@pytest.mark.usefixtures("script")
def test_a_bar_shows_what_is_done_the_rate_and_the_time_left(monkeypatch):
    with stderr_on_terminal(monkeypatch) as terminal:
        assert list(track(slowly(30), "reading images", total=30)) == list(range(30))
    assert re.search(
        r"reading images: +\d+%.*\d+/30 \[\d\d:\d\d<\d\d:\d\d, +\d+.\d+ images/s\]", terminal.sent
    )
    assert terminal.lines == [""]


@pytest.mark.usefixtures("script")
def test_inputs_that_take_a_while_to_list_are_counted_meanwhile(monkeypatch):
    with stderr_on_terminal(monkeypatch) as terminal:
        list(track(slowly(30), total=lambda: range(30)))
    assert re.search(r"/30 \[\d\d:\d\d<\d\d:\d\d, +\d+.\d+ images/s\]", terminal.sent)


@pytest.mark.usefixtures("script")
def test_results_without_a_known_number_have_a_bar_without_an_end(monkeypatch):
    with stderr_on_terminal(monkeypatch) as terminal:
        list(track(slowly(30), unit="folds"))
    assert re.search(r"\d+ folds \[\d\d:\d\d, +\d+.\d+ folds/s\]", terminal.sent)


@pytest.mark.usefixtures("script")
def test_the_rate_is_that_of_the_work_from_its_start(monkeypatch):
    def results():
        for seconds in (0.5, 0.2):
            time.sleep(seconds)
            yield seconds

    with stderr_on_terminal(monkeypatch) as terminal:
        list(track(results(), total=2, unit="folds"))
    assert re.search(r" 1/2 \[\S+, +[12]\.\d\d folds/s\]", terminal.sent)


@pytest.mark.usefixtures("script")
def test_messages_do_not_tear_a_bar_nor_the_bar_messages(monkeypatch):
    with stderr_on_terminal(monkeypatch) as terminal:
        info("fitting...")
        list(track(slowly(30, "one", "äther", "three" * 50), "calibrating", total=30))
        info("done")
    assert "calibrating: " in terminal.sent
    whole = ["[INFO] fitting...", "[WARNING] one", "[WARNING] äther", "[WARNING] " + "three" * 50]
    assert terminal.lines == [*whole, "[INFO] done", ""]


@pytest.mark.usefixtures("script")
def test_the_bar_comes_back_under_a_message(monkeypatch):
    with stderr_on_terminal(monkeypatch) as terminal:
        list(track(slowly(30, "a sentence", "and another"), "calibrating", total=30))
    assert re.search(r"\r *\r\[WARNING\] a sentence\r\n\r?calibrating: ", terminal.sent)


@pytest.mark.usefixtures("script")
def test_an_error_leaves_no_bar_behind(monkeypatch):
    def main():
        for number in track(slowly(30), "scoring", total=30):
            if number == 20:
                raise console.UserError("no more")

    with stderr_on_terminal(monkeypatch) as terminal:
        assert console.status_of(main) == 1
    assert "scoring: " in terminal.sent
    assert terminal.lines == ["[ERROR] no more", ""]


@pytest.mark.usefixtures("script")
def test_a_quiet_script_has_no_bar(monkeypatch):
    with stderr_on_terminal(monkeypatch) as terminal:
        console.configure(quiet=True, log_time=False)
        list(track(slowly(10, "a sentence"), total=10))
    assert terminal.sent == "[WARNING] a sentence\r\n"


def test_a_library_has_no_bar(monkeypatch):
    monkeypatch.setattr(progress, "SECONDS_WITHOUT", 0.05)
    with stderr_on_terminal(monkeypatch) as terminal:
        list(track(slowly(10, "a sentence"), total=10))
    assert terminal.sent == ""


@pytest.mark.usefixtures("script")
def test_off_a_terminal_there_is_no_bar(capsys):
    list(track(slowly(10), total=10))
    assert capsys.readouterr() == ("", "")


def test_quick_work_has_no_bar_and_does_not_import_one():
    code = (
        "import sys\n"
        "from pyimagesearch.runtime import console, progress\n"
        "sys.stderr.isatty = lambda: True\n"
        "console.configure(quiet=False, log_time=False)\n"
        "assert list(progress.track(range(1000), total=1000)) == list(range(1000))\n"
        "assert 'tqdm' not in sys.modules"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True)
    assert (ended.returncode, ended.stderr) == (0, b"")


@pytest.mark.usefixtures("script")
def test_slow_work_has_a_rate_per_second_too(monkeypatch):
    def results():
        time.sleep(1.2)
        yield 1

    with stderr_on_terminal(monkeypatch) as terminal:
        list(track(results(), "fitting", total=2, unit="fits"))
        list(track(results(), "fitting", unit="fits"))
    assert re.search(r"fitting:  50%.* 1/2 \[00:01<00:01, +0\.8\d fits/s\]", terminal.sent)
    assert re.search(r"fitting: 1 fits \[00:01, +0\.8\d fits/s\]", terminal.sent)
