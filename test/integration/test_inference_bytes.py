"""Inferences packed by hand are what rclpy reads."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from models import small_artifact

from tao_lora_ros.messages.results import Inference
from tao_lora_ros.messages.route import Route

serialization = pytest.importorskip("rclpy.serialization", reason="rclpy is not installed")
messages = pytest.importorskip("tao_lora_ros.msg", reason="the messages are not built")
pytestmark = pytest.mark.ros
ARTIFACT = small_artifact()
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=9)
stamps = st.integers(0, 2**31 * 10**9 - 1)
singles = st.floats(0, 1, width=32)
inferences = st.builds(
    Inference,
    stamp_ns=stamps,
    frame_id=texts,
    path=st.sampled_from(Route),
    score=st.floats(allow_nan=False),
    probabilities=st.tuples(*[singles] * len(ARTIFACT.labels)),
    forecast_error=st.one_of(singles, st.just(math.nan)),
    window_start_ns=stamps,
    window_end_ns=stamps,
)


@given(inferences, texts, texts, stamps)
def test_rclpy_reads_it(inference: Inference, model: str, version: str, latency_ns: int) -> None:
    from tao_lora_ros.messages.from_message import inference_from, stamp_of
    from tao_lora_ros.messages.inference_bytes import InferencePacker

    packer = InferencePacker(model, version, ARTIFACT.labels)
    for _ in range(2):  # the second from what is kept of the first
        message = serialization.deserialize_message(
            packer.pack(inference, latency_ns), messages.Inference
        )
        found = inference_from(message)
        assert str(found) == str(inference)  # a NaN is not equal to itself
        assert (message.model_id, message.model_version) == (model, version)
        assert tuple(message.labels) == ARTIFACT.labels
        assert stamp_of(message.latency) == latency_ns


def test_a_model_without_labels() -> None:
    from tao_lora_ros.messages.from_message import inference_from
    from tao_lora_ros.messages.inference_bytes import InferencePacker

    bare = Inference(1, "imu_link", Route.STEADY, 0.5, (), 0.25, 2, 3)
    data = InferencePacker(ARTIFACT.model_id, ARTIFACT.version, ()).pack(bare, 4)
    message = serialization.deserialize_message(data, messages.Inference)
    assert inference_from(message) == bare
    assert message.latency.nanosec == 4
