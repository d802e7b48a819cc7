"""Tests of tao_lora_ros.training.folds: whole runs held out once, and what cannot be is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tao_lora_ros.bags.reader import BagError
from tao_lora_ros.bags.rows import Run, Span
from tao_lora_ros.training.folds import Part, Split, groups_of, long_enough, split


def run_of(label: str, rows: int = 100, name: str = "run") -> Run:
    return Run(
        name, np.arange(rows, dtype=float)[:, None], (Span(0, rows, label),) if label else ()
    )


def folds_of(runs: list[Run], count: int = 5, fewest: int = 2) -> Split:
    return split(runs, [str(i) for i in range(len(runs))], count, gap=10, fewest=fewest)


def numbers(parts: list[Part]) -> list[int]:
    return [number for number, _ in parts]


def test_every_run_is_held_out_once_and_never_trained_on_then() -> None:
    runs = [run_of(label, 50 + 30 * i) for label in ("ice", "snow", "") for i in range(7)]
    made = folds_of(runs)
    assert sorted(n for fold in made.folds for n in numbers(fold.held_out)) == list(range(21))
    for fold in made.folds:
        assert sorted(numbers(fold.held_out) + numbers(fold.training)) == list(range(21))
    assert made.notes == []


def test_every_label_is_spread_over_all_folds() -> None:
    lengths = {"asphalt": [25, 5, 1, 9, 5], "ice": [24, 5, 4, 2, 6, 9, 2, 11, 2, 13]}
    runs = [run_of(label, 100 * n) for label, of in lengths.items() for n in of]
    for fold in folds_of(runs).folds:
        held_out = [run.spans[0].label for _, run in fold.held_out]
        assert held_out.count("asphalt") == 1
        assert held_out.count("ice") >= 1


def test_what_belongs_together_is_held_out_together() -> None:
    bags = [Path(f"/data/{robot}/{label}_{i}") for robot in "abc" for label in "xy" for i in "12"]
    runs = [run_of(bag.name[0]) for bag in bags]
    groups = groups_of(bags, runs, "/data/([a-c])/", 5)
    made = split(runs, groups, 5, gap=10)
    assert len(made.folds) == 3
    for fold in made.folds:
        assert len({groups[number] for number in numbers(fold.held_out)}) == 1
    with pytest.raises(BagError, match=r"a/x_1: its path has no group 1 of /robot_/"):
        groups_of(bags, runs, "robot_", 5)


def test_neighbours_belong_together_where_nothing_is_told() -> None:
    runs = [run_of(label) for label in ("ice", "snow") for _ in range(7)]
    groups = groups_of([], runs, "", 3)
    assert groups == [f"{first} {block}" for first in (0, 7) for block in (0, 0, 0, 1, 1, 2, 2)]
    assert len(set(groups_of([], runs[:2], "", 5))) == 2


@pytest.mark.parametrize("others", [0, 6])
def test_a_lone_run_of_a_label_is_held_out_by_time_with_a_gap(others: int) -> None:
    runs = [run_of("lone", 1000)] + [run_of("snow") for _ in range(others)]
    made = folds_of(runs)
    rows = []
    for fold in made.folds:
        (held_out,) = (run for number, run in fold.held_out if number == 0)
        trained = np.concatenate([run.values for number, run in fold.training if number == 0])
        rows += list(held_out.values[:, 0])
        assert np.abs(trained - held_out.values[:, 0]).min() > 10
        assert {span.label for _, run in fold.training for span in run.spans} >= {"lone"}
    assert rows == list(range(1000))
    assert made.notes == [
        "lone: in 1 run or groups alone, held out by time with a gap: "
        "runs never seen will score lower"
    ]


def test_a_label_that_is_rare_in_its_only_run_is_said() -> None:
    mixed = Run("mixed", np.zeros((100, 1)), (Span(0, 95, "snow"), Span(95, 100, "rare")))
    made = folds_of([mixed, *(run_of("snow") for _ in range(4))])
    assert made.notes == [
        "rare: in 1 run or groups alone, so not learned where that is held out: "
        "record it in another run too"
    ]
    assert [len(run.values) for fold in made.folds for _, run in fold.held_out] == [100] * 5


def test_stretches_keep_the_labels_of_their_rows() -> None:
    labels = tuple(Span(i * 40, i * 40 + 40, "ab"[i % 2]) for i in range(10))
    made = folds_of([Run("only", np.arange(400.0)[:, None], labels)])
    for fold in made.folds:
        for _, run in (*fold.held_out, *fold.training):
            assert run.spans[-1].end == len(run.values)
            for span in run.spans:
                rows = run.values[span.first : span.end, 0]
                assert {"ab"[int(row) // 40 % 2] for row in rows} == {span.label}


def test_two_runs_of_a_label_can_be_kept_back_in_part() -> None:
    made = folds_of([run_of("ice", 500), run_of("ice", 500)], fewest=3)
    assert [len(run.values) for _, run in made.folds[-1].held_out] == [100, 100]
    assert "2 runs" in made.notes[0]


def test_folds_without_a_window_on_both_sides_are_left_out() -> None:
    short, longer = run_of("ice", 50), run_of("ice", 200)
    assert len(long_enough(folds_of([longer, longer, short]).folds, 100)) == 2
    assert long_enough(folds_of([short, longer]).folds, 100) == []
    assert long_enough(folds_of([longer]).folds, 180) == []
