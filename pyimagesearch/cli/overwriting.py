"""What a script would write over: inputs of the same command, and files that are not its own.

Results that an earlier run has written are replaced as ever. Refused is what loses something: a
result in the place of an input, by whatever name, of another result, or of an image; and a model
in the place of a file that is no model.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pyimagesearch.cli.resume_journal import JOURNAL
from pyimagesearch.data.images import has_image_name
from pyimagesearch.detectors.model_file import is_model_file
from pyimagesearch.runtime.atomic_files import PARTIAL, check_replaceable_file, is_inside
from pyimagesearch.runtime.console import STDIN, UserError, printable

# Files and folders that scripts read, and files that they write. What may be both is not listed:
# the model that --update adds to, that training starts from, or whose state is saved.
_READ = (
    *(
        "--dataset",
        "--image",
        "--watch",
        "--backbone",
        "--weights",
        "--mask",
        "--noisy",
        "--exclude",
    ),
    *("--normal", "--anomalous", "--masks", "--select-on", "--report-on", "--verdicts"),
)
_MODEL = "--model"  # read by some scripts, written by others
_ROWS = ("--csv", "--json", "--scores", "--save-dataset")
_PICTURES = ("--output", "--report", "--audit", "--vis", "--plot")


def overwritten(value_of: Callable[[str], Any], *, writes_model: bool) -> str | None:
    """A sentence where a script would write over what it reads, or write one file twice.

    Args:
        value_of: the value of an option; None where it has none.
        writes_model: whether --model is written, and not read.
    """
    written = (*((_MODEL,) if writes_model else ()), *_ROWS, *_PICTURES)
    read = (*_READ, *(() if writes_model else (_MODEL,)))
    taken: dict[object, str] = {}
    folders: list[tuple[str, str]] = []
    for option, path in _given(value_of, read):
        taken |= dict.fromkeys(_identities(path), option)
        if os.path.isdir(path):
            folders.append((option, path))
    for option, path in _given(value_of, written):
        if os.path.isdir(path):  # whether it may be written to is another question
            continue
        identities = list(_identities(path))
        if other := next((taken[one] for one in identities if one in taken), None):
            return f"{option} would overwrite the file of {other}"
        if os.path.exists(path) and has_image_name(path):
            if option in _ROWS:
                return f"{option} would overwrite an image, {printable(path)}"
            if other := next((name for name, f in folders if is_inside(path, f)), None):
                return f"{option} would overwrite an image of {other}, {printable(path)}"
        taken |= dict.fromkeys(identities, option)
    for option, path in _given(value_of, ("--csv", "--json")):
        for name in (path + JOURNAL, path + PARTIAL):
            if other := next((taken[one] for one in _identities(name) if one in taken), None):
                return f"{option} needs {printable(name)}, the file of {other}, for itself"
    return None


def _given(value_of: Callable[[str], Any], options: Sequence[str]) -> Iterator[tuple[str, str]]:
    for option in options:
        value = value_of(option)
        for path in value if isinstance(value, (list, tuple)) else (value,):
            if path is not None and path != STDIN:
                yield option, path


def _identities(path: str) -> Iterator[object]:
    """By what a file is known: its real path and, where it exists, its number on its disk."""
    yield os.path.realpath(path)
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return
    yield found.st_dev, found.st_ino


def check_model_replaceable(path: str, force: bool) -> None:
    """Refuse to replace anything but a model file by one, unless that is asked for.

    Args:
        path: of the model file to write.
        force: whether --force is given.

    Raises:
        UserError: another file is there.
        OSError: no regular file is there, or it cannot be read.
    """
    check_replaceable_file(path)
    if force or not os.path.lexists(path) or not os.path.getsize(path):
        return
    if not is_model_file(path):
        raise UserError(
            f"{printable(path)}: this file is not a model, and not replaced by one; --force "
            "replaces it"
        )
