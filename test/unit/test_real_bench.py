"""Halves of runs share none, and a peer's own threshold is one that it can reach, if seldom."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("scipy")

from benchmark.real_events import BOUNDS, PEERS, START_ROWS, foreseen, halves


def test_halves_are_all_runs_and_share_none() -> None:
    runs = [np.full((1, 6), float(i)) for i in range(7)]
    found = list(halves(runs, 3))
    assert len(found) == 6
    for steady, others in found:
        assert sorted(rows[0, 0] for rows in steady + others) == list(range(7))
        assert abs(len(steady) - len(others)) == 1
    assert [rows[0, 0] for rows in found[0][0]] == [0, 2, 4, 6]
    assert [rows[0, 0] for rows in found[2][0]] != [0, 2, 4, 6]


@pytest.mark.parametrize("name", BOUNDS)
def test_a_peer_foresees_a_threshold_that_alarms_as_often_as_aimed_at(name: str) -> None:
    rng = np.random.default_rng(7)
    steady = [rng.normal(size=(20_000, 6)) for _ in range(2)]
    level = foreseen(PEERS[name], BOUNDS[name], steady, 100.0)
    assert level < BOUNDS[name]
    statistic = PEERS[name](rng.normal(size=(100_000, 6)))[START_ROWS:]
    assert 100.0 / 4 < np.count_nonzero(statistic >= level) / 100_000 * 100.0 * 3600.0 < 4 * 100.0
