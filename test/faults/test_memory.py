"""Memory is flat once the rows that are kept to calibrate on are full."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from trust.memory import slope

# Of its own, for other tests leave memory behind. 20 rows a second; three quarters of an hour.
RUN = """
from trust.memory import FULL_S, in_process, report
words, rise, half = report(list(in_process(12, 20.0, 20.0, FULL_S + 2000.0)))
print(words)
print(rise - half)
"""
MOST_MIB_AN_HOUR = 1.0  # one row of 12 channels kept too long each time would be 7


@pytest.mark.slow
def test_a_pipeline_does_not_grow() -> None:
    env = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", RUN], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    words, least = done.stdout.splitlines()
    assert float(least) < MOST_MIB_AN_HOUR, words


def test_a_slope_comes_with_its_confidence_interval() -> None:
    hours = np.linspace(0.0, 1.0, 400)
    noise = np.random.default_rng(0).standard_normal(400)
    rise, half = slope(hours, 100.0 + 7.0 * hours + noise)
    assert abs(rise - 7.0) < half < 1.0
    rise, half = slope(hours, 100.0 + noise)
    assert abs(rise) < half
