"""`tao-lora events` as a test calls it."""

from __future__ import annotations

import argparse

from tao_lora_ros.cli.events import add_events_parser
from tao_lora_ros.cli.outputs import check_outputs


def run(*arguments: object) -> int:
    """The exit status; raises what the command raises."""
    parser = argparse.ArgumentParser()
    add_events_parser(parser.add_subparsers())
    options = parser.parse_args(["events", *map(str, arguments)])
    check_outputs(options)
    return int(options.run(options) or 0)
