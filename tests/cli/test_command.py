"""The command ``anomaly``: the scripts' functions under one name, and a demonstration."""

import re
import shutil
import sys
from pathlib import Path

import pytest

from helpers.scripts import CHECKOUT, SCRIPTS, run_cold, run_script
from pyimagesearch.cli import command_line
from pyimagesearch.cli.command_line import COMMANDS
from pyimagesearch.cli.commands import demo
from pyimagesearch.data import images
from pyimagesearch.data.synthetic.scenes import render_scene
from pyimagesearch.runtime import console


def help_of(name, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", [f"anomaly {name}"])
    with pytest.raises(SystemExit) as ended:
        command_line.main_of(name)(["--help"])
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_every_script_is_a_command():
    assert sorted(command.script for command in COMMANDS.values() if command.script) == sorted(
        SCRIPTS
    )


def test_help_has_a_line_for_each_command(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["anomaly", "--help"])
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    printed = capsys.readouterr().out
    assert ended.value.code == 0
    for name, command in COMMANDS.items():
        assert re.search(rf"^ +{name}\s+{command.summary}$", printed, re.MULTILINE)


@pytest.mark.parametrize("arguments", [[], ["trian"], ["--trian"]])
def test_what_is_no_command_is_wrong_usage(arguments, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["anomaly", *arguments])
    with pytest.raises(SystemExit) as ended:
        command_line.main()
    assert ended.value.code == console.EXIT_USAGE
    assert "usage: anomaly" in capsys.readouterr().err


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_names_commands_and_no_script(name, capsys, monkeypatch):
    printed = help_of(name, capsys, monkeypatch)
    assert printed.startswith(f"usage: anomaly {name} ")
    assert not re.search(r"python|_\w+\.py", printed)


def test_the_module_runs_a_command_as_the_script_does(forest_model):
    arguments = ("-m", forest_model, "-i", "examples/forest_1.jpg", "examples/none.jpg")
    script = run_script("test_anomaly_detector.py", *arguments)
    command = run_cold("-m", "pyimagesearch", "test", *arguments)
    assert (command.returncode, command.stdout) == (3, script.stdout)
    assert command.stderr.splitlines()[0] == script.stderr.splitlines()[0]


@pytest.mark.parametrize(
    ("folder", "scenes"), [("forest", demo.FOREST), ("examples", demo.EXAMPLES)]
)
def test_the_demo_renders_the_photos_of_the_checkout(folder, scenes):
    names = {f"{kind}_{n + 1}.jpg" for kind in scenes["kinds"] for n in range(scenes["count"])}
    assert {path.name for path in (CHECKOUT / folder).glob("*.jpg")} == names
    picture = render_scene(scenes["kinds"][-1], scenes["seed"], 1, scenes["size"])
    shipped = (CHECKOUT / folder / f"{scenes['kinds'][-1]}_1.jpg").read_bytes()
    assert images.encode_picture(picture, ".jpg") == shipped


def test_the_demo_learns_and_labels_what_is_there(few_forests, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    few_forests.rename("forest")
    Path("examples").mkdir()
    shutil.copy(CHECKOUT / "examples/coast_1.jpg", "examples")
    assert console.status_of(lambda: demo.main(["--quiet"])) == console.EXIT_DONE
    assert "examples/coast_1.jpg,anomaly," in capsys.readouterr().out
    assert {path.name for path in Path("labelled/examples").iterdir()} == {"coast_1.jpg"}
    assert len(list(Path("forest").iterdir())) == 8


def test_the_demo_replaces_no_folder_of_the_same_name(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("forest").mkdir()
    Path("forest/mine.jpg").touch()
    assert console.status_of(lambda: demo.main([])) == console.EXIT_FAILED
    assert "[ERROR] forest: not replaced" in capsys.readouterr().err


def test_starting_a_command_imports_nothing_heavy_before_ctrl_c_is_looked_after():
    code = (
        "import sys, pyimagesearch.cli.command_line\n"
        "print({'numpy', 'cv2', 'argparse'} & set(sys.modules))"
    )
    assert run_cold("-c", code).stdout == b"set()\n"


def test_the_demo_says_at_once_what_it_lacks(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    assert console.status_of(lambda: demo.main([])) == console.EXIT_FAILED
    said = "[ERROR] the package scikit-learn is missing: pip install -r requirements-train.txt\n"
    assert capsys.readouterr() == ("", said)
    assert list(tmp_path.iterdir()) == []
