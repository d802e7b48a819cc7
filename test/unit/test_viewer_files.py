"""Files for viewers of others: every path of a Foxglove layout is a number; what Rerun needs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from commands import tao_lora

from tao_lora_ros.preservation.event_record import Topic
from tao_lora_ros.preservation.message_types import message_types
from tao_lora_ros.report.foxglove_layout import write_foxglove_layout
from tao_lora_ros.signal.cdr import BARE_WRENCH, FORCE, IMU, JOINT_STATE, WRENCH

INPUTS = {"/imu/data": IMU, "/ft": WRENCH, "/raw": BARE_WRENCH, "/f": FORCE, "/joints": JOINT_STATE}
RESULTS = {"/tao_lora/inference": "tao_lora_ros/msg/Inference"}


def leaves(tree: Any) -> Iterator[str]:
    if isinstance(tree, str):
        yield tree
    else:
        for side in ("first", "second"):
            yield from leaves(tree[side])


def name_in(kind: Any) -> str:
    """The name of a type, of an array the one of its elements."""
    return kind if isinstance(kind, str) else name_in(kind[0 if isinstance(kind[0], str) else 1])


def field_type(msgtype: str, path: list[str]) -> str:
    """The type that a path of fields leads to in a message."""
    for name in path:
        fields = dict(message_types().get_msgdef(msgtype).fields)
        kind = fields[name.partition("[")[0]]
        is_array = isinstance(kind[1], tuple) and isinstance(kind[1][0], tuple)
        assert is_array == ("[" in name), name
        msgtype = name_in(kind[1][0] if is_array else kind)
    return msgtype


def test_the_layout_has_every_input_and_every_path_is_a_number(tmp_path: Path) -> None:
    inputs = [Topic(name, msgtype) for name, msgtype in INPUTS.items()]
    write_foxglove_layout(tmp_path / "layout.json", inputs, ("free", "impact"))
    layout = json.loads((tmp_path / "layout.json").read_text())
    assert sorted(leaves(layout["layout"])) == sorted(layout["configById"])
    paths = [
        path["value"] for panel in layout["configById"].values() for path in panel.get("paths", ())
    ]
    seen = set()
    for path in paths:
        topic, *fields = path.split(".")
        seen.add(topic)
        assert field_type((INPUTS | RESULTS)[topic], fields) in ("float64", "float32", "uint8")
    assert seen == {*INPUTS, *RESULTS}


def test_without_the_sdk_it_is_said_before_the_work(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr("tao_lora_ros.cli.outputs.find_spec", lambda name: None)
    assert tao_lora("replay", tmp_path / "bag", rerun=tmp_path / "x.rrd") == 1
    assert "pip install rerun-sdk" in capsys.readouterr().err
