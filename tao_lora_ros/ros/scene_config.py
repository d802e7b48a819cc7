"""Which further topics the store keeps, for the process that takes them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise

from rclpy.node import Node

from tao_lora_ros.engine.settings import Settings

PROCESS = "tao_lora_ros.ros.scene_process"


@dataclass(frozen=True)
class SceneConfig:
    """What is to be kept.

    Args:
        node: full name of the node that it is for, whose events it follows.
        topics: full names and types, empty where the publishers are to say it.
        pre_roll_s, longest_s, post_roll_s: of an event, as the node keeps its sources.
        most_bytes: of all messages in memory.
        enclave: of SROS 2 that the node was started in; empty: none was given.
    """

    node: str
    topics: tuple[tuple[str, str], ...]
    pre_roll_s: float
    longest_s: float
    post_roll_s: float
    most_bytes: int
    enclave: str = ""

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> SceneConfig:
        """Undo `to_json`."""
        row = json.loads(text)
        return cls(**row | {"topics": tuple(tuple(pair) for pair in row["topics"])})


def scene_of(
    node: Node, settings: Settings, kept: Iterable[str], warn: Callable[[str], None]
) -> SceneConfig | None:
    """What the settings of a node want; None: no further topics.

    `kept` are full names of topics that an event holds anyway: these are not taken twice.
    """
    topics: dict[str, str] = {}
    for text in filter(None, settings.store_topics):
        name, _, msgtype = text.partition(":")
        name = node.resolve_topic_name(name)
        if name in kept:
            warn(f"store_topics: {name} is kept anyway")
        else:
            topics[name] = msgtype
    if not topics:
        return None
    return SceneConfig(
        node.get_fully_qualified_name(),
        tuple(topics.items()),
        settings.store_pre_roll_s,
        settings.max_transient_s,
        settings.post_roll_s,
        settings.store_topics_mb << 20,
        _enclave(sys.argv),
    )


def _enclave(arguments: Sequence[str]) -> str:
    """What these arguments of a node say; rclpy has no other way to ask."""
    flags = ("-e", "--enclave")
    return next((value for flag, value in pairwise(arguments) if flag in flags), "")
