"""What a command writes: whole or not at all, never over what is there unasked; JSON of all."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from commands import complaint, tao_lora
from event_records import event
from models import small_artifact
from recordings import motion, write_ros2

from tao_lora_ros.cli.main import main
from tao_lora_ros.cli.outputs import written
from tao_lora_ros.model.artifact import save_artifact
from tao_lora_ros.preservation.event_store import EventStore


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("outputs")
    save_artifact(small_artifact(), folder / "model")
    with EventStore(folder / "store") as store:
        store.append(event(0))
    bag = write_ros2(folder / "bag", motion(1.0))
    return {"BAG": bag, "MODEL": folder / "model", "STORE": folder / "store"}


def test_what_is_interrupted_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "bag").mkdir()

    def interrupted() -> None:
        with written(tmp_path / "bag") as place:
            place.mkdir()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [path.name for path in tmp_path.rglob("*")] == ["bag"]


def test_what_lies_beside_takes_its_place_too(tmp_path: Path) -> None:
    (tmp_path / "bag").mkdir()
    (tmp_path / "bag" / "old").touch()
    with written(tmp_path / "bag") as place:
        place.mkdir()
        place.with_name("bag.labels.csv").touch()
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["bag", "bag.labels.csv"]


def test_ctrl_c_leaves_no_half_bag(places, tmp_path: Path, monkeypatch) -> None:
    bag = write_ros2(tmp_path / "in", motion(5.0))
    out = tmp_path / "out" / "bag"
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    begun: list[Path] = []

    def interrupt(count: int) -> None:
        begun.extend(out.parent.iterdir())
        signal.raise_signal(signal.SIGALRM)

    monkeypatch.setattr("rich.progress.Progress.update", lambda *_, **__: interrupt(0))
    try:
        assert tao_lora("replay", bag, model=places["MODEL"], out=out) == 130
    finally:
        signal.signal(signal.SIGALRM, before)
    assert begun
    assert list(out.parent.iterdir()) == []


@pytest.mark.parametrize(
    "command",
    [
        *("replay BAG --model MODEL", "info MODEL", "doctor --backend cpu", "parameters"),
        *("events list --store STORE", "events show 1 --store STORE"),
        *("events label 1 --store STORE", "events verify --store STORE"),
        *("events export 1 --store STORE --csv NEW", "events plot 1 --store STORE --out NEW.html"),
        "simulate NEW --duration 0.2",
    ],
)
def test_json_takes_the_place_of_the_text(command: str, places, tmp_path: Path, capsys) -> None:
    def words(text: str) -> list[str]:
        for name, path in (*places.items(), ("NEW", tmp_path / "new")):
            text = text.replace(name, str(path))
        return text.split()

    file = tmp_path / "found.json"
    assert tao_lora(*words(command), json=True) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed
    assert tao_lora(*words(command), force=True, json=file) == 0
    assert capsys.readouterr().out
    assert type(json.loads(file.read_text())) is type(printed)


def test_a_model_is_made_better_in_place_alone(places, tmp_path: Path, capsys) -> None:
    bag, model = write_ros2(tmp_path / "still", motion(4.0)), places["MODEL"]
    assert tao_lora("calibrate", bag, insist=True, out=model, model=model) == 0
    said = complaint(capsys, "calibrate", bag, insist=True, out=model)
    assert "exists already; --force writes over it" in said


def test_help_says_version_defaults_and_exit_status(capsys) -> None:
    for words, said in (
        (["--version"], "tao-lora 0."),
        (["--help"], "130 interrupted"),
        (["train", "--help"], "(default: 1500)"),
        (["events", "show", "--help"], "(default: "),
    ):
        with pytest.raises(SystemExit) as ended:
            main(words)
        assert ended.value.code == 0
        assert said in capsys.readouterr().out
