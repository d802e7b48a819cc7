"""Whether stored events hold all that cameras sent around them."""

from __future__ import annotations

import struct
from pathlib import Path

from tao_lora_ros.messages.stamps import SECOND_NS, joined
from tao_lora_ros.preservation.event_catalogue import read_entries, read_event

FRAMES_HZ = 30
STAMP, STAMP_AT = struct.Struct("<iI"), 4  # of when it is sent, and where in a frame's bytes
NUMBER = struct.Struct("<q")  # of a frame, its last bytes
_SLACK_NS = 2 * SECOND_NS // FRAMES_HZ  # a frame's period, and its way


def topics(count: int) -> list[str]:
    """The cameras' topics."""
    return [f"/camera_{at}" for at in range(count)]


def complete_share(
    store: Path, cameras: int, rolls_s: tuple[float, float], since_ns: int
) -> tuple[int, float]:
    """How many events a store holds, and the share of them that have every frame of each camera.

    Args:
        store: the store.
        cameras: how many there were.
        rolls_s: pre-roll and post-roll of what is stored.
        since_ns: events from before it, while all was starting, are left out.
    """
    pre_roll_s, post_roll_s = rolls_s
    entries = [entry for entry in read_entries(store) if entry.onset_ns >= since_ns]
    whole = 0
    for entry in entries:
        _, record = read_event(store, entry.number)
        frames = {topic.name: messages.data for topic, messages in record.received}
        first_ns = entry.onset_ns - round(pre_roll_s * SECOND_NS) + _SLACK_NS
        last_ns = entry.end_ns + round(post_roll_s * SECOND_NS) - _SLACK_NS
        whole += all(_complete(frames.get(name, ()), first_ns, last_ns) for name in topics(cameras))
    return len(entries), whole / max(len(entries), 1)


def _complete(frames: tuple[bytes, ...], first_ns: int, last_ns: int) -> bool:
    """Whether frames follow each other without a hole, from before one time to after another."""
    stamps = [joined(*STAMP.unpack_from(frame, STAMP_AT)) for frame in frames]
    numbers = [NUMBER.unpack(frame[-NUMBER.size :])[0] for frame in frames]
    if not numbers or numbers != list(range(numbers[0], numbers[-1] + 1)):
        return False
    return stamps[0] <= first_ns and last_ns <= stamps[-1]
