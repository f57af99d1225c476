"""The files of a report: one page, or a folder with the page and its pictures.

The pictures of a folder's page are in one of two subfolders, so that a page keeps its own until
the next one, whose pictures go into the other, replaces it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import Callable, Sequence

from pyimagesearch.reports import thumbnails
from pyimagesearch.reports.page_template import GENERATOR, PACKAGE
from pyimagesearch.runtime import atomic_files, packages, system
from pyimagesearch.runtime.console import UserError, printable
from pyimagesearch.runtime.input_files import open_input

INDEX = "index.html"
MARKER = ".report"  # a file in a subfolder of pictures, by which it is known
SLOTS = ("pictures", "pictures-2")  # the subfolders
_HEAD_BYTES = 2048


def is_folder(path: str) -> bool:
    """Whether a report is a folder with a page and its pictures, or one file."""
    return path.endswith(tuple(system.SEPARATORS)) or os.path.isdir(path)


def check(path: str, inputs: Sequence[str] = (), option: str = "--report") -> None:
    """Check, before long work, that a report can be written.

    Args:
        path: a file, or a folder.
        inputs: files and folders that the report is about.
        option: that asks for it.

    Raises:
        UserError: the package is missing, other files would be replaced, or its pictures would be
            read as input.
        OSError: it cannot be written; with ``path`` as its file name.
    """
    if importlib.util.find_spec(PACKAGE) is None:
        raise UserError(f"{option} needs the package {PACKAGE}: {packages.install_line('report')}")
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
    with contextlib.suppress(OSError), open_input(index) as file:
        head = file.read(_HEAD_BYTES)
        if f'<meta name="generator" content="{GENERATOR}">'.encode() not in head:
            return None
        used = [s for s in SLOTS if f'<meta name="pictures" content="{s}">'.encode() in head]
        return used[0] if used else ""
    return None


def _is_slot(slot: str) -> bool:
    return os.path.exists(os.path.join(slot, MARKER))


def choose_slot(path: str, run: str | None) -> str:
    """The folder of pictures that a run writes into, which holds none of another run.

    The page that is there keeps its pictures until the new one replaces it. A run that goes on
    finds its own again, also where its page was written and only its end was killed.

    Args:
        path: of the report's folder, which is this process' own.
        run: digest of the run that goes on; None for one that begins.
    """
    index = os.path.join(path, INDEX)
    used = slot_in_use(index) if os.path.exists(index) else None
    for name in SLOTS:
        if run is not None and _run_of(os.path.join(path, name)) == run:
            return name
    name = next(slot for slot in SLOTS if slot != used)
    remove_slot(os.path.join(path, name))
    return name


def _run_of(slot: str) -> str | None:
    with contextlib.suppress(OSError), open_input(os.path.join(slot, MARKER)) as file:
        return file.read(_HEAD_BYTES).decode("ascii", "replace")
    return None


def claim_slot(slot: str, run: str) -> list[str]:
    """Make a folder of pictures, and mark it as that of a run.

    Args:
        slot: the folder.
        run: digest of the run.

    Returns:
        The folders that were made, the innermost first.

    Raises:
        OSError: it cannot be made; then none is.
    """
    created = atomic_files.make_folders(slot)
    marker = os.path.join(slot, MARKER)
    try:
        if _run_of(slot) != run:
            with open(marker, "w", encoding="ascii") as file:
                file.write(run)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(marker)
        atomic_files.remove_empty(created)
        error.filename = marker
        raise
    return created


def remove_slot(slot: str) -> None:
    """Remove a folder of pictures that a report wrote, unless other files are in it."""
    if _is_slot(slot):
        remove_thumbnails(slot)
        atomic_files.remove_empty([slot])


def remove_thumbnails(slot: str) -> None:
    """Remove what a run wrote into a folder of pictures, and no other files."""
    remove_unused(slot, lambda _: False)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(slot, MARKER))  # last: by it the folder is known again


def remove_unused(slot: str, is_used: Callable[[str], bool]) -> None:
    """Remove the thumbnails in a folder of pictures that are of no use, and no other files.

    Args:
        slot: the folder.
        is_used: whether a file, by its name, is to stay.
    """
    with os.scandir(slot) as entries:
        for entry in entries:
            if thumbnails.is_thumbnail_file(entry.name) and not is_used(entry.name):
                os.unlink(entry.path)
