"""A bag of any robot, and nothing else: what replay and calibrate make of it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from commands import complaint, json_of, tao_lora
from recordings import Message, force, motion, write_ros2

from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.engine.sources import channels_of, default_sources, source_configs, sources_of
from tao_lora_ros.model.artifact import load_artifact, save_artifact
from tao_lora_ros.signal.cdr import FORCE, IMU, WRENCH, decode_wrench
from tao_lora_ros.training.calibrate import detection_only

MESSAGES = motion(12.0, impacts_s=(9.0, 10.5))
IMUS = [message for message in MESSAGES if message.source == 0]
WRENCHES = [replace(message, source=0) for message in MESSAGES if message.source == 1]
FEET = [(f"/{side}/foot", WRENCH) for side in ("fl", "fr", "rl", "rr")]


def feet() -> list[Message]:
    """Four wrenches in frames of their own, each with noise of its own."""
    each = [motion(12.0, impacts_s=(9.0, 10.5), seed=seed)[1::2] for seed in range(4)]
    return [
        Message(at, m.stamp_ns, m.data.replace(b"ft_link", f"ft_lin{at}".encode()))
        for together in zip(*each, strict=True)
        for at, m in enumerate(together)
    ]


BAGS = {
    "an Imu alone": (IMUS, [("/imu/data_raw", IMU)]),
    "a wrench alone": (WRENCHES, [("/ft/wrench", WRENCH)]),
    "four feet": (feet(), FEET),
}


def onsets(bag: Path, **options: object) -> list[float]:
    return [event["onset_s"] for event in json_of("replay", bag, **options)["events"]]


@pytest.mark.parametrize("name", BAGS)
def test_a_replay_needs_nothing_but_the_bag(name: str, tmp_path: Path, capsys) -> None:
    bag = write_ros2(tmp_path / "bag", *BAGS[name])
    assert onsets(bag) == pytest.approx([9.0, 10.5], abs=0.01)
    said = capsys.readouterr().out
    assert "detection only, calibrated on 6 s of this bag from 0 s on, taken for steady" in said
    assert "next: tao-lora calibrate" in said
    assert re.search(r"\n  finds (no )?blow", said)  # how deaf it is, which no event would say


def test_an_arm_that_nobody_knows_is_calibrated_too(tmp_path: Path, capsys) -> None:
    """An IMU of 100 Hz and a wrench of 10: the model that ships is of another arm."""
    blows_s = (12.0, 17.0, 23.0, 28.0, 33.0, 38.0, 41.0)  # four of them in the calibration
    imus, wrenches = motion(44.0, impacts_s=blows_s)[::2], motion(44.0, seed=1)[1::2]
    messages = sorted([*imus[::5], *wrenches[::50]], key=lambda message: message.stamp_ns)
    bag = write_ros2(tmp_path / "bag", messages, [("/imu", IMU), ("/wrench", WRENCH)])
    assert onsets(bag) == pytest.approx(blows_s, abs=0.03)
    said = capsys.readouterr().out
    assert "names by the model that ships, calibrated on 22 s" in said
    assert "of the windows are unlike any trained on" in said
    assert ": no states are told, train on this robot too" in said
    assert "from here" not in said  # its label flips between two of another arm's


def test_what_stands_at_first_and_is_struck_again_and_again_is_calibrated_standing(
    tmp_path: Path, capsys
) -> None:
    blows_s = [22.0 + 0.6 * i for i in range(100)]
    imus = motion(84.0, impacts_s=blows_s)[::2]
    bag = write_ros2(tmp_path / "bag", imus, [("/imu", IMU)])
    assert len(onsets(bag)) > 90
    assert "calibrated on 21 s of this bag" in capsys.readouterr().out


def test_a_short_bag_keeps_the_calibration_of_the_model_that_ships(tmp_path: Path, capsys) -> None:
    bag = write_ros2(tmp_path / "bag", MESSAGES, [("/imu", IMU), ("/wrench", WRENCH)])
    assert tao_lora("replay", bag) == 0
    assert "with the thresholds of a simulated arm" in capsys.readouterr().out


@pytest.mark.parametrize("name", BAGS)
def test_calibrate_alone_makes_a_model_that_replay_takes(name: str, tmp_path: Path, capsys) -> None:
    bag, model = write_ros2(tmp_path / "bag", *BAGS[name]), tmp_path / "model"
    assert tao_lora("calibrate", bag, to=8, out=model) == 0
    assert "detection only" in capsys.readouterr().out
    assert load_artifact(model).model is None
    assert onsets(bag, model=model) == pytest.approx([9.0, 10.5], abs=0.01)
    assert "detection only, calibrated" not in capsys.readouterr().out
    assert tao_lora("info", model) == 0
    assert "detection only" in capsys.readouterr().out


def test_a_model_for_detection_that_nobody_calibrated_is_calibrated_first(
    tmp_path: Path, capsys
) -> None:
    """The demo takes the same, by `ready`."""
    bag = write_ros2(tmp_path / "bag", *BAGS["an Imu alone"])
    imu = Settings(wrenches=("",))
    save_artifact(detection_only(channels_of(imu), 500.0), tmp_path / "model")
    assert onsets(bag, model=tmp_path / "model") == pytest.approx([9.0, 10.5], abs=0.01)
    assert "detection only, calibrated on 6 s" in capsys.readouterr().out


def test_a_model_that_was_asked_for_and_does_not_fit_is_the_reason(tmp_path: Path, capsys) -> None:
    imu, wrench = (
        write_ros2(tmp_path / name, *BAGS[kind])
        for name, kind in (("imu", "an Imu alone"), ("wrench", "a wrench alone"))
    )
    assert tao_lora("calibrate", imu, to=8, out=tmp_path / "model") == 0
    said = complaint(capsys, "replay", wrench, model=tmp_path / "model")
    assert "no topic of type sensor_msgs/msg/Imu" in said


def test_a_force_alone_is_replayed_with_its_model(tmp_path: Path) -> None:
    """The model knows of which type its wrench was."""
    forces = [replace(m, data=force(m.stamp_ns, decode_wrench(m.data).values)) for m in WRENCHES]
    bag = write_ros2(tmp_path / "bag", forces, [("/tool/force", FORCE)])
    assert tao_lora("calibrate", bag, to=8, out=tmp_path / "model") == 0
    assert onsets(bag, model=tmp_path / "model") == pytest.approx([9.0, 10.5], abs=0.01)


def test_times_of_a_part_count_from_the_bags_beginning(tmp_path: Path) -> None:
    bag = write_ros2(tmp_path / "bag", *BAGS["an Imu alone"])
    assert tao_lora("calibrate", bag, to=8, out=tmp_path / "model") == 0
    assert onsets(bag, model=tmp_path / "model", from_=8, to=10) == pytest.approx([9.0], abs=0.01)


def test_a_damaged_first_message_is_passed_over(tmp_path: Path, capsys) -> None:
    spoilt = [replace(IMUS[0], data=IMUS[0].data[:20]), *IMUS[1:]]
    bag = write_ros2(tmp_path / "bag", spoilt, [("/imu", IMU)])
    assert json_of("replay", bag)["rejected"] == {"undecodable": 1}
    assert "1 of 6000 refused, the last: imu: undecodable: " in capsys.readouterr().out


def test_a_bag_too_short_to_calibrate_on_says_so(tmp_path: Path, capsys) -> None:
    short = [message for message in IMUS if message.stamp_ns < IMUS[0].stamp_ns + 10**9]
    bag = write_ros2(tmp_path / "bag", short, [("/imu", IMU)])
    assert "s are needed" in complaint(capsys, "replay", bag)


@pytest.mark.parametrize(
    "settings",
    [
        Settings(),
        Settings(wrenches=("",)),
        Settings(imus=("",)),
        Settings(
            imus=("a", "b"), imu_lags_s=(0.0, 0.0), imu_parts=("accel", "gyro"), wrenches=("",)
        ),
        Settings(
            imus=("",), wrenches=("",), joint_states=("arm/joint_states",), joints=("one,two",)
        ),
    ],
)
def test_sources_follow_from_a_models_channels(settings: Settings) -> None:
    found = sources_of(Settings(), channels_of(settings))
    assert source_configs(found) == source_configs(settings)


def test_who_named_a_source_is_left_alone() -> None:
    assert default_sources(Settings(hop_steady=8))
    assert not default_sources(Settings(wrenches=("",)))
