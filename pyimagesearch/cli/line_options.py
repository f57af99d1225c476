"""The options of what is done about verdicts as they come: --events, --on-anomaly and others."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Self

from pyimagesearch.cli import arguments
from pyimagesearch.cli.argument_types import any_share, memory_size, whole_number

OPTIONS = ("--on-anomaly", "--on-unreadable", "--on-drift")
_MOST_BYTES = 10**9  # of pictures in a record


@dataclass(frozen=True)
class EventOptions:
    """What is recorded of verdicts, and where they are reported.

    Attributes:
        events: the file of the record, or None.
        keep_days: after which its pictures are removed, or None.
        keep_bytes: of all its pictures; beyond, the oldest are removed.
        evidence_of_normal: share of the normal images, 0 to 1, whose pictures are kept.
        reported: commands and URLs, by the option that gives them.
        message_picture: whether messages have a picture in them.
        reset_drift: whether what the record knows of drift is forgotten.
    """

    events: str | None = None
    keep_days: float | None = None
    keep_bytes: int = _MOST_BYTES
    evidence_of_normal: float = 0.0
    reported: tuple[tuple[str, str], ...] = ()
    message_picture: bool = False
    reset_drift: bool = False

    @classmethod
    def from_args(cls, args: argparse.Namespace) -> Self:
        given = {option: getattr(args, option[2:].replace("-", "_")) for option in OPTIONS}
        return cls(
            events=args.events,
            keep_days=args.keep_days,
            keep_bytes=args.keep_bytes,
            evidence_of_normal=args.evidence_of_normal,
            reported=tuple((name, text) for name, text in given.items() if text is not None),
            message_picture=args.message_picture,
            reset_drift=args.reset_drift,
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
        help=f"{when}the same when scores or light drift; $ANOMALY_NOTICE says how",
    )
    group.add_argument(
        "--reset-drift",
        action="store_true",
        help="with --events: forget what is on record of drift, once light is put right",
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
        default=_MOST_BYTES,
        metavar="SIZE",
        help="size of all its pictures; beyond, the oldest are removed (default: 1GB)",
    )
