"""Two tables, or two models on the same bags, side by side."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from commands import complaint, json_of, tao_lora
from fleets.tables import Here
from models import small_artifact
from recordings import motion, write_ros2

from tao_lora_ros.bags.reader import WHOLE
from tao_lora_ros.bags.replay import Chosen
from tao_lora_ros.engine.settings import Settings
from tao_lora_ros.fleet.compare import compare
from tao_lora_ros.fleet.errors import FleetError
from tao_lora_ros.fleet.find import find_bags
from tao_lora_ros.fleet.run import replay_all
from tao_lora_ros.fleet.task import How
from tao_lora_ros.model.artifact import save_artifact

pytest.importorskip("pyarrow.parquet")


def choose(bag: Path) -> Chosen:
    return Chosen(Settings(), {}, small_artifact())


HOW = How(choose, "small", WHOLE)


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`bags`, and tables of them: `old`, `new` (elsewhere), and `cut`, which ends earlier."""
    folder = tmp_path_factory.mktemp("compare")
    write_ros2(folder / "bags" / "a", motion(1.3, [0.7, 1.1], seed=1))
    write_ros2(folder / "bags" / "b", motion(1.0, [0.7], seed=2))
    shutil.copytree(folder / "bags", folder / "elsewhere")
    for name, bags, how in (
        ("old", "bags", HOW),
        ("new", "elsewhere", HOW),
        ("cut", "bags", replace(HOW, part_s=(0.0, 0.9))),
    ):
        replay_all(find_bags([str(folder / bags)]), how, folder / name, Here.opened)
    return folder


def test_the_same_bags_elsewhere_are_the_same(tables: Path, capsys: Any) -> None:
    assert tao_lora("compare", tables / "old", tables / "new") == 0
    said = "2 bags in both: 3 events the same, 0 gained, 0 lost, 0 changed"
    assert said in capsys.readouterr().out


def test_what_is_lost_or_gained_is_told_with_its_bag(
    tables: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (lost,) = json_of("compare", tables / "old", tables / "cut", status=3)["differences"]
    out = capsys.readouterr().out
    assert "lost     bags" in out
    assert "2 events the same, 0 gained, 1 lost" in out
    assert f"reports: tao-lora fleet {tables / 'cut'} --old {tables / 'old'}" in out

    assert (lost["what"], lost["robot"], lost["kind"]) == ("lost", "bags", "blow")
    assert lost["bag"].endswith("bags/a")
    assert tao_lora("compare", tables / "cut", tables / "old") == 3
    assert "1 gained, 0 lost" in capsys.readouterr().out


def test_bags_of_one_table_and_bags_that_fail_are_told(tables: Path, tmp_path: Path) -> None:
    bags = tmp_path / "bags"
    shutil.copytree(tables / "bags" / "a", bags / "a")
    write_ros2(bags / "c", motion(0.5))
    refusing = replace(HOW, part_s=(1.2, 9.0))  # `c` is over by then
    for name, how in (("t", HOW), ("u", refusing)):
        replay_all(find_bags([str(bags)]), how, tmp_path / name, Here.opened)
    shutil.copytree(bags / "a", bags / "copy")
    replay_all(find_bags([str(bags)]), HOW, tmp_path / "t", Here.opened)
    found = compare(tables / "old", tmp_path / "t")
    assert found.copies == 1
    assert [Path(name).name for name in found.only_old] == ["b"]
    assert [Path(name).name for name in found.only_new] == ["c"]
    assert not found.differences
    (row,) = compare(tmp_path / "t", tmp_path / "u").failing
    assert "is after its end" in row["error"]


def test_two_models_are_compared_on_bags(tables: Path, tmp_path: Path, capsys: Any) -> None:
    save_artifact(small_artifact(), tmp_path / "one")
    usual = small_artifact().calibration
    deaf = replace(usual, thresholds=(50.0, 50.0), level_thresholds=(50.0, 50.0))
    save_artifact(replace(small_artifact(), calibration=deaf), tmp_path / "two")
    models = tmp_path / "one", tmp_path / "two"
    assert tao_lora("compare", *models, tables / "bags", table=tmp_path / "kept", workers=1) == 3
    assert "0 events the same, 0 gained, 3 lost" in capsys.readouterr().out
    assert tao_lora("compare", tmp_path / "kept/old", tables / "old") == 0


def test_where_no_bag_is_in_both_nothing_was_compared(
    tables: Path, tmp_path: Path, capsys: Any
) -> None:
    write_ros2(tmp_path / "bags" / "c", motion(0.5, seed=3))
    replay_all(find_bags([str(tmp_path / "bags")]), HOW, tmp_path / "t", Here.opened)
    told = complaint(capsys, "compare", tables / "old", tmp_path / "t")
    assert "nothing was compared: no bag was replayed in both; 2 bags are in OLD alone" in told


def test_what_is_no_table_is_said(tables: Path, tmp_path: Path) -> None:
    with pytest.raises(FleetError, match="no table of bags"):
        compare(tables / "old", tmp_path)
