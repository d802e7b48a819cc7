"""Peers are fitted and held against ours as the benchmark says."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmark.peer_scores import BY_WINDOW, OVER_TIME, compared
from benchmark.series_peers import FoldOutputs, Task, tasks_of
from benchmark.stacked_fits import Fit, Stack
from benchmark.ways import WAYS
from tao_lora_ros.bags.rows import Run, Span
from tao_lora_ros.benchmarks.results import OURS
from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.mixer import Mixer
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


@pytest.fixture(scope="module")
def tasks() -> list[Task]:
    rng = np.random.default_rng(0)
    runs = [
        Run(
            f"{label}_{i}",
            scale * rng.normal(size=(300, 6)).astype(np.float32),
            (Span(0, 300, label),),
        )
        for label, scale in (("rough", 3.0), ("smooth", 1.0))
        for i in range(5)
    ]
    return tasks_of(runs, 0, 2, 0)


def test_stacked_fits_are_mixers_that_learn_each_by_itself(tasks: list[Task]) -> None:
    fits = [Fit(WAYS[name], 0, 1) for name in ("as it is", "decay 2", "stretch 0.1", "mixup 0.5")]
    stack = Stack(tasks, [*fits, Fit(WAYS["as it is"], 0, 2)], "cpu")
    windows = torch.randn(5, 4, 128, 6)
    plain = torch.zeros(5, 4, 120), torch.ones(5, 4, 128)
    logits, forecast = stack.call(stack.parameters, windows, *plain)
    states = [{n: t[0] for n, t in of.items()} for of in (stack.parameters, stack.buffers)]
    model = Mixer(stack.sizes).eval()
    model.load_state_dict(states[0] | states[1], strict=False)
    expected = model(windows[0], Route.TRANSIENT)
    torch.testing.assert_close((logits[0], forecast[0]), expected, atol=1e-5, rtol=1e-4)
    before = {name: value.detach().clone() for name, value in stack.parameters.items()}
    stack.train(2, 8, seed=0)
    moved = (stack.parameters["embed.weight"] - before["embed.weight"]).abs().amax(dim=(1, 2))
    assert (moved > 0).all()
    assert not torch.equal(stack.parameters["embed.weight"][0], stack.parameters["embed.weight"][1])
    assert [len(labels) for _, _, labels in stack.said(tasks)] == [6] * 5


def test_rows_that_pass_at_their_own_rate_are_as_they_were(tasks: list[Task]) -> None:
    stack = Stack(tasks, [Fit(WAYS["stretch 0.1"], 0, 0)], "cpu")
    run, begin = torch.tensor([[0, 3]]), torch.tensor([[20, 40]])
    start, rows = stack._first[run] + begin, torch.arange(136)
    g = torch.Generator().manual_seed(0)
    same = stack._stretched(start, run, torch.zeros(1), rows, g)
    torch.testing.assert_close(same, stack._rows[start[..., None] + rows])
