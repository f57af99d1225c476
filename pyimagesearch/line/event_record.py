"""The record of a line: each verdict once, what is still to be sent, and pictures as evidence.

One SQLite file. A verdict, its evidence and the messages about it are written in one transaction,
which is on the disk before anybody is told of it: after a power cut each verdict that was
acknowledged is there once, and what had to be said of it is said. (The transactional outbox of
Richardson, Microservices Patterns, 2018, chapter 3.)
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from pyimagesearch.labelling.verdict import LABELS, UNREADABLE
from pyimagesearch.line.event import Event, regions, text_of_time
from pyimagesearch.line.judging import Finding, Place
from pyimagesearch.runtime.console import UserError, printable

APPLICATION_ID = 0x616E6F6D  # "anom": of SQLite's header, so that other databases are told apart
FORMAT_VERSION = 1
IMAGE, OVERLAY = "image", "overlay"  # kinds of evidence
REFUSED = " (refused)"  # ends the targets of messages that are set aside
MOST_UNSENT = 100_000
_SECONDS_FOR_OTHERS = 10.0
_AFTER_ALL = "\U0010ffff"  # behind the text of any time
_AT_ONCE = 10_000  # verdicts that are read together
_PICTURES_AT_ONCE, _PAGES_AT_ONCE = 10, 250  # that are removed together
_TABLES = """
create table verdicts (
    number integer primary key,
    id text not null unique,
    time text not null,
    source text not null,
    image text not null,
    label text not null,
    score real,
    p_value real,
    reason text,
    threshold real not null,
    model text not null,
    ms real not null,
    regions text not null,
    outside text,
    extrapolated integer not null default 0
);
create index verdicts_by_time on verdicts (time);
create index verdicts_by_image on verdicts (source, image);
create table evidence (
    number integer primary key,
    verdict integer not null references verdicts,
    kind text not null,
    content blob not null
);
create index evidence_by_verdict on evidence (verdict);
create table unsent (
    number integer primary key,
    target text not null,
    id text not null,
    body blob not null
);
create index unsent_by_target on unsent (target, number);
create table state (name text primary key, content text not null);
"""
_COLUMNS = (
    *("id", "time", "source", "image", "label", "score", "p_value", "reason"),
    *("threshold", "model", "ms", "regions", "outside", "extrapolated"),
)
# Columns that records of the first versions lack. The format's version stays: a program that does
# not know them goes on with the record, too.
_LATER_COLUMNS = {"outside": "text", "extrapolated": "integer not null default 0"}


@dataclass(frozen=True)
class Retention:
    """How much evidence is kept; verdicts are kept for ever.

    Attributes:
        days: after which a picture goes; None keeps it.
        n_bytes: of all pictures; beyond, the oldest go.
    """

    days: float | None = None
    n_bytes: int = 1_000_000_000


@dataclass(frozen=True)
class Message:
    """What is to be sent to a target.

    Attributes:
        number: of the record; later ones are higher.
        id: of its event.
        body: bytes of JSON.
    """

    number: int
    id: str
    body: bytes


class EventRecord:
    """The record in a file; its methods may be called from any thread, and it is a context.

    Args:
        path: of the file; made where there is none.
        retention: of evidence.

    Raises:
        UserError: the file is no such record, or one of a later version.
        OSError: it cannot be opened.
    """

    def __init__(self, path: str, retention: Retention = Retention()) -> None:
        self.path = path
        self._retention = retention
        self._lock = threading.RLock()
        self._n_bytes: int | None = None  # of the evidence, once it was measured
        is_new = not os.path.exists(path) or os.path.getsize(path) == 0
        with self._reported():
            # Python's own transactions begin at times of its choosing: here they are explicit.
            self._connection = sqlite3.connect(
                path, _SECONDS_FOR_OTHERS, isolation_level=None, check_same_thread=False
            )
            try:
                self._open(is_new)
            except BaseException:
                self._connection.close()
                raise

    def _open(self, is_new: bool) -> None:
        run = self._connection.execute
        if is_new:
            run("pragma auto_vacuum = incremental")
        else:
            self._check()
        run("pragma journal_mode = wal")
        run("pragma synchronous = full")  # a transaction that has ended survives a power cut
        run("pragma foreign_keys = on")
        with self._transaction():
            if run("pragma user_version").fetchone()[0] == 0:
                for statement in filter(str.strip, _TABLES.split(";")):
                    run(statement)
                run(f"pragma application_id = {APPLICATION_ID}")
                run(f"pragma user_version = {FORMAT_VERSION}")
            there = {name for _, name, *_ in run("pragma table_info(verdicts)")}
            for name, kind in _LATER_COLUMNS.items():
                if name not in there:
                    run(f"alter table verdicts add column {name} {kind}")

    def _check(self) -> None:
        application, version = (
            self._connection.execute(f"pragma {name}").fetchone()[0]
            for name in ("application_id", "user_version")
        )
        if application != APPLICATION_ID and (application or version):
            raise UserError(f"{printable(self.path)}: a database, but no record of --events")
        if not application and self._connection.execute("select 1 from sqlite_master").fetchone():
            raise UserError(f"{printable(self.path)}: a database, but no record of --events")
        if version > FORMAT_VERSION:
            raise UserError(f"{printable(self.path)}: written by a later version of this program")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._connection.close()

    @contextlib.contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise UserError(f"{printable(self.path)}: {error}") from error

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock, self._reported():
            self._connection.execute("begin immediate")
            try:
                yield
                self._connection.execute("commit")
            except BaseException:
                if self._connection.in_transaction:  # a full disk may have ended it
                    self._connection.execute("rollback")
                raise

    def add(self, event: Event, finding: Finding, targets: Sequence[str] = ()) -> int:
        """Add a verdict, its evidence, and a message to each target; when this ends, it is safe.

        Where a target has ``MOST_UNSENT`` messages, its oldest goes.

        Args:
            event: the verdict's.
            finding: with the evidence, where some is kept.
            targets: that are to be told.

        Returns:
            The number of messages that went unsent.

        Raises:
            UserError: it cannot be written.
        """
        values = event.fields() | {"regions": json.dumps(regions(event.places))}
        marks = ", ".join("?" * len(_COLUMNS))
        with self._transaction():
            number = self._connection.execute(
                f"insert into verdicts ({', '.join(_COLUMNS)}) values ({marks})",
                [values[name] for name in _COLUMNS],
            ).lastrowid
            for kind, content in ((IMAGE, finding.evidence), (OVERLAY, finding.overlay)):
                if content is not None:
                    self._connection.execute(
                        "insert into evidence (verdict, kind, content) values (?, ?, ?)",
                        (number, kind, content),
                    )
            body = event.as_json().encode()
            n_lost = sum(self._add_message(target, event.id, body) for target in targets)
        if self._n_bytes is not None:
            self._n_bytes += sum(map(len, filter(None, (finding.evidence, finding.overlay))))
        return n_lost

    def add_message(self, id: str, body: bytes, targets: Sequence[str]) -> int:
        """Add a message that is about no single verdict: as ``add``."""
        with self._transaction():
            return sum(self._add_message(target, id, body) for target in targets)

    def _add_message(self, target: str, id: str, body: bytes) -> int:
        run = self._connection.execute
        run("insert into unsent (target, id, body) values (?, ?, ?)", (target, id, body))
        return run(
            "delete from unsent where target = ? and number <= (select number from unsent "
            "where target = ? order by number desc limit 1 offset ?)",
            (target, target, MOST_UNSENT),
        ).rowcount

    def next_message(self, target: str) -> Message | None:
        """The oldest message that a target has not acknowledged."""
        row = self._query(
            "select number, id, body from unsent where target = ? order by number limit 1", target
        )
        return Message(*row[0]) if row else None

    def acknowledge(self, message: Message) -> None:
        """Take note that a message has arrived: it is never sent again."""
        with self._transaction():
            self._connection.execute("delete from unsent where number = ?", (message.number,))

    def set_aside(self, message: Message) -> None:
        """Keep a message that its target refuses, but send it no more."""
        with self._transaction():
            self._connection.execute(
                "update unsent set target = target || ? where number = ?",
                (REFUSED, message.number),
            )

    def waiting(self) -> dict[str, int]:
        """How many messages wait for each target; ``REFUSED`` ends the names of set-aside ones."""
        return dict(self._query("select target, count(*) from unsent group by target"))

    def n_unsent(self, target: str) -> int:
        """How many messages wait for a target."""
        return self._query("select count(*) from unsent where target = ?", target)[0][0]

    def images_of(self, source: str) -> set[str]:
        """The names of the images of a source that have a verdict."""
        return {row[0] for row in self._query("select image from verdicts where source=?", source)}

    def evidence_of(self, id: str, kind: str) -> bytes | None:
        """A picture of an event: ``IMAGE`` or ``OVERLAY``; None where it is not kept (any more)."""
        rows = self._query(
            "select content from evidence join verdicts on verdict = verdicts.number "
            "where id = ? and kind = ?",
            id,
            kind,
        )
        return rows[0][0] if rows else None

    def events(
        self, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[Event]:
        """The verdicts of a stretch of time, in their order.

        Args:
            since: the first moment; None is that of the first verdict.
            until: the first moment after it; None is after the last verdict.
        """
        last, more = 0, True
        while more:
            rows = self._query(
                f"select number, {', '.join(_COLUMNS)} from verdicts "
                "where time >= ? and time < ? and number > ? order by number limit ?",
                "" if since is None else text_of_time(since),
                _AFTER_ALL if until is None else text_of_time(until),
                last,
                _AT_ONCE,
            )
            for number, *row in rows:
                last = number
                try:
                    event = _event(dict(zip(_COLUMNS, row, strict=True)))
                except (ValueError, TypeError) as error:
                    raise UserError(
                        f"{printable(self.path)}: verdict {number:,} is not as this program "
                        "writes them"
                    ) from error
                yield event
            more = len(rows) == _AT_ONCE

    def p_values_of(self, model: str) -> dict[float, int]:
        """How many verdicts of a model have each p-value.

        Args:
            model: its SHA-256.

        Raises:
            UserError: it cannot be read, or has one that is none.
        """
        found = self._query(
            "select p_value, count(*) from verdicts where model = ? and p_value is not null "
            "group by p_value",
            model,
        )
        for value, _ in found:
            if not (isinstance(value, float) and 0 <= value <= 1):
                raise UserError(
                    f"{printable(self.path)}: a p-value is not as this program writes them"
                )
        return dict(found)

    def state(self, name: str) -> str | None:
        """A text that was kept under a name."""
        rows = self._query("select content from state where name = ?", name)
        return rows[0][0] if rows else None

    def keep_state(self, name: str, content: str) -> None:
        """Keep a text under a name."""
        with self._transaction():
            self._connection.execute("insert or replace into state values (?, ?)", (name, content))

    def prune(self) -> bool:
        """Remove some of the evidence that is no longer kept, or give some of its space back.

        What others add waits for moments alone, however much there is to be removed.

        Returns:
            Whether there may be more of it.

        Raises:
            UserError: it cannot be removed.
        """
        if self._n_bytes is None:
            self._measure()
        if self._prune_some():
            return True
        with self._lock, self._reported():
            n_free = self._connection.execute("pragma freelist_count").fetchone()[0]
            if n_free:
                # Only a script does more than one step of it.
                self._connection.executescript(f"pragma incremental_vacuum({_PAGES_AT_ONCE})")
            if 0 < n_free <= _PAGES_AT_ONCE:
                self._connection.execute("pragma wal_checkpoint").fetchone()
        return n_free > _PAGES_AT_ONCE

    def _measure(self) -> None:
        """Find out the size of the evidence, while more is added."""
        with self._lock:
            last = self._query("select coalesce(max(number), 0) from evidence")[0][0]
            self._n_bytes = 0
        with self._reported(), contextlib.closing(sqlite3.connect(self.path)) as reader:
            (size,) = reader.execute(
                "select coalesce(sum(length(content)), 0) from evidence where number <= ?", (last,)
            ).fetchone()
        with self._lock:
            self._n_bytes += size

    def _prune_some(self) -> int:
        """Remove some pictures, the oldest first; how many."""
        days = self._retention.days
        oldest = "" if days is None else text_of_time(datetime.now(UTC) - timedelta(days=days))
        with self._lock:
            size, gone = self._n_bytes, []
            for number, n_bytes, time in self._query(
                "select evidence.number, length(content), time from evidence join verdicts "
                "on verdict = verdicts.number order by evidence.number limit ?",
                _PICTURES_AT_ONCE,
            ):
                if size <= self._retention.n_bytes and time >= oldest:
                    break
                gone.append(number)
                size -= n_bytes
            if gone:
                with self._transaction():
                    self._connection.execute("delete from evidence where number <= ?", (gone[-1],))
                self._n_bytes = size
        return len(gone)

    def _query(self, statement: str, *values: object) -> list[Any]:
        with self._lock, self._reported():
            return self._connection.execute(statement, values).fetchall()


def _event(values: dict[str, Any]) -> Event:
    """The event of a row; raises ``ValueError`` or ``TypeError`` where it is none."""
    texts = [values[name] for name in ("id", "time", "source", "image", "label", "model")]
    numbers = [values[name] for name in ("threshold", "ms")]
    judged = [values[name] for name in ("score", "p_value")]
    if values["label"] != UNREADABLE:
        numbers += judged
    elif judged != [None, None]:
        raise ValueError("a score of what is unreadable")
    if values["outside"] is not None:
        texts.append(values["outside"])
    if values["extrapolated"] not in (0, 1):
        raise ValueError("neither true nor false")
    values["extrapolated"] = bool(values["extrapolated"])
    if not all(isinstance(one, str) for one in texts) or values["label"] not in LABELS:
        raise ValueError("not a text")
    if not all(isinstance(one, float) and math.isfinite(one) for one in numbers):
        raise ValueError("not a number")
    datetime.fromisoformat(values["time"])
    places = tuple(Place(**one) for one in json.loads(values.pop("regions")))
    return Event(**values, places=places)
