"""A model goes to another robot of the kind by that robot's own scales."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from commands import tao_lora
from models import CHANNELS, LEVEL, SPREAD, small_artifact, windows
from recordings import motion, write_ros2

from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.artifact import Artifact, ArtifactError, load_artifact, save_artifact
from tao_lora_ros.model.label_filter import LabelFilter
from tao_lora_ros.model.robot_scale import features, scales_of
from tao_lora_ros.runtime.cpu import CpuRuntime
from tao_lora_ros.training.robot import fitted_to, with_scales

QUANTITIES = ("imu.accel", "imu.gyro", "wrench.force", "wrench.torque")
TIMES = {"imu.accel": 0.25, "imu.gyro": 3.0, "wrench.force": 0.02, "wrench.torque": 0.01}
FACTORS = np.repeat([TIMES[quantity] for quantity in QUANTITIES], 3)


def moving(seed: int, rows: int = 4000) -> np.ndarray:
    """Rows of a robot in slow motion, with noise."""
    rng = np.random.default_rng(seed)
    phase = rng.uniform(0, 2 * np.pi, 12) + np.arange(rows)[:, None] * rng.uniform(0.01, 0.1, 12)
    usual = SPREAD.double().numpy()
    return LEVEL.double().numpy() + usual * (3 * np.sin(phase) + rng.normal(0, 0.3, (rows, 12)))


@pytest.fixture(scope="module")
def trained() -> Artifact:
    """An artifact that knows the robot of `moving` in seed 0."""
    own = moving(0)
    return with_scales(
        small_artifact(),
        [own],
        np.lib.stride_tricks.sliding_window_view(own, 32, axis=0)[::10]
        .swapaxes(1, 2)
        .astype(np.float32),
    )


def test_a_scale_is_the_root_mean_square_of_a_vector_s_size() -> None:
    rows = np.full((10, 6), np.nan)
    rows[:, :3] = [3.0, 0.0, 4.0]
    rows[5:, :3] = np.nan
    channels = [*CHANNELS[:6]]
    assert scales_of([rows], channels) == {"imu.accel": pytest.approx(5.0)}
    turned = moving(1)[:, [2, 0, 1, *range(3, 12)]]
    assert scales_of([turned], CHANNELS) == pytest.approx(scales_of([moving(1)], CHANNELS))


def test_another_robot_is_answered_as_the_own_one_is(trained: Artifact) -> None:
    fitted, lines = fitted_to(trained, [moving(0) * FACTORS])
    assert lines[0].startswith("scales, by the model's so far: imu.accel 0.25, imu.gyro 3, wrench.")
    assert int(lines[-1].partition("%")[0]) <= 5
    window = windows(count=1)[0].numpy()
    here, there = CpuRuntime(trained.network), CpuRuntime(fitted.network)
    for path in Route:
        ours = here.infer(window, path)
        theirs = there.infer(window * FACTORS.astype(np.float32), path)
        np.testing.assert_allclose(theirs.logits, ours.logits, atol=2e-3)
        np.testing.assert_allclose(theirs.forecast, ours.forecast, atol=2e-3)
    again, lines = fitted_to(fitted, [moving(0) * FACTORS])
    assert lines[0].endswith("imu.accel 1, imu.gyro 1, wrench.force 1, wrench.torque 1")
    assert again.scales == pytest.approx(fitted.scales)


@pytest.mark.parametrize(
    ("part", "said", "tells_states"),
    [(3, "labels are to be doubted", True), (1, "no states are told", False)],
)
def test_a_robot_that_moves_otherwise_is_said_to_be_far(
    trained: Artifact, part: int, said: str, tells_states: bool
) -> None:
    other = moving(0)
    strange = slice(len(other) // part)
    other[strange, 8] += 20 * np.sin(np.arange(len(other))[strange] / 50)
    fitted, lines = fitted_to(replace(trained, label_filter=LabelFilter(1, 8, 2)), [other])
    assert lines[-1].endswith(f", most in wrench.force_z: {said}, train on this robot too")
    assert (fitted.label_filter is not None) is tells_states


def test_a_gyro_at_rest_sets_no_scale(trained: Artifact) -> None:
    rows = moving(0)
    rows[:, 3:6] = np.random.default_rng(0).normal(0, 1e-4, (len(rows), 3))
    fitted, lines = fitted_to(trained, [rows])
    assert "scale of imu.gyro left as it is: it shows noise alone, record motion" in lines
    assert fitted.scales["imu.gyro"] == trained.scales["imu.gyro"]
    np.testing.assert_array_equal(
        fitted.network.tensors["spread"][3:6], trained.network.tensors["spread"][3:6]
    )


def test_features_are_those_that_the_model_is_told(trained: Artifact) -> None:
    values = windows(count=4).numpy()
    values[0, :, 0] = np.nan
    level, spread = (trained.network.tensors[name] for name in ("level_mean", "spread"))
    found = features(trained.network, values)
    assert found[0, 0] == 0.0
    assert found[0, 12] == pytest.approx(np.log(1e-4))
    x = np.arcsinh((values[1, :, 5] - values[1, :, 5].mean()) / spread[5])
    assert found[1, 17] == pytest.approx(np.log(x.var(ddof=1) + 1e-4), rel=1e-4)
    assert np.isfinite(found).all()
    assert level.shape == (12,)


def test_they_are_kept_in_the_card_and_checked(trained: Artifact, tmp_path: Path) -> None:
    save_artifact(trained, tmp_path)
    found = load_artifact(tmp_path)
    assert found.scales == trained.scales
    assert found.known == trained.known
    for wrong, told in (
        ({"scales": {"imu.speed": 1.0}}, "scales has 'imu.speed', expected imu.accel"),
        ({"known": replace(trained.known, width=(1.0,))}, "known.width has 1 entries, expected 24"),
        ({"scales": {"imu.accel": 0.0}}, "scales"),
    ):
        save_artifact(replace(trained, **wrong), tmp_path / "wrong")
        with pytest.raises(ArtifactError, match=told):
            load_artifact(tmp_path / "wrong")


def test_calibrate_sets_scales_keeps_them_or_sets_them_alone(
    trained: Artifact, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_artifact(trained, tmp_path / "model")
    bag = write_ros2(tmp_path / "bag", motion(8.0, seed=3))
    made = {}
    for choice in ("set", "keep", "only"):
        how = dict(model=tmp_path / "model", scales=choice, out=tmp_path / choice)
        assert tao_lora("calibrate", bag, **how) == 0
        assert ("scales, by the model's so far: " in capsys.readouterr().out) == (choice != "keep")
        made[choice] = load_artifact(tmp_path / choice)
    assert made["keep"].scales == trained.scales != made["set"].scales
    np.testing.assert_array_equal(
        made["keep"].network.tensors["spread"], trained.network.tensors["spread"]
    )
    assert asdict(made["only"].calibration) == asdict(trained.calibration)
    assert made["only"].scales == pytest.approx(made["set"].scales, rel=0.1)
