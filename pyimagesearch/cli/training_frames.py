"""What images are trained on, where they are no folder: those of a pattern, frames of a video."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from pyimagesearch.cli.training_options import ImageTraining
from pyimagesearch.data import image_folder, images, mvtec
from pyimagesearch.data.videos import Every, VideoError
from pyimagesearch.line import sources
from pyimagesearch.runtime.atomic_files import scratch_folder
from pyimagesearch.runtime.console import UserError, info, printable
from pyimagesearch.training.distinct_frames import DistinctFrames

_SUFFIX = ".frames"


@contextlib.contextmanager
def training_images(options: ImageTraining) -> Iterator[tuple[str, list[str]]]:
    """List what is learned; frames lie in a folder next to the model as long as the context lasts.

    Args:
        options: of the training.

    Yields:
        The folder, and the images in it.

    Raises:
        UserError: there are no images, or it is no video that can be read.
        OSError: the folder cannot be listed, or frames cannot be written.
    """
    dataset = options.dataset
    if (live := sources.live_source(dataset)) is not None:
        raise UserError(
            f"{printable(live.name)}: a model learns from a video of good parts, not from a camera "
            "itself: record one first"
        )
    is_video = sources.is_video(dataset)
    if options.every is not None and not is_video:
        raise UserError("--every goes with a video")
    if options.groups is not None and is_video:
        raise UserError("--group-by goes with images that are files, not with frames of a video")
    if is_video:
        with frames_of(dataset, options.every, options.model) as folder:
            yield folder, image_folder.list_folder(folder)
    elif sources.is_glob(dataset):
        matching = sources.expanded(dataset)
        yield os.path.dirname(dataset), [path for one in matching for path in _listed(one)]
    else:
        folder = mvtec.training_folder(dataset)
        yield folder, image_folder.list_folder(folder)


def _listed(path: str) -> list[str]:
    return image_folder.list_folder(path) if os.path.isdir(path) else [path]


@contextlib.contextmanager
def frames_of(video: str, every: Every | None, model: str) -> Iterator[str]:
    """Write the frames of a video that are not near-equal to others into a folder.

    Args:
        video: a file, or its URL.
        every: which frames are taken; None takes the usual ones.
        model: file next to which the folder lies while the context lasts.

    Yields:
        The folder.

    Raises:
        UserError: it is no video that can be read.
        OSError: frames cannot be written.
    """
    every = every or sources.DEFAULT_EVERY
    distinct, n_frames = DistinctFrames(), 0
    shown = printable(sources.masked(video))
    with scratch_folder(model, _SUFFIX) as folder:
        try:
            for part in sources.video_parts(video, every):
                n_frames += 1
                if distinct.add(part.content):
                    name = os.path.basename(part.name).replace(":", "-")  # as any system takes it
                    with open(os.path.join(folder, f"{name}.png"), "wb") as file:
                        file.write(images.encode_picture(part.content, ".png"))
        except VideoError as error:
            raise UserError(f"{shown}: {error}") from error
        n_copies = distinct.n_copies
        copies = f", {n_copies:,} near-equal to others: counted once" if n_copies else ""
        info(f"{shown}: {every.in_words}, {n_frames:,}{copies}")
        yield folder
