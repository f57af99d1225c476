"""Images that arrive in a folder: those that are new, and no longer being written."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass

from pyimagesearch.data import images
from pyimagesearch.data.image_folder import OtherFiles
from pyimagesearch.labelling.verdict import UNREADABLE, Verdict
from pyimagesearch.line import sources
from pyimagesearch.reports.rows import csv_name
from pyimagesearch.runtime.console import info, printable, warn
from pyimagesearch.runtime.input_files import file_state

SECONDS_BETWEEN_LISTINGS = 0.5
# An image that has been the same for so long is labelled;
SECONDS_TO_SETTLE = 1.0
# one that cannot be read is tried again when it has changed, and given up after so long.
SECONDS_TO_GIVE_UP = 10.0
# Listing a large folder takes a while: the pauses keep it to this share of a core.
SHARE_FOR_LISTING = 0.1


@dataclass
class _Waiting:
    """An image that may still be written: its state, since when, and whether it was tried."""

    state: tuple[int, ...] | None
    since: float
    tried: bool = False


class Arrivals:
    """Finds images in a folder that are new and no longer being written.

    The folder is listed again and again, which also works on network shares, where the system
    does not report changes. An image is found once: by its name.

    Args:
        folder: to list, with the folders in it; or a pattern of such folders and of images.
        known: names, as ``rows.csv_name`` has them, that are not new; grows.
    """

    def __init__(self, folder: str, known: set[str]) -> None:
        self._folder = folder
        self._is_pattern = sources.is_glob(folder)
        self._known = known
        self._waiting: dict[str, _Waiting] = {}
        self._lost = False
        self._reported: set[str] = set()  # kinds of files that are no images
        self.pause = SECONDS_BETWEEN_LISTINGS

    def find(self) -> list[str]:
        """The new images that are to be labelled now, in the order of their names."""
        started = time.monotonic()
        try:
            waiting = {path: self._state_of(path) for path in self._new()}
        except OSError as error:
            if not self._lost:
                reason = error.strerror or error
                warn(f"{printable(self._folder)}: {reason}; it is waited for")
            self._lost = True
            return []
        if self._lost:
            info(f"{printable(self._folder)} is there again")
            self._lost = False
        self._waiting = waiting
        took = time.monotonic() - started
        self.pause = max(SECONDS_BETWEEN_LISTINGS, took * (1 / SHARE_FOR_LISTING - 1))
        ready = []
        for path, one in waiting.items():
            settled = time.monotonic() - one.since
            if settled >= (SECONDS_TO_GIVE_UP if one.tried else SECONDS_TO_SETTLE):
                one.tried = True
                ready.append(path)
        return ready

    def _new(self) -> Iterator[str]:
        others = OtherFiles()
        for path in self._list(others):
            if csv_name(path) not in self._known:
                yield path
        if not self._reported.issuperset(others.left_out):
            others.report(self._folder)
            self._reported.update(others.left_out)

    def _list(self, others: OtherFiles) -> Iterator[str]:
        if not self._is_pattern:
            yield from images.list_images(self._folder, others.add)
            return
        for path in sources.expanded(self._folder):
            if os.path.isdir(path):
                yield from images.list_images(path, others.add)
            elif images.has_image_name(path):
                yield path

    def _state_of(self, path: str) -> _Waiting:
        state = file_state(path)  # None of a link to nothing, so far
        before = self._waiting.get(path)
        if before is not None and before.state == state:
            return before
        return _Waiting(state, time.monotonic())

    def accept(self, verdict: Verdict) -> bool:
        """Whether a verdict stands; if not, the image is tried again, or is no longer there."""
        if verdict.label == UNREADABLE:
            one = self._waiting[verdict.image]
            if time.monotonic() - one.since < SECONDS_TO_GIVE_UP:
                return False
            if not os.path.lexists(verdict.image):
                return False
        self._known.add(csv_name(verdict.image))
        return True
