"""A stamp as a message."""

from __future__ import annotations

from builtin_interfaces.msg import Time

from tao_lora_ros.messages.stamps import split


def time_message(stamp_ns: int) -> Time:
    """Time of a stamp in ns."""
    sec, nanosec = split(stamp_ns)
    return Time(sec=sec, nanosec=nanosec)
