"""What the scripts say on stderr: in the tests' own process, since ``main`` is a function."""

import importlib
import logging
import re
import signal
import sys
from pathlib import Path

import pytest

from helpers.scripts import CHECKOUT, SCRIPTS
from pyimagesearch.cli.command_line import COMMANDS
from pyimagesearch.runtime import console

SCENES = ("scenes", "--kinds", "coast", "--count", "1")


def main_of(script):
    return importlib.import_module(Path(script).stem).main


@pytest.fixture
def make_scenes(tmp_path, capsys):
    """Generates an image in a folder of its own; returns what that said on stderr."""

    def make(*options, behind=()):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        argv = [*options, *SCENES, "-o", str(folder), *behind]
        assert main_of("generate_data.py")(argv) == 0
        return capsys.readouterr().err.replace(str(folder), "FOLDER")

    return make


def test_each_call_of_a_script_has_its_own_messages(make_scenes):
    said = make_scenes()
    assert re.fullmatch(r"(\[INFO\] .*\n)+", said)
    assert make_scenes("--quiet") == ""
    assert make_scenes() == said


def test_messages_are_chosen_before_or_behind_the_name_of_what_is_generated(make_scenes):
    assert make_scenes(behind=["--quiet"]) == ""
    assert make_scenes("--quiet", behind=["--log-time"]) == ""
    assert re.match(r"\d{4}-", make_scenes("--log-time"))
    assert re.match(r"\d{4}-", make_scenes(behind=["--log-time"]))


@pytest.mark.parametrize(
    "command",
    [
        ("test_anomaly_detector.py", "-m", "a.model", "-i", "b.jpg"),
        ("generate_data.py", "scenes", "-o", "a"),
    ],
)
def test_a_name_that_is_taken_for_an_option_cannot_steer_the_terminal(command, capsys):
    script, *arguments = command
    with pytest.raises(SystemExit) as ended:
        main_of(script)([*arguments, "--\x1b[2J.jpg"])
    assert ended.value.code == 2
    assert r"unrecognized arguments: --\x1b[2J.jpg" in capsys.readouterr().err


def test_log_time_puts_date_and_time_in_front_of_the_same_messages(make_scenes):
    timed = make_scenes("--log-time")
    assert re.sub(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", "", timed, flags=re.M) == make_scenes()


def test_an_error_has_the_time_in_front_too(capsys):
    argv = ["-m", "nowhere.model", "-i", "a.jpg", "--log-time"]
    assert console.status_of(lambda: main_of("test_anomaly_detector.py")(argv)) == 1
    (*_, error) = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"\S{10} \S{8} \[ERROR\] nowhere\.model: .*", error)


@pytest.mark.parametrize(
    ("module", "script", "options"),
    [
        ("matplotlib", "generate_validation_metrics.py", ["-m", "no.model", "--plot", "p.png"]),
        ("matplotlib", "train_autoencoder.py", ["-m", "a.model", "--architecture", "pca"]),
        ("tensorflow", "train_autoencoder.py", ["-m", "a.model"]),
    ],
)
def test_a_package_that_is_needed_at_the_end_is_missed_at_the_beginning(
    module, script, options, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, module, None)
    argv = ["--dataset", str(CHECKOUT / "forest"), *options]
    assert console.status_of(lambda: main_of(script)(argv)) == console.EXIT_FAILED
    said = rf"\[ERROR\] the package {module} is missing: pip install -r \S+\n"
    assert re.fullmatch(said, capsys.readouterr().err)


def test_a_script_that_is_called_leaves_signals_and_the_root_logger_alone(make_scenes):
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    root = list(logging.getLogger().handlers)
    make_scenes()
    assert handlers == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert root == logging.getLogger().handlers


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_is_the_commands_own_documentation_on_stdout_alone(script, capsys):
    main = main_of(script)
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    printed, said = capsys.readouterr()
    assert (ended.value.code, said) == (0, "")
    (name,) = (name for name, command in COMMANDS.items() if command.script == script)
    module = f"pyimagesearch.cli.commands.{name.replace('-', '_')}"
    assert importlib.import_module(module).__doc__ in printed
    assert "--quiet" in printed
    assert "--log-time" in printed
