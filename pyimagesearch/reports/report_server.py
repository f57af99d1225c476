"""Serves a report to browsers of this machine, and records what inspectors find.

What can be asked for is listed by the page: the page itself, its pictures, and its images by their
number. No path of a request is ever opened.
"""

from __future__ import annotations

import http.server
import json
from http import HTTPStatus
from urllib.parse import urlsplit

from pyimagesearch.reports import report_folder
from pyimagesearch.reports.served_report import RecordError, ServedReport
from pyimagesearch.runtime.console import warn

HOST = "127.0.0.1"
TOKEN_HEADER = "X-Inspection"
MAX_BODY_BYTES = 8 * 1024**2
SECONDS_FOR_REQUEST = 30
# Another site's name can be made to mean this machine (DNS rebinding): only these are answered.
_OWN_NAMES = (HOST, "localhost", "::1")
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class ReportServer(http.server.ThreadingHTTPServer):
    """Answers requests for one report.

    Args:
        report: it.
        port: to listen on; 0 takes one that is free.

    Raises:
        OSError: the port is taken; with the address as its file name.
    """

    daemon_threads = True

    def __init__(self, report: ServedReport, port: int) -> None:
        self.report = report
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            error.filename = f"{HOST}:{port}"
            raise

    @property
    def url(self) -> str:
        """Where it is to be found."""
        return f"http://{HOST}:{self.server_port}/"

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that goes away is no error."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: ReportServer
    protocol_version = "HTTP/1.1"
    timeout = SECONDS_FOR_REQUEST

    def do_GET(self) -> None:
        report = self.server.report
        if not self._is_for_us():
            return
        match urlsplit(self.path).path.strip("/").split("/"):
            case [""] | [report_folder.INDEX]:
                self._answer(report.page, "text/html; charset=utf-8")
            case ["verdicts"]:
                self._answer_json(report.records())
            case ["inspection"]:
                self._answer_json({"token": report.token, "identity": report.identity})
            case ["images", number] if number.isascii() and number.isdigit():
                self._answer_picture(report.image(int(number[:9])), "image/jpeg")
            case [folder, name]:
                kind = "image/png" if name.endswith(".png") else "image/jpeg"
                self._answer_picture(report.picture(folder, name), kind)
            case _:
                self._refuse(HTTPStatus.NOT_FOUND, "there is nothing of that name")

    def do_POST(self) -> None:
        report = self.server.report
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit() and int(length[:12]) <= MAX_BODY_BYTES):
            self.close_connection = True  # what follows is not read
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too long, or of unknown length")
            return
        body = self.rfile.read(int(length))
        if not self._is_for_us():
            return
        if urlsplit(self.path).path != "/verdicts":
            self._refuse(HTTPStatus.NOT_FOUND, "there is nothing of that name")
        elif self.headers.get(TOKEN_HEADER) != report.token:
            self._refuse(HTTPStatus.FORBIDDEN, "this is not the page of this server")
        else:
            self._record(body)

    def _record(self, body: bytes) -> None:
        try:
            self.server.report.record(json.loads(body))
        except RecordError as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error))
        except (ValueError, RecursionError):
            self._refuse(HTTPStatus.BAD_REQUEST, "it is no JSON")
        except OSError as error:
            reason = f"the file of verdicts cannot be written: {error.strerror}"
            warn(reason)
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, reason)
        else:
            self._answer(b"", "text/plain", HTTPStatus.NO_CONTENT)

    def _is_for_us(self) -> bool:
        try:
            name = urlsplit(f"//{self.headers.get('Host', '')}").hostname
        except ValueError:
            name = None
        if name not in _OWN_NAMES:
            self._refuse(HTTPStatus.MISDIRECTED_REQUEST, f"ask for {self.server.url}")
        return name in _OWN_NAMES

    def _answer_json(self, content: object) -> None:
        self._answer(json.dumps(content).encode(), "application/json")

    def _answer_picture(self, content: bytes | None, kind: str) -> None:
        if content is None:
            self._refuse(HTTPStatus.NOT_FOUND, "there is no such picture")
        else:
            self._answer(content, kind)

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        self._answer(reason.encode(), "text/plain; charset=utf-8", status)

    def _answer(self, content: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        self.send_response_only(status)
        headers = {"Content-Type": kind, "Content-Length": str(len(content)), **_HEADERS}
        headers["Content-Security-Policy"] = self.server.report.policy
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """What is asked for is of no interest."""
