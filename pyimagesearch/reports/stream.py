"""What is written of rows that come one by one: alarms as CSV, and all that happens as JSON."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from pyimagesearch.labelling.stream import Gap, RowVerdict
from pyimagesearch.labelling.verdict import ANOMALY
from pyimagesearch.reports.rows import csv_cell, csv_line
from pyimagesearch.reports.series import range_columns
from pyimagesearch.runtime.atomic_files import RowFile, check_replaceable_file
from pyimagesearch.runtime.console import UserError, printable

GAP, GAP_END, HEARTBEAT = "gap", "gap_end", "heartbeat"  # events that are no row
_LAST_BYTES = 1_000_000


def alarm_columns(has_event: bool) -> tuple[str, ...]:
    """The names of the cells of ``alarm_line`` and ``gap_line``."""
    return (*range_columns(), *(["event"] if has_event else []))


def alarm_line(verdict: RowVerdict, has_event: bool) -> str:
    """One line of CSV for an anomaly, in the form of a range of one row."""
    times = itertools.repeat(csv_cell(verdict.time), 3)
    event = [ANOMALY] if has_event else []
    return csv_line((*times, f"{verdict.score:.6g}", f"{verdict.p_value:.6g}", *event))


def gap_line(gap: Gap) -> str:
    """One line of CSV for a gap, or for its end: without a peak or a score."""
    return csv_line((csv_cell(gap.start), csv_cell(gap.end or ""), "", "", "", gap_event(gap)))


def gap_event(gap: Gap) -> str:
    """What has happened: ``GAP`` or ``GAP_END``."""
    return GAP if gap.end is None else GAP_END


def row_fields(verdict: RowVerdict) -> dict[str, Any]:
    """What a line of JSON says of a row: as of whole series, and why it is unreadable."""
    fields = {
        "row": verdict.row,
        "time": verdict.time,
        "label": verdict.label,
        "score": verdict.score,
        "smoothed_score": verdict.score,
        "p_value": verdict.p_value,
    }
    return fields if verdict.reason is None else fields | {"reason": verdict.reason}


def gap_fields(gap: Gap) -> dict[str, Any]:
    """What a line of JSON says of a gap."""
    seconds = round(gap.seconds, 3)
    return {"event": gap_event(gap), "start": gap.start, "end": gap.end, "seconds": seconds}


class GrowingJson:
    """A file of lines of JSON that every run adds to, each line at once and whole.

    Args:
        path: of the file. Of a line that a killed run has begun, nothing stays.

    Raises:
        UserError: it holds something else, or another run writes it.
        OSError: it cannot be written.
    """

    def __init__(self, path: str) -> None:
        check_replaceable_file(path)
        self._file = RowFile(path)
        try:
            if not self._file.lock():
                raise UserError(f"{printable(path)}: another run is adding to it")
            self._file.truncate(_end_of_lines(path))
        except BaseException:
            self._file.close()
            raise

    def write(self, fields: Mapping[str, Any]) -> None:
        """Add a line."""
        self._file.write((json.dumps(fields) + "\n").encode())

    def close(self) -> None:
        """Close it, and remove it if it holds nothing."""
        if not self._file.size:
            with contextlib.suppress(OSError):
                self._file.remove()
        self._file.close()


def _end_of_lines(path: str) -> int:
    """The bytes of a file up to the end of its last whole line; its first and last are checked."""
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - _LAST_BYTES, 0))
        last = file.read(_LAST_BYTES)
        file.seek(0)
        first = file.readline(_LAST_BYTES)
    whole = size - len(last) + last.rfind(b"\n") + 1 if b"\n" in last else 0
    lines = last[: last.rfind(b"\n") + 1].splitlines()
    if size and not all(_is_event(line) for line in [first, *lines[-1:]]):
        raise UserError(
            f"{printable(path)}: not lines as --follow writes them, so none are added: name "
            "another file with --json"
        )
    return whole


def _is_event(line: bytes) -> bool:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(fields, dict) and ("row" in fields or "event" in fields)


@contextlib.contextmanager
def growing_json(path: str | None) -> Iterator[GrowingJson | None]:
    """A ``GrowingJson`` that is closed in the end; None without a path."""
    if path is None:
        yield None
        return
    with contextlib.closing(GrowingJson(path)) as file:
        yield file
