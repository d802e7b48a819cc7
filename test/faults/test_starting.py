"""What ends a program while it imports, which takes seconds, is said in one line."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from signals import wait_for_handler

ENTRIES = {"tao_lora": "tao_lora_ros.ros.run", "tao-lora": "tao_lora_ros.cli.entry"}


def start(entry: str, **options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", ENTRIES[entry], *(["info"] if entry == "tao-lora" else [])]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options
    )


def limited(kind: int, most: int) -> object:
    return lambda: resource.setrlimit(kind, (most, most))


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("mib", [300, 900])
def test_too_little_address_space(entry: str, mib: int) -> None:
    process = start(entry, preexec_fn=limited(resource.RLIMIT_AS, mib << 20))
    (line,) = process.communicate()[0].splitlines()
    assert process.returncode == 1
    assert line.startswith(f"{entry}: cannot start: {mib} MiB of address space, ")
    assert "MiB are needed (ulimit -v)" in line


@pytest.mark.parametrize(("entry", "status"), [("tao_lora", 0), ("tao-lora", 130)])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_it_imports(entry: str, status: int, number: signal.Signals) -> None:
    process = start(entry)
    wait_for_handler(process.pid)
    process.send_signal(number)
    (line,) = process.communicate()[0].splitlines()
    assert (process.returncode, line) == (status, f"{entry}: {number.name} while starting")


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("error", ["ImportError('no such part')", "MemoryError()", "OSError('x')"])
def test_an_import_that_fails(entry: str, error: str, tmp_path: Path) -> None:
    (tmp_path / "numba.py").write_text(f"raise {error}\n")
    paths = os.pathsep.join(map(str, (tmp_path, *filter(None, sys.path))))
    process = start(entry, env=os.environ | {"PYTHONPATH": paths})
    (line,) = process.communicate()[0].splitlines()
    assert process.returncode == 1
    assert line.startswith(f"{entry}: cannot start: ")


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_part_of_ours_that_is_not_installed_yet(entry: str, tmp_path: Path) -> None:
    """As after a pull without a build."""
    (tmp_path / "numba.py").write_text("import tao_lora_ros.bags.not_yet\n")
    paths = os.pathsep.join(map(str, (tmp_path, *filter(None, sys.path))))
    process = start(entry, env=os.environ | {"PYTHONPATH": paths})
    (line,) = process.communicate()[0].splitlines()
    assert process.returncode == 1
    assert "No module named 'tao_lora_ros.bags.not_yet'" in line
    assert "build or install anew" in line


@pytest.mark.ros
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_it_compiles(number: signal.Signals, tmp_path: Path) -> None:
    pytest.importorskip("rclpy", reason="no ROS 2")
    process = start("tao_lora", env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)})
    assert process.stdout
    said = next(line for line in process.stdout if "[tao_lora]" in line)
    process.send_signal(number)
    line = process.communicate(timeout=20)[0].splitlines()[-1]
    assert "compiling for this processor, once" in said
    assert (process.returncode, line) == (0, f"tao_lora: {number.name} while starting")
