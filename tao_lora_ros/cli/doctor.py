"""`tao-lora doctor`: what this machine is, what inference runs on and why, and what to change."""

from __future__ import annotations

import os
import shutil
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tao_lora_ros.benchmarks.roofline import ORIN_NANO, roofline
from tao_lora_ros.cli.arguments import UsageError
from tao_lora_ros.cli.outputs import add_json_and_force, tell
from tao_lora_ros.hardware.device import Facts, advice, facts
from tao_lora_ros.messages.texts import MOST_LINE, shown
from tao_lora_ros.model.artifact import default_artifact, load_artifact
from tao_lora_ros.preservation.event_catalogue import default_store, refuse_table
from tao_lora_ros.runtime.choice import BACKENDS, ChosenRuntime, NoRuntime


def add_doctor_parser(subparsers: Any) -> None:
    """Add `doctor` to the subparsers of `tao-lora`."""
    doctor = subparsers.add_parser("doctor", help="the machine, the backend, and what to change")
    doctor.set_defaults(run=_doctor)
    doctor.add_argument("--backend", choices=BACKENDS, default="auto", help="as the parameter")
    add_json_and_force(doctor)
    doctor.add_argument("--model", type=Path, metavar="DIR", help="folder of a model")
    doctor.add_argument("--store", type=Path, metavar="DIR", help="event store folder")
    doctor.add_argument(
        "--roofline", action="store_true", help="instead: computed times on a Jetson Orin Nano"
    )


def _doctor(options: Namespace) -> None:
    if options.roofline:
        if options.model or options.store or options.json or options.backend != "auto":
            raise UsageError("--roofline is computed alone: leave the other arguments out")
        print(roofline(ORIN_NANO))
        return
    artifact = load_artifact(options.model or default_artifact())
    runtime = ChosenRuntime(artifact.model, options.backend) if artifact.model else NoRuntime()
    sections: dict[str, Facts] = {
        "machine": facts(),
        "inference": {"model": artifact.model_id, "on": runtime.name, "why": runtime.reason},
        "ROS 2": _ros(),
        "event store": _store(options.store or default_store()),
    }
    changes = advice(sections["machine"]) + _ros_advice(sections["ROS 2"])
    changes += _store_advice(sections["event store"])
    tell(options, sections | {"what to change": changes}, _lines(sections, changes))


def _lines(sections: dict[str, Facts], changes: list[str]) -> Iterator[str]:
    for title, found in sections.items():
        yield title
        for name, value in found.items():
            text = f"{value:g}" if isinstance(value, float) else shown(value)
            yield f"  {name:24} {text}"
    yield "what to change"
    for line in changes or ["nothing"]:
        yield f"  {shown(line, MOST_LINE)}"


def _ros() -> Facts:
    found: Facts = {"distribution": os.environ.get("ROS_DISTRO", "none sourced")}
    try:
        import rclpy

        found["RMW"] = rclpy.get_rmw_implementation_identifier()
    except (ImportError, RuntimeError) as error:  # RuntimeError: rcl finds no RMW
        found["rclpy"] = f"not usable: {error}"
    for name in ("ROS_DOMAIN_ID", "ROS_AUTOMATIC_DISCOVERY_RANGE", "ROS_LOCALHOST_ONLY"):
        if name in os.environ:
            found[name] = os.environ[name]
    return found


def _ros_advice(found: Facts) -> list[str]:
    if "RMW" in found:
        return []
    return ["source a ROS 2 installation (or use this project's .venv): the node needs rclpy"]


def _store(folder: Path) -> Facts:
    place = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not place.is_dir():
        raise UsageError(f"{place}: a file, expected a folder for events; choose another --store")
    refuse_table(folder)
    disk = shutil.disk_usage(place)
    return {
        "folder": str(folder),
        "free MiB": disk.free >> 20,
        "of MiB": disk.total >> 20,
        "writable": "yes" if os.access(place, os.W_OK) else "no",
    }


def _store_advice(found: Facts) -> list[str]:
    lines = []
    if found["writable"] == "no":
        lines.append(f"{found['folder']}: not writable, so no event is kept; set `store`")
    if int(found["free MiB"]) < 1024:
        lines.append(f"{found['folder']}: only {found['free MiB']} MiB free; events may be dropped")
    return lines
