"""Every transition asked for in every state: answered, and the node lives on."""

from __future__ import annotations

import time

import pytest

pytest.importorskip("tao_lora_ros.msg", reason="the messages are not built")
pytestmark = pytest.mark.ros

# How to come to each primary state from `unconfigured`.
WAYS = {
    "unconfigured": (),
    "inactive": ("configure",),
    "active": ("configure", "activate"),
    "finalized": ("shutdown",),
}
LEGAL = {
    "unconfigured": {"configure": "inactive"},
    "inactive": {"activate": "active", "cleanup": "unconfigured"},
    "active": {"deactivate": "inactive"},
    "finalized": {},
}
ASKED = ("create", "configure", "activate", "deactivate", "cleanup", "destroy", "none such")
IDS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 30, 42, 60, 97, 255)


@pytest.fixture
def managed(wire, run):
    """A node that a lifecycle manager starts."""
    from wire import node_command

    process = run(node_command(["autostart:=false", "store_max_mb:=0"]))
    wire.until(lambda: process.child.poll() is None and answers(wire), "the node")
    return process


def answers(wire) -> bool:
    from lifecycle_msgs.srv import GetState

    client = wire.node.create_client(GetState, "/tao_lora/get_state")
    try:
        return bool(client.service_is_ready())
    finally:
        wire.node.destroy_client(client)


@pytest.fixture
def ask(wire):
    """Ask for a transition by its label or number, always by the same client."""
    from lifecycle_msgs.msg import Transition
    from lifecycle_msgs.srv import ChangeState

    client = wire.node.create_client(ChangeState, "/tao_lora/change_state")
    known_s = float("inf")

    def ask(transition: str | int) -> bool:
        nonlocal known_s
        wire.until(client.service_is_ready, "change_state")
        # We know of the node; an answer is lost where the node does not know of this client yet.
        known_s = min(known_s, time.monotonic() + 1.0)
        wire.until(lambda: time.monotonic() > known_s, "a second")
        by = "id" if isinstance(transition, int) else "label"
        request = ChangeState.Request(transition=Transition(**{by: transition}))
        future = client.call_async(request)
        wire.until(future.done, f"answer to {transition}")
        return future.result().success

    return ask


@pytest.mark.parametrize("state", WAYS)
def test_what_a_state_does_not_allow_is_refused(wire, managed, ask, state):
    for label in WAYS[state]:
        assert ask(label)
    assert wire.state() == state
    for label in ASKED:
        if label in LEGAL[state]:
            continue
        assert not ask(label)
        assert f"refused: transition '{label}' in state '{state}'" in managed.log
    assert wire.state() == state
    assert managed.child.poll() is None, managed.log
    assert "Traceback" not in managed.log
    assert managed.stop() == 0


def test_transitions_by_number_never_end_it(wire, managed, ask):
    assert ask("configure")
    legal = {2: "unconfigured", 3: "active", 6: "finalized"}
    for number in IDS:
        if number not in legal:
            assert not ask(number)
    assert wire.state() == "inactive"
    assert managed.stop() == 0


def test_a_node_that_starts_itself_says_why_a_manager_is_refused(wire, start_node, ask):
    process = start_node()
    assert not ask("configure")
    assert wire.state() == "active"
    assert "refused: transition 'configure' in state 'active'" in process.log
    assert "autostart: false" in process.log
    for label in ("deactivate", "cleanup", "configure", "activate"):
        assert ask(label)
    assert process.stop() == 0


def test_a_managed_node_receives_as_any_other(wire, managed, ask):
    from recordings import motion

    assert ask("configure")
    assert ask("activate")
    wire.until_listening(managed)
    wire.play(motion(1.0))
    wire.until(lambda: wire.inferences, "an inference")
    assert managed.stop() == 0
