"""The sources that the settings name, and what has to fit the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING

from tao_lora_ros.engine.settings import Settings, SettingsError
from tao_lora_ros.signal.align import Aligner
from tao_lora_ros.signal.cdr import IMU, JOINT_STATE
from tao_lora_ros.signal.source import WRENCH_TYPES, SourceConfig

if TYPE_CHECKING:  # torch takes seconds, which players and launch files need not wait for
    from tao_lora_ros.model.artifact import Artifact


# In an artifact's provenance: the types of the wrenches that it was calibrated on.
WRENCH_TYPES_KEY = "wrench_types"
# Parameters that name the sources begin so.
_SOURCE_FIELDS = ("imu", "wrench", "joint")


def source_configs(settings: Settings) -> list[SourceConfig]:
    """The sources that the settings name: IMUs, wrenches, then joints.

    An empty name is none: ROS's YAML has no empty lists.
    """
    parts = _one_each(settings.imu_parts, settings.imus)
    imus = zip(settings.imus, settings.imu_lags_s, parts, strict=True)
    types = [WRENCH_TYPES[name] for name in _one_each(settings.wrench_types, settings.wrenches)]
    wrenches = zip(settings.wrenches, types, settings.wrench_lags_s, strict=True)
    configs = [SourceConfig(name, IMU, lag, part=part) for name, lag, part in imus]
    configs += [SourceConfig(name, msgtype, lag) for name, msgtype, lag in wrenches]
    lags_s = settings.joint_state_lags_s
    joints = zip(settings.joint_states, lags_s, settings.joint_names, strict=True)
    configs += [SourceConfig(name, JOINT_STATE, lag, names) for name, lag, names in joints]
    return [config for config in configs if config.name]


def _one_each(kinds: tuple[str, ...], names: tuple[str, ...]) -> tuple[str, ...]:
    """A kind for each name, of which one may be for all."""
    return kinds * len(names) if len(kinds) == 1 else kinds


def load_topics(settings: Settings) -> dict[str, str]:
    """Topic of the contact load of each wrench, by its source's name, where they are wanted."""
    if not settings.contact_wrench_hz:
        return {}
    types = WRENCH_TYPES.values()
    names = [config.name for config in source_configs(settings) if config.msgtype in types]
    if len(names) == 1:
        return {names[0]: "~/contact_wrench"}
    return {name: f"~/contact_wrench/{name}" for name in names}


def channels_of(settings: Settings) -> tuple[str, ...]:
    """All channels of the sources, in the order of the rows."""
    return tuple(name for config in source_configs(settings) for name in config.channels)


def sources_of(
    settings: Settings, channels: Sequence[str], wrench_types: Sequence[str] = ()
) -> Settings:
    """Settings with the sources that have these channels, such as those of a model.

    Args:
        settings: all but the sources.
        channels: of the sources, in order.
        wrench_types: of the wrenches; where these are none that fit, all are WrenchStamped.
    """
    axes: dict[str, list[str]] = {}
    for channel in channels:
        source, _, axis = channel.rpartition(".")
        axes.setdefault(source, []).append(axis)
    kinds = {source: names[0].partition("_")[0] for source, names in axes.items()}
    imus = [source for source, kind in kinds.items() if kind in ("accel", "gyro")]
    wrenches = [source for source, kind in kinds.items() if kind in ("force", "torque")]
    states = [source for source, kind in kinds.items() if kind == "effort"]
    types = tuple(wrench_types)
    if not types or len(types) not in (1, len(wrenches)) or not set(types) <= WRENCH_TYPES.keys():
        types = ("WrenchStamped",)
    return with_sources(
        settings,
        imus={imu: "both" if len(axes[imu]) > 3 else kinds[imu] for imu in imus},
        wrenches=wrenches,
        wrench_types=types,
        joints={state: [axis.removeprefix("effort_") for axis in axes[state]] for state in states},
    )


def with_sources(
    settings: Settings,
    imus: Mapping[str, str],
    wrenches: Sequence[str],
    wrench_types: Sequence[str],
    joints: Mapping[str, Sequence[str]],
) -> Settings:
    """Settings with these sources, without lags.

    Args:
        settings: all but the sources.
        imus: what is read of each (see `IMU_PARTS`), by its name.
        wrenches: their names.
        wrench_types: of each, or one for all.
        joints: of each joint state, by its name.
    """
    return replace(
        settings,
        imus=tuple(imus) or ("",),
        imu_parts=tuple(imus.values()) or ("both",),
        imu_lags_s=(0.0,) * max(len(imus), 1),
        wrenches=tuple(wrenches) or ("",),
        wrench_types=tuple(wrench_types) or ("WrenchStamped",),
        wrench_lags_s=(0.0,) * max(len(wrenches), 1),
        joint_states=tuple(joints) or ("",),
        joints=tuple(map(",".join, joints.values())) or ("",),
        joint_state_lags_s=(0.0,) * max(len(joints), 1),
    )


def sources_of_model(settings: Settings, artifact: Artifact) -> Settings:
    """Settings with the sources that a model reads."""
    types = artifact.provenance.get(WRENCH_TYPES_KEY)
    known = types if isinstance(types, list) and all(isinstance(t, str) for t in types) else []
    return sources_of(settings, artifact.channels, known)


def default_sources(settings: Settings) -> bool:
    """Whether nobody named a source."""
    names = [row.name for row in fields(Settings) if row.name.startswith(_SOURCE_FIELDS)]
    return all(getattr(settings, name) == getattr(Settings, name) for name in names)


def check_channels(settings: Settings, artifact: Artifact) -> None:
    """Make sure that the sources give what the model reads.

    Raises:
        SettingsError: they do not; the text names both.
    """
    given = channels_of(settings)
    if given == artifact.channels:
        return
    raise SettingsError(
        f"model {artifact.model_id} reads channels {', '.join(artifact.channels)}; "
        f"the sources give {', '.join(given) or 'none'}. `tao-lora calibrate STEADY_BAG... "
        "--out MODEL` makes a model for these, detection only: set parameter 'model' to it"
    )


def check_successor(artifact: Artifact, other: Artifact) -> None:
    """Make sure that a pipeline can go on with another model of the same channels.

    Raises:
        SettingsError: it takes a new pipeline; the text says why.
    """
    for what, ours, theirs in (
        ("rate", artifact.rate_hz, other.rate_hz),
        ("scales", artifact.calibration.scales, other.calibration.scales),
        ("memories", artifact.calibration.memories, other.calibration.memories),
        ("levels", artifact.calibration.level_channels, other.calibration.level_channels),
        ("loads", artifact.calibration.load_channels, other.calibration.load_channels),
    ):
        if ours != theirs:
            raise SettingsError(
                f"model {other.model_id} has {what} {theirs}, the pipeline {ours}: "
                "configure the node anew"
            )


def aligner_for(configs: list[SourceConfig], settings: Settings, rate_hz: float) -> Aligner:
    """An aligner of these sources."""
    return Aligner(
        widths=[len(config.channels) for config in configs],
        lags_s=[config.lag_s for config in configs],
        rate_hz=rate_hz,
        max_gap_s=settings.max_gap_s,
        timeout_s=settings.source_timeout_s,
    )
