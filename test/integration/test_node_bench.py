"""The load and the peer of `bench node`, for a second: what they say is what happened."""

from __future__ import annotations

import pytest

pytest.importorskip("tao_lora_ros.msg", reason="the messages are not built")
pytestmark = pytest.mark.ros


def test_our_node_receives_all_and_answers_at_its_rate() -> None:
    found = measured("tao-lora")
    assert found["received_share"] == 1.0
    assert found["inferences_hz"] == pytest.approx(100.0, abs=3.0)
    assert found["onsets"] >= 1
    assert 0.0 < found["onset_p50_ms"] <= found["onset_max_ms"]


def test_the_plain_node_does_the_same_without_events() -> None:
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    found = measured("plain-rclpy-onnxruntime")
    assert 0.9 <= found["received_share"] <= 1.0
    assert found["inferences_hz"] == pytest.approx(100.0, abs=12.0)
    assert found["onsets"] == 0


def measured(subject: str) -> dict[str, float]:
    """Metrics of one subject under 1 kHz + 1 kHz."""
    from benchmark.plain_node import PLAIN, plain_command
    from tao_lora_ros.benchmarks.node import bench_node, our_command

    command = {"tao-lora": our_command, PLAIN: plain_command}[subject]
    rows = bench_node(["1khz+1khz"], 2.0, lambda _: None, {subject: command})
    found = {row.metric: row.value for row in rows}
    assert {row.subject for row in rows} == {subject}
    assert 0.0 < found["cpu_us_per_message"] < 1e4
    assert 0.0 < found["inference_p50_ms"] <= found["inference_p99_ms"]
    assert found["rss_mib"] > 50.0
    return found
