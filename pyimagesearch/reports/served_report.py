"""A report's folder while inspectors work through it: its page, and the file of their verdicts."""

from __future__ import annotations

import csv
import html
import io
import json
import math
import os
import re
import secrets
import threading
from collections.abc import Sequence
from typing import NamedTuple

from pyimagesearch.data import images
from pyimagesearch.labelling.inspector_verdicts import (
    CSV_COLUMNS,
    DEFECT,
    FINE,
    MAX_BYTES,
    MOST_VERDICTS,
    NOTES,
)
from pyimagesearch.labelling.verdict import ANOMALY, NORMAL
from pyimagesearch.reports import page_template, report_folder, thumbnails
from pyimagesearch.reports.rows import csv_cell, csv_line, csv_name, from_csv_cell
from pyimagesearch.runtime import atomic_files, remote_files
from pyimagesearch.runtime.console import UserError, printable
from pyimagesearch.runtime.input_files import open_input, read_input

VERDICTS = "verdicts.csv"  # in the folder
_PARTS = ("verdict", *NOTES)  # of a record; text
_MOST_TEXT = 500  # characters of each
_MAX_PAGE_BYTES = 512 * 1024**2
_SHOWN_SIDE = 2400  # pixels of an image's longer side, at most
_QUALITY = 90
_DATA = re.compile(rb'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)
# Where the head of a page is changed, so that its script knows of the server and may ask it.
_META, _POLICY = b'<meta name="viewport"', b"base-uri 'none'"


class _Row(NamedTuple):
    """An image of the page; ``is_anomaly`` is 0 or 1 there."""

    name: str
    is_anomaly: int
    score: float
    p_value: float

    @property
    def is_sound(self) -> bool:
        is_labelled = self.is_anomaly in (0, 1)
        return isinstance(self.name, str) and is_labelled and all(map(_is_number, self[2:]))


def _is_number(value: object) -> bool:
    return isinstance(value, float) and math.isfinite(value)


class RecordError(ValueError):
    """What a page has sent is no record of a verdict."""


class ServedReport:
    """The page of a folder, and what is recorded of its images; for threads.

    Args:
        folder: of a report.
        classes: of defects to choose from; () takes the page's.

    Attributes:
        path: of the file of verdicts.
        identity: of the run that the page is of.
        token: that whoever records something must know; another one for each start.
        page: HTML.
        policy: that the browser is to hold the page to: no script but the toolkit's, and no request
            but to this server.

    Raises:
        UserError: the folder holds no report of images, or verdicts of another one.
        OSError: it cannot be read.
    """

    def __init__(self, folder: str, classes: Sequence[str] = ()) -> None:
        self._folder = folder
        self.path = os.path.join(folder, VERDICTS)
        index = os.path.join(folder, report_folder.INDEX)
        if not os.path.isdir(folder):
            raise UserError(f"{printable(folder)}: no such folder")
        if not os.path.isfile(index) or report_folder.slot_in_use(index) is None:
            raise UserError(f"{printable(folder)} holds no report: --report FOLDER/ writes one")
        page = read_input(index, _MAX_PAGE_BYTES)
        try:
            data = json.loads(_DATA.search(page)[1])  # type: ignore[index]
            settings, identity = data["settings"], data["identity"]
            self._model, self._threshold = settings["model"], settings["threshold"]
            self._pictures, self._root = settings["pictures"], settings["root"]
            self._rows = [_Row(*row[:4]) for block in data["blocks"] for row in block]
            self._index_of = {csv_name(row.name): i for i, row in enumerate(self._rows)}
            texts = (identity, self._model, self._pictures or "", self._root or "")
            if not all(isinstance(text, str) for text in texts) or not (
                _is_number(self._threshold) and all(row.is_sound for row in self._rows)
            ):
                raise TypeError("not as a page has them")
        except (LookupError, TypeError, ValueError, RecursionError) as error:
            raise UserError(f"{printable(index)}: it is no page of images to judge") from error
        self.identity: str = identity
        digest = page_template.page_script()[1]
        if f"script-src {digest};".encode() not in page:
            raise UserError(f"{printable(index)}: another version has written it; write it again")
        self.policy = (
            f"default-src 'none'; script-src {digest}; style-src 'unsafe-inline'; "
            "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
            "frame-ancestors 'none'"
        )
        self.token = secrets.token_hex(16)
        meta = {"token": self.token, "classes": list(classes), "file": VERDICTS}
        described = f'<meta name="inspection" content="{html.escape(json.dumps(meta))}">\n'
        page = page.replace(_META, described.encode() + _META, 1)
        self.page = page.replace(_POLICY, b"connect-src 'self'; " + _POLICY, 1)
        self._records: dict[int, dict[str, str]] = {}
        self._lock = threading.Lock()
        self._decoding = threading.BoundedSemaphore(2)
        if os.path.lexists(self.path):
            self._load()

    @property
    def n_verdicts(self) -> int:
        """How many images have a verdict."""
        return sum(bool(record["verdict"]) for record in self._records.values())

    def records(self) -> list[dict[str, object]]:
        """What is recorded, as the page takes it."""
        with self._lock:
            return [{"index": index, **record} for index, record in self._records.items()]

    def record(self, changes: object) -> None:
        """Take over what a page has recorded of some images, and write the file.

        Args:
            changes: JSON types: a list of objects with the index of an image on the page, and
                ``verdict``, ``class``, ``comment``, ``inspector`` and ``date``; one without verdict
                and comment takes back what was recorded.

        Raises:
            RecordError: they are none.
            OSError: the file cannot be written; then nothing is recorded.
        """
        if not isinstance(changes, list):
            raise RecordError("it is no list of records")
        with self._lock:
            found = dict(self._records)
            for change in changes:
                index, record = self._checked(change)
                found.pop(index, None)
                if record["verdict"] or record["comment"]:
                    found[index] = record
            found = dict(sorted(found.items()))
            atomic_files.write_bytes(self.path, self._as_csv(found))
            self._records = found

    def _checked(self, change: object) -> tuple[int, dict[str, str]]:
        if not isinstance(change, dict):
            raise RecordError("a record is no object")
        index = change.get("index")
        if type(index) is not int or not 0 <= index < len(self._rows):
            raise RecordError("there is no image of that index")
        record = {}
        for part in _PARTS:
            text = change.get(part, "")
            if not isinstance(text, str) or len(text) > _MOST_TEXT:
                raise RecordError(f"its {part} is no text of at most {_MOST_TEXT} characters")
            record[part] = "".join(c if c.isprintable() else " " for c in text)
        if record["verdict"] not in ("", DEFECT, FINE):
            raise RecordError(f"its verdict is neither {DEFECT} nor {FINE}")
        return index, record

    def _as_csv(self, records: dict[int, dict[str, str]]) -> bytes:
        lines = [csv_line(CSV_COLUMNS)]
        for index, record in records.items():
            row = self._rows[index]
            cells = {part: csv_cell(text) for part, text in record.items()} | {
                "image": csv_name(row.name),
                "label": ANOMALY if row.is_anomaly else NORMAL,
                "score": repr(row.score),
                "p_value": repr(row.p_value),
                "threshold": repr(self._threshold),
                "model": self._model,
            }
            lines.append(csv_line(cells[column] for column in CSV_COLUMNS))
        return "".join(lines).encode()

    def _load(self) -> None:
        """Read the file that an earlier start, or a download from the page, has left."""
        other = f"{printable(self.path)}: these are not verdicts on this report; move them away"
        data = read_input(self.path, MAX_BYTES)
        try:
            table = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
            if tuple(table.fieldnames or ()) != CSV_COLUMNS:
                raise UserError(other)
            for number, row in enumerate(table):
                same = row["model"] == self._model and float(row["threshold"]) == self._threshold
                if not same or number >= MOST_VERDICTS:
                    raise UserError(other)
                change = {part: from_csv_cell(row[part]) for part in _PARTS}
                index, record = self._checked(change | {"index": self._index_of[row["image"]]})
                self._records[index] = record
        except (csv.Error, LookupError, TypeError, ValueError) as error:
            raise UserError(other) from error

    def picture(self, folder: str, name: str) -> bytes | None:
        """A file of the page's pictures; None for what is none.

        Args:
            folder: in the report's.
            name: of the file.
        """
        if folder != self._pictures or not thumbnails.is_thumbnail_file(name):
            return None
        try:
            with open_input(os.path.join(self._folder, folder, name)) as file:
                return file.read()
        except OSError:
            return None

    def image(self, index: int) -> bytes | None:
        """An image of the page as JPEG, whatever its format is; None where it cannot be read."""
        if self._root is None or not 0 <= index < len(self._rows):
            return None
        name = self._rows[index].name
        if remote_files.is_url(name):
            return None
        path = os.path.join(self._folder, self._root, name)
        try:
            with self._decoding:
                image = images.read_image(path, _SHOWN_SIDE)
                return images.encode_picture(images.shrink(image, _SHOWN_SIDE), ".jpg")
        except images.ImageError:
            return None
