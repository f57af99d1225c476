"""Claims about a watched folder: pictures that arrive, and commands that anomalies run."""

import contextlib
import csv
import io
import itertools
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from helpers.scripts import CHECKOUT, heed_interrupts
from pyimagesearch.cli import anomaly_command, resume_journal, watch_folder
from pyimagesearch.labelling.verdict import ANOMALY, NORMAL, UNREADABLE, Verdict
from pyimagesearch.reports.rows import COLUMNS, csv_line, csv_name
from pyimagesearch.runtime import console
from pyimagesearch.runtime.console import UserError

COAST = CHECKOUT / "examples" / "coast_1.jpg"
FOREST = CHECKOUT / "examples" / "forest_1.jpg"


@contextlib.contextmanager
def watch(model, folder, *options, sign=signal.SIGTERM):
    """Watch a folder until the block ends; the process, and what it said once it has ended."""
    process = subprocess.Popen(
        [sys.executable, "test_anomaly_detector.py", "-m", model, "--watch", folder, *options],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=heed_interrupts,
    )
    try:
        yield process
        process.send_signal(sign)
        process.printed, process.said = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()


def until(condition):
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it does not happen")


def labels(table):
    text = table.read_bytes().decode() if table.exists() else ""
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert len({row["image"] for row in rows}) == len(rows)
    return {os.path.basename(row["image"]): row["label"] for row in rows}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


# --- what arrives -------------------------------------------------------------------------------


def test_pictures_are_labelled_as_they_arrive_and_once(forest_model, folder, tmp_path):
    table = tmp_path / "t.csv"
    shutil.copy(FOREST, folder / "a_there_before.jpg")
    whole = COAST.read_bytes()
    (folder / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    with watch(forest_model, folder, "--csv", table) as process:
        until(lambda: "a_there_before.jpg" in labels(table))
        with open(folder / "slow.jpg", "wb") as slow:  # pauses longer than a picture settles in
            for start in range(0, len(whole), len(whole) // 3):
                slow.write(whole[start : start + len(whole) // 3])
                slow.flush()
                time.sleep(1.3)
        shutil.copy(COAST, folder / ".hidden.jpg")
        os.rename(folder / ".hidden.jpg", folder / "renamed.jpg")
        (folder / "later").mkdir()
        shutil.copy(FOREST, folder / "later" / "below.jpg")
        until(lambda: {"slow.jpg", "renamed.jpg", "below.jpg"} <= set(labels(table)))
        until(lambda: "truncated.jpg" in labels(table))
    assert process.returncode == 0
    expected = {
        "a_there_before.jpg": "normal",
        "slow.jpg": "anomaly",
        "renamed.jpg": "anomaly",
        "below.jpg": "normal",
        "truncated.jpg": "unreadable",
    }
    assert labels(table) == expected
    assert process.printed == table.read_bytes()
    assert process.said.count(b"[WARNING]") == 1
    assert b"[INFO] 2 normal, 2 anomalies, 1 unreadable" in process.said

    # Killed while it wrote a row, it goes on after the last whole one.
    rows = table.read_bytes()
    table.write_bytes(rows + b'"half a\nrow')
    shutil.copy(COAST, folder / "new.jpg")
    with watch(forest_model, folder, "--csv", table, sign=signal.SIGINT) as process:
        until(lambda: "new.jpg" in labels(table))
    assert process.returncode == 0
    assert table.read_bytes().startswith(rows)
    assert labels(table) == expected | {"new.jpg": "anomaly"}
    assert len(process.printed.splitlines()) == 2


def test_a_picture_is_tried_when_it_settles_and_again_when_it_changes(folder, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(watch_folder.time, "monotonic", lambda: now[0])
    arrivals = watch_folder.Arrivals(str(folder), set())
    picture = str(folder / "p.jpg")
    unreadable = Verdict(picture, UNREADABLE, reason="truncated")

    def write(content):
        with open(picture, "wb") as file:
            file.write(content)

    def looks(*times):
        found = []
        for now[0] in times:
            found += [now[0] for _ in arrivals.find()]
        return found

    write(b"x")
    assert looks(0, 0.5, 1) == [1]
    assert not arrivals.accept(unreadable)
    assert looks(1.5, 2, 3) == []
    write(b"xx")
    assert looks(3.5, 4, 4.5) == [4.5]
    assert not arrivals.accept(unreadable)
    assert looks(13, 13.5) == [13.5]
    assert arrivals.accept(unreadable)
    write(b"xxx")
    assert looks(14, 20, 40) == []


@pytest.mark.parametrize("seconds", [0.001, 1])
def test_looking_takes_at_most_a_tenth_of_the_time(folder, monkeypatch, seconds):
    """However slowly the folder can be listed: here each look at the clock takes a while."""
    clock = itertools.count(0, seconds)
    monkeypatch.setattr(watch_folder.time, "monotonic", lambda: next(clock))
    shutil.copy(COAST, folder)
    arrivals = watch_folder.Arrivals(str(folder), set())
    before = next(clock)
    arrivals.find()
    took = next(clock) - before
    assert arrivals.pause >= 0.5
    # Two of the looks at the clock are our own, and one tells how long a picture has been there.
    assert (took - 3 * seconds) / (took - 3 * seconds + arrivals.pause) <= 0.1


def test_a_picture_that_went_away_gets_no_row_and_a_lost_folder_is_waited_for(folder, caplog):
    caplog.set_level("INFO")
    shutil.copy(COAST, folder / "short_lived.jpg")
    arrivals = watch_folder.Arrivals(str(folder), set())
    arrivals.find()
    time.sleep(watch_folder.SECONDS_TO_SETTLE)
    (path,) = arrivals.find()
    os.unlink(path)
    assert not arrivals.accept(Verdict(path, UNREADABLE, reason="no such file"))
    os.rename(folder, f"{folder}_away")
    assert [arrivals.find(), arrivals.find()] == [[], []]
    os.rename(f"{folder}_away", folder)
    assert arrivals.find() == []
    said = caplog.text
    assert said.count("No such file or directory; it is waited for") == 1
    assert said.count("is there again") == 1


# --- the table ----------------------------------------------------------------------------------


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "t.csv"
    run = {"model": "m", "threshold": 0.5, "version": "1"}

    def add(*names, **changes):
        with watch_folder.GrowingCsv(str(path), run | changes) as table:
            before = set(table.names)
            for name in names:
                table.write(Verdict(name, NORMAL, 0.1, 0.5))
        return before

    return path, add


def test_cut_anywhere_the_table_goes_on_after_its_last_whole_row(table):
    path, add = table
    names = ["a.jpg", 'quo"te,\nand line.jpg', os.fsdecode(b"no \xff utf.jpg"), "=formula.jpg"]
    add(*names)
    whole = path.read_bytes()
    written = [csv_name(name) for name in names]
    header = len(csv_line(COLUMNS))
    for size in range(header, len(whole) + 1):
        path.write_bytes(whole[:size])
        before = add()
        assert before == set(written[: len(before)])
        assert whole.startswith(path.read_bytes())
        assert size - len(path.read_bytes()) <= max(map(len, written)) + 30
        add(*names[len(before) :])
        assert path.read_bytes() == whole


def test_a_table_of_another_model_or_of_something_else_is_refused(table):
    path, add = table
    add("a.jpg")
    before = path.read_bytes()
    for change in ({"model": "n"}, {"threshold": 0.6}):
        with pytest.raises(UserError, match="its rows are of another model or threshold"):
            add("b.jpg", **change)
    assert path.read_bytes() == before
    edited = before + b"a note\n" + before
    path.write_bytes(edited)
    with pytest.raises(UserError, match="not rows as --watch writes them"):
        add("b.jpg")
    assert path.read_bytes() == edited
    os.unlink(f"{path}{resume_journal.JOURNAL}")
    with pytest.raises(UserError, match="no journal next to it says which model"):
        add("b.jpg")
    assert path.read_bytes() == edited


# --- commands -----------------------------------------------------------------------------------


def test_an_anomaly_runs_a_command_and_its_name_is_an_argument_and_nothing_else(
    forest_model, folder, tmp_path
):
    names = ["$(touch hacked).jpg", "`touch hacked`; touch hacked.jpg", "{} new\nline.jpg"]
    names += [os.fsdecode(b"no \xff utf.jpg")]
    for name in names:
        shutil.copy(COAST, folder / name)
    shutil.copy(FOREST, folder / "normal.jpg")
    script = tmp_path / "alarm.py"
    script.write_text(
        "import os, sys\n"
        f"with open({str(tmp_path / 'told')!r}, 'ab') as file:\n"
        "    file.write(b'\\0'.join(map(os.fsencode, [*sys.argv[1:], os.environ['ANOMALY_IMAGE'],\n"
        "        os.environ['ANOMALY_SCORE']])) + b'\\0\\0')\n"
        "print('said by the command')\n"
        "sys.exit(7 if 'new' in sys.argv[2] else 0)\n"
    )
    told = tmp_path / "told"
    command = f"{sys.executable} {script} --picture {{}}"
    with watch(forest_model, folder, "--on-anomaly", command) as process:
        until(lambda: told.exists() and told.read_bytes().count(b"\0\0") == len(names))
    calls = [call.split(b"\0") for call in told.read_bytes().split(b"\0\0")[:-1]]
    paths = {os.fsencode(folder / name) for name in names}
    assert {call[1] for call in calls} == {call[2] for call in calls} == paths
    assert all(call[0] == b"--picture" and float(call[3]) > 0 for call in calls)
    warning = b"new\\nline.jpg: the command of --on-anomaly ended with status 7"
    assert process.said.count(b"[WARNING]") == 1
    assert warning in process.said
    assert b"said by the command" in process.said
    assert b"said by the command" not in process.printed
    assert not list(tmp_path.rglob("hacked"))
    assert not (CHECKOUT / "hacked").exists()


ANOMALY = Verdict("-rf.jpg", ANOMALY, 0.7, 0.01)


def test_while_100_anomalies_wait_for_their_command_labelling_waits_too(
    forest_model, folder, tmp_path
):
    table, told = tmp_path / "t.csv", tmp_path / "told"
    for number in range(110):
        shutil.copy(COAST, folder / f"{number:03}.jpg")
    script = tmp_path / "wait.sh"
    script.write_text(
        f'until [ -e "{tmp_path}/released" ]; do sleep 0.1; done\n'
        f'echo "$ANOMALY_P_VALUE" >> "{told}"\n'
    )
    command = ("--csv", table, "--on-anomaly", f"sh {script}")
    with watch(forest_model, folder, *command) as process:
        # Of one the command runs, 100 wait, and one cannot be handed on.
        until(lambda: len(labels(table)) == 102)
        time.sleep(1)
        assert len(labels(table)) == 102
        (tmp_path / "released").touch()
        until(lambda: len(labels(table)) == 110)
    assert process.returncode == 0
    rows = list(csv.DictReader(io.StringIO(process.printed.decode())))
    assert told.read_text().split() == [row["p_value"] for row in rows]
    assert len(rows) == 110


def test_a_command_that_hangs_is_ended_and_the_others_run(monkeypatch, capfd, tmp_path):
    console.configure(quiet=False, log_time=False)
    monkeypatch.setattr(anomaly_command, "SECONDS_FOR_ONE", 0.5)
    script = tmp_path / "hang.sh"
    # What it starts must end with it.
    script.write_text('[ -e ran ] && { echo "$1"; exit; }; touch ran; sleep 60 & sleep 60\n')
    monkeypatch.chdir(tmp_path)
    started = time.monotonic()
    with anomaly_command.OnAnomaly(f"sh {script} {{}}") as command:
        command.report(ANOMALY)
        command.report(ANOMALY)
    assert time.monotonic() - started < 30
    said = capfd.readouterr().err
    assert said.count("took longer than 0 seconds and was ended") == 1
    assert said.splitlines()[-1] == "./-rf.jpg"


def test_at_the_end_commands_get_a_while_and_those_that_did_not_run_are_named(monkeypatch, capfd):
    console.configure(quiet=False, log_time=False)
    monkeypatch.setattr(anomaly_command, "SECONDS_AT_THE_END", 0.5)
    with anomaly_command.OnAnomaly("sleep 60") as command:
        command.report(ANOMALY)
        command.report(ANOMALY)
    said = capfd.readouterr().err
    assert said.count("-rf.jpg: the command of --on-anomaly was ended with the watch") == 1
    assert said.count("-rf.jpg: the command of --on-anomaly was not run any more") == 1


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("no-such-command {}", "there is no such command"),
        ("", "there is no such command"),
        ("echo 'open", "No closing quotation"),
        ("sh -c 'echo {}'", "must be a word of its own"),
        *(
            (command, "would be run as a program")
            for command in (
                *("sh -c {}", "bash -lc {}", "env sh -c {}", "/bin/sh -e {}", "nohup sh -c {} x"),
                *("python3 -c {}", "python3.11 {}", "sh {}", "perl -E {}", "timeout 5 sh -xc {}"),
            )
        ),
    ],
)
def test_commands_that_cannot_be_meant_are_refused(command, sentence):
    with pytest.raises(UserError, match=sentence):
        anomaly_command.OnAnomaly(command)


@pytest.mark.parametrize(
    "command",
    ["sh -c 'cat \"$1\"' sh {}", "python3 script.py --image {}", "gzip -c {}", "sh script.sh {}"],
)
def test_an_images_name_may_be_an_argument_of_any_program(command):
    anomaly_command.OnAnomaly(command)


@pytest.mark.parametrize(
    "options",
    [
        ["--watch", "examples", "-i", "examples"],
        ["--watch", "examples", "--top", "2"],
        ["--watch", "examples", "--csv", "t.csv", "--resume"],
        ["-i", "examples", "--on-anomaly", "true"],
        ["-i", "examples", "--resume"],
    ],
)
def test_options_that_do_not_go_together_are_wrong_usage(run, forest_model, options):
    ended = run("test_anomaly_detector.py", "-m", forest_model, *options)
    assert ended.returncode == 2


def test_a_folder_that_is_not_there_is_a_mistake(run, forest_model):
    ended = run("test_anomaly_detector.py", "-m", forest_model, "--watch", "nowhere")
    assert ended.returncode == 1
    assert b"nowhere: No such file" in ended.stderr
