"""Serve a report to a browser of this machine, and save the verdicts of inspectors at once.

  python -m pyimagesearch inspect report/
  python -m pyimagesearch inspect report/ --port 8080 --classes scratch,dent

The report is a folder that --report FOLDER/ has written. Each verdict is in its verdicts.csv before
the page says so; the same command goes on with them after a stop, however that came. Ctrl-C ends
the server. Exit status: 0 ended, 1 failed, 2 wrong usage.
"""

import signal
import threading
from collections.abc import Sequence

from pyimagesearch.cli import arguments
from pyimagesearch.cli.argument_types import class_names, whole_number
from pyimagesearch.reports.report_server import ReportServer
from pyimagesearch.reports.served_report import ServedReport
from pyimagesearch.runtime import atomic_files
from pyimagesearch.runtime.console import EXIT_DONE, counted, info, printable
from pyimagesearch.runtime.interrupts import DeferredInterrupt

_PORT = 8001
_AN_HOUR = 3_600.0


def main(argv: Sequence[str] | None = None) -> int:
    """Serve a report as a command line says, until it is ended; return the exit status."""
    ap = arguments.parser(__doc__)
    ap.add_argument("folder", metavar="FOLDER", help="of the report")
    ap.add_argument(
        "--port",
        type=whole_number(0, 65535),
        default=_PORT,
        metavar="N",
        help=f"port to listen on (default: {_PORT}; 0 takes one that is free)",
    )
    ap.add_argument(
        "--classes",
        type=class_names,
        default=(),
        metavar="NAMES",
        help="classes of defects to choose from, such as scratch,dent (default: the page's)",
    )
    args = arguments.parse_args(ap, argv)
    report = ServedReport(args.folder, args.classes)
    atomic_files.check_writable(report.path)
    with (
        DeferredInterrupt(signal.SIGINT, signal.SIGTERM) as interrupt,
        atomic_files.locked_folder(args.folder),
        ReportServer(report, args.port) as server,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        info(
            f"inspect at {server.url}; verdicts are saved in {printable(report.path)}; Ctrl-C ends"
        )
        while not interrupt.requested:
            interrupt.sleep(_AN_HOUR)
        server.shutdown()
    info(f"{counted(report.n_verdicts, 'verdict')} in {printable(report.path)}")
    return EXIT_DONE
