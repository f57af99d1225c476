"""The page of a run, which an inspector opens from disk and works through.

Either one file that holds all it needs, or a folder with pictures beside the page. Nothing of it
asks a network for anything, and the page itself forbids that.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import importlib.util
import json
import os
import sqlite3
import tempfile
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np

from pyimagesearch.labelling import thresholds
from pyimagesearch.labelling.images import Labeller
from pyimagesearch.labelling.verdict import ANOMALY, NORMAL, UNREADABLE, Verdict
from pyimagesearch.reports import thumbnails
from pyimagesearch.reports.score_histogram import ScoreHistogram
from pyimagesearch.runtime import atomic_files
from pyimagesearch.runtime.atomic_files import refuse_output_inside_input
from pyimagesearch.runtime.console import UserError, counted, printable
from pyimagesearch.runtime.threads import chunked

INDEX = "index.html"
GENERATOR = "pyimagesearch report"
PACKAGE = "jinja2"
PICTURED = 200  # the strangest, which have a photo at any rate; in one file no others have
MOST_LISTED = 50_000
MOST_UNREADABLE_LISTED = 1_000

_MARK = ".report"
_SLOTS = ("pictures", "pictures-2")
_HEAD_BYTES = 2048
_ROWS_AT_ONCE = 64
_TYPES = {"photo": "image/jpeg", "heat": "image/png", "nearest": "image/jpeg"}
# Strangest first; of equal scores the image that came first.
_ROWS = """
    SELECT images.id, name, label, score, p_value, photos.id, sheet, cell, width, height
    FROM images LEFT JOIN cells USING (id) LEFT JOIN photos USING (id)
    WHERE score IS NOT NULL ORDER BY score DESC, number LIMIT ?
"""


@dataclass(frozen=True)
class Judged:
    """What a page says of the model that judged.

    Attributes:
        name: of the model file, as the user calls it.
        digest: ``ModelFile.scores_digest``.
        threshold: above which an item is an anomaly.
        calibration: (n,) float64 scores of normal items that the detector was not fitted on.
    """

    name: str
    digest: str
    threshold: float
    calibration: np.ndarray


def is_folder(path: str) -> bool:
    """Whether a report is a folder with pictures beside the page, or one file."""
    return path.endswith(os.sep) or os.path.isdir(path)


def check(path: str, inputs: Sequence[str] = ()) -> None:
    """Find out, before long work, whether a report could be written.

    Args:
        path: a file, or a folder.
        inputs: files and folders that the report is about.

    Raises:
        UserError: the package is missing, there is something else in its place, or its pictures
            would be taken for input.
        OSError: it could not be written; with ``path`` as its file name.
    """
    if importlib.util.find_spec(PACKAGE) is None:
        raise UserError(
            f"--report needs the package {PACKAGE}: pip install -r requirements-report.txt"
        )
    if not is_folder(path):
        if os.path.splitext(path)[1].lower() not in (".html", ".htm"):
            raise UserError(
                f"{printable(path)}: a report is a file.html, or a folder with a / at its end"
            )
        atomic_files.check_writable(path)
        return
    refuse_output_inside_input(path, inputs)
    made = atomic_files.make_folders(path)
    try:
        index = os.path.join(path, INDEX)
        if os.path.lexists(index) and _slot_in_use(index) is None:
            raise UserError(f"{printable(index)} is no report of ours, and is not replaced")
        for name in _SLOTS:
            slot = os.path.join(path, name)
            if os.path.isdir(slot) and os.listdir(slot) and not _is_ours(slot):
                raise UserError(f"{printable(slot)} holds no pictures of a report, and is not used")
        atomic_files.check_writable(index)
    finally:
        atomic_files.remove_empty(made)


class ImagePage:
    """Gathers the verdicts of a run and writes its page; memory does not grow with the run.

    Use it as a context; after an error nothing is left of what was made for a page that did not
    come to be, unless the run can be gone on with.

    Args:
        path: a file, or a folder; ``check``ed.
        resumable: whether exhibits belong to a run that something is known of: those of an earlier
            run, when the context is entered, and those of this one after an error.
        linked: whether the images are files, which the page can name a way to.

    Attributes:
        exhibits: the folder that exhibits are to be written into while the images are looked at;
            None for a page that is one file, whose few are made afterwards.
    """

    def __init__(
        self,
        path: str,
        resumable: Callable[[], bool] = lambda: False,
        linked: bool = True,
    ) -> None:
        self._path = path
        self._resumable = resumable
        self._linked = linked
        self._scores = array("d")
        self._counts = {NORMAL: 0, ANOMALY: 0, UNREADABLE: 0}
        self.exhibits: str | None = None
        self._older: str | None = None
        if is_folder(path):
            index = os.path.join(path, INDEX)
            self._older = _slot_in_use(index) if os.path.exists(index) else None
            # The older page keeps its pictures until the new one takes its place.
            name = next(slot for slot in _SLOTS if slot != self._older)
            self.exhibits = os.path.join(path, name)
        # A database without a name is a temporary file, and SQLite keeps little of it in memory.
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute("BEGIN")
        self._database.execute(
            "CREATE TABLE images (number INTEGER PRIMARY KEY, id TEXT, name BLOB, label TEXT, "
            "score REAL, p_value REAL, reason TEXT)"
        )
        self._database.execute(
            "CREATE TABLE cells (id TEXT PRIMARY KEY, sheet INTEGER, cell INTEGER, "
            "width INTEGER, height INTEGER)"
        )
        self._database.execute("CREATE TABLE photos (id TEXT PRIMARY KEY)")
        self._waiting: list[tuple[Any, ...]] = []

    def __enter__(self) -> ImagePage:
        if self.exhibits is not None:
            if not self._resumable():
                _remove_slot(self.exhibits)
            self._made = atomic_files.make_folders(self.exhibits)
            try:
                with open(os.path.join(self.exhibits, _MARK), "wb"):
                    pass
            except OSError:
                atomic_files.remove_empty(self._made)
                raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: Any) -> None:
        self._database.close()
        if kind is None or self.exhibits is None or self._resumable():
            return
        if _slot_in_use(os.path.join(self._path, INDEX)) != os.path.basename(self.exhibits):
            with contextlib.suppress(OSError):  # what ended the run is to be told, not this
                _remove_exhibits(self.exhibits)
            atomic_files.remove_empty(self._made)

    def add(self, verdict: Verdict) -> None:
        """Take the verdict on the next image."""
        self._counts[verdict.label] += 1
        if verdict.score is not None:
            self._scores.append(verdict.score)
        self._waiting.append(
            (
                thumbnails.exhibit_id(verdict.image),
                os.fsencode(verdict.image),
                verdict.label,
                verdict.score,
                verdict.p_value,
                verdict.reason,
            )
        )
        if len(self._waiting) == _ROWS_AT_ONCE:
            self._insert_waiting()

    def _insert_waiting(self) -> None:
        with _disk_errors_told():
            self._database.executemany(
                "INSERT INTO images VALUES (NULL, ?, ?, ?, ?, ?, ?)", self._waiting
            )
        self._waiting.clear()

    def write_for(
        self, model: str, labeller: Labeller, notices: Sequence[str], make: thumbnails.Make
    ) -> None:
        """``write`` the page of what a model has judged.

        Args:
            model: file, as the user calls it.
            labeller: which judged.
            notices, make: as of ``write``.
        """
        name = printable(os.path.basename(model))
        judged = Judged(name, labeller.scores_digest, labeller.threshold, labeller.calibration)
        self.write(judged, notices, make)

    def write(self, judged: Judged, notices: Sequence[str], make: thumbnails.Make) -> None:
        """Write the page, and remove the pictures of the one that it takes the place of.

        Args:
            judged: by which model.
            notices: sentences about the whole batch that the inspector must see.
            make: makes exhibits that are missing.

        Raises:
            OSError: it cannot be written.
        """
        self._insert_waiting()
        with _disk_errors_told():
            self._write(judged, notices, make)

    def _write(self, judged: Judged, notices: Sequence[str], make: thumbnails.Make) -> None:
        if self.exhibits is None:
            parent = os.path.dirname(os.path.abspath(self._path))
            with tempfile.TemporaryDirectory(prefix=".report.", dir=parent) as folder:
                self._make_photos(folder, make)
                self._render(self._path, folder, judged, notices)
            return
        self._make_cells(make)
        self._make_photos(self.exhibits, make)
        self._render(os.path.join(self._path, INDEX), self.exhibits, judged, notices)
        if self._older:
            _remove_slot(os.path.join(self._path, self._older))

    def _make_photos(self, folder: str, make: thumbnails.Make) -> None:
        missing = [
            os.fsdecode(name)
            for key, name, *_ in self._database.execute(_ROWS, (PICTURED,))
            if thumbnails.read_note(folder, key) is None
        ]
        if missing:
            make(missing, folder, True)
        found = ((name,) for name in thumbnails.photo_ids(folder))
        self._database.executemany("INSERT OR IGNORE INTO photos VALUES (?)", found)

    def _make_cells(self, make: thumbnails.Make) -> None:
        self._take_sheets()
        missing = [
            os.fsdecode(row[1])
            for row in self._database.execute(_ROWS, (MOST_LISTED,))
            if row[6] is None
        ]
        if missing:
            make(missing, self.exhibits, False)
            self._take_sheets()

    def _take_sheets(self) -> None:
        self._sheets: list[tuple[str, int]] = []
        for number, (name, cells) in enumerate(thumbnails.read_sheets(self.exhibits)):
            self._sheets.append((name, -(-len(cells) // thumbnails.SHEET_COLUMNS)))
            self._database.executemany(
                "INSERT OR REPLACE INTO cells VALUES (?, ?, ?, ?, ?)",
                (
                    (key, number, cell, width, height)
                    for cell, (key, width, height) in enumerate(cells)
                    if width
                ),
            )

    def _render(self, path: str, folder: str, judged: Judged, notices: Sequence[str]) -> None:
        n_readable = self._counts[NORMAL] + self._counts[ANOMALY]
        scores = np.array(self._scores)
        in_one = self.exhibits is None
        root = os.path.relpath(".", os.path.dirname(path) or ".") if self._linked else None
        settings = {
            "model": judged.digest,
            "threshold": judged.threshold,
            "counts": self._counts,
            "pictures": None if in_one else os.path.basename(folder),
            "cell": thumbnails.CELL,
            "columns": thumbnails.SHEET_COLUMNS,
            "outlineScale": thumbnails.OUTLINE_SCALE,
            "root": root,
        }
        identity = hashlib.sha256(judged.digest.encode())

        def rows() -> Iterator[list[Any]]:
            for some in chunked(self._rows(folder, in_one), _ROWS_AT_ONCE):
                identity.update(json.dumps([row[:4] for row in some]).encode())
                yield some

        _write_page(
            path,
            "images.html",
            judged=judged,
            counts=self._counts,
            n_readable=n_readable,
            alarms=thresholds.false_alarms(judged.threshold, judged.calibration, n_readable),
            notices=notices,
            spread=ScoreHistogram.from_scores(scores, judged.threshold) if n_readable else None,
            n_listed=min(n_readable, MOST_LISTED),
            n_pictured=min(n_readable, PICTURED) if in_one else None,
            slot=None if in_one else os.path.basename(folder),
            unreadable=self._unreadable(),
            settings=settings,
            sheets=[] if in_one else self._sheets,
            blocks=rows(),
            identity=lambda: identity.hexdigest()[:32],  # once all rows are written
        )

    def _rows(self, folder: str, in_one: bool) -> Iterator[list[Any]]:
        listed = self._database.execute(_ROWS, (MOST_LISTED,))
        for key, name, label, score, p_value, photo, *cell in listed:
            yield [
                os.fsdecode(name),
                int(label == ANOMALY),
                score,
                p_value,
                0 if cell[0] is None else cell,
                0 if photo is None else self._photo(folder, key, in_one),
            ]

    def _photo(self, folder: str, key: str, in_one: bool) -> dict[str, Any] | int:
        note = thumbnails.read_note(folder, key)
        if note is None:
            return 0
        found: dict[str, Any] = {"size": note.size}
        for kind, name in thumbnails.photo_files(key, note).items():
            found[kind] = name
            if in_one:
                with open(os.path.join(folder, name), "rb") as file:
                    encoded = base64.b64encode(file.read()).decode()
                found[kind] = f"data:{_TYPES[kind]};base64,{encoded}"
        parts = {"why": note.why, "outline": note.outline, "place": note.nearest}
        return found | {name: value for name, value in parts.items() if value}

    def _unreadable(self) -> list[tuple[str, str]]:
        rows = self._database.execute(
            "SELECT name, reason FROM images WHERE score IS NULL ORDER BY number LIMIT ?",
            (MOST_UNREADABLE_LISTED,),
        )
        return [(printable(os.fsdecode(name)), printable(reason or "")) for name, reason in rows]


def write_series_page(
    path: str,
    model: str,
    threshold: float,
    found: Sequence[Any],
    counts: dict[str, int],
    plot: bytes,
) -> None:
    """Write the page of a series.

    Args:
        path: a file, or a folder; ``check``ed.
        model: file, as the user calls it.
        threshold: above which a row is an anomaly.
        found: ``series_labelling.Range`` of each range, strangest first.
        counts: of ``rows`` that were judged and of ``unreadable`` ones.
        plot: PNG of the series with its ranges.
    """
    made = atomic_files.make_folders(path) if is_folder(path) else []
    try:
        _write_page(
            os.path.join(path, INDEX) if is_folder(path) else path,
            "series.html",
            model=printable(os.path.basename(model)),
            threshold=threshold,
            found=found[:MOST_LISTED],
            n_found=len(found),
            counts=counts,
            plot=f"data:image/png;base64,{base64.b64encode(plot).decode()}",
            slot=None,
        )
    except BaseException:
        atomic_files.remove_empty(made)
        raise


def _write_page(path: str, template: str, **content: Any) -> None:
    import jinja2

    def safe_json(value: Any) -> jinja2.utils.markupsafe.Markup:
        """JSON that cannot end the element that it stands in, whatever it says."""
        return jinja2.utils.htmlsafe_json_dumps(value, separators=(",", ":"))

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pyimagesearch.reports"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"json": safe_json, "counted": _counted, "number": "{:.4g}".format}
    environment.policies["json.dumps_kwargs"] = {"sort_keys": False}
    Markup = jinja2.utils.markupsafe.Markup
    folder = resources.files("pyimagesearch.reports") / "templates"
    style, script = ((folder / name).read_text("utf-8") for name in ("page.css", "page.js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    pieces = environment.get_template(template).generate(
        generator=GENERATOR,
        style=Markup(style),
        script=Markup(script),
        script_digest=digest,
        **content,
    )
    with atomic_files.atomic_write(path) as file:
        for piece in pieces:
            file.write(piece.encode())


def _counted(number: int, noun: str, plural: str | None = None) -> str:
    return counted(number, noun) if plural is None or number == 1 else f"{number:,} {plural}"


@contextlib.contextmanager
def _disk_errors_told() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise UserError(
            f"the list of a report's pictures cannot be kept in the folder of temporary files "
            f"({error}); TMPDIR names another one"
        ) from error


def _slot_in_use(index: str) -> str | None:
    """The folder of pictures that a page of ours uses ("" for none); None if it is not ours."""
    with contextlib.suppress(OSError), open(index, "rb") as file:
        head = file.read(_HEAD_BYTES)
        if f'<meta name="generator" content="{GENERATOR}">'.encode() not in head:
            return None
        used = [s for s in _SLOTS if f'<meta name="pictures" content="{s}">'.encode() in head]
        return used[0] if used else ""
    return None


def _is_ours(slot: str) -> bool:
    return os.path.exists(os.path.join(slot, _MARK))


def _remove_slot(slot: str) -> None:
    """Remove a folder of pictures of ours, unless something else lies there."""
    if _is_ours(slot):
        _remove_exhibits(slot)
        atomic_files.remove_empty([slot])


def _remove_exhibits(slot: str) -> None:
    """Remove what a run wrote into a folder of pictures; what else lies there stays."""
    with os.scandir(slot) as entries:
        for entry in entries:
            if thumbnails.is_exhibit(entry.name) or entry.name == _MARK:
                os.unlink(entry.path)
