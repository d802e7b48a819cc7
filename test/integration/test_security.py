"""The SROS 2 policy grants the node what it has, and nothing else."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.ros.scene_config import SceneConfig, scene_of

pytestmark = pytest.mark.ros
POLICY = Path(__file__).resolve().parents[2] / "config" / "sros2" / "policy.xml"


# What changes the node, or what it finds.
CHANGES = {
    *("calibrate", "change_state", "reload", "reset", "tare", "trigger"),
    *("set_parameters", "set_parameters_atomically"),
}


def granted(kind: str, right: str, role: str = "") -> set[str]:
    """Full names that the policy allows the node, or a role, to publish, subscribe and the like."""
    path = f"/tao_lora/{role}".rstrip("/")
    return granted_to(f"tao_lora_{role}".rstrip("_"), path, kind, right)


def granted_to(node: str, path: str, kind: str, right: str) -> set[str]:
    """The same of one node of an enclave."""
    (enclave,) = (e for e in ElementTree.parse(POLICY).iter("enclave") if e.get("path") == path)
    (profile,) = (p for p in enclave.iter("profile") if p.get("node") == node)
    assert profile.get("ns") == "/"
    groups = [group for group in profile.iter(f"{kind}s") if group.get(right) == "ALLOW"]
    names = [str(item.text) for group in groups for item in group.iter(kind)]
    assert len(names) == len(set(names))
    return {name.replace("~", f"/{node}") for name in names}


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


def test_grants_exactly_what_the_process_has_that_keeps_further_topics(wire, start_node, tmp_path):
    start_node(f"store:={tmp_path / 'store'}", 'store_topics:=["/camera:std_msgs/msg/String"]')
    node = ("tao_lora_scene", "/")
    wire.until(lambda: node in wire.node.get_node_names_and_namespaces(), "its name")

    def had(what: str) -> set[str]:
        find = getattr(wire.node, f"get_{what}_names_and_types_by_node")
        return {name for name, _ in find(*node)}

    def allowed(kind: str, right: str) -> set[str]:
        return granted_to(node[0], "/tao_lora", kind, right)

    # Nobody publishes the further topic, so it is not subscribed to.
    wire.until(lambda: had("subscriber") == allowed("topic", "subscribe"), "subscriptions")
    wire.until(lambda: had("publisher") == allowed("topic", "publish"), "publishers")
    wire.until(lambda: had("service") == allowed("service", "reply"), "services")


@pytest.mark.parametrize(
    ("arguments", "enclave"),
    [
        (["node", "--ros-args", "--enclave", "/robot/a"], "/robot/a"),
        (["node", "--ros-args", "-p", "a:=b", "-e", "/b"], "/b"),
        (["node", "--enclave"], ""),
        (["node"], ""),
    ],
)
def test_that_process_is_in_the_enclave_of_the_node(arguments, enclave, monkeypatch):
    monkeypatch.setattr("sys.argv", arguments)
    settings = Settings(store_topics=("/camera",))
    node = SimpleNamespace(
        resolve_topic_name=lambda name: name, get_fully_qualified_name=lambda: "/tao_lora"
    )
    scene = scene_of(node, settings, (), print)
    assert SceneConfig.from_json(scene.to_json()).enclave == enclave


def test_an_operator_may_change_the_node_and_a_listener_may_not():
    services = granted("service", "reply")
    changes = {f"/tao_lora/{name}" for name in CHANGES}
    assert granted("service", "request", "operator") == services
    assert granted("service", "request", "listener") == services - changes
    outputs = granted("topic", "publish")
    for role in ("operator", "listener"):
        assert granted("topic", "subscribe", role) == outputs | {"/clock"}
        wishes = {"/tao_lora/trigger"} if role == "operator" else set()
        assert granted("topic", "publish", role) == {"/parameter_events", "/rosout"} | wishes
        assert not granted("service", "reply", role)


def test_enforced_security_that_the_wheels_lack_ends_the_start_in_one_line(run, tmp_path):
    """Fast DDS of the wheels is built without its security plugins: never pretend."""
    from wire import TIMEOUT_S, node_command

    (tmp_path / "enclaves").mkdir()
    settings = dict(ENABLE="true", STRATEGY="Enforce", KEYSTORE=str(tmp_path))
    words = [f"ROS_SECURITY_{name}={value}" for name, value in settings.items()]
    process = run(["env", *words, *node_command(())])
    assert process.child.wait(TIMEOUT_S) == 1, process.log
    lines = [line for line in process.log.splitlines() if line.startswith("tao_lora: ")]
    assert len(lines) == 1, process.log
    assert "Traceback" not in process.log
