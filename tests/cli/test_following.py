"""Claims about series that are followed: files that grow, events that are no rows, saved states."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from helpers.scripts import CHECKOUT, heed_interrupts, run_script
from pyimagesearch.cli.following import Following
from pyimagesearch.cli.labelling_options import parse_finding
from pyimagesearch.data.followed_lines import GrowingFile, Mark
from pyimagesearch.detectors import model_file
from pyimagesearch.labelling.series import SeriesLabeller

HEADER = "timestamp,value\n"
NOTHING = Mark.NOTHING_NOW


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A stream model of two weeks of January 2024, a row each five minutes."""
    path = tmp_path_factory.mktemp("stream") / "stream.model"
    command = ("-d", CHECKOUT / "examples" / "daily_normal.csv", "--method", "stream")
    done = run_script("train_anomaly_detector.py", "-m", path, *command)
    assert done.returncode == 0, done.stderr.decode()
    return path


class Script:
    """A source of what a test says, and of a clock that only a test moves.

    Numbers among the items are seconds that pass with nothing to read; functions are called.
    """

    name = "script"

    def __init__(self, *items):
        self._items = [*items, b""]
        self.now = 0.0

    def read(self):
        item = self._items.pop(0)
        if callable(item):
            item()
            return NOTHING
        if isinstance(item, (int, float)):
            self.now += item
            return NOTHING
        return item.encode() if isinstance(item, str) else item


def find(model, *options, **settings):
    return run_script("find_anomalies.py", "-m", model, *options, "--follow", **settings)


def follow(model, source, *options, clock=lambda: 0.0, is_over=lambda: False):
    """Follow a source; what was counted."""
    argv = ["-m", str(model), "-d", "-", "--follow", *map(str, options)]
    loaded = model_file.load_model(str(model))
    labeller = SeriesLabeller.from_model(loaded)
    run = Following(parse_finding("", argv), loaded, labeller, labeller.threshold, clock)
    return run.judge_all(source, is_over)


def play(model, *items, options=()):
    """Follow a script of items by its own clock."""
    script = Script(*items)
    return follow(model, script, *options, clock=lambda: script.now)


def row(minute, value=20):
    return f"2024-02-01 {minute // 60:02}:{minute % 60:02},{value}\n"


def printed(captured):
    return list(csv.reader(io.StringIO(captured.out.decode())))


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


class Rotated:
    """What becomes of a file each time that all of it is read; at the end, it is over."""

    def __init__(self, *steps):
        self._steps = list(steps)
        self.is_over = False

    def wait(self, seconds):  # noqa: ARG002
        if self._steps:
            self._steps.pop(0)()
        else:
            self.is_over = True

    def follow(self, model, path, *options):
        with GrowingFile(str(path), self.wait) as source:
            return follow(model, source, *options, is_over=lambda: self.is_over)


def test_a_file_that_grows_is_followed_through_rotations(model, tmp_path, capfdbinary):
    path, out = tmp_path / "rows.csv", tmp_path / "rows.json"

    def write(text):
        with open(path, "a") as file:
            file.write(text)

    counts = Rotated(
        lambda: write(HEADER + row(0) + row(5)[:-2]),
        lambda: write(row(5)[-2:]),
        lambda: path.rename(tmp_path / "rows.csv.1"),
        lambda: write(HEADER + row(10, 500)),
        lambda: os.truncate(path, 0),
        lambda: write(row(15)),
    ).follow(model, path, "--json", out)
    assert [fields["time"][-5:] for fields in lines(out)] == ["00:00", "00:05", "00:10", "00:15"]
    assert counts == {"normal": 3, "anomaly": 1, "unreadable": 0}
    captured = capfdbinary.readouterr()
    assert [alarm[0] for alarm in printed(captured)] == ["start", "2024-02-01 00:10"]
    assert captured.err.count(b"is waited for") == 2


def test_a_saved_state_skips_the_rows_that_it_has_seen(model, tmp_path, capfdbinary):
    path, state = tmp_path / "rows.csv", tmp_path / "state.model"
    path.write_text(HEADER + "".join(map(row, range(0, 30, 5))))
    Rotated().follow(model, path, "--save-state", state)
    with open(path, "a") as file:
        file.write(row(30, 500) + row(35))
    capfdbinary.readouterr()
    counts = Rotated().follow(state, path, "--save-state", state)
    assert counts == {"normal": 1, "anomaly": 1, "unreadable": 0}
    said = capfdbinary.readouterr().err.decode()
    assert "rows up to 2024-02-01 00:25:00 are skipped: the saved state has seen them" in said
    assert "1 alarm, 0 rows not judged, 6 rows skipped" in said
    whole = tmp_path / "whole.model"
    Rotated().follow(model, path, "--save-state", whole)
    assert state.read_bytes() == whole.read_bytes()


def test_a_saved_state_goes_on_with_a_file_that_has_no_header_any_more(model, tmp_path):
    path, state = tmp_path / "rows.csv", tmp_path / "state.model"
    path.write_text("value;timestamp\n20;2024-02-01 00:00\n")
    Rotated().follow(model, path, "--save-state", state)
    path.write_text("20;2024-02-01 00:05\n500;2024-02-01 00:10\n")
    counts = Rotated().follow(state, path, "--save-state", state)
    assert counts == {"normal": 1, "anomaly": 1, "unreadable": 0}
    # And once more, from what that run has saved.
    assert Rotated().follow(state, path)["normal"] == 0


def test_a_row_that_was_ahead_of_its_time_makes_a_saved_state_skip_none_after_it(model, tmp_path):
    state = tmp_path / "state.model"
    play(model, HEADER, row(0), "2099-01-01 00:00,20\n", options=["--save-state", state])
    assert play(state, HEADER, row(0), row(5), row(10)) == {
        "normal": 2,
        "anomaly": 0,
        "unreadable": 0,
    }


def test_sigterm_ends_it_with_a_summary_and_the_state(model, tmp_path):
    path, out, state = (tmp_path / name for name in ("rows.csv", "rows.json", "state.model"))
    path.write_text(HEADER + row(0))

    def end():
        while not (out.exists() and out.stat().st_size):
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGTERM)

    ending = threading.Thread(target=end)
    ending.start()
    done = find(model, "-d", path, "--json", out, "--save-state", state)
    ending.join()
    assert done.returncode == 0
    said = done.stderr.decode().splitlines()
    assert said[-3:] == [
        "[INFO] interrupted",
        f"[INFO] state written to {state}",
        "[INFO] 0 alarms, 0 rows not judged",
    ]


def test_a_killed_run_goes_on_from_the_last_state_that_was_saved(model, tmp_path):
    path, state, whole = (tmp_path / name for name in ("rows.csv", "state.model", "whole.model"))
    path.write_text(HEADER + "".join(map(row, range(0, 30, 5))))
    command = ["-m", model, "-d", path, "--follow", "--save-state", state, "--save-every", "0.05s"]
    with subprocess.Popen(
        [sys.executable, "find_anomalies.py", *map(str, command)],
        cwd=CHECKOUT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=heed_interrupts,
    ) as process:
        until = time.monotonic() + 60
        while not state.exists() and time.monotonic() < until:
            time.sleep(0.02)
        process.kill()
    with open(path, "a") as file:
        file.write(row(30, 500) + row(35))
    assert Rotated().follow(state, path, "--save-state", state)["anomaly"] == 1
    Rotated().follow(model, path, "--save-state", whole)
    assert state.read_bytes() == whole.read_bytes()


def test_a_state_that_cannot_be_saved_for_a_while_stops_no_alarm(model, tmp_path, capfdbinary):
    folder = tmp_path / "away"
    folder.mkdir()

    script = Script(HEADER, row(0), folder.rmdir, 61, row(5, 500), folder.mkdir, 61, row(10))
    options = ("--save-state", folder / "state.model", "--save-every", "1m")
    counts = follow(model, script, *options, clock=lambda: script.now)
    assert counts["anomaly"] == 1
    assert b"the state is not saved: " in capfdbinary.readouterr().err
    assert os.listdir(folder) == ["state.model"]


def test_a_saved_state_that_ends_at_no_time_is_refused(model, tmp_path):
    loaded = model_file.load_model(str(model))
    manifest = {k: v for k, v in loaded.manifest.items() if k != "members"}
    broken = tmp_path / "broken.model"
    for wrong in (
        "yesterday",
        {"time": "yesterday"},
        {"time": 1, "time_before": 2**70},
        {"header": 3},
    ):
        model_file.save_model(str(broken), manifest | {"last_row": wrong}, loaded.arrays)
        done = find(broken, "-d", "-", input=HEADER.encode())
        assert done.returncode == 1
        assert b"broken.model: the model cannot be used: " in done.stderr


def test_a_saved_state_without_times_warns_that_rows_are_judged_again(tmp_path, capfdbinary):
    path, state = tmp_path / "rows.csv", tmp_path / "state.model"
    path.write_text("value\n" + "".join(f"{number % 7}\n" for number in range(200)))
    run_script("train_anomaly_detector.py", "-d", path, "-m", state, "--method", "stream")
    for warned in (0, 1):
        capfdbinary.readouterr()
        Rotated().follow(state, path, "-d", path, "--save-state", state)
        assert capfdbinary.readouterr().err.count(b"are judged again") == warned


def test_a_gap_is_one_event_and_its_end_another(model, tmp_path, capfdbinary):
    out = tmp_path / "rows.json"
    play(
        *(model, HEADER, row(0), 300, 301, 400, row(5), 100, row(10), row(30, 500), row(35)),
        options=["--gap", "10m", "--json", out],
    )
    days = "2024-02-01 00:"
    *found, alarm = printed(capfdbinary.readouterr())
    assert alarm[0] == f"{days}30"
    assert alarm[5] == "anomaly"
    assert found == [
        ["start", "end", "peak", "score", "p_value", "event"],
        [f"{days}00", "", "", "", "", "gap"],
        [f"{days}00", f"{days}05", "", "", "", "gap_end"],
        [f"{days}10", "", "", "", "", "gap"],
        [f"{days}10", f"{days}30", "", "", "", "gap_end"],
    ]
    written = [(fields.get("event"), fields.get("seconds")) for fields in lines(out)]
    assert [event for event in written if event[0]] == [
        ("gap", 601),
        ("gap_end", 1001),
        ("gap", 1200),
        ("gap_end", 1200),
    ]


def test_before_the_first_row_and_with_rows_that_cannot_be_judged_there_is_a_gap(
    model, capfdbinary
):
    bad = [item for minute in range(0, 20, 5) for item in (60, f"2024-02-01 00:{minute:02},\n")]
    play(model, 61, HEADER, row(0), *bad, row(25), options=["--gap", "1m"])
    assert [line[5] for line in printed(capfdbinary.readouterr())[1:]] == ["gap", "gap_end"] * 2


def test_without_gap_the_columns_are_as_ever(model, capfdbinary):
    play(model, HEADER, row(0), 10_000, row(600, 500))
    header, (start, *_) = printed(capfdbinary.readouterr())
    assert header == ["start", "end", "peak", "score", "p_value"]
    assert start == "2024-02-01 10:00"


def test_a_heartbeat_says_how_far_it_has_come(model, tmp_path, capfdbinary):
    out = tmp_path / "rows.json"
    items = (61, HEADER, row(0), row(5, 500), "soon,20\n", 59, 61)
    play(model, *items, options=["--heartbeat", "1m", "--json", out])
    beat = {"event": "heartbeat", "rows": 0, "alarms": 0, "not_judged": 0, "last_time": None}
    last = {"rows": 3, "alarms": 1, "not_judged": 1, "last_time": "2024-02-01 00:05"}
    assert [fields for fields in lines(out) if "event" in fields] == [beat, beat | last]
    said = capfdbinary.readouterr().err.decode()
    assert "[INFO] heartbeat: 3 rows, 1 alarm, 1 not judged, last 2024-02-01 00:05" in said


def test_the_state_is_saved_while_no_row_comes(model, tmp_path):
    state = tmp_path / "state.model"
    seen = []

    def look():
        seen.append(state.exists())

    script = Script(HEADER, row(0), 59, look, 2, look)
    options = ("--save-state", state, "--save-every", "1m")
    follow(model, script, *options, clock=lambda: script.now)
    assert seen == [False, True]


def test_a_command_gets_alarms_and_gaps_in_their_order(model, tmp_path, capfdbinary):
    script, log = tmp_path / "alarm.sh", tmp_path / "log"
    script.write_text(
        'echo "$1|$ANOMALY_EVENT|$ANOMALY_TIME|$ANOMALY_START|$ANOMALY_END|'
        f'$ANOMALY_SCORE|$ANOMALY_P_VALUE|$ANOMALY_SECONDS" >> {log}\n'
    )
    items = (HEADER, row(0), 600, row(5), row(10, 500), row(15, 5_000))
    play(model, *items, options=["--gap", "10m", "--on-anomaly", f"sh {script} {{}}"])
    scores = ["|".join(cells[3:5]) for cells in printed(capfdbinary.readouterr())[-2:]]
    zero, five, ten, fifteen = (f"2024-02-01 00:{minute}" for minute in ("00", "05", "10", "15"))
    assert log.read_text().splitlines() == [
        f"{zero}|gap|{zero}|{zero}||||600",
        f"{five}|gap_end|{five}|{zero}|{five}|||600",
        f"{ten}|anomaly|{ten}|{ten}|{ten}|{scores[0]}|",
        f"{fifteen}|anomaly|{fifteen}|{fifteen}|{fifteen}|{scores[1]}|",
    ]


def test_json_has_a_line_for_each_row_that_every_run_adds_to(model, tmp_path):
    out = tmp_path / "rows.json"
    for text in (HEADER + row(0) + "soon,20\n", HEADER + row(5, 500)):
        assert find(model, "-d", "-", "--json", out, input=text.encode()).returncode in (0, 3)
    first, second, third = lines(out)
    assert first == {
        **{"row": 0, "time": "2024-02-01 00:00", "label": "normal"},
        **{"score": 0.0, "smoothed_score": 0.0, "p_value": 1.0},
    }
    assert (second["label"], second["score"]) == ("unreadable", None)
    assert second["reason"] == "its time is unreadable"
    assert (third["row"], third["label"]) == (0, "anomaly")


def test_what_a_killed_run_has_begun_in_json_is_removed_and_other_files_are_not_added_to(
    model, tmp_path
):
    out, text = tmp_path / "rows.json", (HEADER + row(0)).encode()
    find(model, "-d", "-", "--json", out, input=text)
    once = out.read_bytes()
    out.write_bytes(once + once[:20])
    assert find(model, "-d", "-", "--json", out, input=text).returncode == 0
    assert out.read_bytes() == once * 2
    for other in (b"a,b\n1,2\n", b'{"image": "a.jpg"}\n', once + b"notes\n", b"no end"):
        out.write_bytes(other)
        done = find(model, "-d", "-", "--json", out, input=text)
        assert done.returncode == 1
        assert b"not lines as --follow writes them, so none are added" in done.stderr
        assert out.read_bytes() == other


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--gap", "10"], "'10' is not a duration such as 90s, 10m, 1h or 1d"),
        (["--gap", "0s"], "'0s' is not a duration"),
        (["--csv", "out.csv"], "--csv does not go with --follow, which prints alarms"),
        (["--top", "3"], "--top does not go with --follow"),
        (["--save-every", "1m"], "--save-every goes with --save-state"),
        (["--on-anomaly", "no-such-command"], "there is no such command"),
        (["--on-anomaly", "sh -c {}"], 'would be run as a program; write "$ANOMALY_TIME"'),
    ],
)
def test_options_that_cannot_be_are_refused_with_a_sentence(model, options, sentence):
    done = find(model, "-d", "-", *options, input=HEADER.encode())
    assert done.returncode in (1, 2)
    assert sentence in done.stderr.decode()
    assert done.stdout == b""


def test_a_folder_cannot_be_followed(model, tmp_path):
    done = find(model, "-d", tmp_path)
    assert done.returncode == 1
    assert b"--follow is for one series" in done.stderr
