"""The files of a report: one page, or a folder with the page and its pictures.

The pictures of a folder's page are in one of two subfolders, so that a page keeps its own until
the next one, whose pictures go into the other, replaces it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import Sequence

from pyimagesearch.reports import thumbnails
from pyimagesearch.reports.page_template import GENERATOR, PACKAGE
from pyimagesearch.runtime import atomic_files
from pyimagesearch.runtime.console import UserError, printable

INDEX = "index.html"
MARKER = ".report"  # a file in a subfolder of pictures, by which it is known
SLOTS = ("pictures", "pictures-2")  # the subfolders
_HEAD_BYTES = 2048


def is_folder(path: str) -> bool:
    """Whether a report is a folder with a page and its pictures, or one file."""
    return path.endswith(os.sep) or os.path.isdir(path)


def check(path: str, inputs: Sequence[str] = ()) -> None:
    """Check, before long work, that a report can be written.

    Args:
        path: a file, or a folder.
        inputs: files and folders that the report is about.

    Raises:
        UserError: the package is missing, other files would be replaced, or its pictures would be
            read as input.
        OSError: it cannot be written; with ``path`` as its file name.
    """
    if importlib.util.find_spec(PACKAGE) is None:
        raise UserError(
            f"--report needs the package {PACKAGE}: pip install -r requirements-report.txt"
        )
    if not is_folder(path):
        if os.path.splitext(path)[1].lower() not in (".html", ".htm"):
            raise UserError(
                f"{printable(path)}: a report is a file .html, or a folder with a / at its end"
            )
        atomic_files.check_writable(path)
        return
    atomic_files.refuse_output_inside_input(path, inputs)
    created = atomic_files.make_folders(path)
    try:
        index = os.path.join(path, INDEX)
        if os.path.lexists(index) and slot_in_use(index) is None:
            raise UserError(
                f"{printable(index)} is not a report of this toolkit, and is not replaced"
            )
        for name in SLOTS:
            slot = os.path.join(path, name)
            if os.path.isdir(slot) and os.listdir(slot) and not _is_slot(slot):
                raise UserError(
                    f"{printable(slot)} holds other files than the pictures of a report, and is "
                    "not used"
                )
        atomic_files.check_writable(index)
    finally:
        atomic_files.remove_empty(created)


def slot_in_use(index: str) -> str | None:
    """The folder of pictures that a page uses ("" for none); None if it is no page of a report."""
    with contextlib.suppress(OSError), open(index, "rb") as file:
        head = file.read(_HEAD_BYTES)
        if f'<meta name="generator" content="{GENERATOR}">'.encode() not in head:
            return None
        used = [s for s in SLOTS if f'<meta name="pictures" content="{s}">'.encode() in head]
        return used[0] if used else ""
    return None


def _is_slot(slot: str) -> bool:
    return os.path.exists(os.path.join(slot, MARKER))


def remove_slot(slot: str) -> None:
    """Remove a folder of pictures that a report wrote, unless other files are in it."""
    if _is_slot(slot):
        remove_thumbnails(slot)
        atomic_files.remove_empty([slot])


def remove_thumbnails(slot: str) -> None:
    """Remove what a run wrote into a folder of pictures, and no other files."""
    with os.scandir(slot) as entries:
        for entry in entries:
            if thumbnails.is_thumbnail_file(entry.name) or entry.name == MARKER:
                os.unlink(entry.path)
