"""The accuracy benchmark measures what it says: precisions, splits, delays, spreads."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from models import SMALL, full_precision, windows

from benchmark import accuracy, borealtc, forest, four_bits, hops, routing, run, subjects
from benchmark.precision import PRECISIONS, rounded, weight_bytes
from benchmark.tcn import CausalTcn
from tao_lora_ros.bags.rows import Run, Span
from tao_lora_ros.benchmarks.model_bytes import activation_bytes, branch_bytes, steady_bytes
from tao_lora_ros.benchmarks.results import OURS, Measurement, read_results
from tao_lora_ros.messages.label_span import LabelSpan
from tao_lora_ros.messages.route import Route
from tao_lora_ros.training.dataset import Batch
from tao_lora_ros.training.evaluate import classification, outputs, scores
from tao_lora_ros.training.quantize import observe, quantize


@pytest.fixture(scope="module")
def deviations() -> dict[str, float]:
    """Squared deviation of every precision of a random model on steady windows."""
    teacher, inputs = full_precision(), windows(1)
    watched = observe(teacher, inputs, inputs)
    exact = outputs(teacher, windows(2), Route.TRANSIENT).together
    return {
        name: float(
            (outputs(rounded(teacher, watched, how), windows(2), Route.TRANSIENT).together - exact)
            .square()
            .sum()
            / exact.square().sum()
        )
        for name, how in PRECISIONS.items()
    }


def test_fewer_bits_deviate_more(deviations: dict[str, float]) -> None:
    off = deviations
    assert 0 < off["fp16"] < 1e-4
    assert off["fp16"] < off["w8a8"] < off["w4a16-nearest"]
    assert off["w4a16-gptq"] < off["w4a16-nearest"]
    assert off["w4a16-gptq-int8-edges"] < off["w4a16-gptq"]
    assert off["w4a12-static"] < off["w4a8-static"] < off["w4a4-dynamic"]


def test_what_is_kept_in_fp16_and_a_turn_both_help_four_bits() -> None:
    teacher, inputs = full_precision(), windows(1)
    watched = observe(teacher, inputs, 20 * inputs)
    exact = outputs(teacher, windows(2), Route.TRANSIENT).together
    off = {}
    for form in ((False, 0), (True, 0), (False, 8), (True, 8)):
        model = four_bits.four_bit_form(teacher, watched, *form)
        found = outputs(model, windows(2), Route.TRANSIENT).together
        off[form] = float((found - exact).square().sum() / exact.square().sum())
    assert off[True, 8] < off[False, 8] < off[False, 0]
    assert off[True, 8] < off[True, 0]


def test_a_layer_that_keeps_all_directions_is_as_exact_as_fp16() -> None:
    teacher, inputs = full_precision(), windows(1)
    name = "blocks.0.channel_up"
    layer, watched = teacher.get_submodule(name), observe(teacher, inputs, inputs)[name]
    rows = torch.randn(16, layer.in_features)
    exact = layer(rows, Route.STEADY)
    kept = four_bits.FourBitLinear(layer, watched, turned=True, kept=layer.in_features)
    assert (kept(rows, Route.STEADY) - exact).abs().max() < 5e-3 * exact.abs().max()


def test_the_layers_error_is_that_of_their_own_inputs() -> None:
    teacher, inputs = full_precision(), windows(2)
    student = quantize(teacher, observe(teacher, inputs, inputs))
    found = routing.layer_errors(student, teacher, inputs)
    assert found.shape == (len(inputs),)
    assert 0 < found.min() < found.max() < 0.1


def test_auroc_by_hand() -> None:
    signal, truth = np.array([1.0, 4.0, 2.0, 3.0]), np.array([False, True, True, False])
    assert routing.auroc(signal, truth) == pytest.approx(3 / 4)


def test_rounding_leaves_the_teacher_alone() -> None:
    teacher, inputs = full_precision(), windows(1)
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    rounded(teacher, observe(teacher, inputs, inputs), PRECISIONS["w4a4-dynamic"])
    assert all(torch.equal(before[name], value) for name, value in teacher.state_dict().items())


def test_bytes_follow_the_bits() -> None:
    teacher = full_precision()
    full, half, four = (weight_bytes(teacher, b, b) for b in (32, 16, 4))
    assert full > half > four
    assert weight_bytes(teacher, 4, 4) < weight_bytes(teacher, 4, 8) < weight_bytes(teacher, 8, 8)


def test_every_subject_is_one_model_on_its_paths() -> None:
    teacher, inputs = full_precision(), windows(1)
    watched = observe(teacher, inputs, 20 * inputs)
    batch = Batch(inputs, inputs[:, :4], torch.zeros(len(inputs), dtype=torch.int64))
    draws = subjects.Draws(*[lambda step: batch] * 3)
    found = {s.name: s for s in subjects.subjects(teacher, watched, draws, 20, 20)}
    assert set(PRECISIONS) | {"fp32", "routed-lqer", "routed-qera", OURS} <= set(found)
    assert found[OURS].steady is Route.STEADY
    assert found["always-on-adapter"].steady is Route.TRANSIENT
    steady = [
        outputs(found[name].model, inputs, Route.STEADY).together for name in (OURS, "routed-qera")
    ]
    assert torch.equal(*steady)


def test_scores_of_the_teacher_itself() -> None:
    teacher, inputs = full_precision(), windows(3)
    mine = outputs(teacher, inputs, Route.TRANSIENT)
    assert mine.logits is not None
    labels = mine.logits.argmax(dim=1)
    labels[:8] = -1  # of no known label
    found = scores(mine, mine, Batch(inputs, inputs[:, :4], labels), teacher)
    assert found["deviation"] == found["flips"] == 0.0
    assert found["accuracy"] == found["macro_f1"] == 1.0


def test_macro_f1_by_hand() -> None:
    found = classification(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]))
    assert found["accuracy"] == 0.75
    assert found["macro_f1"] == pytest.approx((2 / 3 + 4 / 5) / 2)


def test_splits_hold_whole_runs_of_every_terrain_apart() -> None:
    runs = [
        Run(f"{t}/{i}", np.zeros((9, 6)), (Span(0, 9, t),))
        for t in ("ICE", "SNOW")
        for i in "01234"
    ]
    for seed in range(5):
        parts = borealtc.split(runs, seed)
        names = [[run.name for run in p] for p in (parts.training, parts.validation, parts.test)]
        assert sorted(name for part in names for name in part) == [run.name for run in runs]
        assert all({name.split("/")[0] for name in part} == {"ICE", "SNOW"} for part in names)
    assert borealtc.split(runs, 0) != borealtc.split(runs, 1)


def test_recorded_terrain_is_read(data_folder: Path) -> None:
    file = data_folder / "borealtc" / "imu_runs.npz"
    if not file.exists():
        pytest.skip(f"no recorded data: {file} does not exist")
    runs = borealtc.read_runs(file)
    assert {run.spans[0].label for run in runs} >= {"ICE", "SNOW"}
    assert np.mean([run.values[:, 2].mean() for run in runs]) == pytest.approx(9.8, abs=0.1)


def test_the_forest_tells_rough_from_smooth() -> None:
    pytest.importorskip("sklearn")
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    rows = rng.normal(size=(60, 32, 3)).astype(np.float32)
    rows[labels == 1] = rows[labels == 1].cumsum(axis=1)
    predicted = forest.grow(rows[:40], labels[:40], 0)(rows[40:]).argmax(axis=1)
    assert (predicted == labels[40:]).mean() > 0.9


def found_of(decisions: list[tuple[float, bool]], impacts: list[LabelSpan]) -> hops._Found:
    """What a recording gave, from (time, whether it says impact) of each inference."""
    found = object.__new__(hops._Found)
    found.times_s = np.array([time for time, _ in decisions])
    found.is_impact = np.array([said for _, said in decisions])
    found.transient = np.zeros(len(decisions), dtype=bool)
    found.impacts = impacts
    found.duty = 0.0
    found.bytes_moved = 0
    return found


def test_delay_and_accuracy_within_impacts_by_hand() -> None:
    impact = LabelSpan(1.0, 1.1, "impact")
    found = found_of([(0.9, False), (1.019, True), (1.06, False), (1.2, True)], [impact])
    assert found.delay_s(impact) == pytest.approx(0.019)
    assert found.within(impact).mean() == pytest.approx(0.4, abs=0.02)
    missed = found_of([(0.9, True), (1.05, False), (2.0, True)], [impact])
    assert missed.delay_s(impact) == float("inf")
    assert missed.within(impact).mean() == pytest.approx(0.5, abs=0.02)  # it still held
    both = hops._summary([found, missed])
    assert both["recall_20ms"] == 0.5
    assert both["impacts"] == 2


def test_a_deaf_artifact_never_routes() -> None:
    from models import small_artifact

    deaf = hops._deaf(small_artifact())
    assert min(deaf.calibration.thresholds) == 1e9
    assert deaf.model is small_artifact().model


def test_bytes_moved_count_the_branches_in_transients_alone() -> None:
    calm = hops._bytes_moved(SMALL, np.zeros(5, dtype=bool))
    mixed = hops._bytes_moved(SMALL, np.array([True, False, True, False, False]))
    assert calm == 5 * (steady_bytes(SMALL) + activation_bytes(SMALL))
    assert mixed - calm == 2 * branch_bytes(SMALL) > 0


def test_every_row_is_of_the_part_that_gives_it() -> None:
    rows = [
        Measurement(subject, case, "accuracy", 0.9, "")
        for subject, case in (
            ("w8a8", "borealtc-steady"),
            ("causal-tcn", "borealtc-steady"),
            (OURS, "sim-transient"),
            (OURS, "sim-routed"),
            (OURS, "sim-hop16"),
        )
    ]
    assert [accuracy.part_of(row) for row in rows] == ["borealtc", "tcn", "sim", "hops", "hops"]


def test_a_part_leaves_the_other_parts_of_a_file_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "accuracy.json"
    for part, case, value in (
        ("sim", "sim-steady", 0.1),
        ("hops", "sim-routed", 0.2),
        ("sim", "sim-steady", 0.3),
    ):
        rows = [
            Measurement(OURS, case, metric, value, "") for metric in ("accuracy", "accuracy_std")
        ]
        monkeypatch.setattr(accuracy, "bench_accuracy", lambda *_, rows=rows: rows)
        run.main(["accuracy", "--part", part, "--json", str(file)])
    found = {(row.case, row.metric): row.value for row in read_results(file)}
    assert found["sim-steady", "accuracy"] == 0.3
    assert found["sim-routed", "accuracy"] == 0.2
    assert len(found) == 4
    assert json.loads(file.read_text())["command"].endswith('ARGS="--part sim --part hops"')
    assert "accuracy_std" not in capsys.readouterr().out


def test_hops_of_the_cases() -> None:
    settings = SimpleNamespace(hop_steady=16, hop_transient=4)
    found = hops.cases(settings)  # type: ignore[arg-type]
    assert found == {
        "sim-hop16": (16, 16),
        "sim-hop8": (8, 8),
        "sim-hop4": (4, 4),
        "sim-routed": (16, 4),
    }


def test_means_come_with_their_spread() -> None:
    rows = accuracy._with_spread([("a", "c", "m", 1.0), ("a", "c", "m", 3.0)])
    assert [(row.metric, row.value) for row in rows] == [("m", 2.0), ("m_std", 1.0)]
    assert [row.metric for row in accuracy.without_spread(rows)] == ["m"]


def test_the_plot_shows_every_subject_but_full_precision(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    rows = [
        Measurement(subject, case, metric, value, "")
        for case in ("a-steady", "a-transient")
        for subject, off, size in (("fp32", 0.0, 4e6), ("w8a8", 1e-3, 1e6), (OURS, 1e-4, 7e5))
        for metric, value in (("deviation", off), ("weight_bytes", size))
    ]
    file = tmp_path / "plot.svg"
    accuracy.plot(rows, file)
    texts = re.findall("<!-- (.*?) -->", file.read_text())
    assert {"a-steady", "a-transient", "w8a8", OURS} <= set(texts)
    assert "fp32" not in texts
    with pytest.raises(ValueError, match="no bytes of weights"):
        accuracy.plot([Measurement(OURS, "sim-routed", "accuracy", 0.9, "")], file)


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TAO_LORA_DATA", str(tmp_path))
    monkeypatch.setattr(accuracy, "find_spec", lambda name: None)
    said: Counter[str] = Counter()
    assert accuracy.bench_accuracy(accuracy.QUICK, tmp_path, lambda line: said.update([line])) == []
    assert sum("left out" in line for line in said) == len(accuracy.PARTS)


def test_the_tcn_is_causal_and_of_the_mixers_interface() -> None:
    model = CausalTcn(SMALL).eval()
    rows = windows(5)
    logits, forecast = model(rows, Route.STEADY)
    assert logits.shape == (64, 3)
    assert forecast.shape == (64, 4, 12)
    hidden = torch.randn(1, 32, 40)
    later = hidden.clone()
    later[:, :, 25:] += 1.0
    for block in model.blocks:
        block.norm = (
            torch.nn.Identity()
        )  # which looks at the whole window, as the mixer's mean does
        a, b = block(hidden), block(later)
        assert torch.equal(a[:, :, :25], b[:, :, :25])
