"""The markers of events: bounded, expiring, replaced at the end, cleared at a reset."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pushed_events import IMU_RAW, MS, WRENCH_RAW, event

from tao_lora_ros.messages.results import Phase

Marker = pytest.importorskip("visualization_msgs.msg", reason="ROS 2 is not installed").Marker
from tao_lora_ros.ros.markers import LIFETIME_S, RING, event_markers, no_markers  # noqa: E402

pytestmark = pytest.mark.ros


def by_namespace(shown) -> dict[str, Marker]:
    return {marker.ns: marker for marker in event_markers(shown).markers}


def test_an_event_is_an_arrow_a_sphere_and_a_label() -> None:
    shown = by_namespace(event(IMU_RAW, WRENCH_RAW))
    assert set(shown) == {"force", "event", "label"}
    assert shown["force"].type == Marker.ARROW
    start, tip = shown["force"].points
    assert (start.x, start.y, start.z) == (0.0, 0.0, 0.0)
    assert (tip.x, tip.y, tip.z) == pytest.approx((0.0, 0.03, 0.04))
    assert shown["event"].scale.x == shown["event"].scale.z == pytest.approx(0.05 * 2.34)
    assert shown["label"].text == "#3 impact 88%, 5.0 N, score 2.3"
    assert shown["label"].pose.position.z > shown["event"].scale.z / 2
    for marker in shown.values():
        assert marker.header.frame_id == "wrench_link"
        assert marker.color.a > 0
        assert marker.pose.orientation.w == 1.0


def test_an_event_without_a_push_has_no_arrow() -> None:
    shown = by_namespace(event())
    assert set(shown) == {"event", "label"}
    assert {marker.header.frame_id for marker in shown.values()} == {"imu_link"}


def test_the_end_replaces_the_onset() -> None:
    onset = by_namespace(event(WRENCH_RAW, phase=Phase.ONSET))
    end = by_namespace(event(WRENCH_RAW))
    assert {(m.ns, m.id) for m in onset.values()} == {(m.ns, m.id) for m in end.values()}
    assert onset["event"].color != end["event"].color


def test_stamps_are_the_onsets() -> None:
    later = replace(event(), onset_ns=1_700_000_000 * 1000 * MS + 5)
    for marker in event_markers(later).markers:
        assert (marker.header.stamp.sec, marker.header.stamp.nanosec) == (1_700_000_000, 5)


def test_ids_are_bounded_and_every_marker_expires() -> None:
    shown = [
        marker
        for sequence in range(3 * RING)
        for marker in event_markers(replace(event(WRENCH_RAW), sequence=sequence)).markers
    ]
    assert len({(marker.ns, marker.id) for marker in shown}) == 3 * RING  # three namespaces
    assert {marker.lifetime.sec for marker in shown} == {LIFETIME_S}
    assert LIFETIME_S > 0


def test_a_reset_deletes_all() -> None:
    (marker,) = no_markers().markers
    assert marker.action == Marker.DELETEALL
