"""The options of serve_anomaly_detector.py: the command line becomes frozen data here."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from pyimagesearch.cli import arguments, line_options, option_rules
from pyimagesearch.cli.argument_types import duration, memory_size, whole_number
from pyimagesearch.cli.labelling_options import ModelOptions, add_extrapolate
from pyimagesearch.cli.line_options import EventOptions
from pyimagesearch.data.videos import Every
from pyimagesearch.line.http_api import Limits
from pyimagesearch.line.http_server import Address
from pyimagesearch.line.sources import DEFAULT_EVERY, LiveSource, live_source, masked
from pyimagesearch.runtime.console import UserError, printable

TOKEN = "ANOMALY_TOKEN"  # variable of the environment; a command line is seen by everybody


@dataclass(frozen=True)
class ServingOptions:
    """What is served, and where.

    Attributes:
        model: which labels.
        address: where to listen.
        limits: of requests.
        most_waiting: images that may wait.
        jobs: number of processes.
        token: that requests must bring, or None.
        events: what is recorded and reported.
        sources: cameras and streams that are judged, too.
        every: which of their frames are taken.
    """

    model: ModelOptions
    address: Address
    limits: Limits
    most_waiting: int
    jobs: int
    token: str | None
    events: EventOptions
    sources: tuple[LiveSource, ...]
    every: Every


def parse_serving(documentation: str, argv: Sequence[str] | None) -> ServingOptions:
    """Parse the command line of serve_anomaly_detector.py, and configure its messages.

    Args:
        documentation: the script's docstring, which ``--help`` prints.
        argv: the arguments; None takes the process' own.
    """
    default = Limits()
    ap = arguments.parser(documentation)
    ap.add_argument("-m", "--model", required=True, help="model file from training")
    ap.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen at (default: 127.0.0.1, this machine alone; 0.0.0.0: all)",
    )
    ap.add_argument(
        "--port",
        type=whole_number(0, 65535),
        default=8000,
        metavar="N",
        help="port to listen at (default: 8000; 0 takes one that is free)",
    )
    ap.add_argument("--certificate", metavar="FILE.pem", help="serve HTTPS with this certificate")
    ap.add_argument("--key", metavar="FILE.pem", help="with --certificate: its private key")
    ap.add_argument(
        "--max-bytes",
        type=memory_size,
        default=default.n_bytes,
        metavar="SIZE",
        help=f"of a request (default: {default.n_bytes >> 20}MB)",
    )
    ap.add_argument(
        "--max-images",
        type=whole_number(1),
        default=default.n_images,
        metavar="N",
        help=f"in a request (default: {default.n_images})",
    )
    ap.add_argument(
        "--max-queue",
        type=whole_number(1),
        default=4 * default.n_images,
        metavar="N",
        help="images that may wait; beyond, requests are refused with status 429 "
        f"(default: {4 * default.n_images})",
    )
    ap.add_argument(
        "--max-time",
        type=duration,
        default=default.seconds,
        metavar="DURATION",
        help="that a request may take to come, and to be judged, such as 10s "
        f"(default: {default.seconds:g}s)",
    )
    ap.add_argument(
        "-w",
        "--watch",
        nargs="+",
        default=[],
        metavar="SOURCE",
        help="judge the frames of these cameras and streams, too: camera:0, rtsp://...",
    )
    arguments.add_every(ap, "with --watch")
    line_options.add_events(ap)
    arguments.add_external_backbone(ap)
    arguments.add_threshold(ap, "the threshold of the model file", discoveries=True)
    add_extrapolate(ap)
    arguments.add_jobs(ap)
    arguments.add_max_pixels(ap)
    args = arguments.parse_args(ap, argv)
    option_rules.check(ap, args, option_rules.SERVE)
    return ServingOptions(
        model=ModelOptions(
            *(args.model, args.backbone, arguments.threshold_rule(args), args.extrapolate)
        ),
        address=Address(args.host, args.port, args.certificate, args.key),
        limits=Limits(
            n_bytes=args.max_bytes,
            all_bytes=max(default.all_bytes, args.max_bytes),
            n_images=min(args.max_images, args.max_queue),
            body_seconds=args.max_time,
            seconds=args.max_time,
        ),
        most_waiting=args.max_queue,
        jobs=args.jobs,
        token=os.environ.get(TOKEN) or None,
        events=EventOptions.from_args(args),
        sources=tuple(map(_live_source, args.watch)),
        every=args.every or DEFAULT_EVERY,
    )


def _live_source(text: str) -> LiveSource:
    live = live_source(text, is_watched=True)
    if live is None:
        raise UserError(f"{printable(masked(text))}: a server watches cameras and streams alone")
    return live
