"""Runs an application by uvicorn, with a limit on how long a client may take to ask."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
from dataclasses import dataclass

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from pyimagesearch.runtime.console import UserError, printable

SECONDS_FOR_HEADERS = 10.0
SECONDS_TO_END = 10
# Beyond, a connection gets status 503 at once.
MOST_CONNECTIONS = 800


@dataclass(frozen=True)
class Address:
    """Where a server listens.

    Attributes:
        host: name or address.
        port: 0 takes any that is free.
        certificate, key: files for TLS; None serves plain HTTP.
    """

    host: str
    port: int
    certificate: str | None = None
    key: str | None = None


def listen(address: Address) -> socket.socket:
    """Check what TLS needs, and begin to listen.

    Raises:
        UserError: the files are no certificate with its key.
        OSError: they cannot be read; the port is taken, or there is no such host here.
    """
    _check_tls(address)
    name = f"{address.host}:{address.port}"
    try:
        family = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((address.host, address.port), family=family)
    except socket.gaierror as error:
        raise OSError(error.errno, error.strerror, name) from error
    except OSError as error:
        # Python adds to the reason what is in the name.
        raise OSError(error.errno, os.strerror(error.errno), name) from error


def _check_tls(address: Address) -> None:
    if address.certificate is None:
        return
    for path in filter(None, (address.certificate, address.key)):
        open(path, "rb").close()
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(address.certificate, address.key, password="")
    except ssl.SSLError as error:
        names = " and ".join(printable(path) for path in (address.certificate, address.key) if path)
        raise UserError(f"{names}: no certificate with its private key, in PEM") from error


def url_of(listening: socket.socket, address: Address) -> str:
    """Where a server is to be found."""
    host = f"[{address.host}]" if ":" in address.host else address.host
    scheme = "http" if address.certificate is None else "https"
    return f"{scheme}://{host}:{listening.getsockname()[1]}"


def serve(app: FastAPI, listening: socket.socket, address: Address) -> None:
    """Answer requests until Ctrl-C or SIGTERM; those under way are answered first.

    Args:
        app: what answers.
        listening: of ``listen``.
        address: with the files for TLS.
    """
    # What they have to say is no message of ours; what clients do wrong, these are told.
    for name in ("uvicorn", "python_multipart"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    config = uvicorn.Config(
        app,
        http=_Protocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=SECONDS_TO_END,
        limit_concurrency=MOST_CONNECTIONS,
        ssl_certfile=address.certificate,
        ssl_keyfile=address.key,
    )
    uvicorn.Server(config).run(sockets=[listening])


class _Protocol(H11Protocol):
    """Closes a connection whose request does not come: uvicorn would wait for ever."""

    _asked: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait_for_request()

    def on_response_complete(self) -> None:
        self._wait_for_request()
        super().on_response_complete()

    def _wait_for_request(self) -> None:
        if self._asked is not None:
            self._asked.cancel()
        cycle = self.cycle
        self._asked = self.loop.call_later(SECONDS_FOR_HEADERS, self._close_unless_asked, cycle)

    def _close_unless_asked(self, cycle: object) -> None:
        if self.cycle is cycle:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._asked is not None:
            self._asked.cancel()
        super().connection_lost(exc)
