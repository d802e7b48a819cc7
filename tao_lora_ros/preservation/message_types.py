"""Message types of an event's bag, without ROS."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from tao_lora_ros.preservation.event_record import StoreError

_OWN_TYPES = ("EventSamples", "RawSamples", "TransientEvent")


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


def _message_folder() -> Path:
    """Where the .msg files lie: `msg/` of the source tree or the share folder of a prefix."""
    here = Path(__file__).parents
    for folder in [base / sub for base in here for sub in ("msg", "share/tao_lora_ros/msg")]:
        if all((folder / f"{name}.msg").is_file() for name in _OWN_TYPES):
            return folder
    raise StoreError(f"{Path(__file__).parent}: no message definitions near: reinstall the package")
