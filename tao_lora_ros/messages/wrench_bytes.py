"""A contact load as the CDR bytes of a WrenchStamped."""

from __future__ import annotations

from tao_lora_ros.messages.cdr_writer import CdrWriter
from tao_lora_ros.messages.results import ContactLoad


def wrench_bytes(load: ContactLoad) -> bytes:
    """The message of a contact load, serialised."""
    out = CdrWriter()
    out.time(load.stamp_ns)
    out.text(load.frame_id)
    for value in load.values.tolist():
        out.put("d", value)
    return out.message
