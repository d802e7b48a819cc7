"""A TransientEvent and its EventSamples as CDR bytes.

The raw samples of all sources are thousands of numbers. As Python message objects these take
milliseconds to make and to serialise, just when something happened; as arrays they are copied.
"""

from __future__ import annotations

import numpy as np

from tao_lora_ros.messages.cdr_writer import CdrWriter
from tao_lora_ros.messages.raw_data import RawSamples
from tao_lora_ros.messages.results import Event
from tao_lora_ros.messages.stamps import split_all

_STAMPS = np.dtype([("sec", "<i4"), ("nanosec", "<u4")])


def event_bytes(event: Event) -> bytes:
    """The TransientEvent of an event, serialised."""
    out = _begun(event)
    for stamp_ns in (event.onset_ns, event.peak_ns, event.end_ns):
        out.time(stamp_ns)
    out.put("d", event.peak_score)
    out.texts([name for name, _ in event.channels])
    out.array(np.array([share for _, share in event.channels], "<f4"), 4)
    out.put("B", event.kind)
    out.put("?", event.regime_change)
    out.text(event.label)
    out.put("f", event.probability)
    out.text(event.reason)
    size = event.size
    for value in (size.duration, size.peak_force, size.impulse, size.peak_torque):
        out.put("d", value)
    out.put("d", size.acceleration_change)
    out.put("d", size.mean_load)
    out.text(size.sensor)
    out.text(size.frame_id)
    for value in size.direction:
        out.put("d", value)
    return out.message


def samples_bytes(event: Event) -> bytes:
    """The EventSamples of an event, serialised."""
    out = _begun(event)
    out.put("I", len(event.raw))
    for raw in event.raw:
        _put_raw(out, raw)
    return out.message


def _begun(event: Event) -> CdrWriter:
    """What both messages begin with."""
    out = CdrWriter()
    out.time(event.onset_ns)
    out.text(event.frame_id)
    out.put("I", event.sequence)
    out.put("B", event.phase)
    return out


def _put_raw(out: CdrWriter, raw: RawSamples) -> None:
    stamps = np.empty(len(raw.stamps_ns), _STAMPS)
    stamps["sec"], stamps["nanosec"] = split_all(raw.stamps_ns)
    out.text(raw.source)
    out.text(raw.frame_id)
    out.texts(raw.channels)
    out.array(stamps, 4)
    out.array(raw.values.astype("<f8", copy=False).ravel(), 8)
