"""What `launch_test` runs: the pipeline's launch file, while it is up and after it went down."""

from __future__ import annotations

import unittest
from pathlib import Path

from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_testing import post_shutdown_test
from launch_testing.actions import ReadyToTest
from launch_testing.asserts import assertExitCodes

from launch import LaunchDescription

FILE = Path(__file__).resolve().parents[2] / "launch" / "pipeline.launch.py"
START_S = 60.0


def generate_test_description() -> LaunchDescription:
    """The launch file as it is, then the tests."""
    pipeline = IncludeLaunchDescription(PythonLaunchDescriptionSource(str(FILE)))
    return LaunchDescription([pipeline, ReadyToTest()])


class TestUp(unittest.TestCase):
    """While it is up."""

    def test_the_node_activates_itself(self, proc_output) -> None:
        """It says which topics it reads once it is active."""
        proc_output.assertWaitFor("reading /imu, /wrench", timeout=START_S, stream="stderr")


@post_shutdown_test()
class TestDown(unittest.TestCase):
    """After it was interrupted."""

    def test_every_process_ends_with_status_0(self, proc_info) -> None:
        """As after Ctrl-C."""
        assertExitCodes(proc_info)
