"""Messages: their look, where they go, and what they survive."""

import io
import logging
import os
import re
import subprocess
import sys

import pytest

from helpers.scripts import CHECKOUT
from pyimagesearch.runtime import console
from pyimagesearch.runtime.console import UserError, counted, info, printable, warn


def test_messages_look_as_they_always_did(capsys):
    console.configure(quiet=False, log_time=False)
    info("loading 100%...")
    warn("a.jpg: no such file")
    assert capsys.readouterr() == ("", "[INFO] loading 100%...\n[WARNING] a.jpg: no such file\n")


def test_log_time_begins_each_line_with_date_and_time(capsys):
    console.configure(quiet=False, log_time=True)
    info("loading...")
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \[INFO\] loading\.\.\.\n", capsys.readouterr().err
    )


def test_the_last_configuration_counts_and_adds_no_second_handler(capsys):
    console.configure(quiet=True, log_time=True)
    console.configure(quiet=True, log_time=False)
    info("not shown")
    assert not console.shows_info()
    warn("shown once")
    console.configure(quiet=False, log_time=False)
    info("shown")
    assert capsys.readouterr().err == "[WARNING] shown once\n[INFO] shown\n"


def test_a_message_is_said_once_whatever_the_root_logger_does(capsys):
    console.configure(quiet=False, log_time=False)
    handler = logging.StreamHandler(sys.stderr)
    logging.getLogger().addHandler(handler)
    try:
        info("once")
    finally:
        logging.getLogger().removeHandler(handler)
    assert capsys.readouterr().err == "[INFO] once\n"


def test_a_library_prints_nothing_and_its_warnings_reach_whoever_configures_logging(caplog):
    used = "from pyimagesearch.runtime.console import info, shows_info, warn\n"
    used += "info('a'); warn('b'); assert not shows_info()"
    ended = subprocess.run([sys.executable, "-c", used], cwd=CHECKOUT, capture_output=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")
    warn("a.jpg: no such file")
    assert caplog.record_tuples == [("pyimagesearch", logging.WARNING, "a.jpg: no such file")]


def test_what_stands_in_a_file_cannot_steer_the_terminal_or_forge_a_message(capsys):
    console.configure(quiet=False, log_time=False)
    warn("a.onnx: no operator 'x\x1b[2J\x9b\n[INFO] all is well\u202e'")
    expected = r"[WARNING] a.onnx: no operator 'x\x1b[2J\x9b\n[INFO] all is well\u202e'"
    assert capsys.readouterr().err == f"{expected}\n"


def test_a_name_that_no_file_can_have_is_printable_too():
    assert printable("a\ud800\udc80.jpg") == r"a\ud800\udc80.jpg"
    assert printable("a\udc80.jpg") == r"a\x80.jpg"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_terminal_of_any_encoding_shows_any_name(encoding, monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(written, encoding=encoding))
    console.configure(quiet=False, log_time=False)
    warn("Äpfel 林.jpg")
    expected = "Äpfel 林.jpg".encode(encoding, "backslashreplace")
    assert written.getvalue() == b"[WARNING] " + expected + b"\n"


@pytest.mark.parametrize("redirection", ["2>&-", "2>/dev/full"])
def test_a_stderr_that_cannot_be_written_stops_nothing_and_nothing_goes_to_stdout(redirection):
    code = (
        "from pyimagesearch.runtime.console import configure, run, warn\n"
        "def main():\n"
        "    configure(quiet=False, log_time=False)\n"
        "    warn('lost'); print('a row'); return 3\n"
        "run(main)"
    )
    ended = subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" -c "$1" {redirection}', sys.executable, code],
        cwd=CHECKOUT,
        capture_output=True,
    )
    assert (ended.returncode, ended.stdout) == (3, b"a row\n")


def test_a_script_without_stdout_ends_as_any_other():
    code = "from pyimagesearch.runtime.console import run\nrun(lambda: 3)"
    ended = subprocess.run(
        ["/bin/sh", "-c", 'exec "$0" -c "$1" >&-', sys.executable, code],
        cwd=CHECKOUT,
        stderr=subprocess.PIPE,
    )
    assert (ended.returncode, ended.stderr) == (3, b"")


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (UserError("no images in this folder"), 1, "[ERROR] no images in this folder\n"),
        (FileNotFoundError(2, "No such file", "a\n"), 1, "[ERROR] a\\n: No such file\n"),
        (KeyboardInterrupt(), 130, "[ERROR] interrupted\n"),
        (BrokenPipeError(), 0, ""),
    ],
)
def test_what_ends_a_script_becomes_a_line_and_a_status(error, status, line, capsys):
    def main():
        raise error

    assert console.status_of(main) == status
    assert capsys.readouterr().err == line


def test_numbers_of_things_have_the_right_plural():
    assert [counted(n, "image") for n in (0, 1, 2000)] == ["0 images", "1 image", "2,000 images"]
    assert counted(1, "anomaly", "anomalies") == "1 anomaly"
    assert counted(2, "anomaly", "anomalies") == "2 anomalies"


@pytest.mark.parametrize(
    ("path", "printed"),
    [
        ("photos/a b.jpg", "photos/a b.jpg"),
        ("\u00e9\u2192.jpg", "\u00e9\u2192.jpg"),
        ("a\nb\t\x1b[31m.jpg", r"a\nb\t\x1b[31m.jpg"),
        (os.fsdecode(b"no \xff\xfe utf-8.jpg"), r"no \xff\xfe utf-8.jpg"),
        ("half a character \ud800", r"half a character \ud800"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
    ],
)
def test_any_name_is_printed_on_one_line_of_valid_utf_8(path, printed):
    assert console.printable(path) == printed
    assert printed.encode()
