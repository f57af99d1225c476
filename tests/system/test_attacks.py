"""Images, archives and commands that got more than they should: each costs itself, and a sentence.

Every claim here did not hold once. Each script is started as a user does it.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest

from helpers import attacks
from helpers.attacks import run_attacked
from helpers.scripts import CHECKOUT, heed_interrupts


@pytest.fixture
def label(forest_model, tmp_path):
    """Label a file of some bytes."""

    def label(name, content):
        (tmp_path / name).write_bytes(content)
        ended = run_attacked(
            "test_anomaly_detector.py", "-m", forest_model, "-i", name, "--quiet", cwd=tmp_path
        )
        assert ended.returncode in (0, 3), ended
        return ended

    return label


def reason_of(ended):
    """Why the only image is unreadable: one line, and no other, says it."""
    assert ended.returncode == 3, ended
    (line,) = ended.stderr.splitlines()
    return line.partition(": ")[2]


def test_a_chunk_longer_than_its_png_costs_no_memory(label):
    ended = label("a.png", attacks.png(attacks.chunk(b"IDAT", b"", 0x7FFFFFFF)))
    assert "a chunk of 2,147,483,647 bytes in a file of" in reason_of(ended)


def test_data_behind_the_pixels_of_a_png_is_not_expanded(label):
    more = attacks.chunk(b"IDAT", np.random.default_rng(0).bytes(100_000))
    ended = label("a.png", attacks.png(attacks.pixels(), more))
    assert reason_of(ended) == "damaged PNG (it has more data than pixels)"


def test_a_jpeg_of_many_scans_is_not_decoded(label):
    ended = label("a.jpg", attacks.jpeg_of_scans(150))
    assert reason_of(ended) == "a JPEG of more than 100 scans"


def test_a_tiff_whose_tags_share_their_values_costs_no_memory(label):
    ended = label("a.tif", attacks.tiff_of_shared_values(50, 16_000_000))
    assert "more values than it has bytes" in reason_of(ended)


@pytest.mark.parametrize("share", [0.3, 0.8])
def test_a_webp_whose_end_was_never_written_is_unreadable(label, share):
    ended = label("a.webp", attacks.zeroed(attacks.webp(), share))
    assert reason_of(ended).startswith("truncated WebP")


@pytest.mark.parametrize("kind", [b"iCCP", b"zTXt", b"sBIT"])
def test_what_a_decoder_prints_does_not_mix_with_messages(label, kind):
    ended = label("a.png", attacks.png(attacks.chunk(kind, b"x\0\0y"), attacks.pixels()))
    (message,) = ended.stderr.splitlines()  # the image is black
    assert (ended.returncode, message.split(",")[0]) == (
        0,
        "[WARNING] a.png is darker than any of 24 training images",
    )


def test_what_any_library_prints_does_not_mix_with_rows_and_messages():
    code = (
        "import os, sys, warnings\n"
        "from pyimagesearch.runtime import startup\n"
        "startup.prepare_process()\n"
        "from pyimagesearch.runtime import console\n"
        "def main():\n"
        "    os.write(1, b'of a library'); os.write(2, b'of a library')\n"
        "    warnings.warn('of a library')\n"
        "    print('a row'); console.warn('a message'); return 3\n"
        "console.run(main)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True
    )
    assert (ended.stdout, ended.stderr) == ("a row\n", "[WARNING] a message\n")
    assert ended.returncode == 3


@pytest.fixture
def odd_folder(tmp_path):
    """A photo, a link to itself and a link to nothing."""
    folder = tmp_path / "photos"
    folder.mkdir()
    shutil.copy(CHECKOUT / "examples" / "coast_1.jpg", folder / "a.jpg")
    (folder / "x.jpg").symlink_to("x.jpg")
    (folder / "loop").symlink_to("loop")
    return folder


def test_a_link_to_itself_costs_only_itself(forest_model, odd_folder, tmp_path):
    ended = run_attacked(
        *("test_anomaly_detector.py", "-m", forest_model, "-d", odd_folder.name), cwd=tmp_path
    )
    assert ended.returncode == 3
    rows = [line.split(",")[:2] for line in ended.stdout.splitlines()[1:]]
    assert rows == [["photos/a.jpg", "anomaly"], ["photos/x.jpg", "unreadable"]]


def test_a_link_to_itself_does_not_keep_a_watch_from_the_rest(forest_model, odd_folder, tmp_path):
    table = tmp_path / "t.csv"
    watch = [sys.executable, "test_anomaly_detector.py", "-m", forest_model, "-w", odd_folder]
    process = subprocess.Popen(
        [*map(str, watch), "--csv", str(table)],
        cwd=CHECKOUT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=heed_interrupts,
    )
    deadline = time.monotonic() + attacks.SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if table.exists() and b"a.jpg,anomaly" in table.read_bytes():
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    process.wait(attacks.SECONDS)
    assert b"a.jpg,anomaly" in table.read_bytes()


@pytest.mark.parametrize("kind", ["pipe", "socket", "endless", "kernel"])
def test_what_never_ends_is_no_model(kind, tmp_path):
    path = tmp_path / "my.model"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(path))
    else:
        path.symlink_to({"endless": "/dev/zero", "kernel": "/proc/kmsg"}[kind])
    ended = run_attacked(
        *("test_anomaly_detector.py", "-m", path, "-i", CHECKOUT / "examples"), cwd=tmp_path
    )
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith(f"[ERROR] {path}: ")


def test_a_pipe_in_the_place_of_a_journal_does_not_block(forest_model, tmp_path):
    os.mkfifo(tmp_path / "t.csv.journal")
    ended = run_attacked(
        *("test_anomaly_detector.py", "-m", forest_model, "-i", CHECKOUT / "examples"),
        *("--csv", "t.csv"),
        cwd=tmp_path,
    )
    assert (ended.returncode, ended.stderr.splitlines()[-1]) == (
        1,
        "[ERROR] t.csv: not a regular file",
    )


def archive(kind, path):
    whole = attacks.npy("(20, 8, 8)", bytes(20 * 64))
    if kind == "encrypted":
        return attacks.encrypted(attacks.npz(path, whole))
    if kind == "lzma":
        return attacks.npz(path, whole, zipfile.ZIP_LZMA)
    if kind == "petabytes":
        return attacks.npz(path, attacks.npy("(1000000000, 1000, 1000)"))
    if kind == "wide":
        return attacks.npz(path, attacks.npy("(20, 50000, 1)", bytes(20 * 50_000)))
    return attacks.npz(path, b"no array" if kind == "text" else attacks.npy("((((", b""))


@pytest.mark.parametrize("kind", ["encrypted", "lzma", "petabytes", "wide", "text", "mangled"])
def test_an_archive_of_something_else_is_a_sentence(kind, tmp_path):
    archive(kind, tmp_path / "a.npz")
    ended = run_attacked(
        *("train_autoencoder.py", "-a", "pca", "-d", "a.npz", "-m", "my.model", "--quiet"),
        cwd=tmp_path,
    )
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith("[ERROR] a.npz: ")


@pytest.mark.parametrize(
    "command", ["sh -c {}", "bash -lc {}", "env bash -c -- {}", "python3 -c {}", "xargs -0 sh {}"]
)
def test_no_interpreter_is_given_the_name_of_an_image_to_run(command, forest_model, tmp_path):
    (tmp_path / "touch came.jpg").write_bytes((CHECKOUT / "examples" / "coast_1.jpg").read_bytes())
    ended = run_attacked(
        *("test_anomaly_detector.py", "-m", forest_model, "-w", ".", "--on-anomaly", command),
        cwd=tmp_path,
    )
    assert ended.returncode == 1
    assert "what {} stands for would be run as a program" in ended.stderr
    assert not (tmp_path / "came.jpg").exists()


@pytest.mark.parametrize("option", ["--csv", "--json"])
def test_rows_do_not_take_the_place_of_the_model(option, forest_model, tmp_path):
    shutil.copy(forest_model, tmp_path / "my.model")
    os.link(tmp_path / "my.model", tmp_path / "other")
    ended = run_attacked(
        *("test_anomaly_detector.py", "-m", "my.model", "-i", CHECKOUT / "examples"),
        *(option, "other"),
        cwd=tmp_path,
    )
    assert ended.returncode == 2
    assert (tmp_path / "my.model").read_bytes() == forest_model.read_bytes()
    assert (tmp_path / "other").read_bytes() == forest_model.read_bytes()


def test_labelled_pictures_do_not_take_the_place_of_the_photos(forest_model, tmp_path):
    (tmp_path / "photos").mkdir()
    photo = (CHECKOUT / "examples" / "coast_1.jpg").read_bytes()
    (tmp_path / "photos" / "a.jpg").write_bytes(photo)
    ended = run_attacked(
        *("test_anomaly_detector.py", "-m", forest_model, "-i", "photos", "-o", "."), cwd=tmp_path
    )
    assert ended.returncode == 1
    assert (tmp_path / "photos" / "a.jpg").read_bytes() == photo


def test_a_model_does_not_take_the_place_of_a_letter(tmp_path):
    (tmp_path / "letter.txt").write_text("Dear all,")
    ended = run_attacked(
        *("train_anomaly_detector.py", "-d", CHECKOUT / "forest", "-m", "letter.txt"), cwd=tmp_path
    )
    assert ended.returncode == 1
    assert (tmp_path / "letter.txt").read_text() == "Dear all,"
