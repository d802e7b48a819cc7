"""Tests of tao_lora_ros.report.growing_run: the pieces together are what came."""

from __future__ import annotations

import base64
import json
from itertools import pairwise

import numpy as np
import pytest

from tao_lora_ros.messages.raw_data import RawSamples
from tao_lora_ros.messages.results import Event, Inference, Phase
from tao_lora_ros.messages.route import Route
from tao_lora_ros.report.growing_run import GrowingRun
from tao_lora_ros.signal.cdr import Sample

START_NS, STEP_NS = 1_700_000_000_000_000_000, 2_000_000
CHANNELS = ("wrench.force_x", "wrench.force_y")
LABELS, MODEL = ("free", "impact"), ("arm", "1")


def numbers(text: str, kind: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), kind)


def inference(at_ns: int) -> Inference:
    return Inference(at_ns, "ft", Route.STEADY, 0.5, (0.9, 0.1), 0.2, at_ns, at_ns)


def event(onset_ns: int, sequence: int = 3) -> Event:
    end_ns = onset_ns + 100_000_000
    shares = (("wrench.force_x", 1.0),)
    return Event(Phase.END, sequence, "ft", onset_ns, onset_ns, end_ns, 2.0, shares, "hit", 0.9, ())


@pytest.fixture
def samples() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return START_NS + STEP_NS * np.arange(2000), rng.normal(size=(2000, 2))


def feed(run: GrowingRun, stamps: np.ndarray, values: np.ndarray, each: int = 500) -> None:
    """As it comes: some samples, the inference of their end, a piece."""
    for begin in range(0, len(stamps), each):
        for stamp, row in zip(
            stamps[begin : begin + each], values[begin : begin + each], strict=True
        ):
            run.add_sample("wrench", Sample(int(stamp), "ft", row, 0.0))
        newest = int(stamps[min(begin + each, len(stamps)) - 1])
        run.add_inference(inference(newest), LABELS, MODEL)
        run.cut(newest, [])


@pytest.fixture
def run() -> GrowingRun:
    made = GrowingRun()
    made.add_inference(inference(START_NS), LABELS, MODEL)
    made.add_source("wrench", CHANNELS, 0.0)
    made.cut(START_NS, [])
    return made


def test_buckets_of_all_pieces_hold_all_samples_once(run, samples) -> None:
    stamps, values = samples
    feed(run, stamps, values)
    state = run.since(0)
    pieces = state["pieces"]
    bounds = [numbers(piece["edges"], "<f8") for piece in pieces]
    assert all(a[-1] == b[0] for a, b in pairwise(bounds))
    low = np.concatenate([numbers(p["sources"]["wrench"]["low"][1], "<f4") for p in pieces])
    high = np.concatenate([numbers(p["sources"]["wrench"]["high"][1], "<f4") for p in pieces])
    seconds = (stamps - START_NS) * 1e-9
    assert len(low) == round(bounds[-1][-1] / 0.05) > 60
    for k, (least, most) in enumerate(zip(low, high, strict=True)):
        inside = values[(seconds >= 0.05 * k - 1e-9) & (seconds < 0.05 * (k + 1) - 1e-9), 1]
        assert (least, most) == (np.float32(inside.min()), np.float32(inside.max()))
    json.dumps([state, run.head()], allow_nan=False)


def test_samples_near_events_are_whole_and_never_twice(run, samples) -> None:
    stamps, values = samples
    run.add_event(event(int(stamps[600])))
    for rows in (slice(520, 700), slice(650, 800)):  # the second begins within the first
        run.add_raw(Phase.END, [RawSamples("wrench", "ft", CHANNELS, stamps[rows], values[rows])])
    feed(run, stamps, values)
    found = [piece["sources"]["wrench"] for piece in run.since(0)["pieces"]]
    times = np.concatenate([numbers(of["times"], "<f8") for of in found])
    drawn = np.concatenate([numbers(of["values"][0], "<f4") for of in found])
    rows = np.round(times / 0.002).astype(int)
    assert rows.tolist() == list(range(525, 775))  # within whole buckets of 50 ms
    np.testing.assert_array_equal(drawn, values[rows, 0].astype(np.float32))
    (row,) = run.since(0)["events"]
    assert (row["number"], row["from"]) == (3, pytest.approx(1.2))


def test_only_what_is_new_is_given(run, samples) -> None:
    feed(run, *samples)
    state = run.since(0)
    assert len(run.since(state["last"] - 1)["pieces"]) == 1
    assert run.since(state["last"])["pieces"] == []


def test_another_model_or_source_begins_anew(run, samples) -> None:
    feed(run, *samples)
    before = run.since(0)["epoch"]
    run.add_inference(inference(START_NS + 10**10), ("a", "b"), ("other", "2"))
    assert run.since(0)["epoch"] != before
    titles = [line["name"] for panel in run.head()["panels"] for line in panel["lines"]]
    assert titles[-3:] == ["a", "b", "error"]
    run.add_source("imu", ("imu.accel_x",), 0.0)
    assert run.head()["sources"] == ["wrench", "imu"]


def test_no_more_than_ten_minutes_are_kept(run) -> None:
    for second in range(700):
        at_ns = START_NS + second * 10**9
        run.add_event(event(at_ns, second))
        run.add_inference(inference(at_ns), LABELS, MODEL)
        run.cut(at_ns, [])
    state = run.since(0)
    assert len(state["pieces"]) == 600
    assert 600 <= len(state["events"]) <= 602


def test_what_comes_too_late_is_counted(run, samples) -> None:
    feed(run, *samples)
    assert run.late == {}
    run.add_sample("wrench", Sample(START_NS + STEP_NS, "ft", np.zeros(2), 0.0))
    run.cut(START_NS + 2100 * STEP_NS, [])
    assert run.late == {"wrench": 1}


def test_stamps_that_go_back_begin_anew(run, samples) -> None:
    """As a bag that loops does: the page goes on at once, and nothing counts as late."""
    feed(run, *samples)
    before = run.since(0)
    feed(run, *samples)
    after = run.since(0)
    assert after["epoch"] == before["epoch"] + 1
    assert numbers(after["pieces"][-1]["edges"], "<f8")[-1] > 2
    assert run.late == {}


def test_a_node_that_is_silent_pushes_nothing_out(run, samples) -> None:
    feed(run, *samples)
    before = run.since(0)
    for _ in range(5):
        run.cut(int(samples[0][-1]), [("node", "", "does not run")])
    assert run.since(0) == before | {"tiles": [("node", "", "does not run")]}
