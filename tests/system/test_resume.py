"""Claims about runs that were killed, interrupted or ran out of disk, and went on."""

import contextlib
import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

from helpers import hostile
from helpers.scripts import CHECKOUT, heed_interrupts, run_cold, run_script
from pyimagesearch.cli import resume_journal
from pyimagesearch.data import images
from pyimagesearch.detectors import model_file

N_TINY = 400


@pytest.fixture(scope="module")
def tiny_photos(tmp_path_factory):
    """Many pictures of few pixels, a few broken ones and odd names among them."""
    folder = tmp_path_factory.mktemp("tiny")
    rng = np.random.default_rng(0)
    scenes = [images.read_image(str(p)) for p in sorted((CHECKOUT / "forest").glob("*.jpg"))[:5]]
    for number in range(N_TINY):
        y, x = rng.integers(0, 200, 2)
        picture = scenes[number % len(scenes)][y : y + 40, x : x + 40]
        content = images.encode_picture(picture, ".jpg")
        odd = {7: "new\nline", 8: 'quo"te,', 9: "=formula", 10: os.fsdecode(b"no \xff utf")}
        name = f"{number:03}{odd.get(number % 50, '')}.jpg"
        (folder / name).write_bytes(content[:200] if number % 37 == 0 else content)
    return folder


@pytest.fixture(scope="module")
def command(forest_model):
    """What labels the tiny pictures into a file of CSV."""

    def command(folder, table, *options, script="test_anomaly_detector.py"):
        model = [script, "-m", forest_model, "-d", folder]
        return list(map(str, [*model, "--csv", table, *options]))

    return command


@pytest.fixture(scope="module")
def quiet(command, tiny_photos, tmp_path_factory):
    """CSV, JSON, stdout and the last line of stderr of a run that nothing disturbs."""
    folder = tmp_path_factory.mktemp("quiet")
    ended = label(command(tiny_photos, folder / "t.csv", "--json", folder / "t.json"))
    assert ended.returncode == 3
    assert (folder / "t.csv").read_bytes() == ended.stdout
    assert sorted(os.listdir(folder)) == ["t.csv", "t.json"]
    summary = ended.stderr.decode().splitlines()[-1].partition(" (")[0]
    return (folder / "t.csv").read_bytes(), (folder / "t.json").read_bytes(), summary


def label(arguments):
    return run_script(*arguments)


def kill_when(arguments, journal, size, sign=signal.SIGKILL):
    """Run a command and send it a signal as soon as the journal has some size."""
    with subprocess.Popen(
        [sys.executable, *arguments],
        cwd=CHECKOUT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=heed_interrupts,
    ) as process:
        while process.poll() is None:
            with contextlib.suppress(FileNotFoundError):
                if journal.stat().st_size >= size:
                    process.send_signal(sign)
                    break
        messages = process.stderr.read().decode()
    return process.returncode, messages


def verdicts_in(journal):
    """The whole rows of a journal."""
    assert resume_journal.read_run(journal) is not None
    return [verdict for verdict, _ in resume_journal._rows(journal) if verdict is not None]


def beside(table, ending):
    return table.with_name(table.name + ending)


def test_only_new_rows_are_printed_and_the_summary_counts_all(
    command, tiny_photos, quiet, tmp_path
):
    table = tmp_path / "t.csv"
    whole = label(command(tiny_photos, table, "--resume"))
    journal = beside(table, ".journal")
    done = journal.read_bytes().splitlines(keepends=True)[: 1 + 300]
    journal.write_bytes(b"".join(done) + b'{"image": "half a r')
    table.unlink()
    ended = label(command(tiny_photos, table, "--resume"))
    assert table.read_bytes() == quiet[0]
    all_rows = list(csv.reader(io.StringIO(whole.stdout.decode(), newline="")))
    new_rows = list(csv.reader(io.StringIO(ended.stdout.decode(), newline="")))
    assert new_rows == [all_rows[0], *all_rows[301:]]
    assert b"going on after 300 images" in ended.stderr
    assert ended.stderr.count(b"[WARNING]") < whole.stderr.count(b"[WARNING]")
    assert ended.stderr.decode().splitlines()[-1].partition(" (")[0] == quiet[2]


def test_what_is_done_is_said_to_be_done(command, tiny_photos, quiet, tmp_path):
    table = tmp_path / "t.csv"
    first = label(command(tiny_photos, table, "--resume"))
    assert b"nothing to resume, starting from the beginning" in first.stderr
    again = label(command(tiny_photos, table, "--resume", "--top", 2, "--fail-on-anomaly"))
    assert b"all 400 images are done: nothing is left to label" in again.stderr
    assert again.returncode == 4
    assert table.read_bytes() == quiet[0]
    scores = [float(row["score"]) for row in csv.DictReader(io.StringIO(again.stdout.decode()))]
    assert scores == sorted(scores, reverse=True)
    assert len(scores) == 2


def test_an_interrupted_run_keeps_what_is_done(command, tiny_photos, quiet, tmp_path):
    table = tmp_path / "t.csv"
    journal = beside(table, ".journal")
    status, messages = kill_when(command(tiny_photos, table), journal, 5_000, signal.SIGINT)
    assert status == 130
    n_done = len(verdicts_in(str(journal)))
    assert f"{n_done} images are done; --resume continues from there" in messages
    assert "Traceback" not in messages
    partial = beside(table, ".partial").read_bytes()
    assert quiet[0].startswith(partial)
    assert n_done <= len(list(csv.reader(io.StringIO(partial.decode(), newline="")))) <= n_done + 1
    assert not table.exists()
    replaced = label(command(tiny_photos, table))
    assert b"t.csv.partial: left by an interrupted run, and replaced" in replaced.stderr
    assert table.read_bytes() == quiet[0]


def test_find_anomalies_goes_on_with_a_folder(command, tiny_photos, tmp_path):
    script = "find_anomalies.py"
    rule = ("--threshold", "quantile", "--quantile", 0.9, "--resume")
    whole = label(command(tiny_photos, tmp_path / "whole.csv", *rule, script=script))
    arguments = command(tiny_photos, tmp_path / "t.csv", *rule, script=script)
    assert kill_when(arguments, tmp_path / "t.csv.journal", 9_000)[0] == -signal.SIGKILL
    resumed = label(arguments)
    assert b"going on after" in resumed.stderr
    assert resumed.stdout == whole.stdout
    assert (tmp_path / "t.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


@pytest.fixture
def done(command, tmp_path):
    """A folder that was labelled, and what goes on with it."""
    folder = tmp_path / "photos"
    shutil.copytree(CHECKOUT / "examples", folder, ignore=shutil.ignore_patterns("*.csv"))
    arguments = command(folder, tmp_path / "t.csv", "--resume")
    assert label(arguments).returncode == 0
    return folder, arguments


def contents(folder):
    """Every file and folder, with what is in it."""
    return {path: path.is_file() and path.read_bytes() for path in folder.rglob("*")}


def refused(arguments, folder):
    """What a run says that is refused: on stderr alone, and without touching anything."""
    before = contents(folder)
    ended = label(arguments)
    assert (ended.returncode, ended.stdout) == (1, b"")
    assert contents(folder) == before
    return ended.stderr


def test_another_model_threshold_input_or_output_is_refused(done, forest_model, tmp_path):
    _, arguments = done
    changed = tmp_path / "changed.model"
    model = model_file.load_model(str(forest_model))
    manifest = {k: v for k, v in model.manifest.items() if k not in ("members", "format")}
    model_file.save_model(str(changed), manifest | {"note": "changed"}, model.arrays)
    other_model = [str(changed) if word == str(forest_model) else word for word in arguments]
    for command, said in (
        (other_model, b"another model"),
        ([*arguments, "--threshold", "0.9"], b"another threshold"),
        ([*arguments, "-i", "forest"], b"other inputs"),
        ([*arguments, "-o", str(tmp_path / "out")], b"another output folder"),
    ):
        sentence = refused(command, tmp_path)
        assert b"that run was begun with " + said in sentence
        assert b"without --resume a new one replaces it" in sentence
    same_model = tmp_path / "moved.model"
    shutil.copy(forest_model, same_model)
    moved = [str(same_model) if word == str(forest_model) else word for word in arguments]
    assert b"nothing is left" in label(moved).stderr


def test_images_that_came_before_or_went_are_refused_and_later_ones_added(done, tmp_path):
    folder, arguments = done
    before = (tmp_path / "t.csv").read_bytes()
    shutil.copy(folder / "coast_1.jpg", folder / "zebra.jpg")
    added = label(arguments)
    assert added.returncode == 0
    assert (tmp_path / "t.csv").read_bytes().startswith(before)
    assert added.stdout.splitlines()[1:] == [(tmp_path / "t.csv").read_bytes().splitlines()[-1]]
    shutil.copy(folder / "coast_1.jpg", folder / "ant.jpg")
    sentence = refused(arguments, tmp_path)
    assert b"its row 1 is of" in sentence
    assert b"ant.jpg: images came or went since that run" in sentence
    (folder / "ant.jpg").unlink()
    (folder / "zebra.jpg").unlink()
    sentence = refused(arguments, tmp_path)
    assert b"zebra.jpg, where the inputs now have no more images" in sentence


@pytest.mark.parametrize("script", ["test_anomaly_detector.py", "find_anomalies.py"])
def test_refused_after_a_kill_what_that_run_wrote_stays(command, tiny_photos, tmp_path, script):
    folder = tmp_path / "photos"
    shutil.copytree(tiny_photos, folder)
    arguments = command(folder, tmp_path / "t.csv", "--resume", script=script)
    assert kill_when(arguments, tmp_path / "t.csv.journal", 9_000)[0] == -signal.SIGKILL
    with open(tmp_path / "t.csv.journal", "ab") as journal:
        journal.write(b'{"image": "half a r')
    os.rename(folder / "001.jpg", folder / "elsewhere.jpg")
    assert b"its row 2 is of" in refused(arguments, tmp_path)
    assert b"another threshold" in refused([*arguments, "--threshold", "0.9"], tmp_path)
    os.rename(folder / "elsewhere.jpg", folder / "001.jpg")
    assert b"going on after" in label(arguments).stderr


def test_a_file_that_is_no_journal_is_left_alone(command, tmp_path):
    journal = tmp_path / "t.csv.journal"
    for text in ("Dear diary", "Dear diary\n"):
        journal.write_text(text)
        refused = label(command("examples", tmp_path / "t.csv"))
        assert refused.returncode == 1
        assert b"t.csv.journal: not the journal of a labelling run" in refused.stderr
        assert journal.read_text() == text


def test_nothing_done_leaves_nothing_behind(command, tmp_path):
    (tmp_path / "empty").mkdir()
    for script in ("test_anomaly_detector.py", "find_anomalies.py"):
        ended = label(command(tmp_path / "empty", tmp_path / "t.csv", script=script))
        assert b"no images" in ended.stderr
        assert os.listdir(tmp_path) == ["empty"]
    refused = label(command("examples", "/dev/null"))
    assert refused.returncode == 1
    assert b"/dev/null: not a regular file, and not replaced" in refused.stderr


def check_goes_on(arguments, full, table, quiet):
    assert full.returncode == 1
    assert full.stderr.decode().splitlines()[-1].startswith(f"[ERROR] {table}.")
    assert b"--resume continues from there" in full.stderr
    assert b"Traceback" not in full.stderr
    assert not table.exists()
    journal = beside(table, ".journal").read_bytes()
    assert journal.endswith(b"}\n")
    partial = beside(table, ".partial").read_bytes()
    assert partial.endswith(b"\n")
    assert quiet[0].startswith(partial)
    resumed = label([*arguments, "--resume"])
    assert b"going on after" in resumed.stderr
    assert table.read_bytes() == quiet[0]


def test_where_a_file_may_not_grow_what_was_written_is_whole(command, tiny_photos, quiet, tmp_path):
    arguments = command(tiny_photos, tmp_path / "t.csv")
    full = run_cold(*arguments, largest_file=9_999)
    assert b"File too large" in full.stderr
    check_goes_on(arguments, full, tmp_path / "t.csv", quiet)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of a few pages."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "none", folder], capture_output=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_is_a_sentence_and_the_run_goes_on_after_space_is_made(
    command, tiny_photos, quiet, small_disk
):
    (small_disk / "ballast").write_bytes(b"x" * 36_000)
    arguments = command(tiny_photos, small_disk / "t.csv")
    full = label(arguments)
    assert b"No space left on device" in full.stderr
    (small_disk / "ballast").unlink()
    subprocess.run(["mount", "-o", "remount,size=1m", small_disk], check=True)
    check_goes_on(arguments, full, small_disk / "t.csv", quiet)


def test_every_name_of_a_hostile_folder_is_found_again(command, tmp_path, sample_jpeg):
    expected = hostile.make_folder(tmp_path / "hostile", sample_jpeg)
    arguments = command(tmp_path / "hostile", tmp_path / "t.csv", "--json", tmp_path / "t.json")
    arguments.append("--resume")
    whole = label(arguments)
    rows = (tmp_path / "t.json").read_bytes()
    resumed = label(arguments)
    assert b"nothing is left to label" in resumed.stderr
    assert resumed.returncode == whole.returncode == 3
    assert (tmp_path / "t.csv").read_bytes() == whole.stdout
    assert (tmp_path / "t.json").read_bytes() == rows
    verdicts = list(verdicts_in(str(tmp_path / "t.csv.journal")))
    assert {os.path.basename(os.fsencode(v.image)) for v in verdicts} == set(expected)
    assert [v.reason for v in verdicts] == [
        json.loads(line).get("reason") for line in rows.splitlines()
    ]


def test_labelling_into_a_pipe_does_not_import_the_bar(forest_model):
    code = (
        "import sys, runpy\n"
        f"sys.argv = ['test_anomaly_detector.py', '-m', {str(forest_model)!r}, '-i', 'examples']\n"
        "try: runpy.run_path('test_anomaly_detector.py', run_name='__main__')\n"
        "except SystemExit as end: assert end.code == 0, end.code\n"
        "print('tqdm' in sys.modules, file=sys.stderr)"
    )
    ended = run_cold("-c", code)
    assert ended.stderr.decode().splitlines()[-1] == "False"
