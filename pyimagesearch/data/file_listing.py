"""List the files of one kind below a folder, in an order that every machine agrees on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator


def walk_files(
    folder: str,
    is_wanted: Callable[[str], bool],
    on_other: Callable[[str], None] | None = None,
) -> Iterator[str]:
    """Yield the files of a kind below a folder, whatever links lead there.

    Folders are walked entry by entry in the order of their names' bytes, so that two runs and
    two machines agree and only one folder's names are held at a time. Links to folders are
    followed once; broken links are yielded, and so are folders inside it that cannot be listed:
    they are unreadable, and the rest goes on. Hidden files (``.x``, ``._x.jpg``) are skipped.

    Args:
        folder: as the user typed it.
        is_wanted: whether a file is of the kind, by its name.
        on_other: called with the name of each other file that is not hidden.

    Raises:
        FileNotFoundError, NotADirectoryError, PermissionError: ``folder`` cannot be listed.
    """
    visited = {os.path.realpath(folder)}
    listed = _list_folder(folder, is_wanted, on_other)
    yield from _walk(folder, listed, visited, is_wanted, on_other)


def _list_folder(
    folder: str, is_wanted: Callable[[str], bool], on_other: Callable[[str], None] | None
) -> list[tuple[bytes, bool]]:
    """The names of wanted files and folders in a folder, in order, and whether each is a folder.

    Raises:
        OSError: it cannot be listed.
    """
    # For a folder of a million files hold the names only, as bytes, and not the entries.
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith("."):
                is_folder = _leads_to(entry.is_dir)
                if is_folder or is_wanted(entry.name):
                    found.append((os.fsencode(entry.name), is_folder))
                elif on_other is not None and _leads_to(entry.is_file):
                    on_other(entry.name)
    return sorted(found)


def _walk(
    folder: str,
    listed: list[tuple[bytes, bool]],
    visited: set[str],
    is_wanted: Callable[[str], bool],
    on_other: Callable[[str], None] | None,
) -> Iterator[str]:
    for name, is_folder in listed:
        path = os.path.join(folder, os.fsdecode(name))
        if not is_folder:
            yield path
        elif (target := os.path.realpath(path)) not in visited:
            visited.add(target)
            try:
                inside = _list_folder(path, is_wanted, on_other)
            except OSError:  # it may not be listed, or has gone since it was
                yield path
            else:
                yield from _walk(path, inside, visited, is_wanted, on_other)


def _leads_to(is_kind: Callable[[], bool]) -> bool:
    """Whether a folder's entry is of a kind, by its ``is_dir`` or ``is_file``, through links."""
    try:
        return is_kind()
    except OSError:  # a link to itself
        return False
