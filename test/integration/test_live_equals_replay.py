"""A live node and a replay of the same recording give the same inferences and the same events."""

from __future__ import annotations

import heapq
import math
import random
import signal
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from models import replayed
from recordings import START_NS, TOPICS, Message, force, imu, motion, wrench, write_ros2
from swung import handled, messages_of, swung_artifact

from tao_lora_ros.bags.reader import BagReader
from tao_lora_ros.bags.replay import Replay
from tao_lora_ros.benchmarks.node_models import write_artifact
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.engine.sources import source_configs
from tao_lora_ros.messages.from_message import event_from
from tao_lora_ros.messages.raw_data import RawSamples
from tao_lora_ros.messages.results import ContactLoad, Event, Inference, Kind, Phase
from tao_lora_ros.model.artifact import Artifact, default_artifact, load_artifact, save_artifact
from tao_lora_ros.model.label_filter import LabelFilter
from tao_lora_ros.signal.cdr import FORCE, WRENCH, decode_wrench

pytestmark = pytest.mark.ros
SECOND = 1_000_000_000
# What comes later than that of another source is passed over, by the order of arrival. On a busy
# machine two topics come further apart than the default.
WAIT_S = 2.0
PATIENT = f"source_timeout_s:={WAIT_S}"


@pytest.fixture(scope="module")
def artifact() -> Artifact:
    torch.set_num_threads(1)  # as the node does: the sums then round alike
    return load_artifact(default_artifact())


def found_in(bag: Path, artifact: Artifact, settings: Settings) -> tuple[Replay, list[Message]]:
    """What a replay of the bag gives, and the bag's messages."""
    with BagReader(bag, source_configs(settings)) as reader:
        messages = [Message(*message) for message in reader.messages()]
    return replayed(bag, artifact, settings)[0], messages


def single(value: float) -> float | str:
    """A float as a float32 field holds it, and a NaN that equals itself."""
    return "nan" if math.isnan(value) else float(np.float32(value))


def ns(time) -> int:
    return time.sec * SECOND + time.nanosec


def inference_row(result: Inference, artifact: Artifact) -> tuple:
    return (
        result.stamp_ns, result.frame_id, artifact.model_id, artifact.version, int(result.path),
        result.score, list(artifact.labels), [single(p) for p in result.probabilities],
        single(result.forecast_error), result.window_start_ns, result.window_end_ns,
    )  # fmt: skip


def inference_message_row(message) -> tuple:
    return (
        ns(message.header.stamp), message.header.frame_id, message.model_id,
        message.model_version, message.path, message.score, list(message.labels),
        [single(p) for p in message.probabilities], single(message.forecast_error),
        ns(message.window_start), ns(message.window_end),
    )  # fmt: skip


def event_row(event: Event) -> tuple:
    return (
        event.onset_ns, event.frame_id, event.sequence, int(event.phase), event.onset_ns,
        event.peak_ns, event.end_ns, event.peak_score, [name for name, _ in event.channels],
        [single(share) for _, share in event.channels], event.label, single(event.probability),
        int(event.kind), event.regime_change, *map(repr, vars(event.size).values()),
    )  # fmt: skip


def event_message_row(message) -> tuple:
    return (
        ns(message.header.stamp), message.header.frame_id, message.sequence, message.phase,
        ns(message.onset), ns(message.peak), ns(message.end), message.peak_score,
        list(message.channels), [single(share) for share in message.shares], message.label,
        single(message.probability), message.kind, message.regime_change,
        *map(repr, vars(event_from(message).size).values()),
    )  # fmt: skip


def raw_row(raw: RawSamples) -> tuple:
    values = [str(value) for value in raw.values.ravel().tolist()]  # a NaN as text equals itself
    return raw.source, raw.frame_id, list(raw.channels), raw.stamps_ns.tolist(), values


def raw_message_row(message) -> tuple:
    stamps, values = [ns(stamp) for stamp in message.stamps], [str(v) for v in message.values]
    return message.source, message.frame_id, list(message.channels), stamps, values


def assert_same(wire, result: Replay, artifact: Artifact) -> None:
    assert [inference_message_row(message) for message in wire.inferences] == [
        inference_row(inference, artifact) for inference in result.inferences
    ]
    assert list(map(event_message_row, wire.events)) == list(map(event_row, result.events))
    for message, event in zip(wire.samples, result.events, strict=True):
        assert (message.sequence, message.phase) == (event.sequence, event.phase)
        assert list(map(raw_message_row, message.raw)) == list(map(raw_row, event.raw))


def run_live(
    wire, start_node, messages: Iterable[Message], *parameters: str, rate: float = 3.0
) -> None:
    """Play to a node and stop it by Ctrl-C, so that it closes an open event as a replay does."""
    from wire import LOSSLESS

    process = start_node(*LOSSLESS, *parameters)
    wire.play(messages, rate)
    wire.until_acknowledged()
    wire.settle()
    process.child.send_signal(signal.SIGINT)
    wire.until(lambda: process.child.poll() is not None, "end of the node")
    assert process.child.returncode == 0, process.log


def test_planted_impacts(wire, start_node, artifact, tmp_path):
    """The recording ends in the middle of its last event; the labels have a filter over time."""
    from wire import DEEP

    from tao_lora_ros.msg import Inference as InferenceMessage

    model = tmp_path / "model"
    save_artifact(replace(artifact, label_filter=LabelFilter(2.0, 10.0, 1.5)), model)
    bag = write_ros2(tmp_path / "bag", motion(4.0, impacts_s=(1.5, 2.5, 3.99)))
    result, messages = found_in(
        bag, load_artifact(model), Settings(model=str(model), source_timeout_s=WAIT_S)
    )
    assert [event.phase for event in result.events] == [Phase.ONSET, Phase.END] * 3
    states: list = []
    wire.node.create_subscription(InferenceMessage, "/tao_lora/state", states.append, DEEP)
    run_live(wire, start_node, messages, f"model:={model}", PATIENT)
    assert_same(wire, result, artifact)
    assert list(map(inference_message_row, states)) == [
        inference_row(state.inference, replace(artifact, labels=state.labels))
        for state in result.states
    ]
    assert states
    assert all(ns(message.latency) > 0 for message in wire.inferences)


def test_recorded_hammer_taps(wire, start_node, artifact, data_folder):
    bag = data_folder / "kuka_ft_imu" / "ros2bag_2-vibrations"
    if not bag.exists():
        pytest.skip(f"{bag} does not exist")
    result, messages = found_in(bag, artifact, Settings(source_timeout_s=WAIT_S))
    assert result.inferences
    assert result.events
    run_live(wire, start_node, messages, PATIENT)
    assert_same(wire, result, artifact)


def test_forces_without_torques(wire, start_node, artifact, tmp_path):
    from geometry_msgs.msg import Vector3Stamped

    whole = motion(3.0, impacts_s=(1.5, 2.5), seed=2)
    alone = [
        replace(m, data=force(m.stamp_ns, decode_wrench(m.data).values)) if m.source else m
        for m in whole
    ]
    bag = write_ros2(tmp_path / "bag", alone, (TOPICS[0], ("/wrench", FORCE)))
    settings = Settings(wrench_types=("Vector3Stamped",), source_timeout_s=WAIT_S)
    result, messages = found_in(bag, artifact, settings)
    assert [event.phase for event in result.events] == [Phase.ONSET, Phase.END] * 2
    raw = result.events[1].raw[1]
    assert np.isnan(raw.values[:, 3:]).all()
    assert not np.isnan(raw.values[:, :3]).any()
    wire.publish_as(1, Vector3Stamped)
    run_live(wire, start_node, messages, "wrench_types:=[Vector3Stamped]", PATIENT)
    assert_same(wire, result, artifact)


def load_row(load: ContactLoad) -> tuple:
    return load.stamp_ns, load.frame_id, [str(value) for value in load.values.tolist()]


def load_message_row(message) -> tuple:
    force, torque = message.wrench.force, message.wrench.torque
    values = [force.x, force.y, force.z, torque.x, torque.y, torque.z]
    return ns(message.header.stamp), message.header.frame_id, [str(value) for value in values]


def test_lasting_contacts_and_the_contact_wrench(wire, start_node, tmp_path):
    from geometry_msgs.msg import WrenchStamped
    from wire import DEEP

    model = tmp_path / "model"
    save_artifact(swung_artifact(), model)
    settings = Settings(model=str(model), contact_wrench_hz=100.0, source_timeout_s=WAIT_S)
    bag = write_ros2(tmp_path / "bag", messages_of(handled()))
    result, messages = found_in(bag, load_artifact(model), settings)
    kinds = [event.kind for event in result.events]
    assert kinds.count(Kind.LASTING_CONTACT) == 2  # onset and end
    assert kinds.count(Kind.BLOW) >= 4

    loads: list = []
    wire.node.create_subscription(WrenchStamped, "tao_lora/contact_wrench", loads.append, DEEP)
    watch = wire.watch()
    run_live(wire, start_node, messages, f"model:={model}", "contact_wrench_hz:=100.0", PATIENT)
    assert_same(wire, result, load_artifact(model))
    assert list(map(load_message_row, loads)) == list(map(load_row, result.loads))
    status = watch.of("contacts")[-1]
    assert status["message"] == "wrench: expected by imu and its gyro"
    assert float(status["wrench: found from N"]) > 0


PERIODS_MS = {"imu": 1, "wrench": 20, "foot": 5}
FOOT_MS = (range(800, 2000), range(3800, 5000))  # when it sends


def three_sources() -> list[Message]:
    """5 s of an Imu at 1 kHz, a wrench at 50 Hz and a foot at 200 Hz that comes and goes."""
    rng = np.random.default_rng(3)
    messages = []
    for source, (name, period_ms) in enumerate(PERIODS_MS.items()):
        for at_ms in range(0, 5000, period_ms):
            if name == "foot" and not any(at_ms in times for times in FOOT_MS):
                continue
            stamp = START_NS + at_ms * 1_000_000 + 100_000 * source
            struck = 4500 <= at_ms < 4520
            values = rng.standard_normal(6) * (30.0 if struck else 1.0)
            messages.append(Message(source, stamp, (wrench if source else imu)(stamp, values)))
    return sorted(messages, key=lambda message: message.stamp_ns)


def test_sources_of_mixed_rates_one_of_which_comes_and_goes(wire, start_node, tmp_path):
    from geometry_msgs.msg import WrenchStamped
    from wire import DEEP

    settings = Settings(
        wrenches=("wrench", "foot"),
        wrench_lags_s=(0.0, 0.0),
        model=str(tmp_path / "model"),
        source_timeout_s=1.0,  # shorter than the foot is away, longer than a busy machine takes
    )
    channels = tuple(name for config in source_configs(settings) for name in config.channels)
    write_artifact(tmp_path / "model", channels, np.ones(len(channels)))
    artifact = load_artifact(tmp_path / "model")
    topics = (*TOPICS, ("/foot", WRENCH))
    bag = write_ros2(tmp_path / "bag", three_sources(), topics)
    result, messages = found_in(bag, artifact, settings)

    wire.publishers.append(wire.node.create_publisher(WrenchStamped, "foot", DEEP))
    watch = wire.watch()
    parameters = [
        f"model:={settings.model}", "wrenches:=[wrench, foot]", "wrench_lags_s:=[0.0, 0.0]",
        "source_timeout_s:=1.0",
        "qos_overrides./foot.subscription.reliability:=reliable",
    ]  # fmt: skip
    run_live(wire, start_node, messages, *parameters, rate=1.0)
    assert_same(wire, result, artifact)

    windows = np.array([ns(message.window_end) for message in wire.inferences])
    assert windows[-1] - windows[0] > 4.6 * SECOND
    assert np.diff(windows).max() == 16 * SECOND // 500  # nobody waits for who is away
    raw = {raw.source: ns(raw.stamps[1]) - ns(raw.stamps[0]) for raw in wire.samples[-1].raw}
    assert raw == {name: period_ms * 1_000_000 for name, period_ms in PERIODS_MS.items()}
    told = iter(report["message"].split()[0] for report in watch.of("foot"))
    assert all(word in told for word in ("receiving", "silent", "receiving"))  # in this order


def shuffled(messages: Iterable[Message], jitter_s: float) -> Iterable[Message]:
    """Delay each message at random; one source's messages stay in order."""
    generator = random.Random(1)
    streams = []
    for source in (0, 1):
        latest, delayed = 0, []
        for message in (m for m in messages if m.source == source):
            latest = max(latest, message.stamp_ns + round(generator.uniform(0, jitter_s) * SECOND))
            delayed.append((latest, source, message))
        streams.append(delayed)
    return (
        replace(m, stamp_ns=latest) for latest, _, m in heapq.merge(*streams, key=lambda d: d[:2])
    )


def test_order_of_arrival_does_not_matter(wire, start_node, artifact, tmp_path):
    settings = Settings(source_timeout_s=WAIT_S)
    messages = motion(4.0, impacts_s=(1.5, 2.5), seed=1)
    result, _ = found_in(write_ros2(tmp_path / "bag", messages), artifact, settings)
    assert [event.phase for event in result.events] == [Phase.ONSET, Phase.END] * 2
    late = list(shuffled(messages, jitter_s=0.05))
    assert [m.source for m in late] != [m.source for m in messages]
    run_live(wire, start_node, late, PATIENT)
    assert_same(wire, result, artifact)


def driver_mess() -> list[Message]:
    """An Imu behind a USB adapter, with stray stamps, overtaken samples and absent axes; a wrench
    at 10 Hz whose frame changes.
    """
    rng = np.random.default_rng(5)
    out: list[Message] = []
    for i in range(3000):
        at = START_NS + 2_000_000 * i
        came = at - at % 16_000_000 + 16_000_000
        values = rng.standard_normal(6) * 0.05 + [0, 0, 9.81, 0, 0, 0]
        values[1 + i % 3] += 30.0 * (2200 <= i < 2206)
        values[i % 6] = math.nan if i % 97 == 0 else values[i % 6]
        stray = round(0.4 * SECOND) if i % 401 == 400 else 0
        out.append(Message(0, came, imu(came + stray, values)))
    for at in range(START_NS, START_NS + 6 * SECOND, SECOND // 10):
        frame = "tool" if at > START_NS + 2 * SECOND else "flange"
        out.append(Message(1, at, wrench(at, rng.standard_normal(6), frame)))
    out.sort(key=lambda message: message.stamp_ns)
    for i in range(500, 5000, 50):
        if i + 1 < len(out):  # one overtakes the other
            first, second = out[i], out[i + 1]
            out[i] = replace(second, stamp_ns=first.stamp_ns)
            out[i + 1] = replace(first, stamp_ns=second.stamp_ns)
    return out


def test_whatever_drivers_send(wire, start_node, artifact, tmp_path):
    bag = write_ros2(tmp_path / "bag", driver_mess())
    result, messages = found_in(bag, artifact, Settings(source_timeout_s=WAIT_S))
    assert result.events
    run_live(wire, start_node, messages, PATIENT, rate=1.0)
    assert_same(wire, result, artifact)


def test_an_offset_that_is_measured_and_taken_off(wire, start_node, artifact, tmp_path):
    """The wrench's stamps are those of another computer, 0.8 s behind."""
    behind = [
        replace(m, data=wrench(m.stamp_ns - 803_700_000, decode_wrench(m.data).values))
        if m.source
        else m
        for m in motion(4.0, impacts_s=(2.5, 3.5), seed=4)
    ]
    bag = write_ros2(tmp_path / "bag", behind)
    settings = Settings(auto_lags=True, source_timeout_s=0.4)  # a busy machine takes less
    result, messages = found_in(bag, artifact, settings)
    last = result.events[-1]
    assert abs(last.onset_ns - START_NS - 3.5 * SECOND) < 0.01 * SECOND
    assert {name.partition(".")[0] for name, _ in last.channels} == {"imu", "wrench"}
    run_live(wire, start_node, messages, "auto_lags:=true", "source_timeout_s:=0.4", rate=1.0)
    assert_same(wire, result, artifact)
