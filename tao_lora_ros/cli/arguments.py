"""Arguments that several commands have."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from tao_lora_ros.bags.reader import WHOLE


def add_topic_argument(parser: ArgumentParser) -> None:
    """`--topic SOURCE=TOPIC`, as often as there are sources whose topic is not obvious."""
    parser.add_argument(
        "--topic",
        action="append",
        default=[],
        metavar="SOURCE=TOPIC",
        help="bag topic of a source, such as imu=/imu/data_raw",
    )


def add_part_arguments(parser: ArgumentParser) -> None:
    """`--from` and `--to`, in seconds."""
    for name, default in zip(("from", "to"), WHOLE, strict=True):
        parser.add_argument(
            f"--{name}",
            dest=f"{name}_s",
            type=float,
            default=default,
            metavar="S",
            help=f"{name} this many seconds after a bag's first message",
        )


def part_of(options: Namespace) -> tuple[float, float]:
    """From when to when, in seconds."""
    return options.from_s, options.to_s
