"""What the user got wrong is said in one line; a replay of real recordings finds the taps."""

from __future__ import annotations

import csv
import subprocess
import sys
import time
from pathlib import Path

import pytest
from commands import complaint, json_of, tao_lora
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
    assert tao_lora("doctor", backend="cpu") == 0
    assert "cannot be loaded" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [(["info"], "names of events: "), (["doctor", "--roofline"], "| base | 1 | fp16 |")],
)
def test_no_torch_needed(words: list[str], said: str) -> None:
    program = "import sys; sys.modules['torch'] = None; from tao_lora_ros.cli.main import main; "
    command = [sys.executable, "-c", f"{program} sys.exit(main({words}))"]
    assert said in subprocess.check_output(command, text=True)


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


def test_sources_that_the_model_does_not_read(capsys, bag: Path, tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text("/**: {ros__parameters: {imus: [other]}}")
    asked = default_artifact()
    message = complaint(capsys, "replay", bag, "--params-file", file, "--model", asked)
    assert "reads channels imu.accel_x" in message


def test_a_replay_prints_and_writes_its_events(capsys, tmp_path: Path, model: Path) -> None:
    bag = write_ros2(tmp_path / "struck", motion(4.0, [3.0], seed=1))
    numbers = json_of("replay", bag, model=model)
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith(f"{numbers['messages']} messages, {numbers['inferences']} inferences ")
    (event,) = numbers["events"]
    assert event["onset_s"] == pytest.approx(3.0, abs=0.01)
    assert f"{event['onset_s']:.3f} s" in out


def test_settings_of_the_file_are_used(tmp_path: Path, model: Path) -> None:
    bag = write_ros2(tmp_path / "still", motion(1.0))
    (tmp_path / "p.yaml").write_text("/**: {ros__parameters: {hop_steady: 1}}")
    numbers = json_of("replay", bag, model=model, params_file=tmp_path / "p.yaml")
    assert numbers["inferences"] == numbers["windows"] > 400


def test_the_model_of_the_settings_is_used(capsys, bag: Path, model: Path, tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text(f"/**: {{ros__parameters: {{model: {model / 'gone'}}}}}")
    assert str(model / "gone") in complaint(capsys, "replay", bag, "--params-file", file)


def test_parameters_as_yaml_are_the_parameter_file(capsys) -> None:
    assert tao_lora("parameters", yaml=True) == 0
    assert capsys.readouterr().out == parameter_file()


def test_parameters_are_a_table_with_a_line_each(capsys) -> None:
    assert tao_lora("parameters") == 0
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


def onsets(bag: Path) -> list[float]:
    numbers = json_of("replay", bag)
    assert numbers["rejected"] == {}
    return [event["onset_s"] for event in numbers["events"]]


def test_the_taps_of_a_real_recording_are_found(kuka: Path) -> None:
    with (kuka / "2-vibrations_reference_taps.csv").open(newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["sensor"] == "wrench"]
    taps = [float(row["start_s"]) for row in rows]
    assert len(taps) == 4
    found = onsets(kuka / "ros2bag_2-vibrations")
    for tap in taps:
        assert min(abs(onset - tap) for onset in found) <= 0.05, tap
    # Nor are single samples of one axis of the accelerometer, at rest at 5.757 s and 6.121 s.
    assert len(found) == len(taps)


def test_the_undisturbed_recording_is_nearly_quiet(kuka: Path) -> None:
    assert len(onsets(kuka / "ros2bag_1-baseline")) <= 1


def test_the_documentation_holds_the_table_of_parameters(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert tao_lora("parameters") == 0
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
