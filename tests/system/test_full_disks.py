"""Claims about disks that are full, folders that are missing and names that are too long."""

import os
import shutil
import subprocess
import sys

import pytest

from helpers.scripts import CHECKOUT, run_cold

MODEL = "{work}/forest.model"
PHOTOS = ("-m", MODEL, "-d", "examples")
WRITING = {
    "labels": ("test_anomaly_detector.py", *PHOTOS, "--csv", "{disk}/t.csv"),
    "rows": ("find_anomalies.py", *PHOTOS, "--json", "{disk}/t.json"),
    "picture": ("find_anomalies.py", *PHOTOS, "-t", "0", "--output", "{disk}/p.png"),
    "report": ("test_anomaly_detector.py", *PHOTOS, "--report", "{disk}/r.html"),
    "folder": ("find_anomalies.py", *PHOTOS, "--report", "{disk}/r/"),
    "watch": (
        "test_anomaly_detector.py",
        "-m",
        MODEL,
        "--watch",
        "forest",
        "--csv",
        "{disk}/t.csv",
    ),
    "model": (
        "train_anomaly_detector.py",
        "-d",
        "forest",
        "-m",
        "{disk}/m",
        *("--method", "forest", "-n", "100"),
    ),
    "series": (
        *("train_anomaly_detector.py", "-d", "examples/daily_normal.csv", "-m", "{disk}/m"),
        *("--method", "stream"),
    ),
    "defects": ("generate_data.py", "defects", "-b", "examples", "-o", "{disk}/defects"),
    "validation": (
        *("generate_validation_metrics.py", "-m", MODEL, "--normal", "forest"),
        *("--anomalous", "examples", "--scores", "{disk}/s.csv"),
    ),
}


def mounted(folder, *options):
    """Mount a file system in memory, or skip the test."""
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", *options, "none", folder], capture_output=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {done.stderr.decode().strip()}")
    return folder


@pytest.fixture
def full_disk(tmp_path):
    """A file system without a free page."""
    folder = mounted(tmp_path / "disk", "-o", "size=16k")
    with open(folder / "ballast", "wb", buffering=0) as file:
        while True:
            try:
                file.write(b"x" * 4096)
            except OSError:
                break
    yield folder
    subprocess.run(["umount", folder], check=True)


def run(command, work, disk, **environment):
    places = {"work": work, "disk": disk}
    return run_cold(*(word.format(**places) for word in command), env={**os.environ, **environment})


@pytest.fixture
def work(forest_model, tmp_path):
    (tmp_path / "work").mkdir()
    shutil.copy(forest_model, tmp_path / "work" / "forest.model")
    return tmp_path / "work"


@pytest.mark.parametrize("what", WRITING)
def test_a_full_disk_is_a_sentence_and_leaves_nothing(what, work, full_disk):
    ended = run(WRITING[what], work, full_disk)
    said = [line for line in ended.stderr.decode().splitlines() if not line.startswith("[INFO]")]
    assert ended.returncode == 1
    assert said[-1].startswith(f"[ERROR] {full_disk}/")
    assert said[-1].endswith(": No space left on device")
    assert len(said) == 1
    # What a run that can be resumed has written is whole rows.
    left = set(os.listdir(full_disk)) - {"ballast", "t.json.journal", "t.json.partial"}
    assert not left


def test_a_threshold_is_not_written_half_to_a_full_disk(full_disk, forest_model):
    size = forest_model.stat().st_size
    (full_disk / "ballast").unlink()
    subprocess.run(["mount", "-o", f"remount,size={size + 8_192}", full_disk], check=True)
    shutil.copy(forest_model, full_disk / "m")
    ended = run_cold(
        *("generate_validation_metrics.py", "-m", full_disk / "m", "--normal", "forest"),
        *("--anomalous", "examples", "--update"),
    )
    assert ended.returncode == 1
    assert ended.stderr.decode().splitlines()[-1] == f"[ERROR] {full_disk}/m: " + (
        "No space left on device"
    )
    assert (full_disk / "m").read_bytes() == forest_model.read_bytes()
    assert os.listdir(full_disk) == ["m"]


WITHOUT_SHM = """
mount -t tmpfs none "$0"
for name in null zero full random urandom; do
    touch "$0/$name" && mount --bind "/dev/$name" "$0/$name"
done
ln -s /proc/self/fd "$0/fd"
mount --rbind "$0" /dev && [ ! -e /dev/shm ] && exec "$@"
"""


def test_training_and_reports_need_no_shared_memory(work, few_forests, tmp_path):
    (tmp_path / "dev").mkdir()
    within = ["unshare", "-m", "sh", "-ec", WITHOUT_SHM, tmp_path / "dev"]
    tried = subprocess.run([*within, "true"], capture_output=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"/dev cannot be replaced here: {tried.stderr.decode().strip()}")
    for command in (
        ("train_anomaly_detector.py", "-d", few_forests, "-m", tmp_path / "m", "--jobs", "2"),
        ("test_anomaly_detector.py", *PHOTOS, "--report", tmp_path / "r.html", "--jobs", "2"),
    ):
        words = [str(word).format(work=work) for word in command]
        ended = subprocess.run(
            [*within, sys.executable, *words], cwd=CHECKOUT, capture_output=True, check=False
        )
        assert ended.returncode == 0, ended.stderr.decode()


def test_a_folder_of_temporary_files_that_is_full_is_a_sentence_or_does_no_harm(work, full_disk):
    for command in (WRITING["model"], WRITING["report"]):
        ended = run(command, work, work, TMPDIR=str(full_disk))
        assert ended.returncode == 0, ended.stderr.decode()
    assert os.listdir(full_disk) == ["ballast"]


@pytest.fixture
def deep(tmp_path):
    """Photos with the longest names that there can be, and the longest path."""
    folder = tmp_path / "photos"
    folder.mkdir()
    photo = CHECKOUT / "examples" / "coast_1.jpg"
    names = ["x" * 251, "é" * 125, "new\nline", "\U0001f600" * 62, os.fsdecode(b"\xff" * 251)]
    for name in names:
        shutil.copy(photo, folder / f"{name}.jpg")
    before = os.getcwd()
    try:
        os.chdir(folder)
        length = len(os.fsencode(folder))
        while length < 3_800:
            os.mkdir("d" * 200)
            os.chdir("d" * 200)
            length += 201
        shutil.copy(photo, "y.jpg")
    finally:
        os.chdir(before)
    return folder, len(names) + 1


def test_names_of_4000_characters_are_labelled_and_reported(deep, work, tmp_path):
    folder, n_photos = deep
    out = tmp_path / "out"
    out.mkdir()
    ended = run_cold(
        *("test_anomaly_detector.py", "-m", work / "forest.model", "-d", folder),
        *("--csv", out / "t.csv", "--report", f"{out}/r/", "--resume"),
    )
    assert ended.returncode == 0, ended.stderr.decode()
    assert ended.stdout.count(b",anomaly,") == n_photos
    assert (out / "r" / "index.html").read_bytes().count(b"dddd/") > 0


def test_a_name_that_is_too_long_for_its_place_is_a_sentence(deep, work, tmp_path):
    folder, _ = deep
    for arguments, failing in (
        (("--output", tmp_path / ("o" * 200)), "ddd"),
        (("--csv", tmp_path / ("t" * 251 + ".csv")), ".csv"),
        (("--csv", tmp_path / ("t" * 300)), "ttt"),
    ):
        ended = run_cold(
            *("test_anomaly_detector.py", "-m", work / "forest.model", "-d", folder, *arguments)
        )
        said = ended.stderr.decode().splitlines()
        assert ended.returncode == 1
        assert said[-1].endswith(f"{failing}: File name too long")
        assert "Traceback" not in ended.stderr.decode()
