"""A page on loopback alone, and nobody without the token that was printed.

Another site's page in the same browser can send requests here, but not read the token, which is in
the part of the address that no browser sends on; so it neither reads nor changes anything. A name
that was made to mean this machine (DNS rebinding) is refused by the Host header.
"""

from __future__ import annotations

import hmac
import json
import re
import secrets
import sys
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tao_lora_ros.messages.errors import TaoLoraError
from tao_lora_ros.messages.texts import error_line
from tao_lora_ros.preservation.event_entry import parsed

_MOST_BODY = 4096
_POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; "
    "img-src blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
Answer = Callable[[str, str, Any], tuple[str, bytes]]


class LoopbackServer(ThreadingHTTPServer):
    """Serves a page and what it asks for on 127.0.0.1; `serve_forever` runs it.

    Args:
        page: makes the page, given the nonce of its policy.
        answer: media type and body of what is asked for, by method, path and what was sent (JSON;
            None of what is none); refuses by a TaoLoraError. It is called by several threads.
        port: 0 takes a free one.

    Raises:
        OSError: the port is taken.
    """

    daemon_threads = True

    def __init__(self, page: Callable[[str], str], answer: Answer, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.page, self.answer = page, answer
        self.token = secrets.token_urlsafe(16)

    def handle_error(self, *_: object) -> None:
        """A browser that goes away is nothing to tell of; whatever else is a line."""
        error = sys.exc_info()[1]
        if error and not isinstance(error, ConnectionError):
            print(f"tao-lora: {type(error).__name__}: {error_line(error)}", file=sys.stderr)

    @property
    def url(self) -> str:
        """The address of the page, with its token."""
        return f"http://127.0.0.1:{self.server_port}/#{self.token}"


class _Handler(BaseHTTPRequestHandler):
    server: LoopbackServer
    protocol_version = "HTTP/1.1"
    timeout = 30  # of a connection that says nothing

    def do_GET(self) -> None:
        self._answer({})

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        self.close_connection = True
        if not re.fullmatch("[0-9]{1,4}", length) or int(length) > _MOST_BODY:
            self._send(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "text/plain", b"")
            return
        try:
            asked = parsed(self.rfile.read(int(length)))
        except ValueError:
            asked = None
        self._answer(asked)

    def _answer(self, asked: Any) -> None:
        port = self.server.server_port
        if self.headers.get("Host") not in (f"127.0.0.1:{port}", f"localhost:{port}"):
            self._send(HTTPStatus.FORBIDDEN, "text/plain", b"another host")
        elif self.command == "GET" and self.path == "/":
            nonce = secrets.token_urlsafe(16)
            page = self.server.page(nonce).encode()
            self._send(HTTPStatus.OK, "text/html; charset=utf-8", page, nonce)
        elif not hmac.compare_digest(
            self.headers.get("X-Token", "").encode(), self.server.token.encode()
        ):
            self._send(HTTPStatus.FORBIDDEN, "text/plain", b"no token")
        else:
            self._answer_known(asked)

    def _answer_known(self, asked: Any) -> None:
        status = HTTPStatus.OK
        try:
            kind, body = self.server.answer(self.command, self.path, asked)
        except Exception as error:  # whatever was asked for: whoever asked is told
            ours = isinstance(error, TaoLoraError)
            status = HTTPStatus.CONFLICT if ours else HTTPStatus.INTERNAL_SERVER_ERROR
            kind, body = as_json({"error": str(error) if ours else error_line(error)})
        self._send(status, kind, body)

    def _send(self, status: HTTPStatus, kind: str, body: bytes, nonce: str = "") -> None:
        self.send_response(status)
        headers = {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            "Content-Security-Policy": _POLICY.format(nonce=nonce) if nonce else "sandbox",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """The terminal is not for every request."""


def as_json(value: Any) -> tuple[str, bytes]:
    """Media type and body of an answer in JSON."""
    return "application/json", json.dumps(value, allow_nan=False).encode()
