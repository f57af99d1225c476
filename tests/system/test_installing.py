"""Claims about what docs/installing.md installs: without internet, in a container, as a service."""

import configparser
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.scripts import CHECKOUT
from pyimagesearch.cli.labelling_options import WatchingOptions, parse_labelling
from pyimagesearch.runtime import console

PAGE = (CHECKOUT / "docs/installing.md").read_text()
DOCKERFILE = (CHECKOUT / "deploy/Dockerfile").read_text()
UNIT = CHECKOUT / "deploy/anomaly-watch.service"
MOST_MEGABYTES = 450  # that labelling may take


def commands_of(section):
    """The lines of each block of shell commands of a section of the page."""
    text = re.search(rf"^## {section}\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)[1]
    return re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def copied_into_the_container():
    """The names of the checkout that the container is built from."""
    copied = re.findall(r"^COPY (?!--)(.*) \S+$", DOCKERFILE, re.MULTILINE)
    return [path for pattern in shlex.split(" ".join(copied)) for path in CHECKOUT.glob(pattern)]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Run lines as a shell does in which ``python3`` and ``pip`` are this Python's."""
    programs = tmp_path_factory.mktemp("programs")
    for name, arguments in (("python3", ""), ("pip", "-m pip")):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
        (programs / name).chmod(0o755)
    environment = os.environ | {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_COMPILE": "1",  # which would take half of the time
    }

    def run(lines, folder, *before):
        return subprocess.run(
            [*before, "sh", "-e", "-c", lines],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run


@pytest.fixture(scope="module")
def without_network():
    """What runs a command without any network."""
    prefix = ("unshare", "--map-root-user", "--net")
    if shutil.which(prefix[0]) is None or subprocess.run([*prefix, "true"]).returncode:
        pytest.skip("this system gives no process a network of its own, so none can be without")
    return prefix


@pytest.fixture(scope="module")
def installed(run, without_network, tmp_path_factory):
    """A folder with the environment that the recipe for machines without internet made."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("target")
    for path in copied_into_the_container():
        copy = shutil.copytree if path.is_dir() else shutil.copy
        copy(path, source / path.name)
    with_internet, without = (
        block.replace("[train]", "") for block in commands_of("Machines without internet")
    )
    collected = run(with_internet, source)
    if collected.returncode and run("pip download --no-deps tqdm", target).returncode:
        pytest.skip("the package index cannot be reached")
    assert collected.returncode == 0, collected.stderr
    (source / "wheels").rename(target / "wheels")
    *install, demo = without.splitlines()
    assert demo == "anomaly demo"  # takes what trains
    ended = run("\n".join(install), target, *without_network)
    assert ended.returncode == 0, ended.stderr
    return target


def test_what_was_collected_labels_on_a_machine_without_internet(
    installed, run, without_network, forest_model
):
    shutil.copy(CHECKOUT / "examples/coast_1.jpg", installed)
    labelled = run(
        f". environment/bin/activate\nanomaly test -m {forest_model} -i coast_1.jpg",
        installed,
        *without_network,
    )
    assert (labelled.returncode, "coast_1.jpg,anomaly," in labelled.stdout) == (0, True)


def test_what_labelling_needs_is_less_than_a_container_may_take(installed):
    files = (installed / "environment").rglob("site-packages/**/*")
    sizes = [file.stat().st_size for file in files if file.is_file()]
    assert len(sizes) > 100
    assert sum(sizes) / 1e6 < MOST_MEGABYTES


def test_the_container_has_what_labelling_needs_with_the_opencv_that_opens_no_windows():
    command = re.search(r"sed '.*?' requirements-score\.txt", DOCKERFILE)[0]
    changed = subprocess.check_output(shlex.split(command), cwd=CHECKOUT, text=True)
    requirements = (CHECKOUT / "requirements-score.txt").read_text()
    assert changed.count("\nopencv-python-headless>=") == 1
    assert changed == requirements.replace(
        "\nopencv-contrib-python>=", "\nopencv-python-headless>="
    )


def test_the_container_is_built_from_nothing_that_is_ignored():
    ignored, *kept, _ = (
        line
        for line in (CHECKOUT / ".dockerignore").read_text().splitlines()
        if not line.startswith("#")
    )
    assert ignored == "*"
    kept = {path for line in kept for path in CHECKOUT.glob(line.removeprefix("!"))}
    assert kept == set(copied_into_the_container())


@pytest.fixture
def service():
    """The section [Service] of the unit: the last value of each setting."""
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str
    unit.read(UNIT)
    return unit["Service"]


def test_the_service_watches_a_folder_and_writes_where_it_may(service):
    program, command, *arguments = shlex.split(service["ExecStart"])
    assert (Path(program).name, command) == ("anomaly", "test")
    options = parse_labelling("", arguments)
    assert isinstance(options, WatchingOptions)
    assert Path(options.csv).parent == Path("/var/lib", service["StateDirectory"])
    for path in (options.source, options.model.path, options.csv, program):
        assert path in PAGE or os.path.dirname(path) in PAGE
    assert f"RequiresMountsFor={options.source}\n" in UNIT.read_text()


def test_an_anomaly_is_no_failure_of_the_service_and_wrong_usage_is_final(service):
    assert service["SuccessExitStatus"].split() == [str(console.EXIT_ANOMALY)]
    assert service["RestartPreventExitStatus"].split() == [str(console.EXIT_USAGE)]
    assert service["Restart"] == "on-failure"


@pytest.mark.parametrize("check", [["verify"], ["security", "--offline=true", "--threshold=10"]])
def test_systemd_finds_the_service_right_and_confined(check, tmp_path):
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze")
    unit = tmp_path / UNIT.name
    program = shutil.which("true")
    unit.write_text(UNIT.read_text().replace("/opt/anomaly/bin/anomaly ", f"{program} "))
    checked = subprocess.run(["systemd-analyze", *check, unit], capture_output=True, text=True)
    assert (checked.returncode, checked.stderr) == (0, "")
