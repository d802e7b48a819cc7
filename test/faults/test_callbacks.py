"""What rclpy's own callbacks raise ends nothing either."""

from __future__ import annotations

import struct

import pytest

pytest.importorskip("tao_lora_ros.msg", reason="the messages are not built")
pytestmark = pytest.mark.ros


def test_a_request_that_rclpy_cannot_read_is_answered(wire, start_node):
    from rcl_interfaces.msg import Parameter, ParameterValue
    from rcl_interfaces.srv import SetParameters

    process = start_node()
    odd = [Parameter(name="backend", value=ParameterValue(type=200))]
    answer = wire.call(SetParameters, "set_parameters", SetParameters.Request(parameters=odd))
    assert list(answer.results) == []
    assert "refused: set_parameters: ValueError: 200 is not a valid" in process.log
    assert "Traceback" not in process.log
    assert process.stop() == 0


def test_a_clock_that_is_none_is_said_and_the_node_goes_on(wire, start_node):
    from rosgraph_msgs.msg import Clock

    process = start_node("use_sim_time:=true")
    clock = wire.node.create_publisher(Clock, "/clock", 10)
    wire.until(clock.get_subscription_count, "the node")
    wire.spin_for(0.5)

    def said(times: int) -> bool:
        clock.publish(b"\0\1\0\0" + struct.pack("<iI", -1, 0))  # rclpy's class takes no such time
        line = "cannot serve what came: ValueError: Seconds value must not be negative"
        return process.log.count(line) >= times

    wire.until(lambda: said(2), "two lines")
    assert wire.state() == "active"
    assert process.stop() == 0
