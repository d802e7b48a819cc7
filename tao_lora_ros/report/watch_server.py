"""The report's page of a running node, which grows; on loopback alone."""

from __future__ import annotations

from string import Template
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tao_lora_ros.messages.errors import TaoLoraError
from tao_lora_ros.report.growing_run import GrowingRun
from tao_lora_ros.report.loopback import LoopbackServer, as_json
from tao_lora_ros.report.page import asset, page


class WatchServer(LoopbackServer):
    """Serves what a run has so far.

    Args:
        run: what goes on.
        title: of the page.
        port: 0 takes a free one.

    Raises:
        OSError: the port is taken.
    """

    def __init__(self, run: GrowingRun, title: str, port: int = 0) -> None:
        super().__init__(self._page, self._routed, port)
        self._run, self._title = run, title

    def _page(self, nonce: str) -> str:
        body = Template(asset("report.html")).substitute(title=self._title, subtitle="")
        scripts, styles = ["loopback.js", "report.js", "watch.js"], ["report.css"]
        return page(self._title, body, {}, scripts, styles, nonce)

    def _routed(self, method: str, path: str, asked: Any) -> tuple[str, bytes]:
        url = urlsplit(path)
        after = parse_qs(url.query).get("after", ["0"])[0]
        if (method, url.path) == ("GET", "/run"):
            return as_json(self._run.head())
        if (method, url.path) == ("GET", "/pieces") and after.isdecimal():
            return as_json(self._run.since(int(after)))
        raise TaoLoraError("no such thing here")
