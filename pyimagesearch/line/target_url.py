"""URLs that messages are sent to, and what of them may be shown."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from string import Template
from typing import Self
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from pyimagesearch.runtime.console import UserError, escaped

HTTP, MQTT = ("http", "https"), ("mqtt", "mqtts")
_PORTS = {"http": 80, "https": 443, "mqtt": 1883, "mqtts": 8883}
_SCHEME = re.compile(rf"({'|'.join(HTTP + MQTT)})://", re.IGNORECASE)
_HIDDEN = "***"


@dataclass(frozen=True)
class TargetUrl:
    """Where messages go.

    Attributes:
        scheme: of ``HTTP`` or ``MQTT``.
        host, port: of the receiver, or of the broker.
        path: of HTTP, with the query; of MQTT the topic.
        user, password: None where there are none.
        shown: the URL as the user wrote it, without what is secret.
    """

    scheme: str
    host: str
    port: int
    path: str
    user: str | None
    password: str | None
    shown: str

    def __repr__(self) -> str:
        return f"TargetUrl({self.shown!r})"

    @property
    def is_encrypted(self) -> bool:
        """Whether messages travel through TLS."""
        return self.scheme.endswith("s")

    @classmethod
    def parse(cls, option: str, text: str) -> Self:
        """Take a URL apart.

        Behind the scheme, but not in the host, ``$NAME`` stands for a variable of the environment,
        whose value is shown nowhere; ``$$`` is a dollar. A user, a password and a query are not
        shown, either.

        Args:
            option: by which the user gave it.
            text: for which ``is_url`` holds.

        Raises:
            UserError: it is no URL that messages can be sent to.
        """
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError:
            raise UserError(f"{option}: not a URL that can be used") from None
        shown = _shown(parts)
        if not parts.hostname:
            raise UserError(f"{option} {shown}: the URL names no host")
        if "#" in text:
            raise UserError(f"{option} {shown}: a # cannot be part of the URL")

        def expand(part: str) -> str:
            return _expanded(option, shown, part)

        target = cls(
            scheme=parts.scheme,
            host=parts.hostname,
            port=port or _PORTS[parts.scheme],
            path=expand(parts.path + (f"?{parts.query}" if parts.query else "")),
            user=None if parts.username is None else unquote(expand(parts.username)),
            password=None if parts.password is None else unquote(expand(parts.password)),
            shown=shown,
        )
        if parts.scheme in MQTT:
            target._check_topic(option)
        return target

    @property
    def topic(self) -> str:
        """Of MQTT, where messages are published."""
        return unquote(self.path.removeprefix("/"))

    def _check_topic(self, option: str) -> None:
        if not self.topic or any(character in self.topic for character in "+#?\0"):
            raise UserError(
                f"{option} {self.shown}: behind the host, the URL must name a topic, without + and "
                "#, such as mqtt://broker/line/3"
            )


def is_url(text: str) -> bool:
    """Whether a text names where messages are sent to, and no command."""
    return _SCHEME.match(text) is not None


def _shown(parts: SplitResult) -> str:
    user, at, host = parts.netloc.rpartition("@")
    hidden = parts._replace(
        netloc=f"{_HIDDEN}{at}{host}" if user else host,
        query=_HIDDEN if parts.query else "",
        fragment="",
    )
    return escaped(urlunsplit(hidden))


def _expanded(option: str, shown: str, text: str) -> str:
    try:
        return Template(text).substitute(os.environ)
    except KeyError as error:
        raise UserError(
            f"{option} {shown}: there is no ${error.args[0]} in the environment"
        ) from None
    except ValueError:
        raise UserError(f"{option} {shown}: a dollar that is no variable is $$") from None
