"""Tests of tao_lora_ros.training: from bags to an artifact, small but whole."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from models import full_precision, windows
from recordings import motion, write_ros2

from tao_lora_ros.bags.rows import FREE, Run
from tao_lora_ros.cli.main import main
from tao_lora_ros.model.artifact import load_artifact
from tao_lora_ros.model.layers import DualPathLinear
from tao_lora_ros.router.router import Path as Route
from tao_lora_ros.training.dataset import WindowSet, label_names
from tao_lora_ros.training.evaluate import evaluate
from tao_lora_ros.training.quantize import quantize

IMPACTS_S = (0.7, 1.5, 2.3)


def run_of(labels: list[str] | None, rows: int = 40, seed: int = 0) -> Run:
    values = np.random.default_rng(seed).normal(size=(rows, 3))
    return Run(f"run{seed}", values, None if labels is None else np.array(labels))


@pytest.fixture(scope="module")
def bags(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five labelled runs with impacts, and a steady one."""
    folder = tmp_path_factory.mktemp("bags")
    for i in range(5):
        bag = write_ros2(folder / "struck" / f"run_{i}", motion(3.0, IMPACTS_S, seed=i))
        lines = [f"{t},{t + 0.02},impact" for t in IMPACTS_S]
        bag.with_name(f"{bag.name}.labels.csv").write_text(
            "\n".join(["start_s,end_s,label", *lines]) + "\n"
        )
    write_ros2(folder / "steady" / "run", motion(6.0, seed=9))
    return folder


@pytest.fixture(scope="module")
def trained(bags: Path) -> Path:
    """Artifact of a short training, made by the command line."""
    out = bags / "model"
    words = ["train", str(bags / "struck"), "--steady", str(bags / "steady"), "--out", str(out)]
    assert main([*words, "--steps", "60", "--model-id", "little"]) == 0
    return out


def test_trained_artifact_loads_and_says_where_it_comes_from(trained: Path) -> None:
    artifact = load_artifact(trained)
    assert artifact.model_id == "little"
    assert artifact.labels == (FREE, "impact")
    assert artifact.provenance["training_runs"] == [f"run_{i}" for i in range(4)]
    assert artifact.provenance["validation_runs"] == ["run_4"]
    assert all(threshold > 0 for threshold in artifact.calibration.thresholds)


def test_trained_model_has_learned(trained: Path) -> None:
    metrics = load_artifact(trained).metrics
    assert metrics["fp32"]["accuracy"] > 0.8
    assert metrics["fp32"]["macro_f1"] > 0.65  # always free: 0.48
    assert metrics["fp32"]["deviation"] == 0.0
    assert metrics["transient_path"]["deviation"] < metrics["steady_path"]["deviation"] < 0.2


def test_trained_model_finds_the_impacts_of_a_new_run(trained: Path, tmp_path: Path) -> None:
    bag = write_ros2(tmp_path / "new", motion(3.0, (1.7,), seed=77))
    out = tmp_path / "out.json"
    assert main(["replay", str(bag), "--model", str(trained), "--json", str(out)]) == 0
    (event,) = json.loads(out.read_text())["events"]
    assert event["onset_s"] == pytest.approx(1.7, abs=0.01)


def test_training_is_repeatable(bags: Path, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    for name in "ab":
        words = ["train", str(bags / "struck"), "--steady", str(bags / "steady"), "--steps", "3"]
        assert main([*words, "--out", str(tmp_path / name), "--model-id", "same"]) == 0
    a, b = ((tmp_path / name / "model.safetensors").read_bytes() for name in "ab")
    assert a == b


def test_calibrate_changes_the_thresholds_alone(trained: Path, bags: Path, tmp_path: Path) -> None:
    out, plot = tmp_path / "model", tmp_path / "fit.html"
    words = ["calibrate", str(bags / "steady"), "--model", str(trained), "--out", str(out)]
    assert main([*words, "--alarms-per-hour", "0.01", "--plot", str(plot)]) == 0
    old, new = load_artifact(trained), load_artifact(out)
    pairs = zip(old.calibration.thresholds, new.calibration.thresholds, strict=True)
    assert all(before < after for before, after in pairs)
    assert new.calibration.alarms_per_hour == 0.01
    assert (out / "model.safetensors").read_bytes() == (trained / "model.safetensors").read_bytes()
    assert "target 0.01 alarms an hour" in plot.read_text()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["train", "STRUCK", "--steady", "EMPTY"], "no bag in this folder"),
        (["train", "SHORT", "--steady", "STEADY"], "a window and its forecast take 136"),
        (["calibrate", "SHORT"], "s of steady motion"),
        (["calibrate", "NOWHERE"], "no such bag"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(
    words: list[str], told: str, bags: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    places = {
        "STRUCK": bags / "struck",
        "STEADY": bags / "steady",
        "EMPTY": tmp_path / "empty",
        "SHORT": write_ros2(tmp_path / "short", motion(0.2)),
        "NOWHERE": tmp_path / "nowhere",
    }
    command = [str(places.get(word, word)) for word in words]
    assert main([*command, "--out", str(tmp_path / "out")]) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert told in lines[0]


def test_a_window_has_the_label_of_its_newest_row() -> None:
    labels = [FREE] * 20 + ["hit"] * 3 + [FREE] * 17
    data = WindowSet([run_of(labels)], (FREE, "hit"), window=8, horizon=2)
    ends = np.arange(8, 38)
    np.testing.assert_array_equal(data.labels, [int(20 <= end - 1 < 23) for end in ends])


def test_windows_never_join_two_runs() -> None:
    runs = [run_of(None, 12, seed) for seed in (1, 2)]
    data = WindowSet(runs, (), window=8, horizon=2)
    batch = data.take(np.arange(len(data)))
    for i in range(len(data)):
        whole = torch.cat((batch.windows[i], batch.following[i])).numpy()
        run, start = runs[i // 2], i % 2
        np.testing.assert_allclose(whole, run.values[start : start + 10], rtol=1e-6)
    assert (batch.labels == -1).all()


def test_draws_hold_every_label() -> None:
    labels = [FREE] * 300 + ["rare"] * 2 + [FREE] * 98
    data = WindowSet([run_of(labels, 400)], (FREE, "rare"), window=8, horizon=2)
    drawn = data.draw(64, np.random.default_rng(0)).labels
    assert (drawn == 1).sum() >= 16


def test_label_names_begin_with_free() -> None:
    assert label_names([run_of(["b"] * 40), run_of(["a"] * 40)]) == (FREE, "a", "b")
    assert label_names([run_of(None)]) == ()


def test_quantised_model_stays_near_and_the_branch_brings_it_nearer() -> None:
    teacher = full_precision()
    steady, transient = windows(1), 20.0 * windows(2)
    student = quantize(teacher, steady, transient)
    with torch.inference_mode():
        _, exact = teacher(transient, Route.TRANSIENT)
        _, routed = student(transient, Route.TRANSIENT)
        for layer in student.modules():
            if isinstance(layer, DualPathLinear):
                layer._down.zero_()
        _, without = student(transient, Route.TRANSIENT)
    assert (routed - exact).norm() < 0.95 * (without - exact).norm()


def test_a_perfect_prediction_scores_one() -> None:
    teacher = full_precision()
    data = WindowSet(
        [Run("run", np.random.default_rng(0).normal(size=(400, 12)), None)],
        (),
        teacher.config.window,
        teacher.config.horizon,
    )
    batch = data.spaced(50)
    with torch.inference_mode():
        logits, _ = teacher(batch.windows, Route.TRANSIENT)
    assert logits is not None
    batch.labels.copy_(logits.argmax(dim=1))
    scores = evaluate(teacher, teacher, batch, Route.TRANSIENT)
    assert scores["accuracy"] == 1.0
    assert scores["macro_f1"] == 1.0
    assert scores["deviation"] == 0.0
