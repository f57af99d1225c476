"""What the labelling scripts hand out: rows of CSV and JSON, and labelled pictures."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, BinaryIO, Self

import cv2
import numpy as np

from pyimagesearch.files import RowFile, written_in_sight, written_whole
from pyimagesearch.outlines import draw_regions, draw_ring, find_regions

NORMAL = "normal"
ANOMALY = "anomaly"
UNREADABLE = "unreadable"
COLUMNS = ("image", "label", "score", "p_value")
JPEG_QUALITY = 90
PICTURE_EXTENSIONS = (".jpg", ".jpeg", ".png")

_LABEL_COLOURS = {NORMAL: (0, 255, 0), ANOMALY: (0, 0, 255)}
_HEAT_COLOUR = (0, 0, 255)
# Heat is drawn where it exceeds the threshold's 1: faintly at first, fully from 1.5.
_HEAT_FULL = 1.5
_OPACITY = (0.3, 0.7)
_LEAST_PAIR_WIDTH = 480  # pixels
_SPREADSHEET_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found about one image.

    Attributes:
        image: its path, as the user would open it.
        label: ``NORMAL``, ``ANOMALY`` or ``UNREADABLE``.
        score: higher is more anomalous; None if unreadable.
        p_value: the share of normal images that would look at least this strange; None if
            unreadable.
        reason: why it is unreadable.
    """

    image: str
    label: str
    score: float | None = None
    p_value: float | None = None
    reason: str | None = None


def csv_row(verdict: Verdict) -> str:
    """One line of CSV, valid UTF-8 whatever the file is called; see ``csv_name``."""
    numbers = ("" if v is None else f"{v:.6g}" for v in (verdict.score, verdict.p_value))
    return csv_line((csv_name(verdict.image), verdict.label, *numbers))


def csv_name(path: str) -> str:
    """A file's name as it stands in CSV.

    Bytes of a name that are no UTF-8 are written as ``\\xNN``. A name that a spreadsheet would
    run as a formula gets ``./`` in front, which names the same file.
    """
    name = os.fsencode(path).decode("utf-8", "backslashreplace")
    return f"./{name}" if name.startswith(_SPREADSHEET_FORMULA) else name


def csv_line(fields: Iterable[str]) -> str:
    """One line of CSV, quoted where that is needed."""
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(fields)
    return buffer.getvalue()


def json_row(verdict: Verdict, **more: Any) -> str:
    """One line of JSON; names that are no UTF-8 keep their bytes as surrogate escapes.

    Args:
        verdict: whose attributes are written, a reason only if unreadable.
        more: JSON types to add.
    """
    # dataclasses.asdict would take as long as all the rest of a row.
    fields: dict[str, Any] = {name: getattr(verdict, name) for name in Verdict.__slots__}
    if verdict.label != UNREADABLE:
        del fields["reason"]
    return json.dumps(fields | more) + "\n"


def parse_json_row(line: bytes) -> tuple[Verdict, dict[str, Any]]:
    """The verdict that ``json_row`` wrote, and what it added.

    Raises:
        ValueError: it is no such line, or not a whole one.
    """
    fields = json.loads(line)
    if not line.endswith(b"\n") or not isinstance(fields, dict):
        raise ValueError("not a whole row")
    own = {name: fields.pop(name) for name in Verdict.__slots__ if name in fields}
    try:
        return Verdict(**own), fields
    except TypeError as error:
        raise ValueError(f"not a verdict ({error})") from error


class Results:
    """Where rows go: stdout as they come, and files that appear when they are complete.

    Use it as a context; an error inside leaves no half-written file.

    Args:
        stdout: binary stream for CSV.
        csv_path, json_path: files to write as well.
        goes_on_without_stdout: a reader of stdout who has gone (``| head -1``) is no reason to
            stop, since there are other results; without it, ``BrokenPipeError`` is raised.
        in_sight: the files grow where they can be seen; see ``files.written_in_sight``.

    Attributes:
        csv, json: the files, open for writing bytes; or None.
    """

    csv: BinaryIO | RowFile | None
    json: BinaryIO | RowFile | None

    def __init__(
        self,
        stdout: BinaryIO,
        csv_path: str | None = None,
        json_path: str | None = None,
        goes_on_without_stdout: bool = False,
        in_sight: bool = False,
    ) -> None:
        self._stdout: BinaryIO | None = stdout
        self._paths = (csv_path, json_path)
        self._goes_on = goes_on_without_stdout or csv_path is not None or json_path is not None
        self._open = written_in_sight if in_sight else written_whole
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.csv, self.json = (
                stack.enter_context(self._open(path)) if path else None for path in self._paths
            )
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: Any) -> bool | None:
        return self._stack.__exit__(*error)

    def print_line(self, line: str) -> None:
        """Write a line to stdout alone, at once."""
        if self._stdout is None:
            return
        try:
            self._stdout.write(line.encode())
            self._stdout.flush()
        except BrokenPipeError:
            if not self._goes_on:
                raise
            self._stdout = None


class RowWriter(Results):
    """Writes verdicts on images as they come; arguments as ``Results``.

    Args:
        name_column: title of the first column of CSV.
    """

    def __init__(self, *where: Any, name_column: str = COLUMNS[0], **options: Any) -> None:
        super().__init__(*where, **options)
        self._header = csv_line((name_column, *COLUMNS[1:]))

    def __enter__(self) -> Self:
        super().__enter__()
        if self.csv:
            self.csv.write(self._header.encode())
        self.print_line(self._header)
        return self

    def write(self, verdict: Verdict, to_stdout: bool = True) -> None:
        """Write one row everywhere, or everywhere but to stdout."""
        row = csv_row(verdict)
        if to_stdout:
            self.print_line(row)
        if self.csv:
            self.csv.write(row.encode())
        if self.json:
            self.json.write(json_row(verdict).encode())

    def print(self, verdict: Verdict) -> None:
        """Write one row to stdout alone, at once."""
        self.print_line(csv_row(verdict))


def picture_name(path: str) -> str:
    """Where the picture of an image goes below an output folder: the image's path made relative.

    Its ending is kept where pictures can be written so; ``.png`` is added to others.
    """
    parts = [part for part in path.split(os.sep) if part not in ("", os.curdir, os.pardir)]
    name = os.path.join(*parts)
    extension = os.path.splitext(name)[1].lower()
    return name if extension in PICTURE_EXTENSIONS else f"{name}.png"


def draw_verdict(
    image: np.ndarray,
    verdict: Verdict,
    heat: np.ndarray,
    reconstruction: np.ndarray | None = None,
    outlined: bool = False,
) -> np.ndarray:
    """Draw the label on a picture, and beside it the picture with its strange parts in red.

    Args:
        image: (height, width, 3) uint8 BGR.
        verdict: not an unreadable one.
        heat: (height, width) float, 1 at the threshold; see ``Labeller.heat_map``.
        reconstruction: of the picture's shape, to go between the two.
        outlined: whether the heat map shows places, which are then outlined beside the label.

    Returns:
        (height, 2 or 3 times width, 3) uint8 BGR.
    """
    labelled = image.copy()
    # The size and place of a 256-pixel picture's label, grown with the picture.
    scale = max(min(image.shape[:2]) / 256, 0.5)
    if outlined:
        draw_regions(labelled, find_regions(heat), scale)
    thickness = max(1, round(2 * scale))
    place = (round(10 * scale), round(25 * scale))
    # A dark edge first: green text would be lost on green leaves.
    for colour, width in (((0, 0, 0), 3 * thickness), (_LABEL_COLOURS[verdict.label], thickness)):
        cv2.putText(
            labelled, verdict.label, place, cv2.FONT_HERSHEY_SIMPLEX, 0.7 * scale, colour, width
        )
    between = [] if reconstruction is None else [reconstruction]
    return np.hstack([labelled, *between, overlay_heat(image, heat)])


def draw_nearest(
    thumbnail: np.ndarray, place: tuple[float, float], shape: tuple[int, ...]
) -> np.ndarray:
    """Draw the training picture that is most like a picture's strangest place, and where.

    Args:
        thumbnail: (side, side, 3) uint8 BGR, the whole picture stretched to a square.
        place: down and across, from 0 to 1.
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
    """Show pictures beside their reconstructions, one pair below the other.

    Args:
        decoded: (n, height, width, channels) float in [0, 1], the reconstructions.
        gt: the same of the originals.
        samples: number of pairs, from the first; as many as there are where they are fewer.

    Returns:
        (samples * height, 2 * width, channels) uint8, the originals on the left.
    """
    pairs = np.concatenate([gt[:samples], decoded[:samples]], axis=2)
    return (np.concatenate(list(pairs)) * 255).astype("uint8")


def draw_reconstructions(decoded: np.ndarray, originals: np.ndarray) -> np.ndarray:
    """Draw pictures beside their reconstructions, large enough to be seen.

    Args:
        decoded: (n, height, width, 1 or 3) float, the reconstructions, grey or RGB; what lies
            outside [0, 1] is cut off.
        originals: the same in [0, 1].

    Returns:
        (n times height, 2 times width, 3) uint8 BGR, or a multiple of that.
    """
    pairs = visualize_predictions(np.clip(decoded, 0, 1), originals, len(originals))
    if pairs.shape[2] == 1:
        pairs = pairs.repeat(3, axis=2)
    return enlarge(pairs[:, :, ::-1], _LEAST_PAIR_WIDTH)


def overlay_heat(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Tint a picture red where its heat exceeds 1; elsewhere it stays as it is."""
    strength = np.clip((heat - 1) / (_HEAT_FULL - 1), 0, 1)
    least, most = _OPACITY
    opacity = np.where(heat > 1, least + (most - least) * strength, 0)[:, :, None]
    return (image * (1 - opacity) + np.array(_HEAT_COLOUR) * opacity).astype(np.uint8)


def encode_picture(picture: np.ndarray, extension: str) -> bytes:
    """Encode a BGR picture; the file is left to the caller, since cv2 crashes on some names.

    Raises:
        ValueError: ``extension`` is not one of ``PICTURE_EXTENSIONS``.
    """
    if extension.lower() not in PICTURE_EXTENSIONS:
        raise ValueError(f"pictures are written as {', '.join(PICTURE_EXTENSIONS)}")
    quality = [] if extension.lower() == ".png" else [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    return cv2.imencode(extension, picture, quality)[1].tobytes()


def draw_rows(rows: Iterable[tuple[Verdict, list[np.ndarray]]], panel_width: int) -> np.ndarray:
    """Put pictures into a table, with the score before each row.

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
            place, black = (6, 20 + 20 * line), (0, 0, 0)
            cv2.putText(note, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, black, 1, cv2.LINE_AA)
        parts = [note, *cells]
        edge = np.full((shape[1], 4, 3), 255, np.uint8)
        strip = np.hstack([piece for part in parts for piece in (part, edge)])
        strips += [strip, np.full((4, strip.shape[1], 3), 255, np.uint8)]
    return np.vstack(strips)


def enlarge(picture: np.ndarray, least_width: int) -> np.ndarray:
    """Repeat pixels so that a small picture can be seen.

    Args:
        picture: (height, width, channels).
        least_width: that the result should have, in pixels.
    """
    factor = max(1, -(-least_width // picture.shape[1]))
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


def show(picture: np.ndarray) -> None:
    """Show a BGR picture in a window until a key is pressed; aborts where there is no display."""
    cv2.imshow("Output", picture)
    cv2.waitKey(0)
