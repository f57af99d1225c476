"""A server that messages are posted to, and which may fail in every way."""

from __future__ import annotations

import http.server
import json
import ssl
import threading
from pathlib import Path
from typing import Any, Self


class Receiver:
    """Takes note of what is posted to it; a context, which may be entered again on its port.

    Args:
        port: where it listens; 0 takes one that is free.
        statuses: as of the class.
        certificate: and its key, with which it speaks HTTPS; None is HTTP.

    Attributes:
        port: where it listens.
        posts: the id of the header and the content of each message that it acknowledged.
        paths: of all requests.
        identities: the Authorization of all requests.
        statuses: with which it answers, the first one first; 204 when there are no more. 0 closes
            the connection instead, -1 after taking note of the message.
    """

    def __init__(
        self,
        port: int = 0,
        statuses: list[int] | None = None,
        certificate: tuple[Path, Path] | None = None,
    ) -> None:
        self.port, self._certificate = port, certificate
        self.statuses = statuses or []
        self.posts: list[tuple[str, dict[str, Any]]] = []
        self.paths: list[str] = []
        self.identities: list[str | None] = []
        self.n_requests = 0

    @property
    def ids(self) -> list[str]:
        return [id for id, _ in self.posts]

    def __enter__(self) -> Self:
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                receiver._take(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        if self._certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self._certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def _take(self, request: http.server.BaseHTTPRequestHandler) -> None:
        content = json.loads(request.rfile.read(int(request.headers["Content-Length"])))
        self.n_requests += 1
        self.paths.append(request.path)
        self.identities.append(request.headers["Authorization"])
        status = self.statuses.pop(0) if self.statuses else 204
        if status < 0 or 200 <= status < 300:
            self.posts.append((request.headers["Idempotency-Key"], content))
        request.close_connection = True
        if status > 0:
            request.send_response(status)
            request.send_header("Content-Length", "0")
            request.end_headers()

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
