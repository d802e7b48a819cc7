"""Arguments that several commands have."""

from __future__ import annotations

from argparse import ArgumentParser


def add_topic_argument(parser: ArgumentParser) -> None:
    """`--topic SOURCE=TOPIC`, as often as there are sources whose topic is not obvious."""
    parser.add_argument(
        "--topic",
        action="append",
        default=[],
        metavar="SOURCE=TOPIC",
        help="bag topic of a source, such as imu=/imu/data_raw",
    )
