"""The SROS 2 policy grants the node what it has, and nothing else."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
pytestmark = pytest.mark.ros
POLICY = Path(__file__).resolve().parents[2] / "config" / "sros2" / "policy.xml"


def granted(kind: str, right: str) -> set[str]:
    """Full names that the policy allows to publish, subscribe, reply or request."""
    (profile,) = ElementTree.parse(POLICY).iter("profile")
    assert (profile.get("ns"), profile.get("node")) == ("/", "tao_lora")
    groups = [group for group in profile.iter(f"{kind}s") if group.get(right) == "ALLOW"]
    names = [str(item.text) for group in groups for item in group.iter(kind)]
    assert len(names) == len(set(names))
    return {name.replace("~", "/tao_lora") for name in names}


def test_grants_exactly_what_the_node_has(wire, start_node):
    start_node("use_sim_time:=true")
    # Its name comes apart from its topics.
    node = ("tao_lora", "/")
    wire.until(lambda: node in wire.node.get_node_names_and_namespaces(), "the node's name")

    def had(what: str) -> set[str]:
        find = getattr(wire.node, f"get_{what}_names_and_types_by_node")
        return {name for name, _ in find("tao_lora", "/")}

    # There where parameters ask for them.
    assert had("subscriber") | {"/joint_states"} == granted("topic", "subscribe")
    assert had("publisher") | {"/tao_lora/contact_wrench", "/tao_lora/event_cloud"} == granted(
        "topic", "publish"
    )
    assert had("service") == granted("service", "reply")
    assert had("client") == granted("service", "request") == set()
