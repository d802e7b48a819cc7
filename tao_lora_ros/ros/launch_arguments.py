"""Arguments of the launch files, checked before any process is there: it would be left alone."""

from __future__ import annotations

import sys
from collections.abc import Container, Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from tao_lora_ros.messages.texts import did_you_mean, shown

_TRUTHS = {"true": True, "1": True, "false": False, "0": False}  # as launch's own conditions
_LOG_LEVELS = ("debug", "info", "warn", "error", "fatal")
# What an argument needs that package.xml does not draw in, and how to do without.
_PACKAGES = {"rviz": ("rviz2", "rviz:=false"), "record": ("ros2bag", "leave it out")}
_OF_LAUNCH = ("launch-prefix", "launch-prefix-filter")  # `ros2 launch` adds them as arguments


def check_names(file: str, known: Iterable[str], command: Sequence[str] = sys.argv) -> None:
    """Refuse an argument that a launch file does not declare; `ros2 launch` passes it on unsaid.

    Only where `ros2 launch` was given this file: one that includes it has arguments of its own.

    Args:
        file: path of the launch file.
        known: names that it declares.
        command: the command line, from the program on.

    Raises:
        ValueError: names it, and the nearest that is known.
    """
    names = [word.split(":=", 1)[0] for word in command if ":=" in word]
    unknown = [name for name in names if name not in (*known, *_OF_LAUNCH)]
    if unknown and _is_launched(Path(file), command):
        hint = did_you_mean(unknown[0], known) or f", expected one of {', '.join(known)}"
        raise ValueError(f"unknown argument '{shown(unknown[0])}'{hint}")


def _is_launched(file: Path, command: Sequence[str]) -> bool:
    by_package = ("tao_lora_ros", file.name) in pairwise(command)
    return by_package or any(Path(word).resolve() == file.resolve() for word in command[1:])


def check_values(given: Mapping[str, str], packages: Container[str]) -> None:
    """Refuse what the processes of `pipeline.launch.py` cannot start with.

    Args:
        given: its arguments by name.
        packages: names of the ROS packages that are installed.

    Raises:
        ValueError: names the argument, its value, and the remedy.
    """
    if not Path(given["params_file"]).is_file():
        raise ValueError(f"params_file: {shown(given['params_file'])}: No such file")
    if given["log_level"].lower() not in _LOG_LEVELS:
        expected = ", ".join(_LOG_LEVELS)
        raise ValueError(f"log_level is '{shown(given['log_level'])}', expected {expected}")
    truth(given, "use_sim_time")
    wanted = {"rviz": truth(given, "rviz"), "record": given["record"]}
    for name, (package, without) in _PACKAGES.items():
        if wanted[name] and package not in packages:
            value = shown(given[name])
            raise ValueError(f"{name}:={value}: '{package}' not found: install it, or {without}")
    if given["record"] and Path(given["record"]).exists():
        raise ValueError(f"record: {shown(given['record'])} is there already: name another folder")


def truth(given: Mapping[str, str], name: str) -> bool:
    """The value of an argument that is true or false.

    Raises:
        ValueError: it is neither.
    """
    try:
        return _TRUTHS[given[name].lower()]
    except KeyError:
        raise ValueError(f"{name} is '{shown(given[name])}', expected true or false") from None
