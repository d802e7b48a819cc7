"""`tao-lora calibrate` says what it was made of, and refuses what is no steady motion."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from commands import complaint, json_of, tao_lora
from recordings import START_NS, STD, WRENCH_STD, Message, imu, motion, wrench, write_ros2

from tao_lora_ros.bags.rows import read_run
from tao_lora_ros.detection.calibration import CalibrationError, calibrated, uncalibrated
from tao_lora_ros.detection.detector import Detector
from tao_lora_ros.engine.pipeline import Pipeline
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.engine.signals import router_config
from tao_lora_ros.model.artifact import default_artifact, load_artifact
from tao_lora_ros.signal.cdr import IMU, WRENCH
from tao_lora_ros.training.sensitivity import FOUND, SHAPE, smallest_blows

RATE_HZ = 500.0
CHANNELS = tuple(
    f"{source}_{axis}"
    for source in ("imu.accel", "imu.gyro", "wrench.force", "wrench.torque")
    for axis in "xyz"
)


@pytest.fixture(scope="module")
def tapped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty seconds of steady motion with one tap, after 7.3 s."""
    return write_ros2(tmp_path_factory.mktemp("bags") / "tapped", motion(20.0, [7.3], seed=1))


def thresholds(folder: Path) -> np.ndarray:
    calibration = load_artifact(folder).calibration
    return np.array(calibration.thresholds + calibration.level_thresholds)


def test_it_tells_thresholds_seconds_moments_and_the_smallest_blow(
    tapped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, plot = tmp_path / "model", tmp_path / "fit.html"
    assert tao_lora("calibrate", tapped, out=out, plot=plot) == 0
    lines = capsys.readouterr().out.splitlines()
    changed, seconds, left_out, load, target, contacts, *scales, smallest, written = lines
    assert re.fullmatch(
        r"scales, by the model's so far: imu\.accel \d\.\d+, wrench\.force \d\.\d+", scales[0]
    )
    assert [line.partition(" left as")[0] for line in scales[1:3]] == [
        "scale of imu.gyro",
        "scale of wrench.torque",
    ]
    assert "of the windows are unlike any trained on" in scales[3]
    assert contacts.startswith("contact load of wrench: no IMU explains it")
    assert re.fullmatch(r"touchdowns: wrench always bears [\d.]+ N", load)
    assert written == f"{out}: written"
    assert re.match(r"thresholds \d\.\d\d, \d\.\d\d and levels .* -> \d\.\d\d, ", changed)
    used_s, left_out_s = map(float, re.findall(r"([\d.]+) s", seconds))
    assert 0.2 < left_out_s < 0.8
    assert used_s + left_out_s == pytest.approx(19.6, abs=0.2)
    moment = re.fullmatch(
        r"left out: ([\d.]+) s, 0\.\d\d s long \((\w+\.\w+) ([\d.]+) (\S+), .*", left_out
    )
    assert moment is not None
    assert float(moment[1]) == pytest.approx(7.3, abs=0.1)
    assert moment[2] in CHANNELS
    assert target.startswith("1 false alarms an hour aimed at")
    sizes = re.fullmatch(r"finds blows from ([\d.]+) m/s\^2 or ([\d.]+) N on \(9 of 10\)", smallest)
    assert sizes is not None
    # Several standard deviations of the noise, and by far smaller than the tap.
    assert 2 * STD[0] < float(sizes[1]) < 30 * STD[0]
    assert 2 * WRENCH_STD[0] < float(sizes[2]) < 30 * WRENCH_STD[0]
    page = plot.read_text()
    assert "Left out:" in page
    assert f"{float(moment[1]):.2f} s" in page
    assert page.count(", threshold ") >= 4  # a line at each threshold


def test_a_tap_changes_little_and_a_part_without_it_has_none(
    tapped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clean = write_ros2(tmp_path / "clean", motion(20.0, seed=1))
    for bag, name in ((tapped, "tapped"), (clean, "clean")):
        assert tao_lora("calibrate", bag, out=tmp_path / f"of-{name}") == 0
    np.testing.assert_allclose(
        thresholds(tmp_path / "of-tapped"), thresholds(tmp_path / "of-clean"), rtol=0.1
    )
    capsys.readouterr()
    assert tao_lora("calibrate", tapped, from_=9, to=17, out=tmp_path / "part") == 0
    said = capsys.readouterr().out
    assert "7.6 s used, 0.0 s left out" in said
    assert "left out:" not in said


def test_what_is_wrong_with_a_source_is_told(tmp_path: Path, capsys) -> None:
    rng = np.random.default_rng(0)
    stamps_ns = START_NS + 10_000_000 * np.arange(3000)
    values = np.array([0, 0, 1, 0, 0, 0]) + 0.01 * rng.standard_normal((3000, 6))  # of g
    of_g = [Message(0, t, imu(t, v)) for t, v in zip(stamps_ns.tolist(), values, strict=True)]
    bag = write_ros2(tmp_path / "bag", of_g, [("/imu", IMU)])
    assert tao_lora("calibrate", bag, out=tmp_path / "model") == 0
    assert "imu: gravity is about 1: g instead of m/s^2?" in capsys.readouterr().out


def test_a_part_of_a_bag_keeps_its_times(tapped: Path) -> None:
    whole = read_run(tapped, Settings(), RATE_HZ).values
    part = read_run(tapped, Settings(), RATE_HZ, part_s=(5.0, 8.0)).values
    assert len(part) == pytest.approx(1500, abs=5)
    start = next(i for i in range(2490, 2510) if np.array_equal(whole[i + 9], part[9 + 1]))
    np.testing.assert_array_equal(part[20:1400], whole[start - 1 + 20 : start - 1 + 1400])


def test_replay_takes_a_part(tapped: Path) -> None:
    for part, events in (({"to": 5}, 0), ({"from": 5, "to": 10}, 1)):
        assert len(json_of("replay", tapped, **part)["events"]) == events


def test_a_recording_full_of_contacts_is_refused_with_the_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    times_s = np.cumsum(np.random.default_rng(2).uniform(0.4, 1.2, 24))
    bag = write_ros2(tmp_path / "contacts", motion(20.0, times_s[times_s < 19.0], seed=3))
    line = complaint(capsys, "calibrate", bag, out=tmp_path / "model")
    assert "record steady motion alone" in line
    assert line.endswith(
        "choose a part with --from and --to, or take it all the same with --insist"
    )
    assert not (tmp_path / "model").exists()
    for flag in ("--insist", "--force"):
        assert tao_lora("calibrate", bag, flag, out=tmp_path / "model") == 0
        assert "less sensitive than before" in capsys.readouterr().out


def test_what_is_too_short_is_not_offered_to_insist_on(
    tapped: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for more in ({}, {"insist": True}):
        line = complaint(capsys, "calibrate", tapped, to=1, out=tmp_path / "model", **more)
        assert line.endswith("at least 2 s are needed")


def test_no_blow_is_said_to_be_found_by_what_never_changes() -> None:
    rows = np.random.default_rng(4).normal(0, 1, (15_000, 12)) * [*STD, *WRENCH_STD]
    rows[:, 6:] = 3.0  # a wrench that is not connected
    calibration, _ = calibrated(uncalibrated(CHANNELS, RATE_HZ), [rows], RATE_HZ, 1.0)
    config = router_config(Settings(), RATE_HZ)
    assert sorted(smallest_blows(calibration, config, [rows], CHANNELS, RATE_HZ)) == ["m/s^2"]


def test_the_smallest_blow_is_found_and_a_smaller_one_is_not() -> None:
    rows = np.random.default_rng(4).normal(0, 1, (15_000, 12)) * [*STD, *WRENCH_STD]
    calibration, _ = calibrated(uncalibrated(CHANNELS, RATE_HZ), [rows], RATE_HZ, 1.0)
    config = router_config(Settings(), RATE_HZ)
    sizes = smallest_blows(calibration, config, [rows], CHANNELS, RATE_HZ)
    assert sorted(sizes) == ["N", "m/s^2"]
    fresh = np.random.default_rng(5).normal(0, 1, (30_000, 12)) * [*STD, *WRENCH_STD]
    for unit, first in (("m/s^2", 0), ("N", 6)):
        shares = []
        for factor in (0.5, 1.0, 2.0):
            struck, at = fresh.copy(), np.arange(500, 29_000, 500)
            for i, row in enumerate(at):
                direction = np.random.default_rng(i).normal(size=3)
                direction *= factor * sizes[unit] / np.linalg.norm(direction)
                struck[row : row + 4, first : first + 3] += SHAPE[:, None] * direction
            steps = Detector(calibration, config).run(np.arange(len(struck)), struck)
            transient = np.concatenate([piece["transient"].copy() for piece, _, _ in steps])
            shares.append(np.mean([transient[row : row + 8].any() for row in at]))
        assert shares[0] < 0.5
        assert shares[1] == pytest.approx(FOUND, abs=0.12)
        assert shares[2] > 0.97


def test_the_pipeline_leaves_out_an_overflow_and_refuses_contacts_unchanged() -> None:
    def run(messages: list) -> Pipeline:
        subject = Pipeline(Settings(), load_artifact(default_artifact()))
        for message in messages:
            subject.push(message.source, message.data)
        return subject

    clean = run(motion(10.0, seed=6)).calibrate()
    spoilt = motion(10.0, seed=6)
    stamp_ns = spoilt[4001].stamp_ns  # the wrench's after 4 s
    spoilt[4001] = Message(1, stamp_ns, wrench(stamp_ns, (32768.0,) * 6))
    said = run(spoilt).calibrate()
    assert said[2].startswith("left out: 3.9")
    assert "(wrench." in said[2]
    numbers = [
        np.array(re.findall(r"\d+\.\d+", line.partition("->")[2]), float)
        for line in (clean[0], said[0])
    ]
    np.testing.assert_allclose(numbers[1], numbers[0], rtol=0.1)
    times_s = np.cumsum(np.random.default_rng(2).uniform(0.4, 1.0, 24))
    subject = run(motion(18.0, times_s[times_s < 17.0], seed=7))
    before = subject._signals.detector.calibration
    with pytest.raises(CalibrationError, match="record steady motion alone"):
        subject.calibrate()
    assert subject._signals.detector.calibration is before


def test_what_the_thresholds_before_see_in_it_is_asked_about(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Blows that come as often as to pass for the motion itself."""
    struck = write_ros2(
        tmp_path / "struck", motion(20.0, impacts_s=[1.0 + 0.9 * i for i in range(20)], seed=8)
    )
    assert tao_lora("calibrate", struck, insist=True, out=tmp_path / "model") == 0
    said = capsys.readouterr().out
    (events,) = re.findall(r"thresholds before find (\d+) events in what was used: was it", said)
    assert 15 <= int(events) <= 20


def test_a_sensor_that_has_another_topic_in_another_bag_is_one_and_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("/imu", "/imu/data", "/imu/data")
    bags = [
        write_ros2(
            tmp_path / f"run{i}",
            motion(6.0, seed=i),
            [(name, IMU), ("/wrench", WRENCH)],
        )
        for i, name in enumerate(names)
    ]
    assert tao_lora("calibrate", *bags, out=tmp_path / "model", scales="keep") == 0
    assert (
        "imu is /imu in run0, /imu/data in 2 bags: taken for one sensor; where it is not, "
        "--topic imu=TOPIC\n"
    ) in capsys.readouterr().out
    assert tao_lora("calibrate", bags[1], bags[2], out=tmp_path / "other", scales="keep") == 0
    assert "taken for one sensor" not in capsys.readouterr().out


def test_where_a_bag_has_several_the_option_names_the_topics_of_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = [Message(2 * (m.source == 0), m.stamp_ns, m.data) for m in motion(6.0) if not m.source]
    messages = sorted([*motion(6.0), *both], key=lambda m: m.stamp_ns)
    raw = [("/imu/data", IMU), ("/wrench", WRENCH), ("/imu/data_raw", IMU)]
    bags = [
        write_ros2(tmp_path / "several", messages, raw),
        write_ros2(tmp_path / "one", motion(6.0, seed=1)),
    ]
    out = tmp_path / "model"
    assert tao_lora("calibrate", *bags, out=out, topic="imu=/imu/data", strict=True) == 1
    assert "where it has another name in each bag: --topic imu=ONE,OTHER" in capsys.readouterr().err
    for topic in ("imu=/imu/data,/imu", ["imu=/imu/data", "--topic", "imu=/imu"]):
        assert tao_lora("calibrate", *bags, out=out, topic=topic, strict=True, force=True) == 0
        assert "imu is /imu/data in several, /imu in one: " in capsys.readouterr().out
