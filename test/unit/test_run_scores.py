"""Tests of scores of whole runs: what they say of runs, labels and folds, and their tables."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from tao_lora_ros.model.card import without_nan
from tao_lora_ros.report.score_tables import HELD_OUT, score_parts, write_scores
from tao_lora_ros.training.cross_validation import scores_of_runs, validation
from tao_lora_ros.training.held_out import RunOutputs
from tao_lora_ros.training.run_scores import RunScore, confusion_of, score_table, scores_of

LABELS = ("ice", "snow", "[red]sand")


def run_score(number: int, truth: int, right: int, wrong_as: int, wrong: int) -> RunScore:
    said = np.array([truth] * right + [wrong_as] * wrong)
    confusion = confusion_of(np.full(len(said), truth), said, len(LABELS))
    return RunScore(number, f"run_{number}", confusion)


FOLDS = [
    [run_score(0, 0, 8, 1, 2), run_score(1, 1, 40, 0, 0)],
    [run_score(2, 0, 3, 2, 7), run_score(3, 1, 10, 0, 10)],
]


def outputs(number: int, truth: int, windows: int = 60) -> RunOutputs:
    rng = np.random.default_rng(number)
    probabilities = rng.dirichlet(np.ones(3), windows)
    probabilities[:, truth] += 0.3
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return RunOutputs(number, f"run_{number}", np.full(windows, truth), probabilities)


def text_of(metrics: dict) -> str:
    console = Console(width=150, file=io.StringIO())
    for part in score_parts(metrics):
        console.print(part)
    return console.file.getvalue()


def test_windows_without_a_label_are_not_counted() -> None:
    found = confusion_of(np.array([0, 1, -1, 1]), np.array([0, 0, 2, 1]), 3)
    assert found.tolist() == [[1, 0, 0], [1, 1, 0], [0, 0, 0]]


def test_macro_f1_is_over_the_labels_that_occur() -> None:
    found = scores_of(np.array([[[3, 1, 0], [0, 4, 0], [0, 0, 0]]]))
    assert found["accuracy"][0] == pytest.approx(7 / 8)
    assert found["macro_f1"][0] == pytest.approx((6 / 7 + 8 / 9) / 2)


def test_scores_are_means_over_folds_with_their_standard_deviation() -> None:
    table = score_table(FOLDS, LABELS)
    accuracies = [48 / 50, 13 / 30]
    assert table["accuracy"]["mean"] == pytest.approx(np.mean(accuracies))
    assert table["accuracy"]["spread"] == pytest.approx(np.std(accuracies, ddof=1))
    assert table["windows"] == 80


def test_runs_say_how_far_they_differ() -> None:
    table = score_table(FOLDS, LABELS)
    of_runs = table["of_runs"]
    assert (of_runs["count"], of_runs["least"], of_runs["most"]) == (4, 0.3, 1.0)
    assert of_runs["spread"] == pytest.approx(np.std([0.8, 1.0, 0.3, 0.5], ddof=1))
    ice, snow, sand = table["classes"]
    assert (ice["of_runs"]["count"], ice["of_runs"]["least"], ice["of_runs"]["most"]) == (
        2,
        0.3,
        0.8,
    )
    assert ice["recall"] == pytest.approx(11 / 20)
    assert snow["precision"] == pytest.approx(50 / 52)
    assert sand["of_runs"]["count"] == 0
    assert [row["mistaken_for"] for row in table["runs"]] == ["snow", "", "[red]sand", "ice"]


def test_sets_of_one_run_a_label_spread_more_than_folds_of_many() -> None:
    folds = [[run_score(10 * f + i, i % 2, 5 + i, 2, 5 - i) for i in range(6)] for f in range(5)]
    table = score_table(folds, LABELS)
    assert table["accuracy"]["spread"] == 0.0
    assert table["one_run_a_label"]["accuracy"]["spread"] > 0.05
    assert table["of_runs"]["spread"] > table["one_run_a_label"]["accuracy"]["spread"]


def test_stretches_of_a_run_are_one_run() -> None:
    table = score_table([[run_score(7, 0, 5, 1, 5)], [run_score(7, 0, 10, 1, 0)]], LABELS)
    (row,) = table["runs"]
    assert (row["windows"], row["accuracy"]) == (20, 0.75)


def test_the_same_tables_are_printed_and_written_and_survive_a_card(tmp_path: Path) -> None:
    folds = [[outputs(3 * fold + k, k) for k in range(3)] for fold in range(2)]
    found = validation(folds, LABELS, 128, 100.0, "nine\nlives", ["sand: in 1 run alone"])
    scores = json.loads(json.dumps(without_nan({HELD_OUT: found.scores}), allow_nan=False))
    text = text_of(scores)
    assert "nine\\nlives" in text
    assert "[red]sand" in text
    assert "2 runs: " in text
    assert "(few runs)" in text
    assert "a run never seen: " in text
    assert "sand: in 1 run alone" in text
    assert "{" not in text
    write_scores(scores, "a model", tmp_path / "scores.html")
    page = (tmp_path / "scores.html").read_text()
    assert "a model" in page
    assert "[red]sand" in page
    assert "<script" not in page


def test_a_model_as_it_is_has_no_spread_over_folds_and_says_so() -> None:
    found = scores_of_runs([outputs(k, k) for k in range(3)], LABELS, None, 0.64, "three bags")
    assert "over_time" not in found
    assert np.isnan(found["by_window"]["accuracy"]["spread"])
    text = text_of({HELD_OUT: without_nan(found)})
    assert "± -" in text
    assert "runs held out" in text


def test_runs_that_the_model_was_trained_on_are_not_called_held_out() -> None:
    runs = [outputs(k, k) for k in range(3)]
    text = text_of({HELD_OUT: without_nan(scores_of_runs(runs, LABELS, None, 0.64, "", 2))})
    assert "runs, 2 of them named as runs trained on" in text
    assert "held out" not in text
    assert "a run never seen" not in text


def test_nothing_labelled_gives_tables_without_numbers() -> None:
    unknown = RunOutputs(0, "run", np.full(20, -1), np.full((20, 3), 1 / 3))
    text = text_of({HELD_OUT: without_nan(scores_of_runs([unknown], LABELS, None, 1.0, "none"))})
    assert "0 runs: - to -" in text
