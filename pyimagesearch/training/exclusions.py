"""Which images of a training folder a person has judged: those not to learn, and those to learn."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from pyimagesearch.labelling.inspector_verdicts import (
    COLUMNS,
    MAX_BYTES,
    InspectionError,
    parse_inspection,
)
from pyimagesearch.runtime.console import UserError, counted, info, printable, warn
from pyimagesearch.runtime.input_files import read_input
from pyimagesearch.training.folder_audit import MAX_REPORTED


class ExclusionError(ValueError):
    """A file that names no images to exclude; the text says why."""


@dataclass(frozen=True)
class Exclusions:
    """Images by their names, as a person judged them.

    Attributes:
        source: file that says so, for messages.
        excluded: not to be learned.
        fine: to be learned, however strange they are.
    """

    source: str
    excluded: tuple[str, ...]
    fine: tuple[str, ...] = ()

    def divide(self, folders: Sequence[str], paths: Sequence[str]) -> tuple[list[str], set[str]]:
        """Find the images of a folder, and report names that are none of it.

        Args:
            folders: that names may be relative to, other than the current one.
            paths: the folder's images.

        Returns:
            The paths that are not excluded, and those of them that are fine.

        Raises:
            UserError: none of the names is that of an image.
        """
        path_of = {os.path.realpath(path): path for path in paths}

        def found(name: str) -> str | None:
            places = (name, *(os.path.join(folder, name) for folder in folders))
            known = (path_of.get(os.path.realpath(place)) for place in places if "\0" not in place)
            return next(filter(None, known), None)

        excluded = {name: found(name) for name in self.excluded}
        fine = {found(name) for name in self.fine} - {None}
        missing = [name for name, path in excluded.items() if path is None]
        if len(missing) == len(excluded) and not fine:
            raise UserError(
                f"{printable(self.source)}: none of the images that it names is in this folder"
            )
        for name in missing[:MAX_REPORTED]:
            warn(f"{printable(self.source)}: {printable(name)} is not in this folder")
        if len(missing) > MAX_REPORTED:
            warn(f"... and {len(missing) - MAX_REPORTED:,} more")
        left_out = set(excluded.values())
        n_excluded = len(left_out - {None})
        info(f"{counted(n_excluded, 'image')} left out as {printable(self.source)} says")
        return [path for path in paths if path not in left_out], {str(path) for path in fine}


def read_exclusions(path: str) -> Exclusions:
    """Read the verdicts that a page saved, of which defects are excluded, or a list of names.

    Args:
        path: JSON or CSV of verdicts, or text with a name on each line.

    Raises:
        ExclusionError: it names no images.
        OSError: it cannot be read.
    """
    data = read_input(path, MAX_BYTES)
    start = data.removeprefix(b"\xef\xbb\xbf").lstrip()
    if start[:1] in (b"{", b"[") or start.startswith(",".join(COLUMNS[:2]).encode()):
        try:
            items = parse_inspection(data).items
        except InspectionError as error:
            raise ExclusionError(str(error)) from error
        names = [
            tuple(one.path for one in items if one.is_anomaly is kind) for kind in (True, False)
        ]
        return Exclusions(path, *names)
    if b"\0" in data:
        raise ExclusionError("it is neither a report's verdicts nor a list of names")
    lines = (os.fsdecode(line.strip()) for line in start.splitlines())
    listed = tuple(dict.fromkeys(line for line in lines if line))
    if not listed:
        raise ExclusionError("it names no image")
    return Exclusions(path, listed)
