"""The command ``anomaly``, and the scripts of the checkout, which are the same functions.

Nothing here imports what takes long before ``startup.prepare_process`` was called.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple, NoReturn

from pyimagesearch.runtime import startup

PROGRAM = "anomaly"


class Command(NamedTuple):
    """A command; its function is ``main`` of the module of its name in ``cli.commands``.

    Attributes:
        script: the file of the checkout that is the same.
        summary: a line of ``anomaly --help``.
    """

    script: str | None
    summary: str


COMMANDS = {
    "train": Command(
        "train_anomaly_detector.py", "learn what is normal from a folder of images or a series"
    ),
    "train-autoencoder": Command(
        "train_autoencoder.py", "learn to reconstruct images, or windows of a series"
    ),
    "test": Command("test_anomaly_detector.py", "label images as normal or anomaly"),
    "find": Command("find_anomalies.py", "bring out the anomalies of a dataset or a series"),
    "serve": Command("serve_anomaly_detector.py", "label images that are sent over HTTP"),
    "generate": Command("generate_data.py", "render scenes, series, parts, and defects on parts"),
    "validate": Command(
        "generate_validation_metrics.py", "measure a model on known images, choose its threshold"
    ),
    "inspect": Command(None, "serve a report to a browser, and save verdicts at once"),
    "report": Command(None, "show what a line did in a stretch of time"),
    "demo": Command(None, "render photos, learn those of forests, label others"),
}


def main_of(name: str) -> Callable[[Sequence[str] | None], int]:
    """The function of a command; what it needs is imported when it is called.

    Args:
        name: one of ``COMMANDS``.
    """
    return functools.partial(_call, name)


def run(name: str) -> NoReturn:
    """Run a command with this process' arguments, and end the process.

    Args:
        name: one of ``COMMANDS``.
    """
    startup.prepare_process()
    from pyimagesearch.runtime import console

    try:
        main = _load(name)
    except ImportError as error:
        main = functools.partial(_fail, error)  # once there is something that says it in a sentence
    console.run(main)


def main() -> NoReturn:
    """Run the command that this process' arguments begin with, and end the process."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in COMMANDS:
        _explain()
    sys.argv[:2] = [f"{PROGRAM} {name}"]  # what help and messages call it
    run(name)


def in_terms_of(program: str, text: str) -> str:
    """A text that names the scripts, as the program that is running would be called.

    Args:
        program: ``anomaly ...``; the text stays as it is for any other.
        text: of a script's help.

    >>> in_terms_of("anomaly test", "python test_anomaly_detector.py -i - (train_autoencoder.py)")
    'anomaly test -i - (anomaly train-autoencoder)'
    """
    if not program.startswith(f"{PROGRAM} "):
        return text
    text = text.replace("python -m pyimagesearch ", f"{PROGRAM} ")
    for name, command in COMMANDS.items():
        if command.script is not None:
            for script in (f"python {command.script}", command.script):
                text = text.replace(script, f"{PROGRAM} {name}")
    return text


def _load(name: str) -> Callable[..., int]:
    module = f"pyimagesearch.cli.commands.{name.replace('-', '_')}"
    return importlib.import_module(module).main


def _call(name: str, argv: Sequence[str] | None = None) -> int:
    return _load(name)(argv)


def _fail(error: Exception) -> NoReturn:
    raise error


def _explain() -> NoReturn:
    """Print what there is, or what is wrong with the arguments, and end the process."""
    import argparse

    from pyimagesearch import __version__

    ap = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Learn from normal images and series, and find anomalies in others.",
        epilog=f"{PROGRAM} COMMAND --help explains a command.",
        allow_abbrev=False,
    )
    ap.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = ap.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, command in COMMANDS.items():
        commands.add_parser(name, help=command.summary)
    ap.parse_args()
    raise AssertionError("a command would have been run")
