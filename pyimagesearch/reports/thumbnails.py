"""Thumbnails of images for a report: small copies, anomaly maps, outlines and explanations.

A folder of thumbnails holds sheets, each with small copies of up to sixteen images, and of some
images a larger photo with its anomaly map. Files are named by digests of the images' paths, and a
note inside each says what it shows, so that another process or a later run finds them again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field

import cv2
import numpy as np
import simplejpeg

from pyimagesearch.data import images
from pyimagesearch.features import HistogramFeatures
from pyimagesearch.labelling.images import Labeller
from pyimagesearch.labelling.verdict import ANOMALY, Verdict
from pyimagesearch.reports import explanations
from pyimagesearch.reports.heat_colours import tint
from pyimagesearch.reports.outlines import Region, find_regions

CELL = 128  # pixels of a small copy's longer side, at most; a multiple of JPEG's blocks
SHEET_COLUMNS = 4
PER_SHEET = 16
PHOTO_SIDE = 320  # pixels of a photo's longer side, at most
OUTLINE_SCALE = 1000  # outlines are drawn on a square of this side, stretched over the photo
# Writes thumbnails of images: (their paths, the folder to write into, whether all get a photo).
ThumbnailMaker = Callable[[Sequence[str], str, bool], None]

_SHEET = "sheet-"
_PHOTO, _MAP, _NEAREST = ".jpg", ".heat.png", ".near.jpg"
_QUALITY, _SHEET_QUALITY = 82, 70
_LEAST_PHOTO_SIDE = 240  # pixels of a photo's shorter side, where the file has as many
_MAP_SIDE = 160
_MAX_OUTLINED = 20
_NAME = re.compile(
    rf"({_SHEET})?[0-9a-f]{{32}}({'|'.join(map(re.escape, (_PHOTO, _MAP, _NEAREST)))})"
    r"(\.\d+\.tmp)?"
)
_START, _COMMENT = b"\xff\xd8", b"\xff\xfe"
_LEVELS = 24  # different colours of an anomaly map, so that its file stays small


@dataclass(frozen=True)
class Note:
    """What the file of a photo says about it.

    Attributes:
        size: (width, height) in pixels.
        why: the explanation of an anomaly; else empty.
        outline: of its anomalous regions, as an SVG path on a square of ``OUTLINE_SCALE``.
        has_heat: whether there is a file of its anomaly map.
        nearest: position in the nearest normal image of the patch nearest to its most anomalous
            one, down and across, from 0 to 1; None where there is no such image.
    """

    size: tuple[int, int]
    why: str = ""
    outline: str = ""
    has_heat: bool = False
    nearest: tuple[float, float] | None = None


@dataclass
class Copies:
    """Makes small copies of images while they are labelled, when they cost least.

    Args:
        keeps_photos: whether larger copies are kept, too.

    Attributes:
        small: (height, width, 3) uint8 BGR of each image, by its number.
        photos: (height, width, 3) uint8 BGR of each image, and the shape that it had.
        features: of each image that has a photo.
    """

    keeps_photos: bool
    small: dict[int, np.ndarray] = field(default_factory=dict)
    photos: dict[int, tuple[np.ndarray, tuple[int, ...]]] = field(default_factory=dict)
    features: dict[int, np.ndarray] = field(default_factory=dict)

    def __call__(self, number: int, image: np.ndarray, features: np.ndarray) -> None:
        """Add copies of (height, width, 3) uint8 BGR."""
        if self.keeps_photos:
            self.photos[number] = (images.shrink(image, PHOTO_SIDE), image.shape)
            self.features[number] = features
        self.small[number] = _small_copy(image)


def _small_copy(image: np.ndarray) -> np.ndarray:
    """Shrink an image to ``CELL`` pixels; halving it first takes a quarter of the time."""
    while max(image.shape[:2]) >= 2 * CELL and min(image.shape[:2]) > 1:
        height, width = (side // 2 for side in image.shape[:2])
        even = image[: 2 * height, : 2 * width]
        image = cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA)
    scale = CELL / max(image.shape[:2])
    if scale >= 1:
        return image
    height, width = (min(max(1, round(scale * side)), CELL) for side in image.shape[:2])
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)


def thumbnail_id(path: str) -> str:
    """The name of an image's files: 32 hexadecimal digits."""
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:32]


def label_and_write_thumbnails(
    labeller: Labeller,
    paths: Sequence[str],
    folder: str,
    explain: bool = False,
    read: Callable[[str], np.ndarray] | None = None,
) -> list[Verdict]:
    """Label images and write their thumbnails.

    Anomalies get a photo with their anomaly map at once where the model is of patches: there it
    costs little compared with labelling. Where the model is of colours it would cost more.

    Args:
        labeller: the model.
        paths: image files.
        folder: to write into.
        explain: whether all get a photo, and all anomalies their anomaly map; small copies are
            not made, then.
        read: as of ``Labeller.label_batch``.
    """
    verdicts: list[Verdict] = []
    keeps_photos = explain or labeller.extractor.is_spatial
    for start in range(0, len(paths), PER_SHEET):
        some = list(paths[start : start + PER_SHEET])
        copies = Copies(keeps_photos)
        found = labeller.label_batch(some, copies, read)
        if not explain:
            readable = (number for number, one in enumerate(found) if one.is_readable)
            write_sheet(folder, some, {some[n]: copies.small[n] for n in readable})
        for number, (photo, shape) in copies.photos.items():
            if explain or found[number].label == ANOMALY:
                if read is None:
                    photo = _larger(some[number], photo, shape)
                features = copies.features[number]
                write_photo(folder, labeller, found[number], features, photo, shape)
        verdicts += found
    return verdicts


def sheet_name(paths: Sequence[str]) -> str:
    """The name of the file that shows small copies of some images; the same whenever it is made."""
    digest = hashlib.sha256(b"\0".join(map(os.fsencode, paths))).hexdigest()
    return f"{_SHEET}{digest[:32]}{_PHOTO}"


def write_sheet(folder: str, paths: Sequence[str], copies: Mapping[str, np.ndarray]) -> None:
    """Write the small copies of some images side by side, as one file.

    Args:
        folder: to write into.
        paths: the images, by which the file is named.
        copies: (height, width, 3) uint8 BGR of each readable one.
    """
    if not copies:
        return
    rows = -(-len(copies) // SHEET_COLUMNS)
    sheet = np.zeros((rows * CELL, SHEET_COLUMNS * CELL, 3), np.uint8)
    note: list[list[str | int]] = []
    for number, (path, image) in enumerate(copies.items()):
        height, width = image.shape[:2]
        row, column = divmod(number, SHEET_COLUMNS)
        sheet[row * CELL :, column * CELL :][:height, :width] = image
        note.append([thumbnail_id(path), width, height])
    encoded = simplejpeg.encode_jpeg(sheet, _SHEET_QUALITY, "BGR", "420", fastdct=True)
    _write(os.path.join(folder, sheet_name(paths)), _annotated(encoded, note))


def write_photo(
    folder: str,
    labeller: Labeller,
    verdict: Verdict,
    features: np.ndarray,
    photo: np.ndarray,
    shape: tuple[int, ...],
) -> None:
    """Write a photo, and of an anomaly its map and explanation.

    Args:
        folder: to write into.
        labeller: the model.
        verdict: on the image.
        features: of the image.
        photo: (height, width, 3) uint8 BGR, a small copy.
        shape: of the image when it was labelled.
    """
    path = os.path.join(folder, thumbnail_id(verdict.image))
    note = Note((photo.shape[1], photo.shape[0]))
    if verdict.label == ANOMALY:
        of_group = labeller.for_image(verdict.image)
        heat, regions, why = _explain(of_group, features, photo, shape)
        nearest = labeller.nearest(features)
        if heat is not None:
            _write(f"{path}{_MAP}", _png(_tinted(heat)))
        if nearest is not None:
            _write(f"{path}{_NEAREST}", _jpeg(nearest[0]))
        note = Note(
            size=note.size,
            why=why,
            outline="" if heat is None else _outline(regions, heat.shape),
            has_heat=heat is not None,
            nearest=None if nearest is None else nearest[1],
        )
    # Last, so that where the photo exists, all files do.
    _write(f"{path}{_PHOTO}", _annotated(_jpeg(photo), asdict(note)))


def _explain(
    labeller: Labeller, found: np.ndarray, photo: np.ndarray, shape: tuple[int, ...]
) -> tuple[np.ndarray | None, list[Region], str]:
    """The anomaly map, its regions and their explanation; no map where the model has none."""
    extractor = labeller.extractor
    values = labeller.detector.heat(found, labeller.relative)
    if extractor.is_spatial:
        heat = labeller.heat(photo, found, shape, values)
        regions = find_regions(heat)
        return heat, regions, explanations.explain_regions(regions, heat.shape)
    if not isinstance(extractor, HistogramFeatures) or len(values) == 1:
        return None, [], explanations.explain_whole()
    heat = labeller.heat(images.shrink(photo, _MAP_SIDE), found, None, values)
    # Pixels of a colour lie scattered: outline the areas where they are many.
    regions = find_regions(cv2.medianBlur(heat, 5))
    usual = labeller.detector.typical_features()
    return heat, regions, explanations.explain_colours(values, found, usual, extractor.bins)


def read_note(folder: str, name: str) -> Note | None:
    """Read the note of an image's photo; None where there is no complete one.

    Args:
        folder: of the thumbnails.
        name: ``thumbnail_id`` of the image.
    """
    described = _note_in(os.path.join(folder, f"{name}{_PHOTO}"))
    try:
        return Note(**described) if isinstance(described, dict) else None
    except TypeError:
        return None


def read_sheet(folder: str, name: str) -> list[tuple[str, int, int]] | None:
    """Read (id, width, height) of the copies on a sheet; None where there is no complete one.

    Args:
        folder: of the thumbnails.
        name: ``sheet_name`` of the images.
    """
    note = _note_in(os.path.join(folder, name))
    if isinstance(note, list) and all(isinstance(n, list) and len(n) == 3 for n in note):
        return [tuple(one) for one in note]
    return None


def photo_files(name: str, note: Note) -> dict[str, str]:
    """The files of an image: ``photo``, and ``heat`` and ``nearest`` where there are any.

    Args:
        name: ``thumbnail_id`` of the image.
        note: of its photo.
    """
    found = {"photo": f"{name}{_PHOTO}"}
    if note.has_heat:
        found["heat"] = f"{name}{_MAP}"
    if note.nearest is not None:
        found["nearest"] = f"{name}{_NEAREST}"
    return found


def photo_ids(folder: str) -> Iterator[str]:
    """Yield ``thumbnail_id`` of each image that has a photo in a folder."""
    with os.scandir(folder) as entries:
        for entry in entries:
            name = photo_id_of(entry.name)
            if name is not None and entry.name == f"{name}{_PHOTO}":
                yield name


def photo_id_of(name: str) -> str | None:
    """``thumbnail_id`` of the image whose photo a file is, or belongs to; None for other files."""
    found = _NAME.fullmatch(name)
    return None if found is None or found[1] or found[3] else name[:32]


def is_thumbnail_file(name: str) -> bool:
    """Whether a file has the name of a thumbnail, or of one that was not finished."""
    return _NAME.fullmatch(name) is not None


def _larger(path: str, photo: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The photo in more detail, where the image was reduced before it was labelled."""
    if max(shape[:2]) >= PHOTO_SIDE:
        return photo
    with contextlib.suppress(images.ImageError):  # it was readable before
        return images.shrink(images.read_image(path, _LEAST_PHOTO_SIDE), PHOTO_SIDE)
    return photo


def _outline(regions: Sequence[Region], shape: tuple[int, ...]) -> str:
    scale = OUTLINE_SCALE / np.array((shape[1], shape[0]))
    paths = []
    for region in regions[:_MAX_OUTLINED]:
        contour = cv2.approxPolyDP(region.contour, 0.7, True)[:, 0]
        points = np.rint((contour + 0.5) * scale).astype(int).tolist()
        paths.append("M" + "L".join(f"{x} {y}" for x, y in points) + "Z")
    return "".join(paths)


def _tinted(heat: np.ndarray) -> np.ndarray:
    """Draw an anomaly map as an overlay of a photo: (height, width, 4) uint8 BGRA."""
    small = images.shrink(heat, _MAP_SIDE)
    if heat.max() > 1 >= small.max():  # averaging has removed the only pixels above 1
        small = np.where(small >= small.max(), np.nextafter(np.float32(1), np.float32(2)), small)
    return tint(small, _LEVELS)


def _png(picture: np.ndarray) -> bytes:
    return cv2.imencode(".png", picture)[1].tobytes()


def _jpeg(picture: np.ndarray) -> bytes:
    return simplejpeg.encode_jpeg(np.ascontiguousarray(picture), _QUALITY, "BGR", "420")


def _annotated(jpeg: bytes, note: dict[str, object] | list[list[str | int]]) -> bytes:
    """A JPEG with a comment (ISO/IEC 10918-1, B.2.4.5)."""
    text = json.dumps(note).encode()
    return b"".join((_START, _COMMENT, (len(text) + 2).to_bytes(2, "big"), text, jpeg[2:]))


def _note_in(path: str) -> object:
    """The note in a thumbnail; None where there is no such file or it is not a thumbnail."""
    try:
        with open(path, "rb") as file:
            start = file.read(6)
            if start[:2] != _START or start[2:4] != _COMMENT:
                return None
            text = file.read(int.from_bytes(start[4:], "big") - 2)
    except FileNotFoundError:
        return None
    with contextlib.suppress(ValueError):
        return json.loads(text)
    return None


def _write(path: str, data: bytes) -> None:
    # Not flushed to the disk, which would take longer than all the rest; after a power failure a
    # report has to be made again.
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        with open(temporary, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except BaseException as error:  # a process that is asked to end is SystemExit
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        if isinstance(error, OSError):
            error.filename, error.filename2 = path, None
        raise
