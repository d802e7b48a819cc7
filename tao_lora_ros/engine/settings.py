"""The one table of parameters: the node declares it, the CLI reads it, files come from it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import yaml

from tao_lora_ros.engine.parameter import NODE_NAME, Parameter, SettingsError, is_ours, parameter
from tao_lora_ros.engine.parameter_file import parameters_for
from tao_lora_ros.messages.texts import did_you_mean, shown
from tao_lora_ros.runtime.choice import BACKENDS
from tao_lora_ros.signal.channels import IMU_PARTS, WRENCH_TYPES

MOST_TIMEOUT_S = 2.0
MOST_LAG_S = 86_400.0  # beyond, it is another clock
_TOPIC = re.compile(r"[~/]?[\w/{}]+(:\w+/msg/\w+)?", re.ASCII)
# Lists of topics, and lists with an entry for each of them.
_ONE_EACH = (
    ("imus", "imu_lags_s"),
    ("wrenches", "wrench_lags_s"),
    ("joint_states", "joint_state_lags_s"),
    ("joint_states", "joints"),
)


@dataclass(frozen=True)
class Settings:
    """All parameters with their defaults; each field carries its row of the table."""

    model: str = parameter(
        "", "", "artifact folder; empty: the one that ships; ~/reload takes a change on", live=True
    )
    calibrated_model: str = parameter(
        "",
        "",
        "folder where ~/calibrate keeps the model as calibrated, which the next start takes if "
        "parameter model is the same; empty: kept nowhere",
        live=True,
    )
    backend: str = parameter(
        "auto",
        "",
        "what runs the model: auto (the faster of GPU and CPU, while running), cpu, cuda, or "
        "cuda_persistent (a kernel that stays on a GPU)",
    )
    autostart: bool = parameter(
        True, "", "configure and activate at the start; false: a lifecycle manager does"
    )
    imus: tuple[str, ...] = parameter(("imu",), "", "sensor_msgs/Imu topics, relative names")
    imu_lags_s: tuple[float, ...] = parameter(
        (0.0,), "s", "how late each Imu is stamped against the others", -MOST_LAG_S, MOST_LAG_S
    )
    imu_parts: tuple[str, ...] = parameter(
        ("both",),
        "",
        "what is read of each Imu, or of all: both, accel or gyro (where each has its own topic)",
    )
    wrenches: tuple[str, ...] = parameter(
        ("wrench",), "", "wrench and force topics, relative names"
    )
    wrench_types: tuple[str, ...] = parameter(
        ("WrenchStamped",),
        "",
        "geometry_msgs type of each, or one for all: WrenchStamped, Wrench or Vector3Stamped",
    )
    wrench_lags_s: tuple[float, ...] = parameter(
        (0.0,), "s", "how late each wrench is stamped against the others", -MOST_LAG_S, MOST_LAG_S
    )
    joint_states: tuple[str, ...] = parameter(
        ("",), "", "sensor_msgs/JointState topics whose efforts are read, relative names"
    )
    joints: tuple[str, ...] = parameter(
        ("",), "", "the joints of each, in the order of the channels, separated by commas"
    )
    joint_state_lags_s: tuple[float, ...] = parameter(
        (0.0,),
        "s",
        "how late each JointState is stamped against the others",
        -MOST_LAG_S,
        MOST_LAG_S,
    )
    auto_lags: bool = parameter(
        False, "", "take off how far a source is constantly behind another, measured on arrival"
    )
    hop_steady: int = parameter(
        16, "rows", "rows between inferences in steady motion", 1, 4096, live=True
    )
    hop_transient: int = parameter(
        4, "rows", "rows between inferences in a transient", 1, 4096, live=True
    )
    off_score: float = parameter(
        0.7, "", "a transient ends below this score (it begins at 1)", 0.05, 1.0, live=True
    )
    hold_s: float = parameter(
        0.064, "s", "how long the score stays below off_score before the end", 0.0, 10.0, live=True
    )
    max_transient_s: float = parameter(
        2.0, "s", "after this long a transient is accepted as the new steady state", 0.1, 60.0
    )
    max_contact_s: float = parameter(
        600.0, "s", "after this long a lasting contact is taken as the usual load", 1.0, 86_400.0
    )
    contact_wrench_hz: float = parameter(
        0.0, "Hz", "rate of ~/contact_wrench, up to the model's; 0: no such topic", 0.0, 10_000.0
    )
    learn_while_running: bool = parameter(
        True, "", "set thresholds anew by the steady motion since the calibration", live=True
    )
    pre_roll_s: float = parameter(0.25, "s", "raw samples kept from before an onset", 0.0, 10.0)
    post_roll_s: float = parameter(
        0.25, "s", "messages that the event store keeps from after an end", 0.0, 10.0
    )
    store_pre_roll_s: float = parameter(
        2.0,
        "s",
        "messages that the event store keeps from before an onset; never less than pre_roll_s, or "
        "than window and detector need until they find the event again in a replay",
        0.0,
        60.0,
    )
    max_gap_s: float = parameter(
        0.05,
        "s",
        "longest hole that is interpolated, or 2.5 of the source's own periods",
        0.001,
        1.0,
    )
    source_timeout_s: float = parameter(
        0.1,
        "s",
        "longest wait for a source that falls behind the others, or 2.5 of its own periods",
        0.01,
        MOST_TIMEOUT_S,
    )
    clock_jump_s: float = parameter(
        5.0, "s", "stamps that move further than this restart the pipeline", 0.5, 3600.0
    )
    max_clock_offset_s: float = parameter(
        0.0, "s", "most that stamps may be off the node clock; 0: any, not checked", 0.0, 86_400.0
    )
    store: str = parameter(
        "", "", "event store folder; empty: tao_lora/NAMESPACE/events in $ROS_HOME or ~/.ros"
    )
    store_max_mb: int = parameter(
        1024, "MiB", "most that stored events take, the oldest go first; 0: none kept", 0, 1_000_000
    )
    store_topics: tuple[str, ...] = parameter(
        ("",),
        "",
        "further topics of any type that stored events hold, NAME or NAME:TYPE, relative names",
    )
    store_topics_mb: int = parameter(
        512,
        "MiB",
        "most that their messages take in memory until they are stored, the oldest go first",
        1,
        1_000_000,
    )
    store_min_free_mb: int = parameter(
        512, "MiB", "least that the event store leaves free on its disk", 0, 1_000_000
    )
    event_cloud: int = parameter(
        0, "", "newest events of a frame in ~/event_cloud; 0: there is no such topic", 0, 1000
    )
    queue_depth: int = parameter(
        2000, "messages", "depth of each input queue; Fast DDS holds 5000 at most", 1, 100_000
    )

    def __post_init__(self) -> None:
        if self.backend not in BACKENDS:
            found = shown(repr(self.backend))
            raise SettingsError(
                f"parameter 'backend' is {found}, expected one of {', '.join(BACKENDS)}"
            )
        for names, of_each in _ONE_EACH:
            if len(getattr(self, names)) != len(getattr(self, of_each)):
                raise SettingsError(
                    f"parameter '{of_each}' has {len(getattr(self, of_each))} entries, "
                    f"'{names}' has {len(getattr(self, names))}"
                )
        self._check_one_for_all("wrench_types", "wrenches", tuple(WRENCH_TYPES))
        self._check_one_for_all("imu_parts", "imus", tuple(IMU_PARTS))
        self._check_joints()
        for topic in filter(None, self.store_topics):
            if not _TOPIC.fullmatch(topic):
                raise SettingsError(
                    f"parameter 'store_topics' has {shown(repr(topic))}, expected NAME or "
                    "NAME:TYPE, such as /camera/image:sensor_msgs/msg/Image"
                )
        for name in ("store", "calibrated_model"):
            try:
                Path(getattr(self, name)).expanduser()
            except RuntimeError:
                found = shown(repr(getattr(self, name)))
                raise SettingsError(f"parameter '{name}' is {found}: no such home") from None

    @property
    def longest_wait_s(self) -> float:
        """How long an event waits for its post-roll after the last message of all."""
        return self.post_roll_s + self.source_timeout_s

    @property
    def joint_names(self) -> tuple[tuple[str, ...], ...]:
        """The joints of each JointState."""
        return tuple(
            tuple(name for joint in joints.split(",") if (name := joint.strip()))
            for joints in self.joints
        )

    def _check_joints(self) -> None:
        for topic, joints in zip(self.joint_states, self.joint_names, strict=True):
            if bool(topic) != bool(joints):
                found = f"'{shown(', '.join(joints))}' for JointState '{shown(topic)}'"
                raise SettingsError(
                    f"parameter 'joints' is {found}, expected joints for each topic"
                )
            for joint in joints:
                if joints.count(joint) > 1 or "." in joint:
                    found = shown(repr(joint))
                    raise SettingsError(
                        f"parameter 'joints' has {found}, expected each once and no dots"
                    )

    @property
    def repeatable(self) -> Settings:
        """The same on the CPU where any may run the model: last bits do not vary."""
        return replace(self, backend="cpu") if self.backend == "auto" else self

    def _check_one_for_all(self, kinds: str, names: str, known: tuple[str, ...]) -> None:
        given, count = getattr(self, kinds), len(getattr(self, names))
        if len(given) not in (1, count):
            raise SettingsError(
                f"parameter '{kinds}' has {len(given)} entries, '{names}' has {count}"
            )
        for name in given:
            if name not in known:
                raise SettingsError(
                    f"parameter '{kinds}' is {shown(repr(name))}, "
                    f"expected one of {', '.join(known)}"
                )


TABLE: tuple[Parameter, ...] = tuple(
    Parameter(name=row.name, default=row.default, **row.metadata) for row in fields(Settings)
)
_BY_NAME = {row.name: row for row in TABLE}


def settings_from(values: Mapping[str, Any]) -> Settings:
    """Settings with these values, the rest at their defaults.

    Raises:
        SettingsError: a name is unknown, or a value of the wrong type or out of range.
    """
    for name, value in values.items():
        if problem := _problem(name, value):
            raise SettingsError(problem)
    return Settings(**{name: _BY_NAME[name].coerce(value) for name, value in values.items()})


def _problem(name: str, value: Any) -> str | None:
    if name in _BY_NAME:
        return _BY_NAME[name].problem(value)
    return f"unknown parameter '{shown(name)}'{did_you_mean(name, _BY_NAME)}"


def read_settings(file: Path | None) -> Settings:
    """Settings of a ROS parameter file, or the defaults; what is ROS's own in it is left to ROS.

    Raises:
        SettingsError: the file is not such a file, or a parameter in it is wrong.
    """
    if file is None:
        return Settings()
    given = parameters_for(file, NODE_NAME)
    ours = {name: row for name, row in given.items() if is_ours(name)}
    for name, (value, line) in ours.items():
        if problem := _problem(name, value):
            raise SettingsError(f"{file}: line {line}: {problem}")
    try:
        return settings_from({name: row.value for name, row in ours.items()})
    except SettingsError as error:
        raise SettingsError(f"{file}: {error}") from None


def parameter_file() -> str:
    """Text of `config/pipeline.yaml`: every parameter, its default and what it means."""
    lines = ["# Written by `tao-lora parameters --yaml`; every value is the default.", "/**:"]
    lines.append("  ros__parameters:")
    for row in TABLE:
        notes = [row.description, row.unit and f"[{row.unit}]", row.range, row.live and "live"]
        lines.append(f"    # {', '.join(str(note) for note in notes if note)}")
        default = list(row.default) if isinstance(row.default, tuple) else row.default
        value = yaml.safe_dump(default, default_flow_style=True).removesuffix("\n...\n").strip()
        lines.append(f"    {row.name}: {value}")
    return "\n".join(lines) + "\n"
