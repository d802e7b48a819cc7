"""What the user got wrong is said in one line; a replay of real recordings finds the taps."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from models import small_artifact
from recordings import TOPICS, motion, write_ros2

from tao_lora_ros.cli.children import Family
from tao_lora_ros.cli.main import main
from tao_lora_ros.engine.settings import TABLE, parameter_file
from tao_lora_ros.hardware import device
from tao_lora_ros.model.artifact import default_artifact, save_artifact


@pytest.fixture
def bag(tmp_path: Path) -> Path:
    return write_ros2(tmp_path / "bag", motion(0.3))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    save_artifact(small_artifact(), tmp_path / "small")
    return tmp_path / "small"


def complaint(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line that a command says before it gives up."""
    capsys.readouterr()
    assert main([str(argument) for argument in arguments]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("tao-lora: error: ")
    return err.removeprefix("tao-lora: error: ").rstrip("\n")


def test_a_torch_that_cannot_be_loaded(capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("tao_lora_ros.cli.training")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tao_lora_ros.training.fit", None)
    monkeypatch.setitem(sys.modules, "tao_lora_ros.training.steps", None)
    assert "cannot be loaded: " in complaint(capsys, "train")


def test_doctor_without_torch(capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "torch"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr(device, "driver_finds_gpu", lambda: True)
    assert main(["doctor", "--backend", "cpu"]) == 0
    assert "cannot be loaded" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [(["info"], "event names: "), (["doctor", "--roofline"], "| base | 1 | fp16 |")],
)
def test_no_torch_needed(words: list[str], said: str) -> None:
    program = "import sys; sys.modules['torch'] = None; from tao_lora_ros.cli.main import main; "
    command = [sys.executable, "-c", f"{program} sys.exit(main({words}))"]
    assert said in subprocess.check_output(command, text=True)


def test_a_missing_bag(capsys, tmp_path: Path) -> None:
    assert complaint(capsys, "replay", tmp_path / "no") == f"{tmp_path / 'no'}: no such bag"


def test_a_bag_without_the_topics(capsys, tmp_path: Path) -> None:
    imus = [m for m in motion(0.1) if m.source == 0]
    bag = write_ros2(tmp_path / "bag", imus, TOPICS[:1])
    file = tmp_path / "p.yaml"
    file.write_text("/**: {ros__parameters: {wrenches: [wrench]}}")
    message = complaint(capsys, "replay", bag, "--params-file", file)
    assert "for source 'wrench'; there are: /imu" in message


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.95])
def test_a_truncated_bag(capsys, bag: Path, kept: float) -> None:
    (file,) = bag.glob("*.mcap")
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * kept)])
    assert complaint(capsys, "replay", bag).startswith(f"{bag}: ")


def test_a_topic_that_is_no_pair(capsys, bag: Path) -> None:
    for text in ("imu", "=x", "imu="):
        assert complaint(capsys, "replay", bag, "--topic", text) == (
            f"--topic {text}: expected SOURCE=TOPIC"
        )


def test_a_topic_of_an_unknown_source(capsys, bag: Path) -> None:
    message = complaint(capsys, "replay", bag, "--topic", "camera=/imu")
    assert message == "no source is called 'camera'; there are: imu, joint_states, wrench"


def test_a_missing_model(capsys, bag: Path, tmp_path: Path) -> None:
    message = complaint(capsys, "replay", bag, "--model", tmp_path / "no")
    wanted = "a model is a folder that tao-lora train or calibrate wrote"
    assert message == f"{tmp_path / 'no' / 'model.json'}: No such file or directory; {wanted}"


def test_a_corrupt_model(capsys, bag: Path, model: Path) -> None:
    (model / "model.safetensors").write_bytes(b"spoilt")
    assert "SHA-256 is" in complaint(capsys, "replay", bag, "--model", model)


def test_a_model_whose_tensors_have_other_sizes(capsys, bag: Path, model: Path) -> None:
    card = json.loads((model / "model.json").read_text())
    card["config"]["width"] = 64
    (model / "model.json").write_text(json.dumps(card))
    assert "embed.bias is float32 [32], expected float32 [64]" in complaint(
        capsys, "replay", bag, "--model", model
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("hop_stedy: 3", "line 3: unknown parameter 'hop_stedy'; did you mean 'hop_steady'?"),
        ("hop_steady: fast", "line 3: parameter 'hop_steady' is 'fast', expected int"),
        ("hop_steady: 0", "line 3: parameter 'hop_steady' is 0, expected 1 to 4096"),
        ("imus: [a, b]", "parameter 'imu_lags_s' has 1 entries, 'imus' has 2"),
    ],
)
def test_a_bad_parameter(capsys, bag: Path, tmp_path: Path, line: str, message: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(f"/**:\n  ros__parameters:\n    {line}\n")
    assert complaint(capsys, "replay", bag, "--params-file", file) == f"{file}: {message}"


def test_a_parameter_file_that_is_missing_or_binary(capsys, bag: Path, tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    assert "No such file" in complaint(capsys, "replay", bag, "--params-file", file)
    file.write_bytes(b"\xff\xfe\x00")
    assert "not YAML" in complaint(capsys, "replay", bag, "--params-file", file)


def test_sources_that_the_model_does_not_read(capsys, bag: Path, tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text("/**: {ros__parameters: {imus: [other]}}")
    asked = default_artifact()
    message = complaint(capsys, "replay", bag, "--params-file", file, "--model", asked)
    assert "reads channels imu.accel_x" in message


def test_json_that_cannot_be_written(capsys, bag: Path, model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for file, reason in (
        (tmp_path / "no" / "r.json", f"there is no folder {tmp_path / 'no'}; mkdir -p makes it"),
        (folder, "exists already; --force writes over it"),
        (tmp_path, f"writes over {bag}, which is read; choose another name"),
    ):
        message = complaint(capsys, "replay", bag, "--model", model, "--json", file)
        assert message == f"{file}: {reason}"
    message = complaint(capsys, "replay", bag, "--json", folder, "--force")
    assert message == f"{folder}: a folder; choose another name"


def test_a_calibration_that_is_too_short(capsys, bag: Path, model: Path) -> None:
    message = complaint(capsys, "replay", bag, "--model", model, "--calibrate", bag)
    assert "at least 2 s are needed" in message


def test_a_replay_prints_and_writes_its_events(capsys, tmp_path: Path, model: Path) -> None:
    bag = write_ros2(tmp_path / "struck", motion(4.0, [3.0], seed=1))
    file = tmp_path / "r.json"
    assert main(["replay", str(bag), "--model", str(model), "--json", str(file)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    numbers = json.loads(file.read_text())
    assert out.startswith(f"{numbers['messages']} messages, {numbers['inferences']} inferences ")
    (event,) = numbers["events"]
    assert event["onset_s"] == pytest.approx(3.0, abs=0.01)
    assert f"{event['onset_s']:9.4f} s" in out


def test_settings_of_the_file_are_used(tmp_path: Path, model: Path) -> None:
    bag = write_ros2(tmp_path / "still", motion(1.0))
    (tmp_path / "p.yaml").write_text("/**: {ros__parameters: {hop_steady: 1}}")
    arguments = ["replay", str(bag), "--model", str(model), "--json", str(tmp_path / "r.json")]
    assert main([*arguments, "--params-file", str(tmp_path / "p.yaml")]) == 0
    numbers = json.loads((tmp_path / "r.json").read_text())
    assert numbers["inferences"] == numbers["windows"] > 400


def test_the_model_of_the_settings_is_used(capsys, bag: Path, model: Path, tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(f"/**: {{ros__parameters: {{model: {model / 'gone'}}}}}")
    assert str(model / "gone") in complaint(capsys, "replay", bag, "--params-file", file)


def test_parameters_as_yaml_are_the_parameter_file(capsys) -> None:
    assert main(["parameters", "--yaml"]) == 0
    assert capsys.readouterr().out == parameter_file()


def test_parameters_are_a_table_with_a_line_each(capsys) -> None:
    assert main(["parameters"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + len(TABLE)
    for row, line in zip(TABLE, lines[2:], strict=True):
        assert line.startswith(f"| `{row.name}` | {row.type_name} | ")
        assert line.count("|") == lines[0].count("|")


@pytest.mark.parametrize("arguments", [[], ["nothing"], ["replay"]])
def test_wrong_usage_is_argparses(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


@pytest.fixture
def kuka(data_folder: Path) -> Path:
    folder = data_folder / "kuka_ft_imu"
    if not folder.is_dir():
        pytest.skip(f"no recorded data: {folder} does not exist")
    return folder


def onsets(bag: Path, tmp_path: Path) -> list[float]:
    assert main(["replay", str(bag), "--json", str(tmp_path / "r.json")]) == 0
    numbers = json.loads((tmp_path / "r.json").read_text())
    assert numbers["rejected"] == {}
    return [event["onset_s"] for event in numbers["events"]]


def test_the_taps_of_a_real_recording_are_found(kuka: Path, tmp_path: Path) -> None:
    with (kuka / "2-vibrations_reference_taps.csv").open(newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["sensor"] == "wrench"]
    taps = [float(row["start_s"]) for row in rows]
    assert len(taps) == 4
    found = onsets(kuka / "ros2bag_2-vibrations", tmp_path)
    for tap in taps:
        assert min(abs(onset - tap) for onset in found) <= 0.05, tap
    # Nor are single samples of one axis of the accelerometer, at rest at 5.757 s and 6.121 s.
    assert len(found) == len(taps)


def test_the_undisturbed_recording_is_nearly_quiet(kuka: Path, tmp_path: Path) -> None:
    assert len(onsets(kuka / "ros2bag_1-baseline", tmp_path)) <= 1


def test_the_documentation_holds_the_table_of_parameters(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["parameters"]) == 0
    page = (Path(__file__).parents[2] / "docs" / "parameters.md").read_text()
    assert capsys.readouterr().out in page


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python looks into the folder it runs in")
def test_a_child_is_of_the_package_whatever_lies_in_the_folder(tmp_path, monkeypatch) -> None:
    (tmp_path / "tao_lora_ros").mkdir()
    (tmp_path / "tao_lora_ros" / "__init__.py").write_text("raise SystemExit(7)")
    monkeypatch.chdir(tmp_path)
    with Family(tmp_path) as family:
        child = family.start("child", "tao_lora_ros.cli.entry", "--version")
        while child.running():
            time.sleep(0.01)
        assert child.last_lines().startswith("  tao-lora ")
