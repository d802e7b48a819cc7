"""A bag as aligned rows, each with its label."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recordings import PERIOD_NS, SECOND, START_NS, Message, imu, motion, wrench, write_ros2

from tao_lora_ros.bags.reader import BagError
from tao_lora_ros.bags.rows import FREE, Run, read_rows, read_run, spans_of
from tao_lora_ros.engine.settings import Settings

MESSAGES = motion(1.0)
HEADER = "start_s,end_s,label\n"


def labelled(folder: Path, text: str) -> np.ndarray:
    """The label of each row of a run with this labels file."""
    bag = write_ros2(folder / "run", MESSAGES)
    (folder / "run.labels.csv").write_text(text)
    return labels_of(read_run(bag, Settings(), 500.0))


def labels_of(run: Run) -> np.ndarray:
    """Labels of all rows; the spans have to cover them without a gap or an overlap."""
    assert [span.first for span in run.spans] == [0, *(span.end for span in run.spans[:-1])]
    assert run.spans[-1].end == len(run.values)
    return np.concatenate([[span.label] * (span.end - span.first) for span in run.spans])


def test_rows_are_the_bags_samples_on_the_grid(tmp_path: Path) -> None:
    run = read_run(write_ros2(tmp_path / "run", MESSAGES), Settings(), 500.0)
    assert run.name == "run"
    assert run.spans == ()
    assert run.values.shape == (500, 12)
    assert run.values[:, 2].mean() == pytest.approx(9.81, abs=0.02)
    assert run.values[1:, 8].mean() == pytest.approx(-20.0, abs=0.05)


def test_another_rate_gives_other_rows(tmp_path: Path) -> None:
    bag = write_ros2(tmp_path / "run", MESSAGES)
    assert len(read_run(bag, Settings(), 100.0).values) == 100


def test_labels_hold_from_start_to_end_both_included(tmp_path: Path) -> None:
    labels = labelled(tmp_path, HEADER + "0.2,0.4,contact\n")
    seconds = np.arange(len(labels)) * PERIOD_NS / SECOND
    inside = (seconds >= 0.2 - 1e-9) & (seconds <= 0.4 + 1e-9)
    assert set(labels[inside]) == {"contact"}
    assert set(labels[~inside]) == {FREE}


def test_a_short_label_holds_at_least_sixty_milliseconds(tmp_path: Path) -> None:
    labels = labelled(tmp_path, HEADER + "0.5,0.501,impact\n")
    assert (labels == "impact").sum() in (30, 31)


def test_a_later_line_overrides(tmp_path: Path) -> None:
    labels = labelled(tmp_path, HEADER + "0.0,0.9,contact\n0.5,0.6,impact\n")
    assert set(labels[:200]) == {"contact"}
    assert labels[275] == "impact"


def test_labels_without_lines_are_all_free(tmp_path: Path) -> None:
    labels = labelled(tmp_path, HEADER)
    assert set(labels) == {FREE}


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("start_s,end_s,label\n0,1,x\na,1,impact\n", "start_s"),
        ("start_s,end_s,label\n0,1,x\n0.1,,impact\n", "end_s"),
        ("start_s,end_s,label\n0,1,x\n0.1\n", "end_s"),
        ("start_s,label,end_s\n0,x,1\n0.1,x\n", "end_s"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, text: str, column: str) -> None:
    with pytest.raises(BagError, match=f"run.labels.csv: line 3: column '{column}' is "):
        labelled(tmp_path, text)


@pytest.mark.parametrize(
    ("header", "column"), [("start_s,end_s", "label"), ("begin,end_s,label", "start_s")]
)
def test_a_missing_column_is_named(tmp_path: Path, header: str, column: str) -> None:
    with pytest.raises(BagError, match=f"line 1: no column '{column}'"):
        labelled(tmp_path, header + "\n0,1\n")


def test_bad_messages_are_left_out(tmp_path: Path) -> None:
    spoilt = [Message(0, START_NS, b"\0\1"), *MESSAGES]
    run = read_run(write_ros2(tmp_path / "run", spoilt), Settings(), 500.0)
    assert len(run.values) == 500


def test_glitches_are_mended_as_by_the_node(tmp_path: Path) -> None:
    """One in mid-run, and none in the last row, of which nobody knows what follows."""
    spoilt = list(MESSAGES)
    for i in (600, 998):
        stamp_ns = spoilt[i].stamp_ns
        spoilt[i] = Message(0, stamp_ns, imu(stamp_ns, [50.0, 0, 9.81, 0, 0, 0]))
    run = read_run(write_ros2(tmp_path / "run", spoilt), Settings(), 500.0)
    assert len(run.values) == 500
    assert np.flatnonzero(run.values[:, 0] > 1.0).tolist() == [499]


def test_a_bag_without_a_usable_message_is_refused(tmp_path: Path) -> None:
    bag = write_ros2(tmp_path / "run", [Message(0, START_NS, b"\0\1")])
    with pytest.raises(BagError, match=f"{bag}: no usable message"):
        read_run(bag, Settings(), 500.0)


def test_the_rows_of_a_pause_are_absent(tmp_path: Path) -> None:
    stamps = [START_NS + 7 * SECOND + i * PERIOD_NS for i in range(500)]
    later = [
        message
        for stamp_ns in stamps
        for message in (Message(0, stamp_ns, imu(stamp_ns)), Message(1, stamp_ns, wrench(stamp_ns)))
    ]
    bag = write_ros2(tmp_path / "run", [*MESSAGES, *later])
    found = list(read_rows(bag, Settings(), 500.0))
    times_s = np.array([time_s for time_s, _ in found])
    values = np.array([values for _, values in found])
    assert np.allclose(np.diff(times_s), 0.002)
    absent = np.isnan(values[:, 0])
    assert times_s[absent].min() > 0.99
    assert times_s[absent].max() < 7.01
    assert absent.sum() == pytest.approx(3000, abs=5)


@pytest.mark.parametrize("moved_s", [-100, 100])
def test_a_bag_whose_clock_jumps_is_refused(tmp_path: Path, moved_s: int) -> None:
    moved = [START_NS + (moved_s + i) * SECOND for i in range(5)]
    later = [Message(0, START_NS + SECOND + i, imu(moved[i])) for i in range(5)]
    bag = write_ros2(tmp_path / "run", [*MESSAGES, *later])
    with pytest.raises(BagError, match=f"{bag}: not one recording: imu: stamps moved.*--from"):
        read_run(bag, Settings(), 500.0)


@pytest.mark.parametrize("back_s", [0.6, 3.0, 100.0])
def test_messages_that_came_late_leave_one_recording(tmp_path: Path, back_s: float) -> None:
    """Three in a row, with none of the others' time between."""
    stamps = [START_NS + SECOND // 2 - round(back_s * SECOND) + i for i in range(3)]
    late = [Message(0, START_NS + SECOND // 2, imu(stamp)) for stamp in stamps]
    messages = sorted([*motion(2.0), *late], key=lambda m: m.stamp_ns)
    run = read_run(write_ros2(tmp_path / "run", messages), Settings(), 500.0)
    assert len(run.values) >= 990
    assert np.isfinite(run.values[1:]).all()


@given(labels=st.lists(st.sampled_from(["a", "b", "free"]), max_size=30))
def test_spans_are_the_labels(labels: list[str]) -> None:
    spans = spans_of(labels)
    assert [span.label for span in spans for _ in range(span.first, span.end)] == labels
    assert all(a.label != b.label and a.end == b.first for a, b in pairwise(spans))


def test_a_source_on_another_clock_refuses_the_bag_with_the_remedy(tmp_path: Path) -> None:
    """The Imu's clock is 100 s behind that of the wrench, which comes first."""
    behind = [
        m if m.source else Message(0, m.stamp_ns, imu(m.stamp_ns - 100 * SECOND)) for m in MESSAGES
    ]
    bag = write_ros2(tmp_path / "run", behind[1:])
    with pytest.raises(BagError, match=r"imu is 100\.00 s behind wrench: set imu_lags_s to -100"):
        read_run(bag, Settings(), 500.0)
    assert np.isfinite(read_run(bag, Settings(imu_lags_s=(-100.0,)), 500.0).values[1:]).all()


def test_a_bag_of_which_a_source_would_be_lost_is_refused_with_the_remedy(tmp_path: Path) -> None:
    late_ns = SECOND // 2
    late = [replace(m, data=wrench(m.stamp_ns - late_ns)) if m.source else m for m in motion(2.0)]
    bag = write_ros2(tmp_path / "run", late)
    with pytest.raises(
        BagError, match=r"wrench is 0\.50 s behind imu: set wrench_lags_s to -0\.50"
    ):
        read_run(bag, Settings(), 500.0)
    run = read_run(bag, Settings(wrench_lags_s=(-0.5,)), 500.0)
    assert np.isfinite(run.values[1:]).mean() > 0.99
