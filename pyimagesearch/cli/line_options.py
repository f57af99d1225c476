"""The options of what is done about verdicts as they come: --events, --on-anomaly and others."""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Self

from pyimagesearch.cli import arguments
from pyimagesearch.cli.argument_types import any_share, memory_size, whole_number
from pyimagesearch.labelling.verdict import ANOMALY, UNREADABLE
from pyimagesearch.line.event_record import REFUSED, EventRecord, Retention
from pyimagesearch.line.sinks import open_sink
from pyimagesearch.line.station import DRIFT, Drift, Sink, Station
from pyimagesearch.line.target_url import is_url
from pyimagesearch.runtime import locks
from pyimagesearch.runtime.console import UserError, counted, info, printable, warn

_OPTIONS = {"--on-anomaly": ANOMALY, "--on-unreadable": UNREADABLE, "--on-drift": DRIFT}
LOCK = "-lock"  # behind the record's name


@dataclass(frozen=True)
class EventOptions:
    """What is recorded of verdicts, and where they are reported.

    Attributes:
        events: the file of the record, or None.
        retention: of the pictures in it.
        evidence_of_normal: share of the normal images, 0 to 1, whose pictures are kept.
        reported: commands and URLs, by the option that gives them.
        message_picture: whether messages have a picture in them.
    """

    events: str | None = None
    retention: Retention = field(default_factory=Retention)
    evidence_of_normal: float = 0.0
    reported: tuple[tuple[str, str], ...] = ()
    message_picture: bool = False

    @classmethod
    def from_args(cls, args: argparse.Namespace) -> Self:
        given = {option: getattr(args, option[2:].replace("-", "_")) for option in _OPTIONS}
        return cls(
            events=args.events,
            retention=Retention(args.keep_days, args.keep_bytes),
            evidence_of_normal=args.evidence_of_normal,
            reported=tuple((name, text) for name, text in given.items() if text is not None),
            message_picture=args.message_picture,
        )

    @property
    def evidence(self) -> float | None:
        """``evidence_of_normal`` of ``JudgingJob``: None where nothing is recorded."""
        return None if self.events is None else self.evidence_of_normal


def add_events(ap: argparse.ArgumentParser, when: str = "") -> None:
    """Add what says where verdicts are recorded and reported: ``EventOptions``.

    Args:
        ap: where to.
        when: begins the help of those that a script has in one of its ways to run only.
    """
    group = arguments.add_group(
        ap,
        "events",
        "A URL is http(s)://HOST/PATH, to which JSON is posted, or mqtt(s)://HOST/TOPIC; messages "
        "wait in the record of --events until they are acknowledged. $NAME in it stands for a "
        "variable of the environment, such as a password's",
    )
    group.add_argument(
        "--on-anomaly",
        metavar="COMMAND|URL",
        help=f"{when}run this command for each anomaly, or send a message there; {{}} stands for "
        "the image, and $ANOMALY_IMAGE, $ANOMALY_SCORE and $ANOMALY_P_VALUE are set; it may take a "
        "minute",
    )
    group.add_argument(
        "--on-unreadable",
        metavar="COMMAND|URL",
        help=f"{when}the same for each image that cannot be read; $ANOMALY_REASON says why",
    )
    group.add_argument(
        "--on-drift",
        metavar="COMMAND|URL",
        help=f"{when}the same when scores drift; $ANOMALY_NOTICE says how",
    )
    group.add_argument(
        "--message-picture",
        action="store_true",
        help="messages have the picture of the anomaly map in them, as JPEG in base64",
    )
    group.add_argument(
        "--events",
        metavar="FILE",
        help=f"{when}record each verdict in this database, with the pictures of anomalies",
    )
    group.add_argument(
        "--evidence-of-normal",
        type=any_share,
        default=0.0,
        metavar="SHARE",
        help="share of the normal images that are kept there, too (default: 0)",
    )
    group.add_argument(
        "--keep-days",
        type=whole_number(1),
        metavar="N",
        help="days after which pictures are removed from it; verdicts stay (default: never)",
    )
    group.add_argument(
        "--keep-bytes",
        type=memory_size,
        default=Retention().n_bytes,
        metavar="SIZE",
        help="size of all its pictures; beyond, the oldest are removed (default: 1GB)",
    )


@contextlib.contextmanager
def open_record(options: EventOptions) -> Iterator[EventRecord | None]:
    """Open the record of --events, which one process at a time adds to.

    Raises:
        UserError: it is no record, or another process adds to it.
        OSError: it cannot be opened.
    """
    if options.events is None:
        yield None
        return
    lock = options.events + LOCK
    handle, _ = locks.open_locked(
        lock, lambda path: os.open(path, os.O_RDWR | os.O_CREAT, 0o666), options.events
    )
    try:
        with EventRecord(options.events, options.retention) as record:
            yield record
    finally:
        with contextlib.suppress(OSError):
            os.unlink(lock)
        os.close(handle)


def make_station(
    options: EventOptions, record: EventRecord | None, drift: Drift | None = None
) -> Station:
    """Make what does the rest about each finding: a context, that ends before the record does.

    Args:
        options: what is to be done.
        record: of events, or None.
        drift: as of ``Station``.

    Raises:
        UserError: there is no such command, or a URL cannot be used.
    """
    sinks: dict[str, Sink] = {}
    urls: dict[str, Sink] = {}
    for option, text in options.reported:
        if text not in urls or not is_url(text):
            sink = open_sink(option, text, record, options.message_picture)
            # Messages wait by what may be shown of a URL.
            if sink.target is not None and sink.target in {sink.target for sink in urls.values()}:
                raise UserError(
                    f"{option} {sink.name}: another option has a URL that differs in its password "
                    "or query alone"
                )
            urls[text] = sink
        sinks[_OPTIONS[option]] = urls[text]
    if record is not None:
        _report_waiting(record, {sink.target for sink in sinks.values()})
    return Station(record, sinks, drift)


def _report_waiting(record: EventRecord, targets: set[str | None]) -> None:
    """Say what waits from earlier runs."""
    name = printable(record.path)
    for target, count in record.waiting().items():
        messages = counted(count, "message")
        if target in targets:
            info(f"{name}: {messages} to {printable(target)} from an earlier run")
        elif target.endswith(REFUSED):
            warn(f"{name}: {messages} set aside: {printable(target)}")
        else:
            warn(
                f"{name}: {messages} to {printable(target)}, which none of the options names, "
                "stay there"
            )
