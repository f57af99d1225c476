"""Send a message by HTTP or MQTT, and learn whether it has arrived."""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import queue
import socket
from typing import TYPE_CHECKING, Any, Protocol

from pyimagesearch.line.target_url import HTTP, TargetUrl

if TYPE_CHECKING:
    from paho.mqtt.client import Client

SECONDS_TO_ANSWER = 5.0
# Statuses that are about the message, which would be the same the next time; with any other, such
# as that of a token that has expired, it may arrive once somebody has seen to it.
_REFUSED = (400, 406, 409, 410, 411, 413, 414, 415, 422, 431)
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

    It keeps no session at the broker: what was not acknowledged is published again. (MQTT 3.1.1,
    4.3.2.)

    Args:
        target: the broker and the topic.
        name: of what sends, of which the client's is made.
    """

    def __init__(self, target: TargetUrl, name: str) -> None:
        from paho.mqtt import client
        from paho.mqtt.enums import CallbackAPIVersion

        self._new_client = functools.partial(
            client.Client,
            CallbackAPIVersion.VERSION2,
            clean_session=True,
            reconnect_on_failure=False,
        )
        self._target = target
        digest = hashlib.sha256(f"{socket.gethostname()}\n{name}".encode()).hexdigest()
        self._name = f"anomaly-{digest[:12]}"  # brokers need not take more than 23 characters
        self._client: Client | None = None

    def send(self, id: str, body: bytes) -> None:  # noqa: ARG002 - it stands in the body
        try:
            if self._client is None or not self._client.is_connected():
                self.close()
                self._client = self._connected()
            sent = self._client.publish(self._target.topic, body, qos=1)
            sent.wait_for_publish(SECONDS_TO_ANSWER)
            if not sent.is_published():
                raise UndeliveredError(f"no answer within {SECONDS_TO_ANSWER:g} seconds")
        except UndeliveredError:
            self.close()
            raise
        except (OSError, ValueError, RuntimeError) as error:
            self.close()
            raise UndeliveredError(_reason(error)) from None

    def _connected(self) -> Client:
        """A client to which the broker has said yes."""
        answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
        client = self._new_client(client_id=self._name)
        client.connect_timeout = SECONDS_TO_ANSWER
        client.on_connect = lambda _c, _u, _flags, code, _properties: answers.put(code)
        if self._target.user is not None:
            client.username_pw_set(self._target.user, self._target.password)
        if self._target.is_encrypted:
            client.tls_set()
        client.connect(self._target.host, self._target.port)
        client.loop_start()
        try:
            code = answers.get(timeout=SECONDS_TO_ANSWER)
            if code.is_failure:
                raise UndeliveredError(f"the broker says: {code}")
        except BaseException as error:
            _end(client)
            if isinstance(error, queue.Empty):
                raise UndeliveredError(f"no answer within {SECONDS_TO_ANSWER:g} seconds") from None
            raise
        return client

    def close(self) -> None:
        if self._client is not None:
            _end(self._client)
            self._client = None


def _end(client: Client) -> None:
    with contextlib.suppress(OSError, ValueError):
        client.disconnect()
    client.loop_stop()
