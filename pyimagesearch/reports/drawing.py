"""Draw verdicts, anomaly maps and reconstructions on images."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

import cv2
import numpy as np

from pyimagesearch.data import images
from pyimagesearch.data.images import PICTURE_EXTENSIONS
from pyimagesearch.features import PixelFeatures
from pyimagesearch.labelling.images import Labeller
from pyimagesearch.labelling.verdict import ANOMALY, NORMAL, Verdict
from pyimagesearch.reports.outlines import draw_regions, draw_ring, find_regions
from pyimagesearch.runtime.console import UserError, printable

_LABEL_COLOURS = {NORMAL: (0, 255, 0), ANOMALY: (0, 0, 255)}  # BGR
_MAP_COLOUR = (0, 0, 255)
# Anomaly maps are drawn where they exceed 1, the threshold: faintly at first, fully from 1.5.
_MAP_FULL = 1.5
_OPACITY = (0.3, 0.7)
_LEAST_PAIR_WIDTH = 480  # pixels


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
) -> np.ndarray:
    """Draw the label on an image, and next to it the image with its anomaly map in red.

    Args:
        image: (height, width, 3) uint8 BGR.
        verdict: not an unreadable one.
        heat: (height, width) float, the anomaly map, 1 at the threshold.
        reconstruction: of the image's shape, drawn between the two.
        outlined: whether the anomaly map is of places, whose regions are then outlined.

    Returns:
        (height, 2 or 3 times width, 3) uint8 BGR.
    """
    labelled = image.copy()
    # The size and position of the label of a 256-pixel image, scaled to this one.
    scale = max(min(image.shape[:2]) / 256, 0.5)
    if outlined:
        draw_regions(labelled, find_regions(heat), scale)
    thickness = max(1, round(2 * scale))
    position = (round(10 * scale), round(25 * scale))
    # A dark edge first: green text would be lost on green leaves.
    for colour, width in (((0, 0, 0), 3 * thickness), (_LABEL_COLOURS[verdict.label], thickness)):
        cv2.putText(
            labelled, verdict.label, position, cv2.FONT_HERSHEY_SIMPLEX, 0.7 * scale, colour, width
        )
    between = [] if reconstruction is None else [reconstruction]
    return np.hstack([labelled, *between, overlay_heat(image, heat)])


def draw_nearest(
    thumbnail: np.ndarray, place: tuple[float, float], shape: tuple[int, ...]
) -> np.ndarray:
    """Draw the training image with the patch nearest to an image's most anomalous one, and mark it.

    Args:
        thumbnail: (side, side, 3) uint8 BGR, the whole training image stretched to a square.
        place: of the patch, down and across, from 0 to 1.
        shape: (height, width, ...) to draw it at.

    Returns:
        (height, width, 3) uint8 BGR.
    """
    height, width = shape[:2]
    drawn = cv2.resize(thumbnail, (width, height), interpolation=cv2.INTER_CUBIC)
    scale = max(min(height, width) / 256, 0.5)
    middle = (round(place[1] * width), round(place[0] * height))
    draw_ring(drawn, middle, round(14 * scale), scale)
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


def draw_reconstructions(decoded: np.ndarray, originals: np.ndarray) -> np.ndarray:
    """Draw images next to their reconstructions, large enough to be seen.

    Args:
        decoded: (n, height, width, 1 or 3) float, the reconstructions, grey or RGB; values
            outside [0, 1] are clipped.
        originals: the same in [0, 1].

    Returns:
        (n times height, 2 times width, 3) uint8 BGR, or a multiple of that.
    """
    pairs = visualize_predictions(np.clip(decoded, 0, 1), originals, len(originals))
    if pairs.shape[2] == 1:
        pairs = pairs.repeat(3, axis=2)
    return enlarge(pairs[:, :, ::-1], _LEAST_PAIR_WIDTH)


def overlay_heat(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Tint an image red where its anomaly map exceeds 1."""
    strength = np.clip((heat - 1) / (_MAP_FULL - 1), 0, 1)
    least, most = _OPACITY
    opacity = np.where(heat > 1, least + (most - least) * strength, 0)[:, :, None]
    return (image * (1 - opacity) + np.array(_MAP_COLOUR) * opacity).astype(np.uint8)


def draw_rows(rows: Iterable[tuple[Verdict, list[np.ndarray]]], panel_width: int) -> np.ndarray:
    """Arrange pictures in a table, with the score at the start of each row.

    Args:
        rows: verdicts, each with (height, width, 3) uint8 BGR pictures of one size.
        panel_width: that each picture is resized to, in pixels.

    Returns:
        (height, width, 3) uint8 BGR.
    """
    strips = []
    for verdict, panels in rows:
        shape = (panel_width, max(1, round(panel_width * panels[0].shape[0] / panels[0].shape[1])))
        grows = panels[0].shape[1] < panel_width
        kind = cv2.INTER_NEAREST if grows else cv2.INTER_AREA
        cells = [cv2.resize(panel, shape, interpolation=kind) for panel in panels]
        note = np.full((shape[1], panel_width, 3), 255, np.uint8)
        name = os.path.basename(verdict.image).encode("ascii", "replace").decode()
        for line, text in enumerate((name[-18:], verdict.label, f"{verdict.score:.4g}")):
            position, black = (6, 20 + 20 * line), (0, 0, 0)
            cv2.putText(note, text, position, cv2.FONT_HERSHEY_SIMPLEX, 0.45, black, 1, cv2.LINE_AA)
        columns = [note, *cells]
        edge = np.full((shape[1], 4, 3), 255, np.uint8)
        strip = np.hstack([piece for column in columns for piece in (column, edge)])
        strips += [strip, np.full((4, strip.shape[1], 3), 255, np.uint8)]
    return np.vstack(strips)


def enlarge(picture: np.ndarray, least_width: int) -> np.ndarray:
    """Enlarge a small picture by repeating its pixels.

    Args:
        picture: (height, width, channels).
        least_width: of the result, in pixels.
    """
    factor = max(1, -(-least_width // picture.shape[1]))
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


def show(picture: np.ndarray) -> None:
    """Show a BGR picture in a window until a key is pressed; without a display OpenCV aborts."""
    cv2.imshow("Output", picture)
    cv2.waitKey(0)


def panels(labeller: Labeller, image: np.ndarray) -> list[np.ndarray]:
    """Draw an image as a model processes it.

    Args:
        labeller: the model.
        image: (height, width, 3) uint8 BGR.

    Returns:
        Images of one size: the original, where there is one its reconstruction, and the original
        with its anomaly map in red.
    """
    found = labeller.extractor.extract(image)
    extractor, reconstruction = labeller.extractor, labeller.detector.reconstruct(found)
    shown = [image]
    if isinstance(extractor, PixelFeatures) and reconstruction is not None:
        image = extractor.to_image(found)
        shown = [image, extractor.to_image(reconstruction)]
    return [*shown, overlay_heat(image, labeller.heat(image, found))]


def draw_labelled(labeller: Labeller, verdict: Verdict) -> np.ndarray:
    """Draw a readable image's verdict and anomaly map: see ``draw_verdict``.

    Args:
        labeller: the model whose verdict it is.
        verdict: not an unreadable one.

    Returns:
        (height, width of two to four images, 3) uint8 BGR.

    Raises:
        images.ImageError: it can no longer be read.
    """
    image, found = labeller.decode(images.read_bytes(verdict.image))
    extractor, reconstruction = labeller.extractor, labeller.detector.reconstruct(found)
    if isinstance(extractor, PixelFeatures) and reconstruction is not None:
        reconstruction = extractor.paint(image, reconstruction)
    heat = labeller.heat(image, found)
    drawn = draw_verdict(image, verdict, heat, reconstruction, extractor.is_spatial)
    nearest = labeller.nearest(found)
    if nearest is None or verdict.label != ANOMALY:
        return drawn
    return np.hstack([drawn, draw_nearest(*nearest, image.shape)])
