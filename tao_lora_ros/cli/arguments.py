"""Arguments that several commands have, and the ranges of all: what will not do is said here."""

from __future__ import annotations

import re
from argparse import ArgumentParser, ArgumentTypeError, Namespace, _ActionsContainer
from collections.abc import Callable
from math import inf
from pathlib import Path

from tao_lora_ros.messages.errors import TaoLoraError

DIFFERENT = 3  # exit status where events are other ones
MOST_PER_HOUR = 3600.0
MOST_RATE_HZ = 20_000.0  # the fastest IMUs are below it
MOST_STEPS = 10_000_000
MOST_BATCH = 65_536
MOST_SEED = 2**63 - 1  # what torch takes
MOST_S = 86_400.0


class UsageError(TaoLoraError):
    """An argument will not do; the text names it."""


def number(least: float = -inf, most: float = inf, above: float = -inf) -> Callable[[str], float]:
    """A type for argparse: a number of a range."""
    bounds = [f"{least:g} or more"] if least > -inf else []
    bounds += [f"above {above:g}"] if above > -inf else []
    bounds += [f"{most:g} at most"] if most < inf else []
    expected = f"expected a number, {', '.join(bounds)}"

    def parsed(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise ArgumentTypeError(f"'{text}', {expected}") from None
        if not (least <= value <= most and value > above):
            raise ArgumentTypeError(f"{text}, {expected}")
        return value

    return parsed


def whole(least: int, most: int) -> Callable[[str], int]:
    """A type for argparse: a whole number of a range."""

    def parsed(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if not least <= value <= most:
            raise ArgumentTypeError(f"'{text}', expected a whole number from {least} to {most}")
        return value

    return parsed


def or_auto(parse: Callable[[str], float]) -> Callable[[str], float | None]:
    """The same, or None for the word auto."""

    def parsed(text: str) -> float | None:
        if text == "auto":
            return None
        try:
            return parse(text)
        except ArgumentTypeError as error:
            raise ArgumentTypeError(f"{error}; or auto") from None

    return parsed


per_hour = number(above=0.0, most=MOST_PER_HOUR)
speed = number(above=0.0, most=1000.0)
event_number = whole(1, 2**63 - 1)


def expression(text: str) -> str:
    """A regular expression with a group, for argparse."""
    try:
        groups = re.compile(text).groups
    except re.error as error:
        raise ArgumentTypeError(f"'{text}' is no regular expression: {error}") from None
    if text and not groups:
        raise ArgumentTypeError(rf"'{text}' has no group, expected one such as '^(\w+)_'")
    return text


def adapter_name(text: str) -> str:
    """A name that an artifact can hold and a file can have, for argparse."""
    if not re.fullmatch("[a-z0-9][a-z0-9_-]{0,63}", text):
        raise ArgumentTypeError(f"'{text}', expected at most 64 of a-z, 0-9, _ and -")
    return text


def add_topic_argument(parser: _ActionsContainer) -> None:
    """`--topic SOURCE=TOPIC`, as often as there are sources whose topic is not obvious."""
    parser.add_argument(
        "--topic",
        action="append",
        default=[],
        metavar="SOURCE=TOPIC",
        help="bag topic of a source, such as imu=/imu/data_raw; imu=/imu,/imu/data where it has "
        "another name in each bag",
    )


def add_params_file(parser: _ActionsContainer) -> None:
    """`--params-file`."""
    parser.add_argument("--params-file", type=Path, metavar="YAML", help="ROS parameter file")


def add_part_arguments(parser: ArgumentParser) -> None:
    """`--from` and `--to`, in seconds."""
    for name, default in (("from", 0.0), ("to", inf)):
        parser.add_argument(
            f"--{name}",
            dest=f"{name}_s",
            type=float,
            default=default,
            metavar="S",
            help=f"{name} this many seconds after a bag's first message (default: the whole bag)",
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
