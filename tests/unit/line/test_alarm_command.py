"""Claims about commands that alarms run."""

from __future__ import annotations

import time

import pytest

from pyimagesearch.line import alarm_command
from pyimagesearch.line.alarm_command import AlarmCommand
from pyimagesearch.runtime import console
from pyimagesearch.runtime.console import UserError


def test_a_command_that_hangs_is_ended_and_the_others_run(monkeypatch, capfd, tmp_path):
    console.configure(quiet=False, log_time=False)
    monkeypatch.setattr(alarm_command, "SECONDS_FOR_ONE", 0.5)
    script = tmp_path / "hang.sh"
    # What it starts must end with it.
    script.write_text('[ -e ran ] && { echo "$1"; exit; }; touch ran; sleep 60 & sleep 60\n')
    monkeypatch.chdir(tmp_path)
    started = time.monotonic()
    with AlarmCommand("--on-anomaly", f"sh {script} {{}}", "ANOMALY_IMAGE") as command:
        command.report("-rf.jpg")
        command.report("-rf.jpg")
    assert time.monotonic() - started < 30
    said = capfd.readouterr().err
    assert said.count("took longer than 0 seconds and was ended") == 1
    assert said.splitlines()[-1] == "./-rf.jpg"


def test_at_the_end_commands_get_a_while_and_those_that_did_not_run_are_named(monkeypatch, capfd):
    console.configure(quiet=False, log_time=False)
    monkeypatch.setattr(alarm_command, "SECONDS_AT_THE_END", 0.5)
    with AlarmCommand("--on-anomaly", "sleep 60", "ANOMALY_IMAGE") as command:
        command.report("-rf.jpg")
        command.report("-rf.jpg")
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
                *(
                    "bash -c -- {}",
                    "bash -c -o pipefail {}",
                    "python3.11 -Bc {}",
                    "env cmd.exe /c {}",
                ),
                *("timeout 5s {}", "env A=1 sudo {}", "bash -x {}", "sed -e {}", "node -p {}"),
                *("sh -c {}", "bash -lc {}", "env sh -c {}", "/bin/sh -e {}", "nohup sh -c {} x"),
                *("python3 -c {}", "python3.11 {}", "sh {}", "perl -E {}", "timeout 5 sh -xc {}"),
            )
        ),
    ],
)
def test_commands_that_cannot_be_meant_are_refused(command, sentence):
    with pytest.raises(UserError, match=sentence):
        AlarmCommand("--on-anomaly", command, "ANOMALY_IMAGE")


@pytest.mark.parametrize(
    "command",
    [
        "sh -c 'cat \"$1\"' sh {}",
        "python3 script.py --image {}",
        "gzip -c {}",
        "sh script.sh {}",
        "timeout 60 cp {} /store",
        "sed -i s/a/b/ {}",
        "env rsync -e ssh {} host:",
    ],
)
def test_an_images_name_may_be_an_argument_of_any_program(command):
    AlarmCommand("--on-anomaly", command, "ANOMALY_IMAGE")
