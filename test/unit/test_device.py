"""Facts of this machine, of a Jetson as its files tell them, and what is advised."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tao_lora_ros.hardware.device import advice, facts

JETSON = {
    "proc/device-tree/model": "NVIDIA Jetson Orin Nano Developer Kit\0",
    "etc/nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic\n",
    "var/lib/nvpmodel/status": "pmode:0001",
    "etc/nvpmodel.conf": "< POWER_MODEL ID=0 NAME=15W >\n< POWER_MODEL ID=1 NAME=7W >\n",
    "sys/class/devfreq/17000000.gpu/cur_freq": "306000000\n",
    "sys/class/devfreq/17000000.gpu/max_freq": "624750000\n",
    "sys/class/devfreq/other/max_freq": "1\n",
    "sys/class/thermal/thermal_zone0/type": "gpu-thermal\n",
    "sys/class/thermal/thermal_zone0/temp": "91500\n",
    "sys/class/thermal/thermal_zone1/type": "cv0-thermal\n",  # switched off: no temp
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "schedutil\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "729600\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq": "1510400\n",
}


@pytest.fixture
def jetson(tmp_path: Path) -> Path:
    for name, text in JETSON.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path


def test_this_machine() -> None:
    found = facts()
    assert found["torch"] == torch.__version__.removesuffix("+cpu") or "torch" in found
    assert found["cpu"]
    assert ("gpu" in found) == torch.cuda.is_available()


def test_a_jetson(jetson: Path) -> None:
    found = facts(jetson)
    assert found["jetson"] == "NVIDIA Jetson Orin Nano Developer Kit"
    assert found["L4T"] == "36.4.3"
    assert found["power mode"] == "7W"
    assert found["gpu clock MHz"] == 306.0
    assert found["gpu clock limit MHz"] == 624.75
    assert found["temperature gpu C"] == 91.5
    assert "temperature cv0 C" not in found
    assert found["cpu clock MHz"] == 729.6
    assert found["cpu governor"] == "schedutil"


def test_a_mode_without_a_name_goes_by_its_number(jetson: Path) -> None:
    (jetson / "etc/nvpmodel.conf").unlink()
    assert facts(jetson)["power mode"] == "number 1"


def test_the_driver_of_a_workstation(tmp_path: Path) -> None:
    file = tmp_path / "proc/driver/nvidia/version"
    file.parent.mkdir(parents=True)
    file.write_text("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release\n")
    assert facts(tmp_path)["driver"] == "570.86.15"


def test_another_machine_has_no_jetsons_facts(tmp_path: Path) -> None:
    assert not {"jetson", "power mode", "gpu clock MHz"} & facts(tmp_path).keys()


def test_advice_for_a_slow_hot_jetson() -> None:
    told = " ".join(
        advice(
            {
                "jetson": "Orin",
                "power mode": "7W",
                "gpu clock MHz": 306.0,
                "gpu clock limit MHz": 624.75,
                "temperature gpu C": 91.5,
                "temperature cpu C": 40.0,
                "cpu governor": "schedutil",
            }
        )
    )
    for words in ("nvpmodel", "jetson_clocks", "gpu is at 92", "schedutil", "NVIDIA's own"):
        assert words in told
    assert "cpu is at" not in told


def test_nothing_to_advise() -> None:
    fine = {"gpu": "Orin", "triton": "3.5", "power mode": "MAXN_SUPER", "jetson": "Orin"}
    assert advice(fine) == []
    assert advice({"gpu": "Orin"}) == [
        "install triton: without it the GPU's kernels cannot be compiled"
    ]
