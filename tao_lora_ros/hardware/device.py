"""Facts of the machine that inference runs on, and what about it could be better."""

from __future__ import annotations

import os
import platform
import re
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tao_lora_ros.runtime.choice import driver_finds_gpu

Facts = dict[str, str | int | float]
_PACKAGES = ("torch", "triton", "numba", "numpy", "jetson-stats")
_HOT_C = 85.0  # Jetsons throttle from about 97 to 99 °C


def facts(root: Path = Path("/")) -> Facts:
    """What is known of this machine, by name; what is not there or cannot be read is left out.

    Args:
        root: where /proc, /sys, /etc and /var lie.
    """
    found: Facts = {"python": platform.python_version(), "machine": platform.machine()}
    found |= {name: said for name in _PACKAGES if (said := version_of(name))}
    return found | _cpu(root) | _gpu(root) | _jetson(root) | _temperatures(root)


def version_of(package: str) -> str | None:
    """Version of a package; None where it is not installed, as ours where the sources run."""
    with suppress(PackageNotFoundError):
        return version(package)
    return None


def advice(found: Facts) -> list[str]:
    """What to change, a sentence each, so that inference is faster or steadier."""
    lines = []
    if "gpu" not in found and ("driver" in found or "jetson" in found):
        lines.append(
            "an NVIDIA driver is there, but torch sees no GPU: install a torch built for its CUDA"
            + (" (on a Jetson, NVIDIA's own)" if "jetson" in found else "")
        )
    if "gpu" in found and "triton" not in found:
        lines.append("install triton: without it the GPU's kernels cannot be compiled")
    mode = str(found.get("power mode", ""))
    if mode and "MAXN" not in mode:
        lines.append(f"power mode is {mode}: `sudo nvpmodel -m 0` gives the GPU its full clock")
    if float(found.get("gpu clock MHz", 0)) < float(found.get("gpu clock limit MHz", 0)):
        lines.append("the GPU's clock is below its limit: `sudo jetson_clocks` holds it there")
    if found.get("cpu governor") in ("powersave", "schedutil", "ondemand", "conservative"):
        lines.append(
            f"the CPU's governor is {found['cpu governor']}: `performance` takes the slow first "
            "milliseconds after a pause away"
        )
    lines += [
        f"{name.removeprefix('temperature ').removesuffix(' C')} is at {value:.0f} °C: cool it, "
        "or it will be throttled"
        for name, value in found.items()
        if name.startswith("temperature ") and float(value) >= _HOT_C
    ]
    return lines


def _read(file: Path) -> str:
    """Text of a small file; empty where there is none. The device tree ends its texts with NUL."""
    try:
        return file.read_text(errors="replace").strip("\0\n ")
    except OSError:
        return ""


def _number(file: Path) -> float | None:
    try:
        return float(_read(file))
    except ValueError:
        return None


def _cpu(root: Path) -> Facts:
    found: Facts = {"cpu cores": os.cpu_count() or 1}
    name = re.search(r"^model name\s*:\s*(.+)$", _read(root / "proc/cpuinfo"), re.MULTILINE)
    found["cpu"] = name[1] if name else platform.processor() or platform.machine()
    clocks = root / "sys/devices/system/cpu/cpu0/cpufreq"
    for key, file in (("cpu clock", "scaling_cur_freq"), ("cpu clock limit", "scaling_max_freq")):
        if (khz := _number(clocks / file)) is not None:
            found[f"{key} MHz"] = khz / 1e3
    if governor := _read(clocks / "scaling_governor"):
        found["cpu governor"] = governor
    return found


def _gpu(root: Path) -> Facts:
    found: Facts = {}
    if driver := re.search(
        r"Kernel Module.*?\s(\d+\.[\d.]+)\s", _read(root / "proc/driver/nvidia/version")
    ):
        found["driver"] = driver[1]
    if not driver_finds_gpu():
        return found
    try:
        import torch
    except (ImportError, OSError) as error:
        found["torch"] = f"cannot be loaded: {error}"
        return found
    found["torch's CUDA"] = torch.version.cuda or "none"
    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        found["gpu"] = properties.name
        found["compute capability"] = f"{properties.major}.{properties.minor}"
        found["multiprocessors"] = properties.multi_processor_count
        found["gpu memory MiB"] = properties.total_memory >> 20
    return found


def _jetson(root: Path) -> Facts:
    release = _read(root / "etc/nv_tegra_release")
    board = _read(root / "proc/device-tree/model")
    if not release and "jetson" not in board.lower():
        return {}
    found: Facts = {"jetson": board or "unknown"}
    if parts := re.search(r"R(\d+).*?REVISION:\s*([\d.]+)", release):
        found["L4T"] = f"{parts[1]}.{parts[2]}"
    if mode := _power_mode(root):
        found["power mode"] = mode
    for device in sorted((root / "sys/class/devfreq").glob("*")):
        if re.search(r"gpu|ga10b|gv11b|gp10b", device.name):
            for key, file in (("gpu clock", "cur_freq"), ("gpu clock limit", "max_freq")):
                if (hertz := _number(device / file)) is not None:
                    found[f"{key} MHz"] = hertz / 1e6
    return found


def _power_mode(root: Path) -> str:
    """Name of the mode in force; nvpmodel keeps its number in one file, the names in another."""
    number = re.search(r"pmode:(\d+)", _read(root / "var/lib/nvpmodel/status"))
    if not number:
        return ""
    modes = re.findall(
        r"<\s*POWER_MODEL\s+ID=(\d+)\s+NAME=(\S+)\s*>", _read(root / "etc/nvpmodel.conf")
    )
    return {int(i): name for i, name in modes}.get(int(number[1]), f"number {int(number[1])}")


def _temperatures(root: Path) -> Facts:
    found: Facts = {}
    for zone in sorted((root / "sys/class/thermal").glob("thermal_zone*")):
        name, value = _read(zone / "type"), _number(zone / "temp")
        if name and value is not None:
            found[f"temperature {name.removesuffix('-thermal')} C"] = value / 1e3
    return found
