"""Open what --events, --on-anomaly and the like ask for: see ``line_options``."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from pyimagesearch.cli.labelling_loop import OF_GROUPS, batch_rule, open_labeller
from pyimagesearch.cli.labelling_options import ModelOptions
from pyimagesearch.cli.line_options import OPTIONS, EventOptions
from pyimagesearch.labelling.images import Labeller
from pyimagesearch.labelling.running_discoveries import loosest_threshold, share_needed
from pyimagesearch.labelling.thresholds import items_needed
from pyimagesearch.line.event_record import REFUSED, EventRecord, Retention
from pyimagesearch.line.sinks import open_sink
from pyimagesearch.line.station import DRIFT, OCCASIONS, Sink, Station
from pyimagesearch.line.target_url import is_url
from pyimagesearch.runtime import locks
from pyimagesearch.runtime.console import UserError, counted, info, printable, warn

LOCK = "-lock"  # behind the record's name
_SHARE_TO_WARN_OF = 0.01  # of anomalies: where it takes more, the rarer ones are never called so
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


def open_stream_labeller(options: ModelOptions) -> Labeller:
    """The model that judges images of which there is no last one.

    Returns:
        The model; where a false-discovery rate was asked for, with the loosest threshold that
        ``Station.decide`` may come to.

    Raises:
        UserError: as of ``open_labeller``, or it has a threshold for each group.
        OSError: it cannot be read.
    """
    labeller = open_labeller(options)
    rate = discovery_rate(options)
    if rate is None:
        return labeller
    if labeller.groups is not None:
        raise UserError(OF_GROUPS.format(option="--false-discovery-rate"))
    loosest = loosest_threshold(rate, labeller.calibration, labeller.extrapolates)
    if labeller.extrapolates:
        return labeller.with_threshold(loosest)
    n_images = counted(len(labeller.calibration), "calibration image")
    share = share_needed(rate, len(labeller.calibration))
    report = warn if share > _SHARE_TO_WARN_OF else info
    report(
        f"{n_images} at a false-discovery rate of {rate:g}: images are called anomalies while at "
        f"least {100 * share:.2g}% of all so far are stranger than all that were learned; with "
        f"{items_needed(_SHARE_TO_WARN_OF * rate):,} images it takes {_SHARE_TO_WARN_OF:.0%}"
    )
    return labeller.with_threshold(loosest)


def discovery_rate(options: ModelOptions) -> float | None:
    """The false-discovery rate that was asked for, or None."""
    rule = batch_rule(options)
    return None if rule is None else rule.parameter


def make_station(
    options: EventOptions, record: EventRecord | None, discovery_rate: float | None = None
) -> Station:
    """Make what does the rest about each finding: a context, that ends before the record does.

    Args:
        options: what is to be done.
        record: of events, or None.
        discovery_rate: as of ``Station``.

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
    if discovery_rate is not None and record is None:
        info("without --events, the next run knows nothing of the images of this one")
    if record is not None:
        if options.reset_drift:
            record.keep_state(DRIFT, "")
        _report_waiting(record, {sink.target for sink in sinks.values()})
    return Station(record, sinks, discovery_rate)


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
