"""Memory is flat once the rows that are kept to calibrate on are full."""

from __future__ import annotations

import numpy as np
import pytest
from trust.memory import FULL_S, MOST_MIB_AN_HOUR, alone, report, slope


@pytest.mark.slow
def test_a_pipeline_does_not_grow() -> None:
    """20 rows a second; three quarters of an hour."""
    words, rise, half = report(alone(12, 20.0, 20.0, FULL_S + 2000.0))
    assert rise - half < MOST_MIB_AN_HOUR, words


def test_a_slope_comes_with_its_confidence_interval() -> None:
    hours = np.linspace(0.0, 1.0, 400)
    noise = np.random.default_rng(0).standard_normal(400)
    rise, half = slope(hours, 100.0 + 7.0 * hours + noise)
    assert abs(rise - 7.0) < half < 1.0
    rise, half = slope(hours, 100.0 + noise)
    assert abs(rise) < half
