"""Claims about a script that watches a folder until it is asked to stop."""

import contextlib
import csv
import io
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time

import cv2
import pytest

from helpers.receivers import Receiver
from helpers.scripts import CHECKOUT, heed_interrupts
from helpers.videos import stream_served
from pyimagesearch.line.event_record import EventRecord

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


def test_two_tables_and_a_page_go_on_each_where_it_was(forest_model, folder, tmp_path):
    shutil.copy(FOREST, folder / "a.jpg")
    shutil.copy(CHECKOUT / "examples" / "highway_1.jpg", folder / "b.jpg")
    table, lines, page = tmp_path / "t.csv", tmp_path / "t.jsonl", tmp_path / "page.html"
    options = ("--csv", table, "--json", lines, "--with-time", "--report", page, "--extrapolate")
    with watch(forest_model, folder, *options, "--classes", "sea,street"):
        until(lambda: set(labels(table)) == {"a.jpg", "b.jpg"})
        until(page.exists)
    assert b"sea" in page.read_bytes()
    whole = lines.read_bytes()
    # As a kill between the two leaves them, and one in the middle of a row.
    lines.write_bytes(whole[: whole.index(b"\n") + 20])
    shutil.copy(FOREST, folder / "0.jpg")
    with watch(forest_model, folder, *options):
        until(lambda: lines.read_bytes().count(b"\n") == 3 and len(labels(table)) == 3)
    rows = list(csv.DictReader(table.open()))
    found = [json.loads(line) for line in lines.read_bytes().splitlines()]
    assert [os.path.basename(row["image"]) for row in rows] == ["a.jpg", "b.jpg", "0.jpg"]
    assert [os.path.basename(one["image"]) for one in found] == ["a.jpg", "0.jpg", "b.jpg"]
    assert ["extrapolated" in one for one in found] == [False, False, True]
    assert b"estimates, not promises" in page.read_bytes()
    assert {one["time"] for one in found[:2]} == {rows[0]["time"], rows[2]["time"]}
    assert all(f"{name}.jpg".encode() in page.read_bytes() for name in "ab0")


def test_a_stream_is_watched_and_its_password_stays_a_secret(forest_model, tmp_path):
    lines, page, pictures = tmp_path / "t.jsonl", tmp_path / "page", tmp_path / "labelled"
    frames = [cv2.imread(str(path)) for path in (FOREST, COAST)]
    with stream_served(frames, per_connection=30) as url:
        url = f"{url.replace('://', '://me:topsecret@')}?key=topsecret"
        options = ("--every", "5", "--json", lines, "--report", f"{page}/", "-o", pictures)
        with watch(forest_model, url, *options) as process:
            # More than the stream gives before it breaks off.
            until(lambda: lines.exists() and lines.read_bytes().count(b"\n") > 6)
    assert process.returncode == 0
    assert b"it is waited for" in process.said
    assert b"was lost" in process.said
    names = [json.loads(line)["image"] for line in lines.read_bytes().splitlines()]
    assert len(set(names)) == len(names)
    assert re.search(r"^http://\*\*\*@.*/mjpeg\?key=\*\*\*/\d{4}-.*Z$", names[0])
    assert names[0].encode() in (page / "index.html").read_bytes()
    assert len(list(pictures.rglob("*.png"))) == len(names)
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(b"topsecret" in data for data in [*written, process.said, process.printed])


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
        # Of one the command runs, and 100 wait.
        until(lambda: len(labels(table)) == 101)
        time.sleep(1)
        assert len(labels(table)) == 101
        (tmp_path / "released").touch()
        until(lambda: len(labels(table)) == 110)
    assert process.returncode == 0
    rows = list(csv.DictReader(io.StringIO(process.printed.decode())))
    assert told.read_text().split() == [row["p_value"] for row in rows]
    assert len(rows) == 110


def test_killed_at_any_moment_each_image_is_once_on_record_in_the_table_and_delivered(
    forest_model, folder, tmp_path
):
    names = [f"{n}.jpg" for n in range(60)]
    for n, name in enumerate(names):
        shutil.copy(COAST if n % 2 else FOREST, folder / name)
    (folder / "broken.jpg").write_bytes(b"no image")
    database, table, chance = tmp_path / "line.db", tmp_path / "t.csv", random.Random(3)
    lines = tmp_path / "t.jsonl"
    with Receiver() as receiver:
        url = f"http://me:secret@127.0.0.1:{receiver.port}/hook"
        told = ("--on-anomaly", url, "--on-unreadable", url, "--message-picture")
        tables = ("--csv", table, "--json", lines, "--false-discovery-rate", "0.3")
        options = ("--events", database, "--jobs", "1", *tables, *told)
        said = b""
        for _ in range(2):
            with watch(forest_model, folder, *options) as process:
                n_before = receiver.n_requests
                until(lambda n_before=n_before: receiver.n_requests > n_before)
                time.sleep(chance.uniform(0, 0.1))
                process.kill()
            said += process.said
        with watch(forest_model, folder, *options) as process:
            until(lambda: len(labels(table)) == 61)
            until(lambda: receiver.n_requests and "broken.jpg" in receiver.posts[-1][1]["image"])
        said += process.said
    with EventRecord(str(database)) as record:
        events = list(record.events())
        assert not record.waiting()
    assert sorted(os.path.basename(event.image) for event in events) == sorted(labels(table))
    assert {os.path.basename(event.image): event.label for event in events} == labels(table)
    outside = {row["image"]: row.get("outside") for row in map(json.loads, lines.open())}
    assert outside == {event.image: event.outside for event in events}
    assert set(outside.values()) == {None, "bluer"}
    # A coast alone might be a forest that looks strange; the first of them keeps its label.
    of_coasts = {
        name: label
        for name, label in labels(table).items()
        if name != "broken.jpg" and int(name[:-4]) % 2
    }
    assert of_coasts == {name: "normal" if name == "1.jpg" else "anomaly" for name in of_coasts}
    told_of = [event.id for event in events if event.label != "normal"]
    assert list(dict.fromkeys(receiver.ids)) == told_of
    assert len(told_of) == 30
    assert len(receiver.ids) <= len(told_of) + 3  # one for each kill at most
    assert all(
        (post["picture"] is not None) == (post["label"] == "anomaly") for _, post in receiver.posts
    )
    assert b"secret" not in said


def test_a_record_that_another_watch_adds_to_is_not_added_to(forest_model, folder, tmp_path):
    options = ("--events", tmp_path / "line.db", "--csv")
    with watch(forest_model, folder, *options, tmp_path / "a.csv") as process:
        until((tmp_path / "line.db").exists)
        with watch(forest_model, folder, *options, tmp_path / "b.csv") as other:
            until(lambda: other.poll() is not None)
        assert other.returncode == 1
        assert b"line.db: another process is writing it" in other.said
    assert process.returncode == 0
    assert not list(tmp_path.glob("*-lock"))
