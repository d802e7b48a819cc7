"""What router and contacts remember, as a std_msgs/UInt8MultiArray in an event's bag."""

from __future__ import annotations

import struct

import numpy as np

from tao_lora_ros.messages.cdr_writer import CdrWriter

STATE_TOPIC = "router_state"  # beside the topic of the events
STATE_TYPE = "std_msgs/msg/UInt8MultiArray"
_HEAD = 16  # encapsulation, no dimensions, no offset, how many bytes


def state_bytes(state: bytes) -> bytes:
    """The message, serialised."""
    out = CdrWriter()
    out.put("I", 0)
    out.put("I", 0)
    out.array(np.frombuffer(state, np.uint8), 1)
    return out.message


def state_from(message: bytes) -> bytes:
    """Undo `state_bytes`.

    Raises:
        ValueError: it is no such message.
    """
    if len(message) < _HEAD or message[4:12] != bytes(8):
        raise ValueError("not a router state")
    (count,) = struct.unpack_from("<I", message, _HEAD - 4)
    return message[_HEAD : _HEAD + count]
