"""`tao-lora fleet FOLDER`: a fleet's table in a browser."""

from __future__ import annotations

from argparse import Namespace
from functools import partial
from pathlib import Path
from typing import Any

from tao_lora_ros.bags.reader import WHOLE
from tao_lora_ros.cli.arguments import add_topic_argument
from tao_lora_ros.cli.chosen import asked, ready
from tao_lora_ros.cli.page import add_page_arguments, served
from tao_lora_ros.fleet.page_server import FleetServer


def add_fleet_parser(subparsers: Any) -> None:
    """Add `fleet` to the subparsers of `tao-lora`."""
    parser = subparsers.add_parser("fleet", help="a table of many bags in a browser")
    parser.set_defaults(run=fleet, from_s=WHOLE[0], to_s=WHOLE[1])
    parser.add_argument("table", type=Path, help="folder of `replay --table`")
    what = "list the events gained, lost and changed since this table of the same bags"
    parser.add_argument("--old", type=Path, metavar="FOLDER", help=what)
    parser.add_argument("--model", type=Path, metavar="DIR", help="for reports, as of replay")
    parser.add_argument("--params-file", type=Path, metavar="YAML", help="the same")
    add_topic_argument(parser)
    add_page_arguments(parser)


def fleet(options: Namespace) -> None:
    """`tao-lora fleet`."""
    asked(options)  # what will not do is said now, not when a report is asked for
    server = partial(FleetServer, options.table, partial(ready, options), old=options.old)
    with served(server, options, "Ctrl-C ends") as page:
        page.serve_forever()
