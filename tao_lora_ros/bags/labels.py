"""Labels of a bag: in the file beside it, or published on a topic while it was recorded."""

from __future__ import annotations

import csv
from itertools import pairwise
from pathlib import Path
from typing import Any

from rosbags.highlevel import AnyReader
from rosbags.typesys import Stores, get_typestore

from tao_lora_ros.bags.reader import BagError
from tao_lora_ros.messages.label_span import LabelSpan

STRING = "std_msgs/msg/String"


def topic_labels(bag: Path, topic: str) -> list[LabelSpan]:
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
    return [LabelSpan(start, end, label) for (start, label), (end, _) in stretches if label]


def labels_file(bag: Path) -> Path:
    """Where the labels of a bag lie: beside it."""
    return bag.with_name(f"{bag.name}.labels.csv")


def read_contacts(bag: Path) -> list[LabelSpan]:
    """The truth in `<bag>.labels.csv` beside a bag, by start; none where there is no such file.

    Raises:
        BagError: a row lacks `start_s`, `end_s` or `label`, or they are no numbers.
    """
    file = labels_file(bag)
    if not file.exists():
        return []
    contacts = []
    with file.open(newline="") as lines:
        for number, row in enumerate(csv.DictReader(lines), start=2):
            try:
                start, end, label = float(row["start_s"]), float(row["end_s"]), row["label"]
                sigma = float(row.get("peak_sigma") or "nan")
            except (KeyError, TypeError, ValueError):
                raise BagError(
                    f"{file}: line {number}: expected start_s,end_s,label, got {dict(row)}"
                ) from None
            contacts.append(LabelSpan(start, end, label, sigma))
    return sorted(contacts, key=lambda contact: contact.start_s)
