"""`tao-lora review`: look at stored events in a browser and say what they were."""

from __future__ import annotations

from argparse import Namespace
from functools import partial
from pathlib import Path
from typing import Any

from tao_lora_ros.cli.page import add_page_arguments, served
from tao_lora_ros.preservation.event_catalogue import default_store
from tao_lora_ros.report.review_server import ReviewServer


def add_review_parser(subparsers: Any) -> None:
    """Add `review` to the subparsers of `tao-lora`."""
    parser = subparsers.add_parser("review", help="label stored events in a browser")
    parser.set_defaults(run=review)
    parser.add_argument(
        "--store", type=Path, default=default_store(), metavar="DIR", help="default: %(default)s"
    )
    add_page_arguments(parser, "0: a free one (the default)")


def review(options: Namespace) -> None:
    """`tao-lora review`."""
    server = partial(ReviewServer, options.store)
    with served(server, options, f"labels go to {options.store}; Ctrl-C ends") as page:
        page.serve_forever()
