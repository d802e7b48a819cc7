"""A replay in numbers, ready for JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from jsonschema import validate
from models import LABELS, small_artifact
from recordings import TOPICS, Message, imu, motion, wrench, write_ros2

from tao_lora_ros.bags.reader import BagReader
from tao_lora_ros.bags.replay import Replay, replay, summary
from tao_lora_ros.engine.pipeline import Pipeline
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.engine.sources import source_configs
from tao_lora_ros.messages.results import Phase
from tao_lora_ros.signal.cdr import DECODERS

NUMBER = {"type": "number"}
COUNT = {"type": "integer", "minimum": 0}
COUNTS = {"type": "object", "additionalProperties": COUNT}
EVENT = {
    "type": "object",
    "required": ["onset_s", "peak_s", "end_s", "score", "channels", "label", "probability"],
    "properties": {
        **dict.fromkeys(("onset_s", "peak_s", "end_s", "score", "probability"), NUMBER),
        "channels": {"type": "object", "additionalProperties": NUMBER},
        "label": {"type": "string"},
    },
}
SCHEMA = {
    "type": "object",
    "required": ["messages", "windows", "inferences", "paths", "rejected", "events"],
    "properties": {
        **dict.fromkeys(("messages", "windows", "inferences"), COUNT),
        "paths": {**COUNTS, "required": ["steady", "transient"]},
        "rejected": COUNTS,
        "events": {"type": "array", "items": EVENT},
    },
}
STRUCK = motion(4.0, [3.0], seed=1)


def run(path: Path, messages: list[Message], told: list[int] | None = None) -> tuple[Replay, dict]:
    bag = write_ros2(path / "bag", messages)
    pipeline = Pipeline(Settings(), small_artifact())
    with BagReader(bag, source_configs(Settings())) as reader:
        result = replay(reader, pipeline, (told if told is not None else []).append)
    return result, json.loads(json.dumps(summary(result, pipeline)))


def test_the_summary_keeps_its_schema_and_adds_up(tmp_path: Path) -> None:
    result, numbers = run(tmp_path, STRUCK)
    validate(numbers, SCHEMA)
    assert numbers["messages"] == len(STRUCK)
    assert numbers["inferences"] == len(result.inferences) == sum(numbers["paths"].values())
    assert numbers["paths"]["transient"] > 0
    assert numbers["rejected"] == {}


def test_times_are_seconds_from_the_first_message(tmp_path: Path) -> None:
    result, numbers = run(tmp_path, STRUCK)
    assert result.first_stamp_ns == STRUCK[0].stamp_ns
    (event,) = numbers["events"]
    assert event["onset_s"] == pytest.approx(3.0, abs=0.01)
    assert event["onset_s"] <= event["peak_s"] <= event["end_s"] < 3.1
    assert event["score"] >= 1.0
    assert event["label"] in LABELS
    assert list(event["channels"].values()) == sorted(event["channels"].values(), reverse=True)


def test_the_pipeline_gives_the_same_without_a_bag(tmp_path: Path) -> None:
    result, _ = run(tmp_path, STRUCK)
    pipeline = Pipeline(Settings(), small_artifact())
    direct = [r for m in STRUCK for r in pipeline.push(m.source, m.data).results]
    stamps = [r.window_end_ns for r in direct if hasattr(r, "window_end_ns")]
    assert [inference.window_end_ns for inference in result.inferences] == stamps


def test_an_event_at_the_bags_end_is_closed(tmp_path: Path) -> None:
    cut = [m for m in STRUCK if m.stamp_ns < STRUCK[0].stamp_ns + 3_012_000_000]
    result, numbers = run(tmp_path, cut)
    assert [event.phase for event in result.events] == [Phase.ONSET, Phase.END]
    assert len(numbers["events"]) == 1


def test_bad_messages_are_counted_and_do_not_set_the_start(tmp_path: Path) -> None:
    bad = Message(0, STRUCK[0].stamp_ns - 1, b"\0\1\0\0short")
    result, numbers = run(tmp_path, [bad, *STRUCK[:100]])
    assert numbers["rejected"] == {"undecodable": 1}
    assert result.first_stamp_ns == STRUCK[0].stamp_ns


def test_progress_is_told_up_to_the_last_message(tmp_path: Path) -> None:
    told: list[int] = []
    run(tmp_path, STRUCK[:2500], told)
    assert told == sorted(told)
    assert told[-1] == 2500


def test_a_bag_shorter_than_a_window_gives_nothing(tmp_path: Path) -> None:
    _, numbers = run(tmp_path, STRUCK[:20])
    assert (numbers["windows"], numbers["inferences"], numbers["events"]) == (0, 0, [])


def test_what_became_of_each_source_adds_up(tmp_path: Path) -> None:
    """One message refused, the wrench half a second behind."""
    bad = Message(0, STRUCK[0].stamp_ns - 1, b"\0\1\0\0short")
    late = [replace(m, data=wrench(m.stamp_ns - 500_000_000)) if m.source else m for m in STRUCK]
    _, numbers = run(tmp_path, [bad, *late])
    sources = numbers["sources"]
    assert sources["imu"]["received"] == 2001
    assert sources["imu"]["refused"] == {"undecodable": 1}
    assert sources["imu"]["used"] >= 1998
    assert sources["wrench"]["unused"] > 1700
    for source in sources.values():
        spent = source["used"] + sum(source["refused"].values()) + source["unused"]
        assert source["received"] == spent
    refused, constant, notice, contacts = numbers["notices"]
    assert refused.startswith("imu: 1 of 2001 refused, the last: imu: undecodable: ")
    assert constant.startswith("wrench: does not change, whatever happens: wrench: ")
    assert contacts.startswith("wrench: not known what hangs on it, no lasting contacts")
    assert notice.endswith("wrench is 0.50 s behind imu: set wrench_lags_s to -0.50")


def test_without_stamps_times_are_those_of_the_log(tmp_path: Path) -> None:
    bare = [
        replace(
            m, data=(wrench if m.source else imu)(0, DECODERS[TOPICS[m.source][1]](m.data).values)
        )
        for m in STRUCK
    ]
    result, numbers = run(tmp_path, bare)
    assert result.first_stamp_ns == STRUCK[0].stamp_ns
    (event,) = numbers["events"]
    assert event["onset_s"] == pytest.approx(3.0, abs=0.01)
    assert sum("stamps are 0" in notice for notice in numbers["notices"]) == 2
