"""Tests of labels over time: the filter, how it is chosen, and the state that a pipeline holds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from models import small_artifact

from tao_lora_ros.engine.states import States
from tao_lora_ros.messages.results import Inference, State
from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.artifact import ArtifactError, load_artifact, save_artifact
from tao_lora_ros.model.label_filter import LabelFilter, forward, held, ignorance, tempered
from tao_lora_ros.training.held_out import RunOutputs
from tao_lora_ros.training.label_filters import choose_filter, filtered
from tao_lora_ros.training.run_scores import scores_of

FILTER = LabelFilter(evidence_hz=2.0, dwell_s=10.0, temperature=2.0)
SURE = np.array([0.8, 0.1, 0.1])


def noisy(number: int, label: int, windows: int = 80, right: float = 0.6) -> RunOutputs:
    """A run of one label, whose windows are called right so often."""
    rng = np.random.default_rng(number)
    said = np.where(rng.random(windows) < right, label, rng.integers(3, size=windows))
    probabilities = np.full((windows, 3), 0.15)
    probabilities[np.arange(windows), said] = 0.7
    return RunOutputs(number, f"run_{number}", np.full(windows, label), probabilities)


def inferences(labels: list[int], hop_s: float = 0.1) -> list[Inference]:
    """Windows of a second, each 0.8 sure of its label."""
    found = []
    for number, label in enumerate(labels):
        end_ns = round((1.0 + number * hop_s) * 1e9)
        probabilities = tuple(0.8 if k == label else 0.1 for k in range(3))
        begin_ns = end_ns - 10**9
        route = Route.STEADY
        found.append(Inference(end_ns, "link", route, 0.1, probabilities, 0.0, begin_ns, end_ns))
    return found


def states() -> States:
    artifact = replace(small_artifact(), labels=("a", "b", "c"), label_filter=FILTER)
    return States(replace(artifact, rate_hz=float(artifact.window)))  # a window of a second


def told(subject: States, found: list[Inference]) -> list[tuple[int, str]]:
    changes = [(i, subject.push(one)) for i, one in enumerate(found)]
    return [(i, state.label) for i, state in changes if state]


def test_evidence_is_by_time_not_by_the_number_of_windows() -> None:
    once = FILTER.step(ignorance(3), SURE, 1.0)
    often = ignorance(3)
    for _ in range(10):
        often = FILTER.step(often, SURE, 0.1)
    np.testing.assert_allclose(once, often, atol=0.02)
    assert once[0] == pytest.approx(0.8**2 / (0.8**2 + 2 * 0.1**2), abs=0.01)


def test_what_was_known_is_forgotten_in_time() -> None:
    known = np.array([0.98, 0.01, 0.01])
    nothing = np.full(3, 1 / 3)
    after = forward(known, nothing, 10.0, 2.0, 10.0)
    assert after[0] == pytest.approx(np.exp(-1) * 0.98 + (1 - np.exp(-1)) / 3)
    np.testing.assert_allclose(forward(known, nothing, 1e6, 2.0, 10.0), nothing)


def test_a_temperature_takes_sureness_and_keeps_the_order() -> None:
    belief = np.array([0.9, 0.0, 0.1])
    told = tempered(belief, 2.0)
    assert told[0] == pytest.approx(3 / 4)
    assert told.sum() == pytest.approx(1.0)
    assert (np.argsort(told) == np.argsort(belief)).all()


def test_a_state_is_held_until_another_is_twice_as_likely() -> None:
    belief = np.array([[0.35, 0.6, 0.05], [0.25, 0.7, 0.05], [0.5, 0.4, 0.1]])
    assert held(np.array([0, 0, -1]), belief).tolist() == [0, 1, 0]


def test_the_chosen_filter_is_better_than_windows_and_follows_changes() -> None:
    folds = [[noisy(10 * fold + label, label) for label in range(3)] for fold in range(3)]
    choice = choose_filter(folds, window_s=1.28, hop_s=0.64)
    windows = [[run.score(run.probabilities.argmax(axis=1)) for run in fold] for fold in folds]
    by = {
        name: scores_of(sum(s.confusion for f in of for s in f)[None])["accuracy"][0]
        for name, of in (
            ("windows", windows),
            ("whole", choice.whole),
            ("reordered", choice.reordered),
        )
    }
    assert by["windows"] < 0.8
    assert by["whole"] > by["windows"] + 0.1
    assert by["reordered"] >= by["windows"]


def test_runs_of_changing_labels_choose_a_filter_that_lets_go() -> None:
    """Every four windows another label, all called right: nothing is to be held."""
    labels = np.repeat(np.arange(60) % 3, 4)
    probabilities = np.full((len(labels), 3), 0.02)
    probabilities[np.arange(len(labels)), labels] = 0.96
    run = RunOutputs(0, "run", labels, probabilities)
    choice = choose_filter([[run]], window_s=0.256, hop_s=0.128)
    assert np.trace(filtered(run, choice.chosen, 0.128).confusion) > 0.95 * len(labels)


def test_a_state_is_told_once_and_again_when_it_changes() -> None:
    changes = told(states(), inferences([0] * 20 + [1] + [0] * 20 + [2] * 40))
    assert [label for _, label in changes] == ["a", "c"]
    assert changes[0][0] == 0
    assert 41 < changes[1][0] < 60


def test_a_state_names_its_label_first_with_its_probability() -> None:
    (state,) = filter(None, map(states().push, inferences([1] * 10)))
    assert isinstance(state, State)
    assert state.labels[0] == state.label == "b"
    assert set(state.labels) == {"a", "b", "c"}
    assert state.probability == max(state.inference.probabilities)
    assert sum(state.inference.probabilities) == pytest.approx(1.0)


def test_the_hop_makes_no_difference_to_when_a_state_changes() -> None:
    changes = {}
    for hop_s in (0.05, 0.2):
        found = inferences([0] * round(6 / hop_s) + [1] * round(6 / hop_s), hop_s)
        changes[hop_s] = [i * hop_s for i, _ in told(states(), found)]
    assert changes[0.05] == pytest.approx(changes[0.2], abs=0.25)


def test_a_gap_of_a_window_forgets_and_a_shorter_one_does_not() -> None:
    for rows, expected in ((small_artifact().window, 1), (small_artifact().window - 1, 0)):
        subject, found = states(), inferences([0] * 40)
        told(subject, found[:20])
        for _ in range(rows):
            subject.miss()
        assert len(told(subject, found[20:])) == expected


def test_without_a_filter_there_is_no_state() -> None:
    artifact = replace(small_artifact(), labels=("a", "b", "c"), label_filter=None)
    assert told(States(artifact), inferences([0] * 10)) == []


def test_a_filter_is_part_of_an_artifact_and_checked(tmp_path: Path) -> None:
    artifact = replace(small_artifact(), label_filter=FILTER)
    save_artifact(artifact, tmp_path)
    assert load_artifact(tmp_path).label_filter == FILTER
    card = (tmp_path / "model.json").read_text()
    (tmp_path / "model.json").write_text(card.replace('"dwell_s": 10.0', '"dwell_s": 0.0'))
    with pytest.raises(ArtifactError, match=r"label_filter\.dwell_s"):
        load_artifact(tmp_path)
