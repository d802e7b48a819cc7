"""The launch file under launch_testing, as a process of its own: its plugin breaks pytest 9."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("launch_ros.actions", reason="launch_ros is not installed")
pytest.importorskip("launch_testing.launch_test", reason="launch_testing is not installed")
pytestmark = [pytest.mark.launch, pytest.mark.ros]
FILE = Path(__file__).with_name("launched_pipeline.py")


def test_the_pipeline_comes_up_and_goes_down_cleanly(wire, run):
    process = run([sys.executable, "-m", "launch_testing.launch_test", str(FILE)])
    wire.until(lambda: process.child.poll() is not None, "end of the launch test")
    assert process.child.returncode == 0, process.log
    assert process.log.count("Ran 1 test in ") == 2, process.log
