"""The parameter files, one a robot kind: valid by the table, and each with the sources it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from tao_lora_ros.engine.settings import read_settings
from tao_lora_ros.engine.sources import check_channels, source_configs
from tao_lora_ros.model.artifact import default_artifact, load_artifact
from tao_lora_ros.signal.cdr import IMU, WRENCH

CONFIG = Path(__file__).resolve().parents[2] / "config"
FEET = [f"{place}/wrench" for place in ("front_left", "front_right", "rear_left", "rear_right")]
SOURCES = {
    "arm": [("imu", IMU), ("wrench", WRENCH)],
    "mobile_base": [("imu", IMU)],
    "pipeline": [("imu", IMU), ("wrench", WRENCH)],
    "quadruped": [("imu", IMU), *((foot, WRENCH) for foot in FEET)],
}


def test_every_file_is_named_here() -> None:
    assert {file.stem for file in CONFIG.glob("*.yaml")} == set(SOURCES)


@pytest.mark.parametrize("kind", SOURCES)
def test_gives_the_sources_of_its_robot(kind: str) -> None:
    configs = source_configs(read_settings(CONFIG / f"{kind}.yaml"))
    assert [(config.name, config.msgtype) for config in configs] == SOURCES[kind]


def test_the_arm_fits_the_model_that_ships() -> None:
    check_channels(read_settings(CONFIG / "arm.yaml"), load_artifact(default_artifact()))
