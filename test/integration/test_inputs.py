"""What the node makes of its topics: their types, their stamps, and the clock they are held to."""

from __future__ import annotations

import struct
import time
from dataclasses import replace

import pytest
from recordings import START_NS, Message, bare_wrench, imu, motion, wrench

from tao_lora_ros.preservation.event_catalogue import read_event
from tao_lora_ros.signal.cdr import BARE_WRENCH, decode_wrench

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
pytestmark = pytest.mark.ros
WARN, ERROR = 1, 2
SECOND = 1_000_000_000


def test_a_topic_of_another_type_is_reported_with_both_types(wire, run):
    from geometry_msgs.msg import Wrench
    from wire import node_command

    wire.node.destroy_publisher(wire.publishers[0])
    wire.node.create_publisher(Wrench, "/imu", 10)
    watch = wire.watch()
    process = run(node_command(()))
    words = "/imu is geometry_msgs/msg/Wrench, expected sensor_msgs/msg/Imu"
    watch.until("imu", lambda imu: imu["message"] == words and imu["level"] == ERROR)
    assert words in process.log


def test_a_publisher_whose_clock_is_an_hour_ahead_is_told_of(wire, start_node):
    watch = wire.watch()
    start_node()
    wire.play(motion(6.0, start_ns=time.time_ns() + 3600 * SECOND))
    assert wire.inferences
    watch.until("imu", lambda imu: imu["message"].startswith("stamps are 3"))
    watch.until("imu", lambda imu: imu["level"] == WARN and float(imu["clock_offset_s"]) > 3590)


def test_stamps_off_the_node_clock_are_refused_where_that_is_wanted(wire, start_node):
    watch = wire.watch()
    start_node("max_clock_offset_s:=10.0")
    now_ns = time.time_ns()
    early = motion(8.0, start_ns=now_ns + 3600 * SECOND)  # longer than from report to report
    late = motion(8.0, start_ns=now_ns - 3600 * SECOND)
    wire.play(b if a.source else a for a, b in zip(early, late, strict=True))
    assert not wire.inferences
    for name, kind, off in (("imu", "future", " ns is +3"), ("wrench", "past", " ns is -3")):
        watch.until(name, lambda r, kind=kind: int(r.get(f"refused: {kind}", 0)) > 500)
        watch.until(name, lambda r, words=f"{name}: {kind}: stamp": words in r["message"])
        watch.until(name, lambda r, words=off: words in r["message"])
    wire.play(motion(1.0, start_ns=time.time_ns()))
    wire.until(lambda: wire.inferences, "inferences")
    assert all(abs(m.header.stamp.sec - now_ns // SECOND) < 60 for m in wire.inferences)


def test_a_wrench_without_a_header_is_stamped_on_arrival(wire, start_node, tmp_path):
    from geometry_msgs.msg import Wrench
    from visualization_msgs.msg import MarkerArray
    from wire import DEEP

    shown: list[MarkerArray] = []
    wire.node.create_subscription(MarkerArray, "/tao_lora/markers", shown.append, DEEP)
    wire.publish_as(1, Wrench)
    process = start_node("wrench_types:=[Wrench]", f"store:={tmp_path / 'store'}")
    begun_ns = time.time_ns()
    messages = [
        replace(m, data=bare_wrench(decode_wrench(m.data).values)) if m.source else m
        for m in motion(1.2, impacts_s=(1.0,), start_ns=begun_ns)
    ]
    wire.play(messages, rate=1.0)
    wire.until(lambda: len(wire.samples) == 2, "an event's samples")
    raw = {samples.source: samples for samples in wire.samples[1].raw}["wrench"]
    stamps = [stamp.sec * SECOND + stamp.nanosec for stamp in raw.stamps]
    assert begun_ns < stamps[0] < stamps[-1] < time.time_ns()
    assert (raw.frame_id, len(raw.values)) == ("", 6 * len(stamps))
    wire.until(lambda: len(shown) == 2, "markers")
    assert {marker.header.frame_id for marker in shown[1].markers} == {"imu_link"}
    assert process.stop() == 0
    _, record = read_event(tmp_path / "store", 1)
    topic, kept = record.received[1]
    assert (topic.name, topic.msgtype) == ("/wrench", BARE_WRENCH)
    begin = kept.times_ns.tolist().index(stamps[0])  # the store keeps more from before
    assert kept.times_ns.tolist()[begin : begin + len(stamps)] == stamps  # and its post-roll
    sent = [m.data for m in messages if m.source]
    found = [data for data in kept.data if len(data) > 4]  # `start_node` sends empty ones before
    first = sent.index(found[0])
    assert found == sent[first : first + len(found)]


def ticks(stamp_ns: int, seconds: float) -> list[Message]:
    """Messages of /clock, 100 a second; theirs is the third publisher."""
    stamps = range(stamp_ns, stamp_ns + round(seconds * SECOND), SECOND // 100)
    return [Message(2, at, struct.pack("<4BiI", 0, 1, 0, 0, *divmod(at, SECOND))) for at in stamps]


def test_simulated_time_is_the_clock_and_may_start_anew(wire, start_node):
    from rosgraph_msgs.msg import Clock
    from wire import DEEP

    watch = wire.watch()
    start_node("use_sim_time:=true", "max_clock_offset_s:=10.0")
    wire.publishers.append(wire.node.create_publisher(Clock, "/clock", DEEP))
    wire.until(lambda: wire.node.count_subscribers("/clock"), "a listener to the clock")
    recording = motion(2.0) + ticks(START_NS - SECOND // 10, 2.1)
    recording.sort(key=lambda message: message.stamp_ns)
    wire.play(recording, rate=2.0)
    first = len(wire.inferences)
    assert first > 40
    wire.until(lambda: watch.stamps_ns[-1] > START_NS + SECOND, "diagnostics on simulated time")
    assert watch.stamps_ns[-1] < START_NS + 3 * SECOND
    watch.until("imu", lambda report: abs(float(report.get("clock_offset_s", "nan"))) < 1.0)

    hour_ahead = START_NS + 3600 * SECOND
    wire.publishers[0].publish(imu(hour_ahead))
    watch.until("imu", lambda report: report.get("refused: future") == "1")

    wire.play(recording, rate=2.0)  # from its start again
    assert len(wire.inferences) > first + 40
    watch.until("inference", lambda report: report["resets"] == "1")
    assert {kind for report in watch.of("wrench") for kind in report if "refused" in kind} <= {
        "refused: undecodable", "refused: clock_jump", "refused: other_clock",
        "refused: out_of_order",  # until it is known that the clock went back
    }  # fmt: skip


def test_what_is_lost_on_the_way_is_counted(wire, start_node):
    watch = wire.watch()
    start_node("queue_depth:=5")
    for message in motion(2.0):  # at once: most find the queue full
        wire.publishers[message.source].publish(message.data)
    wire.play(motion(3.0, start_ns=START_NS + 2 * SECOND))  # silence would be told of first
    for name in ("imu", "wrench"):
        watch.until(name, lambda r: r["level"] >= WARN and "lost on the way" in r["message"])
    time.sleep(1.0)  # one that finds the queue empty tells of all that was lost before
    wire.play(motion(0.002, start_ns=START_NS + 6 * SECOND))
    for name in ("imu", "wrench"):
        watch.until(name, lambda r: int(r["received"]) + int(r["lost"]) >= 2500)


def test_a_queue_that_is_nearly_full_is_told_of(wire, start_node):
    from std_srvs.srv import Trigger
    from wire import LOSSLESS

    watch = wire.watch()
    start_node(*LOSSLESS, "queue_depth:=10")
    reload = wire.node.create_client(Trigger, "/tao_lora/reload")
    wire.until(reload.service_is_ready, "the service")

    def told() -> bool:
        return any(
            report["level"] >= WARN and "messages waited, the queue holds 10" in report["message"]
            for report in watch.of("imu")
        )

    for second in range(0, 40, 2):
        loaded = reload.call_async(Trigger.Request())
        time.sleep(0.05)  # now it loads, and looks for nothing
        wire.play(motion(0.018, start_ns=START_NS + second * SECOND), rate=1000.0)
        wire.until(loaded.done, "another model")
        wire.play(motion(1.2, start_ns=START_NS + second * SECOND + SECOND // 2), rate=1.0)
        if told():
            return
    pytest.fail(f"not told of: {watch.of('imu')[-1]}")


def test_a_second_publisher_on_a_topic_is_told_of(wire, start_node):
    from sensor_msgs.msg import Imu
    from wire import DEEP

    watch = wire.watch()
    start_node()
    wire.node.create_publisher(Imu, "/imu", DEEP)
    wire.play(motion(4.0))
    watch.until("imu", lambda r: r["level"] >= WARN and "2 publishers on /imu" in r["message"])


def test_a_source_that_is_behind_is_an_error_with_its_remedy(wire, start_node):
    watch = wire.watch()
    start_node()
    late_ns = 300_000_000
    wire.play(replace(m, data=wrench(m.stamp_ns - late_ns)) if m.source else m for m in motion(6.0))
    remedy = "wrench is 0.30 s behind imu: set wrench_lags_s to -0.30"
    watch.until("wrench", lambda r: r["level"] == ERROR and remedy in r["message"])
    report = watch.of("wrench")[-1]
    assert int(report["unused: late"]) > 500
    counts = [int(value) for key, value in report.items() if key.startswith(("refused", "unused"))]
    spent = int(report["used"]) + int(report["pending"]) + sum(counts)
    assert int(report["received"]) == spent


def test_stamps_of_zero_are_those_of_arrival_and_that_is_said(wire, start_node):
    process = start_node()
    begun_ns = time.time_ns()
    bare = [
        replace(m, data=wrench(0, decode_wrench(m.data).values)) if m.source else m
        for m in motion(3.0, start_ns=begun_ns)
    ]
    wire.play(bare, rate=1.0)
    wire.until(lambda: wire.inferences, "inferences")
    said = "stamps are 0: the time of arrival is taken instead"
    wire.until(lambda: said in process.log, "a word")
    assert process.log.count(said) == 1
