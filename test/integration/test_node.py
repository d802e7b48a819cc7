"""The node as users meet it: a process with parameters, topics, services and signals."""

from __future__ import annotations

import shutil
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from recordings import START_NS, Message, motion
from signals import wait_for_handler

from tao_lora_ros.model.artifact import default_artifact, load_artifact, save_artifact
from tao_lora_ros.preservation.event_catalogue import read_entries, read_event
from tao_lora_ros.preservation.event_verify import verify

Trigger = pytest.importorskip("std_srvs.srv", reason="ROS 2 is not installed").Trigger
pytestmark = pytest.mark.ros
ONSET, END = 0, 1
OK, WARN, ERROR = 0, 1, 2
SECOND = 1_000_000_000


def start_in(messages: list[Message], seconds: float) -> list[Message]:
    """The messages from this many seconds after the start on."""
    return [m for m in messages if m.stamp_ns >= START_NS + round(seconds * SECOND)]


def phases(wire) -> list[tuple[int, int]]:
    return [(event.sequence, event.phase) for event in wire.events]


@pytest.fixture
def fail(wire, run):
    """Run a node that cannot start; returns what it writes."""
    from wire import TIMEOUT_S, node_command

    def failed(*parameters: str, arguments: tuple[str, ...] = ()) -> str:
        process = run([*node_command(parameters), *arguments])
        assert process.child.wait(TIMEOUT_S) == 1, process.log
        assert "Traceback" not in process.log
        return process.log

    return failed


@pytest.mark.parametrize(
    ("parameter", "words"),
    [
        ("hop_stead:=4", "unknown parameter 'hop_stead'; did you mean 'hop_steady'?"),
        ("hop_steady:=often", "parameter 'hop_steady' is 'often', expected int"),
        ("hop_steady:=0", "parameter 'hop_steady' is 0, expected 1 to 4096"),
        ("use_sim_time:=3", "'use_sim_time'"),
        ("qos_overrides./imu.subscription.reliability:=perhaps", "`reliability`: `perhaps`"),
        ("model:=/nowhere", "/nowhere/model.json: No such file or directory"),
    ],
)
def test_refuses_to_start(fail, parameter, words):
    (line,) = fail(parameter).splitlines()
    assert words in line


def test_refuses_a_parameter_file_that_is_missing(fail):
    log = fail(arguments=("--params-file", "/nowhere.yaml"))
    assert "tao_lora: " in log
    assert "/nowhere.yaml" in log


@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
def test_refuses_a_model_that_is_cut_short(fail, tmp_path, name):
    model = tmp_path / "model"
    shutil.copytree(default_artifact(), model)
    whole = (model / name).read_bytes()
    (model / name).write_bytes(whole[: len(whole) // 2])
    (line,) = fail(f"model:={model}").splitlines()
    assert str(model / name) in line


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_closes_the_open_event(wire, start_node, number):
    process = start_node()
    wire.play(start_in(motion(2.0, impacts_s=(1.99,)), 0.5))
    wire.until(lambda: wire.events, "onset")
    assert phases(wire) == [(0, ONSET)]
    process.child.send_signal(number)
    wire.until(lambda: process.child.poll() is not None, "end of the node")
    assert process.child.returncode == 0
    assert phases(wire) == [(0, ONSET), (0, END)]
    assert wire.events[1].end.sec > 0


def test_who_joins_late_gets_past_events(wire, start_node):
    start_node()
    wire.play(start_in(motion(2.2, impacts_s=(2.0,)), 1.0))
    wire.until(lambda: len(wire.events) == 2, "an event")
    late = []
    wire.join_events(late)
    wire.until(lambda: len(late) == 2, "past events")
    assert repr(late) == repr(wire.events)  # a NaN as text equals itself


def test_finished_events_are_kept_on_disk(wire, start_node, tmp_path):
    watch = wire.watch()
    process = start_node(f"store:={tmp_path / 'store'}")
    wire.play(start_in(motion(2.6, impacts_s=(2.0,)), 1.0))  # its post-roll too
    wire.until(lambda: len(wire.events) == len(wire.samples) == 2, "an event")
    watch.until("events", lambda r: r["written"] == "1" and float(r["store_mib"]) > 0.0)
    assert process.stop() == 0
    (entry,) = read_entries(tmp_path / "store")
    end = wire.events[1]
    assert entry.onset_ns == end.onset.sec * SECOND + end.onset.nanosec
    _, kept = read_event(tmp_path / "store", entry.number)
    samples = wire.samples[1]
    assert (samples.header, samples.sequence) == (end.header, end.sequence)
    assert samples.phase == end.phase
    for sent, stored in zip(samples.raw, kept.event.raw, strict=True):
        assert stored.source == sent.source
        np.testing.assert_array_equal(stored.values.ravel(), sent.values)
    assert verify(tmp_path / "store") == (1, [])


def test_an_event_is_kept_though_all_sources_fall_silent_after_it(wire, start_node, tmp_path):
    watch = wire.watch()
    start_node(f"store:={tmp_path / 'store'}", "post_roll_s:=2.0")
    wire.play(start_in(motion(2.6, impacts_s=(2.0,)), 1.0))  # no two seconds after it
    wire.until(lambda: len(wire.events) == 2, "an event")
    watch.until("events", lambda report: report["written"] == "1")


def test_a_store_that_cannot_be_written_is_reported_and_stops_nothing(wire, start_node, tmp_path):
    (tmp_path / "store").write_text("a file, not a folder")
    process = start_node(f"store:={tmp_path / 'store'}")
    wire.play(start_in(motion(2.2, impacts_s=(2.0,)), 1.0))
    wire.until(lambda: len(wire.events) == 2, "an event")
    wire.until(lambda: str(tmp_path / "store") in process.log, "a warning")
    assert process.stop() == 0


def test_calibrates_from_the_motion_since_the_last_reset(wire, start_node):
    start_node()
    refused = wire.call(Trigger, "calibrate", Trigger.Request())
    assert not refused.success
    assert "0 s of steady motion" in refused.message
    wire.play(motion(4.0))
    wire.settle()
    done = wire.call(Trigger, "calibrate", Trigger.Request())
    assert done.success, done.message
    assert done.message.startswith("thresholds ")
    assert "held until the node ends" in done.message
    assert "calibrated_model" in done.message
    assert wire.call(Trigger, "reset", Trigger.Request()).success
    assert not wire.call(Trigger, "calibrate", Trigger.Request()).success


def test_a_calibration_is_there_again_at_the_next_start(wire, start_node, tmp_path):
    kept = tmp_path / "here" / "calibrated"
    process = start_node(f"calibrated_model:={kept}")
    wire.play(motion(4.0))
    wire.settle()
    done = wire.call(Trigger, "calibrate", Trigger.Request())
    assert f"kept in {kept}" in done.message
    assert process.stop() == 0
    made = load_artifact(kept)
    assert made.calibration != load_artifact(default_artifact()).calibration
    process = start_node(f"calibrated_model:={kept}")
    assert "calibrated on this robot" in process.log
    save_artifact(replace(load_artifact(default_artifact()), version="2"), tmp_path / "newer")
    assert process.stop() == 0
    process = start_node(f"calibrated_model:={kept}", f"model:={tmp_path / 'newer'}")
    assert "made from another model" in process.log


def test_garbage_is_refused_by_name_and_the_node_goes_on(wire, start_node):
    process = start_node()
    messages = motion(1.0)
    wire.play(messages[:500])
    before = len(wire.inferences)
    time.sleep(1.0)  # the log tells of refusals once a second
    for length in (0, 1, 4, 12, 40, 100, len(messages[0].data) - 1):
        wire.publishers[0].publish(messages[0].data[:length])
        wire.publishers[1].publish(bytes(np.random.default_rng(length).bytes(length)))
    wire.play(messages[500:])
    assert process.child.poll() is None
    assert len(wire.inferences) > before
    for name in ("imu", "wrench"):
        assert process.log.count(f"refused: {name}: undecodable: ") >= 2  # the probe was one


def test_quality_of_service_is_overridden_for_one_topic_alone(wire, start_node):
    from rclpy.qos import ReliabilityPolicy

    start_node("qos_overrides./imu.subscription.reliability:=reliable")
    reliability = {
        topic: info.qos_profile.reliability
        for topic in ("/imu", "/wrench")
        for info in wire.node.get_subscriptions_info_by_topic(topic)
    }
    assert reliability == {
        "/imu": ReliabilityPolicy.RELIABLE,
        "/wrench": ReliabilityPolicy.BEST_EFFORT,
    }


def test_incompatible_publishers_do_not_stop_the_node(wire, start_node):
    """The events of such matches can deadlock an EventsExecutor."""
    from rclpy.qos import QoSProfile, ReliabilityPolicy
    from wire import INPUTS, LOSSLESS

    start_node(*LOSSLESS)
    best_effort = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
    messages = motion(2.0)
    for part in np.array_split(np.arange(len(messages)), 10):
        others = [wire.node.create_publisher(kind, name, best_effort) for name, kind in INPUTS]
        wire.play([messages[i] for i in part])
        for other in others:
            wire.node.destroy_publisher(other)
    wire.until(lambda: len(wire.inferences) == (1000 - 128) // 16 + 1, "inferences")


def spacing_rows(inferences) -> set[int]:
    """Rows between inferences, at the model's 500 Hz."""
    stamps = [m.window_end.sec * SECOND + m.window_end.nanosec for m in inferences]
    return set((np.diff(stamps) // 2_000_000).tolist())


def test_parameters_change_live(wire, start_node):
    start_node("hop_steady:=32")
    messages = motion(2.0)
    wire.play(messages[:1000])
    assert wire.set_parameter("hop_steady", 8).successful
    before = len(wire.inferences)
    assert spacing_rows(wire.inferences) == {32}
    wire.play(messages[1000:])
    assert spacing_rows(wire.inferences[before:]) == {8}

    for name, value, words in (
        ("hop_steady", 0, "hop_steady"),
        ("hop_steady", "often", "type"),
        ("off_score", 1.5, "off_score"),
        ("off_score", float("nan"), "off_score"),
        ("imus", ["/elsewhere"], "read-only"),
        ("hop_stead", 4, "undeclared"),
    ):
        result = wire.set_parameter(name, value)
        assert not result.successful, name
        assert words in result.reason


def test_lifecycle(wire, start_node):
    process = start_node()
    messages = motion(5.0, impacts_s=(2.99,))
    parts = [messages[start : start + 1000] for start in range(0, 5000, 1000)]
    assert wire.state() == "active"
    wire.play(parts[0])
    wire.until(lambda: wire.inferences, "inferences")

    assert wire.change("deactivate")
    assert wire.state() == "inactive"
    before = len(wire.inferences)
    wire.play(parts[1])
    assert len(wire.inferences) == before

    assert wire.change("activate")
    wire.until_listening(process)
    wire.play(parts[2])
    assert len(wire.inferences) > before
    assert phases(wire) == [(0, ONSET)]
    assert wire.change("deactivate")
    wire.until(lambda: phases(wire) == [(0, ONSET), (0, END)], "end of the open event")

    assert wire.change("cleanup")
    assert wire.state() == "unconfigured"
    assert wire.set_parameter("hop_steady", 8).successful  # before there is a pipeline
    assert wire.change("configure")
    assert wire.change("activate")
    wire.until_listening(process)
    before = len(wire.inferences)
    wire.play(parts[3])
    assert len(wire.inferences) > before
    assert spacing_rows(wire.inferences[before:]) == {8}

    assert wire.change("shutdown")
    assert wire.state() == "finalized"
    assert process.stop() == 0
    assert "Traceback" not in process.log


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_in_an_inactive_node(wire, start_node, number):
    process = start_node()
    assert wire.change("deactivate")
    assert process.stop(number) == 0
    assert "Traceback" not in process.log


def test_failed_activation_leaves_a_node_that_can_be_mended(wire, start_node, tmp_path):
    """A model that vanishes between two configurations, and comes back."""
    model = tmp_path / "model"
    shutil.copytree(default_artifact(), model)
    process = start_node(f"model:={model}")
    assert wire.change("deactivate")
    assert wire.change("cleanup")
    away = Path(shutil.move(model, tmp_path / "away"))
    assert not wire.change("configure")
    assert wire.state() == "unconfigured"
    assert f"{model}/model.json: No such file" in process.log
    shutil.move(away, model)
    assert wire.change("configure")
    assert wire.change("activate")
    assert wire.state() == "active"


# The node, but that it cannot activate while a file is there.
FRAGILE = """
import sys
from pathlib import Path
from tao_lora_ros.ros.outputs import Outputs
from tao_lora_ros.ros.run import main

sound = Outputs.open_store

def fragile(*arguments):
    if Path({file!r}).exists():
        raise LookupError("nobody expects this")
    sound(*arguments)

Outputs.open_store = fragile
sys.exit(main())
"""


def test_an_error_in_a_transition_is_processed_and_the_node_can_be_mended(wire, run, tmp_path):
    fault = tmp_path / "fault"
    process = run([sys.executable, "-c", FRAGILE.format(file=str(fault))])
    wire.until_listening(process)
    assert wire.change("deactivate")
    fault.touch()
    assert not wire.change("activate")
    assert "cannot activate: LookupError: nobody expects this" in process.log
    assert wire.state() == "unconfigured"
    assert not wire.node.count_publishers("/tao_lora/inference")
    fault.unlink()
    assert wire.change("configure")
    assert wire.change("activate")
    wire.until_listening(process)
    wire.play(motion(0.5))
    wire.until(lambda: wire.inferences, "inferences")


def test_events_are_shown_as_markers_and_a_reset_clears_them(wire, start_node):
    from visualization_msgs.msg import Marker, MarkerArray
    from wire import DEEP

    shown: list[MarkerArray] = []
    wire.node.create_subscription(MarkerArray, "/tao_lora/markers", shown.append, DEEP)
    start_node()
    wire.play(start_in(motion(2.2, impacts_s=(2.0,)), 1.0))
    wire.until(lambda: len(shown) == 2, "markers of the onset and of the end")
    for array, event in zip(shown, wire.events, strict=True):
        assert {marker.ns for marker in array.markers} == {"event", "label", "force"}
        assert all(marker.header.stamp == event.onset for marker in array.markers)
    # At the onset the Imu may be all that has told of it.
    assert {marker.header.frame_id for marker in shown[1].markers} == {"ft_link"}
    assert wire.call(Trigger, "reset", Trigger.Request()).success
    wire.until(lambda: len(shown) == 3, "the clearing marker")
    assert [marker.action for marker in shown[2].markers] == [Marker.DELETEALL]


def test_another_model_is_taken_on_without_losing_a_sample(wire, start_node, tmp_path):
    from wire import LOSSLESS

    model = tmp_path / "other"
    save_artifact(replace(load_artifact(default_artifact()), version="other"), model)
    watch = wire.watch()
    start_node(*LOSSLESS)
    messages = motion(3.0)
    wire.play(messages[:1000])
    assert wire.set_parameter("model", "/nowhere").successful
    refused = wire.call(Trigger, "reload", Trigger.Request())
    assert not refused.success
    assert "/nowhere/model.json: No such file" in refused.message
    wire.play(messages[1000:1800])
    assert {m.model_version for m in wire.inferences} == {load_artifact(default_artifact()).version}
    before = len(wire.inferences)

    assert wire.set_parameter("model", str(model)).successful
    client = wire.node.create_client(Trigger, "/tao_lora/reload")
    wire.until(client.service_is_ready, "reload")
    answer = client.call_async(Trigger.Request())
    wire.play(messages[1800:])  # while it loads
    wire.until(answer.done, "reload")
    assert answer.result().success, answer.result().message
    wire.until_acknowledged()
    wire.settle()
    for name in ("imu", "wrench"):  # the probes that found the node came too, and were refused
        watch.until(
            name, lambda r: int(r["received"]) - int(r.get("refused: undecodable", 0)) == 1500
        )
    assert {m.model_version for m in wire.inferences[before + 1 :]} >= {"other"}


def test_diagnostics_tell_of_rates_refusals_and_silence(wire, start_node):
    watch = wire.watch()
    start_node()
    messages = motion(8.0)
    wire.play(messages[:6000])
    watch.until("imu", lambda imu: float(imu["rate_hz"]) > 500.0 and imu["level"] == OK)
    assert watch.of("imu")[-1]["frame_id"] == "imu_link"
    watch.until("inference", lambda report: report["level"] == OK and "latency_p99_ms" in report)
    assert watch.of("inference")[-1]["model"].startswith("arm_base ")
    wire.play(m for m in messages[6000:] if m.source == 0)
    watch.until("wrench", lambda wrench: wrench["message"].startswith("silent for "))
    watch.until("wrench", lambda wrench: wrench["level"] == ERROR)
    # The probe: a warning beside what is used, an error where it is all that came in a second.
    watch.until("imu", lambda imu: imu["level"] >= WARN and "undecodable" in imu["message"])


def test_inferences_that_come_too_late_for_their_hop_are_an_error(wire, start_node):
    from wire import LOSSLESS

    watch = wire.watch()
    process = start_node(*LOSSLESS, "hop_steady:=1", "hop_transient:=1")
    process.child.send_signal(signal.SIGSTOP)  # what comes meanwhile waits
    for message in motion(1.0):
        wire.publishers[message.source].publish(message.data)
    process.child.send_signal(signal.SIGCONT)
    watch.until(
        "inference", lambda r: r["level"] == ERROR and "outlasted their hop" in r["message"]
    )


def test_tare_takes_the_load_as_zero(wire, start_node):
    start_node()
    refused = wire.call(Trigger, "tare", Trigger.Request())
    assert not refused.success
    assert "window is not full" in refused.message
    wire.play(motion(1.0))
    done = wire.call(Trigger, "tare", Trigger.Request())
    assert done.success, done.message
    offsets = dict(
        pair.rsplit(" ", 1) for pair in done.message.removeprefix("offsets ").split(", ")
    )
    assert set(offsets) == {
        f"wrench.{part}_{axis}" for part in ("force", "torque") for axis in "xyz"
    }
    assert float(offsets["wrench.force_z"]) == pytest.approx(-20.0, abs=0.2)


@pytest.mark.parametrize("after_s", [0.15, 0.6, 1.2])
def test_a_signal_at_the_start_ends_the_node_at_once(run, after_s):
    from wire import node_command

    process = run(node_command(()))
    time.sleep(after_s)
    if after_s < 0.5:  # the handler is there once the module runs
        wait_for_handler(process.child.pid)
    assert process.stop(signal.SIGTERM) == 0
    assert "Traceback" not in process.log
