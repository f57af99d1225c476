"""Draw verdicts and anomaly maps on images."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import cv2
import numpy as np

from pyimagesearch.data import images
from pyimagesearch.data.images import PICTURE_EXTENSIONS
from pyimagesearch.features import PixelFeatures
from pyimagesearch.labelling.images import Labeller
from pyimagesearch.labelling.verdict import ANOMALY, NORMAL, Verdict
from pyimagesearch.reports import captions
from pyimagesearch.reports.heat_colours import overlay_heat
from pyimagesearch.reports.outlines import draw_regions, draw_ring, find_regions
from pyimagesearch.runtime.console import UserError, printable

# BGR of the boxes of labels, dark enough for white text.
_UNDECIDED_COLOUR = (96, 72, 32)
LABEL_COLOURS = {NORMAL: (30, 100, 24), ANOMALY: (24, 24, 176)}
# Shorter sides, in pixels: images below the first are drawn at the second, by repeating pixels.
_SMALL, _ENLARGED = 128, 256
_NEAREST = "nearest normal place"
_WIDE = 2  # from this ratio of width to height on, pictures stand below each other


def check_display() -> None:
    """Check that windows can be opened.

    Raises:
        UserError: they cannot.
    """
    import subprocess

    # Without a display OpenCV aborts the process, which cannot be caught: try it in another one.
    attempt = "import cv2; cv2.namedWindow('Output'); cv2.destroyAllWindows()"
    tried = subprocess.run([sys.executable, "-c", attempt], capture_output=True, check=False)
    if tried.returncode != 0:
        raise UserError(
            "--show needs a display, and OpenCV finds none; "
            "write the pictures with --output instead"
        )


def check_picture_name(path: str, extensions: tuple[str, ...] = PICTURE_EXTENSIONS) -> None:
    """Check that pictures can be written in the format of a file name's extension.

    Raises:
        UserError: they cannot; the message names the formats.
    """
    if os.path.splitext(path)[1].lower() not in extensions:
        raise UserError(f"{printable(path)}: pictures are written as {', '.join(extensions)}")


def relative_name(path: str) -> str:
    """A path made relative, so that it can be put below any folder."""
    if os.altsep is not None:  # and drives
        path = path.replace(os.altsep, os.sep).replace(":", "")
    parts = [part for part in path.split(os.sep) if part not in ("", os.curdir, os.pardir)]
    return os.path.join("", *parts)


def picture_name(path: str) -> str:
    """The path of an image's picture below an output folder: the image's path made relative.

    Its extension is kept where pictures can be written in that format; else ``.png`` is added.
    """
    name = relative_name(path)
    extension = os.path.splitext(name)[1].lower()
    return name if extension in PICTURE_EXTENSIONS else f"{name}.png"


def draw_verdict(
    image: np.ndarray,
    verdict: Verdict,
    heat: np.ndarray,
    reconstruction: np.ndarray | None = None,
    outlined: bool = False,
    nearest: tuple[np.ndarray, tuple[float, float]] | None = None,
) -> np.ndarray:
    """Draw the label on an image, and next to it the image with its anomaly map.

    Images smaller than 128 pixels are enlarged; of images at least twice as wide as high the
    pictures stand below each other.

    Args:
        image: (height, width, 3) uint8 BGR.
        verdict: not an unreadable one; where it is not decided yet, its label is what is written.
        heat: (height, width) float, the anomaly map, 1 at the threshold.
        reconstruction: of the image's shape, drawn between the two.
        outlined: whether the anomaly map is of places, whose regions are then outlined.
        nearest: thumbnail and place, as of ``draw_nearest``, which is drawn last.

    Returns:
        (height, 2 to 4 times width, 3) uint8 BGR; or (2 to 4 times height, width, 3).
    """
    factor = _enlargement(image.shape)
    image, heat = _repeat(image, factor), _repeat(heat, factor)
    labelled, scale = image.copy(), _scale(image.shape)
    if outlined:
        draw_regions(labelled, find_regions(heat), scale)
    _draw_label(labelled, verdict.label, heat > 1 if outlined else None, scale)
    pictures = [labelled]
    if reconstruction is not None:
        pictures.append(_repeat(reconstruction, factor))
    pictures.append(overlay_heat(image, heat, outlined))
    if nearest is not None:
        pictures.append(draw_nearest(*nearest, image.shape))
    is_wide = image.shape[1] >= _WIDE * image.shape[0]
    return np.vstack(pictures) if is_wide else np.hstack(pictures)


def _enlargement(shape: tuple[int, ...]) -> int:
    """How often the pixels of a small image are repeated; not where it is long and thin."""
    short, long = sorted(shape[:2])
    return 1 if short >= _SMALL else max(1, min(-(-_ENLARGED // short), 4 * _ENLARGED // long))


def _repeat(picture: np.ndarray, factor: int) -> np.ndarray:
    return picture if factor == 1 else picture.repeat(factor, axis=0).repeat(factor, axis=1)


def _scale(shape: tuple[int, ...]) -> float:
    """Of text and lines: 1 for an image of 256 pixels."""
    return max(min(shape[:2]) / 256, 0.5)


def _draw_label(picture: np.ndarray, label: str, hot: np.ndarray | None, scale: float) -> None:
    """Write a label into the upper left corner, or the first one where it hides nothing hot."""
    margin, (rows, columns) = round(5 * scale), picture.shape[:2]
    height = captions.fitting_height(label, max(9, round(15 * scale)), columns - 2 * margin)
    width, tall = captions.text_size(label, height)
    top, left = min(margin, rows - 1), min(margin, columns - 1)
    bottom, right = max(0, rows - tall - margin), max(0, columns - width - margin)
    corners = [(left, top), (right, top), (left, bottom), (right, bottom)]
    hidden = [
        0 if hot is None else np.count_nonzero(hot[y : y + tall, x : x + width]) for x, y in corners
    ]
    corner = corners[int(np.argmin(hidden))]
    colour = LABEL_COLOURS.get(label, _UNDECIDED_COLOUR)
    captions.write(picture, label, corner, height, box=colour)


def draw_nearest(
    thumbnail: np.ndarray,
    place: tuple[float, float],
    shape: tuple[int, ...],
    captioned: bool = True,
) -> np.ndarray:
    """Draw the training image with the patch nearest to an image's most anomalous one, and mark it.

    Args:
        thumbnail: (side, side, 3) uint8 BGR, the whole training image stretched to a square.
        place: of the patch, down and across, from 0 to 1.
        shape: (height, width, ...) to draw it at.
        captioned: whether it says what it is.

    Returns:
        (height, width, 3) uint8 BGR.
    """
    height, width = shape[:2]
    drawn = cv2.resize(thumbnail, (width, height), interpolation=cv2.INTER_CUBIC)
    scale = _scale(shape)
    middle = (round(place[1] * width), round(place[0] * height))
    draw_ring(drawn, middle, round(14 * scale), scale)
    if not captioned:
        return drawn
    margin = round(5 * scale)
    size = captions.fitting_height(_NEAREST, max(8, round(11 * scale)), width - 2 * margin)
    tall = captions.text_size(_NEAREST, size)[1]
    # Away from the mark.
    y = margin if middle[1] > height / 2 else max(0, height - tall - margin)
    captions.write(drawn, _NEAREST, (min(margin, width - 1), y), size)
    return drawn


def visualize_predictions(decoded: np.ndarray, gt: np.ndarray, samples: int = 10) -> np.ndarray:
    """Put images next to their reconstructions, one pair below the other.

    Args:
        decoded: (n, height, width, channels) float in [0, 1], the reconstructions.
        gt: the same of the originals.
        samples: number of pairs, the first ones; all where there are fewer.

    Returns:
        (samples * height, 2 * width, channels) uint8, the originals on the left.
    """
    pairs = np.concatenate([gt[:samples], decoded[:samples]], axis=2)
    return (np.concatenate(list(pairs)) * 255).astype("uint8")


def show(picture: np.ndarray) -> None:
    """Show a BGR picture in a window until a key is pressed; without a display OpenCV aborts."""
    cv2.imshow("Output", picture)
    cv2.waitKey(0)


def panels(labeller: Labeller, image: np.ndarray) -> dict[str, np.ndarray]:
    """Draw an image as a model processes it.

    Args:
        labeller: the model.
        image: (height, width, 3) uint8 BGR.

    Returns:
        (height, width, 3) uint8 BGR, enlarged where the image is small, by what they show: the
        original, where there is one its reconstruction, the original with its anomaly map, and
        where the model keeps thumbnails the nearest normal place.
    """
    found = labeller.extractor.extract(image)
    extractor, reconstruction = labeller.extractor, labeller.detector.reconstruct(found)
    shown = {"image": image}
    if isinstance(extractor, PixelFeatures) and reconstruction is not None:
        image = extractor.to_image(found)
        shown = {"image": image, "reconstruction": extractor.to_image(reconstruction)}
    heat = labeller.heat(image, found)
    # So that the outline of what is hot is not wider than a pixel of the image.
    factor = _enlargement(image.shape)
    shown = {name: _repeat(picture, factor) for name, picture in shown.items()}
    image, heat = shown["image"], _repeat(heat, factor)
    shown["anomaly map"] = overlay_heat(image, heat, extractor.is_spatial)
    nearest = labeller.nearest(found)
    if nearest is not None:
        shown[_NEAREST] = draw_nearest(*nearest, image.shape, captioned=False)
    return shown


def draw_labelled(
    labeller: Labeller, verdict: Verdict, read: Callable[[str], bytes] = images.read_bytes
) -> np.ndarray:
    """Draw a readable image's verdict and anomaly map: see ``draw_verdict``.

    Args:
        labeller: the model whose verdict it is.
        verdict: not an unreadable one.
        read: returns the bytes of the image file of a name.

    Returns:
        (height, width of two to four images, 3) uint8 BGR, or below each other.

    Raises:
        images.ImageError: it can no longer be read.
    """
    labeller = labeller.for_image(verdict.image)
    image, found = labeller.decode(read(verdict.image))
    extractor, reconstruction = labeller.extractor, labeller.detector.reconstruct(found)
    if isinstance(extractor, PixelFeatures) and reconstruction is not None:
        reconstruction = extractor.paint(image, reconstruction)
    heat = labeller.heat(image, found)
    nearest = labeller.nearest(found) if verdict.label == ANOMALY else None
    return draw_verdict(image, verdict, heat, reconstruction, extractor.is_spatial, nearest)
