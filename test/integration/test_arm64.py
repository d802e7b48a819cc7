"""What is required is there for ARM64, as wheels for the Pythons of JetPack 6 and 7."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

REQUIREMENTS = Path(__file__).resolve().parents[2] / "requirements"
PLATFORMS = [f"manylinux_2_{glibc}_aarch64" for glibc in (17, 27, 28, 31, 34)]
OFFLINE = ("connection", "name resolution", "timed out", "Network is unreachable")


@pytest.mark.slow
@pytest.mark.parametrize("python", ["3.10", "3.12"])
def test_every_requirement_has_a_wheel(python: str, tmp_path: Path) -> None:
    platforms = [word for name in PLATFORMS for word in ("--platform", name)]
    pip = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--no-deps"]
    pip += ["--only-binary", ":all:", "--python-version", python, *platforms]
    pip += [
        "--retries",
        "1",
        "--timeout",
        "20",
        "--target",
        tmp_path,
        "-r",
        REQUIREMENTS / "runtime.txt",
    ]
    made = subprocess.run(pip, capture_output=True, text=True)
    if made.returncode and any(word in made.stderr for word in OFFLINE):
        pytest.skip("no package index within reach")
    assert made.returncode == 0, made.stderr[-1000:]
    assert " torch-2" in made.stdout
