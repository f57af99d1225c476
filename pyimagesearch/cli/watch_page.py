"""The page of a watch, which is made anew every so often while the watch goes on."""

from __future__ import annotations

import hashlib
import json
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Self

from pyimagesearch.cli.labelling_job import LabellingJob
from pyimagesearch.cli.labelling_loop import extrapolation_notices
from pyimagesearch.labelling.images import Labeller
from pyimagesearch.labelling.verdict import Verdict
from pyimagesearch.reports.html_page import ImagePage
from pyimagesearch.reports.thumbnails import PER_SHEET
from pyimagesearch.runtime.console import UserError, printable, warn

SECONDS_BETWEEN_PAGES = 60.0
MOST_SHOWN = 5_000  # a multiple of PER_SHEET: images leave the page a sheet at a time
# Making a page takes longer the more it shows: the pauses keep that to this share of the time.
_SHARE_FOR_PAGES = 0.1


class WatchPage:
    """Shows the latest images of a watch; a context, at whose end the page has all of them.

    It is made by a thread and processes of its own, so that nothing waits for it. A page that
    cannot be made is a warning: the watch goes on.

    Args:
        path: of the page, a file or a folder; ``report_folder.check``ed.
        job: how thumbnails are made; frames that it keeps are removed when they are drawn.
        labeller: that judges the images.
        model: its file, as the user calls it.
        run: see ``resume_journal.described``.
        classes: as of ``ImagePage``.
    """

    def __init__(
        self,
        path: str,
        job: LabellingJob,
        labeller: Labeller,
        model: str,
        run: dict[str, Any],
        classes: tuple[str, ...],
    ) -> None:
        self._path, self._job, self._labeller, self._model = path, job, labeller, model
        self._digest = hashlib.sha256(json.dumps(run, sort_keys=True).encode()).hexdigest()
        self._classes = classes
        self._shown: deque[Verdict] = deque()
        self._is_old = False  # whether there is something that it does not show
        self._due = 0.0
        self._thread = ThreadPoolExecutor(1)
        self._made: Future[float] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._take_over(wait=True)
        if kind is None and self._is_old:
            self._start()
            self._take_over(wait=True)
        self._thread.shutdown()

    def add(self, verdict: Verdict) -> None:
        """Add the verdict on the next image."""
        self._shown.append(verdict)
        self._is_old = True
        if len(self._shown) > MOST_SHOWN:
            for _ in range(PER_SHEET):  # thumbnails are found by the groups of images
                self._shown.popleft()

    def renew(self) -> None:
        """Have the page made anew if something has changed and the last one is old enough."""
        self._take_over(wait=False)
        if self._is_old and self._made is None and time.monotonic() >= self._due:
            self._start()

    def _start(self) -> None:
        self._is_old = False
        self._made = self._thread.submit(self._make, list(self._shown))

    def _take_over(self, wait: bool) -> None:
        """Take note of the page that is being made, when it is."""
        if self._made is None or not (wait or self._made.done()):
            return
        try:
            took = self._made.result()
        except (UserError, OSError) as error:
            took = 0.0
            warn(f"{printable(self._path)}: the page could not be made: {error}")
        self._made = None
        self._due = time.monotonic() + max(SECONDS_BETWEEN_PAGES, took / _SHARE_FOR_PAGES)

    def _make(self, shown: list[Verdict]) -> float:
        """Make the page; the seconds that it took."""
        started = time.monotonic()
        page = ImagePage(
            self._path,
            run=self._digest,
            resumable=lambda: True,  # the thumbnails that are there are used again
            linked=self._job.frames is None,
            classes=self._classes,
        )
        with page:
            for verdict in shown:
                page.add(verdict)
            make = self._job.thumbnail_maker(jobs=1)
            said = extrapolation_notices(self._labeller)
            page.write_for(self._model, self._labeller, said, make, self._digest)
        if self._job.frames is not None:
            for verdict in shown[: len(shown) // PER_SHEET * PER_SHEET]:
                self._job.frames.remove(verdict.image)
        return time.monotonic() - started
