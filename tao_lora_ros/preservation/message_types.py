"""Message types of an event's bag, without ROS."""

from __future__ import annotations

import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

from rosbags.interfaces import Nodetype
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from tao_lora_ros.preservation.event_record import StoreError

_OWN_TYPES = ("EventSamples", "Inference", "RawSamples", "TransientEvent")


@cache
def message_types() -> Any:
    """Type store of rosbags with this package's messages.

    Raises:
        StoreError: the package's .msg files are not found.
    """
    store = get_typestore(Stores.ROS2_JAZZY)
    folder = _message_folder()
    types: dict[str, Any] = {}
    for name in _OWN_TYPES:
        text = (folder / f"{name}.msg").read_text("utf-8")
        types |= get_types_from_msg(text, f"tao_lora_ros/msg/{name}")
    store.register(types)
    return store


def learn_type(msgtype: str) -> None:
    """Have `message_types` know a type and all that it consists of, by installed .msg files.

    Raises:
        StoreError: there is no definition of it on this machine, or none that can be read.
    """
    wanted, found = [msgtype], dict[str, Any]()
    while wanted:
        name = wanted.pop()
        if name in message_types().fielddefs or name in found:
            continue
        try:
            types = get_types_from_msg(_definition(name), name)
        except StoreError:
            raise
        except Exception as error:  # whatever rosbags stumbles on
            raise StoreError(f"the definition of {name} cannot be read: {error}") from error
        found |= types
        wanted += [other for fields in types.values() for other in _parts(fields)]
    message_types().register(found)


def _parts(fields: Any) -> list[str]:
    """Names of the message types among the fields of a definition."""
    return [name for _, description in fields[1] for name in _names(description)]


def _names(description: Any) -> list[str]:
    kind, what = description
    if kind is Nodetype.NAME:
        return [what]
    return [] if kind is Nodetype.BASE else _names(what[0])


def _definition(msgtype: str) -> str:
    package, _, name = msgtype.partition("/msg/")
    prefixes = [*os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep), sys.prefix]
    for prefix in filter(None, prefixes):
        file = Path(prefix, "share", package, "msg", f"{name}.msg")
        if file.is_file():
            return file.read_text("utf-8")
    raise StoreError(f"no file share/{package}/msg/{name}.msg")


def _message_folder() -> Path:
    """Where the .msg files lie: `msg/` of the source tree or the share folder of a prefix."""
    here = Path(__file__).parents
    for folder in [base / sub for base in here for sub in ("msg", "share/tao_lora_ros/msg")]:
        if all((folder / f"{name}.msg").is_file() for name in _OWN_TYPES):
            return folder
    raise StoreError(f"{Path(__file__).parent}: no message definitions near: reinstall the package")
