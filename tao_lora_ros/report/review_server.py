"""The review page's server: loopback alone, and nobody without the token that was printed.

Another site's page in the same browser can send requests here, but not read the token, which is in
the part of the address that no browser sends on; so it neither reads nor labels anything. A name
that was made to mean this machine (DNS rebinding) is refused by the Host header.
"""

from __future__ import annotations

import hmac
import json
import secrets
from functools import lru_cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tao_lora_ros.preservation.event_catalogue import find_entry, read_entries, read_record
from tao_lora_ros.preservation.event_entry import parsed
from tao_lora_ros.preservation.event_labels import label_event, undo_label
from tao_lora_ros.preservation.event_record import EventRecord, StoreError
from tao_lora_ros.preservation.event_table import event_rows
from tao_lora_ros.report.review_data import details, listed, picture

_MOST_BODY = 4096
_POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; "
    "img-src blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


class ReviewServer(ThreadingHTTPServer):
    """Serves the events of a store on 127.0.0.1; `serve_forever` runs it.

    Args:
        store: the store; a node may be writing to it.
        port: 0 takes a free one.

    Raises:
        StoreError: there is no store.
        OSError: the port is taken.
    """

    daemon_threads = True

    def __init__(self, store: Path, port: int = 0) -> None:
        read_entries(store)
        super().__init__(("127.0.0.1", port), _Handler)
        self.store = store
        self.token = secrets.token_urlsafe(16)
        page = resources.files("tao_lora_ros.report").joinpath("review.html")
        self.page = page.read_text("utf-8")
        self.record = lru_cache(maxsize=2)(self._record)

    @property
    def url(self) -> str:
        """The address of the page, with its token."""
        return f"http://127.0.0.1:{self.server_port}/#{self.token}"

    def _record(self, number: int) -> EventRecord:
        return read_record(self.store, find_entry(self.store, number))


class _Handler(BaseHTTPRequestHandler):
    server: ReviewServer
    protocol_version = "HTTP/1.1"
    timeout = 30  # of a connection that says nothing

    def do_GET(self) -> None:
        self._answer({})

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        self.close_connection = True
        if not (length.isascii() and length.isdigit() and int(length) <= _MOST_BODY):
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
            page = self.server.page.replace("{nonce}", nonce).encode()
            self._send(HTTPStatus.OK, "text/html; charset=utf-8", page, nonce)
        elif not hmac.compare_digest(
            self.headers.get("X-Token", "").encode(), self.server.token.encode()
        ):
            self._send(HTTPStatus.FORBIDDEN, "text/plain", b"no token")
        else:
            self._answer_known(asked)

    def _answer_known(self, asked: Any) -> None:
        try:
            kind, body = self._routed(asked)
            self._send(HTTPStatus.OK, kind, body)
        except StoreError as error:
            said = json.dumps({"error": str(error)}).encode()
            self._send(HTTPStatus.CONFLICT, "application/json", said)

    def _routed(self, asked: Any) -> tuple[str, bytes]:
        """Media type and body of what was asked for."""
        url = urlsplit(self.path)
        parts = url.path.strip("/").split("/")
        if parts == ["events"] and self.command == "GET":
            return _json(self._list())
        if len(parts) < 2 or parts[0] != "events" or not parts[1].isdecimal():
            raise StoreError("no such thing here")
        number = int(parts[1])
        if self.command == "POST" and len(parts) == 2:
            return _json(self._label(number, asked))
        if len(parts) == 2:
            return _json(details(self.server.record(number)))
        query = parse_qs(url.query)
        topic, count = query.get("topic", [""])[0], query.get("n", [""])[0]
        if parts[2:] != ["picture"] or not count.isdecimal():
            raise StoreError("no such thing here")
        return picture(self.server.record(number), topic, int(count))

    def _list(self) -> dict[str, Any]:
        store = self.server.store
        rows = [listed(row) for row in event_rows(store, read_entries(store))]
        names = {row[name] for row in rows for name in ("label", "model_label")} - {None}
        return {"store": str(store), "events": rows, "names": sorted(names)}

    def _label(self, number: int, asked: Any) -> dict[str, Any]:
        """Do as asked; returns the event's new row."""
        entry = find_entry(self.server.store, number)
        if asked == {"undo": True}:
            undo_label(self.server.store, entry)
        elif isinstance(asked, dict) and isinstance(asked.get("label"), str):
            label_event(self.server.store, entry, asked["label"])
        else:
            raise StoreError('expected {"label": NAME} or {"undo": true}')
        (row,) = event_rows(self.server.store, [entry])
        return listed(row)

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


def _json(value: Any) -> tuple[str, bytes]:
    return "application/json", json.dumps(value).encode()
