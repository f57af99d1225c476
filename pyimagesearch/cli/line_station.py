"""Open what --events, --on-anomaly and the like ask for: see ``line_options``."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from pyimagesearch.cli.line_options import OPTIONS, EventOptions
from pyimagesearch.line.event_record import REFUSED, EventRecord, Retention
from pyimagesearch.line.sinks import open_sink
from pyimagesearch.line.station import DRIFT, OCCASIONS, Sink, Station
from pyimagesearch.line.target_url import is_url
from pyimagesearch.runtime import locks
from pyimagesearch.runtime.console import UserError, counted, info, printable, warn

LOCK = "-lock"  # behind the record's name
_OCCASIONS = dict(zip(OPTIONS, OCCASIONS, strict=True))


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
    retention = Retention(options.keep_days, options.keep_bytes)
    lock = options.events + LOCK
    handle, _ = locks.open_locked(
        lock, lambda path: os.open(path, os.O_RDWR | os.O_CREAT, 0o666), options.events
    )
    try:
        with EventRecord(options.events, retention) as record:
            yield record
    finally:
        with contextlib.suppress(OSError):
            os.unlink(lock)
        os.close(handle)


def make_station(options: EventOptions, record: EventRecord | None) -> Station:
    """Make what does the rest about each finding: a context, that ends before the record does.

    Args:
        options: what is to be done.
        record: of events, or None.

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
        sinks[_OCCASIONS[option]] = urls[text]
    if record is not None:
        if options.reset_drift:
            record.keep_state(DRIFT, "")
        _report_waiting(record, {sink.target for sink in sinks.values()})
    return Station(record, sinks)


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
