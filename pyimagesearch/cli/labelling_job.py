"""What is to be done with each image of a run, told so that it can be done anywhere.

A ``Work`` is a few words that can travel to another process or machine; there it becomes a
``Worker``, which holds the model and does the work on images, a few at a time.
"""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pyimagesearch.backbones.network import external_network
from pyimagesearch.data import images
from pyimagesearch.detectors import model_file
from pyimagesearch.labelling.images import Labeller, Seen
from pyimagesearch.labelling.verdict import UNREADABLE, Verdict
from pyimagesearch.reports import drawing
from pyimagesearch.runtime import parallel
from pyimagesearch.runtime.atomic_files import written_whole
from pyimagesearch.runtime.console import UserError, printable
from pyimagesearch.runtime.ordered_queue import DIED

if TYPE_CHECKING:
    from pyimagesearch.reports.thumbnails import Make

# Models that this process has read, by their digest: a worker is given many chunks of each.
_opened: dict[str, Labeller] = {}
_MOST_OPENED = 4
# Measuring takes a tenth of what labelling by colours does.
_MOST_MEASURED = 2_000
_MEASURED_OF_LARGE = 8


@dataclass(frozen=True)
class Work:
    """What is to be done with each image, and with which model: a ``ordered_queue.Task``.

    Attributes:
        model: path of the model file, or URL.
        sha256: of the model, see ``model_file.ModelFile``.
        threshold: the score above which an image is an anomaly.
        backbone: the ONNX file of a model that does not contain its network, or None.
        pictures: folder to write a labelled picture of each image into, or None.
        picture: the file to write the labelled picture of the only image into, or None.
        exhibits: folder to write what a report shows of each image into, or None.
        explain: as of ``thumbnails.look_and_exhibit``.
        measured: conditions are measured of one image in so many; see ``measured_of``.
    """

    model: str
    sha256: str
    threshold: float
    backbone: str | None = None
    pictures: str | None = None
    picture: str | None = None
    exhibits: str | None = None
    explain: bool = False
    measured: int = 1

    @classmethod
    def with_model(cls, labeller: Labeller, model: str, **what: Any) -> Work:
        """Work with a model that is at hand: this process, and those forked from it, have it.

        Args:
            labeller: the model, with its threshold.
            model: where others can read it.
            what: the other attributes.
        """
        _keep(labeller)
        return cls(model, labeller.sha256, labeller.threshold, **what)

    def open(self) -> Worker:
        """Make ready to do it, reading the model unless this process has.

        Raises:
            options.UserError: the model file is not what it was, or not usable.
            OSError: it cannot be read.
        """
        labeller = _opened.get(self.sha256)
        if labeller is None:
            external = None if self.backbone is None else external_network(self.backbone)
            opener = functools.partial(Labeller.open, external_backbone=external)
            labeller = model_file.open_model(self.model, opener)
            if labeller.sha256 != self.sha256:
                raise UserError(
                    f"{printable(self.model)}: the model file changed while it was used"
                )
            _keep(labeller)
        own = replace(labeller, threshold=self.threshold, measured=self.measured)
        return Worker(self, own)

    def exhibits_made(self, jobs: int) -> Make:
        """What makes exhibits of images that have been judged, in processes of this machine.

        An image that brings its process down, or has gone by now, has none.

        Args:
            jobs: number of processes.
        """

        def make(paths: Sequence[str], folder: str, explain: bool) -> None:
            work = replace(self, pictures=None, picture=None, exhibits=folder, explain=explain)
            for _ in parallel.done(work, paths, jobs):
                pass

        return make

    def lost(self, image: str) -> Outcome:
        """What comes back about an image that no worker survived."""
        return Outcome(Verdict(image, UNREADABLE, reason=DIED))


def measured_of(images_of_run: Iterable[str]) -> int:
    """Of one image in how many conditions should be measured: of large folders, some say enough.

    It depends on the images alone, so that a run that is resumed measures the same ones.

    Args:
        images_of_run: their names; at most 2,001 are taken.
    """
    is_large = sum(1 for _ in itertools.islice(images_of_run, _MOST_MEASURED + 1)) > _MOST_MEASURED
    return _MEASURED_OF_LARGE if is_large else 1


def _keep(labeller: Labeller) -> None:
    while len(_opened) >= _MOST_OPENED:
        _opened.pop(next(iter(_opened)))
    _opened[labeller.sha256] = labeller


@dataclass(frozen=True)
class Outcome:
    """What comes back about an image.

    Attributes:
        verdict: on it.
        conditions: as of ``image_labelling.Seen``.
    """

    verdict: Verdict
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
            if seen.verdict.label != UNREADABLE:
                self._write_picture(seen.verdict)
            outcomes.append(Outcome(seen.verdict, seen.conditions))
        return outcomes

    def _look(self, paths: list[str]) -> list[Seen]:
        if self.work.exhibits is None:
            return self.labeller.look(paths)
        from pyimagesearch.reports.thumbnails import look_and_exhibit

        return look_and_exhibit(self.labeller, paths, self.work.exhibits, self.work.explain)

    def _write_picture(self, verdict: Verdict) -> None:
        target = self.work.picture
        if self.work.pictures is not None:
            target = os.path.join(self.work.pictures, drawing.picture_name(verdict.image))
        if target is None:
            return
        try:
            picture = drawing.draw_labelled(self.labeller, verdict)
        except images.ImageError as error:  # it was readable when it was labelled
            raise UserError(f"{printable(verdict.image)}: {error}") from error
        if folder := os.path.dirname(target):
            os.makedirs(folder, exist_ok=True)
        with written_whole(target) as file:
            file.write(images.encode_picture(picture, os.path.splitext(target)[1]))
