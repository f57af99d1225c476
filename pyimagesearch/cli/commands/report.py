"""Write a page of what a line did in a stretch of time.

  python -m pyimagesearch report --events line.db --output shift.html --since 8h
  python -m pyimagesearch report --events line.db -o night.html --since 2026-11-29T22:00

The record is one of --events. The page has the share of anomalies and the scores by hour, marks the
hours in which most images look stranger than before, and shows the last anomalies; each with the
digest of the model that judged it. Exit status: 0 done, 1 failed, 2 wrong usage.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import datetime

from pyimagesearch.cli import arguments
from pyimagesearch.cli.argument_types import moment, share
from pyimagesearch.cli.labelling_loop import summary
from pyimagesearch.line.event import Event
from pyimagesearch.line.event_record import EventRecord
from pyimagesearch.line.line_history import write_history
from pyimagesearch.reports import report_folder
from pyimagesearch.runtime.atomic_files import atomic_write
from pyimagesearch.runtime.console import EXIT_DONE, UserError, info, printable


def main(argv: Sequence[str] | None = None) -> int:
    """Write a page as a command line says; return the exit status."""
    ap = arguments.parser(__doc__)
    ap.add_argument("--events", required=True, metavar="FILE", help="the record of the line")
    ap.add_argument("-o", "--output", required=True, metavar="FILE.html", help="the page to write")
    ap.add_argument(
        "--since",
        type=moment,
        required=True,
        metavar="TIME",
        help="from when on, in local time such as 2026-11-29T06:00; or how long ago, such as 8h",
    )
    ap.add_argument(
        "--until",
        type=moment,
        default=datetime.now().astimezone(),
        metavar="TIME",
        help="up to when (default: now)",
    )
    ap.add_argument(
        "--json", metavar="FILE", help="write each verdict of that time as a line of JSON, too"
    )
    ap.add_argument(
        "--false-discovery-rate",
        type=share,
        metavar="Q",
        help="say which images stand out, judged together, so that at most this share of them is "
        "normal, such as 0.1",
    )
    args = arguments.parse_args(ap, argv)
    if args.since >= args.until:
        ap.error("--since is not before --until")
    if not os.path.isfile(args.events):
        raise UserError(f"{printable(args.events)}: no such file")
    if not args.output.lower().endswith((".html", ".htm")):
        raise UserError(
            f"{printable(args.output)}: --output is one file, whose name ends with .html"
        )
    report_folder.check(args.output, option="--output")
    with ExitStack() as stack:
        record = stack.enter_context(EventRecord(args.events))
        written = _writer(stack, args.json)
        counts, discoveries = write_history(
            args.output, record, args.since, args.until, written, args.false_discovery_rate
        )
    info(f"{summary(counts)}; page written to {printable(args.output)}")
    if discoveries is not None:
        info(discoveries.sentence)
    return EXIT_DONE


def _writer(stack: ExitStack, path: str | None) -> Callable[[Event], object]:
    """What writes events to a file, if there is to be one."""
    if path is None:
        return lambda _: None
    file = stack.enter_context(atomic_write(path))
    return lambda event: file.write(f"{event.as_json()}\n".encode())
