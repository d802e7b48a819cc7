"""`tao-lora bench node`: the node under load, over real DDS between two processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from tao_lora_ros.benchmarks.cameras import complete_share, topics
from tao_lora_ros.benchmarks.node_models import RATE_HZ, write_artifact
from tao_lora_ros.benchmarks.results import OURS, Measurement
from tao_lora_ros.benchmarks.signals import SPREAD, msgtype_of
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.signal.cdr import IMU
from tao_lora_ros.signal.source import SourceConfig

PACKAGES = (
    "numpy",
    "numba",
    "torch",
    "onnxruntime",
    "ros-jazzy-rclpy",
    "ros-jazzy-rmw-fastrtps-cpp",
)
INFERENCES_HZ = 100.0
_END_S = 20.0
_PRE_ROLL_S = 0.5  # of what is stored with cameras: an event a second would fill any disk


@dataclass(frozen=True)
class Case:
    """Sources (an Imu each whose name says so, else a wrench) at one rate, and cameras beside them.

    Cameras are kept by the node's store, or taken by somebody else.
    """

    name: str
    sources: tuple[str, ...]
    rate_hz: float
    cameras: int = 0
    kept: bool = True

    @property
    def channels(self) -> tuple[str, ...]:
        """All channels, IMUs first."""
        configs = [SourceConfig(name, msgtype_of(name)) for name in self.sources]
        return tuple(channel for config in configs for channel in config.channels)


_PAIR = ("imu", "wrench")
_EIGHT = tuple(f"{kind}_{i}" for kind in ("imu", "wrench") for i in range(4))
CASES = (
    Case("1khz+1khz", _PAIR, 1000.0),
    Case("4khz+4khz", _PAIR, 4000.0),
    Case("8x1khz", _EIGHT, 1000.0),
    Case("1khz+1khz+2cameras", _PAIR, 1000.0, cameras=2),
    Case("1khz+1khz+2cameras-elsewhere", _PAIR, 1000.0, cameras=2, kept=False),
)


# The command that runs a node on a case, given a folder for its files.
Command = Callable[[Case, Path], list[str]]


def bench_node(
    cases: Sequence[str],
    seconds: float,
    progress: Callable[[str], None],
    subjects: Mapping[str, Command],
) -> list[Measurement]:
    """Measure some nodes on some cases.

    Args:
        cases: names of `CASES`; none: all.
        seconds: how long each case is measured, after it is warm.
        progress: called with a line of what is going on.
        subjects: the nodes by name.

    Raises:
        RuntimeError: a process failed; the text holds its last words.
    """
    rows: list[Measurement] = []
    with TemporaryDirectory(prefix="tao_lora_bench_") as folder:
        for case in (case for case in CASES if case.name in cases or not cases):
            for subject, command in subjects.items():
                progress(f"{case.name}: {subject}")
                report = _measure(case, subject, command(case, Path(folder)), seconds, Path(folder))
                rows += _measurements(subject, case.name, report)
                if case.cameras and case.kept and subject == OURS:
                    rows += _scenes(case, _store(case, Path(folder)), report["since_ns"])
    return rows


def _measure(
    case: Case, subject: str, command: list[str], seconds: float, folder: Path
) -> dict[str, Any]:
    report = folder / "report.json"
    environment = os.environ | {
        "ROS_DOMAIN_ID": str(1 + os.getpid() % 100),
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "ROS_HOME": str(folder / "ros"),
        "OMP_NUM_THREADS": "1",
    }
    beside = ["cameras"] * bool(case.cameras) + ["subscriber"] * (not case.kept)
    with ExitStack() as running:
        for other in beside:
            module = f"tao_lora_ros.ros.bench_{other}"
            process = [sys.executable, "-m", module, str(case.cameras)]
            running.enter_context(_running(process, environment, folder / f"{other}.log"))
        node = running.enter_context(_running(command, environment, folder / "node.log"))
        load = [sys.executable, "-m", "tao_lora_ros.ros.bench_load", str(case.rate_hz)]
        load += [str(seconds), str(node.pid), str(report), *case.sources]
        done = subprocess.run(load, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            log = (folder / "node.log").read_text()
            raise RuntimeError(f"{case.name}, {subject}: {done.stderr[-2000:]}\n{log[-2000:]}")
    return json.loads(report.read_text())


@contextmanager
def _running(command: list[str], environment: dict[str, str], log: Path) -> Iterator:
    with log.open("w") as out:
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
    try:
        yield process
        process.send_signal(signal.SIGINT)
        process.wait(_END_S)
    finally:
        process.kill()
        process.wait()


def our_command(case: Case, folder: Path) -> list[str]:
    """Our node, with a model for the case's channels."""
    hop = round(RATE_HZ / INFERENCES_HZ)
    parameters = {"hop_steady": hop, "hop_transient": hop}
    kinds: dict[str, list[str]] = {"imu": [], "wrench": []}
    for name in case.sources:
        kinds["imu" if msgtype_of(name) == IMU else "wrench"].append(name)
    model = folder / f"model_{len(case.channels)}"
    if not model.exists():
        write_artifact(model, case.channels, _spread(case))
    values = {
        **parameters,
        "model": str(model),
        "imus": json.dumps(kinds["imu"]),
        "imu_lags_s": json.dumps([0.0] * len(kinds["imu"])),
        "wrenches": json.dumps(kinds["wrench"]),
        "wrench_lags_s": json.dumps([0.0] * len(kinds["wrench"])),
        "store": str(_store(case, folder)),
    }
    if case.cameras:
        values |= {"store_pre_roll_s": _PRE_ROLL_S, "store_max_mb": 100_000}
    if case.cameras and case.kept:
        values |= {"store_topics": json.dumps(topics(case.cameras))}
    command = [sys.executable, "-m", "tao_lora_ros.ros.run", "--ros-args"]
    return command + [word for k, v in values.items() for word in ("-p", f"{k}:={v}")]


def _store(case: Case, folder: Path) -> Path:
    return folder / f"events_{case.name}"


def _spread(case: Case) -> np.ndarray:
    return np.concatenate([SPREAD[msgtype_of(name)] for name in case.sources])


def _scenes(case: Case, store: Path, since_ns: int) -> list[Measurement]:
    """How many events were stored, and how many of them with all that the cameras sent."""
    rolls_s = _PRE_ROLL_S, Settings().post_roll_s
    count, share = complete_share(store, case.cameras, rolls_s, since_ns)
    return [
        Measurement(OURS, case.name, "events_stored", count, ""),
        Measurement(OURS, case.name, "events_with_all_frames", share, ""),
    ]


def _measurements(subject: str, case: str, report: dict[str, Any]) -> list[Measurement]:
    def row(metric: str, value: float, unit: str) -> Measurement:
        return Measurement(subject, case, metric, value, unit)

    rows = [
        row("received_share", report["received"] / report["sent"], ""),
        row("cpu_us_per_message", 1e6 * report["cpu_s"] / report["sent"], "us"),
        row("own_cpu_us_per_message", 1e6 * report["own_cpu_s"] / report["sent"], "us"),
    ]
    for what, percents in (("inference", (50, 99, 100)), ("onset", (50, 99, 100))):
        latencies = report["latencies_ms"][what]
        for percent in percents:
            metric = f"{what}_p{percent}_ms" if percent < 100 else f"{what}_max_ms"
            value = np.percentile(latencies, percent) if latencies else float("nan")
            rows.append(row(metric, float(value), "ms"))
    rows.append(
        row("inferences_hz", len(report["latencies_ms"]["inference"]) / report["seconds"], "Hz")
    )
    rows.append(row("onsets", len(report["latencies_ms"]["onset"]), ""))
    rows.append(row("rss_mib", report["rss_mib"], "MiB"))
    rows.append(row("rss_growth_mib", report["rss_growth_mib"], "MiB"))
    rows.append(row("sender_late_max_ms", report["late_ms"], "ms"))
    return rows
