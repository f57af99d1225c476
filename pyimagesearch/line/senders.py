"""Send a message by HTTP or MQTT, and learn whether it has arrived."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import queue
import socket
from typing import TYPE_CHECKING, Protocol

from pyimagesearch.line.target_url import HTTP, TargetUrl

if TYPE_CHECKING:
    from paho.mqtt.client import Client
    from paho.mqtt.reasoncodes import ReasonCode

SECONDS_TO_ANSWER = 5.0
# Statuses that are about the message, which would be the same the next time; with any other, such
# as that of a token that has expired, it may arrive once somebody has seen to it.
_REFUSED = (400, 406, 409, 410, 411, 413, 414, 415, 422, 431)
# Likewise of a broker: the packet is too large, the payload's format is wrong.
_REFUSED_BY_BROKER = (0x95, 0x99)
_UNKNOWN_PROTOCOL = 0x84
_MOST_READ = 65536  # bytes of an answer


class UndeliveredError(Exception):
    """A message has not arrived, or nobody has said so; the text is the reason."""


class RefusedError(UndeliveredError):
    """The receiver does not want this message, whenever it comes."""


class Sender(Protocol):
    """Sends messages to one target; used by one thread."""

    def send(self, id: str, body: bytes) -> None:
        """Send a message and wait until the receiver has acknowledged it.

        Args:
            id: of the message, by which the receiver knows one that comes twice.
            body: JSON.

        Raises:
            UndeliveredError: it has not.
        """

    def close(self) -> None:
        """End the connection."""


def open_sender(target: TargetUrl, name: str) -> Sender:
    """What sends to a URL; it connects when there is something to send.

    Args:
        target: where to.
        name: of what sends, different for each that may send there at the same time.
    """
    return HttpSender(target) if target.scheme in HTTP else MqttSender(target, name)


class HttpSender:
    """Posts messages; an answer of 2xx acknowledges one.

    Args:
        target: where to.
    """

    def __init__(self, target: TargetUrl) -> None:
        import urllib3  # what only some stations need is missed when they start

        self._errors = (urllib3.exceptions.HTTPError, OSError, ValueError)
        host = f"[{target.host}]" if ":" in target.host else target.host
        self._url = f"{target.scheme}://{host}:{target.port}{target.path or '/'}"
        self._headers = {"Content-Type": "application/json"}
        if target.user is not None:
            identity = f"{target.user}:{target.password or ''}".encode()
            self._headers["Authorization"] = f"Basic {base64.b64encode(identity).decode()}"
        self._pool = urllib3.PoolManager(
            num_pools=1,
            maxsize=1,
            retries=False,
            timeout=urllib3.Timeout(total=SECONDS_TO_ANSWER),
        )

    def send(self, id: str, body: bytes) -> None:
        try:
            answer = self._pool.request(
                "POST",
                self._url,
                body=body,
                headers=self._headers | {"Idempotency-Key": id},
                redirect=False,
                preload_content=False,
            )
        except self._errors as error:
            raise UndeliveredError(_reason(error)) from None  # theirs may name the whole URL
        try:
            if len(answer.read(_MOST_READ)) == _MOST_READ:
                answer.close()
        except self._errors:
            answer.close()  # the status has come, and it counts
        answer.release_conn()
        if 200 <= answer.status < 300:
            return
        kind = RefusedError if answer.status in _REFUSED else UndeliveredError
        raise kind(f"the answer is status {answer.status}")

    def close(self) -> None:
        self._pool.clear()


def _reason(error: Exception) -> str:
    """Why there is no answer, without what the URL holds."""
    while not isinstance(error, OSError) and error.__context__ is not None:
        error = error.__context__
    if isinstance(error, TimeoutError):
        return f"no answer within {SECONDS_TO_ANSWER:g} seconds"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"the connection failed ({type(error).__name__})"


class MqttSender:
    """Publishes messages with quality of service 1; the broker's PUBACK acknowledges one.

    It speaks MQTT 5, whose PUBACK says no where a broker of MQTT 3.1.1 would drop a message that
    may not be published, and 3.1.1 to brokers of that alone. It keeps no session at the broker:
    what was not acknowledged is published again. (MQTT 5, 3.4.2.1 and 4.3.2.)

    Args:
        target: the broker and the topic.
        name: of what sends, of which the client's is made.
    """

    def __init__(self, target: TargetUrl, name: str) -> None:
        from paho.mqtt import client, enums

        def new_client() -> Client:
            return client.Client(
                enums.CallbackAPIVersion.VERSION2,
                self._name,
                clean_session=None if self._is_new_protocol else True,
                protocol=enums.MQTTProtocolVersion.MQTTv5
                if self._is_new_protocol
                else enums.MQTTProtocolVersion.MQTTv311,
                reconnect_on_failure=False,
            )

        digest = hashlib.sha256(f"{socket.gethostname()}\n{name}".encode()).hexdigest()
        self._name = f"anomaly-{digest[:12]}"  # brokers need not take more than 23 characters
        self._target, self._new_client = target, new_client
        self._is_new_protocol = True
        self._client: Client | None = None
        self._answers: queue.SimpleQueue[ReasonCode | None] = queue.SimpleQueue()

    def send(self, id: str, body: bytes) -> None:  # noqa: ARG002 - it stands in the body
        try:
            if self._client is None or not self._client.is_connected():
                self.close()
                self._connect()
            self._client.publish(self._target.topic, body, qos=1)
            code = self._answer()
        except UndeliveredError:
            self.close()
            raise
        except (OSError, ValueError, RuntimeError) as error:
            self.close()
            raise UndeliveredError(_reason(error)) from None
        if code.is_failure:
            kind = RefusedError if code.value in _REFUSED_BY_BROKER else UndeliveredError
            raise kind(f"the broker says: {code}")

    def _connect(self) -> None:
        """Connect, once the broker says yes."""
        # A new queue: answers to an earlier client are of no interest any more.
        answers = self._answers = queue.SimpleQueue()
        client = self._client = self._new_client()
        client.connect_timeout = SECONDS_TO_ANSWER
        client.on_connect = lambda _c, _u, _flags, code, _properties: answers.put(code)
        client.on_publish = lambda _c, _u, _message, code, _properties: answers.put(code)
        client.on_disconnect = lambda *_: answers.put(None)
        if self._target.user is not None:
            client.username_pw_set(self._target.user, self._target.password)
        if self._target.is_encrypted:
            client.tls_set()
        client.connect(self._target.host, self._target.port)
        client.loop_start()
        try:
            code = self._answer()
        except UndeliveredError:
            # So do brokers that do not know the protocol; the next try is in the other one.
            self._is_new_protocol = not self._is_new_protocol
            raise
        if code.is_failure:
            if code.value == _UNKNOWN_PROTOCOL:
                self._is_new_protocol = not self._is_new_protocol
            raise UndeliveredError(f"the broker says: {code}")

    def _answer(self) -> ReasonCode:
        try:
            code = self._answers.get(timeout=SECONDS_TO_ANSWER)
        except queue.Empty:
            raise UndeliveredError(f"no answer within {SECONDS_TO_ANSWER:g} seconds") from None
        if code is None:
            raise UndeliveredError("the broker closed the connection")
        return code

    def close(self) -> None:
        if self._client is not None:
            with contextlib.suppress(OSError, ValueError):
                self._client.disconnect()
            self._client.loop_stop()
            self._client = None
