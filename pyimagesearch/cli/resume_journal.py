"""The journal of a labelling run: what is done is not done again after a kill.

Next to the first file of results lies its journal, ``FILE.journal``: a line of JSON that says which
run it is of, and one for each verdict, in the order of the images. A resumed run takes the
verdicts from there as if it had just come to them, so that its results are those of one quiet run,
byte for byte. Where it goes by names, the verdicts of the journal come first, whatever became of
their images, and then those on images that it does not name. A run with ``--resume`` leaves its
journal when it is done: the next one adds what came since. Without, the journal of a run that is
done goes.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np

from pyimagesearch import __version__
from pyimagesearch.labelling.capture_conditions import CONDITIONS
from pyimagesearch.labelling.verdict import Verdict
from pyimagesearch.reports.rows import json_row, parse_json_row
from pyimagesearch.runtime.atomic_files import PARTIAL, RowFile, check_replaceable_file, open_rows
from pyimagesearch.runtime.console import UserError, info, printable

JOURNAL = ".journal"
FORMAT = "pyimagesearch labelling journal"
FORMAT_VERSION = 1
# A power cut loses at most the rows of this time, and those that were under way.
SECONDS_UNSYNCED = 1.0
# The workers of a killed run, which hold its lock, too, need a moment to end.
_SECONDS_TO_END = 0.5
_SAID = {
    "model": "another model",
    "threshold": "another threshold",
    "group_thresholds": "other thresholds",
    "inputs": "other inputs",
    "output": "another output folder",
    "version": "another version of this program",
}
_WITHOUT = "without --resume a new one replaces it"


def described(
    model: str,
    threshold: float,
    inputs: Sequence[str],
    output: str | None,
    group_thresholds: Sequence[float] = (),
    extrapolates: bool = False,
) -> dict:
    """Everything that decides a run's rows, as JSON types.

    Args:
        model: digest of the model, see ``model_file.ModelFile``.
        threshold: the score above which an image is an anomaly.
        inputs: files and folders as they were given.
        output: folder or file of labelled pictures.
        group_thresholds: of a model that has groups.
        extrapolates: whether p-values that cannot be promised are estimated.
    """
    return {
        "model": model,
        "threshold": float(threshold),
        **({"group_thresholds": list(group_thresholds)} if group_thresholds else {}),
        **({"extrapolates": True} if extrapolates else {}),
        # The names in the rows are as they were given; the same names elsewhere are other images.
        "inputs": [[name, os.path.abspath(name)] for name in inputs],
        "output": None if output is None else os.path.abspath(output),
        "version": __version__,
    }


class Journal:
    """Keeps what is done; use it as a context around the whole run.

    Args:
        results: the files of rows that the run will write; the journal lies next to the first.
            Without any, none is kept.
        run: see ``described``; made only where it is needed.
        images: all images of the run; taken only as fast as they are done.
        resume: whether to continue from an existing journal, or to replace it.
        by_name: whether to label what the journal does not name, in place of what comes after it.

    Attributes:
        n_resumed: verdicts that are taken from the journal.

    Raises:
        UserError: when the context is entered: the journal is of another run or of other images,
            or in use. Then nothing has been changed.
        OSError: it cannot be written.
    """

    def __init__(
        self,
        results: Sequence[str | None],
        run: Callable[[], dict],
        images: Iterable[str],
        resume: bool,
        by_name: bool = False,
    ) -> None:
        self._results = [path for path in results if path is not None]
        self._run = run
        self._images = iter(images)
        self._resume = resume
        self._by_name = by_name
        self._file: RowFile | None = None
        self._synced = time.monotonic()
        self._n_done = 0
        self.n_resumed = 0

    def __enter__(self) -> Self:
        if not self._results:
            return self
        for result in self._results:
            check_replaceable_file(result)
        with contextlib.ExitStack() as stack:
            self._file = open_journal(self._results[0])
            stack.callback(self._file.close)
            stack.push(self._remove_unless_begun)
            self._begin(self._file)
            self._whole = self._check_images(self._file)
            stack.pop_all()
        return self

    def _remove_unless_begun(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and not self._file.size:
            self._file.remove()

    def _begin(self, file: RowFile) -> None:
        run = self._run()
        before = read_run(file.path)
        name = printable(file.path)
        if self._resume and before is not None:
            check_same(file.path, before, run)
            return
        if self._resume:
            info(f"{name} is not there: nothing to resume, starting from the beginning")
        if not self._resume and os.path.exists(self._results[0] + PARTIAL):
            info(
                f"{printable(self._results[0] + PARTIAL)}: left by an interrupted run, and "
                "replaced; --resume would continue it"
            )
        begin(file, run)

    def _check_images(self, file: RowFile) -> int:
        """Take the images that are done; the number of bytes up to the end of the last row.

        All of them before the first is given on, so that a run that is refused has not begun.
        """
        whole, done = 0, set()
        for verdict, end in _rows(file.path):
            whole = end
            if verdict is None:
                continue
            if self._by_name:
                done.add(verdict.image)
            else:
                self._check_name(verdict.image, next(self._images, None))
            self.n_resumed += 1
        if done:
            self._images = (image for image in self._images if image not in done)
        self._n_done = self.n_resumed
        return whole

    @property
    def holds_rows(self) -> bool:
        """Whether there is anything that a run could continue from."""
        return self._n_done > 0

    def verdicts(self, label: Callable[[Iterator[str]], Iterator[Verdict]]) -> Iterator[Verdict]:
        """The verdict on each image, in the images' order: from the journal, then new ones.

        Closing it ends the work.

        Args:
            label: labels the images that are left; verdicts in their order.

        Raises:
            OSError: the journal cannot be written.
        """
        if self._file is None:
            yield from label(self._images)
            return
        yield from (verdict for verdict, _ in _rows(self._file.path) if verdict is not None)
        self._file.truncate(self._whole)
        following = list(itertools.islice(self._images, 1))
        if self.n_resumed:
            info(
                f"going on after {self.n_resumed:,} images"
                if following
                else f"all {self.n_resumed:,} images are done: nothing is left to label"
            )
        with contextlib.closing(label(itertools.chain(following, self._images))) as new:
            for verdict in new:
                self._file.write(written_row(verdict))
                self._n_done += 1
                self._sync_in_time(self._file)
                yield verdict
        self._file.sync()

    def _check_name(self, done: str, now: str | None) -> None:
        if done != now:
            has_now = "no more images" if now is None else printable(now)
            raise UserError(
                f"{printable(self._results[0] + JOURNAL)}: its row {self.n_resumed + 1:,} is of "
                f"{printable(done)}, where the inputs now have {has_now}: images came or went "
                f"since that run; --resume-by name goes on with those that it does not name, and "
                f"{_WITHOUT}"
            )

    def _sync_in_time(self, file: RowFile) -> None:
        if time.monotonic() - self._synced > SECONDS_UNSYNCED:
            file.sync()
            self._synced = time.monotonic()

    def __exit__(self, kind: type[BaseException] | None, *error: Any) -> None:
        if self._file is None:
            return
        self._file.close()
        is_over = kind is None and not self._resume
        if is_over or not self.holds_rows:
            for path in (self._file.path, *(result + PARTIAL for result in self._results)):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
            return
        if kind is not None:
            # Counted in the file: Ctrl-C may have come between a row and counting it.
            info(f"{_n_rows(self._file.path):,} images are done; --resume continues from there")


def open_journal(result: str) -> RowFile:
    """Open the journal next to a file of results, as it is, for this run alone.

    Raises:
        UserError: another run has it open.
        OSError: it cannot be opened; with ``result`` as its file name.
    """
    file = open_rows(result + JOURNAL, result)
    until = time.monotonic() + _SECONDS_TO_END
    while not file.lock():
        if time.monotonic() > until:
            file.close()
            raise UserError(f"{printable(result)}: another run is writing it")
        time.sleep(_SECONDS_TO_END / 50)
    return file


def begin(file: RowFile, run: dict) -> None:
    """Empty a journal but for the line that says which run it is of.

    Raises:
        OSError: it cannot be written.
    """
    file.truncate(0)  # first, so that at no time rows of another run stand under this one's line
    first = {"format": FORMAT, "format_version": FORMAT_VERSION, "run": run}
    file.write((json.dumps(first) + "\n").encode())


def read_run(path: str) -> dict | None:
    """Which run a journal is of; None where it is empty, or was killed before it could say.

    Raises:
        UserError: it is no journal, or of a newer format.
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        line = file.readline()
    start = json.dumps({"format": FORMAT})[:-1].encode()
    if not line.endswith(b"\n") and start.startswith(line.rstrip(b"\0")[: len(start)]):
        return None
    try:
        first = json.loads(line)
        if first["format"] != FORMAT or not isinstance(first["run"], dict):
            raise ValueError(first["format"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{printable(path)}: not the journal of a labelling run") from error
    if first.get("format_version") != FORMAT_VERSION:
        raise UserError(
            f"{printable(path)}: written in another format version; delete it to start anew"
        )
    return first["run"]


def check_same(path: str, before: dict, run: dict) -> None:
    """Refuse to continue another run.

    Args:
        path: of the journal.
        before: the run that it is of.
        run: the one that is to continue.

    Raises:
        UserError: they differ.
    """
    differing = [said for name, said in _SAID.items() if before.get(name) != run.get(name)]
    if differing or before != run:
        reasons = ", ".join(differing) or "other options"
        raise UserError(f"{printable(path)}: that run was begun with {reasons}; {_WITHOUT}")


def _rows(path: str) -> Iterator[tuple[Verdict | None, int]]:
    """The whole rows of a journal, each with the number of bytes up to its end.

    The line that says which run it is of comes as None.
    """
    with open(path, "rb") as file:
        whole = len(file.readline())
        yield None, whole
        for line in file:
            try:
                verdict = parse_row(line)
            except ValueError:  # what was being written when the run was killed
                return
            whole += len(line)
            yield verdict, whole


def _n_rows(path: str) -> int:
    """Number of whole rows of a journal."""
    with open(path, "rb") as file:
        return max(sum(line.endswith(b"\n") for line in file) - 1, 0)


def written_row(verdict: Verdict) -> bytes:
    """A line of JSON from which ``parse_row`` makes the same verdict, bit for bit."""
    # Whether the batch has shifted must not depend on where it was interrupted.
    measured = verdict.conditions
    more = {} if measured is None else {"conditions": measured.astype("<f4").tobytes().hex()}
    return json_row(verdict, **more).encode()


def parse_row(line: bytes) -> Verdict:
    """The verdict that ``written_row`` wrote.

    Raises:
        ValueError: it is no such line, or not a whole one.
    """
    verdict, more = parse_json_row(line)
    measured = more.pop("conditions", None)
    if more or not (measured is None or isinstance(measured, str)):
        raise ValueError("not a row of a journal")
    if measured is None:
        return verdict
    conditions = np.frombuffer(bytes.fromhex(measured), "<f4")
    if len(conditions) != len(CONDITIONS):
        raise ValueError("not a row of a journal")
    return replace(verdict, conditions=conditions)
