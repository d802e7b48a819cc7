"""The geometry of an event's markers, without ROS."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pushed_events import IMU_RAW, MS, STAMPS, WRENCH_RAW, event, raw

from tao_lora_ros.messages.results import Kind, Phase, Size
from tao_lora_ros.ros.event_shapes import LONGEST_M, Push, caption, diameter_m, push_of
from tao_lora_ros.signal.cdr import WRENCH


def test_the_push_is_the_change_of_force_not_the_load() -> None:
    push = push_of(event(IMU_RAW, WRENCH_RAW))
    assert (push.frame_id, push.quantity) == ("wrench_link", "force")
    np.testing.assert_allclose(push.vector, [0.0, 3.0, 4.0])
    np.testing.assert_allclose(push.arrow, [0.0, 0.03, 0.04])


def test_of_several_force_sensors_the_one_that_changed_the_most() -> None:
    feet = [raw(f"foot_{i}", WRENCH, (0.0, 0.0, 100.0), (0.0, 0.0, 5.0 * i)) for i in (1, 4, 2)]
    assert push_of(event(IMU_RAW, *feet)).frame_id == "foot_4_link"


def test_the_acceleration_where_no_force_is_known() -> None:
    unreported = replace(WRENCH_RAW, values=np.full_like(WRENCH_RAW.values, np.nan))
    for sources in ((IMU_RAW,), (IMU_RAW, unreported)):
        push = push_of(event(*sources))
        assert (push.frame_id, push.quantity) == ("imu_link", "accel")
        np.testing.assert_allclose(push.vector, [50.0, 0.0, 0.0])


def test_what_came_before_the_onset_is_no_push() -> None:
    early = raw("wrench", WRENCH, (0.0, 0.0, -20.0), (90.0, 0.0, 0.0), at=3)
    assert push_of(event(early)) is None


def test_no_samples_since_the_onset_no_push() -> None:
    late = replace(WRENCH_RAW, stamps_ns=STAMPS - 100 * MS)
    assert push_of(event(late)) is None
    assert push_of(event()) is None


def test_without_a_pre_roll_the_first_sample_is_the_reference() -> None:
    kept = STAMPS >= 0
    cut = replace(WRENCH_RAW, stamps_ns=STAMPS[kept], values=WRENCH_RAW.values[kept])
    np.testing.assert_allclose(push_of(event(cut)).vector, [0.0, 3.0, 4.0])


@given(st.lists(st.floats(-1e9, 1e9), min_size=3, max_size=3))
def test_an_arrow_is_never_longer_than_the_longest_and_keeps_its_direction(vector) -> None:
    push = Push("f", "force", np.array(vector))
    length = float(np.linalg.norm(push.arrow))
    assert length <= LONGEST_M * (1 + 1e-9)
    size = float(np.linalg.norm(push.vector))
    if size > 1e-3:
        np.testing.assert_allclose(push.arrow / length, push.vector / size, atol=1e-9)


@given(st.floats(-1.0, 100.0), st.floats(-1.0, 100.0))
def test_a_higher_score_is_never_drawn_smaller(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert 0.05 <= diameter_m(low) <= diameter_m(high) <= 0.3 + 1e-9


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "#3 impact 88%, 5.0 N, score 2.3"),
        ({"label": ""}, "#3 unknown blow, 5.0 N, score 2.3"),
        ({"label": "", "probability": 0.0}, "#3 blow, 5.0 N, score 2.3"),
        (
            {"label": "", "probability": 0.0, "phase": Phase.ONSET, "end_ns": 0},
            "#3 blow, 5.0 N, score 2.3, open",
        ),
        (
            {
                "label": "",
                "probability": 0.0,
                "kind": Kind.LASTING_CONTACT,
                "size": Size(peak_force=12.34, mean_load=8.0),
            },
            "#3 lasting contact, 8.0 N, at most 12.3 N, score 2.3",
        ),
    ],
)
def test_caption(changes, text) -> None:
    assert caption(replace(event(WRENCH_RAW), **changes)) == text
