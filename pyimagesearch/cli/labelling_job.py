"""What is to be done with each image of a run: a picklable description of the work.

A ``LabellingJob`` can travel to another process or machine; there it becomes a ``JobWorker``, which
holds the model and works on a few images at a time.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from pyimagesearch.cli.frame_folder import FrameFolder
from pyimagesearch.data import images
from pyimagesearch.data.image_sets import Dataset
from pyimagesearch.labelling.images import Labeller
from pyimagesearch.labelling.model_reference import ModelReference
from pyimagesearch.labelling.verdict import UNREADABLE, Verdict
from pyimagesearch.reports import drawing
from pyimagesearch.runtime import parallel
from pyimagesearch.runtime.atomic_files import atomic_write
from pyimagesearch.runtime.console import UserError, printable
from pyimagesearch.runtime.ordered_queue import DIED
from pyimagesearch.runtime.progress import track

if TYPE_CHECKING:
    from pyimagesearch.reports.thumbnails import ThumbnailMaker

# Measuring capture conditions takes a tenth of what labelling by colours does.
_MOST_MEASURED = 2_000
_MEASURE_EVERY_OF_LARGE = 8


class ImageGoneError(UserError):
    """An image that was readable when it was labelled is not when it is drawn."""


@dataclass(frozen=True)
class LabellingJob:
    """What is to be done with each image, and with which model: an ``ordered_queue.Task``.

    Attributes:
        model: which labels.
        pictures: folder to write a labelled picture of each image into, or None.
        picture: the file to write the labelled picture of the only image into, or None.
        thumbnails: folder to write what a report shows of each image into, or None.
        explain: as of ``thumbnails.label_and_write_thumbnails``.
        measure_every: capture conditions are measured of one image in so many, see
            ``measure_every_of``.
        dataset: whose images they are, by their numbers, where they have no names.
        frames: keeps the images that are frames of videos, or None.
    """

    model: ModelReference
    pictures: str | None = None
    picture: str | None = None
    thumbnails: str | None = None
    explain: bool = False
    measure_every: int = 1
    dataset: Dataset | None = field(default=None, compare=False, repr=False)
    frames: FrameFolder | None = None

    def open(self) -> JobWorker:
        """Get ready for the work: see ``ModelReference.open``, which says what may be wrong."""
        return JobWorker(self, self.model.open(self.measure_every))

    def thumbnail_maker(self, jobs: int) -> ThumbnailMaker:
        """What makes thumbnails of images that have been judged, in processes of this machine.

        An image that brings its process down, or is no longer there, has none.

        Args:
            jobs: number of processes.
        """

        def make(paths: Sequence[str], folder: str, explain: bool) -> None:
            job = replace(self, pictures=None, picture=None, thumbnails=folder, explain=explain)
            made = parallel.run_task(job, paths, jobs)
            for _ in track(made, "making thumbnails", total=len(paths)):
                pass

        return make

    def lost(self, image: str) -> Verdict:
        """The verdict on an image that no worker survived."""
        return Verdict(image, UNREADABLE, reason=DIED)


def measure_every_of(paths: Iterable[str]) -> int:
    """Of one image in how many capture conditions are measured: in large folders, some suffice.

    It depends on the images alone, so that a run that is resumed measures the same ones.

    Args:
        paths: of all images of the run; at most 2,001 are taken.
    """
    n_images = sum(1 for _ in itertools.islice(paths, _MOST_MEASURED + 1))
    return _MEASURE_EVERY_OF_LARGE if n_images > _MOST_MEASURED else 1


@dataclass(frozen=True)
class JobWorker:
    """Does a job, with the model loaded."""

    job: LabellingJob
    labeller: Labeller

    def __call__(self, paths: list[str]) -> list[Verdict]:
        """Label a few images and write what is to be written of each."""
        verdicts = self._label(paths)
        self.write_pictures(verdicts)
        return verdicts

    def write_pictures(self, verdicts: Iterable[Verdict]) -> None:
        """Write the labelled pictures that are asked for, of images that could be read."""
        for verdict in verdicts:
            if verdict.is_readable:
                self._write_picture(verdict)

    def _label(self, paths: list[str]) -> list[Verdict]:
        dataset, frames = self.job.dataset, self.job.frames
        read = None
        if dataset is not None:

            def read(name: str) -> np.ndarray:
                return dataset.bgr_image(int(name))

        elif frames is not None:

            def read(name: str) -> np.ndarray:
                min_side = self.labeller.extractor.min_side
                return images.decode_image(frames.read_bytes(name), min_side)

        if self.job.thumbnails is None:
            return self.labeller.label_batch(paths, read=read, are_files=frames is not None)
        from pyimagesearch.reports.thumbnails import label_and_write_thumbnails

        return label_and_write_thumbnails(
            self.labeller, paths, self.job.thumbnails, self.job.explain, read
        )

    def _write_picture(self, verdict: Verdict) -> None:
        target = self.job.picture
        if self.job.pictures is not None:
            target = os.path.join(self.job.pictures, drawing.picture_name(verdict.image))
        if target is None:
            return
        is_file = self.job.dataset is None and os.path.exists(verdict.image)
        if is_file and os.path.exists(target) and os.path.samefile(target, verdict.image):
            raise UserError(
                f"{printable(verdict.image)}: its picture would replace the image itself; give "
                "another folder as --output"
            )
        try:
            read = images.read_bytes if self.job.frames is None else self.job.frames.read_bytes
            picture = drawing.draw_labelled(self.labeller, verdict, read)
        except images.ImageError as error:
            raise ImageGoneError(f"{printable(verdict.image)}: {error}") from error
        if folder := os.path.dirname(target):
            os.makedirs(folder, exist_ok=True)
        with atomic_write(target) as file:
            file.write(images.encode_picture(picture, os.path.splitext(target)[1]))
