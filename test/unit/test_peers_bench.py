"""Peers are fitted and held against ours as the benchmark says."""

from __future__ import annotations

import numpy as np
import pytest

from benchmark.peer_scores import BY_WINDOW, OVER_TIME, compared
from benchmark.terrain_peers import FoldOutputs
from tao_lora_ros.benchmarks.results import OURS
from tao_lora_ros.training.held_out import RunOutputs


def test_the_ridge_takes_the_penalty_of_the_least_error_left_out() -> None:
    pytest.importorskip("scipy")
    from benchmark.ridge import PENALTIES, Ridge

    rng = np.random.default_rng(0)
    features = rng.normal(3.0, 1.0, (60, 20)).astype(np.float32)
    labels = (features[:, :3] + rng.normal(0.0, 2.0, (60, 3))).argmax(axis=1)

    def margins(rows: np.ndarray, penalty: float) -> np.ndarray:
        x, y = features[rows], np.where(labels[rows, None] == np.arange(3), 1.0, -1.0)
        mean, offset = x.mean(axis=0), y.mean(axis=0)
        gram = (x - mean).T @ (x - mean) + penalty * np.eye(20)
        return (features - mean) @ np.linalg.solve(gram, (x - mean).T @ (y - offset)) + offset

    def left_out(penalty: float) -> float:
        others = [np.flatnonzero(np.arange(60) != i) for i in range(60)]
        found = np.array([margins(rows, penalty)[i] for i, rows in enumerate(others)])
        return float(np.square(found - np.where(labels[:, None] == np.arange(3), 1, -1)).mean())

    ridge = Ridge(features, labels)
    assert ridge.penalty == pytest.approx(min(PENALTIES, key=left_out))
    np.testing.assert_allclose(
        ridge.margins(features), margins(np.arange(60), ridge.penalty), atol=1e-4
    )


def test_differences_are_paired_by_fold() -> None:
    def fold(right: float) -> FoldOutputs:
        truth = np.arange(100) % 2
        said = np.where(np.arange(100) < 100 * right, truth, 1 - truth)
        return FoldOutputs([RunOutputs(0, "run", truth, np.eye(2)[said] * 0.8 + 0.1)], 0.5)

    trials = {OURS: [[fold(0.5), fold(0.9)]], "peer": [[fold(0.4), fold(0.9)]]}
    rows = list(compared(trials, ("a", "b"), window_s=1.0, hop_s=0.5))
    found = {(row.subject, row.case, row.metric): row.value for row in rows}
    assert found["peer", BY_WINDOW, "accuracy"] == pytest.approx(0.65)
    assert found["peer", BY_WINDOW, "accuracy_more"] == pytest.approx(-0.05)
    assert found["peer", BY_WINDOW, "accuracy_more_se"] == pytest.approx(0.05)
    assert found[OURS, BY_WINDOW, "accuracy_more_se"] == 0.0
    assert found[OURS, BY_WINDOW, "accuracy_std"] == pytest.approx(0.4 / np.sqrt(2))
    assert (OURS, OVER_TIME, "accuracy") in found
