"""Where it is told that something happened: commands, and messages to URLs.

A message waits in the record until its receiver has acknowledged it, whatever ends in between:
this process, the receiver, the network. Where this process ends after a message has arrived and
before that is on record, it comes twice, with the same id.
"""

from __future__ import annotations

import base64
import contextlib
import json
import threading
import time
from typing import Self

from pyimagesearch.line.alarm_command import AlarmCommand
from pyimagesearch.line.event import Event
from pyimagesearch.line.event_record import OVERLAY, EventRecord, Message
from pyimagesearch.line.senders import RefusedError, Sender, UndeliveredError, open_sender
from pyimagesearch.line.station import DRIFT, Deliveries, Sink
from pyimagesearch.line.target_url import TargetUrl, is_url
from pyimagesearch.runtime.console import UserError, counted, info, printable, warn

SHORTEST_PAUSE, LONGEST_PAUSE = 0.2, 5.0  # seconds from one try to the next
SECONDS_AT_THE_END = 5.0
# A message that its receiver refuses is tried so often, for a minute and a half, then set aside.
MOST_REFUSALS = 20


def open_sink(option: str, text: str, record: EventRecord | None, with_picture: bool) -> Sink:
    """What an option asks for: to run a command, or to send messages to a URL.

    Args:
        option: such as ``--on-anomaly``.
        text: its value.
        record: in which messages wait.
        with_picture: whether messages have the picture of the anomaly map in them.

    Raises:
        UserError: there is no such command, it is no URL that can be used, or there is no record.
    """
    if not is_url(text):
        return CommandSink(option, text)
    target = TargetUrl.parse(option, text)
    if record is None:
        raise UserError(
            f"{option} {target.shown}: messages to a URL wait in a record: add --events FILE"
        )
    return MessageSink(target, record, with_picture)


class CommandSink:
    """Runs a command; use it as a context: see ``AlarmCommand``.

    Args:
        option: by which the user gave the command.
        command: words as in a shell; ``{}`` stands for the image.

    Raises:
        UserError: there is no such command.
    """

    target = None

    def __init__(self, option: str, command: str) -> None:
        self.name, self.deliveries = option, Deliveries()
        self._command = AlarmCommand(option, command, "ANOMALY_IMAGE")

    def __enter__(self) -> Self:
        self._command.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._command.__exit__(*error)

    def report(self, event: Event) -> None:
        variables = {
            "ANOMALY_EVENT": event.label,
            "ANOMALY_ID": event.id,
            "ANOMALY_TIME": event.time,
            "ANOMALY_SOURCE": event.source,
            "ANOMALY_MODEL": event.model,
        }
        if event.score is not None and event.p_value is not None:
            variables["ANOMALY_SCORE"] = f"{event.score:.6g}"
            variables["ANOMALY_P_VALUE"] = f"{event.p_value:.6g}"
        if event.reason is not None:
            variables["ANOMALY_REASON"] = event.reason
        if event.outside is not None:
            variables["ANOMALY_OUTSIDE"] = event.outside
        if event.extrapolated:
            variables["ANOMALY_EXTRAPOLATED"] = "1"
        self._command.report(event.file, **variables)

    def report_drift(self, notice: str) -> None:
        self._command.report("", ANOMALY_EVENT=DRIFT, ANOMALY_NOTICE=notice)


class MessageSink:
    """Sends the messages that wait in the record for a URL, in order; use it as a context.

    One thread sends one message at a time, and tries until it is acknowledged. At the end, what
    waits has ``SECONDS_AT_THE_END`` to arrive, as long as it does; the rest waits in the record.

    Args:
        url: where to.
        record: in which messages wait.
        with_picture: whether the overlay of an anomaly is sent along.

    Attributes:
        name, target: the URL as it may be shown, by which messages wait.
        deliveries: what has become of them.
    """

    def __init__(self, url: TargetUrl, record: EventRecord, with_picture: bool) -> None:
        self.name = self.target = url.shown
        self.deliveries = Deliveries()
        self._record, self._with_picture = record, with_picture
        self._sender: Sender = open_sender(url, f"{record.path}\n{url.shown}")
        self._is_new = threading.Event()
        self._ends = threading.Event()
        self._ended = 0.0
        self._trouble: str | None = None
        self._thread = threading.Thread(target=self._deliver, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended = time.monotonic()
        self._ends.set()
        self._is_new.set()
        self._thread.join()
        if waiting := self._record.n_unsent(self.target):
            warn(
                f"{counted(waiting, 'message')} to {self.name} will be sent by the next run with "
                f"--events {printable(self._record.path)}"
            )

    def report(self, event: Event) -> None:  # noqa: ARG002 - it is in the record
        self._is_new.set()

    def report_drift(self, notice: str) -> None:  # noqa: ARG002
        self._is_new.set()

    def _deliver(self) -> None:
        """Send what waits until the end."""
        with contextlib.closing(self._sender):
            while not self._is_over():
                self._is_new.clear()
                try:
                    message = self._record.next_message(self.target)
                except UserError as error:
                    self._note(str(error))
                    self._ends.wait(LONGEST_PAUSE)
                    continue
                if message is not None:
                    self._deliver_one(message)
                elif self._ends.is_set():
                    return
                else:
                    self._is_new.wait()

    def _is_over(self) -> bool:
        """Whether nothing more is to be sent, though something may wait."""
        if not self._ends.is_set():
            return False
        late = time.monotonic() - self._ended > SECONDS_AT_THE_END
        return late or self._trouble is not None

    def _deliver_one(self, message: Message) -> None:
        """Try until a message has arrived, or is set aside, or all is over."""
        pause, n_refusals, has_arrived = SHORTEST_PAUSE, 0, False
        while True:
            started = time.monotonic()
            try:
                if not has_arrived:
                    self._sender.send(message.id, self._body(message))
                    has_arrived = True
                    self.deliveries.arrived += 1
                self._record.acknowledge(message)
                self._note(None)
                return
            except RefusedError as error:
                n_refusals += 1
                if n_refusals == MOST_REFUSALS:
                    self._set_aside(message, error)
                    return
                self._note(f"{error}: it refuses message {message.id}")
            except UndeliveredError as error:
                self._note(str(error))
            except UserError as error:  # of the record, such as a full disk
                self._note(str(error))
            self.deliveries.failed += not has_arrived
            self._ends.wait(max(0.0, pause - (time.monotonic() - started)))
            if self._is_over():
                return
            pause = min(2 * pause, LONGEST_PAUSE)

    def _set_aside(self, message: Message, error: RefusedError) -> None:
        with contextlib.suppress(UserError):
            self._record.set_aside(message)
            self.deliveries.refused += 1
            warn(
                f"{self.name}: {error}: message {message.id} was refused {MOST_REFUSALS} times "
                f"and is set aside in {printable(self._record.path)}"
            )

    def _body(self, message: Message) -> bytes:
        if not self._with_picture:
            return message.body
        picture = self._record.evidence_of(message.id, OVERLAY)
        encoded = None if picture is None else base64.b64encode(picture).decode()
        return json.dumps(json.loads(message.body) | {"picture": encoded}).encode()

    def _note(self, trouble: str | None) -> None:
        """Say what is wrong, once, and when it is over."""
        if trouble is None and self._trouble is not None:
            info(f"{self.name}: messages arrive again")
        elif trouble is not None and trouble != self._trouble:
            warn(f"{self.name}: {trouble}; messages wait, and are tried again")
        self._trouble = trouble
