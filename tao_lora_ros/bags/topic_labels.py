"""Labels that somebody published while the bag was recorded."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore

from tao_lora_ros.bags.reader import BagError
from tao_lora_ros.bags.record import Contact

STRING = "std_msgs/msg/String"


def topic_labels(bag: Path, topic: str) -> list[Contact]:
    """Stretches labelled by the strings of a topic: each holds until the next one.

    Times are those of the recording, in seconds from the bag's first message.

    Raises:
        BagError: the bag cannot be read, or has no such topic of strings.
    """
    reader: Any  # messages are of types made at run time
    try:
        with AnyReader([bag], default_typestore=get_typestore(Stores.ROS2_JAZZY)) as reader:
            chosen = [c for c in reader.connections if (c.topic, c.msgtype) == (topic, STRING)]
            if not chosen:
                there = ", ".join(sorted(f"{c.topic} ({c.msgtype})" for c in reader.connections))
                raise BagError(f"{bag}: no topic {topic} of type {STRING}; there are: {there}")
            said = [
                ((log_ns - reader.start_time) * 1e-9, reader.deserialize(raw, STRING).data)
                for _, log_ns, raw in reader.messages(connections=chosen)
            ]
            end_s = reader.duration * 1e-9
    except BagError:
        raise
    except Exception as error:  # rosbags reports damage by whatever its parsing stumbled on
        raise BagError(f"{bag}: not a readable bag: {error}") from error
    stretches = pairwise([*said, (end_s, "")])
    return [Contact(start, end, label) for (start, label), (end, _) in stretches if label]
