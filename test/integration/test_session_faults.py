"""What goes wrong in the node between messages is logged and neither ends nor blinds it."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from recordings import START_NS, motion

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("tao_lora_ros.msg", reason="the messages are not built")

from tao_lora_ros.ros.session import Session


def fails(*_: Any) -> None:
    raise OverflowError("no such time")


class Reports:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def report(self, doing: str, error: Exception) -> str:
        self.lines.append(f"{doing}: {error}")
        return self.lines[-1]


def session_of(end_post_rolls: Callable, publish: Callable) -> tuple[Any, Reports, list[str]]:
    """A session whose parts do this; what it forgot."""
    session, reports, forgot = Session.__new__(Session), Reports(), []
    pushed = SimpleNamespace(rows=1, results=["an event"], refusal="")
    session._failures = reports  # type: ignore[assignment]
    session._pipeline = SimpleNamespace(  # type: ignore[assignment]
        end_post_rolls=end_post_rolls,
        forget=lambda: forgot.append("signals"),
        push_some=lambda block, begin: (begin + 1, [(begin, pushed)]),
    )
    session._outputs = SimpleNamespace(publish=publish)  # type: ignore[assignment]
    return session, reports, forgot


def test_post_rolls_that_cannot_be_ended() -> None:
    session, reports, forgot = session_of(fails, lambda *_: None)
    session._give_out("end post-rolls", session._pipeline.end_post_rolls)
    assert reports.lines == ["end post-rolls; all signals are forgotten: no such time"]
    assert forgot == ["signals"]


def test_results_that_cannot_be_published() -> None:
    session, reports, forgot = session_of(lambda: ["an event"], fails)
    session._give_out("end post-rolls", session._pipeline.end_post_rolls)
    assert session._push([(0, 0, 0, b"")])
    assert reports.lines == 2 * ["publish results: no such time"]
    assert not forgot


def test_an_event_that_cannot_be_closed_does_not_keep_store_and_topics_open() -> None:
    session, reports, forgot = session_of(lambda: [], lambda *_: None)
    closed: list[str] = []
    session._pipeline.reset = fails
    session._outputs.close_store = lambda: closed.append("store")
    session._end_forgotten = lambda: closed.append("event")  # type: ignore[method-assign]
    session.inputs = [SimpleNamespace(close=lambda: closed.append("topic"))]
    session.take = lambda: None  # type: ignore[method-assign]
    session.stop()
    assert closed == ["event", "store", "topic"]
    assert reports.lines == ["close the open event; all signals are forgotten: no such time"]
    assert forgot == ["signals"]


@pytest.mark.ros
def test_an_event_that_a_fault_had_forgotten_ends_for_who_listens(
    wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rclpy.parameter import Parameter

    from tao_lora_ros.ros.node import PipelineNode

    node = PipelineNode("tao_lora", parameter_overrides=[Parameter("store_max_mb", value=0)])
    try:
        assert node.start()
        wire.until(lambda: node.count_subscribers("/tao_lora/events"), "us")
        wire.spin_for(0.5)
        session = node._session
        messages = [
            (0, m.source, 0, m.data)
            for m in motion(3.0, [2.5])
            if m.stamp_ns < START_NS + 2_510_000_000
        ]
        session._push(messages)
        assert session._pipeline.going_on == {0}
        with monkeypatch.context() as patch:
            patch.setattr(session._pipeline, "push", fails)
            session._push(messages[-1:])
        assert session._pipeline.going_on == set()
        wire.until(lambda: node.take() or len(wire.events) == 2, "both phases")
        onset, end = wire.events
        assert (onset.phase, end.phase, end.sequence) == (onset.ONSET, end.END, onset.sequence)
        assert end.onset == onset.onset
        node.trigger_shutdown()
    finally:
        node.destroy_node()
