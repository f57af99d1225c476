"""The README's commands do what it shows."""

import re
import shutil
import subprocess
import sys

import pytest

from helpers.scripts import CHECKOUT

README = (CHECKOUT / "README.md").read_text()


def console_commands() -> list[tuple[str, str]]:
    """(command, expected output or "") of each line that starts with $ in a console block."""
    found = []
    for block in re.findall(r"^```console\n(.*?)^```", README, re.DOTALL | re.MULTILINE):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            found.append((command, output))
    return found


@pytest.fixture(scope="module")
def fresh_copy(tmp_path_factory):
    """The files that git knows, somewhere else."""
    copy = tmp_path_factory.mktemp("readme") / "checkout"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=CHECKOUT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        target = copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CHECKOUT / name, target)
    return copy


def words_and_numbers(text):
    """A text with a mark for each decimal number, and these."""
    pattern = r"\d+\.\d+"
    return re.sub(pattern, "#", text), [float(number) for number in re.findall(pattern, text)]


def test_the_readmes_commands_print_what_it_shows(fresh_copy):
    commands = console_commands()
    assert len(commands) >= 4
    for command, expected in commands:
        assert command.startswith("python ")
        ended = subprocess.run(
            [sys.executable, *command.split()[1:]], cwd=fresh_copy, capture_output=True, text=True
        )
        assert ended.returncode == 0, (command, ended.stderr)
        if "modelfiles" in command:
            shown = [line for line in expected.splitlines() if line.strip() != "..."]
            assert [line for line in shown if line not in ended.stdout.splitlines()] == []
        elif "autoencoder.model" in command:
            # What a network learns differs in the third digit between kinds of processors.
            words, numbers = words_and_numbers(ended.stdout)
            assert words == words_and_numbers(expected)[0], command
            assert numbers == pytest.approx(words_and_numbers(expected)[1], rel=0.01), command
        else:
            assert ended.stdout == expected, command


def test_every_option_of_the_scripts_that_the_readme_names_exists():
    helps = "".join(
        subprocess.run(
            [sys.executable, script, *arguments, "--help"],
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for script, arguments in (
            ("train_anomaly_detector.py", []),
            ("test_anomaly_detector.py", []),
            ("generate_data.py", ["scenes"]),
            ("generate_data.py", ["parts"]),
            ("generate_data.py", ["defects"]),
            ("generate_validation_metrics.py", []),
            ("generate_data.py", ["series"]),
            ("train_autoencoder.py", []),
            ("find_anomalies.py", []),
        )
    )
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README))
    assert {option for option in named if option not in helps} == set()


@pytest.mark.parametrize(
    ("benchmark", "title"),
    [
        ("forest", "images per second"),
        ("digits", "average precision"),
        ("nab", "HTM"),
        ("series", "VUS-PR"),
        ("patches", "image AUROC"),
        ("folders", "decoding and scoring alone"),
        ("shifts", "ordinary"),
    ],
)
def test_the_tables_of_the_readme_were_written_by_the_benchmarks(benchmark, title):
    table = re.search(rf"<!-- benchmarks.{benchmark} -->\n(.*?)<!-- /", README, re.DOTALL)[1]
    assert title in table


def test_the_tutorials_16_photos_give_the_readmes_refusal(run, tmp_path):
    shown = re.search(r"^\[ERROR\].*16 calibration items.*$", README, re.MULTILINE)[0]
    for number in range(1, 17):
        shutil.copy(CHECKOUT / "forest" / f"forest_{number}.jpg", tmp_path)
    refused = run(
        *("train_anomaly_detector.py", "-d", tmp_path, "-m", tmp_path / "m.model"),
        *("--false-alarm-rate", "0.01", "--quiet"),
    )
    assert refused.stderr.decode().strip() == shown
