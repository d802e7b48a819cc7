"""Commands that are given what is no file of theirs say so in one line, and wait for nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from commands import complaint, tao_lora
from recordings import motion, write_ros2

from tao_lora_ros.cli.main import main

LONG = "n" * 300


@pytest.mark.parametrize(
    "command",
    [
        *("replay PATH", "info PATH", "import PATH --out OUT", "doctor --store PATH"),
        *("evaluate PATH BAG", "bench table PATH", "events list --store PATH"),
        "calibrate BAG --out PATH",
    ],
)
@pytest.mark.parametrize("kind", [LONG, "loop", "fifos", "zero"])
def test_is_one_line(command: str, kind: str, tmp_path: Path, capsys) -> None:
    path = tmp_path / kind
    if kind == "loop":
        path.symlink_to(path)
    elif kind == "zero":
        path = Path("/dev/zero")
    elif kind == "fifos":
        path.mkdir()
        for name in ("metadata.yaml", "model.json", "index.jsonl", "lock", "a.csv"):
            os.mkfifo(path / name)
    places = {"PATH": path, "OUT": tmp_path / "out"}
    if "BAG" in command:
        places["BAG"] = write_ros2(tmp_path / "bag", motion(3.0))
    status = tao_lora(*(places.get(word, word) for word in command.split()))
    err = capsys.readouterr().err
    assert "Traceback" not in err
    if status:
        errors = [line for line in err.splitlines() if line.startswith("tao-lora: error: ")]
        assert len(errors) == 1 or "events" in command or "doctor" in command, err


def test_measurements_that_are_none_are_refused(tmp_path: Path, capsys) -> None:
    file = tmp_path / "f.json"
    for text in ("", "{}", '{"rows": 3}', '{"rows": [{"value": 1}]}', "[" * 100_000):
        file.write_text(text)
        assert "not a file of measurements" in complaint(capsys, "bench", "table", file)


def test_arguments_cannot_forge_a_line(capsys) -> None:
    with pytest.raises(SystemExit):
        tao_lora("info", none="\x1b[2J\nforged")
    err = capsys.readouterr().err
    assert "\x1b[2J" not in err
    assert not any(line == "forged" for line in err.splitlines())


@pytest.mark.parametrize(
    "words", ["replay bag --from=--", "replay bag --json=--", "review --port=--"]
)
def test_two_dashes_are_no_value(words: str, capsys) -> None:
    assert main(words.split()) == 1
    assert capsys.readouterr().err.endswith("=--: '--' is no value\n")


def test_a_loop_of_links_is_no_bag_to_train_on(tmp_path: Path, capsys) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    bag = write_ros2(tmp_path / "bag", motion(1.0))
    assert complaint(capsys, "train", bag, steady=loop, out=tmp_path / "m")
