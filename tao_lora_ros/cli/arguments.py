"""Arguments that several commands have."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from math import inf

from tao_lora_ros.bags.reader import WHOLE
from tao_lora_ros.messages.errors import TaoLoraError

MOST_PER_HOUR = 3600.0


class UsageError(TaoLoraError):
    """An argument will not do; the text names it."""


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
    """From when to when, in seconds.

    Raises:
        UsageError: that is no part of a bag.
    """
    if not 0.0 <= options.from_s < inf:
        raise UsageError(f"--from is {options.from_s:g}, expected 0 or more seconds")
    if not options.to_s > options.from_s:
        raise UsageError(f"--to is {options.to_s:g}, expected more than --from {options.from_s:g}")
    return options.from_s, options.to_s


def per_hour(text: str) -> float:
    """A rate of alarms, for argparse."""
    rate = float(text)
    if not 0.0 < rate <= MOST_PER_HOUR:
        raise ArgumentTypeError(f"{text}, expected above 0, {MOST_PER_HOUR:g} at most")
    return rate
