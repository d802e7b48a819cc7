"""Tests of tao_lora_ros.training: from bags to an artifact, small but whole."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
import torch
from commands import complaint, json_of, tao_lora
from models import full_precision, windows
from recordings import TOPICS, Message, motion, write_ros2

from tao_lora_ros.bags.rows import FREE, Run, spans_of
from tao_lora_ros.messages.route import Route
from tao_lora_ros.model.artifact import load_artifact
from tao_lora_ros.model.layers import DualPathLinear
from tao_lora_ros.model.mixer import Mixer
from tao_lora_ros.signal.cdr import IMU
from tao_lora_ros.training.adapt import adapt, fidelity
from tao_lora_ros.training.dataset import Batch, WindowSet, label_names
from tao_lora_ros.training.evaluate import evaluate, outputs
from tao_lora_ros.training.finetune_codes import finetune
from tao_lora_ros.training.quantize import observe, quantize

IMPACTS_S = (0.7, 1.5, 2.3)
LEAST = dict(steps=3, settle_steps=1, adapt_steps=1, folds=0)


def run_of(labels: list[str] | None, rows: int = 40, seed: int = 0) -> Run:
    values = np.random.default_rng(seed).normal(size=(rows, 3))
    return Run(f"run{seed}", values, spans_of(labels or ()))


def write_labelled(
    path: Path,
    messages: list[Message],
    impacts: dict[float, str],
    topics: Sequence[tuple[str, str]] = TOPICS,
) -> None:
    """A bag, and labels of 20 ms from each impact on beside it."""
    write_ros2(path, messages, topics)
    lines = ["start_s,end_s,label", *(f"{t},{t + 0.02},{name}" for t, name in impacts.items())]
    path.with_name(f"{path.name}.labels.csv").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def bags(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five labelled runs with impacts, and a steady one."""
    folder = tmp_path_factory.mktemp("bags")
    impacts = dict.fromkeys(IMPACTS_S, "impact")
    for i in range(5):
        write_labelled(folder / "struck" / f"run_{i}", motion(3.0, IMPACTS_S, seed=i), impacts)
    write_ros2(folder / "steady" / "run", motion(6.0, seed=9))
    return folder


@pytest.fixture(scope="module")
def trained(bags: Path) -> Path:
    """Artifact of a short training, made by the command line."""
    out = bags / "model"
    steps = dict(steps=120, settle_steps=3, adapt_steps=20)
    how = dict(steady=bags / "steady", model_id="little", hold_out=True)
    assert tao_lora("train", bags / "struck", **steps, **how, out=out) == 0
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
    assert metrics["fp32"]["macro_f1"] > 0.6  # always free: 0.48
    assert metrics["fp32"]["deviation"] == 0.0
    assert metrics["transient_path"]["deviation"] < metrics["steady_path"]["deviation"] < 0.2


def test_trained_model_finds_the_impacts_of_a_new_run(trained: Path, tmp_path: Path) -> None:
    bag = write_ros2(tmp_path / "new", motion(3.0, (1.7,), seed=77))
    (event,) = json_of("replay", bag, model=trained)["events"]
    assert event["onset_s"] == pytest.approx(1.7, abs=0.01)


def test_training_is_repeatable(bags: Path, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    how = dict(steps=3, settle_steps=3, adapt_steps=2, folds=2, model_id="same")
    for name in "ab":
        out = tmp_path / name
        assert tao_lora("train", bags / "struck", steady=bags / "steady", **how, out=out) == 0
    a, b = ((tmp_path / name / "model.safetensors").read_bytes() for name in "ab")
    assert a == b


def test_calibrate_changes_the_thresholds_alone(trained: Path, bags: Path, tmp_path: Path) -> None:
    out, plot = tmp_path / "model", tmp_path / "fit.html"
    how = dict(model=trained, alarms_per_hour=0.01, plot=plot)
    assert tao_lora("calibrate", bags / "steady", **how, out=out) == 0
    old, new = load_artifact(trained), load_artifact(out)
    pairs = zip(old.calibration.thresholds, new.calibration.thresholds, strict=True)
    assert all(before < after for before, after in pairs)
    assert new.calibration.alarms_per_hour == 0.01
    assert (out / "model.safetensors").read_bytes() == (trained / "model.safetensors").read_bytes()
    assert "target 0.01 alarms an hour" in plot.read_text()


def test_mixed_bags_without_a_steady_one_make_a_model_that_classifies(
    bags: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mixed, out = tmp_path / "mixed", tmp_path / "model"
    copytree(bags / "struck", mixed)
    write_ros2(mixed / "a_imu_alone", [m for m in motion(1.0) if m.source == 0], TOPICS[:1])
    write_ros2(mixed / "b_short", motion(0.2))
    (mixed / "c_text").mkdir()
    (mixed / "c_text" / "c.mcap").write_text("no bag")
    how = dict(window=20, horizon=5, rate_hz="auto", **LEAST)
    assert tao_lora("train", mixed, **how, out=out) == 0
    told = capsys.readouterr()
    for line in (
        "--rate-hz auto: 500 (of 6 bags 500 to 500)",
        "windows of 20 rows, 5 more are forecast; they come from",
        "  b_short: 75 windows, without a label 75",
        "  run_0: 1475 windows, free 1382, impact 93",
        "  all 6: 7450 windows, without a label 75, free 6910, impact 465",
    ):
        assert f"\n{line}" in f"\n{told.err}"
    assert "thresholds: not calibrated, no event is found" in told.out
    left_out = {str(mixed / name) for name in ("a_imu_alone", "c_text")}
    assert all(f"left out: {bag}: " in told.err for bag in left_out)
    artifact = load_artifact(out)
    assert not artifact.calibration.has_thresholds
    assert artifact.scales == {}  # nobody knows the robot's own in steady motion
    assert "not calibrated" in artifact.provenance["named_events"]
    assert set(artifact.provenance["left_out"]) == left_out
    deaf = json_of("replay", mixed / "run_0", model=out)
    assert deaf["inferences"] > 50
    assert deaf["events"] == []
    assert any("router: not calibrated" in notice for notice in deaf["notices"])
    hearing = json_of("replay", mixed / "run_0", model=out, calibrate=bags / "steady")
    assert len(hearing["events"]) == len(IMPACTS_S)
    assert tao_lora("calibrate", bags / "steady", model=out, out=out) == 0
    calibrated = load_artifact(out)
    assert calibrated.calibration.has_thresholds
    for name, tensor in artifact.network.tensors.items():
        np.testing.assert_array_equal(calibrated.network.tensors[name], tensor)


def test_training_leaves_its_losses_and_its_teacher(trained: Path) -> None:
    names = {file.name for file in (trained / "training").iterdir()}
    assert names >= {"checkpoint.safetensors", "losses.csv", "teacher.safetensors"}
    page = (trained / "training" / "losses.html").read_text()
    (shown,) = json.loads(page.partition('id="data">')[2].partition("</script>")[0])["charts"]
    assert [series["name"] for series in shown["series"]] == ["training", "held out"]
    assert [series["x"] for series in shown["series"]] == [[*range(10, 121, 10)], [50, 100, 120]]


def test_every_step_can_be_taken_again(
    trained: Path, bags: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, struck = tmp_path / "model", bags / "struck"
    copytree(trained, model)
    before = load_artifact(model)
    how = dict(rounding="nearest", rank=4, settle_steps=3)
    assert tao_lora("quantize", model, struck, **how) == 0
    rounded = load_artifact(model)
    assert rounded.model.config.rank == 4
    assert rounded.calibration == before.calibration
    assert tao_lora("adapt", model, struck, steps=30) == 0
    assert tao_lora("adapt", model, struck, steps=3, name="gripper") == 0
    adapted = load_artifact(model)
    assert list(adapted.adapters) == ["gripper"]
    steps = [name for step in adapted.provenance["later_steps"] for name in step]
    assert steps == ["quantize", "adapt", "adapt"]
    capsys.readouterr()
    own, gripper = (json_of("evaluate", model, struck, **h) for h in ({}, {"adapter": "gripper"}))
    assert own["steady_path"] == gripper["steady_path"]
    assert own["transient_path"] != gripper["transient_path"]
    assert "deviation" in capsys.readouterr().out
    assert tao_lora("info", model) == 0
    told = capsys.readouterr().out
    assert "adapters beside its own: gripper" in told
    assert "tao-lora quantize, tao-lora adapt, tao-lora adapt" in told
    assert tao_lora("info", model, all=True) == 0
    told = capsys.readouterr().out
    assert "blocks.0.channel_up" in told
    assert "adapters: gripper" in told


def test_events_with_one_name_alone_are_no_names_to_learn(trained: Path) -> None:
    artifact = load_artifact(trained)
    assert artifact.event_head is None
    assert "expected two names" in artifact.provenance["named_events"]


def test_names_of_events_are_learned_and_scored_and_the_rest_stays(
    trained: Path, bags: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Hard impacts follow on soft ones here, so that they can be told apart."""
    names = {0.7: "soft", 1.3: "soft", 2.1: "hard"}
    for i in range(5):
        soft, hard = motion(3.0, (0.7, 1.3), seed=i), motion(3.0, (2.1, 2.1, 2.1, 2.1), seed=i)
        middle = len(soft) // 3 * 2
        write_labelled(tmp_path / "bags" / f"run_{i}", soft[:middle] + hard[middle:], names)
    named = tmp_path / "named"
    assert tao_lora("name", trained, tmp_path / "bags", out=named) == 0
    old, new = load_artifact(trained), load_artifact(named)
    assert new.event_head is not None
    assert new.event_head.names == ("hard", "soft")
    assert new.provenance["named_events"] == {"hard": 5, "soft": 10}
    assert (new.calibration, new.labels) == (old.calibration, old.labels)
    for name, tensor in old.network.tensors.items():
        np.testing.assert_array_equal(new.network.tensors[name], tensor)
    capsys.readouterr()
    events = json_of("evaluate", named, tmp_path / "bags")["events"]
    assert "events: events 15" in capsys.readouterr().out
    assert (events["events"], events["right"]) == (15, 1.0)
    assert tao_lora("info", named) == 0
    told = capsys.readouterr().out
    assert "names of events: hard, soft" in told
    assert "names of 15 events: 1.000 right" in told


def test_tuning_brings_the_transient_path_nearer_and_leaves_the_steady_one() -> None:
    teacher = full_precision()
    loud = 20.0 * windows(2)
    student = quantize(teacher, observe(teacher, windows(1), loud))
    batch = Batch(loud, loud[:, :4], torch.zeros(len(loud), dtype=torch.int64))
    before = [outputs(student, loud, route).together for route in Route]
    adapt(student, lambda step: batch, fidelity(teacher), 60)
    after = [outputs(student, loud, route).together for route in Route]
    exact = outputs(teacher, loud, Route.TRANSIENT).together
    assert torch.equal(before[Route.STEADY], after[Route.STEADY])
    off = [(x[Route.TRANSIENT] - exact).square().sum() for x in (before, after)]
    assert off[1] < 0.5 * off[0]


def test_settling_brings_both_paths_nearer_and_moves_few_codes() -> None:
    teacher, rows = full_precision(), windows(1, count=128)
    student = quantize(teacher, observe(teacher, rows, rows))
    state = student.state_dict()
    codes = {n: t.clone() for n, t in state.items() if n.endswith(("packed", "codes"))}

    def draw(step: int) -> Batch:
        rows = windows(10 + step, count=32)
        return Batch(rows, rows[:, :4], torch.zeros(len(rows), dtype=torch.int64))

    fresh = windows(2)
    exact = outputs(teacher, fresh, Route.TRANSIENT).together
    before = outputs(student, fresh, Route.STEADY).together
    finetune(student, teacher, dict.fromkeys(Route, draw), 120)
    after = outputs(student, fresh, Route.STEADY).together
    assert (after - exact).square().sum() < 0.9 * (before - exact).square().sum()
    moved = [(student.state_dict()[name] != value).float().mean() for name, value in codes.items()]
    assert 0 < max(moved) < 0.2
    loaded = Mixer(student.config, quantized=True)
    loaded.load_state_dict(student.state_dict())
    assert torch.equal(outputs(loaded.prepare(), fresh, Route.STEADY).together, after)


@pytest.mark.slow
def test_workers_share_a_training(bags: Path, tmp_path: Path) -> None:
    program = "-m torch.distributed.run --standalone --nproc-per-node 2 -m tao_lora_ros.cli.main"
    words = [bags / "struck", "--steady", bags / "steady", "--out", tmp_path / "m"]
    steps = "--steps 4 --settle-steps 3 --adapt-steps 2 --folds 2"
    command = [sys.executable, *program.split(), "train", *words, *steps.split()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert load_artifact(tmp_path / "m").provenance["workers"] == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["evaluate", "MODEL", "STRUCK", "--adapter", "no"], "no adapter 'no'; there are: none"),
        (["train", "STRUCK", "--steady", "EMPTY"], "no bag in this folder"),
        (["train", "SHORT", "--steady", "STEADY"], "train with --window auto, which takes 44"),
        (["train", "STRUCK", "--steady", "STRUCK"], "or leave --steady out where only classes"),
        (["calibrate", "SHORT"], "s of steady motion"),
        (["calibrate", "NOWHERE"], "no such bag"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(
    words: list[str],
    told: str,
    bags: Path,
    trained: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "empty").mkdir()
    places = {
        "MODEL": trained,
        "STRUCK": bags / "struck",
        "STEADY": bags / "steady",
        "EMPTY": tmp_path / "empty",
        "SHORT": write_ros2(tmp_path / "short", motion(0.2)),
        "NOWHERE": tmp_path / "nowhere",
    }
    out = {} if words[0] == "evaluate" else {"out": tmp_path / "out"}
    assert told in complaint(capsys, *(places.get(word, word) for word in words), **out)


def test_a_window_has_the_label_of_its_newest_row() -> None:
    labels = [FREE] * 20 + ["hit"] * 3 + [FREE] * 17
    data = WindowSet([run_of(labels)], (FREE, "hit"), window=8, horizon=2)
    ends = np.arange(8, 38)
    np.testing.assert_array_equal(data.labels(ends - 8), [int(20 <= end - 1 < 23) for end in ends])


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


def test_label_names_begin_with_free_where_there_is_one() -> None:
    assert label_names([run_of(["b", FREE] * 20), run_of(["a"] * 40)]) == (FREE, "a", "b")
    assert label_names([run_of(["b"] * 40), run_of(["a"] * 40)]) == ("a", "b")
    assert label_names([run_of(None)]) == ()


def test_quantised_model_stays_near_and_the_branch_brings_it_nearer() -> None:
    teacher = full_precision()
    steady, transient = windows(1), 20.0 * windows(2)
    student = quantize(teacher, observe(teacher, steady, transient))
    with torch.inference_mode():
        _, exact = teacher(transient, Route.TRANSIENT)
        _, routed = student(transient, Route.TRANSIENT)
        for layer in student.modules():
            if isinstance(layer, DualPathLinear):
                layer.branch[0].zero_()
        _, without = student(transient, Route.TRANSIENT)
    assert (routed - exact).norm() < 0.95 * (without - exact).norm()


def test_a_perfect_prediction_scores_one() -> None:
    teacher = full_precision()
    data = WindowSet(
        [Run("run", np.random.default_rng(0).normal(size=(400, 12)))],
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


def test_other_topics_need_no_parameter_file(tmp_path: Path) -> None:
    """Sources are found by their types, in training as in a replay; a model brings its own."""
    topics = [("/ouster/imu_raw", IMU)]
    for name, impacts in (("struck", IMPACTS_S), ("steady", ())):
        messages = [message for message in motion(6.0, impacts, seed=3) if message.source == 0]
        labels = dict.fromkeys(impacts, "impact")
        write_labelled(tmp_path / name / "run_0", messages, labels, topics)
    struck, model = tmp_path / "struck", tmp_path / "model"
    assert tao_lora("train", struck, steady=tmp_path / "steady", **LEAST, out=model) == 0
    assert load_artifact(model).channels[0] == "imu.accel_x"
    assert len(load_artifact(model).channels) == 6
    assert tao_lora("evaluate", model, struck) == 0
    assert tao_lora("quantize", model, struck, settle_steps=1) == 0
    assert tao_lora("adapt", model, struck, steps=1) == 0
    assert tao_lora("replay", struck / "run_0", model=model) == 0
