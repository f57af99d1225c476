"""Claims about the documentation: its commands do what it shows, its tables and options exist."""

import functools
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.measure import write_into
from helpers.scripts import CHECKOUT
from pyimagesearch.cli.command_line import COMMANDS

PAGES = {
    str(path.relative_to(CHECKOUT)): path.read_text()
    for path in (
        CHECKOUT / "README.md",
        CHECKOUT / "CONTRIBUTING.md",
        CHECKOUT / "SECURITY.md",
        *sorted((CHECKOUT / "docs").glob("*.md")),
    )
}
REFERENCE = "docs/reference.md"
MOST_README_LINES = 150
DATA_COMMANDS = ("scenes", "series", "parts", "defects")
SCRIPTS = (
    "train_anomaly_detector.py",
    "test_anomaly_detector.py",
    "train_autoencoder.py",
    "find_anomalies.py",
    "generate_validation_metrics.py",
    "generate_data.py",
    "serve_anomaly_detector.py",
)
# Programs of others that blocks of shell commands use, and their options in running text.
OTHER_PROGRAMS = {
    *(".", "./install.sh", "cp", "dask", "docker", "export", "install", "journalctl", "openssl"),
    *("/opt/anomaly/bin/pip", "curl", "pip", "python3", "systemctl", "tail"),
}
OTHER_OPTIONS = {
    *("--no-deps", "--yes", "--protocol", "--host", "--dashboard-address", "--no-dashboard"),
    *("--tls-ca-file", "--tls-cert", "--tls-key"),
    *("--data", "--data-binary"),
    *("--dest", "--find-links", "--no-index", "--only-binary", "--platform", "--python-version"),
    *("--wheel-dir", "--mode", "--now", "--unit"),
    *("--network", "--read-only", "--rm", "--tmpfs", "--user", "--volume"),
}
NOTICES = ("[INFO]", "[WARNING]", "[ERROR]")
ANY_LINES = "..."
CONTINUED = ", continued"


def blocks(page: str, language: str) -> list[str]:
    """The contents of a page's code blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", PAGES[page], re.DOTALL | re.MULTILINE)


def write_code(page: str, copy: Path) -> set[str]:
    """Change a copy of the checkout as the Python blocks of a page say.

    Those begin with a comment that names a file. A new file is what follows; one that exists gets
    the block's last line behind those before it, or, where the comment says "continued", all of it
    at its end.

    Returns:
        Names of the files that train networks of their own.
    """
    written = set()
    for block in blocks(page, "python"):
        comment, _, code = block.partition("\n")
        name = comment.removeprefix("# ").removesuffix(CONTINUED)
        file = copy / name
        written.add(name)
        if comment.endswith(CONTINUED):
            code = f"{file.read_text()}\n{code}"
        elif file.exists():
            *context, _ = code.splitlines(keepends=True)
            before, after = file.read_text().split("".join(context))
            code = f"{before}{code}{after}"
        file.write_text(code)
    return {name for name in written if "import keras" in (copy / name).read_text()}


@dataclass(frozen=True)
class Command:
    """What stands behind a $, and the lines shown below it."""

    text: str
    shown: tuple[str, ...]

    @property
    def dataset(self) -> str:
        found = re.search(r"(?:--dataset|-d) (\S+)", self.text)
        return found[1] if found else ""

    @property
    def is_training(self) -> bool:
        return self.text.startswith(("python train_anomaly_detector.py", "python train_autoenc"))

    @property
    def learns_what_processors_round(self) -> bool:
        """Whether it trains a model whose scores differ a little between kinds of processors."""
        return self.is_training and "--method forest" not in self.text


def console_commands(page: str) -> list[Command]:
    found = []
    for block in blocks(page, "console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            text, *shown = part.replace("\\\n", "").splitlines()
            found.append(Command(text, tuple(shown)))
    return found


class Trainings:
    """Trains each model on the shipped data once, however many pages begin with it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._done: dict[str, tuple[subprocess.CompletedProcess, Path]] = {}

    def run(self, command: Command, copy: Path, run) -> subprocess.CompletedProcess:
        is_shipped = command.dataset in ("forest", "digits") or command.dataset[:9] == "examples/"
        if not command.is_training or not is_shipped:
            return run(command.text, copy)
        if command.text not in self._done:
            before = self._files(copy)
            ended = run(command.text, copy)
            made = self._folder / str(len(self._done))
            made.mkdir()
            for name in self._files(copy).items() - before.items():
                shutil.copy(copy / name[0], made)
            self._done[command.text] = ended, made
        ended, made = self._done[command.text]
        shutil.copytree(made, copy, dirs_exist_ok=True)
        return ended

    @staticmethod
    def _files(folder: Path) -> dict[str, int]:
        return {e.name: e.stat().st_mtime_ns for e in os.scandir(folder) if e.is_file()}


@pytest.fixture(scope="module")
def trainings(tmp_path_factory):
    return Trainings(tmp_path_factory.mktemp("trainings"))


@pytest.fixture(scope="module")
def run_in_shell(tmp_path_factory):
    """Run a line as a shell does in which ``python`` is this one."""
    programs = tmp_path_factory.mktemp("bin")
    (programs / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (programs / "python").chmod(0o755)
    environment = os.environ | {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "LC_ALL": "C.UTF-8",
    }

    def run(line: str, folder: Path) -> subprocess.CompletedProcess:
        return subprocess.run(
            ["sh", "-c", line],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run


def words_and_numbers(text: str) -> tuple[str, list[float]]:
    """A text with a mark for each number, and these."""
    pattern = r"\d+(?:\.\d+)?"
    return re.sub(pattern, "#", text), [float(number) for number in re.findall(pattern, text)]


def alike(shown: str, line: str, tolerance: float) -> bool:
    if not tolerance:
        return shown == line
    words, numbers = words_and_numbers(shown)
    found_words, found_numbers = words_and_numbers(line)
    return words == found_words and numbers == pytest.approx(found_numbers, rel=tolerance)


def missing(shown: list[str], lines: list[str], tolerance: float) -> list[str]:
    """What is shown that does not stand among some lines, in that order."""
    rest = iter(lines)
    return [one for one in shown if not any(alike(one, line, tolerance) for line in rest)]


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "console")])
def test_the_commands_of_a_page_print_what_it_shows(page, fresh_copy, run_in_shell, trainings):
    trained, is_rounded = write_code(page, fresh_copy), False
    for command in console_commands(page):
        ended = trainings.run(command, fresh_copy, run_in_shell)
        notices = [line for line in command.shown if line.startswith(NOTICES)]
        is_refused = any(line.startswith("[ERROR]") for line in notices)
        assert ended.returncode == (1 if is_refused else 0), (command.text, ended.stderr)

        is_rounded |= command.learns_what_processors_round
        tolerance = 0.01 if is_rounded else 0.0
        if trained & set(command.text.split()):  # networks, in many steps that each round
            tolerance = 0.15
        assert missing(notices, ended.stderr.splitlines(), tolerance) == [], command.text
        printed = ended.stdout.splitlines()
        shown = [line for line in command.shown if line not in (*notices, ANY_LINES)]
        if ANY_LINES not in command.shown:
            assert len(shown) == len(printed), (command.text, ended.stdout)
        assert missing(shown, printed, tolerance) == [], (command.text, ended.stdout)
    # Pictures in a folder of the page's own are those that its commands make.
    pictures = re.findall(rf"!\[.*?\]\(({Path(page).stem}/\S+)\)", PAGES[page])
    assert [name for name in pictures if not (fresh_copy / name).exists()] == []


def test_the_readme_shows_images_series_and_an_autoencoder():
    shown = " ".join(command.text for command in console_commands("README.md"))
    for dataset in ("forest", "examples/daily_jump.csv", "digits"):
        assert f"--dataset {dataset}" in shown
    assert PAGES["README.md"].count("\n") <= MOST_README_LINES


def options_in(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--?[a-zA-Z][a-zA-Z-]*(?![\w-])", text))


def long_options_in(text: str) -> set[str]:
    return {option for option in options_in(text) if option.startswith("--")}


@functools.cache
def options_of(*command: str) -> set[str]:
    """The options of a script, or of one of its commands, from its help."""
    printed = subprocess.run(
        [sys.executable, *command, "--help"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    left_column = re.findall(r"^  (-.*?)(?:\s{2,}|$)", printed, re.MULTILINE)
    return options_in("\n".join(left_column))


def all_options_of(script: str) -> set[str]:
    commands = DATA_COMMANDS if script == "generate_data.py" else ()
    return options_of(script).union(*(options_of(script, command) for command in commands))


def shell_commands(block: str) -> list[list[str]]:
    """The words of each command of a block, also of those behind a pipe."""
    found = []
    for line in block.replace("\\\n", " ").splitlines():
        words: list[str] = []
        split = shlex.shlex(line, posix=True, punctuation_chars=True)
        split.whitespace_split = True
        for word in split:
            if set(word) <= set("|&;()"):
                found.append(words)
                words = []
            else:
                words.append(word)
        found.append(words)
    return [words for words in found if words]


def fault_of(words: list[str]) -> str | None:
    """Why a command cannot be right, as far as that is known without running it."""
    program, *arguments = words
    if program == "make":
        targets = re.findall(r"^([a-z-]+):", (CHECKOUT / "Makefile").read_text(), re.MULTILINE)
        return None if set(arguments) <= set(targets) else "no such target"
    if program == "anomaly":
        name, *arguments = arguments
        if name not in COMMANDS or COMMANDS[name].script is None:
            return None if name in COMMANDS else "no such command"
        program, arguments = "python", [COMMANDS[name].script, *arguments]
    if program != "python":
        named = [word for word in arguments if re.fullmatch(r"requirements[\w-]*\.txt", word)]
        if program not in OTHER_PROGRAMS or not all((CHECKOUT / name).exists() for name in named):
            return "no such program or file"
        return None
    if arguments[0] == "-m":
        return None if importlib.util.find_spec(arguments[1]) else "no such module"
    script, *given = arguments
    if script not in SCRIPTS:
        return "no such script"
    command = (script, given[0]) if script == "generate_data.py" else (script,)
    asked = {word.split("=")[0] for word in given if re.match(r"--?[a-zA-Z]", word)}
    unknown = asked - options_of(*command)
    return f"no such option: {unknown}" if unknown else None


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "sh")])
def test_the_commands_of_a_page_that_are_not_run_could_be(page):
    commands = [words for block in blocks(page, "sh") for words in shell_commands(block)]
    assert commands
    faults = {shlex.join(words): fault_of(words) for words in commands}
    assert {command: fault for command, fault in faults.items() if fault} == {}


def test_what_security_promises_names_its_tests_and_the_files_that_keep_it():
    page = PAGES["SECURITY.md"]
    promised = page.partition("## What is promised")[2].partition("## What is not")[0]
    promises = re.findall(r"^\d\. (.*?)(?=^\d\. |^$)", promised, re.DOTALL | re.MULTILINE)
    rows = page.rpartition("|---|\n")[2]
    rows = [line for line in rows.splitlines() if line.startswith("|")]
    assert (len(promises), len(rows)) >= (5, 10)
    for row in rows:
        *_, keeps, _, tests, _ = row.split("|")
        assert re.findall(r"`\w+/[\w/]+\.(?:py|html)`", keeps), row
        assert "`tests/" in tests, row
    # That no code is run is what most rows are about.
    assert all("`tests/" in promise for promise in promises[1:])
    named = re.findall(r"`(\w+/[\w/]+\.(?:py|html))`", page)
    absent = [
        path
        for path in named
        if not (CHECKOUT / ("" if path.startswith("tests/") else "pyimagesearch") / path).exists()
    ]
    assert absent == []


@pytest.mark.parametrize("page", [page for page in PAGES if page != "CONTRIBUTING.md"])
def test_every_option_that_a_page_names_exists(page):
    known = set().union(*map(all_options_of, SCRIPTS)) | OTHER_OPTIONS
    for name in (name for name, command in COMMANDS.items() if command.script is None):
        known |= options_of("-m", "pyimagesearch", name)
    for benchmark in (CHECKOUT / "benchmarks").glob("*.py"):
        known |= set(re.findall(r'"(--[a-z-]+)"', benchmark.read_text()))
    assert long_options_in(PAGES[page]) - known == set()


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_reference_names_the_options_of_a_script_and_no_others(script):
    section_of = dict(re.findall(r"^### (.*?)\n(.*?)(?=^#|\Z)", PAGES[REFERENCE], re.S | re.M))
    own = section_of.pop(f"`{script}`")
    shared = "".join(text for title, text in section_of.items() if not title.startswith("`"))
    rows = "\n".join(re.findall(r"^\| (.*?) \|", own, re.MULTILINE))
    options = {option for option in all_options_of(script) if option.startswith("--")}
    assert options - long_options_in(rows) - long_options_in(shared) == set()
    assert long_options_in(rows) - options == set()


def tables() -> dict[str, tuple[str, str]]:
    """(page, table) of each name between marks."""
    return {
        name: (page, table)
        for page, text in PAGES.items()
        for name, table in re.findall(
            r"^<!-- benchmarks\.([\w.]+) -->\n(.*?)<!-- /benchmarks\.\1 -->", text, re.S | re.M
        )
    }


@pytest.mark.parametrize(
    ("benchmark", "title"),
    [
        ("forest", "images per second"),
        ("digits", "average precision"),
        ("nab", "HTM"),
        ("series.published", "VUS-PR"),
        ("series.ucr", "matrix profile"),
        ("series.sets", "SKAB"),
        ("series.found", "conv1d"),
        ("patches.costs", "anomalib"),
        ("patches.sets", "image AUROC"),
        ("scenes", "nights"),
        ("small_folders", "smallest p-value"),
        ("folders", "decoding and scoring alone"),
        ("shifts", "ordinary"),
        ("lights", "--update"),
        ("verdicts", "by folds"),
        ("production", "denoising"),
        ("scaling", "CPU for each image"),
    ],
)
def test_the_tables_of_the_docs_were_written_by_the_benchmarks(benchmark, title):
    assert title in tables()[benchmark][1]


def test_the_makefile_writes_every_table_where_it_stands():
    written = dict(
        re.findall(r"-m benchmarks\.(\w+) --write (\S+)", (CHECKOUT / "Makefile").read_text())
    )
    assert all((CHECKOUT / file).exists() for file in written.values())
    for name, (page, table) in tables().items():
        assert written[name.split(".")[0]] == page
        assert "|---|" in table


def test_a_table_that_was_never_measured_is_added_at_the_end(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Tables\n\n<!-- a -->\n<!-- /a -->\n")
    write_into(str(page), "b", "| 1 |\n")
    write_into(str(page), "a", "| 2 |\n")
    write_into(str(page), "b", "| 3 |\n")
    assert page.read_text() == (
        "# Tables\n\n<!-- a -->\n| 2 |\n<!-- /a -->\n\n<!-- b -->\n| 3 |\n<!-- /b -->\n"
    )


def test_every_page_can_be_reached_from_the_readme_or_from_contributing():
    linked = PAGES["README.md"] + PAGES["CONTRIBUTING.md"]
    assert [page for page in PAGES if page.startswith("docs/") and f"({page}" not in linked] == []
