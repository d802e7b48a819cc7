"""One table of parameters; whatever is wrong with a value is said with its name."""

from __future__ import annotations

import os
import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tao_lora_ros.engine.parameter_file import parameters_for
from tao_lora_ros.engine.settings import (
    TABLE,
    Settings,
    SettingsError,
    parameter_file,
    read_settings,
    settings_from,
)
from tao_lora_ros.engine.sources import source_configs
from tao_lora_ros.signal.cdr import JOINT_STATE

ROOT = Path(__file__).resolve().parents[2]
NUMBERS = [row for row in TABLE if row.minimum is not None]


def write(path: Path, parameters: Any) -> Path:
    path.write_text(yaml.safe_dump({"/**": {"ros__parameters": parameters}}))
    return path


def refusal(values: dict[str, Any]) -> str:
    with pytest.raises(SettingsError) as caught:
        settings_from(values)
    return str(caught.value)


def test_the_table_has_a_row_for_every_field() -> None:
    assert [row.name for row in TABLE] == [field.name for field in fields(Settings)]
    for row in TABLE:
        assert row.description, row.name
        assert row.problem(row.default) is None, row.name


def test_no_values_are_the_defaults() -> None:
    assert settings_from({}) == Settings()


def test_the_checked_in_file_is_the_tables() -> None:
    assert (ROOT / "config" / "pipeline.yaml").read_text() == parameter_file()


def test_the_written_file_reads_back_as_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text(parameter_file())
    assert read_settings(tmp_path / "all.yaml") == Settings()
    written = yaml.safe_load(parameter_file())["/**"]["ros__parameters"]
    assert list(written) == [row.name for row in TABLE]


def test_a_file_sets_what_it_names(tmp_path: Path) -> None:
    file = write(tmp_path / "a.yaml", {"hop_steady": 8, "imus": ["a", "b"], "imu_lags_s": [0, 1]})
    expected = replace(Settings(), hop_steady=8, imus=("a", "b"), imu_lags_s=(0.0, 1.0))
    assert read_settings(file) == expected


@pytest.mark.parametrize("row", NUMBERS, ids=lambda row: row.name)
def test_out_of_range_names_parameter_value_and_range(row) -> None:
    step = 1 if row.type_name == "int" else 0.001
    for value in (row.minimum - step, row.maximum + step):
        given_value = [value] if row.type_name.startswith("list") else value
        message = refusal({row.name: given_value})
        assert message == f"parameter '{row.name}' is {value!r}, expected {row.range}"


@pytest.mark.parametrize("row", NUMBERS, ids=lambda row: row.name)
def test_both_ends_of_the_range_are_in_it(row) -> None:
    for value in (row.minimum, row.maximum):
        assert row.problem([value] if row.type_name.startswith("list") else value) is None


WRONG_TYPES: dict[str, list[Any]] = {
    "bool": [1, 0, 1.0, "true", None],
    "str": [1, 1.5, True, None, ["a"]],
    "int": ["5", 5.0, True, None, [5]],
    "float": ["0.5", True, None, [0.5]],
    "list of str": ["imu", 1, [1], None, ["imu", 2]],
    "list of float": [0.0, "0.0", ["0.0"], [True], None],
}


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_a_wrong_type_names_parameter_value_and_type(row) -> None:
    for value in WRONG_TYPES[row.type_name]:
        message = refusal({row.name: value})
        assert message == f"parameter '{row.name}' is {value!r}, expected {row.type_name}"


def test_the_home_of_nobody_is_no_store() -> None:
    message = "parameter 'store' is '~nobody_here/events': no such home"
    assert refusal({"store": "~nobody_here/events"}) == message


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_is_none_is_refused(number: float) -> None:
    assert refusal({"hold_s": number}) == f"parameter 'hold_s' is {number}, expected 0 to 10"


@given(value=st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
))  # fmt: skip
def test_any_value_is_taken_or_refused_with_the_name(value: Any) -> None:
    for row in TABLE:
        problem = row.problem(value)
        if problem is None:
            assert row.problem(row.coerce(value)) is None
        else:
            assert problem.startswith(f"parameter '{row.name}' is ")


def test_whole_numbers_become_floats() -> None:
    value = settings_from({"max_transient_s": 2}).max_transient_s
    assert isinstance(value, float)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hop_stedy", "unknown parameter 'hop_stedy'; did you mean 'hop_steady'?"),
        ("zzzzzzz", "unknown parameter 'zzzzzzz'"),
        (5, "unknown parameter '5'"),
        (None, "unknown parameter 'None'"),
    ],
)
def test_an_unknown_name_is_refused_with_a_hint(name: Any, message: str) -> None:
    assert refusal({name: 1}) == message


@pytest.mark.parametrize("kind", ["imu", "wrench"])
def test_names_and_lags_come_in_pairs(kind: str) -> None:
    names = {"imu": "imus", "wrench": "wrenches"}[kind]
    assert refusal({names: ["a", "b"]}) == (
        f"parameter '{kind}_lags_s' has 1 entries, '{names}' has 2"
    )


def test_one_wrench_type_is_for_all_and_others_come_one_each() -> None:
    feet = dict(wrenches=["a", "b", "c"], wrench_lags_s=[0.0] * 3)
    settings_from(feet | {"wrench_types": ["Vector3Stamped"]})
    settings_from(feet | {"wrench_types": ["Wrench", "WrenchStamped", "Vector3Stamped"]})
    assert refusal(feet | {"wrench_types": ["Wrench", "Wrench"]}) == (
        "parameter 'wrench_types' has 2 entries, 'wrenches' has 3"
    )


@pytest.mark.parametrize("name", ["wrench", "geometry_msgs/msg/Wrench", "JointState", ""])
def test_an_unknown_wrench_type_is_refused_with_the_known_ones(name: str) -> None:
    assert refusal({"wrench_types": [name]}) == (
        f"parameter 'wrench_types' is {name!r}, "
        "expected one of WrenchStamped, Wrench, Vector3Stamped"
    )


def test_parts_of_imus_come_one_each_or_one_for_all() -> None:
    two = dict(imus=["a", "g"], imu_lags_s=[0.0] * 2)
    configs = source_configs(settings_from(two | {"imu_parts": ["accel", "gyro"]}))
    assert configs[0].channels == ("a.accel_x", "a.accel_y", "a.accel_z")
    assert configs[1].channels == ("g.gyro_x", "g.gyro_y", "g.gyro_z")
    assert len(source_configs(settings_from(two))[0].channels) == 6
    assert refusal(two | {"imu_parts": ["accel"] * 3}) == (
        "parameter 'imu_parts' has 3 entries, 'imus' has 2"
    )
    assert refusal({"imu_parts": ["mag"]}) == (
        "parameter 'imu_parts' is 'mag', expected one of both, accel, gyro"
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        *((text, "expected one node with 'ros__parameters'") for text in ("", "a: 1", "- 1", "5")),
        *((f"/**: {value}", "expected one node with 'ros__par") for value in ("{}", "null")),
        ("/**: {ros__parameters: 3}", "line 1: expected parameters in 'ros__parameters'"),
        ("/**: {ros__parameters: }", "line 1: expected parameters in 'ros__parameters'"),
        ("other: {ros__parameters: {}}", "no section for node 'tao_lora'; there are: /other"),
        (
            "/a/tao_lora: {ros__parameters: {}}\n/b/tao_lora: {ros__parameters: {}}",
            "several nodes 'tao_lora': /a/tao_lora, /b/tao_lora",
        ),
        ("? [a]\n: 1", "line 1: expected a name"),
        ("[" * 5000, "nested too deeply"),
        ("a: &x [1]\nb: *x", "not YAML: ROS has no aliases"),
    ],
)
def test_a_file_of_another_shape_is_refused(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "shape.yaml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=f"^{re.escape(str(file))}: {re.escape(told)}"):
        read_settings(file)


def section(name: str, hop: int) -> str:
    return f"{name}:\n  ros__parameters:\n    hop_steady: {hop}\n"


@pytest.mark.parametrize(
    "name",
    ["/**", "'**'", "/*", "/**/*", "/**/tao_lora", "/*/tao_lora", "tao_lora", "/tao_lora"]
    + ["/ns/tao_lora", "ns/tao_lora", "/ns/*", "/ns/**", "/ns/**/tao_lora", "ns:\n tao_lora"],
)
def test_the_sections_of_the_node_are_read_and_others_are_not(tmp_path: Path, name: str) -> None:
    """Each of these gives the node its parameters in ROS, in one namespace or another."""
    file = tmp_path / "sections.yaml"
    file.write_text(section("/other", 3) + section(name, 5) + section("/ns/other", 4))
    assert read_settings(file).hop_steady == 5


def test_a_later_section_prevails(tmp_path: Path) -> None:
    file = tmp_path / "sections.yaml"
    for text, hop in (
        (section("/**", 2) + section("tao_lora", 3), 3),
        (section("tao_lora", 3) + section("/**", 2), 2),
        (section("/**", 2) + section("/ns/tao_lora", 3) + section("/**", 4), 3),
    ):
        file.write_text(text)
        assert read_settings(file).hop_steady == hop


def test_what_is_ros_own_is_left_to_ros(tmp_path: Path) -> None:
    overrides = {"/imu": {"subscription": {"depth": 9}}}
    own = {"use_sim_time": True, "start_type_description_service": 3, "qos_overrides": overrides}
    own["qos_overrides./wrench.subscription.depth"] = 5
    assert read_settings(write(tmp_path / "own.yaml", own)) == Settings()


@pytest.mark.parametrize(
    ("spelt", "value"),
    [
        *(("~", "~"), ("null", "null"), ("0x_", "0x_"), ("0x10", 16), ("010", 8), ("09", 9.0)),
        *(("1_000", "1_000"), ("1e3", 1000.0), ("2020-01-01", "2020-01-01"), ("yes", True)),
        *(("Off", False), ("'5'", "5"), ("!!str 5", "5"), ("[]", None), ("[~]", ["~"])),
        *(("1:30", "1:30"), ("0o7", "0o7"), ("1e400", "1e400"), (".5", 0.5), ("+3", 3)),
        *((".inf", float("inf")), ("<<", "<<"), ("!!binary aGk=", "aGk="), ("[1, 2]", [1, 2])),
        ("12345678901234567890", 12345678901234567890.0),
    ],
)
def test_a_value_is_what_it_is_in_ros(tmp_path: Path, spelt: str, value: Any) -> None:
    """By what rclpy of Jazzy made of the same lines."""
    (tmp_path / "v.yaml").write_text(f"/**:\n  ros__parameters:\n    a: {spelt}\n")
    given = parameters_for(tmp_path / "v.yaml", "tao_lora")["a"]
    assert (given.value, type(given.value), given.line) == (value, type(value), 3)


@pytest.mark.parametrize(
    ("spelt", "told"),
    [
        ("imus: []", "parameter 'imus' is None, expected list of str"),
        ("imus: ~", "parameter 'imus' is '~', expected list of str"),
        ("imus: [a, 2]", "a list of several types"),
        ("imus: [[a]]", "a list in a list"),
        ("hold_s:", "a name without a value"),
        ("hold_s: 2020-01-01", "parameter 'hold_s' is '2020-01-01', expected float"),
        ("hold_s: 0x_", "parameter 'hold_s' is '0x_', expected float"),
        ("hop_steady: 1" + "0" * 300, "parameter 'hop_steady' is 1e+300, expected int"),
        (r'store: "a\x1b[2J\n"' + "\n    hop: 1", "unknown parameter 'hop'"),
    ],
)
def test_a_value_that_will_not_do_is_named_with_its_line(
    tmp_path: Path, spelt: str, told: str
) -> None:
    file = tmp_path / "v.yaml"
    file.write_text(f"/**:\n  ros__parameters:\n    {spelt}\n")
    with pytest.raises(SettingsError, match=rf"^{file}: line \d: {re.escape(told)}"):
        read_settings(file)


def test_a_fifo_and_a_huge_file_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(SettingsError, match="not a regular file"):
        read_settings(tmp_path / "fifo")
    (tmp_path / "huge").write_text("#" * (1 << 21))
    with pytest.raises(SettingsError, match="expected 1048576 at most"):
        read_settings(tmp_path / "huge")


def test_a_file_that_is_missing_or_no_yaml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none.yaml: No such file or directory"):
        read_settings(tmp_path / "none.yaml")
    with pytest.raises(SettingsError, match="Is a directory"):
        read_settings(tmp_path)
    (tmp_path / "bad.yaml").write_text("a: [1\nb: }")
    with pytest.raises(SettingsError, match=r"bad.yaml: not YAML: [^\n]+$"):
        read_settings(tmp_path / "bad.yaml")


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", b"\x80abc", b"a: \x00"])
def test_a_binary_file_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "binary.yaml").write_bytes(data)
    with pytest.raises(SettingsError, match=r"binary.yaml: not YAML: [^\n]+$"):
        read_settings(tmp_path / "binary.yaml")


def test_an_error_in_a_file_names_the_file(tmp_path: Path) -> None:
    file = write(tmp_path / "p.yaml", {"hop_steady": "fast"})
    with pytest.raises(
        SettingsError, match=r"p.yaml: line 3: parameter 'hop_steady' is 'fast', expected int"
    ):
        read_settings(file)


def test_an_empty_section_is_the_defaults(tmp_path: Path) -> None:
    assert read_settings(write(tmp_path / "empty.yaml", {})) == Settings()


def test_joints_are_named_for_each_joint_state() -> None:
    values = {"joint_states": ["left", "right"], "joint_state_lags_s": [0, 0.01]}
    settings = settings_from(values | {"joints": ["a, b", " c,d ,"]})
    assert settings.joint_names == (("a", "b"), ("c", "d"))
    left, right = source_configs(settings)[-2:]
    assert left.channels == ("left.effort_a", "left.effort_b")
    assert (right.name, right.msgtype, right.lag_s) == ("right", JOINT_STATE, 0.01)
    assert len(source_configs(Settings())) == 2


@pytest.mark.parametrize(
    ("topics", "joints", "words"),
    [
        (["left"], [""], "parameter 'joints' is '' for JointState 'left', expected joints"),
        ([""], ["a"], "parameter 'joints' is 'a' for JointState '', expected joints"),
        (["left"], ["a", "b"], "parameter 'joints' has 2 entries, 'joint_states' has 1"),
        (["left"], ["a, b, a"], "parameter 'joints' has 'a', expected each once and no dots"),
        (["left"], ["a.b"], "parameter 'joints' has 'a.b', expected each once and no dots"),
    ],
)
def test_joints_that_will_not_do(topics: list[str], joints: list[str], words: str) -> None:
    assert words in refusal({"joint_states": topics, "joints": joints})
