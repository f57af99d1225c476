"""The page of a run, which an inspector opens from disk and works through.

It is either one file that contains all it needs, or a folder with the page and its pictures. It
loads nothing from a network, and its content security policy forbids that.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import itertools
import json
import os
import sqlite3
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pyimagesearch.data import mvtec
from pyimagesearch.labelling import inspector_verdicts, thresholds
from pyimagesearch.labelling.false_discoveries import FalseDiscoveries
from pyimagesearch.labelling.image_groups import ImageGroups
from pyimagesearch.labelling.images import Labeller
from pyimagesearch.labelling.verdict import ANOMALY, NORMAL, UNREADABLE, Verdict
from pyimagesearch.reports import report_folder, thumbnails
from pyimagesearch.reports.heat_colours import legend
from pyimagesearch.reports.page_template import write_page
from pyimagesearch.reports.score_histogram import ScoreHistogram
from pyimagesearch.runtime import atomic_files, system
from pyimagesearch.runtime.console import UserError, printable
from pyimagesearch.runtime.ordered_queue import DIED
from pyimagesearch.runtime.system import with_slashes
from pyimagesearch.runtime.threads import chunked

MAX_PHOTOS = 200  # the highest scores have a photo in any report; in one file no others have
MAX_LISTED = 50_000
MAX_UNREADABLE_LISTED = 1_000
MAX_CLASSES = 30  # of defects

_CHUNK_ROWS = 64
_MEDIA_TYPES = {"photo": "image/jpeg", "heat": "image/png", "nearest": "image/jpeg"}
# The highest score first; of equal ones the image that was labelled first.
_ROWS = """
    SELECT images.id, name, label, score, p_value, photos.id, sheet, cell, width, height
    FROM images LEFT JOIN cells USING (id) LEFT JOIN photos USING (id)
    WHERE score IS NOT NULL ORDER BY score DESC, number LIMIT ?
"""
# id, name, label, score, p-value, reason
_Row = tuple[str, bytes, str, float | None, float | None, str | None]


@dataclass(frozen=True)
class JudgingModel:
    """What a page says about the model that judged its images.

    Attributes:
        name: of the model file, as the user named it.
        digest: ``ModelFile.scores_digest``.
        threshold: above which an item is an anomaly.
        calibration: (n,) float64 scores of normal items that the detector was not fitted on.
        discoveries: what the threshold was chosen for, where that is a false-discovery rate over
            the images of the page; or None.
        groups: of images that have thresholds of their own, where the model has some.
    """

    name: str
    digest: str
    threshold: float
    calibration: np.ndarray
    discoveries: FalseDiscoveries | None = None
    groups: ImageGroups | None = None


class ImagePage:
    """Collects the verdicts of a run and writes its page; memory does not grow with the run.

    A context manager: after an error the thumbnails of the unwritten page are removed, unless the
    run can be resumed.

    Args:
        path: a file, or a folder; ``report_folder.check``ed.
        run: digest of all that decides the verdicts and their thumbnails, where these are made
            while the images are labelled; None where that is known afterwards.
        resumable: whether a run can be resumed, so that its thumbnails are kept: an earlier run,
            when the context is entered, and this one after an error.
        linked: whether the images are files, to which the page can link.
        classes: of defects that an inspector may choose from; by default the folders that the
            images lie in, where one of them is called good, as a category of MVTec AD has it.

    Attributes:
        thumbnails: the folder to write thumbnails into while the images are labelled; None for a
            page that is one file, whose few thumbnails are written afterwards.
    """

    def __init__(
        self,
        path: str,
        run: str | None = None,
        resumable: Callable[[], bool] = lambda: False,
        linked: bool = True,
        classes: Sequence[str] = (),
    ) -> None:
        self._path = path
        self._run = run
        self._resumable = resumable
        self._linked = linked
        self._classes = list(classes)
        self._folders: set[str] = set()
        self._scores = array("d")
        self._counts = {NORMAL: 0, ANOMALY: 0, UNREADABLE: 0}
        self.thumbnails: str | None = None
        self._is_folder = report_folder.is_folder(path)
        self._lock = contextlib.ExitStack()
        self._created: list[str] = []
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
        for table in ("found", "wanted", "photos"):
            self._database.execute(f"CREATE TABLE {table} (id TEXT PRIMARY KEY)")
        self._unsaved: list[_Row] = []

    def __enter__(self) -> ImagePage:
        if self._is_folder:
            self._created = atomic_files.make_folders(self._path)
            try:
                self._lock.enter_context(atomic_files.locked_folder(self._path))
                self._goes_on = self._resumable()
                if self._run is not None:
                    self._claim_thumbnails(self._run)
            except OSError:
                self._lock.close()
                atomic_files.remove_empty(self._created)
                raise
        return self

    def _claim_thumbnails(self, run: str) -> None:
        slot = report_folder.choose_slot(self._path, run if self._goes_on else None)
        self.thumbnails = os.path.join(self._path, slot)
        self._created = report_folder.claim_slot(self.thumbnails, run) + self._created

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._lock:
            self._database.close()
            if kind is not None:
                if self.thumbnails is not None and not self._resumable():
                    self._remove_thumbnails(self.thumbnails)
                atomic_files.remove_empty(self._created)
        if kind is not None and not system.OPENS_FOLDERS:  # the lock was a file in one of them
            atomic_files.remove_empty(self._created)

    def _remove_thumbnails(self, slot: str) -> None:
        in_use = report_folder.slot_in_use(os.path.join(self._path, report_folder.INDEX))
        if in_use != os.path.basename(slot):
            # The error that ended the run is reported, not one of removing.
            with contextlib.suppress(OSError):
                report_folder.remove_thumbnails(slot)

    def add(self, verdict: Verdict) -> None:
        """Add the verdict on the next image."""
        self._counts[verdict.label] += 1
        if len(self._folders) <= MAX_CLASSES:
            self._folders.add(os.path.basename(os.path.dirname(verdict.image)))
        if verdict.score is not None:
            self._scores.append(verdict.score)
        self._unsaved.append(
            (
                thumbnails.thumbnail_id(verdict.image),
                os.fsencode(verdict.image),
                verdict.label,
                verdict.score,
                verdict.p_value,
                verdict.reason,
            )
        )
        if len(self._unsaved) == _CHUNK_ROWS:
            self._insert_unsaved()

    def _insert_unsaved(self) -> None:
        with _translated_disk_errors():
            self._database.executemany(
                "INSERT INTO images VALUES (NULL, ?, ?, ?, ?, ?, ?)", self._unsaved
            )
        self._unsaved.clear()

    def write_for(
        self,
        path: str,
        labeller: Labeller,
        notices: Sequence[str],
        make: thumbnails.ThumbnailMaker,
        run: str,
        discoveries: FalseDiscoveries | None = None,
    ) -> None:
        """``write`` the page of images that a labeller has model.

        Args:
            path: of the model file, as the user named it.
            labeller: that judged the images.
            notices, make, run: as of ``write``.
            discoveries: as of ``JudgingModel``.
        """
        name = printable(os.path.basename(path))
        model = JudgingModel(
            name,
            labeller.scores_digest,
            labeller.threshold,
            labeller.calibration,
            discoveries,
            labeller.groups,
        )
        self.write(model, notices, make, labeller.extractor.is_spatial, run)

    def write(
        self,
        model: JudgingModel,
        notices: Sequence[str],
        make: thumbnails.ThumbnailMaker,
        is_spatial: bool = False,
        run: str = "",
    ) -> None:
        """Write the page, and remove the pictures of the one that it replaces.

        Args:
            model: that judged the images.
            notices: sentences about the whole batch that the inspector must see.
            make: writes missing thumbnails.
            is_spatial: whether anomaly maps are of places: then they are drawn with an edge, and
                all anomalies have a photo, not only those of high scores.
            run: as of ``ImagePage``, which needs to be known now.

        Raises:
            OSError: it cannot be written.
        """
        self._insert_unsaved()
        with _translated_disk_errors():
            self._write(model, notices, make, is_spatial, run)

    def _write(
        self,
        model: JudgingModel,
        notices: Sequence[str],
        make: thumbnails.ThumbnailMaker,
        is_spatial: bool,
        run: str,
    ) -> None:
        if not self._is_folder:
            path = os.path.abspath(self._path)
            with atomic_files.scratch_folder(path, ".pictures") as folder:
                self._write_photos(folder, make, False)
                self._render(self._path, folder, model, notices, is_spatial)
            return
        if self.thumbnails is None:
            self._claim_thumbnails(run)
        self._write_sheets(self.thumbnails, make)
        self._write_photos(self.thumbnails, make, is_spatial)
        index = os.path.join(self._path, report_folder.INDEX)
        self._render(index, self.thumbnails, model, notices, is_spatial)
        self._remove_unused(self.thumbnails)

    def _write_photos(self, folder: str, make: thumbnails.ThumbnailMaker, is_spatial: bool) -> None:
        """Make the photos that are missing, and note those that belong to the page."""
        highest = self._database.execute(_ROWS, (MAX_PHOTOS,)).fetchall()
        missing = [
            os.fsdecode(name)
            for key, name, *_ in highest
            if thumbnails.read_note(folder, key) is None
        ]
        if missing:
            make(missing, folder, True)
        execute, fill = self._database.execute, self._database.executemany
        fill("INSERT INTO found VALUES (?)", ((name,) for name in thumbnails.photo_ids(folder)))
        fill("INSERT OR IGNORE INTO wanted VALUES (?)", ((key,) for key, *_ in highest))
        if is_spatial:
            anomalies = "SELECT id FROM images WHERE label = ?"
            execute(f"INSERT OR IGNORE INTO wanted {anomalies}", (ANOMALY,))
        execute("INSERT INTO photos SELECT id FROM found JOIN wanted USING (id)")

    def _write_sheets(self, folder: str, make: thumbnails.ThumbnailMaker) -> None:
        """Make the sheets that are missing, and note what each shows."""
        groups = {thumbnails.sheet_name(paths): paths for paths in self._groups()}
        missing = [p for name, p in groups.items() if thumbnails.read_sheet(folder, name) is None]
        # Whoever makes them takes so many images at once.
        whole = [p for p in missing if len(p) == thumbnails.PER_SHEET]
        others = [p for p in missing if len(p) < thumbnails.PER_SHEET]
        for paths in (list(itertools.chain.from_iterable(whole)), *others):
            if paths:
                make(paths, folder, False)
        self._sheets: list[tuple[str, int]] = []
        for name in groups:
            cells = thumbnails.read_sheet(folder, name)
            if cells is None:  # its images are gone
                continue
            self._database.executemany(
                "INSERT OR IGNORE INTO cells VALUES (?, ?, ?, ?, ?)",
                ((key, len(self._sheets), cell, *size) for cell, (key, *size) in enumerate(cells)),
            )
            self._sheets.append((name, -(-len(cells) // thumbnails.SHEET_COLUMNS)))

    def _groups(self) -> Iterator[list[str]]:
        """The images that a worker is given at once, whose thumbnails share a sheet.

        Where they are made as the images are labelled, that is decided by the images' order;
        those over which a worker died were given to none together with others.
        """
        if self._run is None:
            listed = self._database.execute(_ROWS, (MAX_LISTED,))
            for some in chunked(listed, thumbnails.PER_SHEET):
                yield [os.fsdecode(name) for _, name, *_ in some]
            return
        lowest = self._database.execute(
            "SELECT min(score) FROM (SELECT score FROM images WHERE score IS NOT NULL "
            "ORDER BY score DESC LIMIT ?)",
            (MAX_LISTED,),
        ).fetchone()[0]
        rows = self._database.execute("SELECT name, score, reason FROM images ORDER BY number")
        for some in chunked(rows, thumbnails.PER_SHEET):
            if any(score is not None and score >= lowest for _, score, _ in some):
                yield [os.fsdecode(name) for name, _, reason in some if reason != DIED]

    def _remove_unused(self, slot: str) -> None:
        """Remove all thumbnails of this report that the page does not name."""
        names = {name for name, _ in self._sheets}

        def is_used(name: str) -> bool:
            if name in names:
                return True
            key = thumbnails.photo_id_of(name)
            row = self._database.execute("SELECT 1 FROM photos WHERE id = ?", (key,)).fetchone()
            return row is not None

        report_folder.remove_unused(slot, is_used)
        for other in report_folder.SLOTS:
            if other != os.path.basename(slot):
                report_folder.remove_slot(os.path.join(self._path, other))

    def _render(
        self,
        path: str,
        folder: str,
        model: JudgingModel,
        notices: Sequence[str],
        is_spatial: bool,
    ) -> None:
        n_readable = self._counts[NORMAL] + self._counts[ANOMALY]
        scores = np.array(self._scores)
        is_one_file = not self._is_folder
        heat_colours, heat_marks = legend()
        root = _way_back(path) if self._linked else None
        settings = {
            "model": model.digest,
            "threshold": model.threshold,
            "counts": self._counts,
            "pictures": None if is_one_file else os.path.basename(folder),
            "cell": thumbnails.CELL,
            "columns": thumbnails.SHEET_COLUMNS,
            "outlineScale": thumbnails.OUTLINE_SCALE,
            "root": root,
            "classes": self._classes or self._folder_classes(),
            "csvColumns": inspector_verdicts.CSV_COLUMNS,
            "separator": os.sep,
            "heatColours": heat_colours,
            "heatMarks": heat_marks,
            "heatHasEdge": is_spatial,
        }
        identity = hashlib.sha256(model.digest.encode())
        groups = {} if model.groups is None else model.groups.members
        # Where each group has its own threshold, scores lie on no common axis.
        has_histogram = n_readable and not groups

        def rows() -> Iterator[list[object]]:
            for some in chunked(self._rows(folder, is_one_file), _CHUNK_ROWS):
                identity.update(json.dumps([row[:4] for row in some]).encode())
                yield some

        write_page(
            path,
            "images.html",
            model=model,
            counts=self._counts,
            n_readable=n_readable,
            alarms=thresholds.false_alarms(model.threshold, model.calibration, n_readable),
            notices=notices,
            groups=[
                (printable(name), group.threshold, group.false_alarm_rate)
                for name, group in groups.items()
            ],
            histogram=(
                ScoreHistogram.from_scores(scores, model.threshold) if has_histogram else None
            ),
            n_listed=min(n_readable, MAX_LISTED),
            n_photos=min(n_readable, MAX_PHOTOS) if is_one_file else None,
            slot=None if is_one_file else os.path.basename(folder),
            unreadable=self._unreadable(),
            settings=settings,
            sheets=[] if is_one_file else self._sheets,
            blocks=rows(),
            identity=lambda: identity.hexdigest()[:32],  # once all rows are written
        )

    def _folder_classes(self) -> list[str]:
        if mvtec.GOOD not in self._folders or len(self._folders) > MAX_CLASSES:
            return []
        return sorted(printable(name) for name in self._folders - {mvtec.GOOD, ""})

    def _rows(self, folder: str, is_one_file: bool) -> Iterator[list[object]]:
        listed = self._database.execute(_ROWS, (MAX_LISTED,))
        for key, name, label, score, p_value, photo, *cell in listed:
            yield [
                os.fsdecode(name),
                int(label == ANOMALY),
                score,
                p_value,
                0 if cell[0] is None else cell,
                0 if photo is None else self._photo(folder, key, is_one_file),
            ]

    def _photo(self, folder: str, key: str, is_one_file: bool) -> dict[str, object] | int:
        note = thumbnails.read_note(folder, key)
        if note is None:
            return 0
        found: dict[str, object] = {"size": note.size}
        for kind, name in thumbnails.photo_files(key, note).items():
            found[kind] = name
            if is_one_file:
                with open(os.path.join(folder, name), "rb") as file:
                    encoded = base64.b64encode(file.read()).decode()
                found[kind] = f"data:{_MEDIA_TYPES[kind]};base64,{encoded}"
        optional = {"why": note.why, "outline": note.outline, "place": note.nearest}
        return found | {name: value for name, value in optional.items() if value}

    def _unreadable(self) -> list[tuple[str, str]]:
        rows = self._database.execute(
            "SELECT name, reason FROM images WHERE score IS NULL ORDER BY number LIMIT ?",
            (MAX_UNREADABLE_LISTED,),
        )
        return [(printable(os.fsdecode(name)), printable(reason or "")) for name, reason in rows]


def _way_back(page: str) -> str | None:
    """The way from a page to the current folder, as in a link; None from another drive."""
    try:
        return with_slashes(os.path.relpath(".", os.path.dirname(page) or "."))
    except ValueError:
        return None


@contextlib.contextmanager
def _translated_disk_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise UserError(
            f"the list of a report's images cannot be written to the folder of temporary files "
            f"({error}); set TMPDIR to use another one"
        ) from error
