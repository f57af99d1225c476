"""What is to be done with each image of a run, told so that it can be done anywhere.

A ``Work`` is a few words that can travel to another process or machine; there it becomes a
``Worker``, which holds the model and does the work on images, a few at a time.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from pyimagesearch import images, options, reports
from pyimagesearch.exhibits import look_and_exhibit
from pyimagesearch.files import written_whole
from pyimagesearch.parallel import chunked, ordered_map
from pyimagesearch.scoring import IMAGES_AT_ONCE, Labeller, Seen


@dataclass(frozen=True)
class Work:
    """What is to be done with each image.

    Attributes:
        pictures: folder to write a labelled picture of each image into, or None.
        picture: the file to write the labelled picture of the only image into, or None.
        exhibits: folder to write what a report shows of each image into, or None.
        explain: whether each image's exhibit is a photo with its heat; see ``exhibits``.
    """

    pictures: str | None = None
    picture: str | None = None
    exhibits: str | None = None
    explain: bool = False


@dataclass(frozen=True)
class Outcome:
    """What comes back about an image.

    Attributes:
        verdict: on it.
        conditions: as of ``scoring.Seen``.
    """

    verdict: reports.Verdict
    conditions: np.ndarray | None = None


@dataclass(frozen=True)
class Worker:
    """Does the work, with the model at hand."""

    work: Work
    labeller: Labeller

    def __call__(self, paths: list[str]) -> list[Outcome]:
        """Do what is to be done with a few images."""
        outcomes = []
        for seen in self._look(paths):
            if seen.verdict.label != reports.UNREADABLE:
                self._write_picture(seen.verdict)
            outcomes.append(Outcome(seen.verdict, seen.conditions))
        return outcomes

    def _look(self, paths: list[str]) -> list[Seen]:
        if self.work.exhibits is None:
            return self.labeller.look(paths)
        return look_and_exhibit(self.labeller, paths, self.work.exhibits, self.work.explain)

    def _write_picture(self, verdict: reports.Verdict) -> None:
        target = self.work.picture
        if self.work.pictures is not None:
            target = os.path.join(self.work.pictures, reports.picture_name(verdict.image))
        if target is None:
            return
        try:
            picture = self.labeller.draw(verdict)
        except images.ImageError as error:  # it was readable when it was labelled
            raise options.UserError(f"{options.printable(verdict.image)}: {error}") from error
        if folder := os.path.dirname(target):
            os.makedirs(folder, exist_ok=True)
        with written_whole(target) as file:
            file.write(reports.encode_picture(picture, os.path.splitext(target)[1]))


def done_on_threads(worker: Worker, paths: Iterable[str], jobs: int) -> Iterator[Outcome]:
    """Do the work on ``jobs`` threads; outcomes keep the order of the paths.

    Args:
        worker: holds the work and the model.
        paths: image files; taken only as fast as they are worked on.
        jobs: number of threads; the outcomes do not depend on it.
    """
    for outcomes in ordered_map(worker, chunked(paths, IMAGES_AT_ONCE), jobs):
        yield from outcomes
