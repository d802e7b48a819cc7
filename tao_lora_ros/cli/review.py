"""`tao-lora review`: look at stored events in a browser and say what they were."""

from __future__ import annotations

import webbrowser
from argparse import Namespace
from pathlib import Path
from typing import Any

from tao_lora_ros.cli.arguments import UsageError, whole
from tao_lora_ros.preservation.event_catalogue import default_store
from tao_lora_ros.report.review_server import ReviewServer


def add_review_parser(subparsers: Any) -> None:
    """Add `review` to the subparsers of `tao-lora`."""
    parser = subparsers.add_parser("review", help="label stored events in a browser")
    parser.set_defaults(run=review)
    parser.add_argument(
        "--store", type=Path, default=default_store(), metavar="DIR", help="default: %(default)s"
    )
    port = whole(0, 65_535)
    parser.add_argument("--port", type=port, default=0, help="0: a free one (the default)")
    parser.add_argument("--open", action="store_true", help="open the page in the browser")


def review(options: Namespace) -> None:
    """`tao-lora review`."""
    try:
        server = ReviewServer(options.store, options.port)
    except OSError as error:
        raise UsageError(f"port {options.port}: {error}") from None
    with server:
        print(f"{server.url}\nlabels go to {options.store}; Ctrl-C ends", flush=True)
        if options.open:
            webbrowser.open(server.url)
        server.serve_forever()
